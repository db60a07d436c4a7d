
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the registry knows of channels.
 *
 * Memory is never allocated under the lock.  What is longer than the memory at
 * hand is measured under the lock, then copied by a second look, for which the
 * memory has room.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_cache.h>
#include <shared/ngx_chat_presence.h>
#include <shared/ngx_chat_registry.h>
#include <shared/ngx_chat_registry_query.h>


/* most channels of a bucket; in a full zone it has about 3 */
#define NGX_CHAT_REGISTRY_QUERY_BUCKET  64

/* most buckets, and about the most channels, of one turn */
#define NGX_CHAT_REGISTRY_QUERY_BUCKETS   65536
#define NGX_CHAT_REGISTRY_QUERY_CHANNELS  1024

/* for channels that come while memory is got */
#define NGX_CHAT_REGISTRY_QUERY_ROOM    1024


/* A channel, copied out of its bucket. */

typedef struct {
    uint32_t                subscriptions;
    uint32_t                users;
    u_char                  len;
    u_char                  name[255];
} ngx_chat_registry_query_entry_t;


static ngx_uint_t ngx_chat_registry_query_bucket(ngx_chat_channel_sh_t *ch,
    uint64_t app, ngx_str_t *prefix, ngx_chat_registry_query_entry_t *entries);
static ngx_int_t ngx_chat_registry_query_copy(ngx_chat_zone_t *zone,
    uint64_t app,
    ngx_str_t *name, ngx_str_t *to, ngx_uint_t *ttl, ngx_pool_t *pool);


void
ngx_chat_registry_query_count(ngx_chat_zone_t *zone, uint64_t app,
    ngx_chat_registry_query_t *c)
{
    uint32_t                hash;
    ngx_chat_channel_sh_t  *ch;

    hash = ngx_chat_registry_hash(zone, app, &c->name);

    c->subscriptions = 0;
    c->users = 0;

    ngx_chat_zone_lock(zone);

    ch = ngx_chat_registry_find(zone, app, hash, &c->name);

    if (ch) {
        c->subscriptions = ch->subscriptions;
        c->users = ch->nmembers;
    }

    ngx_chat_zone_unlock(zone);
}


void
ngx_chat_registry_query_slots(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *name, uint64_t *slots)
{
    uint32_t                     hash;
    ngx_uint_t                   i;
    ngx_chat_channel_sh_t       *ch;
    ngx_chat_slot_channel_sh_t  *sc;

    hash = ngx_chat_registry_hash(zone, app, name);

    ngx_chat_zone_lock(zone);

    ch = ngx_chat_registry_find(zone, app, hash, name);

    if (ch) {

        for (sc = ch->slots; sc; sc = sc->next) {
            i = sc->slot - zone->sh->slots;

            /* nothing is delivered to those who were cut off */

            if (i < zone->sh->nslots) {
                slots[i / 64] |= (uint64_t) 1 << (i % 64);
            }
        }
    }

    ngx_chat_zone_unlock(zone);
}


ngx_int_t
ngx_chat_registry_query_list(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *prefix, ngx_uint_t *bucket, ngx_array_t *list, ngx_pool_t *pool)
{
    ngx_uint_t                        i, k, n, end, seen;
    ngx_chat_registry_query_t        *c;
    ngx_chat_registry_query_entry_t   entries[NGX_CHAT_REGISTRY_QUERY_BUCKET];

    seen = 0;
    end = ngx_min(zone->sh->mask + 1,
                  *bucket + NGX_CHAT_REGISTRY_QUERY_BUCKETS);

    for (i = *bucket; i < end; i++) {

        if (seen >= NGX_CHAT_REGISTRY_QUERY_CHANNELS) {
            break;
        }

        /* an empty bucket is seen without the lock: it is a single load */

        if (__atomic_load_n(&zone->sh->channels[i], __ATOMIC_RELAXED) == NULL) {
            continue;
        }

        ngx_chat_zone_lock(zone);

        n = ngx_chat_registry_query_bucket(zone->sh->channels[i], app, prefix,
                                           entries);

        ngx_chat_zone_unlock(zone);

        /* those of other apps, and without the prefix, are little work */
        seen += n;

        if (n == NGX_CHAT_REGISTRY_QUERY_BUCKET) {
            ngx_log_error(NGX_LOG_ALERT, pool->log, 0,
                          "chat bucket has too many channels");
            return NGX_ERROR;
        }

        for (k = 0; k < n; k++) {

            c = ngx_array_push(list);
            if (c == NULL) {
                return NGX_ERROR;
            }

            c->subscriptions = entries[k].subscriptions;
            c->users = entries[k].users;
            c->name.len = entries[k].len;
            c->name.data = ngx_pnalloc(pool, c->name.len);

            if (c->name.data == NULL) {
                return NGX_ERROR;
            }

            ngx_memcpy(c->name.data, entries[k].name, c->name.len);
        }
    }

    *bucket = i;

    return (i <= zone->sh->mask) ? NGX_AGAIN : NGX_OK;
}


ngx_int_t
ngx_chat_registry_query_members(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *name, ngx_str_t *members, ngx_pool_t *pool)
{
    return ngx_chat_registry_query_copy(zone, app, name, members, NULL, pool);
}


ngx_int_t
ngx_chat_registry_query_cached(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *name, ngx_str_t *event, ngx_uint_t *ttl, ngx_pool_t *pool)
{
    return ngx_chat_registry_query_copy(zone, app, name, event, ttl, pool);
}


static ngx_uint_t
ngx_chat_registry_query_bucket(ngx_chat_channel_sh_t *ch, uint64_t app,
    ngx_str_t *prefix, ngx_chat_registry_query_entry_t *entries)
{
    ngx_uint_t  n;

    n = 0;

    for ( /* void */ ;
         ch && n < NGX_CHAT_REGISTRY_QUERY_BUCKET;
         ch = ch->next)
    {

        if (ch->app != app
            || (ch->is_shared && ch->subscriptions == 0)
            || ch->name[0] == '#'
            || ch->len < prefix->len
            || (prefix->len
                && ngx_memcmp(ch->name, prefix->data, prefix->len) != 0))
        {
            continue;
        }

        entries[n].subscriptions = ch->subscriptions;
        entries[n].users = ch->nmembers;
        entries[n].len = ch->len;
        ngx_memcpy(entries[n].name, ch->name, ch->len);
        n++;
    }

    return n;
}


/* Copies the cached event, with its ttl, or where ttl is NULL the members. */

static ngx_int_t
ngx_chat_registry_query_copy(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *name, ngx_str_t *to, ngx_uint_t *ttl, ngx_pool_t *pool)
{
    size_t                  size;
    uint32_t                hash;
    ngx_int_t               rc;
    ngx_str_t               payload;
    ngx_chat_channel_sh_t  *ch;

    hash = ngx_chat_registry_hash(zone, app, name);
    rc = NGX_OK;
    size = 0;

    ngx_str_null(to);

    for ( ;; ) {
        ngx_chat_zone_lock(zone);

        if (ttl == NULL) {
            ch = ngx_chat_registry_find(zone, app, hash, name);
            to->len = ch ? ngx_chat_presence_list(zone, ch, to->data,
                                                  size) : 0;

        } else {
            rc = ngx_chat_cache_get(zone, app, hash, name, &payload, ttl);

            if (rc == NGX_OK) {
                to->len = payload.len;

                if (payload.len && payload.len <= size) {
                    ngx_memcpy(to->data, payload.data, payload.len);
                }
            }
        }

        ngx_chat_zone_unlock(zone);

        if (rc != NGX_OK || to->len <= size) {
            return rc;
        }

        size = to->len + to->len / 8 + NGX_CHAT_REGISTRY_QUERY_ROOM;

        to->data = ngx_palloc(pool, size);
        if (to->data == NULL) {
            return NGX_ERROR;
        }
    }
}
