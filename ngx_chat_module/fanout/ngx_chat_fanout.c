
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Reads the ring, hands each event to its channel's subscribers.
 *
 * Events that follow one another on one channel are a run: they are put
 * together, and each subscriber gets the run by one call.
 *
 * The work of one pass has a bound, whether it is many events or one event for
 * many subscribers.  The rest is left for the next turn of the event loop,
 * behind the sockets' events, so that no client waits for the others'
 * deliveries.  Nothing is read beyond a run that has not been given to all its
 * subscribers, so that each of them gets its events in order.  Nor is anything
 * read while the pass before has left events held back, so that queues have a
 * bound.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <bus/ngx_chat_wakeup.h>
#include <fanout/ngx_chat_fanout.h>
#include <fanout/ngx_chat_loop.h>


#define NGX_CHAT_FANOUT_RECORDS  256        /* most records in one pass */
#define NGX_CHAT_FANOUT_COST     16384      /* and most work, about: */
#define NGX_CHAT_FANOUT_SMALL    1024       /* goes beyond that in one go */
#define NGX_CHAT_FANOUT_SEND     32         /* of a call for a subscriber */
#define NGX_CHAT_FANOUT_HOLD     4          /* of holding back for one */
#define NGX_CHAT_FANOUT_COPY     1          /* of an event for one */
#define NGX_CHAT_FANOUT_USEC     3          /* work of a microsecond */


/* What this pass has done so far. */

typedef struct {
    ngx_chat_fanout_t      *fanout;
    ngx_uint_t              runs;          /* given out, or begun to be */
    ngx_uint_t              cost;
} ngx_chat_fanout_pass_t;


#define ngx_chat_fanout_is_full(pass)  ((pass)->cost >= NGX_CHAT_FANOUT_COST)


static void ngx_chat_fanout_tell(ngx_chat_fanout_t *f);
static ngx_int_t ngx_chat_fanout_left(ngx_chat_fanout_pass_t *pass);
static ngx_int_t ngx_chat_fanout_read(ngx_chat_fanout_pass_t *pass);
static ngx_int_t ngx_chat_fanout_flush(ngx_chat_fanout_pass_t *pass);
static ngx_int_t ngx_chat_fanout_record(ngx_chat_fanout_pass_t *pass,
    uint64_t at, size_t len);
static ngx_uint_t ngx_chat_fanout_extend(ngx_chat_fanout_t *f,
    ngx_chat_channel_t *ch, ngx_chat_envelope_t *e);
static void ngx_chat_fanout_begin(ngx_chat_fanout_t *f, ngx_chat_channel_t *ch,
    ngx_chat_envelope_t *e, uint64_t at);
static ngx_int_t ngx_chat_fanout_end(ngx_chat_fanout_pass_t *pass,
    ngx_uint_t more);
static void ngx_chat_fanout_give(ngx_chat_fanout_pass_t *pass, ngx_uint_t more);
static void ngx_chat_fanout_terminate(ngx_chat_fanout_t *f,
    ngx_chat_channel_t *ch, uint64_t at);
static void ngx_chat_fanout_grow(ngx_chat_fanout_t *f, size_t size);
static void ngx_chat_fanout_overrun(ngx_chat_fanout_t *f);


void
ngx_chat_fanout(ngx_chat_fanout_t *f)
{
    ngx_int_t               rc;
    ngx_chat_fanout_pass_t  pass;

    /* what is posted comes by itself */

    if (f->slot == NULL || f->event.posted) {
        return;
    }

    ngx_chat_wakeup_clear(&f->zone->wakeups->wakeups[0]);

    pass.fanout = f;
    pass.runs = 0;
    pass.cost = 0;

    f->pass++;

    rc = ngx_chat_fanout_left(&pass);

    if (rc == NGX_OK) {
        rc = ngx_chat_fanout_read(&pass);

        if (ngx_chat_fanout_flush(&pass) != NGX_OK) {
            rc = NGX_AGAIN;
        }
    }

    ngx_chat_loop_add(pass.cost / NGX_CHAT_FANOUT_USEC);

    ngx_chat_fanout_tell(f);

    if (rc != NGX_DONE) {
        ngx_post_event(&f->event, &ngx_posted_next_events);
    }
}


void
ngx_chat_fanout_post(ngx_chat_fanout_t *f)
{
    if (!f->event.posted) {
        ngx_post_event(&f->event, &ngx_posted_events);
    }
}


/*
 * Tells how far this worker has come, and rouses those who wait for that.
 * They clear their flag and then look at the position; here the position is
 * written and then the flag is read.  What is held back is not delivered yet.
 */

static void
ngx_chat_fanout_tell(ngx_chat_fanout_t *f)
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

        if (&ws->wakeups[i] != f->wakeup
            && ngx_chat_wakeup_is_clear(&ws->wakeups[i]))
        {
            ngx_chat_wakeup_rouse(&ws->wakeups[i]);
        }
    }
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
 * Finishes what earlier passes have left.  NGX_OK: there was nothing, so that
 * records can be read; NGX_AGAIN: this pass ends here.  A pass that finishes a
 * run reads no records: what comes meanwhile for the same subscribers then
 * leaves by one call.
 */

static ngx_int_t
ngx_chat_fanout_left(ngx_chat_fanout_pass_t *pass)
{
    if (pass->fanout->held && ngx_chat_fanout_flush(pass) != NGX_OK) {
        return NGX_AGAIN;
    }

    if (pass->fanout->run.channel == NULL) {
        return NGX_OK;
    }

    (void) ngx_chat_fanout_end(pass, 0);

    return NGX_AGAIN;
}


/* NGX_DONE: all is given out; otherwise there may be more. */

static ngx_int_t
ngx_chat_fanout_read(ngx_chat_fanout_pass_t *pass)
{
    size_t           len;
    uint64_t         at;
    ngx_int_t        rc;
    ngx_uint_t       n;
    ngx_chat_fanout_t  *f;

    f = pass->fanout;
    rc = NGX_OK;

    for (n = 0;
         rc == NGX_OK
         && n < NGX_CHAT_FANOUT_RECORDS && !ngx_chat_fanout_is_full(pass);
         n++)
    {
        rc = ngx_chat_ring_read(f->zone->sh->ring, &f->position, &at,
                                f->record, f->size, &len);

        if (rc == NGX_OK) {
            rc = ngx_chat_fanout_record(pass, at, len);

        } else if (rc == NGX_AGAIN) {
            ngx_chat_fanout_grow(f, len);
            rc = NGX_OK;

        } else if (rc == NGX_DECLINED) {
            ngx_chat_fanout_overrun(f);
            rc = NGX_OK;
        }
    }

    /* where one run is all, it is sent at once, else all leave together */

    if (rc != NGX_AGAIN && ngx_chat_fanout_end(pass, pass->runs) != NGX_OK) {
        return NGX_AGAIN;
    }

    return rc;
}


/*
 * NGX_OK; NGX_AGAIN: the run before it takes all that is left of this pass,
 * and the record is to be read once more.
 */

static ngx_int_t
ngx_chat_fanout_record(ngx_chat_fanout_pass_t *pass, uint64_t at, size_t len)
{
    uint32_t              hash;
    ngx_chat_fanout_t       *f;
    ngx_chat_channel_t   *ch;
    ngx_chat_envelope_t   e;

    f = pass->fanout;

    if (ngx_chat_envelope_unpack(&e, f->record, len) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, f->log, 0,
                      "chat ring has a broken record of %uz bytes", len);
        ngx_chat_fanout_overrun(f);
        return NGX_OK;
    }

    hash = ngx_chat_registry_hash(f->zone, e.app, &e.channel);

    ch = ngx_chat_channel_find(&f->channels, e.app, hash, &e.channel);
    if (ch == NULL) {
        return NGX_OK;
    }

    if (e.type != NGX_CHAT_ENVELOPE_TERMINATE_e
        && ngx_chat_fanout_extend(f, ch, &e))
    {
        return NGX_OK;
    }

    if (ngx_chat_fanout_end(pass, 1) != NGX_OK) {
        f->position = at;
        return NGX_AGAIN;
    }

    if (e.type == NGX_CHAT_ENVELOPE_TERMINATE_e) {
        ngx_chat_fanout_terminate(f, ch, at);

    } else {
        ngx_chat_fanout_begin(f, ch, &e, at);
    }

    return NGX_OK;
}


/* 1 where the event goes to exactly those who get the run, and is part of it
   now. */

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
    ngx_uint_t           i;
    ngx_chat_fanout_run_t  *run;

    run = &f->run;

    run->events = f->handlers->render(e, f->log);

    if (run->events == NULL) {
        /* each of them would miss an event */
        for (i = 0; i < ch->n; i++) {
            f->handlers->overrun(ch->listeners[i].subscriber);
        }

        return;
    }

    run->channel = ch;
    run->n = 1;
    run->at = at;
    run->except = e->except;
}


/*
 * Gives the run to as many subscribers as this pass still may.  NGX_OK: all
 * have it, or there was no run; NGX_AGAIN: the next pass goes on.
 */

static ngx_int_t
ngx_chat_fanout_end(ngx_chat_fanout_pass_t *pass, ngx_uint_t more)
{
    ngx_chat_channel_t  *ch;

    ch = pass->fanout->run.channel;

    if (ch == NULL) {
        return NGX_OK;
    }

    ngx_chat_fanout_give(pass, more);

    if (ch->given < ch->n) {
        return NGX_AGAIN;
    }

    ngx_chat_fanout_forget(pass->fanout, ch);

    return NGX_OK;
}


/*
 * Where more runs follow in this pass, a subscriber's events are held back, so
 * that they leave by one call at its end.  Somebody with one subscription gets
 * the first run of a pass at once: most likely it is all there is for him.
 * But a large run that would use up the pass is held back for everybody.  A
 * small run is given to all, even if the pass becomes a little longer.
 */

static void
ngx_chat_fanout_give(ngx_chat_fanout_pass_t *pass, ngx_uint_t more)
{
    ngx_uint_t              i, n, cost, hold, hold_all, whole;
    ngx_chat_fanout_t      *f;
    ngx_chat_channel_t     *ch;
    ngx_chat_fanout_run_t     *run;
    ngx_chat_subscriber_t  *sr;

    f = pass->fanout;
    run = &f->run;
    ch = run->channel;

    cost = (ch->n - ch->given) * NGX_CHAT_FANOUT_SEND;

    whole = (cost <= NGX_CHAT_FANOUT_SMALL);
    hold_all = (ch->pass == f->pass
                || (!whole && pass->cost + cost > NGX_CHAT_FANOUT_COST));
    ch->pass = f->pass;

    n = 0;

    for (i = ch->given;
         i < ch->n && (whole || !ngx_chat_fanout_is_full(pass));
         i++)
    {
        sr = ch->listeners[i].subscriber;
        pass->cost += run->n * NGX_CHAT_FANOUT_COPY;

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

        hold = more && (hold_all || sr->nsubscriptions != 1);
        pass->cost += hold ? NGX_CHAT_FANOUT_HOLD : NGX_CHAT_FANOUT_SEND;

        f->handlers->deliver(sr, run->events, hold);
        n++;
    }

    ch->given = i;
    pass->runs++;

    ngx_chat_count(NGX_CHAT_DELIVERIES_e, n * run->n);
}


/* NGX_OK: nothing is held back; NGX_AGAIN: something may be. */

static ngx_int_t
ngx_chat_fanout_flush(ngx_chat_fanout_pass_t *pass)
{
    ngx_uint_t  n, max;

    max = ngx_chat_fanout_is_full(pass)
          ? 0 : (NGX_CHAT_FANOUT_COST - pass->cost) / NGX_CHAT_FANOUT_SEND;

    n = pass->fanout->handlers->flush(max);

    pass->cost += n * NGX_CHAT_FANOUT_SEND;
    pass->fanout->held = (n == max);

    return (n == max) ? NGX_AGAIN : NGX_OK;
}


/*
 * Ends the subscribers who were there when the user was terminated.  Whoever
 * subscribed behind that may stay.
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


/* Without the memory the events can't be read: as bad as overrun. */

static void
ngx_chat_fanout_grow(ngx_chat_fanout_t *f, size_t size)
{
    u_char  *p;

    p = ngx_alloc(size, f->log);

    if (p == NULL) {
        f->position = ngx_chat_ring_head(f->zone->sh->ring);
        ngx_chat_fanout_overrun(f);
        return;
    }

    if (f->record) {
        ngx_free(f->record);
    }

    f->record = p;
    f->size = size;
}


/* Nobody waits for a slow worker; its subscribers are told that they missed. */

static void
ngx_chat_fanout_overrun(ngx_chat_fanout_t *f)
{
    ngx_log_error(NGX_LOG_ERR, f->log, 0,
                  "chat worker was overrun by events, its subscribers are "
                  "told to reconnect; a larger chat_zone gives more time");

    ngx_chat_count(NGX_CHAT_OVERRUNS_e, 1);

    ngx_chat_fanout_away(f);
}


void
ngx_chat_fanout_away(ngx_chat_fanout_t *f)
{
    ngx_uint_t           i, n;
    ngx_chat_channel_t  *ch;

    for (n = 0; n <= f->channels.mask; n++) {
        for (ch = f->channels.buckets[n]; ch; ch = ch->next) {
            for (i = 0; i < ch->n; i++) {
                f->handlers->overrun(ch->listeners[i].subscriber);
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
