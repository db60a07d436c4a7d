
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A worker's fanout without sessions and sockets: subscribers that note what
 * they get, events with numbers, and turns that are made one by one.
 */


#ifndef _NGX_CHAT_UNIT_FANOUT_H_INCLUDED_
#define _NGX_CHAT_UNIT_FANOUT_H_INCLUDED_


#include "unit.h"
#include "shared/zone.h"

#include <bus/ngx_chat_ring.h>
#include <fanout/ngx_chat_fanout.h>
#include <shared/ngx_chat_index.h>
#include <shared/ngx_chat_registry.h>


#define SUBSCRIBERS  5000
#define TURN_MAX     600               /* calls that one turn may make */
#define RUN_MAX      16                /* events that one run may have */


typedef struct {
    ngx_chat_subscriber_t  sr;             /* first */
    ngx_uint_t             got;            /* events */
    uint64_t               last;           /* number of the last one */
    ngx_uint_t             disorder;
    ngx_uint_t             missed;
    ngx_uint_t             ended;
    ngx_uint_t             held;           /* for flush() */
} subscriber_t;


/* What is rendered: the numbers of the events. */
typedef struct {
    ngx_uint_t             n;
    uint64_t               numbers[RUN_MAX];
} events_t;


ngx_queue_t              ngx_posted_events;
ngx_queue_t              ngx_posted_next_events;

static ngx_chat_zone_t   zone;
static ngx_chat_fanout_t fanout;
static subscriber_t      subscribers[SUBSCRIBERS];
static subscriber_t     *held[SUBSCRIBERS];
static ngx_uint_t        nheld;
static ngx_uint_t        holds;            /* of all turns() */
static ngx_uint_t        calls;            /* of the kernel */
static ngx_uint_t        rendered;         /* and not released */
static ngx_uint_t        no_memory;


void
ngx_chat_turn_add(ngx_uint_t usec)
{
    (void) usec;
}


void *
ngx_calloc(size_t size, ngx_log_t *log)
{
    return calloc(1, size);
}


static void *
render(ngx_chat_envelope_t *e, ngx_log_t *log)
{
    events_t  *events;

    events = no_memory ? NULL : calloc(1, sizeof(events_t));

    if (events != NULL) {
        events->numbers[events->n++] = e->message;
        rendered++;
    }

    return events;
}


static ngx_int_t
extend(void **events, ngx_chat_envelope_t *e, ngx_log_t *log)
{
    events_t  *ev = *events;

    if (ev->n == RUN_MAX) {
        return NGX_DECLINED;
    }

    ev->numbers[ev->n++] = e->message;

    return NGX_OK;
}


static void
release(void *events)
{
    rendered--;
    free(events);
}


static void
deliver(ngx_chat_subscriber_t *sr, void *events, ngx_uint_t hold)
{
    events_t      *ev = events;
    subscriber_t  *s = (subscriber_t *) sr;

    ngx_uint_t  i;

    calls += !hold;
    holds += !!hold;

    /* what is sent at once would overtake what is held back */
    s->disorder += (!hold && s->held);

    if (hold && !s->held) {
        s->held = 1;
        held[nheld++] = s;
    }

    for (i = 0; i < ev->n; i++) {
        s->disorder += (ev->numbers[i] <= s->last);
        s->last = ev->numbers[i];
        s->got++;
    }
}


static ngx_uint_t
flush(ngx_uint_t max)
{
    ngx_uint_t  n;

    for (n = 0; n < max && nheld; n++) {
        held[--nheld]->held = 0;
    }

    calls += n;

    return n;
}


static void
missed(ngx_chat_subscriber_t *sr)
{
    ((subscriber_t *) sr)->missed++;
}


static void
terminate(ngx_chat_subscriber_t *sr)
{
    ((subscriber_t *) sr)->ended++;
}


static void
wiped(void)
{
    abort();
}


static ngx_chat_fanout_handlers_t  handlers = {
    render, extend, release, deliver, flush, missed, terminate, wiped
};


static ngx_str_t  large = ngx_string("large");
static ngx_str_t  small = ngx_string("small");


static ngx_chat_channel_t *
channel(ngx_str_t *name)
{
    return ngx_chat_channel_get(&fanout.channels, 1,
                                ngx_chat_registry_hash(&zone, 1, name), name,
                                &unit_log);
}


static void
subscribe(subscriber_t *s, ngx_str_t *name)
{
    ngx_chat_channel_t       *ch;
    ngx_chat_subscription_t  *sn;

    ch = channel(name);
    sn = ngx_chat_channel_add(ch, &s->sr, &unit_log);

    sn->start = ngx_chat_ring_head(zone.sh->ring);
    ch->start = sn->start;
}


/* As the hub does it: the last one takes the channel along. */

static void
unsubscribe(subscriber_t *s, ngx_str_t *name)
{
    ngx_chat_channel_t  *ch;

    ch = channel(name);

    ngx_chat_channel_remove(ngx_chat_channel_subscription(ch, &s->sr));

    if (ch->n == 0) {
        ngx_chat_fanout_forget(&fanout, ch);
        ngx_chat_channel_free(&fanout.channels, ch);
    }
}


static void
publish(ngx_str_t *name, uint64_t number, ngx_uint_t type,
    subscriber_t *except)
{
    ngx_chat_envelope_t  e;

    ngx_memzero(&e, sizeof(ngx_chat_envelope_t));

    e.type = type;
    e.app = 1;
    e.message = number;
    e.channel = *name;

    if (except != NULL) {
        e.except = except->sr.id;
    }

    e.hash = ngx_chat_registry_hash(&zone, e.app, &e.channel);

    ngx_chat_zone_lock(&zone);
    CHECK_INT(ngx_chat_index_append(&zone, &e, NULL), NGX_OK);
    ngx_chat_zone_unlock(&zone);
}


static void
event(ngx_str_t *name, uint64_t number)
{
    publish(name, number, NGX_CHAT_ENVELOPE_EVENT_e, NULL);
}


/* One turn; returns whether another one is posted. */

static ngx_uint_t
turn(void)
{
    uint64_t    read;
    ngx_uint_t  posted, before;

    before = calls;
    read = fanout.run.channel ? fanout.run.at : fanout.position;

    ngx_chat_fanout(&fanout);

    CHECK(calls - before <= TURN_MAX);

    /* what this turn has read is not all delivered */

    if (nheld) {
        CHECK(fanout.slot->position <= read);
    }

    posted = fanout.event.posted;

    if (posted) {
        ngx_delete_posted_event(&fanout.event);
    }

    return posted;
}


/* Until none is posted; returns how many there were, calls and holds have
   theirs. */

static ngx_uint_t
turns(void)
{
    ngx_uint_t  n;

    calls = 0;
    holds = 0;

    for (n = 1; turn(); n++) {

        if (!CHECK(n < 10000)) {
            break;
        }
    }

    CHECK_INT(nheld, 0);
    CHECK_INT(rendered, 0);
    CHECK(fanout.run.channel == NULL);
    CHECK_INT(fanout.slot->position, ngx_chat_ring_head(zone.sh->ring));

    return n;
}


static void
begin(ngx_uint_t n)
{
    ngx_uint_t  i;

    ngx_memzero(subscribers, sizeof(subscribers));

    for (i = 0; i < SUBSCRIBERS; i++) {
        ngx_queue_init(&subscribers[i].sr.subscriptions);
        subscribers[i].sr.id.high = i + 1;
        subscribers[i].sr.id.low = 1;
    }

    for (i = 0; i < n; i++) {
        subscribe(&subscribers[i], &large);
    }

    no_memory = 0;
}


static void
end(void)
{
    ngx_uint_t                i;
    ngx_queue_t              *q;
    ngx_chat_subscription_t  *sn;

    for (i = 0; i < SUBSCRIBERS; i++) {
        CHECK_INT(subscribers[i].disorder, 0);

        while (!ngx_queue_empty(&subscribers[i].sr.subscriptions)) {
            q = ngx_queue_head(&subscribers[i].sr.subscriptions);
            sn = ngx_queue_data(q, ngx_chat_subscription_t, queue);

            unsubscribe(&subscribers[i], &sn->channel->name);
        }
    }

    CHECK_INT(fanout.channels.nchannels, 0);
    CHECK_INT(rendered, 0);
}


/* A worker that has leased a slot. */

static void
setup(void)
{
    zone.workers = 1;
    unit_zone_create(&zone, 4 * 1024 * 1024);

    ngx_queue_init(&ngx_posted_events);
    ngx_queue_init(&ngx_posted_next_events);

    fanout.zone = &zone;
    fanout.handlers = &handlers;
    fanout.log = &unit_log;
    fanout.event.log = &unit_log;

    if (ngx_chat_channel_table_init(&fanout.channels, 1024, &unit_log)
        != NGX_OK)
    {
        exit(2);
    }

    fanout.slot = ngx_chat_slot_lease(&zone, &unit_log);
    fanout.position = fanout.slot->position;
}


/* Those from first to last - 1 got n events, up to the given one. */

static void
got(ngx_uint_t first, ngx_uint_t last, ngx_uint_t n, uint64_t number)
{
    ngx_uint_t  i, wrong;

    wrong = 0;

    for (i = first; i < last; i++) {
        wrong += (subscribers[i].got != n || subscribers[i].last != number);
    }

    CHECK_INT(wrong, 0);
}


#endif /* _NGX_CHAT_UNIT_FANOUT_H_INCLUDED_ */
