
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Channel names, their types, and socket ids (Pusher protocol, sections 1.2
 * and 3).  Pure.
 */


#ifndef _NGX_CHAT_NAME_H_INCLUDED_
#define _NGX_CHAT_NAME_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_envelope.h>


#define NGX_CHAT_CHANNEL_NAME_MAX  200
#define NGX_CHAT_EVENT_NAME_MAX    200
#define NGX_CHAT_SOCKET_ID_LEN     21      /* "9999999999.9999999999" */


/*
 * Names that no client may subscribe to by itself begin with "#".  A user's id
 * follows the first two.
 */
#define NGX_CHAT_NAME_USER         "#server-to-user-"  /* the user's own */
#define NGX_CHAT_NAME_WATCH        "#watch-"       /* who watches the user */
#define NGX_CHAT_NAME_CONNECTIONS  "#connections"  /* counts those of the app */
#define NGX_CHAT_NAME_FALLBACK     "#fallback-"    /* where a session lives */


/* Bits of a channel's type. */
#define NGX_CHAT_CHANNEL_PRIVATE    0x01   /* needs a signature */
#define NGX_CHAT_CHANNEL_PRESENCE   0x02   /* always with PRIVATE */
#define NGX_CHAT_CHANNEL_CACHE      0x04
#define NGX_CHAT_CHANNEL_ENCRYPTED  0x08   /* always with PRIVATE */
#define NGX_CHAT_CHANNEL_USER       0x10   /* #server-to-user-ID */


/*
 * NGX_OK where the name is valid: 1..200 characters of A-Z a-z 0-9 _ - = @ ,
 * . ; which may follow #server-to-user-.
 */
ngx_int_t ngx_chat_name_check(ngx_str_t *name);

/*
 * NGX_OK where an event may be published by that name: 1..200 characters
 * that do not begin with pusher: or pusher_internal:, because clients would
 * take the event for one of the protocol's.
 */
ngx_int_t ngx_chat_name_check_event(ngx_str_t *name);

/* The type of a name that check() passed; 0 is a public channel. */
ngx_uint_t ngx_chat_name_type(ngx_str_t *name);

/*
 * Reads "123.456".  NGX_DECLINED where it is not of the form digits, dot,
 * digits.  An id that we never write (too long, leading zeros) is NGX_OK and
 * becomes 0.0, which no session has.
 */
ngx_int_t ngx_chat_name_read_socket_id(ngx_chat_socket_id_t *id, u_char *p,
    size_t len);

/* Writes at most NGX_CHAT_SOCKET_ID_LEN bytes, returns the end. */
u_char *ngx_chat_name_write_socket_id(u_char *p, ngx_chat_socket_id_t *id);


#endif /* _NGX_CHAT_NAME_H_INCLUDED_ */
