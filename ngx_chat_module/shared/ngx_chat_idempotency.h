
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Requests that carry an idempotency key: the first is answered, and whoever
 * asks again with the same key within some minutes gets the same answer, on
 * whichever worker, and nothing is done again.
 *
 * The answers take a sixteenth of the zone's arena at most; when that is
 * full the oldest go first.  Any thread, without the zone's lock.
 */


#ifndef _NGX_CHAT_IDEMPOTENCY_H_INCLUDED_
#define _NGX_CHAT_IDEMPOTENCY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


#define NGX_CHAT_IDEMPOTENCY_NAME  128        /* most bytes of a name */


typedef struct {
    uint64_t                app;
    ngx_str_t               name;      /* "!", and what tells this request
                                          from others: no channel's name;
                                          len 0: the request has no key */
} ngx_chat_idempotency_t;


/*
 * NGX_OK: it is the first, and end() must follow; NGX_DONE: it has been
 * answered, *answer is in the pool; NGX_BUSY: the first is not answered yet;
 * NGX_ERROR: no memory.  Without a key NGX_OK.
 */
ngx_int_t ngx_chat_idempotency_begin(ngx_chat_zone_t *zone,
    ngx_chat_idempotency_t *key, ngx_str_t *answer, ngx_pool_t *pool);

/*
 * Keeps the answer, which is not empty; NULL: the request failed, and may be
 * tried again.
 */
void ngx_chat_idempotency_end(ngx_chat_zone_t *zone,
    ngx_chat_idempotency_t *key, ngx_str_t *answer);


#endif /* _NGX_CHAT_IDEMPOTENCY_H_INCLUDED_ */
