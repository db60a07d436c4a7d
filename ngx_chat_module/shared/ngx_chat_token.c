
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Token sessions in the shared zone.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_parked.h>
#include <shared/ngx_chat_share.h>
#include <shared/ngx_chat_token.h>
#include <wire/ngx_chat_clock.h>


static ngx_chat_token_sh_t **ngx_chat_token_find(ngx_chat_zone_t *zone,
    uint64_t digest);
static ngx_chat_token_sh_t *ngx_chat_token_owned(ngx_chat_zone_t *zone,
    uint64_t digest, uint64_t owner);
static ngx_chat_token_sh_t *ngx_chat_token_create(ngx_chat_zone_t *zone,
    uint64_t app, uint64_t digest);
static ngx_chat_token_channel_sh_t *ngx_chat_token_channel(
    ngx_chat_token_sh_t *t, uint64_t hash);
static ngx_chat_token_channel_sh_t *ngx_chat_token_add(ngx_chat_zone_t *zone,
    ngx_chat_token_sh_t *t);
static void ngx_chat_token_park(ngx_chat_zone_t *zone,
    ngx_chat_token_sh_t *t);
static void ngx_chat_token_delete(ngx_chat_zone_t *zone,
    ngx_chat_token_sh_t *t);
static uint64_t ngx_chat_token_hash(ngx_chat_zone_t *zone,
    ngx_str_t *channel);
static uint32_t ngx_chat_token_now(void);


/* apps looked at for expired sessions while the zone's lock is held once */
#define NGX_CHAT_TOKEN_APPS  64


#define ngx_chat_token_size(n)                                                \
    (sizeof(ngx_chat_token_sh_t) + (n) * sizeof(ngx_chat_token_channel_sh_t))


uint64_t
ngx_chat_token_digest(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *token)
{
    u_char  buf[sizeof(uint64_t) + NGX_CHAT_TOKEN_MAX], *p;

    p = ngx_cpymem(buf, &app, sizeof(uint64_t));
    p = ngx_cpymem(p, token->data, ngx_min(token->len, NGX_CHAT_TOKEN_MAX));

    return ngx_chat_hash(&zone->sh->key, buf, p - buf);
}


ngx_int_t
ngx_chat_token_open(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    uint64_t app, uint64_t digest, uint64_t owner, time_t ttl)
{
    ngx_int_t             rc;
    ngx_uint_t            i;
    ngx_chat_token_sh_t  *t;

    rc = NGX_OK;

    ngx_chat_zone_lock(zone);

    t = *ngx_chat_token_find(zone, digest);

    if (t != NULL
        && ((t->is_parked && t->expires <= ngx_chat_token_now())
            || t->renewed != (uint32_t) zone->sh->renewed))
    {
        ngx_chat_token_delete(zone, t);
        t = NULL;
        rc = NGX_DONE;
    }

    if (t == NULL) {
        t = ngx_chat_token_create(zone, app, digest);

        if (t == NULL) {
            rc = NGX_BUSY;
            goto done;
        }

    } else {
        ngx_chat_parked_unlist(zone, t);
    }

    for (i = 0; i < t->n; i++) {
        t->channels[i].state = NGX_CHAT_TOKEN_WAITING_e;
    }

    t->owner = owner;
    t->expires = (uint32_t) ttl;
    t->is_parked = 0;

    ngx_queue_insert_head(&slot->tokens, &t->queue);

done:

    ngx_chat_zone_unlock(zone);

    return rc;
}


ngx_uint_t
ngx_chat_token_used(ngx_chat_zone_t *zone, uint64_t digest, uint64_t owner)
{
    ngx_uint_t            shared;
    ngx_chat_token_sh_t  *t;

    shared = 0;

    ngx_chat_zone_lock(zone);

    t = *ngx_chat_token_find(zone, digest);

    if (t != NULL && t->owner != owner && !t->is_shared) {
        t->is_shared = 1;
        shared = 1;
    }

    ngx_chat_zone_unlock(zone);

    return shared;
}


ngx_int_t
ngx_chat_token_floor(ngx_chat_zone_t *zone, uint64_t digest, uint64_t owner,
    ngx_str_t *channel, ngx_chat_ring_place_t *floor)
{
    uint64_t                      hash;
    ngx_int_t                     rc;
    ngx_chat_token_sh_t          *t;
    ngx_chat_token_channel_sh_t  *ch;

    hash = ngx_chat_token_hash(zone, channel);

    ngx_chat_zone_lock(zone);

    t = ngx_chat_token_owned(zone, digest, owner);

    if (t == NULL) {
        rc = NGX_ABORT;

    } else if (t->is_shared) {
        rc = NGX_BUSY;

    } else if (t->renewed != (uint32_t) zone->sh->renewed) {
        rc = NGX_DONE;

    } else {
        ch = ngx_chat_token_channel(t, hash);
        rc = NGX_DECLINED;

        if (ch != NULL) {
            floor->position = ch->position;
            floor->mark = ch->mark;
            rc = ch->is_gap ? NGX_DECLINED : NGX_OK;
        }
    }

    ngx_chat_zone_unlock(zone);

    return rc;
}


void
ngx_chat_token_subscribed(ngx_chat_zone_t *zone, uint64_t digest,
    uint64_t owner, ngx_str_t *channel, ngx_chat_ring_place_t *start,
    ngx_uint_t recovered)
{
    uint64_t                      hash;
    ngx_chat_token_sh_t          *t;
    ngx_chat_token_channel_sh_t  *ch;

    hash = ngx_chat_token_hash(zone, channel);

    ngx_chat_zone_lock(zone);

    t = ngx_chat_token_owned(zone, digest, owner);
    ch = t ? ngx_chat_token_channel(t, hash) : NULL;

    if (ch == NULL && t != NULL) {
        ch = ngx_chat_token_add(zone, t);
        recovered = 0;
    }

    if (ch == NULL) {
        goto done;
    }

    ch->hash = hash;
    ch->is_gap = !recovered;
    ch->state = NGX_CHAT_TOKEN_REPLAYED_e;

    if (!recovered) {
        ch->position = start->position;
        ch->mark = start->mark;
    }

done:

    ngx_chat_zone_unlock(zone);
}


void
ngx_chat_token_unsubscribed(ngx_chat_zone_t *zone, uint64_t digest,
    uint64_t owner, ngx_str_t *channel)
{
    uint64_t                      hash;
    ngx_chat_token_sh_t          *t;
    ngx_chat_token_channel_sh_t  *ch;

    hash = ngx_chat_token_hash(zone, channel);

    ngx_chat_zone_lock(zone);

    t = ngx_chat_token_owned(zone, digest, owner);
    ch = t ? ngx_chat_token_channel(t, hash) : NULL;

    if (ch != NULL) {
        *ch = t->channels[--t->n];
    }

    ngx_chat_zone_unlock(zone);
}


ngx_int_t
ngx_chat_token_asked(ngx_chat_zone_t *zone, uint64_t digest, uint64_t owner)
{
    ngx_uint_t            i;
    ngx_chat_token_sh_t  *t;

    ngx_chat_zone_lock(zone);

    t = ngx_chat_token_owned(zone, digest, owner);

    for (i = 0; t != NULL && i < t->n; i++) {
        if (t->channels[i].state == NGX_CHAT_TOKEN_REPLAYED_e) {
            t->channels[i].state = NGX_CHAT_TOKEN_ASKED_e;
        }
    }

    ngx_chat_zone_unlock(zone);

    return t ? NGX_OK : NGX_DECLINED;
}


void
ngx_chat_token_acknowledged(ngx_chat_zone_t *zone, uint64_t digest,
    uint64_t owner, ngx_chat_ring_place_t *place, ngx_uint_t all)
{
    ngx_uint_t                    i, least;
    ngx_chat_token_sh_t          *t;
    ngx_chat_token_channel_sh_t  *ch;

    least = all ? NGX_CHAT_TOKEN_REPLAYED_e : NGX_CHAT_TOKEN_ASKED_e;

    ngx_chat_zone_lock(zone);

    t = ngx_chat_token_owned(zone, digest, owner);

    for (i = 0; t != NULL && i < t->n; i++) {
        ch = &t->channels[i];

        if (ch->state < least) {
            continue;
        }

        ch->state = NGX_CHAT_TOKEN_COVERED_e;
        ch->is_gap = 0;

        /*
         * A channel may have been subscribed to later.  And a worker that has
         * read no message yet does not know the mark.
         */

        if (ch->position < place->position) {
            ch->position = place->position;
            ch->mark = ngx_max(ch->mark, place->mark);
        }
    }

    ngx_chat_zone_unlock(zone);
}


void
ngx_chat_token_end(ngx_chat_zone_t *zone, uint64_t digest, uint64_t owner,
    ngx_chat_token_end_e how)
{
    uint32_t              now;
    ngx_uint_t            i;
    ngx_chat_token_sh_t  *t;

    ngx_chat_zone_lock(zone);

    t = ngx_chat_token_owned(zone, digest, owner);

    if (t == NULL) {
        goto done;
    }

    if (how == NGX_CHAT_TOKEN_FORGET_e) {
        ngx_chat_token_delete(zone, t);
        goto done;
    }

    if (t->is_parked) {
        goto done;
    }

    if (how == NGX_CHAT_TOKEN_SLOW_e) {
        now = ngx_chat_token_now();

        /* it would be too slow for the same events, again and again */

        for (i = 0; t->slow && now - t->slow <= t->expires && i < t->n; i++) {
            t->channels[i].is_gap = 1;
        }

        t->slow = ngx_max(now, 1);
    }

    ngx_chat_token_park(zone, t);

done:

    ngx_chat_zone_unlock(zone);
}


ngx_uint_t
ngx_chat_token_clear(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_uint_t n)
{
    ngx_uint_t    done;
    ngx_queue_t  *q;

    for (done = 0; done < n && !ngx_queue_empty(&slot->tokens); done++) {
        q = ngx_queue_head(&slot->tokens);

        ngx_chat_token_park(zone,
                            ngx_queue_data(q, ngx_chat_token_sh_t, queue));
    }

    return done;
}


void
ngx_chat_token_expire(ngx_chat_zone_t *zone, ngx_uint_t n)
{
    uint32_t              now;
    ngx_uint_t            i;
    ngx_queue_t          *q, *next;
    ngx_chat_zone_sh_t   *sh;
    ngx_chat_share_sh_t  *share;
    ngx_chat_token_sh_t  *t;

    sh = zone->sh;
    now = ngx_chat_token_now();

    ngx_chat_zone_lock(zone);

    for (i = 0; i < ngx_min(sh->nused, NGX_CHAT_TOKEN_APPS); i++) {
        share = &sh->shares[sh->unparked++ % sh->nused];

        for (q = ngx_queue_head(&share->parked);
             n && q != ngx_queue_sentinel(&share->parked);
             q = next, n--)
        {
            next = ngx_queue_next(q);
            t = ngx_queue_data(q, ngx_chat_token_sh_t, queue);

            /* others may be kept for a shorter time, in another location */

            if (t->expires <= now) {
                ngx_chat_token_delete(zone, t);
            }
        }
    }

    ngx_chat_zone_unlock(zone);
}


/* Where the pointer to the session is, or to be put. */

static ngx_chat_token_sh_t **
ngx_chat_token_find(ngx_chat_zone_t *zone, uint64_t digest)
{
    ngx_chat_token_sh_t  **t;

    t = &zone->sh->tokens[digest & zone->sh->mask];

    while (*t != NULL && (*t)->digest != digest) {
        t = &(*t)->next;
    }

    return t;
}


static ngx_chat_token_sh_t *
ngx_chat_token_owned(ngx_chat_zone_t *zone, uint64_t digest, uint64_t owner)
{
    ngx_chat_token_sh_t  *t;

    t = *ngx_chat_token_find(zone, digest);

    return (t != NULL && t->owner == owner) ? t : NULL;
}


/* Is in no list yet. */

static ngx_chat_token_sh_t *
ngx_chat_token_create(ngx_chat_zone_t *zone, uint64_t app, uint64_t digest)
{
    ngx_chat_share_sh_t  *share;
    ngx_chat_token_sh_t  *t, **place;

    share = ngx_chat_share_find(zone->sh, app);

    t = ngx_chat_share_alloc(zone->sh, share, ngx_chat_token_size(0));

    if (t == NULL) {
        return NULL;
    }

    ngx_memzero(t, ngx_chat_token_size(0));

    t->digest = digest;
    t->share = ngx_chat_share_index(zone->sh, share);
    t->renewed = (uint32_t) zone->sh->renewed;

    place = &zone->sh->tokens[digest & zone->sh->mask];

    t->next = *place;
    *place = t;

    return t;
}


static ngx_chat_token_channel_sh_t *
ngx_chat_token_channel(ngx_chat_token_sh_t *t, uint64_t hash)
{
    ngx_uint_t  i;

    for (i = 0; i < t->n; i++) {
        if (t->channels[i].hash == hash) {
            return &t->channels[i];
        }
    }

    return NULL;
}


/*
 * One more channel.  Where the piece of the arena has no room the session moves
 * to a larger one.  NULL: the zone is full, or the session has too many.
 */

static ngx_chat_token_channel_sh_t *
ngx_chat_token_add(ngx_chat_zone_t *zone, ngx_chat_token_sh_t *t)
{
    size_t                size;
    ngx_chat_share_sh_t  *share;
    ngx_chat_token_sh_t  *larger, **place;

    if (t->n == NGX_CHAT_TOKEN_CHANNELS) {
        return NULL;
    }

    size = ngx_chat_token_size(t->n);

    if (ngx_chat_token_size(t->n + 1)
        <= ngx_chat_arena_size(zone->sh->arena, t))
    {
        return &t->channels[t->n++];
    }

    share = &zone->sh->shares[t->share];

    larger = ngx_chat_share_alloc(zone->sh, share,
                                  ngx_chat_token_size(t->n + 1));
    if (larger == NULL) {
        return NULL;
    }

    place = ngx_chat_token_find(zone, t->digest);

    ngx_memcpy(larger, t, size);

    *place = larger;
    ngx_queue_insert_after(&t->queue, &larger->queue);
    ngx_queue_remove(&t->queue);

    ngx_chat_share_free(zone->sh, share, t);

    return &larger->channels[larger->n++];
}


static void
ngx_chat_token_park(ngx_chat_zone_t *zone, ngx_chat_token_sh_t *t)
{
    ngx_chat_share_sh_t  *share;

    share = &zone->sh->shares[t->share];

    ngx_chat_parked_add(zone, t);

    for ( ;; ) {
        t = ngx_chat_parked_excess(zone->sh, share);

        if (t == NULL) {
            return;
        }

        ngx_chat_count(NGX_CHAT_PARKED_EVICTED_e, 1);

        ngx_chat_token_delete(zone, t);
    }
}


static void
ngx_chat_token_delete(ngx_chat_zone_t *zone, ngx_chat_token_sh_t *t)
{
    *ngx_chat_token_find(zone, t->digest) = t->next;

    ngx_chat_parked_unlist(zone, t);

    ngx_chat_share_free(zone->sh, &zone->sh->shares[t->share], t);
}


/* Its app is in the token's digest. */

static uint64_t
ngx_chat_token_hash(ngx_chat_zone_t *zone, ngx_str_t *channel)
{
    return ngx_chat_hash(&zone->sh->key, channel->data, channel->len);
}


static uint32_t
ngx_chat_token_now(void)
{
    return (uint32_t) (ngx_chat_clock_msec() / 1000);
}
