
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Reads the ring and gives each event to the subscribers of its channel.
 *
 * A run is a number of events that follow one another on one channel.  Their
 * frames are put together, and each subscriber gets the run by one call.
 *
 * A pass reads the ring once, and its work has a bound: many events, or one
 * event for many subscribers.  What is left is done by the next pass, in the
 * next turn of the event loop.  In between, nginx handles the sockets' events,
 * so no client waits for the deliveries to all others.
 *
 * Two rules hold.  No record is read before the run at hand was given to all
 * its subscribers, so that each of them gets its events in order.  No record
 * is read while a former pass has left events held back, so that the queues
 * of the sockets have a bound.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <bus/ngx_chat_wakeup.h>
#include <fanout/ngx_chat_fanout.h>
#include <shared/ngx_chat_incident.h>
#include <shared/ngx_chat_turn.h>


#define NGX_CHAT_FANOUT_RECORDS  256        /* most records of a pass */

/* Work is counted in units of about a third of a microsecond. */
#define NGX_CHAT_FANOUT_COST     16384      /* most work of a pass */
#define NGX_CHAT_FANOUT_SMALL    1024       /* a run of that much work is given
                                               to all, even beyond the bound */
#define NGX_CHAT_FANOUT_SEND     32         /* of sending to a subscriber */
#define NGX_CHAT_FANOUT_HOLD     4          /* of holding back for one */
#define NGX_CHAT_FANOUT_COPY     1          /* of an event for one */
#define NGX_CHAT_FANOUT_USEC     3          /* units in a microsecond */


#define ngx_chat_fanout_is_full(f)  ((f)->cost >= NGX_CHAT_FANOUT_COST)


static void ngx_chat_fanout_publish_position(ngx_chat_fanout_t *f);
static ngx_int_t ngx_chat_fanout_left(ngx_chat_fanout_t *f);
static ngx_int_t ngx_chat_fanout_read(ngx_chat_fanout_t *f);
static ngx_int_t ngx_chat_fanout_flush(ngx_chat_fanout_t *f);
static ngx_int_t ngx_chat_fanout_record(ngx_chat_fanout_t *f,
    uint64_t at, size_t len);
static ngx_uint_t ngx_chat_fanout_extend(ngx_chat_fanout_t *f,
    ngx_chat_channel_t *ch, ngx_chat_envelope_t *e);
static void ngx_chat_fanout_begin(ngx_chat_fanout_t *f,
    ngx_chat_channel_t *ch, ngx_chat_envelope_t *e, uint64_t at);
static ngx_int_t ngx_chat_fanout_end(ngx_chat_fanout_t *f,
    ngx_uint_t more);
static void ngx_chat_fanout_give(ngx_chat_fanout_t *f, ngx_uint_t more);
static void ngx_chat_fanout_terminate(ngx_chat_fanout_t *f,
    ngx_chat_channel_t *ch, uint64_t at);
static void ngx_chat_fanout_grow(ngx_chat_fanout_t *f, size_t size);
static void ngx_chat_fanout_overrun(ngx_chat_fanout_t *f);


void
ngx_chat_fanout(ngx_chat_fanout_t *f)
{
    ngx_int_t  rc;

    /* a pass that is posted will come by itself */

    if (f->slot == NULL || f->event.posted) {
        return;
    }

    ngx_chat_wakeup_clear(&f->zone->wakeups->wakeups[0]);

    f->pass++;
    f->runs = 0;
    f->cost = 0;

    rc = ngx_chat_fanout_left(f);

    if (rc == NGX_OK) {
        rc = ngx_chat_fanout_read(f);

        if (ngx_chat_fanout_flush(f) != NGX_OK) {
            rc = NGX_AGAIN;
        }
    }

    ngx_chat_turn_add(f->cost / NGX_CHAT_FANOUT_USEC);

    ngx_chat_fanout_publish_position(f);

    if (rc != NGX_DONE) {
        ngx_post_event(&f->event, &ngx_posted_next_events);
    }
}


void
ngx_chat_fanout_post(ngx_chat_fanout_t *f)
{
    if (!f->event.posted) {
        ngx_post_event(&f->event, &ngx_posted_next_events);
    }
}


/*
 * Publishes how far this worker has delivered, and wakes the workers that wait
 * for that.  Events that are held back are not delivered yet.  No wake-up is
 * lost: a waiting worker clears its flag and then reads the position; here the
 * position is written and then the flag is read.  A wake-up may be shared, this
 * worker's own, too.
 */

static void
ngx_chat_fanout_publish_position(ngx_chat_fanout_t *f)
{
    uint64_t             position;
    ngx_uint_t           i;
    ngx_chat_wakeups_t  *ws;

    position = f->run.channel ? f->run.at : f->position;

    if (f->held || position == f->slot->position) {
        return;
    }

    __atomic_store_n(&f->slot->position, position, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);

    ws = f->zone->wakeups;

    for (i = 1; i < ws->n; i++) {

        if (ngx_chat_wakeup_is_clear(&ws->wakeups[i])) {
            ngx_chat_wakeup_rouse(&ws->wakeups[i]);
        }
    }
}


void
ngx_chat_fanout_place(ngx_chat_fanout_t *f, ngx_chat_subscriber_t *sr,
    ngx_chat_ring_place_t *place)
{
    ngx_chat_channel_t       *ch;
    ngx_chat_subscription_t  *sn;

    ch = f->run.channel;
    sn = ch ? ngx_chat_channel_subscription(ch, sr) : NULL;

    if (sn != NULL && sn->index >= ch->given) {
        place->position = f->run.at;
        place->mark = f->run.mark;
        return;
    }

    place->position = f->position;
    place->mark = f->mark;
}


void
ngx_chat_fanout_skip(ngx_chat_fanout_t *f)
{
    ngx_chat_zone_lock(f->zone);

    f->position = ngx_chat_ring_head(f->zone->sh->ring);
    f->mark = ngx_chat_ring_mark(f->zone->sh->ring);

    ngx_chat_zone_unlock(f->zone);
}


void
ngx_chat_fanout_forget(ngx_chat_fanout_t *f, ngx_chat_channel_t *ch)
{
    if (ch != NULL && ch == f->run.channel) {
        ch->given = 0;
        f->run.channel = NULL;
        f->handlers->release(f->run.events);
    }
}


/*
 * Finishes what former passes have left.  NGX_OK: records can be read;
 * NGX_AGAIN: this pass ends here.  A pass that goes on with a run reads no
 * records: events that come meanwhile for the same subscribers are then sent
 * to them together.
 */

static ngx_int_t
ngx_chat_fanout_left(ngx_chat_fanout_t *f)
{
    if (f->held) {

        if (ngx_chat_fanout_flush(f) != NGX_OK) {
            return NGX_AGAIN;
        }

        /* said now, as this pass may hold back events to its end again */

        ngx_chat_fanout_publish_position(f);
    }

    if (f->run.channel == NULL) {
        return NGX_OK;
    }

    (void) ngx_chat_fanout_end(f, 0);

    return NGX_AGAIN;
}


/* NGX_DONE: the ring has no more; NGX_OK, NGX_AGAIN: another pass is needed. */

static ngx_int_t
ngx_chat_fanout_read(ngx_chat_fanout_t *f)
{
    size_t      len;
    uint64_t    at;
    ngx_int_t   rc;
    ngx_uint_t  n;

    rc = NGX_OK;

    for (n = 0;
         rc == NGX_OK
         && n < NGX_CHAT_FANOUT_RECORDS && !ngx_chat_fanout_is_full(f);
         n++)
    {
        rc = ngx_chat_ring_read(f->zone->sh->ring, &f->position, &at,
                                f->record, f->size, &len);

        if (rc == NGX_OK) {
            rc = ngx_chat_fanout_record(f, at, len);

        } else if (rc == NGX_AGAIN) {
            ngx_chat_fanout_grow(f, len);
            rc = NGX_OK;

        } else if (rc == NGX_DECLINED) {
            ngx_chat_fanout_overrun(f);
            rc = NGX_OK;
        }
    }

    /* a pass of one run sends it at once, else all runs are sent together */

    if (rc != NGX_AGAIN && ngx_chat_fanout_end(f, f->runs) != NGX_OK) {
        return NGX_AGAIN;
    }

    return rc;
}


/*
 * Makes the record's event a part of the run, or the first of the next run.
 * NGX_OK; NGX_AGAIN: the run before it takes the rest of this pass, and the
 * next pass reads the record again.
 */

static ngx_int_t
ngx_chat_fanout_record(ngx_chat_fanout_t *f, uint64_t at, size_t len)
{
    ngx_chat_channel_t   *ch;
    ngx_chat_envelope_t   e;

    if (ngx_chat_envelope_unpack(&e, f->record, len) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, f->log, 0,
                      "chat ring has a broken record of %uz bytes, clients "
                      "are told to reconnect", len);
        ngx_chat_fanout_reconnect_all(f);
        return NGX_OK;
    }

    if (e.type == NGX_CHAT_ENVELOPE_HOOK_e) {
        return NGX_OK;
    }

    ch = ngx_chat_channel_find(&f->channels, e.app, e.hash, &e.channel);
    if (ch == NULL) {
        goto done;
    }

    if (e.type != NGX_CHAT_ENVELOPE_TERMINATE_e
        && ngx_chat_fanout_extend(f, ch, &e))
    {
        goto done;
    }

    if (ngx_chat_fanout_end(f, 1) != NGX_OK) {
        f->position = at;
        return NGX_AGAIN;
    }

    if (e.type == NGX_CHAT_ENVELOPE_TERMINATE_e) {
        ngx_chat_fanout_terminate(f, ch, at);

    } else {
        ngx_chat_fanout_begin(f, ch, &e, at);
    }

done:

    if (e.message) {
        f->mark = e.message;
    }

    return NGX_OK;
}


/* Adds an event that has the same subscribers as the run: 1, else 0. */

static ngx_uint_t
ngx_chat_fanout_extend(ngx_chat_fanout_t *f, ngx_chat_channel_t *ch,
    ngx_chat_envelope_t *e)
{
    ngx_chat_fanout_run_t  *run;

    run = &f->run;

    if (ch != run->channel
        || run->at < ch->start
        || run->except.high
        || e->except.high)
    {
        return 0;
    }

    if (f->handlers->extend(&run->events, e, f->log) != NGX_OK) {
        return 0;
    }

    run->n++;

    return 1;
}


static void
ngx_chat_fanout_begin(ngx_chat_fanout_t *f, ngx_chat_channel_t *ch,
    ngx_chat_envelope_t *e, uint64_t at)
{
    ngx_uint_t              i;
    ngx_chat_fanout_run_t  *run;

    run = &f->run;

    run->events = f->handlers->render(e, f->log);

    if (run->events == NULL) {
        /* without memory each of them misses the event */
        for (i = 0; i < ch->n; i++) {
            f->handlers->missed(ch->listeners[i].subscriber);
        }

        return;
    }

    run->channel = ch;
    run->n = 1;
    run->at = at;
    run->mark = f->mark;
    run->except = e->except;
}


/*
 * Ends the run, as far as this pass still may.  more is set where other runs
 * follow in this pass.  NGX_OK: all subscribers have it, or there was no run;
 * NGX_AGAIN: the next pass goes on with it.
 */

static ngx_int_t
ngx_chat_fanout_end(ngx_chat_fanout_t *f, ngx_uint_t more)
{
    ngx_chat_channel_t  *ch;

    ch = f->run.channel;

    if (ch == NULL) {
        return NGX_OK;
    }

    ngx_chat_fanout_give(f, more);

    if (ch->given < ch->n) {
        return NGX_AGAIN;
    }

    ngx_chat_fanout_forget(f, ch);

    return NGX_OK;
}


/*
 * Where more runs follow in this pass, events are held back in the outboxes,
 * and each subscriber's are sent by one call at the end of the pass.  With one
 * exception: a subscriber with only this subscription gets the channel's first
 * run of a pass at once, since most likely nothing else follows for it.  There
 * is no exception where the run would use up the pass.
 */

static void
ngx_chat_fanout_give(ngx_chat_fanout_t *f, ngx_uint_t more)
{
    ngx_uint_t              i, n, cost, hold, hold_all, whole;
    ngx_chat_channel_t     *ch;
    ngx_chat_fanout_run_t  *run;
    ngx_chat_subscriber_t  *sr;

    run = &f->run;
    ch = run->channel;

    cost = (ch->n - ch->given) * NGX_CHAT_FANOUT_SEND;

    whole = (cost <= NGX_CHAT_FANOUT_SMALL);
    hold_all = (ch->pass == f->pass
                || (!whole && f->cost + cost > NGX_CHAT_FANOUT_COST));
    ch->pass = f->pass;

    n = 0;

    for (i = ch->given;
         i < ch->n && (whole || !ngx_chat_fanout_is_full(f));
         i++)
    {
        sr = ch->listeners[i].subscriber;
        f->cost += run->n * NGX_CHAT_FANOUT_COPY;

        /* published before this one had subscribed */

        if (run->at < ch->start
            && run->at < ch->listeners[i].subscription->start)
        {
            continue;
        }

        /* a client with a token is the same whatever its connection */

        if (sr->id.high == run->except.high
            && (sr->id.low == run->except.low || sr->shares_high))
        {
            continue;
        }

        hold = more && (hold_all || sr->nsubscriptions != 1);
        f->cost += hold ? NGX_CHAT_FANOUT_HOLD : NGX_CHAT_FANOUT_SEND;

        f->handlers->deliver(sr, run->events, hold);
        n++;
    }

    ch->given = i;
    f->runs++;

    ngx_chat_count(NGX_CHAT_DELIVERIES_e, n * run->n);
}


/* NGX_OK: nothing is held back; NGX_AGAIN: something may be. */

static ngx_int_t
ngx_chat_fanout_flush(ngx_chat_fanout_t *f)
{
    ngx_uint_t  n, max;

    max = ngx_chat_fanout_is_full(f)
          ? 0 : (NGX_CHAT_FANOUT_COST - f->cost) / NGX_CHAT_FANOUT_SEND;

    n = f->handlers->flush(max);

    f->cost += n * NGX_CHAT_FANOUT_SEND;
    f->held = (n == max);

    return (n == max) ? NGX_AGAIN : NGX_OK;
}


/*
 * Ends the subscribers that were subscribed when the record was appended.
 * Those that subscribed later stay.
 */

static void
ngx_chat_fanout_terminate(ngx_chat_fanout_t *f, ngx_chat_channel_t *ch,
    uint64_t at)
{
    ngx_uint_t  i;

    for (i = 0; i < ch->n; i++) {
        if (at >= ch->start || at >= ch->listeners[i].subscription->start) {
            f->handlers->terminate(ch->listeners[i].subscriber);
        }
    }
}


/* Without memory for a record, all that is in the ring is given up. */

static void
ngx_chat_fanout_grow(ngx_chat_fanout_t *f, size_t size)
{
    u_char  *p;

    p = ngx_alloc(size, f->log);

    if (p == NULL) {
        ngx_log_error(NGX_LOG_ERR, f->log, 0,
                      "chat worker has no memory for an event of %uz bytes, "
                      "its subscribers are told to reconnect", size);

        ngx_chat_fanout_skip(f);
        ngx_chat_fanout_reconnect_all(f);
        return;
    }

    if (f->record) {
        ngx_free(f->record);
    }

    f->record = p;
    f->size = size;
}


/*
 * The ring was overwritten before this worker has read it, since publishers
 * don't wait for a slow worker.  Its subscribers have missed events.
 */

static void
ngx_chat_fanout_overrun(ngx_chat_fanout_t *f)
{
    ngx_log_error(NGX_LOG_ERR, f->log, 0,
                  "chat worker was overrun by events, its subscribers are "
                  "told to reconnect; a larger chat_zone gives more time");

    ngx_chat_count(NGX_CHAT_OVERRUNS_e, 1);
    ngx_chat_incident_note(NGX_CHAT_INCIDENT_RING_OVERRUN_e, NULL);

    ngx_chat_fanout_skip(f);

    ngx_chat_fanout_reconnect_all(f);
}


void
ngx_chat_fanout_reconnect_all(ngx_chat_fanout_t *f)
{
    ngx_uint_t           i, n;
    ngx_chat_channel_t  *ch;

    for (n = 0; n <= f->channels.mask; n++) {
        for (ch = f->channels.buckets[n]; ch; ch = ch->next) {
            for (i = 0; i < ch->n; i++) {
                f->handlers->missed(ch->listeners[i].subscriber);
            }
        }
    }
}


void
ngx_chat_fanout_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_chat_fanout(c->data);
}
