
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The last event of each cache channel, and answers to requests with a key.
 * The entries of each kind are in a queue, the oldest first.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_cache.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


static ngx_chat_cache_sh_t *ngx_chat_cache_find(ngx_chat_zone_t *zone,
    uint64_t app, uint32_t hash, ngx_str_t *channel);
static ngx_chat_cache_queue_t *ngx_chat_cache_queue(ngx_chat_zone_t *zone,
    u_char *name);
static ngx_chat_cache_sh_t *ngx_chat_cache_alloc(ngx_chat_zone_t *zone,
    ngx_chat_cache_queue_t *q, size_t size);
static void ngx_chat_cache_expire_queue(ngx_chat_zone_t *zone,
    ngx_chat_cache_queue_t *q, ngx_uint_t n);
static void ngx_chat_cache_drop(ngx_chat_zone_t *zone,
    ngx_chat_cache_sh_t *c);
static time_t ngx_chat_cache_now(void);


#define ngx_chat_cache_size(name_len, payload_len)                            \
    (sizeof(ngx_chat_cache_sh_t) + (name_len) + (payload_len))


void
ngx_chat_cache_set(ngx_chat_zone_t *zone, uint64_t app, uint32_t hash,
    ngx_str_t *channel, ngx_str_t *payload, time_t ttl)
{
    u_char                  *p;
    ngx_chat_cache_sh_t     *c, **bucket;
    ngx_chat_cache_queue_t  *q;

    c = ngx_chat_cache_find(zone, app, hash, channel);

    if (c != NULL) {
        ngx_chat_cache_drop(zone, c);
    }

    q = ngx_chat_cache_queue(zone, channel->data);

    c = ngx_chat_cache_alloc(zone, q, ngx_chat_cache_size(channel->len,
                                                          payload->len));
    if (c == NULL) {
        return;
    }

    c->app = app;
    c->expires = ngx_chat_cache_now() + ttl;
    c->hash = hash;
    c->renewed = (uint32_t) zone->sh->renewed;
    c->payload_len = (uint32_t) payload->len;
    c->len = (u_char) channel->len;

    p = ngx_cpymem(c->data, channel->data, channel->len);
    ngx_memcpy(p, payload->data, payload->len);

    bucket = &zone->sh->caches[hash & zone->sh->mask];

    c->next = *bucket;
    *bucket = c;

    ngx_chat_failpoint("cached");

    ngx_queue_insert_tail(&q->entries, &c->queue);
}


ngx_int_t
ngx_chat_cache_get(ngx_chat_zone_t *zone, uint64_t app, uint32_t hash,
    ngx_str_t *channel, ngx_str_t *payload, ngx_uint_t *ttl)
{
    time_t                now;
    ngx_chat_cache_sh_t  *c;

    c = ngx_chat_cache_find(zone, app, hash, channel);
    now = ngx_chat_cache_now();

    if (c == NULL || c->expires <= now) {
        return NGX_DECLINED;
    }

    /* an event may be a message of a former database; an empty answer is not */

    if (c->payload_len && c->renewed != (uint32_t) zone->sh->renewed) {
        return NGX_DECLINED;
    }

    payload->data = c->data + c->len;
    payload->len = c->payload_len;
    *ttl = c->expires - now;

    return NGX_OK;
}


void
ngx_chat_cache_expire(ngx_chat_zone_t *zone, ngx_uint_t n)
{
    ngx_chat_cache_expire_queue(zone, &zone->sh->cached, n);
    ngx_chat_cache_expire_queue(zone, &zone->sh->answers, n);
}


static void
ngx_chat_cache_expire_queue(ngx_chat_zone_t *zone, ngx_chat_cache_queue_t *q,
    ngx_uint_t n)
{
    time_t                now;
    ngx_chat_cache_sh_t  *c;

    now = ngx_chat_cache_now();

    while (n-- && !ngx_queue_empty(&q->entries)) {

        c = ngx_queue_data(ngx_queue_head(&q->entries), ngx_chat_cache_sh_t,
                           queue);

        if (c->expires > now) {
            return;
        }

        ngx_chat_cache_drop(zone, c);
    }
}


static ngx_chat_cache_sh_t *
ngx_chat_cache_find(ngx_chat_zone_t *zone, uint64_t app, uint32_t hash,
    ngx_str_t *channel)
{
    ngx_chat_cache_sh_t  *c;

    for (c = zone->sh->caches[hash & zone->sh->mask]; c; c = c->next) {

        if (c->hash == hash
            && c->app == app
            && c->len == channel->len
            && ngx_memcmp(c->data, channel->data, channel->len) == 0)
        {
            return c;
        }
    }

    return NULL;
}


/* The name of an answer begins with "!", see ngx_chat_idempotency.h. */

static ngx_chat_cache_queue_t *
ngx_chat_cache_queue(ngx_chat_zone_t *zone, u_char *name)
{
    return (name[0] == '!') ? &zone->sh->answers : &zone->sh->cached;
}


/* Drops the oldest entries until there is room. */

static ngx_chat_cache_sh_t *
ngx_chat_cache_alloc(ngx_chat_zone_t *zone, ngx_chat_cache_queue_t *q,
    size_t size)
{
    size_t                piece;
    ngx_chat_cache_sh_t  *c;

    piece = ngx_chat_arena_piece(size);

    /* nothing is dropped for an entry that can't fit */

    if (piece == 0 || piece > q->limit) {
        return NULL;
    }

    for ( ;; ) {

        if (q->used + piece <= q->limit) {
            c = ngx_chat_arena_alloc(zone->sh->arena, size);

            if (c != NULL) {
                q->used += piece;
                return c;
            }
        }

        if (ngx_queue_empty(&q->entries)) {
            return NULL;
        }

        c = ngx_queue_data(ngx_queue_head(&q->entries), ngx_chat_cache_sh_t,
                           queue);
        ngx_chat_cache_drop(zone, c);
    }
}


static void
ngx_chat_cache_drop(ngx_chat_zone_t *zone, ngx_chat_cache_sh_t *c)
{
    ngx_chat_cache_sh_t    **next;
    ngx_chat_cache_queue_t  *q;

    q = ngx_chat_cache_queue(zone, c->data);
    q->used -= ngx_chat_arena_piece(ngx_chat_cache_size(c->len,
                                                        c->payload_len));
    ngx_queue_remove(&c->queue);

    next = &zone->sh->caches[c->hash & zone->sh->mask];

    while (*next != c) {
        next = &(*next)->next;
    }

    *next = c->next;

    ngx_chat_arena_free(zone->sh->arena, c);
}


static time_t
ngx_chat_cache_now(void)
{
    return ngx_chat_clock_msec() / 1000;
}
