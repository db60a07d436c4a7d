
/* sources: shared/ngx_chat_incident.c */
/* sources: fanout/ngx_chat_hub.c fanout/ngx_chat_channel.c */
/* sources: fanout/ngx_chat_fanout*.c */
/* sources: shared/ngx_chat_zone.c shared/ngx_chat_slot.c bus/ngx_chat_ring.c */
/* sources: shared/ngx_chat_index.c shared/ngx_chat_token.c */
/* sources: shared/ngx_chat_parked.c */
/* sources: shared/ngx_chat_registry_channel.c shared/ngx_chat_grace.c */
/* sources: shared/ngx_chat_registry.c shared/ngx_chat_presence.c */
/* sources: shared/ngx_chat_node*.c shared/ngx_chat_futex.c */
/* sources: shared/ngx_chat_cache.c */
/* sources: shared/ngx_chat_arena.c shared/ngx_chat_share.c */
/* sources: bus/ngx_chat_wakeup.c */
/* sources: shared/ngx_chat_mutex.c wire/ngx_chat_clock.c */
/* sources: wire/ngx_chat_envelope.c wire/ngx_chat_hash.c */
/* sources: libs: -lpthread -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A worker that learns that the zone was wiped: by a subscription, by a
 * connection that is counted, or by its timer.
 */


#include "unit.h"
#include "shared/zone.h"

#include <bus/ngx_chat_ring.h>
#include <fanout/ngx_chat_fanout.h>
#include <fanout/ngx_chat_hub.h>
#include <shared/ngx_chat_index.h>
#include <shared/ngx_chat_registry.h>
#include <shared/ngx_chat_turn.h>


#define SUBSCRIBERS  3


ngx_queue_t                          ngx_posted_events;
ngx_queue_t                          ngx_posted_next_events;
ngx_rbtree_t                         ngx_event_timer_rbtree;

static ngx_chat_zone_t               zone;
static ngx_chat_hub_t                hub;
static ngx_cycle_t                   cycle;
static ngx_chat_subscriber_t         subscribers[SUBSCRIBERS];
static ngx_chat_slot_channel_sh_t   *quota;
static ngx_uint_t                    counted;      /* in quota */
static ngx_uint_t                    wipes;        /* told to this worker */


void
ngx_chat_turn_init(ngx_chat_slot_sh_t *slot, ngx_log_t *log)
{
}


void
ngx_chat_turn_exit(void)
{
}


void
ngx_chat_turn_add(ngx_uint_t usec)
{
}


ngx_uint_t
ngx_chat_turn_is_long(void)
{
    return 0;
}


void
ngx_chat_turn_timer(ngx_msec_t due)
{
}


void *
ngx_calloc(size_t size, ngx_log_t *log)
{
    return calloc(1, size);
}


void
ngx_rbtree_insert(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
}


void
ngx_rbtree_delete(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
}


static void
removed(ngx_chat_zone_t *z, uint64_t app, ngx_str_t *channel, ngx_str_t *user)
{
}


static void
told(ngx_chat_zone_t *z, uint64_t app, ngx_str_t *channel, ngx_uint_t n)
{
}


static ngx_uint_t
flush(ngx_uint_t max)
{
    return 0;
}


/* As the sessions do. */

static void
wiped(void)
{
    ngx_uint_t  i;

    wipes++;

    for (i = 0; i < SUBSCRIBERS; i++) {
        ngx_chat_hub_unsubscribe_all(&hub, &subscribers[i], 0);
    }

    while (counted) {
        counted--;
        ngx_chat_hub_connection_remove(&hub, &quota);
    }
}


static void
missed(ngx_chat_zone_t *z, uint64_t app, ngx_str_t *channel)
{
    (void) z;
    (void) app;
    (void) channel;
}


static ngx_chat_zone_handlers_t  zone_handlers = {
    removed, told, told, removed, NULL, missed
};


static ngx_chat_fanout_handlers_t  handlers = {
    NULL, NULL, NULL, NULL, flush, NULL, NULL, wiped
};


static ngx_int_t
subscribe(ngx_uint_t i, const char *name)
{
    ngx_str_t                  channel, user, info;
    ngx_chat_envelope_t        added;
    ngx_chat_registry_join_t   j;

    channel.data = (u_char *) name;
    channel.len = strlen(name);
    ngx_str_set(&user, "user");
    ngx_str_null(&info);

    memset(&j, 0, sizeof(ngx_chat_registry_join_t));
    memset(&added, 0, sizeof(ngx_chat_envelope_t));

    added.type = NGX_CHAT_ENVELOPE_EVENT_e;
    added.channel = channel;

    j.app = 1;
    j.name = &channel;
    j.user = &user;
    j.info = &info;
    j.added = &added;

    return ngx_chat_hub_subscribe(&hub, &subscribers[i], &j);
}


static ngx_int_t
connect_one(void)
{
    ngx_int_t   rc;
    ngx_uint_t  total;

    rc = ngx_chat_hub_connection_add(&hub, 1, &quota, &total, NULL);

    if (rc == NGX_OK) {
        counted++;
        CHECK_INT(total, counted);
    }

    return rc;
}


static void
tick(void)
{
    ngx_chat_hub_tick(&hub);
}


static void
begin(void)
{
    ngx_uint_t  i;

    zone.workers = 1;
    zone.handlers = &zone_handlers;
    unit_zone_create(&zone, 1024 * 1024);

    ngx_queue_init(&ngx_posted_events);
    ngx_queue_init(&ngx_posted_next_events);

    memset(&hub, 0, sizeof(ngx_chat_hub_t));
    hub.fanout.zone = &zone;
    hub.fanout.handlers = &handlers;
    cycle.log = &unit_log;

    CHECK_INT(ngx_chat_hub_init(&hub, &cycle), NGX_OK);

    for (i = 0; i < SUBSCRIBERS; i++) {
        memset(&subscribers[i], 0, sizeof(ngx_chat_subscriber_t));
        ngx_queue_init(&subscribers[i].subscriptions);

        CHECK_INT(subscribe(i, "room"), NGX_OK);
        CHECK_INT(subscribe(i, "hall"), NGX_OK);
        CHECK_INT(connect_one(), NGX_OK);
    }

    /* the next one who takes the lock finds that its holder died */

    wipes = 0;
    unit_alerts = 1;
    zone.sh->busy = 1;
}


/* All was given up, once, and all can come back. */

static void
end(void)
{
    ngx_uint_t  i;

    CHECK_INT(wipes, 1);
    CHECK_INT(unit_alerts, 0);
    CHECK_INT(hub.fanout.channels.nchannels, 0);
    CHECK_INT(ngx_chat_counters[NGX_CHAT_SUBSCRIPTIONS_e], 0);

    tick();

    for (i = 0; i < SUBSCRIBERS; i++) {
        CHECK_INT(subscribers[i].nsubscriptions, 0);
        CHECK_INT(subscribe(i, "room"), NGX_OK);
        CHECK_INT(connect_one(), NGX_OK);
    }

    CHECK_INT(wipes, 1);
    CHECK_INT(zone.sh->nmembers, 1);
    CHECK_INT(zone.sh->nchannels, 2);

    wiped();

    CHECK_INT(zone.sh->nmembers, 0);
    CHECK_INT(zone.sh->nchannels, 0);
    CHECK_INT(zone.sh->arena->used, 0);

    ngx_chat_hub_exit(&hub);
    unit_zone_destroy();
}


static void
test_subscription(void)
{
    begin();
    CHECK_INT(subscribe(0, "new"), NGX_ABORT);
    end();

    /* of a channel that others of this worker are on */

    begin();
    ngx_chat_hub_unsubscribe_all(&hub, &subscribers[1], 0);
    CHECK_INT(zone.sh->generation, 1);
    CHECK_INT(wipes, 0);
    CHECK_INT(subscribe(1, "room"), NGX_ABORT);
    end();
}


static void
test_connection(void)
{
    begin();
    CHECK_INT(connect_one(), NGX_OK);
    CHECK_INT(counted, 1);
    ngx_chat_hub_connection_remove(&hub, &quota);
    counted = 0;
    end();
}


/* Another worker has wiped, and sends an event to those who came since. */

static void
go_on_elsewhere(void)
{
    ngx_chat_envelope_t  e;

    memset(&e, 0, sizeof(ngx_chat_envelope_t));

    e.type = NGX_CHAT_ENVELOPE_EVENT_e;
    e.app = 1;
    ngx_str_set(&e.channel, "room");

    e.hash = ngx_chat_registry_hash(&zone, e.app, &e.channel);

    ngx_chat_zone_lock(&zone);
    CHECK_INT(ngx_chat_index_append(&zone, &e, NULL), NGX_OK);
    ngx_chat_zone_unlock(&zone);
}


static void
test_timer(void)
{
    /* nobody here can get the event: there is no handler for it */

    begin();
    go_on_elsewhere();
    tick();
    end();

    /* whoever leaves before it gives nothing back */

    begin();
    ngx_chat_hub_connection_remove(&hub, &quota);
    counted--;
    ngx_chat_hub_unsubscribe_all(&hub, &subscribers[0], 0);
    CHECK_INT(wipes, 0);
    tick();
    end();

    /* where nobody else has looked, this worker does so within a second */

    begin();
    tick();
    CHECK_INT(wipes, 0);
    ngx_current_msec += 1000;
    tick();
    tick();
    end();
}


int
main(void)
{
    RUN(test_subscription);
    RUN(test_connection);
    RUN(test_timer);

    return unit_done();
}
