
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Requests with an idempotency key whose answers are kept in shared memory.
 * The first one is done and answered.  A request with the same key within some
 * minutes, on any worker, is not done again and gets the same answer.
 *
 * The answers take at most an eighth of the zone's arena.  Where they need
 * more, the oldest are dropped, as ngx_chat_cache.h says, which is counted and
 * logged.  On the event loop, without the zone's lock.
 */


#ifndef _NGX_CHAT_IDEMPOTENCY_H_INCLUDED_
#define _NGX_CHAT_IDEMPOTENCY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


#define NGX_CHAT_IDEMPOTENCY_KEY  14   /* bytes of a key: an entry that has no
                                          text takes one unit of the arena */


typedef struct {
    uint64_t                app;
    ngx_str_t               name;      /* of the entry, see key() */
    ngx_chat_slot_sh_t     *slot;      /* of this worker; NULL: it has none */
    u_char                  data[1 + NGX_CHAT_IDEMPOTENCY_KEY];
} ngx_chat_idempotency_t;


/* Sets a key by a digest of at least NGX_CHAT_IDEMPOTENCY_KEY bytes. */
void ngx_chat_idempotency_key(ngx_chat_idempotency_t *key, uint64_t app,
    u_char *digest, ngx_chat_slot_sh_t *slot);

/*
 * NGX_OK: the request is the first, and end() must follow in the same turn of
 * the event loop; without claim, another one may be the first, too, and end()
 * may follow; NGX_DONE: *answer, in the pool, is the answer to the first;
 * NGX_BUSY: the first is not answered yet, and its worker lives; NGX_ERROR: no
 * memory.
 */
ngx_int_t ngx_chat_idempotency_begin(ngx_chat_zone_t *zone,
    ngx_chat_idempotency_t *key, ngx_uint_t claim, ngx_str_t *answer,
    ngx_pool_t *pool);

/*
 * Keeps the answer, a JSON object; NULL: the request failed, and may be tried
 * again.
 */
void ngx_chat_idempotency_end(ngx_chat_zone_t *zone,
    ngx_chat_idempotency_t *key, ngx_str_t *answer, ngx_log_t *log);


#endif /* _NGX_CHAT_IDEMPOTENCY_H_INCLUDED_ */
