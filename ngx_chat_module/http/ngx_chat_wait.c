
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Requests that wait for deliveries.
 *
 * Behind its event: an answer leaves when each worker that has subscribers of
 * the channel has delivered past the event's place in the ring.  For this
 * worker that is so when its next pass is over, in this turn of the event loop
 * most of the time.  The others are waited for by a wake-up: this worker
 * clears its flag, looks at their positions, and is roused by whoever moves.
 * A worker that has not moved in 100 ms, as it is stopped, is stuck: nobody
 * waits for it until it moves.  Browsers read the answer and the event from
 * two connections, in any order, so a browser's answer is held back a little
 * longer.
 *
 * Before it publishes: nginx does all requests that it can read in one turn,
 * and a pass has a bound.  Without a wait, a few connections that pipeline
 * would have this worker fall a whole ring behind itself, and all of its
 * subscribers would be sent away.  Nobody waits here for another worker.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <fanout/ngx_chat_fanout.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_wait.h>
#include <shared/ngx_chat_counter.h>


#define NGX_CHAT_WAIT_BEHIND   131072  /* bytes of the ring not delivered */
#define NGX_CHAT_WAIT_RELEASE  64      /* requests of one turn that publish */
#define NGX_CHAT_WAIT_LIMIT    100     /* ms, of an answer */
#define NGX_CHAT_WAIT_POLL     10      /* ms, where nothing rouses */
#define NGX_CHAT_WAIT_BROWSER  5       /* ms more, of a browser's answer */


typedef struct {
    ngx_queue_t                queue;
    ngx_http_request_t        *request;    /* NULL: it does not wait */
    ngx_chat_wait_pt           handler;
    void                      *data;
    uint64_t                   position;   /* in the ring, to be passed */
    uint64_t                  *slots;      /* those that have not */
    ngx_msec_t                 end;        /* when it is over at the latest */
    unsigned                   browser:1;
    unsigned                   early:1;    /* it has waited in vain */
} ngx_chat_wait_t;


typedef enum {
    NGX_CHAT_WAIT_NOBODY_e = 0,
    NGX_CHAT_WAIT_SELF_e,
    NGX_CHAT_WAIT_OTHERS_e
} ngx_chat_wait_for_e;


static ngx_chat_wait_t *ngx_chat_wait_create(ngx_http_request_t *r,
    ngx_chat_wait_pt handler, void *data);
static void ngx_chat_wait_begin(ngx_chat_wait_t *w, ngx_queue_t *queue);
static void ngx_chat_wait_cleanup(void *data);
static void ngx_chat_wait_handler(ngx_event_t *ev);
static void ngx_chat_wait_browser_handler(ngx_event_t *ev);
static void ngx_chat_wait_deliveries(void);
static ngx_uint_t ngx_chat_wait_look(ngx_queue_t *ready);
static ngx_chat_wait_for_e ngx_chat_wait_pending(ngx_chat_wait_t *w);
static void ngx_chat_wait_arm(void);
static void ngx_chat_wait_publishers(void);
static ngx_uint_t ngx_chat_wait_is_behind(void);
static void ngx_chat_wait_again(void);
static void ngx_chat_wait_go_on(ngx_chat_wait_t *w);


#define ngx_chat_wait_stuck(slot)                                             \
    __atomic_load_n(&(slot)->stuck, __ATOMIC_RELAXED)


/* this worker's */
static ngx_chat_fanout_t  *ngx_chat_wait_fanout;
static ngx_queue_t        ngx_chat_wait_publish_queue;
static ngx_queue_t        ngx_chat_wait_delivery_queue;
static ngx_queue_t        ngx_chat_wait_browser_queue;
static ngx_event_t        ngx_chat_wait_event;
static ngx_event_t        ngx_chat_wait_browser_event;
static ngx_connection_t   ngx_chat_wait_dummy;


void
ngx_chat_wait_init(ngx_chat_fanout_t *fanout)
{
    ngx_chat_wait_fanout = fanout;

    ngx_queue_init(&ngx_chat_wait_publish_queue);
    ngx_queue_init(&ngx_chat_wait_delivery_queue);
    ngx_queue_init(&ngx_chat_wait_browser_queue);

    ngx_chat_wait_event.handler = ngx_chat_wait_handler;
    ngx_chat_wait_event.data = &ngx_chat_wait_dummy;
    ngx_chat_wait_event.log = ngx_cycle->log;

    ngx_chat_wait_browser_event.handler = ngx_chat_wait_browser_handler;
    ngx_chat_wait_browser_event.data = &ngx_chat_wait_dummy;
    ngx_chat_wait_browser_event.log = ngx_cycle->log;
}


void
ngx_chat_wait_exit(void)
{
    ngx_queue_t  *q;

    if (ngx_chat_wait_fanout == NULL) {
        return;
    }

    ngx_queue_add(&ngx_chat_wait_delivery_queue, &ngx_chat_wait_browser_queue);
    ngx_queue_init(&ngx_chat_wait_browser_queue);

    while (!ngx_queue_empty(&ngx_chat_wait_delivery_queue)) {
        q = ngx_queue_head(&ngx_chat_wait_delivery_queue);
        ngx_chat_wait_go_on(ngx_queue_data(q, ngx_chat_wait_t, queue));
    }

    ngx_chat_wait_fanout = NULL;
}


ngx_int_t
ngx_chat_wait_publish(ngx_http_request_t *r, ngx_chat_wait_pt handler,
    void *data)
{
    ngx_chat_wait_t  *w;

    if (ngx_queue_empty(&ngx_chat_wait_publish_queue)
        && !ngx_chat_wait_is_behind())
    {
        return handler(r, data);
    }

    w = ngx_chat_wait_create(r, handler, data);
    if (w == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    w->position = ngx_chat_ring_head(ngx_chat_wait_fanout->zone->sh->ring);

    ngx_chat_wait_begin(w, &ngx_chat_wait_publish_queue);

    return NGX_DONE;
}


uint64_t *
ngx_chat_wait_slots(ngx_http_request_t *r)
{
    ngx_uint_t  n;

    n = (ngx_chat_wait_fanout->zone->sh->nslots + 63) / 64;

    return ngx_pcalloc(r->pool, n * sizeof(uint64_t));
}


ngx_int_t
ngx_chat_wait_delivery(ngx_http_request_t *r, uint64_t *slots,
    uint64_t position, ngx_chat_wait_pt handler, void *data)
{
    ngx_str_t         origin;
    ngx_uint_t        i, n;
    ngx_chat_wait_t  *w;

    n = (ngx_chat_wait_fanout->zone->sh->nslots + 63) / 64;

    for (i = 0; i < n; i++) {
        if (slots[i]) {
            break;
        }
    }

    if (i == n) {
        return handler(r, data);
    }

    w = ngx_chat_wait_create(r, handler, data);
    if (w == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    w->position = position;
    w->slots = slots;
    w->end = ngx_current_msec + NGX_CHAT_WAIT_LIMIT;
    w->browser = (ngx_chat_request_header(r, "origin", &origin) == NGX_OK);

    ngx_chat_wait_begin(w, &ngx_chat_wait_delivery_queue);

    /* this worker delivers in this turn, and then the queue is looked at */

    ngx_chat_fanout_post(ngx_chat_wait_fanout);

    return NGX_DONE;
}


static ngx_chat_wait_t *
ngx_chat_wait_create(ngx_http_request_t *r, ngx_chat_wait_pt handler,
    void *data)
{
    ngx_chat_wait_t     *w;
    ngx_http_cleanup_t  *cln;

    w = ngx_pcalloc(r->pool, sizeof(ngx_chat_wait_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (w == NULL || cln == NULL) {
        return NULL;
    }

    w->handler = handler;
    w->data = data;

    cln->handler = ngx_chat_wait_cleanup;
    cln->data = w;

    w->request = r;
    ngx_queue_init(&w->queue);

    return w;
}


static void
ngx_chat_wait_begin(ngx_chat_wait_t *w, ngx_queue_t *queue)
{
    ngx_http_request_t  *r;

    r = w->request;

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    r->main->count++;

    ngx_queue_insert_tail(queue, &w->queue);

    if (!ngx_chat_wait_event.posted) {
        ngx_post_event(&ngx_chat_wait_event, &ngx_posted_events);
    }
}


static void
ngx_chat_wait_cleanup(void *data)
{
    ngx_chat_wait_t *w = data;

    if (w->request) {
        ngx_queue_remove(&w->queue);
        w->request = NULL;
    }
}


/* Posted, or the timer, or another worker has moved. */

static void
ngx_chat_wait_handler(ngx_event_t *ev)
{
    ngx_chat_wait_deliveries();
    ngx_chat_wait_publishers();
    ngx_chat_wait_again();
}


static void
ngx_chat_wait_browser_handler(ngx_event_t *ev)
{
    ngx_queue_t      *q;
    ngx_chat_wait_t  *w;

    while (!ngx_queue_empty(&ngx_chat_wait_browser_queue)) {

        q = ngx_queue_head(&ngx_chat_wait_browser_queue);
        w = ngx_queue_data(q, ngx_chat_wait_t, queue);

        if ((ngx_msec_int_t) (w->end - ngx_current_msec) > 0) {
            ngx_add_timer(ev, w->end - ngx_current_msec);
            return;
        }

        ngx_chat_wait_go_on(w);
    }
}


/*
 * Requests go on when the whole queue has been looked at: whatever nginx does
 * then with a connection may end other requests of the queue.
 */

static void
ngx_chat_wait_deliveries(void)
{
    ngx_queue_t       ready, *q;
    ngx_chat_wait_t  *w;

    ngx_queue_init(&ready);

    if (ngx_chat_wait_look(&ready)) {

        /* others may have moved before the flag was clear */

        ngx_chat_wait_arm();
        (void) ngx_chat_wait_look(&ready);
    }

    while (!ngx_queue_empty(&ready)) {
        q = ngx_queue_head(&ready);
        w = ngx_queue_data(q, ngx_chat_wait_t, queue);

        if (!w->browser) {
            ngx_chat_wait_go_on(w);
            continue;
        }

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&ngx_chat_wait_browser_queue, q);

        w->end = ngx_current_msec + NGX_CHAT_WAIT_BROWSER;

        if (!ngx_chat_wait_browser_event.timer_set) {
            ngx_add_timer(&ngx_chat_wait_browser_event, NGX_CHAT_WAIT_BROWSER);
        }
    }
}


/*
 * Moves the requests that need not wait any more to ready.  Returns 1 where
 * one of those left waits for another worker.
 */

static ngx_uint_t
ngx_chat_wait_look(ngx_queue_t *ready)
{
    ngx_uint_t        others;
    ngx_queue_t      *q, *next;
    ngx_chat_wait_t  *w;

    others = 0;

    for (q = ngx_queue_head(&ngx_chat_wait_delivery_queue);
         q != ngx_queue_sentinel(&ngx_chat_wait_delivery_queue);
         q = next)
    {
        next = ngx_queue_next(q);
        w = ngx_queue_data(q, ngx_chat_wait_t, queue);

        switch (ngx_chat_wait_pending(w)) {

        case NGX_CHAT_WAIT_OTHERS_e:
            others = 1;
            break;

        case NGX_CHAT_WAIT_SELF_e:
            break;

        default: /* NGX_CHAT_WAIT_NOBODY_e */
            ngx_queue_remove(q);
            ngx_queue_insert_tail(ready, q);
        }
    }

    return others;
}


/* Whose deliveries the request still waits for. */

static ngx_chat_wait_for_e
ngx_chat_wait_pending(ngx_chat_wait_t *w)
{
    uint64_t             bits, position;
    ngx_uint_t           i, late;
    ngx_chat_zone_sh_t  *sh;
    ngx_chat_slot_sh_t  *slot;
    ngx_chat_wait_for_e  rc;

    sh = ngx_chat_wait_fanout->zone->sh;
    late = ((ngx_msec_int_t) (w->end - ngx_current_msec) <= 0);
    rc = NGX_CHAT_WAIT_NOBODY_e;

    for (i = 0; i < sh->nslots; i += 64) {

        /* the lowest bit first */

        for (bits = w->slots[i / 64]; bits; bits &= bits - 1) {

            slot = &sh->slots[i + __builtin_ctzll(bits)];
            position = __atomic_load_n(&slot->position, __ATOMIC_ACQUIRE);

            if (position < w->position
                && ngx_chat_wait_stuck(slot) != position + 1)
            {
                if (late) {
                    __atomic_store_n(&slot->stuck, position + 1,
                                     __ATOMIC_RELAXED);
                    w->early = 1;

                } else if (slot != ngx_chat_wait_fanout->slot) {
                    return NGX_CHAT_WAIT_OTHERS_e;

                } else {
                    rc = NGX_CHAT_WAIT_SELF_e;
                    continue;
                }
            }

            w->slots[i / 64] &= ~(bits & -bits);
        }
    }

    return rc;
}


/* Has this worker roused when another one moves. */

static void
ngx_chat_wait_arm(void)
{
    ngx_uint_t           i;
    ngx_chat_fanout_t   *f;
    ngx_chat_wakeups_t  *ws;

    f = ngx_chat_wait_fanout;
    ws = f->zone->wakeups;

    if (f->wakeup == NULL && f->slot) {

        /* the first wake-up is the ring's */

        i = 1 + (f->slot - f->zone->sh->slots) % (ws->n - 1);

        if (ngx_chat_wakeup_add(&ws->wakeups[i], (ngx_cycle_t *) ngx_cycle,
                                ngx_chat_wait_handler, NULL)
            == NGX_OK)
        {
            f->wakeup = &ws->wakeups[i];
        }
    }

    if (f->wakeup) {
        ngx_chat_wakeup_clear(f->wakeup);
    }
}


/*
 * Lets requests publish up to where this worker is behind again.  Those that
 * publish nothing have a bound of their own.  Where this worker stays behind,
 * as others publish all the time, one request goes on when all is delivered
 * that was there when it came.
 */

static void
ngx_chat_wait_publishers(void)
{
    ngx_uint_t        n, behind;
    ngx_queue_t      *q;
    ngx_chat_wait_t  *w;

    behind = 0;

    for (n = 0; n < NGX_CHAT_WAIT_RELEASE && !behind; n++) {

        if (ngx_queue_empty(&ngx_chat_wait_publish_queue)) {
            return;
        }

        q = ngx_queue_head(&ngx_chat_wait_publish_queue);
        w = ngx_queue_data(q, ngx_chat_wait_t, queue);

        behind = ngx_chat_wait_is_behind();

        if (behind && ngx_chat_wait_fanout->slot->position < w->position) {
            return;
        }

        ngx_chat_wait_go_on(w);
    }
}


static ngx_uint_t
ngx_chat_wait_is_behind(void)
{
    ngx_chat_fanout_t  *f;

    f = ngx_chat_wait_fanout;

    return f->slot
           && ngx_chat_ring_head(f->zone->sh->ring) - f->slot->position
              > NGX_CHAT_WAIT_BEHIND;
}


/*
 * Sees to it that the queues are looked at again.  While this worker has to
 * deliver, it does so in the next turn, and the look comes behind it.  The
 * timer is the limit of answers, and keeps a worker that leaves.
 */

static void
ngx_chat_wait_again(void)
{
    ngx_event_t      *ev;
    ngx_msec_int_t    left;
    ngx_queue_t      *q;
    ngx_chat_wait_t  *w;

    ev = &ngx_chat_wait_event;

    if (ngx_queue_empty(&ngx_chat_wait_delivery_queue)
        && ngx_queue_empty(&ngx_chat_wait_publish_queue))
    {
        return;
    }

    if (!ev->timer_set) {
        left = ngx_chat_wait_fanout->wakeup ? NGX_CHAT_WAIT_LIMIT
                                         : NGX_CHAT_WAIT_POLL;

        if (!ngx_queue_empty(&ngx_chat_wait_delivery_queue)) {
            q = ngx_queue_head(&ngx_chat_wait_delivery_queue);
            w = ngx_queue_data(q, ngx_chat_wait_t, queue);

            left = ngx_min(left, (ngx_msec_int_t) (w->end - ngx_current_msec));
        }

        ngx_add_timer(ev, (ngx_msec_t) ngx_max(left, 1));
    }

    if (!ev->posted
        && (ngx_chat_wait_fanout->event.posted
            || !ngx_queue_empty(&ngx_chat_wait_publish_queue)))
    {
        ngx_post_event(ev, &ngx_posted_next_events);
    }
}


static void
ngx_chat_wait_go_on(ngx_chat_wait_t *w)
{
    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = w->request;
    c = r->connection;

    if (w->early) {
        ngx_chat_count(NGX_CHAT_EARLY_e, 1);
    }

    ngx_chat_wait_cleanup(w);

    ngx_http_set_log_request(c->log, r);

    rc = w->handler(r, w->data);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}
