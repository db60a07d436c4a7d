
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A worker that does at random what workers do to the shared zone: leases a
 * slot, joins and leaves channels, publishes, keeps events, reads the ring,
 * clears up after the dead.  t/tsan/ runs many of them as threads,
 * unit/shared/workers_test.c as processes that get killed.
 */


#ifndef _NGX_CHAT_UNIT_WORKERS_H_INCLUDED_
#define _NGX_CHAT_UNIT_WORKERS_H_INCLUDED_


#include "unit.h"
#include "shared/zone.h"

#include <bus/ngx_chat_ring.h>
#include <bus/ngx_chat_wakeup.h>
#include <shared/ngx_chat_cache.h>
#include <shared/ngx_chat_index.h>
#include <shared/ngx_chat_presence.h>
#include <shared/ngx_chat_registry.h>


#define BUS_CHANNELS       7
#define BUS_USERS          5
#define BUS_SUBSCRIPTIONS  24


typedef struct {
    ngx_uint_t                   channel;
    ngx_chat_slot_member_sh_t   *member;
} bus_subscription_t;


typedef struct {
    ngx_chat_zone_t             *zone;
    ngx_chat_slot_sh_t          *slot;
    uint32_t                     seed;
    uint64_t                     position;     /* in the ring */
    uint64_t                     last;         /* message seen there */
    ngx_uint_t                   lost;         /* some were, since */
    ngx_uint_t                   overruns;
    ngx_uint_t                   received;
    ngx_uint_t                   slow;         /* reads one at a time */
    const char                  *error;

    ngx_chat_slot_channel_sh_t  *channels[BUS_CHANNELS];
    bus_subscription_t           subscriptions[BUS_SUBSCRIPTIONS];
    ngx_uint_t                   n;
} bus_worker_t;


static ngx_inline ngx_uint_t
bus_random(bus_worker_t *w, ngx_uint_t n)
{
    w->seed = w->seed * 1664525 + 1013904223;

    return (w->seed >> 8) % n;
}


static ngx_inline uint64_t
bus_app(ngx_uint_t channel)
{
    return 1 + channel % 2;
}


static ngx_inline ngx_str_t
bus_name(char *buf, const char *what, ngx_uint_t n)
{
    ngx_str_t  s;

    s.data = (u_char *) buf;
    s.len = sprintf(buf, "%s-%lu", what, (unsigned long) n);

    return s;
}


/* What the zone tells of a change: an event, in the same turn. */
static ngx_inline void
bus_append(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *channel,
    uint64_t message, size_t len)
{
    u_char               payload[600];
    ngx_chat_envelope_t  e;

    memset(&e, 0, sizeof(ngx_chat_envelope_t));
    memset(payload, (int) (len & 0x7f), len);

    e.type = NGX_CHAT_ENVELOPE_EVENT_e;
    e.app = app;
    e.message = message;
    e.channel = *channel;
    e.payload.data = payload;
    e.payload.len = len;

    e.hash = ngx_chat_registry_hash(zone, app, channel);

    if (ngx_chat_index_append(zone, &e, NULL) != NGX_OK) {
        abort();
    }
}


static void
bus_removed(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *channel,
    ngx_str_t *user)
{
    bus_append(zone, app, channel, 0, user->len);
}


static void
bus_occupied(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *channel,
    ngx_uint_t on)
{
    bus_append(zone, app, channel, 0, 10 + on);
}


static void
bus_counted(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *channel,
    ngx_uint_t n)
{
    bus_append(zone, app, channel, 0, n % 600);
}


static void
bus_joined(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *channel,
    ngx_str_t *user)
{
    (void) zone;
    (void) app;
    (void) channel;
    (void) user;
}


static void
bus_added(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *channel,
    ngx_str_t *user, ngx_str_t *info)
{
    (void) zone;
    (void) app;
    (void) channel;
    (void) user;
    (void) info;
}


static void
bus_missed(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *channel)
{
    (void) zone;
    (void) app;
    (void) channel;
}


static ngx_chat_zone_handlers_t  workers_handlers = {
    bus_removed,
    bus_occupied,
    bus_counted,
    bus_joined,
    bus_added,
    bus_missed
};


/* All that it had is gone: as the hub does, it gives nothing back. */
static ngx_inline void
bus_wiped(bus_worker_t *w)
{
    w->n = 0;
    memset(w->channels, 0, sizeof(w->channels));

    ngx_chat_slot_renew(w->zone, w->slot);
}


static ngx_inline void
bus_join(bus_worker_t *w)
{
    char                       name[32], user[32];
    u_char                     buf[8192];
    ngx_str_t                  channel, id, info;
    ngx_int_t                  rc;
    ngx_uint_t                 k;
    ngx_chat_envelope_t        added;
    ngx_chat_registry_join_t   j;

    if (w->n == BUS_SUBSCRIPTIONS) {
        return;
    }

    k = bus_random(w, BUS_CHANNELS);
    channel = bus_name(name, "channel", k);
    id = bus_name(user, "user", bus_random(w, BUS_USERS));
    ngx_str_set(&info, "{\"name\":\"somebody\"}");

    memset(&j, 0, sizeof(ngx_chat_registry_join_t));
    memset(&added, 0, sizeof(ngx_chat_envelope_t));

    j.app = bus_app(k);
    j.name = &channel;
    j.hash = ngx_chat_registry_hash(w->zone, j.app, &channel);
    j.counting = k & 1;
    j.cached = (k == 2);
    j.buf = buf;
    j.size = sizeof(buf);

    if (k % 3 == 0) {
        added.type = NGX_CHAT_ENVELOPE_EVENT_e;
        added.app = j.app;
        added.channel = channel;
        ngx_str_set(&added.payload, "aaaaaaaa");

        j.user = &id;
        j.info = &info;
        j.added = &added;
    }

    rc = ngx_chat_registry_join(w->zone, w->slot, &j, &w->channels[k]);

    if (rc == NGX_ABORT) {
        bus_wiped(w);
        return;
    }

    if (rc != NGX_OK) {
        w->error = "could not join a channel";
        return;
    }

    if (j.user && (j.nmembers == 0 || j.members_len == 0)) {
        w->error = "a member does not see itself";
    }

    w->subscriptions[w->n].channel = k;
    w->subscriptions[w->n].member = j.slot_member;
    w->n++;
}


static ngx_inline void
bus_leave(bus_worker_t *w)
{
    ngx_uint_t           i;
    bus_subscription_t  *s;

    if (w->n == 0) {
        return;
    }

    i = bus_random(w, w->n);
    s = &w->subscriptions[i];

    (void) ngx_chat_registry_leave(w->zone, w->slot, &w->channels[s->channel],
                                   s->member, 0);

    *s = w->subscriptions[--w->n];
}


/* Messages are numbered by the ring's mark, as the store's are. */
static ngx_inline void
bus_publish(bus_worker_t *w)
{
    char        name[32];
    uint64_t    message;
    ngx_str_t   channel, payload;
    ngx_uint_t  k;

    k = bus_random(w, BUS_CHANNELS);
    channel = bus_name(name, "channel", k);

    ngx_chat_zone_lock(w->zone);

    message = ngx_chat_ring_mark(w->zone->sh->ring) + 1;
    bus_append(w->zone, bus_app(k), &channel, message, bus_random(w, 600));

    if (k == 2) {
        ngx_str_set(&payload, "{\"event\":\"e\",\"data\":\"kept\"}");
        ngx_chat_cache_set(w->zone, bus_app(k),
                           ngx_chat_registry_hash(w->zone, bus_app(k),
                                                  &channel),
                           &channel, &payload, 60);
    }

    ngx_chat_zone_unlock(w->zone);

    ngx_chat_wakeup_rouse(&w->zone->wakeups->wakeups[0]);
}


static ngx_inline void
bus_received(bus_worker_t *w, u_char *buf, size_t len)
{
    size_t               i;
    ngx_chat_envelope_t  e;

    if (ngx_chat_envelope_unpack(&e, buf, len) != NGX_OK) {
        w->error = "a record is broken";
        return;
    }

    for (i = 1; i < e.payload.len; i++) {
        if (e.payload.data[i] != e.payload.data[0]) {
            w->error = "a record is mixed of two";
        }
    }

    w->received++;

    if (e.message == 0) {
        return;
    }

    if (w->lost ? e.message <= w->last
                : (w->last && e.message != w->last + 1))
    {
        w->error = "a message is missing, or comes twice";
    }

    w->last = e.message;
    w->lost = 0;
}


static ngx_inline void
bus_read(bus_worker_t *w)
{
    size_t      len;
    u_char      buf[2048];
    uint64_t    at;
    ngx_int_t   rc;

    ngx_chat_wakeup_clear(&w->zone->wakeups->wakeups[0]);

    do {
        rc = ngx_chat_ring_read(w->zone->sh->ring, &w->position, &at, buf,
                                sizeof(buf), &len);

        if (rc == NGX_OK) {
            bus_received(w, buf, len);

        } else if (rc == NGX_DECLINED) {
            w->lost = 1;
            w->overruns++;

        } else if (rc == NGX_AGAIN) {
            w->error = "a record is longer than any";
        }

    } while ((rc == NGX_OK && !w->slow) || rc == NGX_DECLINED);
}


/* w is zeroed before the first time; what it counts goes on. */
static ngx_inline void
bus_start(bus_worker_t *w, ngx_chat_zone_t *zone, uint32_t seed)
{
    w->zone = zone;
    w->seed = seed;
    w->n = 0;
    w->last = 0;
    memset(w->channels, 0, sizeof(w->channels));
    w->slow = seed & 1;
    w->lost = 1;
    w->slot = ngx_chat_slot_lease(zone, &unit_log);

    if (w->slot == NULL) {
        w->error = "no slot is free";
        return;
    }

    w->position = w->slot->position;
}


static ngx_inline void
bus_step(bus_worker_t *w)
{
    switch (bus_random(w, 12)) {

    case 0:
    case 1:
    case 2:
        bus_join(w);
        break;

    case 3:
    case 4:
    case 5:
        bus_leave(w);
        break;

    case 6:
    case 7:
        bus_publish(w);
        break;

    case 8:
        if (bus_random(w, 50) == 0) {
            (void) ngx_chat_slot_reap(w->zone, &unit_log);
        }

        break;

    default:
        bus_read(w);
    }
}


/* What all have left: nothing, or it could not be given back. */
static ngx_inline ngx_uint_t
bus_is_clean(ngx_chat_zone_t *zone, size_t base)
{
    ngx_uint_t           i, ok;
    ngx_chat_zone_sh_t  *sh;

    sh = zone->sh;

    ok = CHECK_INT(unit_zone_pieces(sh),
                   base + sh->kept[NGX_CHAT_CACHE_EVENTS_e].used);

    for (i = 0; i <= sh->mask; i++) {
        ok = ok && CHECK(sh->channels[i] == NULL)
             && CHECK(sh->members[i] == NULL);
    }

    for (i = 0; i < sh->nslots; i++) {
        ok = ok && CHECK(ngx_queue_empty(&sh->slots[i].channels))
             && CHECK(ngx_queue_empty(&sh->slots[i].members));
    }

    return ok;
}


#endif /* _NGX_CHAT_UNIT_WORKERS_H_INCLUDED_ */
