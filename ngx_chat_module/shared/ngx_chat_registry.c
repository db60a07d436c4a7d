
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The registry of channels in the shared zone: a hash table of channels.
 *
 * A slot channel is one worker's count of subscriptions to a channel.  It is in
 * two lists: that of the channel, which is as short as the workers are few, and
 * that of the worker's slot, which may be long and is doubly linked.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <bus/ngx_chat_ring.h>
#include <bus/ngx_chat_wakeup.h>
#include <shared/ngx_chat_cache.h>
#include <shared/ngx_chat_presence.h>
#include <shared/ngx_chat_registry.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_REGISTRY_SMALL  100       /* up to this number each change
                                              is told */
#define NGX_CHAT_REGISTRY_PAUSE  5000      /* above, ms between two events */


static uint64_t ngx_chat_registry_lock(ngx_chat_zone_t *zone);
static void ngx_chat_registry_unlock(ngx_chat_zone_t *zone, uint64_t head);
static ngx_int_t ngx_chat_registry_subscribe(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_registry_join_t *j,
    ngx_chat_slot_channel_sh_t **slot_channel);
static ngx_int_t ngx_chat_registry_snapshot(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, ngx_chat_registry_join_t *j);
static ngx_int_t ngx_chat_registry_enter(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_channel_sh_t *ch,
    ngx_chat_registry_join_t *j);
static ngx_uint_t ngx_chat_registry_count(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch);
static ngx_chat_slot_channel_sh_t *ngx_chat_registry_add(
    ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_channel_sh_t *ch, ngx_chat_registry_join_t *j);
static void ngx_chat_registry_remove(ngx_chat_zone_t *zone,
    ngx_chat_slot_channel_sh_t *sc);
static ngx_chat_channel_sh_t *ngx_chat_registry_create(ngx_chat_zone_t *zone,
    ngx_chat_registry_join_t *j);
static void ngx_chat_registry_delete(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch);


ngx_int_t
ngx_chat_registry_join(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_registry_join_t *j, ngx_chat_slot_channel_sh_t **slot_channel)
{
    uint64_t   head;
    ngx_int_t  rc;

    rc = NGX_ABORT;

    head = ngx_chat_registry_lock(zone);

    if (!ngx_chat_zone_is_wiped(zone, slot)) {
        rc = ngx_chat_registry_subscribe(zone, slot, j, slot_channel);
    }

    ngx_chat_registry_unlock(zone, head);

    return rc;
}


ngx_uint_t
ngx_chat_registry_leave(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_slot_channel_sh_t **slot_channel,
    ngx_chat_slot_member_sh_t *slot_member)
{
    uint64_t                     head;
    ngx_uint_t                   due;
    ngx_chat_slot_channel_sh_t  *sc;

    due = 0;

    /* all of a worker's subscriptions leave then: without a lock for each */

    if (ngx_chat_zone_is_wiped(zone, slot)) {
        *slot_channel = NULL;
        return 0;
    }

    head = ngx_chat_registry_lock(zone);

    if (ngx_chat_zone_is_wiped(zone, slot)) {
        *slot_channel = NULL;
        goto done;
    }

    if (slot_member) {
        ngx_chat_presence_leave(zone, slot_member);
    }

    sc = *slot_channel;

    sc->subscriptions--;
    sc->channel->subscriptions--;

    if (sc->subscriptions == 0) {
        ngx_chat_registry_remove(zone, sc);
        *slot_channel = NULL;

    } else if (sc->channel->counting) {
        due = ngx_chat_registry_count(zone, sc->channel);
    }

done:

    ngx_chat_registry_unlock(zone, head);

    return due;
}


ngx_uint_t
ngx_chat_registry_tell(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_slot_channel_sh_t *slot_channel)
{
    uint64_t    head;
    ngx_uint_t  due;

    due = 0;

    head = ngx_chat_registry_lock(zone);

    if (!ngx_chat_zone_is_wiped(zone, slot)) {
        due = ngx_chat_registry_count(zone, slot_channel->channel);
    }

    ngx_chat_registry_unlock(zone, head);

    return due;
}


ngx_int_t
ngx_chat_registry_user(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_slot_member_sh_t *slot_member, ngx_str_t *user)
{
    ngx_int_t              rc;
    ngx_chat_member_sh_t  *m;

    rc = NGX_ABORT;

    ngx_chat_zone_lock(zone);

    if (!ngx_chat_zone_is_wiped(zone, slot)) {
        m = slot_member->member;

        user->len = ngx_min(m->entry.id_len, user->len);
        ngx_memcpy(user->data, m->entry.data, user->len);

        rc = NGX_OK;
    }

    ngx_chat_zone_unlock(zone);

    return rc;
}


ngx_int_t
ngx_chat_registry_clear(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_uint_t n)
{
    uint64_t      head;
    ngx_uint_t    left;
    ngx_queue_t  *q;

    head = ngx_chat_registry_lock(zone);

    while (n && !ngx_queue_empty(&slot->members)) {
        q = ngx_queue_head(&slot->members);

        ngx_chat_presence_remove(zone,
                       ngx_queue_data(q, ngx_chat_slot_member_sh_t, queue));
        n--;
    }

    while (n && !ngx_queue_empty(&slot->channels)) {
        q = ngx_queue_head(&slot->channels);

        ngx_chat_registry_remove(zone,
                       ngx_queue_data(q, ngx_chat_slot_channel_sh_t, queue));
        n--;
    }

    left = !ngx_queue_empty(&slot->members)
           || !ngx_queue_empty(&slot->channels);

    ngx_chat_failpoint("clear");

    ngx_chat_registry_unlock(zone, head);

    return left ? NGX_AGAIN : NGX_OK;
}


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
    return ngx_chat_registry_find(zone, app,
                                  ngx_chat_registry_hash(zone, app, name),
                                  name)
           != NULL;
}


uint32_t
ngx_chat_registry_hash(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *name)
{
    return (uint32_t) ngx_chat_hash(&zone->sh->key, name->data, name->len)
           ^ (uint32_t) (app * 2654435761u);
}


static uint64_t
ngx_chat_registry_lock(ngx_chat_zone_t *zone)
{
    ngx_chat_zone_lock(zone);

    return ngx_chat_ring_head(zone->sh->ring);
}


/* Wakes the workers where the change has appended events; most have not. */

static void
ngx_chat_registry_unlock(ngx_chat_zone_t *zone, uint64_t head)
{
    ngx_uint_t  appended;

    appended = (ngx_chat_ring_head(zone->sh->ring) != head);

    ngx_chat_zone_unlock(zone);

    if (appended) {
        ngx_chat_wakeup_rouse(&zone->wakeups->wakeups[0]);
    }
}


static ngx_int_t
ngx_chat_registry_subscribe(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_registry_join_t *j, ngx_chat_slot_channel_sh_t **slot_channel)
{
    ngx_int_t                    rc;
    ngx_chat_channel_sh_t       *ch;
    ngx_chat_slot_channel_sh_t  *sc;

    sc = *slot_channel;

    ch = sc ? sc->channel
            : ngx_chat_registry_find(zone, j->app, j->hash, j->name);

    rc = ngx_chat_registry_snapshot(zone, ch, j);

    if (rc != NGX_OK) {
        return rc;
    }

    if (sc == NULL) {
        sc = ngx_chat_registry_add(zone, slot, ch, j);

        if (sc == NULL) {
            return NGX_BUSY;
        }
    }

    ch = sc->channel;

    if (ngx_chat_registry_enter(zone, slot, ch, j) != NGX_OK) {

        if (sc->subscriptions == 0) {
            ngx_chat_registry_remove(zone, sc);
        }

        return NGX_BUSY;
    }

    sc->subscriptions++;
    ch->subscriptions++;

    *slot_channel = sc;

    j->start = ngx_chat_ring_head(zone->sh->ring);
    j->total = ch->subscriptions;

    ngx_chat_failpoint("subscribed");

    if (j->total == 1) {
        zone->handlers->occupied(zone, ch->app, j->name, 1);
    }

    j->due = ch->counting ? ngx_chat_registry_count(zone, ch) : 0;

    return NGX_OK;
}


/*
 * Copies the members and the cached event.  Refuses a join that has too many
 * members or too little memory, before anything is changed.
 */

static ngx_int_t
ngx_chat_registry_snapshot(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    ngx_chat_registry_join_t *j)
{
    ngx_str_t   payload;
    ngx_uint_t  ttl;

    j->need = 0;
    j->members_len = 0;
    j->nmembers = 0;
    j->cached_len = 0;

    if (j->user) {

        if (ch) {
            j->members_len = ngx_chat_presence_list(ch, j->buf, j->size);
            j->nmembers = ch->nmembers;

            if (j->members_max && j->nmembers >= j->members_max
                && ngx_chat_presence_find(zone, ch, j->user) == NULL)
            {
                return NGX_DONE;
            }
        }

        j->need = j->members_len + ngx_chat_presence_entry_size(j->user,
                                                                j->info);
    }

    if (j->cached
        && ngx_chat_cache_get(zone, j->app, j->hash, j->name, &payload, &ttl)
           == NGX_OK)
    {
        j->cached_len = payload.len;
        j->need += payload.len;

        /* at the end: the user's own entry may follow the members */

        if (j->need <= j->size) {
            ngx_memcpy(j->buf + j->size - payload.len, payload.data,
                       payload.len);
        }
    }

    return (j->need > j->size) ? NGX_AGAIN : NGX_OK;
}


/* Adds the user's socket; a new member is announced to the others. */

static ngx_int_t
ngx_chat_registry_enter(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_channel_sh_t *ch, ngx_chat_registry_join_t *j)
{
    size_t      len;
    ngx_uint_t  added;

    j->slot_member = NULL;

    if (j->user == NULL) {
        return NGX_OK;
    }

    j->slot_member = ngx_chat_presence_join(zone, slot, ch, j->user, j->info,
                                            &added);
    if (j->slot_member == NULL) {
        return NGX_ERROR;
    }

    if (added) {
        len = ngx_chat_presence_entry_size(j->user, j->info);

        ngx_memcpy(j->buf + j->members_len, &j->slot_member->member->entry,
                   len);

        j->members_len += len;
        j->nmembers++;

        (void) ngx_chat_ring_append(zone->sh->ring, j->added, NULL);
    }

    return NGX_OK;
}


/*
 * Tells the number of subscriptions: at once in small channels, else every few
 * seconds.  1: it has changed and is to be told later.
 */

static ngx_uint_t
ngx_chat_registry_count(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch)
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


/* Makes a slot channel, and where ch is NULL the channel, too. */

static ngx_chat_slot_channel_sh_t *
ngx_chat_registry_add(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_channel_sh_t *ch, ngx_chat_registry_join_t *j)
{
    ngx_chat_slot_channel_sh_t  *sc;

    sc = ngx_chat_arena_alloc(zone->sh->arena,
                              sizeof(ngx_chat_slot_channel_sh_t));
    if (sc == NULL) {
        return NULL;
    }

    if (ch == NULL) {
        ch = ngx_chat_registry_create(zone, j);

        if (ch == NULL) {
            ngx_chat_arena_free(zone->sh->arena, sc);
            return NULL;
        }
    }

    sc->slot = slot;
    sc->channel = ch;
    sc->subscriptions = 0;

    sc->next = ch->slots;
    ch->slots = sc;

    ngx_queue_insert_head(&slot->channels, &sc->queue);

    return sc;
}


/* Frees a slot channel, and with the last one the channel. */

static void
ngx_chat_registry_remove(ngx_chat_zone_t *zone,
    ngx_chat_slot_channel_sh_t *sc)
{
    ngx_chat_channel_sh_t        *ch;
    ngx_chat_slot_channel_sh_t  **next;

    ch = sc->channel;

    next = &ch->slots;

    while (*next != sc) {
        next = &(*next)->next;
    }

    *next = sc->next;

    ngx_queue_remove(&sc->queue);

    ch->subscriptions -= sc->subscriptions;

    ngx_chat_arena_free(zone->sh->arena, sc);

    if (ch->slots == NULL) {
        ngx_chat_registry_delete(zone, ch);

    } else if (ch->counting) {

        /* told at once: the worker that would tell it later may be gone */
        ch->counted = 0;
        (void) ngx_chat_registry_count(zone, ch);
    }
}


static ngx_chat_channel_sh_t *
ngx_chat_registry_create(ngx_chat_zone_t *zone, ngx_chat_registry_join_t *j)
{
    ngx_chat_channel_sh_t  *ch, **bucket;

    ch = ngx_chat_arena_alloc(zone->sh->arena,
                              sizeof(ngx_chat_channel_sh_t) + j->name->len);
    if (ch == NULL) {
        return NULL;
    }

    ngx_memzero(ch, sizeof(ngx_chat_channel_sh_t));

    ch->app = j->app;
    ch->hash = j->hash;
    ch->counting = j->counting;
    ch->len = (u_char) j->name->len;
    ngx_memcpy(ch->name, j->name->data, j->name->len);

    ngx_queue_init(&ch->members);

    bucket = &zone->sh->channels[j->hash & zone->sh->mask];

    ch->next = *bucket;
    *bucket = ch;

    ngx_chat_failpoint_spoil("channel spoiled", *bucket);

    zone->sh->nchannels++;

    return ch;
}


/* The last subscription is gone, and the last member with it. */

static void
ngx_chat_registry_delete(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch)
{
    ngx_str_t                name;
    ngx_chat_channel_sh_t  **next;

    name.data = ch->name;
    name.len = ch->len;

    zone->handlers->occupied(zone, ch->app, &name, 0);

    next = &zone->sh->channels[ch->hash & zone->sh->mask];

    while (*next != ch) {
        next = &(*next)->next;
    }

    *next = ch->next;

    zone->sh->nchannels--;

    ngx_chat_arena_free(zone->sh->arena, ch);
}
