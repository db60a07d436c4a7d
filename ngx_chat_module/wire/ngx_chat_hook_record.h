
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the event loops tell the webhooks' thread: one event, as one flat
 * record for the ring.  Pure.
 */


#ifndef _NGX_CHAT_HOOK_RECORD_H_INCLUDED_
#define _NGX_CHAT_HOOK_RECORD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* The name of the hidden channel that records have as envelopes. */
#define NGX_CHAT_HOOK_CHANNEL  "#hook"


/* The kinds of events, in the order of the names in pusher/ngx_chat_webhook.c.
   What ends another kind's state follows it. */

typedef enum {
    NGX_CHAT_HOOK_OCCUPIED_e = 0,
    NGX_CHAT_HOOK_VACATED_e,
    NGX_CHAT_HOOK_ADDED_e,
    NGX_CHAT_HOOK_REMOVED_e,
    NGX_CHAT_HOOK_CLIENT_EVENT_e,
    NGX_CHAT_HOOK_CACHE_MISS_e,
    NGX_CHAT_HOOK_COUNT_e,
    NGX_CHAT_HOOK_STORED_e,
    NGX_CHAT_HOOK_CLOSED_e,
    NGX_CHAT_HOOK_KINDS_e                  /* their number */
} ngx_chat_hook_kind_e;


#define ngx_chat_hook_bit(kind)  ((ngx_uint_t) 1 << (kind))


typedef struct {
    ngx_uint_t         kind;
    uint64_t           app;            /* its number */
    uint64_t           at;             /* ms, by the monotonic clock */
    int64_t            time;           /* ms since 1970 */
    uint64_t           number;         /* a count, a message's id, a code */
    uint64_t           seq;            /* in a cluster: of the log's item that
                                          it came with; 0: it is of this node,
                                          and not in the log yet */

    /* len 0: none */
    ngx_str_t          channel;
    ngx_str_t          user;
    ngx_str_t          socket_id;
    ngx_str_t          event;
    ngx_str_t          data;
} ngx_chat_hook_record_t;


/* Bytes that pack() writes. */
size_t ngx_chat_hook_record_size(ngx_chat_hook_record_t *rec);

/* Returns the end. */
u_char *ngx_chat_hook_record_pack(u_char *p, ngx_chat_hook_record_t *rec);

/*
 * NGX_OK, the strings point into [p, p + len); NGX_ERROR where pack() has not
 * made this (every length is checked).
 */
ngx_int_t ngx_chat_hook_record_unpack(ngx_chat_hook_record_t *rec, u_char *p,
    size_t len);


#endif /* _NGX_CHAT_HOOK_RECORD_H_INCLUDED_ */
