
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Presence grace.  Each slot's list is in the order in which its members or
 * users were cut off.  That is the order in which they are to go, but for those
 * of before a reload that has changed the time.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_name.h>
#include <shared/ngx_chat_grace.h>
#include <shared/ngx_chat_presence.h>
#include <shared/ngx_chat_registry_channel.h>
#include <wire/ngx_chat_clock.h>


static ngx_chat_slot_channel_sh_t *ngx_chat_grace_hold(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, ngx_chat_slot_sh_t *slot);
static void ngx_chat_grace_release(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, ngx_chat_slot_sh_t *slot);
static ngx_uint_t ngx_chat_grace_is_last(ngx_chat_zone_t *zone,
    ngx_chat_slot_member_sh_t *sm);
static ngx_uint_t ngx_chat_grace_is_user(ngx_chat_channel_sh_t *ch);


#define ngx_chat_grace_members(zone)                                          \
    (&(zone)->sh->slots[(zone)->sh->nslots])

#define ngx_chat_grace_users(zone)                                            \
    (&(zone)->sh->slots[(zone)->sh->nslots + 1])


void
ngx_chat_grace_keep_member(ngx_chat_zone_t *zone, ngx_chat_slot_member_sh_t *sm)
{
    ngx_str_t                   user, info;
    ngx_uint_t                  added;
    ngx_chat_slot_sh_t         *slot;
    ngx_chat_member_sh_t       *m;
    ngx_chat_channel_sh_t      *ch;
    ngx_chat_slot_member_sh_t  *held;

    m = sm->member;
    ch = m->channel;

    if (zone->grace == 0 || !ngx_chat_grace_is_last(zone, sm)) {
        return;
    }

    slot = ngx_chat_grace_members(zone);

    if (ngx_chat_grace_hold(zone, ch, slot) == NULL) {
        return;
    }

    user.data = m->entry.data;
    user.len = m->entry.id_len;
    ngx_str_null(&info);

    held = ngx_chat_presence_join(zone, slot, ch, &user, &info, &added);

    if (held == NULL) {
        ngx_chat_grace_release(zone, ch, slot);
        return;
    }

    held->expires = ngx_chat_clock_msec() + zone->grace;

    ngx_queue_remove(&held->queue);
    ngx_queue_insert_tail(&slot->members, &held->queue);

    zone->sh->ngrace++;
}


void
ngx_chat_grace_keep_user(ngx_chat_zone_t *zone, ngx_chat_slot_channel_sh_t *sc)
{
    ngx_chat_slot_sh_t          *slot;
    ngx_chat_channel_sh_t       *ch;
    ngx_chat_slot_channel_sh_t  *held;

    ch = sc->channel;

    if (zone->grace == 0
        || ngx_chat_registry_channel_local(zone, ch) != sc->subscriptions
        || !ngx_chat_grace_is_user(ch))
    {
        return;
    }

    slot = ngx_chat_grace_users(zone);
    held = ngx_chat_grace_hold(zone, ch, slot);

    if (held != NULL) {
        held->expires = ngx_chat_clock_msec() + zone->grace;

        ngx_queue_remove(&held->queue);
        ngx_queue_insert_tail(&slot->channels, &held->queue);
    }
}


void
ngx_chat_grace_end_member(ngx_chat_zone_t *zone, ngx_chat_member_sh_t *m)
{
    ngx_chat_slot_sh_t         *slot;
    ngx_chat_channel_sh_t      *ch;
    ngx_chat_slot_member_sh_t  *sm;

    slot = ngx_chat_grace_members(zone);
    ch = m->channel;
    sm = ngx_chat_presence_of(m, slot);

    if (sm == NULL) {
        return;
    }

    /* with its last slot the member is freed */

    ngx_chat_presence_remove(zone, sm);
    ngx_chat_grace_release(zone, ch, slot);

    zone->sh->ngrace--;
}


void
ngx_chat_grace_end_user(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch)
{
    if (ngx_chat_grace_is_user(ch)
        && ngx_chat_registry_channel_of(ch, ngx_chat_grace_users(zone))
           != NULL)
    {
        ngx_chat_grace_release(zone, ch, ngx_chat_grace_users(zone));
    }
}


void
ngx_chat_grace_expire(ngx_chat_zone_t *zone, ngx_uint_t n)
{
    uint64_t                     now;
    ngx_uint_t                   i;
    ngx_queue_t                 *q, *next, *members, *channels;
    ngx_chat_slot_member_sh_t   *sm;
    ngx_chat_slot_channel_sh_t  *sc;

    now = ngx_chat_clock_msec();

    members = &ngx_chat_grace_members(zone)->members;
    channels = &ngx_chat_grace_users(zone)->channels;

    for (i = 0, q = ngx_queue_head(members);
         i < n && q != ngx_queue_sentinel(members);
         i++, q = next)
    {
        next = ngx_queue_next(q);
        sm = ngx_queue_data(q, ngx_chat_slot_member_sh_t, queue);

        if (sm->expires <= now) {
            ngx_chat_grace_end_member(zone, sm->member);
        }
    }

    for (i = 0, q = ngx_queue_head(channels);
         i < n && q != ngx_queue_sentinel(channels);
         i++, q = next)
    {
        next = ngx_queue_next(q);
        sc = ngx_queue_data(q, ngx_chat_slot_channel_sh_t, queue);

        if (sc->expires <= now) {
            ngx_chat_grace_end_user(zone, sc->channel);
        }
    }
}


/* One more subscription of the slot.  NULL: the zone is full. */

static ngx_chat_slot_channel_sh_t *
ngx_chat_grace_hold(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    ngx_chat_slot_sh_t *slot)
{
    ngx_chat_slot_channel_sh_t  *sc;

    sc = ngx_chat_registry_channel_of(ch, slot);

    if (sc == NULL) {
        sc = ngx_chat_registry_channel_add(zone, slot, ch, 0, 0, NULL, 0);

        if (sc == NULL) {
            return NULL;
        }
    }

    ngx_chat_registry_channel_count(zone, sc, 1);

    return sc;
}


static void
ngx_chat_grace_release(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    ngx_chat_slot_sh_t *slot)
{
    ngx_chat_slot_channel_sh_t  *sc;

    sc = ngx_chat_registry_channel_of(ch, slot);

    ngx_chat_registry_channel_count(zone, sc, -1);

    if (sc->subscriptions == 0) {
        ngx_chat_registry_channel_remove(zone, sc);
    }
}


/* Whether no other worker of this node has the member. */

static ngx_uint_t
ngx_chat_grace_is_last(ngx_chat_zone_t *zone, ngx_chat_slot_member_sh_t *sm)
{
    ngx_chat_slot_member_sh_t  *other;

    for (other = sm->member->slots; other; other = other->next) {

        if (other != sm && !ngx_chat_zone_is_node(zone->sh, other->slot)) {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_chat_grace_is_user(ngx_chat_channel_sh_t *ch)
{
    size_t  len;

    len = sizeof(NGX_CHAT_NAME_USER) - 1;

    return ch->len > len
           && ngx_memcmp(ch->name, NGX_CHAT_NAME_USER, len) == 0;
}
