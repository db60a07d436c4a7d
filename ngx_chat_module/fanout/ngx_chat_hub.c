
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The hub keeps this worker's channels and the registry of all workers in
 * step: a channel of this worker has a slot channel in the registry as long
 * as it has subscriptions.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <bus/ngx_chat_ring.h>
#include <bus/ngx_chat_wakeup.h>
#include <fanout/ngx_chat_fanout.h>
#include <fanout/ngx_chat_hub.h>
#include <pusher/ngx_chat_name.h>
#include <shared/ngx_chat_cache.h>
#include <shared/ngx_chat_incident.h>
#include <shared/ngx_chat_index.h>
#include <shared/ngx_chat_token.h>
#include <shared/ngx_chat_turn.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_HUB_SNAPSHOT    16384     /* bytes more than needed now */
#define NGX_CHAT_HUB_INTERVAL    250       /* ms between looks by timer */
#define NGX_CHAT_HUB_NO_EDGES    10        /* the same without wake-ups */
#define NGX_CHAT_HUB_GRACE       256       /* members in grace ended at most
                                              while the lock is held */
#define NGX_CHAT_HUB_EXPIRE      64        /* cached events dropped at most
                                              while the lock is held */
#define NGX_CHAT_HUB_TOKENS      256       /* the same of parked sessions */


static void ngx_chat_hub_wakeup_handler(ngx_event_t *ev);
static void ngx_chat_hub_look(ngx_chat_hub_t *hub);
static void ngx_chat_hub_lease(ngx_chat_hub_t *hub);
static void ngx_chat_hub_end(ngx_chat_hub_t *hub,
    ngx_chat_subscription_t *sn, ngx_uint_t cut);
static void ngx_chat_hub_free(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch);
static ngx_int_t ngx_chat_hub_join(ngx_chat_hub_t *hub,
    ngx_chat_channel_t *ch, ngx_chat_registry_join_t *j);
static void ngx_chat_hub_defer(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch);
static void ngx_chat_hub_tell(ngx_chat_hub_t *hub);
static void ngx_chat_hub_wiped(ngx_chat_hub_t *hub);


ngx_int_t
ngx_chat_hub_init(ngx_chat_hub_t *hub, ngx_cycle_t *cycle)
{
    ngx_int_t  rc;

    hub->fanout.log = cycle->log;
    hub->fanout.dummy.data = &hub->fanout;
    hub->renewed = hub->fanout.zone->sh->renewed;

    ngx_queue_init(&hub->due);

    if (ngx_chat_channel_table_init(&hub->fanout.channels,
                                    hub->fanout.zone->sh->mask + 1,
                                    cycle->log)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* a respawned worker may take the slot of the one that died */

    (void) ngx_chat_slot_reap(hub->fanout.zone, hub->fanout.log);
    ngx_chat_hub_lease(hub);

    rc = ngx_chat_wakeup_add(&hub->fanout.zone->wakeups->wakeups[0], cycle,
                             ngx_chat_hub_wakeup_handler, hub);
    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "chat events are delivered by a timer, "
                      "\"use epoll\" is faster");
    }

    hub->fanout.event.handler = ngx_chat_fanout_handler;
    hub->fanout.event.data = &hub->fanout.dummy;
    hub->fanout.event.log = hub->fanout.log;

    /* without edge-triggered events there are no wake-ups */
    hub->interval = (rc == NGX_OK) ? NGX_CHAT_HUB_INTERVAL
                                   : NGX_CHAT_HUB_NO_EDGES;

    return NGX_OK;
}


void
ngx_chat_hub_exit(ngx_chat_hub_t *hub)
{
    ngx_chat_turn_exit();

    if (hub->fanout.slot) {
        ngx_chat_slot_release(hub->fanout.zone, hub->fanout.slot);
        hub->fanout.slot = NULL;
    }

    ngx_chat_fanout_forget(&hub->fanout, hub->fanout.run.channel);
    ngx_chat_channel_table_free(&hub->fanout.channels);

    if (hub->fanout.record) {
        ngx_free(hub->fanout.record);
        hub->fanout.record = NULL;
    }

    if (hub->snapshot) {
        ngx_free(hub->snapshot);
        hub->snapshot = NULL;
    }
}


ngx_int_t
ngx_chat_hub_subscribe(ngx_chat_hub_t *hub, ngx_chat_subscriber_t *sr,
    ngx_chat_registry_join_t *j)
{
    ngx_int_t                 rc;
    ngx_chat_channel_t       *ch;
    ngx_chat_subscription_t  *sn;

    if (hub->fanout.slot == NULL) {
        return NGX_BUSY;
    }

    j->hash = ngx_chat_registry_hash(hub->fanout.zone, j->app, j->name);

    ch = ngx_chat_channel_get(&hub->fanout.channels, j->app, j->hash, j->name,
                              hub->fanout.log);
    if (ch == NULL) {
        return NGX_ERROR;
    }

    if (ngx_chat_channel_subscription(ch, sr) != NULL) {
        return NGX_DECLINED;
    }

    rc = NGX_ERROR;

    sn = ngx_chat_channel_add(ch, sr, hub->fanout.log);
    if (sn == NULL) {
        goto failed;
    }

    rc = ngx_chat_hub_join(hub, ch, j);
    if (rc != NGX_OK) {
        ngx_chat_channel_remove(sn);
        goto failed;
    }

    sn->slot_member = j->slot_member;
    sn->start = j->start.position;
    ch->start = j->start.position;

    ngx_chat_count(NGX_CHAT_SUBSCRIPTIONS_e, 1);

    return NGX_OK;

failed:

    if (ch->n == 0) {
        ngx_chat_hub_free(hub, ch);
    }

    if (rc == NGX_ABORT) {
        ngx_chat_hub_wiped(hub);
    }

    return rc;
}


ngx_chat_subscription_t *
ngx_chat_hub_subscription(ngx_chat_hub_t *hub, ngx_chat_subscriber_t *sr,
    uint64_t app, ngx_str_t *name)
{
    uint32_t             hash;
    ngx_chat_channel_t  *ch;

    hash = ngx_chat_registry_hash(hub->fanout.zone, app, name);

    ch = ngx_chat_channel_find(&hub->fanout.channels, app, hash, name);

    return ch ? ngx_chat_channel_subscription(ch, sr) : NULL;
}


ngx_int_t
ngx_chat_hub_unsubscribe(ngx_chat_hub_t *hub, ngx_chat_subscriber_t *sr,
    uint64_t app, ngx_str_t *name)
{
    ngx_chat_subscription_t  *sn;

    sn = ngx_chat_hub_subscription(hub, sr, app, name);
    if (sn == NULL) {
        return NGX_DECLINED;
    }

    ngx_chat_hub_end(hub, sn, 0);

    return NGX_OK;
}


void
ngx_chat_hub_unsubscribe_all(ngx_chat_hub_t *hub, ngx_chat_subscriber_t *sr,
    ngx_uint_t cut)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&sr->subscriptions)) {
        q = ngx_queue_head(&sr->subscriptions);

        ngx_chat_hub_end(hub, ngx_queue_data(q, ngx_chat_subscription_t,
                                             queue), cut);
    }
}


ngx_int_t
ngx_chat_hub_publish(ngx_chat_zone_t *zone, ngx_chat_envelope_t *e,
    time_t cached, uint64_t *position)
{
    ngx_int_t  rc;

    e->hash = ngx_chat_registry_hash(zone, e->app, &e->channel);

    ngx_chat_zone_lock(zone);

    rc = ngx_chat_index_append(zone, e, position);

    if (rc == NGX_OK && cached) {
        ngx_chat_cache_set(zone, e->app, e->hash, &e->channel, &e->payload,
                           cached);
        ngx_chat_registry_filled(zone, e->app, e->hash, &e->channel);
    }

    ngx_chat_failpoint("publish");

    ngx_chat_zone_unlock(zone);

    ngx_chat_failpoint("published");

    ngx_chat_wakeup_rouse(&zone->wakeups->wakeups[0]);

    return rc;
}


ngx_int_t
ngx_chat_hub_hidden_add(ngx_chat_hub_t *hub, uint64_t app, ngx_str_t *name,
    ngx_chat_slot_channel_sh_t **slot_channel, ngx_uint_t *total,
    ngx_uint_t *others)
{
    ngx_int_t                 rc;
    ngx_chat_registry_join_t  j;

    if (hub->fanout.slot == NULL) {
        return NGX_BUSY;
    }

    ngx_memzero(&j, sizeof(ngx_chat_registry_join_t));

    j.app = app;
    j.hash = ngx_chat_registry_hash(hub->fanout.zone, app, name);
    j.name = name;
    j.summed = 1;

    rc = ngx_chat_registry_join(hub->fanout.zone, hub->fanout.slot, &j,
                                slot_channel);

    if (rc == NGX_ABORT) {
        ngx_chat_hub_wiped(hub);
        rc = ngx_chat_registry_join(hub->fanout.zone, hub->fanout.slot, &j,
                                    slot_channel);
    }

    *total = j.total;

    if (others) {
        *others = j.others;
    }

    return rc;
}


ngx_int_t
ngx_chat_hub_claim(ngx_chat_hub_t *hub, ngx_chat_registry_join_t *j,
    ngx_chat_slot_channel_sh_t **slot_channel)
{
    ngx_int_t  rc;

    if (hub->fanout.slot == NULL) {
        return NGX_BUSY;
    }

    j->hash = ngx_chat_registry_hash(hub->fanout.zone, j->app, j->name);

    rc = ngx_chat_registry_join(hub->fanout.zone, hub->fanout.slot, j,
                                slot_channel);

    if (rc == NGX_ABORT) {
        ngx_chat_hub_wiped(hub);
    }

    return rc;
}


void
ngx_chat_hub_unclaim(ngx_chat_hub_t *hub,
    ngx_chat_slot_channel_sh_t **slot_channel,
    ngx_chat_slot_member_sh_t *slot_member)
{
    (void) ngx_chat_registry_leave(hub->fanout.zone, hub->fanout.slot,
                                   slot_channel, slot_member, 0);
}


void
ngx_chat_hub_hidden_remove(ngx_chat_hub_t *hub,
    ngx_chat_slot_channel_sh_t **slot_channel)
{
    (void) ngx_chat_registry_leave(hub->fanout.zone, hub->fanout.slot,
                                   slot_channel, NULL, 0);
}


ngx_int_t
ngx_chat_hub_connection_add(ngx_chat_hub_t *hub, uint64_t app,
    ngx_chat_slot_channel_sh_t **slot_channel, ngx_uint_t *total,
    ngx_uint_t *others)
{
    static ngx_str_t  name = ngx_string(NGX_CHAT_NAME_CONNECTIONS);

    return ngx_chat_hub_hidden_add(hub, app, &name, slot_channel, total,
                                   others);
}


void
ngx_chat_hub_connection_remove(ngx_chat_hub_t *hub,
    ngx_chat_slot_channel_sh_t **slot_channel)
{
    ngx_chat_hub_hidden_remove(hub, slot_channel);
}


void
ngx_chat_hub_tick(ngx_chat_hub_t *hub)
{
    ngx_chat_hub_look(hub);

    ngx_chat_registry_expire(hub->fanout.zone, NGX_CHAT_HUB_GRACE);
    ngx_chat_token_expire(hub->fanout.zone, NGX_CHAT_HUB_TOKENS);

    /* the ids that clients know are of the former database */

    if (hub->renewed != hub->fanout.zone->sh->renewed) {
        hub->renewed = hub->fanout.zone->sh->renewed;

        ngx_log_error(NGX_LOG_NOTICE, hub->fanout.log, 0,
                      "chat database is another one, subscribers are told "
                      "to reconnect");

        /* for the mark: events that none of them gets are of before */

        ngx_chat_fanout_skip(&hub->fanout);
        ngx_chat_fanout_reconnect_all(&hub->fanout);
        ngx_chat_fanout_post(&hub->fanout);
    }

    if (ngx_current_msec - hub->reaped >= 1000) {
        hub->reaped = ngx_current_msec;

        (void) ngx_chat_slot_reap(hub->fanout.zone, hub->fanout.log);

        ngx_chat_hub_tell(hub);

        ngx_chat_zone_lock(hub->fanout.zone);
        ngx_chat_cache_expire(hub->fanout.zone, NGX_CHAT_HUB_EXPIRE);
        ngx_chat_zone_unlock(hub->fanout.zone);

        if (hub->fanout.slot == NULL) {
            ngx_chat_hub_lease(hub);
        }
    }
}


static void
ngx_chat_hub_wakeup_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_chat_hub_look(c->data);
}


/*
 * Subscriptions from before a wipe are gone from the registry, and end.  They
 * may have got events from behind it by then.
 */

static void
ngx_chat_hub_look(ngx_chat_hub_t *hub)
{
    if (hub->fanout.slot
        && ngx_chat_zone_is_wiped(hub->fanout.zone, hub->fanout.slot))
    {
        ngx_chat_hub_wiped(hub);
    }

    ngx_chat_fanout(&hub->fanout);
}


static void
ngx_chat_hub_lease(ngx_chat_hub_t *hub)
{
    hub->fanout.slot = ngx_chat_slot_lease(hub->fanout.zone, hub->fanout.log);

    if (hub->fanout.slot == NULL) {
        ngx_log_error(NGX_LOG_ALERT, hub->fanout.log, 0,
                      "all %ui chat worker slots are taken, this worker "
                      "refuses subscribers until one is free",
                      hub->fanout.zone->sh->nslots);
        return;
    }

    ngx_chat_fanout_skip(&hub->fanout);

    ngx_chat_turn_init(hub->fanout.slot, hub->fanout.log);
}


static void
ngx_chat_hub_end(ngx_chat_hub_t *hub, ngx_chat_subscription_t *sn,
    ngx_uint_t cut)
{
    ngx_uint_t                  due;
    ngx_chat_channel_t         *ch;
    ngx_chat_slot_member_sh_t  *slot_member;

    ch = sn->channel;
    slot_member = sn->slot_member;

    ngx_chat_channel_remove(sn);

    due = ngx_chat_registry_leave(hub->fanout.zone, hub->fanout.slot,
                                  &ch->slot_channel, slot_member, cut);

    ngx_chat_count(NGX_CHAT_SUBSCRIPTIONS_e, -1);

    if (ch->n == 0) {
        ngx_chat_hub_free(hub, ch);

    } else if (due) {
        ngx_chat_hub_defer(hub, ch);
    }
}


static void
ngx_chat_hub_free(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch)
{
    ngx_chat_fanout_forget(&hub->fanout, ch);
    ngx_chat_channel_free(&hub->fanout.channels, ch);
}


/* Joins the channel in the registry, with enough memory for the snapshot. */

static ngx_int_t
ngx_chat_hub_join(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch,
    ngx_chat_registry_join_t *j)
{
    u_char     *p;
    size_t      size;
    ngx_int_t   rc;

    for ( ;; ) {

        j->buf = hub->snapshot;
        j->size = hub->snapshot_size;

        rc = ngx_chat_registry_join(hub->fanout.zone, hub->fanout.slot, j,
                                    &ch->slot_channel);

        if (rc != NGX_AGAIN) {
            break;
        }

        /* more members may come before the next try */

        size = j->need + j->need / 8 + NGX_CHAT_HUB_SNAPSHOT;

        p = ngx_alloc(size, hub->fanout.log);
        if (p == NULL) {
            return NGX_ERROR;
        }

        if (hub->snapshot) {
            ngx_free(hub->snapshot);
        }

        hub->snapshot = p;
        hub->snapshot_size = size;
    }

    if (rc == NGX_OK && j->due) {
        ngx_chat_hub_defer(hub, ch);
    }

    return rc;
}


/* Has the timer tell the channel's number of subscriptions. */

static void
ngx_chat_hub_defer(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch)
{
    if (!ch->is_due) {
        ch->is_due = 1;
        ngx_queue_insert_tail(&hub->due, &ch->due);
    }
}


static void
ngx_chat_hub_tell(ngx_chat_hub_t *hub)
{
    ngx_queue_t         *q, *next;
    ngx_chat_channel_t  *ch;

    for (q = ngx_queue_head(&hub->due);
         q != ngx_queue_sentinel(&hub->due);
         q = next)
    {
        next = ngx_queue_next(q);
        ch = ngx_queue_data(q, ngx_chat_channel_t, due);

        if (ngx_chat_registry_tell(hub->fanout.zone, hub->fanout.slot,
                                   ch->slot_channel)
            == 0)
        {
            ngx_queue_remove(q);
            ch->is_due = 0;
        }
    }
}


/*
 * All that this worker had in the registry is gone.  The sessions give back
 * their subscriptions as usual: as long as the slot has the old generation,
 * the registry touches nothing.
 */

static void
ngx_chat_hub_wiped(ngx_chat_hub_t *hub)
{
    ngx_log_error(NGX_LOG_ALERT, hub->fanout.log, 0,
                  "chat shared memory was wiped: a worker died while it "
                  "changed it, all clients are told to reconnect");

    ngx_chat_incident_note_once(NGX_CHAT_INCIDENT_REGISTRY_WIPED_e,
                                hub->fanout.zone->sh->generation);

    hub->fanout.handlers->wiped();

    ngx_chat_slot_renew(hub->fanout.zone, hub->fanout.slot);
}
