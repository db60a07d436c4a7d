
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Bodies of the HTTP API's events and batch_events (Pusher protocol, section
 * 6.3), read and checked.  Pure.
 */


#ifndef _NGX_CHAT_TRIGGER_H_INCLUDED_
#define _NGX_CHAT_TRIGGER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_name.h>
#include <wire/ngx_chat_json.h>


#define NGX_CHAT_TRIGGER_CHANNELS  100
#define NGX_CHAT_TRIGGER_BATCH     10
#define NGX_CHAT_TRIGGER_KEY_MAX   255     /* of an idempotency_key */


/* Bits of what info asks for. */
#define NGX_CHAT_INFO_USER_COUNT          0x01
#define NGX_CHAT_INFO_SUBSCRIPTION_COUNT  0x02
#define NGX_CHAT_INFO_CACHE               0x04
#define NGX_CHAT_INFO_OCCUPIED            0x08


/* One event; the strings belong to the JSON reader's memory. */

typedef struct {
    ngx_str_t               name;
    ngx_str_t               data;
    ngx_str_t              *channels;      /* distinct, 1..100 */
    ngx_uint_t              nchannels;
    ngx_chat_socket_id_t    except;        /* 0.0: nobody */
    ngx_uint_t              info;          /* bits, see above */
} ngx_chat_trigger_event_t;


typedef struct {
    ngx_chat_json_t         json;          /* alloc and ctx are the caller's */
    size_t                  data_max;      /* bytes of data, else 413 */

    /* after NGX_OK */
    ngx_chat_trigger_event_t *events;
    ngx_uint_t              n;             /* 1 for events, 1..10 for a
                                              batch */
    ngx_str_t               idempotency_key;   /* data NULL: none */

    /* after NGX_DECLINED */
    ngx_uint_t              status;        /* 400 or 413 */
    ngx_str_t               error;         /* a sentence for the client, in
                                              text[]; without newline */
    u_char                  text[256];
} ngx_chat_trigger_t;


/*
 * Both return NGX_OK; NGX_DECLINED with status and error; NGX_ERROR where
 * json.alloc() failed.  One wrong entry refuses a whole batch.
 *
 * events: name, data, channels and/or channel (their union), socket_id, info,
 * idempotency_key.
 *
 * batch: {"batch":[…]}, each entry with name, data, channel, socket_id, info,
 * also channels; all entries together have at most 100 channels.  The
 * idempotency_key stands beside "batch".
 *
 * A member that is null counts as not given.
 */
ngx_int_t ngx_chat_trigger_read_event(ngx_chat_trigger_t *t, u_char *body,
    size_t len);
ngx_int_t ngx_chat_trigger_read_batch(ngx_chat_trigger_t *t, u_char *body,
    size_t len);

/*
 * Checks an event that was read in another way: its name, the size and the
 * encoding of its data, the names of its channels.  NGX_OK; NGX_DECLINED with
 * status and error.
 */
ngx_int_t ngx_chat_trigger_check(ngx_chat_trigger_t *t,
    ngx_chat_trigger_event_t *e);

/*
 * Gets the bits of a comma-separated list: user_count, subscription_count,
 * cache, occupied; spaces around names and empty names are skipped.  NULL, or
 * the text of a 400: another name.
 */
const char *ngx_chat_trigger_read_info(ngx_str_t *info, ngx_uint_t *bits);


#endif /* _NGX_CHAT_TRIGGER_H_INCLUDED_ */
