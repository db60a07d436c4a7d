
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The channels of the registry: a hash table.
 *
 * A slot channel is one worker's count of subscriptions to a channel.  It is in
 * two lists: that of the channel, which is as short as the workers are few, and
 * that of the worker's slot, which may be long and is doubly linked.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_name.h>
#include <shared/ngx_chat_registry_channel.h>
#include <shared/ngx_chat_share.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_REGISTRY_SMALL  100       /* up to this number each change
                                              is told */
#define NGX_CHAT_REGISTRY_PAUSE  5000      /* above, ms between two events */


static ngx_chat_channel_sh_t *ngx_chat_registry_channel_create(
    ngx_chat_zone_t *zone, ngx_chat_share_sh_t *share, uint64_t app,
    uint32_t hash, ngx_str_t *name, ngx_uint_t counting);
static void ngx_chat_registry_channel_delete(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch);
static void ngx_chat_registry_changed(ngx_chat_zone_t *zone, uint64_t *bits,
    uint32_t hash);
static ngx_uint_t ngx_chat_registry_shares(ngx_str_t *name);
static ngx_uint_t ngx_chat_registry_channel_shows(ngx_chat_channel_sh_t *ch);


ngx_chat_channel_sh_t *
ngx_chat_registry_find(ngx_chat_zone_t *zone, uint64_t app, uint32_t hash,
    ngx_str_t *name)
{
    ngx_chat_channel_sh_t  *ch;

    for (ch = zone->sh->channels[hash & zone->sh->mask]; ch; ch = ch->next) {

        if (ch->hash == hash
            && ch->app == app
            && ch->len == name->len
            && ngx_memcmp(ch->name, name->data, name->len) == 0)
        {
            return ch;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_chat_registry_has(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *name)
{
    ngx_chat_channel_sh_t  *ch;

    ch = ngx_chat_registry_find(zone, app,
                                ngx_chat_registry_hash(zone, app, name), name);

    return ch && (!ch->is_shared || ch->subscriptions);
}


ngx_chat_slot_channel_sh_t *
ngx_chat_registry_channel_of(ngx_chat_channel_sh_t *ch,
    ngx_chat_slot_sh_t *slot)
{
    ngx_chat_slot_channel_sh_t  *sc;

    for (sc = ch->slots; sc; sc = sc->next) {

        if (sc->slot == slot) {
            return sc;
        }
    }

    return NULL;
}


void
ngx_chat_registry_channel_count(ngx_chat_zone_t *zone,
    ngx_chat_slot_channel_sh_t *sc, ngx_int_t n)
{
    ngx_chat_channel_sh_t  *ch;

    ch = sc->channel;

    sc->subscriptions += n;

    if (ch->is_shared) {
        ngx_chat_registry_channel_changed(zone, ch);

    } else {
        ch->subscriptions += n;
    }
}


ngx_uint_t
ngx_chat_registry_channel_local(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch)
{
    ngx_uint_t                   n;
    ngx_chat_slot_channel_sh_t  *sc;

    if (!ch->is_shared) {
        return ch->subscriptions;
    }

    n = 0;

    for (sc = ch->slots; sc; sc = sc->next) {

        if (!ngx_chat_zone_is_node(zone->sh, sc->slot)) {
            n += sc->subscriptions;
        }
    }

    return n;
}


ngx_uint_t
ngx_chat_registry_channel_others(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch)
{
    ngx_uint_t                   n;
    ngx_chat_slot_sh_t          *nodes;
    ngx_chat_nodes_sh_t         *sh;
    ngx_chat_slot_channel_sh_t  *sc;

    if (!ch->is_shared) {
        return 0;
    }

    sh = zone->sh->nodes;
    nodes = ngx_chat_zone_node(zone->sh, 0);
    n = 0;

    for (sc = ch->slots; sc; sc = sc->next) {

        if (ngx_chat_zone_is_node(zone->sh, sc->slot)
            && sh->incarnations[sc->slot - nodes] != sh->self)
        {
            n += sc->subscriptions;
        }
    }

    return n;
}


void
ngx_chat_registry_channel_changed(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch)
{
    ngx_chat_registry_changed(zone, zone->sh->nodes->channels, ch->hash);
}


void
ngx_chat_registry_member_changed(ngx_chat_zone_t *zone, ngx_chat_member_sh_t *m)
{
    ngx_chat_registry_changed(zone, zone->sh->nodes->members, m->hash);
}


static void
ngx_chat_registry_changed(ngx_chat_zone_t *zone, uint64_t *bits, uint32_t hash)
{
    ngx_uint_t  bucket;

    bucket = hash & zone->sh->mask;

    bits[bucket / 64] |= (uint64_t) 1 << (bucket % 64);
    zone->sh->nodes->changed = 1;
}


uint32_t
ngx_chat_registry_hash(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *name)
{
    return (uint32_t) ngx_chat_hash(&zone->sh->key, name->data, name->len)
           ^ (uint32_t) (app * 2654435761u);
}


ngx_uint_t
ngx_chat_registry_channel_tell(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch)
{
    uint64_t   now;
    ngx_str_t  name;

    if (ch->subscriptions == ch->told) {
        return 0;
    }

    now = ngx_chat_clock_msec();

    if (ch->subscriptions > NGX_CHAT_REGISTRY_SMALL
        && ch->counted != 0
        && now - ch->counted < NGX_CHAT_REGISTRY_PAUSE)
    {
        return 1;
    }

    ch->counted = now;
    ch->told = ch->subscriptions;

    name.data = ch->name;
    name.len = ch->len;

    zone->handlers->counted(zone, ch->app, &name, ch->subscriptions);

    return 0;
}


ngx_chat_slot_channel_sh_t *
ngx_chat_registry_channel_add(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_channel_sh_t *ch, uint64_t app, uint32_t hash, ngx_str_t *name,
    ngx_uint_t counting)
{
    ngx_chat_share_sh_t         *share;
    ngx_chat_slot_channel_sh_t  *sc;

    share = ch ? &zone->sh->shares[ch->share]
               : ngx_chat_share_find(zone->sh, app);

    sc = ngx_chat_share_alloc(zone->sh, share,
                              sizeof(ngx_chat_slot_channel_sh_t));
    if (sc == NULL) {
        return NULL;
    }

    if (ch == NULL) {
        ch = ngx_chat_registry_channel_create(zone, share, app, hash, name,
                                              counting);

        if (ch == NULL) {
            ngx_chat_share_free(zone->sh, share, sc);
            return NULL;
        }
    }

    sc->slot = slot;
    sc->channel = ch;
    sc->subscriptions = 0;
    sc->members = 0;

    sc->next = ch->slots;
    ch->slots = sc;

    ngx_queue_insert_head(&slot->channels, &sc->queue);

    return sc;
}


void
ngx_chat_registry_channel_remove(ngx_chat_zone_t *zone,
    ngx_chat_slot_channel_sh_t *sc)
{
    ngx_uint_t                    seen;
    ngx_chat_channel_sh_t        *ch;
    ngx_chat_slot_channel_sh_t  **next;

    ch = sc->channel;

    next = &ch->slots;

    while (*next != sc) {
        next = &(*next)->next;
    }

    *next = sc->next;

    ngx_queue_remove(&sc->queue);

    seen = ngx_chat_registry_sees(zone, ch, sc->slot);

    if (seen) {
        ch->subscriptions -= sc->subscriptions;

    } else {
        ngx_chat_registry_channel_changed(zone, ch);
    }

    ngx_chat_share_free(zone->sh, &zone->sh->shares[ch->share], sc);

    if (ch->slots == NULL) {
        ngx_chat_registry_channel_delete(zone, ch);

    } else if (ch->counting && !ch->is_shared) {

        /* told at once: the worker that would tell it later may be gone */
        ch->counted = 0;
        (void) ngx_chat_registry_channel_tell(zone, ch);
    }
}


static ngx_chat_channel_sh_t *
ngx_chat_registry_channel_create(ngx_chat_zone_t *zone,
    ngx_chat_share_sh_t *share, uint64_t app, uint32_t hash, ngx_str_t *name,
    ngx_uint_t counting)
{
    ngx_chat_channel_sh_t  *ch, **bucket;

    ch = ngx_chat_share_alloc(zone->sh, share,
                              sizeof(ngx_chat_channel_sh_t) + name->len);
    if (ch == NULL) {
        return NULL;
    }

    ngx_memzero(ch, sizeof(ngx_chat_channel_sh_t));

    ch->app = app;
    ch->hash = hash;
    ch->share = ngx_chat_share_index(zone->sh, share);
    ch->counting = counting;
    ch->is_shared = (zone->sh->nnodes && ngx_chat_registry_shares(name));
    ch->len = (u_char) name->len;
    ngx_memcpy(ch->name, name->data, name->len);

    ngx_queue_init(&ch->members);

    bucket = &zone->sh->channels[hash & zone->sh->mask];

    ch->next = *bucket;
    *bucket = ch;

    ngx_chat_failpoint_spoil("channel spoiled", *bucket);

    zone->sh->nchannels += ngx_chat_registry_channel_shows(ch);

    return ch;
}


/* The last subscription is gone, and the last member with it. */

static void
ngx_chat_registry_channel_delete(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch)
{
    ngx_str_t                name;
    ngx_chat_channel_sh_t  **next;

    name.data = ch->name;
    name.len = ch->len;

    /* of a shared one that was told when the last node had none */

    if (!ch->is_shared) {
        zone->handlers->occupied(zone, ch->app, &name, 0);
    }

    next = &zone->sh->channels[ch->hash & zone->sh->mask];

    while (*next != ch) {
        next = &(*next)->next;
    }

    *next = ch->next;

    zone->sh->nchannels -= ngx_chat_registry_channel_shows(ch);

    ngx_chat_share_free(zone->sh, &zone->sh->shares[ch->share], ch);
}


/* All but names of our own are the cluster's, and who is online, and how many
   connections an app has. */

static ngx_uint_t
ngx_chat_registry_shares(ngx_str_t *name)
{
    size_t  len;

    static ngx_str_t  connections = ngx_string(NGX_CHAT_NAME_CONNECTIONS);

    len = sizeof(NGX_CHAT_NAME_USER) - 1;

    return name->data[0] != '#'
           || (name->len > len
               && ngx_memcmp(name->data, NGX_CHAT_NAME_USER, len) == 0)
           || (name->len == connections.len
               && ngx_memcmp(name->data, connections.data, name->len) == 0);
}


/* Where a session lives is no channel: a client has one, and no other. */

static ngx_uint_t
ngx_chat_registry_channel_shows(ngx_chat_channel_sh_t *ch)
{
    size_t  len;

    len = sizeof(NGX_CHAT_NAME_FALLBACK) - 1;

    return ch->len < len
           || ngx_memcmp(ch->name, NGX_CHAT_NAME_FALLBACK, len) != 0;
}
