
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The last event of each cache channel, and answers to requests with a key.
 * Each app has a queue for its entries of each kind, the oldest first.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_cache.h>
#include <shared/ngx_chat_share.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


/* apps looked at for expired entries while the zone's lock is held once */
#define NGX_CHAT_CACHE_APPS  64


static ngx_chat_cache_sh_t *ngx_chat_cache_find(ngx_chat_zone_t *zone,
    uint64_t app, uint32_t hash, ngx_str_t *channel);
static ngx_uint_t ngx_chat_cache_kind(u_char *name);
static ngx_chat_cache_sh_t *ngx_chat_cache_alloc(ngx_chat_zone_t *zone,
    ngx_chat_share_sh_t *share, ngx_uint_t kind, size_t size);
static ngx_chat_share_sh_t *ngx_chat_cache_victim(ngx_chat_zone_sh_t *sh,
    ngx_chat_share_sh_t *share, ngx_uint_t kind, size_t piece);
static void ngx_chat_cache_forgotten(ngx_chat_zone_t *zone, ngx_uint_t kind);
static ngx_uint_t ngx_chat_cache_expire_queue(ngx_chat_zone_t *zone,
    ngx_chat_cache_queue_t *q, ngx_uint_t n);
static ngx_chat_cache_sh_t *ngx_chat_cache_oldest(ngx_chat_cache_queue_t *q);
static void ngx_chat_cache_drop(ngx_chat_zone_t *zone,
    ngx_chat_cache_sh_t *c);
static time_t ngx_chat_cache_now(void);


#define ngx_chat_cache_size(name_len, payload_len)                            \
    (offsetof(ngx_chat_cache_sh_t, data) + (name_len) + (payload_len))


void
ngx_chat_cache_set(ngx_chat_zone_t *zone, uint64_t app, uint32_t hash,
    ngx_str_t *channel, ngx_str_t *payload, time_t ttl)
{
    u_char               *p;
    ngx_uint_t            kind;
    ngx_chat_cache_sh_t  *c, **bucket;
    ngx_chat_share_sh_t  *share;

    c = ngx_chat_cache_find(zone, app, hash, channel);

    if (c != NULL) {
        ngx_chat_cache_drop(zone, c);
    }

    kind = ngx_chat_cache_kind(channel->data);
    share = ngx_chat_share_find(zone->sh, app);

    c = ngx_chat_cache_alloc(zone, share, kind,
                             ngx_chat_cache_size(channel->len, payload->len));
    if (c == NULL) {
        share->refused++;
        ngx_chat_cache_forgotten(zone, kind);
        return;
    }

    c->app = app;
    c->expires = (uint32_t) ngx_min(ngx_chat_cache_now() + ttl,
                                    (time_t) NGX_MAX_UINT32_VALUE);
    c->hash = hash;
    c->renewed = (uint16_t) zone->sh->renewed;
    c->payload_len = (uint32_t) payload->len;
    c->share = ngx_chat_share_index(zone->sh, share);
    c->len = (u_char) channel->len;

    p = ngx_cpymem(c->data, channel->data, channel->len);
    ngx_memcpy(p, payload->data, payload->len);

    bucket = &zone->sh->caches[hash & zone->sh->mask];

    c->next = *bucket;
    *bucket = c;

    ngx_chat_failpoint("cached");

    ngx_queue_insert_tail(&share->kept[kind].entries, &c->queue);
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

    if (c->payload_len && c->renewed != (uint16_t) zone->sh->renewed) {
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
    ngx_uint_t            i, kind;
    ngx_chat_zone_sh_t   *sh;
    ngx_chat_share_sh_t  *share;

    sh = zone->sh;

    for (i = 0; i < ngx_min(sh->nused, NGX_CHAT_CACHE_APPS); i++) {
        share = &sh->shares[sh->expired++ % sh->nused];

        for (kind = 0; kind < NGX_CHAT_CACHE_KINDS_e; kind++) {
            n = ngx_chat_cache_expire_queue(zone, &share->kept[kind], n);
        }
    }
}


/* Drops at most n, and returns how many of n are left. */

static ngx_uint_t
ngx_chat_cache_expire_queue(ngx_chat_zone_t *zone, ngx_chat_cache_queue_t *q,
    ngx_uint_t n)
{
    time_t                now;
    ngx_chat_cache_sh_t  *c;

    now = ngx_chat_cache_now();

    for (/* void */ ; n; n--) {

        c = ngx_chat_cache_oldest(q);

        if (c == NULL || c->expires > now) {
            break;
        }

        ngx_chat_cache_drop(zone, c);
    }

    return n;
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

static ngx_uint_t
ngx_chat_cache_kind(u_char *name)
{
    return (name[0] == '!') ? NGX_CHAT_CACHE_ANSWERS_e
                            : NGX_CHAT_CACHE_EVENTS_e;
}


/*
 * Drops entries until there is room: the app's own oldest, or those of an app
 * that has more than its part.
 */

static ngx_chat_cache_sh_t *
ngx_chat_cache_alloc(ngx_chat_zone_t *zone, ngx_chat_share_sh_t *share,
    ngx_uint_t kind, size_t size)
{
    size_t                   piece, others;
    ngx_chat_cache_sh_t     *c;
    ngx_chat_share_sh_t     *victim;
    ngx_chat_cache_total_t  *total;

    piece = ngx_chat_arena_piece(size);
    total = &zone->sh->kept[kind];

    /* nothing is dropped for an entry that can't fit */

    others = total->used - share->kept[kind].used;

    if (piece <= ngx_chat_zone_part(zone->sh, share, total->limit)) {
        others = 0;
    }

    if (piece == 0 || piece + others > total->limit) {
        return NULL;
    }

    for ( ;; ) {

        victim = ngx_chat_cache_victim(zone->sh, share, kind, piece);

        if (victim == NULL) {
            c = ngx_chat_share_alloc(zone->sh, share, size);

            if (c != NULL) {
                share->kept[kind].used += piece;
                total->used += piece;
                return c;
            }

            victim = share;
        }

        c = ngx_chat_cache_oldest(&victim->kept[kind]);

        if (c == NULL) {
            return NULL;
        }

        if (c->expires > ngx_chat_cache_now()) {
            ngx_chat_cache_forgotten(zone, kind);
        }

        ngx_chat_cache_drop(zone, c);
    }
}


/* Counts an answer that is not kept as long as it should be. */

static void
ngx_chat_cache_forgotten(ngx_chat_zone_t *zone, ngx_uint_t kind)
{
    if (kind == NGX_CHAT_CACHE_ANSWERS_e) {
        zone->sh->counters[NGX_CHAT_KEYS_FORGOTTEN_e]++;
    }
}


/*
 * Who has to give room for a piece of the app's; NULL: nobody, there is room.
 * An app within its part loses nothing to others.  Where the app would be
 * within its own and there is no room, some other has more than its part.
 */

static ngx_chat_share_sh_t *
ngx_chat_cache_victim(ngx_chat_zone_sh_t *sh, ngx_chat_share_sh_t *share,
    ngx_uint_t kind, size_t piece)
{
    size_t                   limit;
    ngx_uint_t               i;
    ngx_chat_share_sh_t     *other;
    ngx_chat_cache_total_t  *total;

    total = &sh->kept[kind];
    limit = total->limit;

    if (total->used + piece <= limit) {
        return NULL;
    }

    if (share->kept[kind].used + piece
        > ngx_chat_zone_part(sh, share, limit))
    {
        return share;
    }

    for (i = 0; i < sh->nused; i++) {
        other = &sh->shares[i];

        if (other->kept[kind].used > ngx_chat_zone_part(sh, other, limit)) {
            return other;
        }
    }

    return share;
}


static ngx_chat_cache_sh_t *
ngx_chat_cache_oldest(ngx_chat_cache_queue_t *q)
{
    if (ngx_queue_empty(&q->entries)) {
        return NULL;
    }

    return ngx_queue_data(ngx_queue_head(&q->entries), ngx_chat_cache_sh_t,
                          queue);
}


static void
ngx_chat_cache_drop(ngx_chat_zone_t *zone, ngx_chat_cache_sh_t *c)
{
    size_t                 piece;
    ngx_uint_t             kind;
    ngx_chat_cache_sh_t  **next;
    ngx_chat_share_sh_t   *share;

    kind = ngx_chat_cache_kind(c->data);
    share = &zone->sh->shares[c->share];
    piece = ngx_chat_arena_piece(ngx_chat_cache_size(c->len, c->payload_len));

    share->kept[kind].used -= piece;
    zone->sh->kept[kind].used -= piece;

    ngx_queue_remove(&c->queue);

    next = &zone->sh->caches[c->hash & zone->sh->mask];

    while (*next != c) {
        next = &(*next)->next;
    }

    *next = c->next;

    ngx_chat_share_free(zone->sh, share, c);
}


static time_t
ngx_chat_cache_now(void)
{
    return ngx_chat_clock_msec() / 1000;
}
