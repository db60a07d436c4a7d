
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the registry knows of channels.
 *
 * Memory is never asked for under the lock: what is to be copied is measured
 * first, and measured again once there is room for it.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_cache.h>
#include <shared/ngx_chat_lookup.h>
#include <shared/ngx_chat_presence.h>
#include <shared/ngx_chat_registry.h>


#define NGX_CHAT_LOOKUP_STEP  16384    /* bytes of names in one go */
#define NGX_CHAT_LOOKUP_ROOM  1024     /* for what comes while memory is got */


/* Names on their way out of a bucket. */

typedef struct {
    uint64_t                app;
    ngx_str_t              *prefix;
    u_char                 *buf;
    size_t                  size;
    size_t                  len;       /* what it takes; more than size: buf
                                          holds a part */
} ngx_chat_lookup_bucket_t;


typedef struct {
    uint32_t                subscriptions;
    uint32_t                users;
    uint8_t                 len;
} ngx_chat_lookup_entry_t;


static void ngx_chat_lookup_bucket(ngx_chat_channel_sh_t *ch,
    ngx_chat_lookup_bucket_t  *b);
static ngx_int_t ngx_chat_lookup_take(ngx_chat_lookup_bucket_t *b,
    ngx_array_t *list);


void
ngx_chat_lookup_count(ngx_chat_zone_t *zone, uint64_t app,
    ngx_chat_lookup_t *c)
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
ngx_chat_lookup_slots(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *name,
    uint64_t *slots)
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
            slots[i / 64] |= (uint64_t) 1 << (i % 64);
        }
    }

    ngx_chat_zone_unlock(zone);
}


ngx_int_t
ngx_chat_lookup_list(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *prefix,
    ngx_array_t *list, ngx_pool_t *pool)
{
    ngx_uint_t                i;
    ngx_chat_lookup_bucket_t  b;

    b.app = app;
    b.prefix = prefix;
    b.buf = NULL;
    b.size = 0;

    for (i = 0; i <= zone->sh->mask; i++) {

        /* an empty one is seen without the lock: it is a single load */

        if (zone->sh->channels[i] == NULL) {
            continue;
        }

        for ( ;; ) {
            ngx_chat_zone_lock(zone);

            ngx_chat_lookup_bucket(zone->sh->channels[i], &b);

            ngx_chat_zone_unlock(zone);

            if (b.len <= b.size) {
                break;
            }

            /* the names point into the old one, which the pool keeps */

            b.size = ngx_max(NGX_CHAT_LOOKUP_STEP,
                             b.len + NGX_CHAT_LOOKUP_ROOM);

            b.buf = ngx_palloc(pool, b.size);
            if (b.buf == NULL) {
                return NGX_ERROR;
            }
        }

        if (ngx_chat_lookup_take(&b, list) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_lookup_members(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *name,
    ngx_str_t *members, ngx_pool_t *pool)
{
    size_t                  size;
    uint32_t                hash;
    ngx_chat_channel_sh_t  *ch;

    hash = ngx_chat_registry_hash(zone, app, name);
    size = 0;

    ngx_str_null(members);

    for ( ;; ) {
        members->len = 0;

        ngx_chat_zone_lock(zone);

        ch = ngx_chat_registry_find(zone, app, hash, name);

        if (ch) {
            members->len = ngx_chat_presence_list(ch, members->data, size);
        }

        ngx_chat_zone_unlock(zone);

        if (members->len <= size) {
            return NGX_OK;
        }

        size = members->len + members->len / 8 + NGX_CHAT_LOOKUP_ROOM;

        members->data = ngx_palloc(pool, size);
        if (members->data == NULL) {
            return NGX_ERROR;
        }
    }
}


ngx_int_t
ngx_chat_lookup_cached(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *name,
    ngx_str_t *event, ngx_uint_t *ttl, ngx_pool_t *pool)
{
    size_t      size;
    uint32_t    hash;
    ngx_int_t   rc;
    ngx_str_t   payload;

    hash = ngx_chat_registry_hash(zone, app, name);
    size = 0;

    ngx_str_null(event);

    for ( ;; ) {
        ngx_chat_zone_lock(zone);

        rc = ngx_chat_cache_get(zone, app, hash, name, &payload, ttl);

        if (rc == NGX_OK) {
            event->len = payload.len;

            if (payload.len && payload.len <= size) {
                ngx_memcpy(event->data, payload.data, payload.len);
            }
        }

        ngx_chat_zone_unlock(zone);

        if (rc != NGX_OK || event->len <= size) {
            return rc;
        }

        size = event->len + NGX_CHAT_LOOKUP_ROOM;

        event->data = ngx_palloc(pool, size);
        if (event->data == NULL) {
            return NGX_ERROR;
        }
    }
}


static void
ngx_chat_lookup_bucket(ngx_chat_channel_sh_t *ch, ngx_chat_lookup_bucket_t *b)
{
    u_char                   *p;
    size_t                    len;
    ngx_chat_lookup_entry_t   entry;

    b->len = 0;

    for ( /* void */ ; ch; ch = ch->next) {

        if (ch->app != b->app
            || ch->name[0] == '#'
            || ch->len < b->prefix->len
            || (b->prefix->len
                && ngx_memcmp(ch->name, b->prefix->data, b->prefix->len)
                   != 0))
        {
            continue;
        }

        len = sizeof(ngx_chat_lookup_entry_t) + ch->len;

        if (b->buf && b->len + len <= b->size) {
            entry.subscriptions = ch->subscriptions;
            entry.users = ch->nmembers;
            entry.len = ch->len;

            p = b->buf + b->len;
            p = ngx_cpymem(p, &entry, sizeof(ngx_chat_lookup_entry_t));
            ngx_memcpy(p, ch->name, ch->len);
        }

        b->len += len;
    }
}


/* Uses up as much of the buffer as the entries took. */

static ngx_int_t
ngx_chat_lookup_take(ngx_chat_lookup_bucket_t *b, ngx_array_t *list)
{
    u_char                   *p, *last;
    ngx_chat_lookup_t        *c;
    ngx_chat_lookup_entry_t   entry;

    p = b->buf;
    last = p + b->len;

    while (p < last) {
        ngx_memcpy(&entry, p, sizeof(ngx_chat_lookup_entry_t));
        p += sizeof(ngx_chat_lookup_entry_t);

        c = ngx_array_push(list);
        if (c == NULL) {
            return NGX_ERROR;
        }

        c->name.data = p;
        c->name.len = entry.len;
        c->subscriptions = entry.subscriptions;
        c->users = entry.users;

        p += entry.len;
    }

    b->buf = last;
    b->size -= b->len;

    return NGX_OK;
}
