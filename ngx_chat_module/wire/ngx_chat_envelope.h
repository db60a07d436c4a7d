
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The envelope: an event on its way between workers, as one flat record for
 * the ring.  Pure.
 *
 * The payload is the text that clients get.  The publisher renders it once,
 * and the workers only put a frame header before it.
 */


#ifndef _NGX_CHAT_ENVELOPE_H_INCLUDED_
#define _NGX_CHAT_ENVELOPE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Both parts of a socket id; 0.0 is nobody's. */
typedef struct {
    uint64_t           high;
    uint64_t           low;
} ngx_chat_socket_id_t;


typedef enum {
    NGX_CHAT_ENVELOPE_EVENT_e = 1,     /* to the channel's subscribers */
    NGX_CHAT_ENVELOPE_TERMINATE_e,     /* the subscribers are disconnected and
                                          must not reconnect; no payload */
    NGX_CHAT_ENVELOPE_NOTICE_e,        /* an event about subscriptions: it is
                                          not sent again to whoever missed it */
    NGX_CHAT_ENVELOPE_HOOK_e           /* for webhooks, see shared/
                                          ngx_chat_hook.h: no client gets it */
} ngx_chat_envelope_type_e;


typedef struct {
    ngx_uint_t            type;
    uint64_t              app;         /* the app's number */
    uint64_t              message;     /* id of the stored message, or 0 */
    ngx_chat_socket_id_t  except;      /* gets no copy */
    uint64_t              previous;    /* see ngx_chat_index.h */
    uint32_t              hash;        /* of the app's channel, the same in all
                                          workers */
    ngx_str_t             channel;     /* 1..255 bytes */
    ngx_str_t             payload;
} ngx_chat_envelope_t;


/* Bytes that pack() writes. */
size_t ngx_chat_envelope_size(ngx_chat_envelope_t *e);

/* Returns the end. */
u_char *ngx_chat_envelope_pack(u_char *p, ngx_chat_envelope_t *e);

/*
 * NGX_OK, the strings point into [p, p + len); NGX_ERROR where the record
 * is not one that pack() made (every length is checked).
 */
ngx_int_t ngx_chat_envelope_unpack(ngx_chat_envelope_t *e, u_char *p,
    size_t len);


#endif /* _NGX_CHAT_ENVELOPE_H_INCLUDED_ */
