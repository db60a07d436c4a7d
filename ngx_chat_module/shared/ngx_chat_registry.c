
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Subscriptions in the registry: join and leave.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <bus/ngx_chat_ring.h>
#include <bus/ngx_chat_wakeup.h>
#include <shared/ngx_chat_cache.h>
#include <shared/ngx_chat_futex.h>
#include <shared/ngx_chat_grace.h>
#include <shared/ngx_chat_index.h>
#include <shared/ngx_chat_presence.h>
#include <shared/ngx_chat_registry.h>
#include <shared/ngx_chat_share.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


/* s between two events that tell that nothing is cached */
#define NGX_CHAT_REGISTRY_MISSED  30


static ngx_uint_t ngx_chat_registry_take_changed(ngx_chat_zone_t *zone);
static ngx_int_t ngx_chat_registry_subscribe(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_registry_join_t *j,
    ngx_chat_slot_channel_sh_t **slot_channel);
static ngx_int_t ngx_chat_registry_snapshot(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, ngx_chat_registry_join_t *j);
static ngx_int_t ngx_chat_registry_enter(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_channel_sh_t *ch,
    ngx_chat_registry_join_t *j);
static void ngx_chat_registry_missed(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, ngx_str_t *name);


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

    if (rc == NGX_BUSY) {
        ngx_chat_share_find(zone->sh, j->app)->refused++;
    }

    ngx_chat_registry_unlock(zone, head);

    return rc;
}


ngx_uint_t
ngx_chat_registry_leave(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_slot_channel_sh_t **slot_channel,
    ngx_chat_slot_member_sh_t *slot_member, ngx_uint_t cut)
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

    sc = *slot_channel;

    if (slot_member) {

        if (cut && slot_member->sockets == 1) {
            ngx_chat_grace_keep_member(zone, slot_member);
        }

        ngx_chat_presence_leave(zone, slot_member);

    } else if (cut && sc->subscriptions == 1) {
        ngx_chat_grace_keep_user(zone, sc);
    }

    ngx_chat_registry_channel_count(zone, sc, -1);

    if (sc->subscriptions == 0) {
        ngx_chat_registry_channel_remove(zone, sc);
        *slot_channel = NULL;

    } else if (sc->channel->counting && !sc->channel->is_shared) {
        due = ngx_chat_registry_channel_tell(zone, sc->channel);
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
        due = ngx_chat_registry_channel_tell(zone, slot_channel->channel);
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
    uint64_t                     head;
    ngx_uint_t                   left;
    ngx_queue_t                 *q;
    ngx_chat_slot_member_sh_t   *sm;
    ngx_chat_slot_channel_sh_t  *sc;

    head = ngx_chat_registry_lock(zone);

    while (n && !ngx_queue_empty(&slot->members)) {
        q = ngx_queue_head(&slot->members);

        sm = ngx_queue_data(q, ngx_chat_slot_member_sh_t, queue);

        ngx_chat_grace_keep_member(zone, sm);
        ngx_chat_presence_remove(zone, sm);
        n--;
    }

    while (n && !ngx_queue_empty(&slot->channels)) {
        q = ngx_queue_head(&slot->channels);

        sc = ngx_queue_data(q, ngx_chat_slot_channel_sh_t, queue);

        ngx_chat_grace_keep_user(zone, sc);
        ngx_chat_registry_channel_remove(zone, sc);
        n--;
    }

    left = !ngx_queue_empty(&slot->members)
           || !ngx_queue_empty(&slot->channels);

    ngx_chat_failpoint("clear");

    ngx_chat_registry_unlock(zone, head);

    return left ? NGX_AGAIN : NGX_OK;
}


void
ngx_chat_registry_expire(ngx_chat_zone_t *zone, ngx_uint_t n)
{
    uint64_t  head;

    head = ngx_chat_registry_lock(zone);

    ngx_chat_grace_expire(zone, n);

    ngx_chat_registry_unlock(zone, head);
}


uint64_t
ngx_chat_registry_lock(ngx_chat_zone_t *zone)
{
    ngx_chat_zone_lock(zone);

    return ngx_chat_ring_head(zone->sh->ring);
}


/* Most changes append no events, and wake nobody. */

void
ngx_chat_registry_unlock(ngx_chat_zone_t *zone, uint64_t head)
{
    ngx_uint_t  appended, changed;

    appended = (ngx_chat_ring_head(zone->sh->ring) != head);

    changed = ngx_chat_registry_take_changed(zone);

    ngx_chat_zone_unlock(zone);

    if (appended) {
        ngx_chat_wakeup_rouse(&zone->wakeups->wakeups[0]);
    }

    if (changed) {
        ngx_chat_futex_turn(&zone->sh->nodes->turns);
    }
}


/* In a cluster: whether this node has something new to announce. */

static ngx_uint_t
ngx_chat_registry_take_changed(ngx_chat_zone_t *zone)
{
    ngx_uint_t  changed;

    if (zone->sh->nodes == NULL) {
        return 0;
    }

    changed = zone->sh->nodes->changed;
    zone->sh->nodes->changed = 0;

    return changed;
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
        sc = ngx_chat_registry_channel_add(zone, slot, ch, j->app, j->hash,
                                           j->name, j->counting);

        if (sc == NULL) {
            return NGX_BUSY;
        }
    }

    ch = sc->channel;

    if (ngx_chat_registry_enter(zone, slot, ch, j) != NGX_OK) {

        if (sc->subscriptions == 0) {
            ngx_chat_registry_channel_remove(zone, sc);
        }

        return NGX_BUSY;
    }

    ngx_chat_registry_channel_count(zone, sc, 1);

    *slot_channel = sc;

    j->start.position = ngx_chat_ring_head(zone->sh->ring);
    j->start.mark = ngx_chat_ring_mark(zone->sh->ring);

    if (j->summed) {
        j->total = ngx_chat_registry_channel_local(zone, ch);
        j->others = ngx_chat_registry_channel_others(zone, ch);
    }

    ngx_chat_failpoint("subscribed");

    if (ch->subscriptions == 1 && !ch->is_shared) {
        zone->handlers->occupied(zone, ch->app, j->name, 1);
    }

    if (j->is_new) {
        zone->handlers->joined(zone, ch->app, j->name, j->user);
    }

    if (j->cached && j->cached_len == 0) {
        ngx_chat_registry_missed(zone, ch, j->name);
    }

    ngx_chat_grace_end_user(zone, ch);

    j->due = (ch->counting && !ch->is_shared)
             ? ngx_chat_registry_channel_tell(zone, ch) : 0;

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
            j->members_len = j->claim
                             ? 0 : ngx_chat_presence_list(zone, ch, j->buf,
                                                          j->size);
            j->nmembers = ch->nmembers;

            if (j->members_max && j->nmembers >= j->members_max
                && !ngx_chat_presence_has(zone, ch, j->user))
            {
                return NGX_DONE;
            }
        }

        j->need = j->claim ? 0 : j->members_len
                  + ngx_chat_presence_entry_size(j->user, j->info);
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
    j->is_new = 0;

    if (j->user == NULL) {
        return NGX_OK;
    }

    j->slot_member = ngx_chat_presence_join(zone, slot, ch, j->user, j->info,
                                            &added);
    if (j->slot_member == NULL) {
        return NGX_ERROR;
    }

    ngx_chat_grace_end_member(zone, j->slot_member->member);

    if (added) {
        len = ngx_chat_presence_entry_size(j->user, j->info);

        ngx_memcpy(j->buf + j->members_len, &j->slot_member->member->entry,
                   len);

        j->members_len += len;
        j->nmembers++;
        j->is_new = 1;

        j->added->hash = j->hash;
        (void) ngx_chat_index_append(zone, j->added, NULL);
    }

    return NGX_OK;
}


/*
 * Tells once of many subscribers that nothing is cached: again when there was
 * something in between, and after a while, since whoever was told may not have
 * been able to fill the cache.  With the channel's end it is forgotten.
 */

static void
ngx_chat_registry_missed(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    ngx_str_t *name)
{
    uint32_t  now;

    now = (uint32_t) (ngx_chat_clock_msec() / 1000) + 1;

    if (ch->missed && now - ch->missed < NGX_CHAT_REGISTRY_MISSED) {
        return;
    }

    ch->missed = now;

    zone->handlers->missed(zone, ch->app, name);
}


void
ngx_chat_registry_filled(ngx_chat_zone_t *zone, uint64_t app, uint32_t hash,
    ngx_str_t *name)
{
    ngx_chat_channel_sh_t  *ch;

    ch = ngx_chat_registry_find(zone, app, hash, name);

    if (ch != NULL) {
        ch->missed = 0;
    }
}
