
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Requests with an idempotency key.  The first one is done and answered.  A
 * request with the same key within some minutes, on any worker, is not done
 * again and gets the same answer.
 *
 * The answers take at most a sixteenth of the zone's arena.  Where they need
 * more, the oldest are dropped.  Any thread, without the zone's lock.
 */


#ifndef _NGX_CHAT_IDEMPOTENCY_H_INCLUDED_
#define _NGX_CHAT_IDEMPOTENCY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


typedef struct {
    uint64_t                app;
    ngx_str_t               name;      /* "!", and what tells this request
                                          from others: no channel's name;
                                          len 0: the request has no key */
} ngx_chat_idempotency_t;


/*
 * NGX_OK: the request is the first, and end() must follow, or it has no key;
 * NGX_DONE: *answer, in the pool, is the answer to the first; NGX_BUSY: the
 * first is not answered yet; NGX_ERROR: no memory.
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
