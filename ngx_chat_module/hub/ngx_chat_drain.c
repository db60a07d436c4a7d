
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Reads the ring, hands each event to its channel's subscribers.
 *
 * Events that follow one another on one channel are a run: they are put
 * together, and each subscriber gets the run by one call.
 *
 * The work done for one rouse is capped; what is left is posted behind the
 * sockets' events, so that a flood of events does not keep clients waiting.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <hub/ngx_chat_drain.h>
#include <hub/ngx_chat_wakeup.h>


#define NGX_CHAT_DRAIN_RECORDS  256        /* most records in one turn */
#define NGX_CHAT_DRAIN_COST     131072     /* and most work, about: */
#define NGX_CHAT_DRAIN_SEND     32         /* of a call for one subscriber */
#define NGX_CHAT_DRAIN_COPY     1          /* of one more event in it */


/* The events at hand, and what this turn has done so far. */

typedef struct {
    ngx_chat_hub_t         *hub;
    ngx_chat_channel_t     *channel;       /* NULL: there are none */
    void                   *events;
    ngx_uint_t              n;             /* of them */
    uint64_t                at;            /* the first one's position */
    ngx_chat_socket_id_t    except;        /* 0.0: nobody */
    ngx_uint_t              runs;          /* given out in this turn */
    ngx_uint_t              cost;
} ngx_chat_drain_run_t;


static void ngx_chat_drain_record(ngx_chat_drain_run_t *run, uint64_t at,
    size_t len);
static ngx_uint_t ngx_chat_drain_extend(ngx_chat_drain_run_t *run,
    ngx_chat_channel_t *ch, ngx_chat_envelope_t *e);
static void ngx_chat_drain_begin(ngx_chat_drain_run_t *run,
    ngx_chat_channel_t *ch, ngx_chat_envelope_t *e, uint64_t at);
static void ngx_chat_drain_end(ngx_chat_drain_run_t *run, ngx_uint_t more);
static void ngx_chat_drain_terminate(ngx_chat_hub_t *hub,
    ngx_chat_channel_t *ch, uint64_t at);
static void ngx_chat_drain_grow(ngx_chat_hub_t *hub, size_t size);
static void ngx_chat_drain_overrun(ngx_chat_hub_t *hub);


void
ngx_chat_drain(ngx_chat_hub_t *hub)
{
    size_t                len;
    uint64_t              at;
    ngx_int_t             rc;
    ngx_uint_t            n;
    ngx_chat_drain_run_t  run;

    if (hub->slot == NULL) {
        return;
    }

    ngx_chat_wakeup_clear(hub->zone);

    ngx_memzero(&run, sizeof(ngx_chat_drain_run_t));

    run.hub = hub;
    rc = NGX_OK;

    hub->turn++;

    for (n = 0;
         n < NGX_CHAT_DRAIN_RECORDS && run.cost < NGX_CHAT_DRAIN_COST;
         n++)
    {
        rc = ngx_chat_ring_read(hub->zone->sh->ring, &hub->position, &at,
                                hub->record, hub->size, &len);

        if (rc == NGX_AGAIN) {
            ngx_chat_drain_grow(hub, len);
            continue;
        }

        if (rc == NGX_DECLINED) {
            ngx_chat_drain_overrun(hub);
            continue;
        }

        if (rc != NGX_OK) {
            break;
        }

        ngx_chat_drain_record(&run, at, len);
    }

    /* where one run is all, it is sent at once, else all leave together */

    ngx_chat_drain_end(&run, run.runs);

    if (run.runs) {
        hub->handlers->flush();
    }

    hub->slot->position = hub->position;

    if (rc != NGX_DONE) {
        ngx_post_event(&hub->drain, &ngx_posted_next_events);
    }
}


static void
ngx_chat_drain_record(ngx_chat_drain_run_t *run, uint64_t at, size_t len)
{
    uint32_t              hash;
    ngx_chat_hub_t       *hub;
    ngx_chat_channel_t   *ch;
    ngx_chat_envelope_t   e;

    hub = run->hub;

    if (ngx_chat_envelope_unpack(&e, hub->record, len) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, hub->log, 0,
                      "chat ring has a broken record of %uz bytes", len);
        ngx_chat_drain_overrun(hub);
        return;
    }

    hash = ngx_chat_registry_hash(hub->zone, e.app, &e.channel);

    ch = ngx_chat_channel_find(&hub->channels, e.app, hash, &e.channel);
    if (ch == NULL) {
        return;
    }

    if (e.type == NGX_CHAT_ENVELOPE_TERMINATE_e) {
        ngx_chat_drain_end(run, 1);
        ngx_chat_drain_terminate(hub, ch, at);
        return;
    }

    if (ngx_chat_drain_extend(run, ch, &e)) {
        return;
    }

    ngx_chat_drain_end(run, 1);
    ngx_chat_drain_begin(run, ch, &e, at);
}


/* 1 where the event goes to exactly those who get the run, and is part of it
   now. */

static ngx_uint_t
ngx_chat_drain_extend(ngx_chat_drain_run_t *run, ngx_chat_channel_t *ch,
    ngx_chat_envelope_t *e)
{
    if (ch != run->channel
        || run->at < ch->start
        || run->except.high
        || e->except.high)
    {
        return 0;
    }

    if (run->hub->handlers->extend(&run->events, e, run->hub->log) != NGX_OK)
    {
        return 0;
    }

    run->n++;
    run->cost += ch->n * NGX_CHAT_DRAIN_COPY;

    return 1;
}


static void
ngx_chat_drain_begin(ngx_chat_drain_run_t *run, ngx_chat_channel_t *ch,
    ngx_chat_envelope_t *e, uint64_t at)
{
    ngx_uint_t  i;

    if (ch->n) {
        __builtin_prefetch(ch->listeners[0].subscriber);
    }

    run->cost += ch->n * NGX_CHAT_DRAIN_SEND;

    run->events = run->hub->handlers->render(e, run->hub->log);

    if (run->events == NULL) {
        /* each of them would miss an event */
        for (i = 0; i < ch->n; i++) {
            run->hub->handlers->overrun(ch->listeners[i].subscriber);
        }

        return;
    }

    run->channel = ch;
    run->n = 1;
    run->at = at;
    run->except = e->except;
}


/*
 * Gives the run out.  Where more is to come in this turn, a subscriber's
 * events are gathered, so that they leave by one call; but not the first run
 * of one who listens to nothing else, for whom it most likely is all.
 */

static void
ngx_chat_drain_end(ngx_chat_drain_run_t *run, ngx_uint_t more)
{
    ngx_uint_t              i, n, again;
    ngx_chat_channel_t     *ch;
    ngx_chat_subscriber_t  *sr;

    ch = run->channel;

    if (ch == NULL) {
        return;
    }

    again = (ch->turn == run->hub->turn);
    ch->turn = run->hub->turn;

    n = 0;

    for (i = 0; i < ch->n; i++) {
        sr = ch->listeners[i].subscriber;

        /* they lie all over the memory: fetched while this one is sent to */

        if (i + 1 < ch->n) {
            __builtin_prefetch(ch->listeners[i + 1].subscriber);
        }

        /* published before this one had subscribed */

        if (run->at < ch->start
            && run->at < ch->listeners[i].subscription->start)
        {
            continue;
        }

        if (sr->id.high == run->except.high && sr->id.low == run->except.low)
        {
            continue;
        }

        run->hub->handlers->deliver(sr, run->events,
                                    more && (again
                                             || sr->nsubscriptions != 1));
        n++;
    }

    run->hub->handlers->release(run->events);

    ngx_chat_count(NGX_CHAT_DELIVERIES_e, n * run->n);

    run->channel = NULL;
    run->runs++;
}


/* Those who came later have come again, and may stay. */

static void
ngx_chat_drain_terminate(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch,
    uint64_t at)
{
    ngx_uint_t  i;

    for (i = 0; i < ch->n; i++) {
        if (at >= ch->start || at >= ch->listeners[i].subscription->start) {
            hub->handlers->terminate(ch->listeners[i].subscriber);
        }
    }
}


/* Without the memory the events can't be read: as bad as overrun. */

static void
ngx_chat_drain_grow(ngx_chat_hub_t *hub, size_t size)
{
    u_char  *p;

    p = ngx_alloc(size, hub->log);

    if (p == NULL) {
        hub->position = ngx_chat_ring_head(hub->zone->sh->ring);
        ngx_chat_drain_overrun(hub);
        return;
    }

    if (hub->record) {
        ngx_free(hub->record);
    }

    hub->record = p;
    hub->size = size;
}


/* Nobody waits for a slow worker; its subscribers are told that they missed. */

static void
ngx_chat_drain_overrun(ngx_chat_hub_t *hub)
{
    ngx_uint_t           i, n;
    ngx_chat_channel_t  *ch;

    ngx_log_error(NGX_LOG_ERR, hub->log, 0,
                  "chat worker was overrun by events, its subscribers are "
                  "told to reconnect; a larger chat_zone gives more time");

    ngx_chat_count(NGX_CHAT_OVERRUNS_e, 1);

    for (n = 0; n < hub->channels.nbuckets; n++) {

        ch = hub->channels.segments[n / NGX_CHAT_CHANNEL_SEGMENT]
                                   [n % NGX_CHAT_CHANNEL_SEGMENT];

        for ( /* void */ ; ch; ch = ch->next) {
            for (i = 0; i < ch->n; i++) {
                hub->handlers->overrun(ch->listeners[i].subscriber);
            }
        }
    }
}


void
ngx_chat_drain_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_chat_drain(c->data);
}
