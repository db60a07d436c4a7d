
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Reads the ring, hands each event to its channel's subscribers.
 *
 * Events that follow one another on one channel are a run: they are put
 * together, and each subscriber gets the run by one call.
 *
 * The work of one turn is capped, whether it is many events or one for many
 * subscribers.  What is left is posted behind the sockets' events, so that
 * no client waits for the others' deliveries.  Nothing is read beyond a run
 * that is not given out to all, so each subscriber gets all in order, nor
 * while something is held back from the turn before, so that queues have a
 * bound.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <bus/ngx_chat_wakeup.h>
#include <fanout/ngx_chat_fanout.h>
#include <fanout/ngx_chat_loop.h>


#define NGX_CHAT_FANOUT_RECORDS  256        /* most records in one turn */
#define NGX_CHAT_FANOUT_COST     16384      /* and most work, about: */
#define NGX_CHAT_FANOUT_SMALL    1024       /* goes beyond that in one go */
#define NGX_CHAT_FANOUT_ANSWER   32         /* calls publishers wait for */
#define NGX_CHAT_FANOUT_SEND     32         /* of a call for a subscriber */
#define NGX_CHAT_FANOUT_HOLD     4          /* of holding back for one */
#define NGX_CHAT_FANOUT_COPY     1          /* of an event for one */
#define NGX_CHAT_FANOUT_USEC     3          /* work of a microsecond */
#define NGX_CHAT_FANOUT_FETCH    12         /* listeners, of a run to come */
#define NGX_CHAT_FANOUT_LINE     4          /* of them in a line of the cache */


/* What this turn has done so far. */

typedef struct {
    ngx_chat_hub_t         *hub;
    ngx_uint_t              runs;          /* given out, or begun to be */
    ngx_uint_t              cost;
    ngx_uint_t              calls;         /* for subscribers */
    ngx_uint_t              answered;      /* publishers have their answers */
} ngx_chat_fanout_turn_t;


#define ngx_chat_fanout_is_full(turn)  ((turn)->cost >= NGX_CHAT_FANOUT_COST)


static ngx_int_t ngx_chat_fanout_left(ngx_chat_fanout_turn_t *turn);
static ngx_int_t ngx_chat_fanout_read(ngx_chat_fanout_turn_t *turn);
static ngx_int_t ngx_chat_fanout_flush(ngx_chat_fanout_turn_t *turn);
static void ngx_chat_fanout_answer(ngx_chat_fanout_turn_t *turn);
static ngx_int_t ngx_chat_fanout_record(ngx_chat_fanout_turn_t *turn,
    uint64_t at, size_t len);
static void ngx_chat_fanout_fetch(ngx_chat_channel_t *ch);
static ngx_uint_t ngx_chat_fanout_extend(ngx_chat_hub_t *hub,
    ngx_chat_channel_t *ch, ngx_chat_envelope_t *e);
static void ngx_chat_fanout_begin(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch,
    ngx_chat_envelope_t *e, uint64_t at);
static ngx_int_t ngx_chat_fanout_end(ngx_chat_fanout_turn_t *turn,
    ngx_uint_t more);
static void ngx_chat_fanout_give(ngx_chat_fanout_turn_t *turn, ngx_uint_t more);
static void ngx_chat_fanout_terminate(ngx_chat_hub_t *hub,
    ngx_chat_channel_t *ch, uint64_t at);
static void ngx_chat_fanout_grow(ngx_chat_hub_t *hub, size_t size);
static void ngx_chat_fanout_overrun(ngx_chat_hub_t *hub);


void
ngx_chat_fanout(ngx_chat_hub_t *hub)
{
    ngx_int_t               rc;
    ngx_chat_fanout_turn_t  turn;

    /* posted: comes by itself, behind the sockets' events */

    if (hub->slot == NULL || hub->drain.posted) {
        return;
    }

    ngx_chat_wakeup_clear(&hub->zone->wakeups->wakeups[0]);

    turn.hub = hub;
    turn.runs = 0;
    turn.cost = 0;
    turn.calls = 0;
    turn.answered = (hub->answer == NULL);

    hub->turn++;

    rc = ngx_chat_fanout_left(&turn);

    if (rc == NGX_OK) {
        rc = ngx_chat_fanout_read(&turn);

        if (ngx_chat_fanout_flush(&turn) != NGX_OK) {
            rc = NGX_AGAIN;
        }
    }

    ngx_chat_loop_add(turn.cost / NGX_CHAT_FANOUT_USEC);

    hub->slot->position = hub->run.channel ? hub->run.at : hub->position;
    ngx_chat_fanout_settle(hub);

    if (rc != NGX_DONE) {
        ngx_post_event(&hub->drain, &ngx_posted_next_events);
    }
}


void
ngx_chat_fanout_forget(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch)
{
    if (ch != NULL && ch == hub->run.channel) {
        ch->given = 0;
        hub->run.channel = NULL;
        hub->handlers->release(hub->run.events);
    }
}


/*
 * What earlier turns have left.  NGX_OK: nothing; NGX_AGAIN: no more in this
 * turn.  A run that ends is all of its turn: meanwhile more may come for the
 * same subscribers, and leaves by one call then.
 */

static ngx_int_t
ngx_chat_fanout_left(ngx_chat_fanout_turn_t *turn)
{
    if (turn->hub->held && ngx_chat_fanout_flush(turn) != NGX_OK) {
        return NGX_AGAIN;
    }

    if (turn->hub->run.channel == NULL) {
        return NGX_OK;
    }

    (void) ngx_chat_fanout_end(turn, 0);

    return NGX_AGAIN;
}


/* NGX_DONE: all is given out; otherwise there may be more. */

static ngx_int_t
ngx_chat_fanout_read(ngx_chat_fanout_turn_t *turn)
{
    size_t           len;
    uint64_t         at;
    ngx_int_t        rc;
    ngx_uint_t       n;
    ngx_chat_hub_t  *hub;

    hub = turn->hub;
    rc = NGX_OK;

    for (n = 0;
         rc == NGX_OK
         && n < NGX_CHAT_FANOUT_RECORDS && !ngx_chat_fanout_is_full(turn);
         n++)
    {
        rc = ngx_chat_ring_read(hub->zone->sh->ring, &hub->position, &at,
                                hub->record, hub->size, &len);

        if (rc == NGX_OK) {
            rc = ngx_chat_fanout_record(turn, at, len);

        } else if (rc == NGX_AGAIN) {
            ngx_chat_fanout_grow(hub, len);
            rc = NGX_OK;

        } else if (rc == NGX_DECLINED) {
            ngx_chat_fanout_overrun(hub);
            rc = NGX_OK;
        }
    }

    /* where one run is all, it is sent at once, else all leave together */

    if (rc != NGX_AGAIN && ngx_chat_fanout_end(turn, turn->runs) != NGX_OK) {
        return NGX_AGAIN;
    }

    return rc;
}


/*
 * NGX_OK; NGX_AGAIN: the run before it takes all that is left of this turn,
 * and the record is to be read once more.
 */

static ngx_int_t
ngx_chat_fanout_record(ngx_chat_fanout_turn_t *turn, uint64_t at, size_t len)
{
    uint32_t              hash;
    ngx_chat_hub_t       *hub;
    ngx_chat_channel_t   *ch;
    ngx_chat_envelope_t   e;

    hub = turn->hub;

    if (ngx_chat_envelope_unpack(&e, hub->record, len) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, hub->log, 0,
                      "chat ring has a broken record of %uz bytes", len);
        ngx_chat_fanout_overrun(hub);
        return NGX_OK;
    }

    hash = ngx_chat_registry_hash(hub->zone, e.app, &e.channel);

    ch = ngx_chat_channel_find(&hub->channels, e.app, hash, &e.channel);
    if (ch == NULL) {
        return NGX_OK;
    }

    if (e.type != NGX_CHAT_ENVELOPE_TERMINATE_e
        && ngx_chat_fanout_extend(hub, ch, &e))
    {
        return NGX_OK;
    }

    ngx_chat_fanout_fetch(ch);

    if (ngx_chat_fanout_end(turn, 1) != NGX_OK) {
        hub->position = at;
        return NGX_AGAIN;
    }

    if (e.type == NGX_CHAT_ENVELOPE_TERMINATE_e) {
        ngx_chat_fanout_terminate(hub, ch, at);

    } else {
        ngx_chat_fanout_begin(hub, ch, &e, at);
    }

    return NGX_OK;
}


/* Where the channel's listeners are: read while the run before is sent. */

static void
ngx_chat_fanout_fetch(ngx_chat_channel_t *ch)
{
    ngx_uint_t  i, n;

    n = ngx_min(ch->n, NGX_CHAT_FANOUT_FETCH);

    for (i = 0; i < n; i += NGX_CHAT_FANOUT_LINE) {
        __builtin_prefetch(&ch->listeners[i]);
    }

    if (n) {
        __builtin_prefetch(&ch->listeners[n - 1]);
    }
}


/* 1 where the event goes to exactly those who get the run, and is part of it
   now. */

static ngx_uint_t
ngx_chat_fanout_extend(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch,
    ngx_chat_envelope_t *e)
{
    ngx_chat_hub_run_t  *run;

    run = &hub->run;

    if (ch != run->channel
        || run->at < ch->start
        || run->except.high
        || e->except.high)
    {
        return 0;
    }

    if (hub->handlers->extend(&run->events, e, hub->log) != NGX_OK) {
        return 0;
    }

    run->n++;

    return 1;
}


static void
ngx_chat_fanout_begin(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch,
    ngx_chat_envelope_t *e, uint64_t at)
{
    ngx_uint_t           i;
    ngx_chat_hub_run_t  *run;

    run = &hub->run;

    if (ch->n) {
        __builtin_prefetch(ch->listeners[0].subscriber);
    }

    run->events = hub->handlers->render(e, hub->log);

    if (run->events == NULL) {
        /* each of them would miss an event */
        for (i = 0; i < ch->n; i++) {
            hub->handlers->overrun(ch->listeners[i].subscriber);
        }

        return;
    }

    run->channel = ch;
    run->n = 1;
    run->at = at;
    run->except = e->except;
}


/*
 * Gives the run out, to as many as this turn still may.  NGX_OK: all have it,
 * or there was none; NGX_AGAIN: the next turn goes on.
 */

static ngx_int_t
ngx_chat_fanout_end(ngx_chat_fanout_turn_t *turn, ngx_uint_t more)
{
    ngx_chat_channel_t  *ch;

    ch = turn->hub->run.channel;

    if (ch == NULL) {
        return NGX_OK;
    }

    ngx_chat_fanout_give(turn, more);

    if (ch->given < ch->n) {
        return NGX_AGAIN;
    }

    ngx_chat_fanout_forget(turn->hub, ch);

    return NGX_OK;
}


/*
 * Where more is to come in this turn, a subscriber's events are held back, so
 * that they leave by one call; but not the first run of one who listens to
 * nothing else, for whom it most likely is all, unless it would take the turn
 * from the others' runs.  A run for a few goes to all of them, even if the
 * turn gets a little longer: what is held back costs more.
 */

static void
ngx_chat_fanout_give(ngx_chat_fanout_turn_t *turn, ngx_uint_t more)
{
    ngx_uint_t              i, n, cost, hold, hold_all, whole;
    ngx_chat_hub_t         *hub;
    ngx_chat_channel_t     *ch;
    ngx_chat_hub_run_t     *run;
    ngx_chat_subscriber_t  *sr;

    hub = turn->hub;
    run = &hub->run;
    ch = run->channel;

    cost = (ch->n - ch->given) * NGX_CHAT_FANOUT_SEND;

    whole = (cost <= NGX_CHAT_FANOUT_SMALL);
    hold_all = (ch->turn == hub->turn
                || (!whole && turn->cost + cost > NGX_CHAT_FANOUT_COST));
    ch->turn = hub->turn;

    n = 0;

    for (i = ch->given;
         i < ch->n && (whole || !ngx_chat_fanout_is_full(turn));
         i++)
    {
        sr = ch->listeners[i].subscriber;
        turn->cost += run->n * NGX_CHAT_FANOUT_COPY;

        /* they lie all over the memory: fetched while this one is sent to;
           so is the list's next line, of four */

        if (i + 1 < ch->n) {
            __builtin_prefetch(ch->listeners[i + 1].subscriber);
        }

        if (i + 6 < ch->n) {
            __builtin_prefetch(&ch->listeners[i + 6]);
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

        hold = more && (hold_all || sr->nsubscriptions != 1);
        turn->cost += hold ? NGX_CHAT_FANOUT_HOLD : NGX_CHAT_FANOUT_SEND;

        hub->handlers->deliver(sr, run->events, hold);
        n++;

        turn->calls += !hold;
        ngx_chat_fanout_answer(turn);
    }

    ch->given = i;
    turn->runs++;

    ngx_chat_count(NGX_CHAT_DELIVERIES_e, n * run->n);
}


/* NGX_OK: nothing is held back; NGX_AGAIN: something may be. */

static ngx_int_t
ngx_chat_fanout_flush(ngx_chat_fanout_turn_t *turn)
{
    ngx_uint_t  n, max;

    max = ngx_chat_fanout_is_full(turn)
          ? 0 : (NGX_CHAT_FANOUT_COST - turn->cost) / NGX_CHAT_FANOUT_SEND;

    n = 0;

    if (!turn->answered) {
        n = turn->hub->handlers->flush(ngx_min(max, NGX_CHAT_FANOUT_ANSWER));

        turn->calls += n;
        ngx_chat_fanout_answer(turn);
    }

    n += turn->hub->handlers->flush(max - n);

    turn->cost += n * NGX_CHAT_FANOUT_SEND;
    turn->hub->held = (n == max);

    return (n == max) ? NGX_AGAIN : NGX_OK;
}


/* In the midst of a long turn.  In a short one they come behind it. */

static void
ngx_chat_fanout_answer(ngx_chat_fanout_turn_t *turn)
{
    if (!turn->answered && turn->calls >= NGX_CHAT_FANOUT_ANSWER) {
        turn->answered = 1;
        turn->hub->answer();
    }
}


/* Those who came later have come again, and may stay. */

static void
ngx_chat_fanout_terminate(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch,
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
ngx_chat_fanout_grow(ngx_chat_hub_t *hub, size_t size)
{
    u_char  *p;

    p = ngx_alloc(size, hub->log);

    if (p == NULL) {
        hub->position = ngx_chat_ring_head(hub->zone->sh->ring);
        ngx_chat_fanout_overrun(hub);
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
ngx_chat_fanout_overrun(ngx_chat_hub_t *hub)
{
    ngx_log_error(NGX_LOG_ERR, hub->log, 0,
                  "chat worker was overrun by events, its subscribers are "
                  "told to reconnect; a larger chat_zone gives more time");

    ngx_chat_count(NGX_CHAT_OVERRUNS_e, 1);

    ngx_chat_fanout_away(hub);
}


void
ngx_chat_fanout_away(ngx_chat_hub_t *hub)
{
    ngx_uint_t           i, n;
    ngx_chat_channel_t  *ch;

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
ngx_chat_fanout_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_chat_fanout(c->data);
}
