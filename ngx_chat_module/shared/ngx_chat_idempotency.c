
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Answers to requests with an idempotency key.
 *
 * A request sets an empty answer when it begins, and its answer at the end.
 * The empty answer expires soon, in case the worker dies in between.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_cache.h>
#include <shared/ngx_chat_idempotency.h>
#include <shared/ngx_chat_registry.h>
#include <shared/ngx_chat_registry_query.h>


#define NGX_CHAT_IDEMPOTENCY_TTL    600       /* s, that answers are kept */
#define NGX_CHAT_IDEMPOTENCY_BEGUN  60      /* s, more than a store may take */


ngx_int_t
ngx_chat_idempotency_begin(ngx_chat_zone_t *zone, ngx_chat_idempotency_t *key,
    ngx_str_t *answer, ngx_pool_t *pool)
{
    uint32_t    hash;
    ngx_int_t   rc;
    ngx_str_t   empty;
    ngx_uint_t  ttl;

    if (key->name.len == 0) {
        return NGX_OK;
    }

    ngx_str_set(&empty, "");
    hash = ngx_chat_registry_hash(zone, key->app, &key->name);

    ngx_chat_zone_lock(zone);

    rc = ngx_chat_cache_get(zone, key->app, hash, &key->name, answer, &ttl);

    if (rc != NGX_OK) {
        ngx_chat_cache_set(zone, key->app, hash, &key->name, &empty,
                           NGX_CHAT_IDEMPOTENCY_BEGUN);
    }

    ngx_chat_zone_unlock(zone);

    if (rc != NGX_OK) {
        return NGX_OK;
    }

    rc = ngx_chat_registry_query_cached(zone, key->app, &key->name, answer,
                                        &ttl, pool);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    /* an answer that has gone in between: the first request has failed */

    return (rc == NGX_OK && answer->len) ? NGX_DONE : NGX_BUSY;
}


void
ngx_chat_idempotency_end(ngx_chat_zone_t *zone, ngx_chat_idempotency_t *key,
    ngx_str_t *answer)
{
    uint32_t   hash;
    ngx_str_t  empty;

    if (key->name.len == 0) {
        return;
    }

    ngx_str_set(&empty, "");
    hash = ngx_chat_registry_hash(zone, key->app, &key->name);

    ngx_chat_zone_lock(zone);

    ngx_chat_cache_set(zone, key->app, hash, &key->name,
                       answer ? answer : &empty,
                       answer ? NGX_CHAT_IDEMPOTENCY_TTL : 0);

    ngx_chat_zone_unlock(zone);
}
