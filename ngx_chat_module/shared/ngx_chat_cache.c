
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The last event of each cache channel.
 *
 * Entries stand in one queue, oldest first.  One that is published again
 * stays where it is with a mark, and is moved to the end when its turn to go
 * comes: publishing costs no search, and the order is that of the last
 * event, give or take what has happened since.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <time.h>

#include <shared/ngx_chat_cache.h>
#include <wire/ngx_chat_failpoint.h>


typedef struct {
    uint32_t                len;
    uint32_t                renewed;       /* the zone's, when it came */
    u_char                  data[];
} ngx_chat_payload_sh_t;


struct ngx_chat_cache_sh_s {
    ngx_chat_cache_sh_t    *next;          /* in the bucket */
    ngx_chat_cache_sh_t    *newer;         /* in the queue */
    ngx_chat_payload_sh_t  *payload;       /* NULL: dropped */
    uint64_t                app;
    time_t                  expires;       /* by the monotonic clock */
    uint32_t                hash;
    unsigned                again:1;       /* published since it was queued */
    u_char                  len;
    u_char                  name[];
};


static ngx_chat_cache_sh_t *ngx_chat_cache_find(ngx_chat_zone_t *zone,
    uint64_t app, uint32_t hash, ngx_str_t *channel);
static ngx_chat_cache_sh_t *ngx_chat_cache_create(ngx_chat_zone_t *zone,
    ngx_chat_cache_queue_t *q, uint64_t app, uint32_t hash,
    ngx_str_t *channel);
static ngx_chat_cache_queue_t *ngx_chat_cache_queue(ngx_chat_zone_t *zone,
    ngx_str_t *name);
static void *ngx_chat_cache_alloc(ngx_chat_zone_t *zone,
    ngx_chat_cache_queue_t *q, size_t size);
static void ngx_chat_cache_free(ngx_chat_zone_t *zone,
    ngx_chat_cache_queue_t *q, void *p, size_t size);
static void ngx_chat_cache_push(ngx_chat_cache_queue_t *q,
    ngx_chat_cache_sh_t *c);
static void ngx_chat_cache_expire_queue(ngx_chat_zone_t *zone,
    ngx_chat_cache_queue_t *q, ngx_uint_t n);
static ngx_uint_t ngx_chat_cache_evict(ngx_chat_zone_t *zone,
    ngx_chat_cache_queue_t *q);
static void ngx_chat_cache_drop(ngx_chat_zone_t *zone,
    ngx_chat_cache_queue_t *q, ngx_chat_cache_sh_t *c);
static void ngx_chat_cache_repair_queue(ngx_chat_zone_t *zone,
    ngx_chat_cache_queue_t *q);
static void ngx_chat_cache_repair_entry(ngx_chat_zone_t *zone,
    ngx_chat_cache_queue_t *q, ngx_chat_cache_sh_t *c);
static time_t ngx_chat_cache_now(void);


void
ngx_chat_cache_set(ngx_chat_zone_t *zone, uint64_t app, uint32_t hash,
    ngx_str_t *channel, ngx_str_t *payload, time_t ttl)
{
    ngx_chat_cache_sh_t     *c;
    ngx_chat_payload_sh_t   *new, *old;
    ngx_chat_cache_queue_t  *q;

    q = ngx_chat_cache_queue(zone, channel);

    new = ngx_chat_cache_alloc(zone, q,
                               sizeof(ngx_chat_payload_sh_t) + payload->len);
    if (new) {
        new->len = payload->len;
        new->renewed = (uint32_t) zone->sh->renewed;
        ngx_memcpy(new->data, payload->data, payload->len);
    }

    /* after the payload: making room for it may have dropped the entry */

    c = ngx_chat_cache_find(zone, app, hash, channel);

    if (c != NULL) {
        c->again = 1;

    } else if (new != NULL) {
        c = ngx_chat_cache_create(zone, q, app, hash, channel);
    }

    if (c == NULL) {

        if (new) {
            ngx_chat_cache_free(zone, q, new, sizeof(ngx_chat_payload_sh_t)
                                              + payload->len);
        }

        return;
    }

    old = c->payload;

    ngx_memory_barrier();

    c->payload = new;

    ngx_chat_failpoint("cache payload");

    /* behind it: what a dead worker put there before must not last as long */

    ngx_memory_barrier();

    c->expires = ngx_chat_cache_now() + ttl;

    ngx_chat_failpoint("cache expires");

    if (old) {
        ngx_chat_cache_free(zone, q, old,
                            sizeof(ngx_chat_payload_sh_t) + old->len);
    }
}


ngx_int_t
ngx_chat_cache_get(ngx_chat_zone_t *zone, uint64_t app, uint32_t hash,
    ngx_str_t *channel, ngx_str_t *payload, ngx_uint_t *ttl)
{
    time_t                now;
    ngx_chat_cache_sh_t  *c;

    c = ngx_chat_cache_find(zone, app, hash, channel);
    now = ngx_chat_cache_now();

    if (c == NULL || c->payload == NULL || c->expires <= now) {
        return NGX_DECLINED;
    }

    /* it may be a message of another database; without text it is none */

    if (c->payload->len && c->payload->renewed != (uint32_t) zone->sh->renewed)
    {
        return NGX_DECLINED;
    }

    payload->data = c->payload->data;
    payload->len = c->payload->len;
    *ttl = c->expires - now;

    return NGX_OK;
}


void
ngx_chat_cache_expire(ngx_chat_zone_t *zone, ngx_uint_t n)
{
    ngx_chat_cache_expire_queue(zone, &zone->sh->cached, n);
    ngx_chat_cache_expire_queue(zone, &zone->sh->answers, n);
}


/*
 * An entry is in its bucket before it is in the queue, and leaves the queue
 * before its bucket: what is in a bucket only was on its way.
 */

void
ngx_chat_cache_repair(ngx_chat_zone_t *zone)
{
    ngx_str_t                name;
    ngx_uint_t               i;
    ngx_chat_cache_sh_t     *c;
    ngx_chat_cache_queue_t  *q;

    ngx_chat_cache_repair_queue(zone, &zone->sh->cached);
    ngx_chat_cache_repair_queue(zone, &zone->sh->answers);

    for (i = 0; i <= zone->sh->mask; i++) {

        for (c = zone->sh->caches[i]; c; c = c->next) {

            if (ngx_chat_arena_is_marked(zone->sh->arena, c)) {
                continue;
            }

            name.data = c->name;
            name.len = c->len;

            q = ngx_chat_cache_queue(zone, &name);

            ngx_chat_cache_push(q, c);
            ngx_chat_cache_repair_entry(zone, q, c);
        }
    }
}


static void
ngx_chat_cache_repair_queue(ngx_chat_zone_t *zone, ngx_chat_cache_queue_t *q)
{
    ngx_chat_cache_sh_t  *c;

    q->used = 0;
    q->last = NULL;

    for (c = q->first; c; c = c->newer) {
        ngx_chat_cache_repair_entry(zone, q, c);
        q->last = c;
    }
}


static void
ngx_chat_cache_repair_entry(ngx_chat_zone_t *zone, ngx_chat_cache_queue_t *q,
    ngx_chat_cache_sh_t *c)
{
    (void) ngx_chat_arena_mark(zone->sh->arena, c);

    q->used += ngx_chat_arena_piece(sizeof(ngx_chat_cache_sh_t) + c->len);

    if (c->payload) {
        (void) ngx_chat_arena_mark(zone->sh->arena, c->payload);

        q->used += ngx_chat_arena_piece(sizeof(ngx_chat_payload_sh_t)
                                        + c->payload->len);
    }
}


static void
ngx_chat_cache_expire_queue(ngx_chat_zone_t *zone, ngx_chat_cache_queue_t *q,
    ngx_uint_t n)
{
    time_t                now;
    ngx_chat_cache_sh_t  *c;

    now = ngx_chat_cache_now();

    while (n--) {
        c = q->first;

        if (c == NULL || (c->expires > now && !c->again)) {
            return;
        }

        if (c->expires > now) {

            /* the one behind it may be older */

            if (c->newer == NULL) {
                return;
            }

            q->first = c->newer;
            ngx_chat_cache_push(q, c);
            continue;
        }

        q->first = c->newer;
        ngx_chat_cache_drop(zone, q, c);
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
            && ngx_memcmp(c->name, channel->data, channel->len) == 0)
        {
            return c;
        }
    }

    return NULL;
}


static ngx_chat_cache_sh_t *
ngx_chat_cache_create(ngx_chat_zone_t *zone, ngx_chat_cache_queue_t *q,
    uint64_t app, uint32_t hash, ngx_str_t *channel)
{
    ngx_chat_cache_sh_t  *c, **bucket;

    c = ngx_chat_cache_alloc(zone, q,
                             sizeof(ngx_chat_cache_sh_t) + channel->len);
    if (c == NULL) {
        return NULL;
    }

    bucket = &zone->sh->caches[hash & zone->sh->mask];

    c->next = *bucket;
    c->payload = NULL;
    c->app = app;
    c->expires = 0;
    c->hash = hash;
    c->len = (u_char) channel->len;
    ngx_memcpy(c->name, channel->data, channel->len);

    ngx_memory_barrier();

    *bucket = c;

    ngx_chat_failpoint("cache bucket");

    ngx_chat_cache_push(q, c);

    return c;
}


/* What begins with "!" is no channel, see ngx_chat_idempotency.h. */

static ngx_chat_cache_queue_t *
ngx_chat_cache_queue(ngx_chat_zone_t *zone, ngx_str_t *name)
{
    return (name->data[0] == '!') ? &zone->sh->answers : &zone->sh->cached;
}


/* Makes room where the share is used up or the arena is full. */

static void *
ngx_chat_cache_alloc(ngx_chat_zone_t *zone, ngx_chat_cache_queue_t *q,
    size_t size)
{
    void    *p;
    size_t   piece;

    piece = ngx_chat_arena_piece(size);

    /* nobody makes room for what can't fit */

    if (piece == 0 || piece > q->limit) {
        return NULL;
    }

    for ( ;; ) {

        p = NULL;

        if (q->used + piece <= q->limit) {
            p = ngx_chat_arena_alloc(zone->sh->arena, size);
        }

        if (p != NULL) {
            q->used += piece;
            return p;
        }

        if (!ngx_chat_cache_evict(zone, q)) {
            return NULL;
        }
    }
}


static void
ngx_chat_cache_free(ngx_chat_zone_t *zone, ngx_chat_cache_queue_t *q, void *p,
    size_t size)
{
    ngx_chat_arena_free(zone->sh->arena, p, size);
    q->used -= ngx_chat_arena_piece(size);
}


static void
ngx_chat_cache_push(ngx_chat_cache_queue_t *q, ngx_chat_cache_sh_t *c)
{
    c->newer = NULL;
    c->again = 0;

    ngx_memory_barrier();

    if (q->first == NULL) {
        q->last = c;
        q->first = c;
        return;
    }

    q->last->newer = c;

    ngx_chat_failpoint("cache queue");

    q->last = c;
}


/* Drops the oldest; 0: there is none. */

static ngx_uint_t
ngx_chat_cache_evict(ngx_chat_zone_t *zone, ngx_chat_cache_queue_t *q)
{
    ngx_chat_cache_sh_t  *c;

    for ( ;; ) {
        c = q->first;

        if (c == NULL) {
            return 0;
        }

        if (c->again && c->newer) {
            q->first = c->newer;
            ngx_chat_cache_push(q, c);
            continue;
        }

        q->first = c->newer;
        ngx_chat_cache_drop(zone, q, c);

        return 1;
    }
}


/* Frees an entry that is out of the queue. */

static void
ngx_chat_cache_drop(ngx_chat_zone_t *zone, ngx_chat_cache_queue_t *q,
    ngx_chat_cache_sh_t *c)
{
    ngx_chat_cache_sh_t  **next;

    ngx_chat_failpoint("cache drop");

    next = &zone->sh->caches[c->hash & zone->sh->mask];

    for ( /* void */ ; *next; next = &(*next)->next) {

        if (*next == c) {
            *next = c->next;
            break;
        }
    }

    if (c->payload) {
        ngx_chat_cache_free(zone, q, c->payload,
                            sizeof(ngx_chat_payload_sh_t) + c->payload->len);
    }

    ngx_chat_cache_free(zone, q, c, sizeof(ngx_chat_cache_sh_t) + c->len);
}


static time_t
ngx_chat_cache_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec;
}
