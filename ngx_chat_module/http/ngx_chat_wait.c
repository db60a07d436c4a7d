
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Requests that wait for deliveries.  All of this runs on the event loop.
 *
 * A request that has published waits until each worker that has subscribers
 * of the channel has delivered past the event's place in the ring.  This
 * worker has mostly done so in the next turn of the event loop.  For the others
 * there is a wake-up: this worker clears its flag, looks at their positions,
 * and is roused by the next worker that moves.  A worker that has not moved for
 * 100 ms is stuck, as it may be stopped: nobody waits for it until it moves
 * again.
 *
 * Browsers read the answer and the event from two connections, in any order, so
 * an answer to a browser is held back for some ms more.  Chromium with
 * XMLHttpRequest handled the answer first in 8 to 15 of 100 cases with 5 ms, in
 * 1 of 800 with 20 ms, in 1 of 1,600 with 30 (two cores, all of them busy;
 * t/e2e/answer.test.mjs measures it).
 *
 * Where nginx has read the next request of an HTTP/1.x connection already, the
 * answer does not wait: nginx would not go on before it has left, and the
 * client has not waited for it either.
 *
 * A request that is about to publish waits while this worker is behind with
 * its own deliveries.  nginx handles all requests that it can read in one
 * turn, and a pass is limited.  Without the wait, a few connections that
 * pipeline requests would make this worker fall behind by a whole ring, and
 * all of its subscribers would be sent away.  Nobody waits for another worker
 * here.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <fanout/ngx_chat_fanout.h>
#include <http/ngx_chat_wait.h>
#include <shared/ngx_chat_counter.h>


#define NGX_CHAT_WAIT_BEHIND   131072  /* bytes of the ring not delivered */
#define NGX_CHAT_WAIT_RELEASE  64      /* requests of one turn that publish */
#define NGX_CHAT_WAIT_ANSWERS  512     /* answers of one turn */
#define NGX_CHAT_WAIT_LIMIT    100     /* ms, of an answer */
#define NGX_CHAT_WAIT_PUBLISH  10000   /* ms, before publishing */
#define NGX_CHAT_WAIT_POLL     10      /* ms, where nothing rouses */
#define NGX_CHAT_WAIT_BROWSER  30      /* ms more, of a browser's answer */


typedef struct {
    ngx_queue_t                queue;
    ngx_http_request_t        *request;    /* NULL: it does not wait */
    ngx_chat_request_pt        handler;
    void                      *data;
    ngx_chat_reply_pt          reply;      /* a refusal's */
    uint64_t                   position;   /* in the ring, to be passed */
    uint64_t                  *slots;      /* those that have not */
    ngx_event_t                timer;      /* the limit of waiting */
    unsigned                   others:1;   /* it waits for other workers */
    unsigned                   browser:1;
    unsigned                   last:1;     /* it waits for one more pass */
    unsigned                   early:1;    /* not all have the event */
} ngx_chat_wait_t;


static ngx_uint_t ngx_chat_wait_is_pipelined(ngx_http_request_t *r);
static ngx_chat_wait_t *ngx_chat_wait_begin(ngx_http_request_t *r,
    ngx_queue_t *queue, ngx_chat_request_pt handler, void *data);
static void ngx_chat_wait_cleanup(void *data);
static void ngx_chat_wait_handler(ngx_event_t *ev);
static void ngx_chat_wait_deliveries(void);
static ngx_uint_t ngx_chat_wait_look(ngx_queue_t *ready);
static ngx_uint_t ngx_chat_wait_update(ngx_chat_wait_t *w);
static ngx_uint_t ngx_chat_wait_for_slot(ngx_chat_wait_t *w,
    ngx_chat_slot_sh_t *slot);
static void ngx_chat_wait_hold(ngx_chat_wait_t *w);
static void ngx_chat_wait_hold_handler(ngx_event_t *ev);
static void ngx_chat_wait_publishers(void);
static ngx_int_t ngx_chat_wait_refuse(ngx_http_request_t *r, void *data);
static ngx_uint_t ngx_chat_wait_is_behind(void);
static void ngx_chat_wait_again(void);
static void ngx_chat_wait_post(void);
static void ngx_chat_wait_go_on(ngx_queue_t *q);


/* a bit for each slot */
#define ngx_chat_wait_words()                                                 \
    ((ngx_chat_wait_fanout->zone->sh->nslots + 63) / 64)


/* this worker's */
static ngx_chat_fanout_t  *ngx_chat_wait_fanout;
static ngx_chat_wakeup_t  *ngx_chat_wait_wakeup;    /* NULL: there is none */
static ngx_queue_t         ngx_chat_wait_publish_queue;
static ngx_queue_t         ngx_chat_wait_delivery_queue;
static ngx_queue_t         ngx_chat_wait_hold_queue;
static ngx_event_t         ngx_chat_wait_event;
static ngx_connection_t    ngx_chat_wait_dummy;


void
ngx_chat_wait_init(ngx_chat_fanout_t *fanout, ngx_cycle_t *cycle)
{
    ngx_uint_t           i;
    ngx_chat_wakeups_t  *ws;

    ngx_chat_wait_fanout = fanout;

    ngx_queue_init(&ngx_chat_wait_publish_queue);
    ngx_queue_init(&ngx_chat_wait_delivery_queue);
    ngx_queue_init(&ngx_chat_wait_hold_queue);

    /* the first wake-up is the ring's */

    ws = fanout->zone->wakeups;
    i = 1 + ngx_worker % (ws->n - 1);

    if (ngx_chat_wakeup_add(&ws->wakeups[i], cycle, ngx_chat_wait_handler,
                            NULL)
        == NGX_OK)
    {
        ngx_chat_wait_wakeup = &ws->wakeups[i];
    }

    ngx_chat_wait_event.handler = ngx_chat_wait_handler;
    ngx_chat_wait_event.data = &ngx_chat_wait_dummy;
    ngx_chat_wait_event.log = cycle->log;
}


void
ngx_chat_wait_exit(void)
{
    while (!ngx_queue_empty(&ngx_chat_wait_delivery_queue)) {
        ngx_chat_wait_go_on(ngx_queue_head(&ngx_chat_wait_delivery_queue));
    }

    while (!ngx_queue_empty(&ngx_chat_wait_hold_queue)) {
        ngx_chat_wait_go_on(ngx_queue_head(&ngx_chat_wait_hold_queue));
    }
}


ngx_int_t
ngx_chat_wait_before_publish(ngx_http_request_t *r, ngx_chat_reply_pt reply,
    ngx_chat_request_pt handler, void *data)
{
    ngx_chat_wait_t  *w;

    if (ngx_queue_empty(&ngx_chat_wait_publish_queue)
        && !ngx_chat_wait_is_behind())
    {
        return handler(r, data);
    }

    w = ngx_chat_wait_begin(r, &ngx_chat_wait_publish_queue, handler, data);
    if (w == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    w->reply = reply;
    w->position = ngx_chat_ring_head(ngx_chat_wait_fanout->zone->sh->ring);

    ngx_add_timer(&w->timer, NGX_CHAT_WAIT_PUBLISH);

    return NGX_DONE;
}


uint64_t *
ngx_chat_wait_slots(ngx_http_request_t *r)
{
    return ngx_pcalloc(r->pool, ngx_chat_wait_words() * sizeof(uint64_t));
}


ngx_int_t
ngx_chat_wait_for_delivery(ngx_http_request_t *r, uint64_t *slots,
    uint64_t position, ngx_chat_request_pt handler, void *data)
{
    ngx_str_t         origin;
    ngx_uint_t        i;
    ngx_chat_wait_t  *w;

    for (i = 0; slots[i] == 0; i++) {
        if (i + 1 == ngx_chat_wait_words()) {
            return handler(r, data);
        }
    }

    /* posted first: this worker delivers, and then the queue is looked at */

    ngx_chat_fanout_post(ngx_chat_wait_fanout);

    if (ngx_chat_wait_is_pipelined(r)) {
        return handler(r, data);
    }

    w = ngx_chat_wait_begin(r, &ngx_chat_wait_delivery_queue, handler, data);
    if (w == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    w->position = position;
    w->slots = slots;
    w->browser = (ngx_chat_request_header(r, "origin", &origin) == NGX_OK);

    ngx_add_timer(&w->timer, NGX_CHAT_WAIT_LIMIT);

    return NGX_DONE;
}


/* A client that pipelines has not waited for this answer. */

static ngx_uint_t
ngx_chat_wait_is_pipelined(ngx_http_request_t *r)
{
    u_char  *p;

    if (r->http_version >= NGX_HTTP_VERSION_20 || !r->keepalive) {
        return 0;
    }

    /* some clients send empty lines behind a body */

    for (p = r->header_in->pos; p < r->header_in->last; p++) {
        if (*p != CR && *p != LF) {
            return 1;
        }
    }

    return 0;
}


static ngx_chat_wait_t *
ngx_chat_wait_begin(ngx_http_request_t *r, ngx_queue_t *queue,
    ngx_chat_request_pt handler, void *data)
{
    ngx_chat_wait_t     *w;
    ngx_http_cleanup_t  *cln;

    cln = ngx_http_cleanup_add(r, sizeof(ngx_chat_wait_t));
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_chat_wait_cleanup;

    w = cln->data;
    ngx_memzero(w, sizeof(ngx_chat_wait_t));

    w->request = r;
    w->handler = handler;
    w->data = data;

    w->timer.handler = ngx_chat_wait_handler;
    w->timer.data = &ngx_chat_wait_dummy;
    w->timer.log = ngx_cycle->log;

    ngx_queue_insert_tail(queue, &w->queue);

    ngx_chat_request_suspend(r);
    ngx_chat_wait_again();

    return w;
}


static void
ngx_chat_wait_cleanup(void *data)
{
    ngx_chat_wait_t *w = data;

    if (w->request == NULL) {
        return;
    }

    w->request = NULL;
    ngx_queue_remove(&w->queue);

    if (w->timer.timer_set) {
        ngx_del_timer(&w->timer);
    }
}


/* The event was posted, a timer is over, or another worker has moved. */

static void
ngx_chat_wait_handler(ngx_event_t *ev)
{
    ngx_chat_wait_deliveries();
    ngx_chat_wait_publishers();
    ngx_chat_wait_again();
}


/*
 * Requests go on when the whole queue has been looked at: what nginx then does
 * with a connection may end other requests of the queue.
 */

static void
ngx_chat_wait_deliveries(void)
{
    ngx_queue_t  ready;

    ngx_queue_init(&ready);

    if (ngx_chat_wait_look(&ready) && ngx_chat_wait_wakeup) {

        /* others may have moved before the flag was clear */

        ngx_chat_wakeup_clear(ngx_chat_wait_wakeup);
        (void) ngx_chat_wait_look(&ready);
    }

    while (!ngx_queue_empty(&ready)) {
        ngx_chat_wait_go_on(ngx_queue_head(&ready));
    }
}


/*
 * Moves the requests that need not wait any more to ready, or has them held
 * back for a browser.  Returns 1 where one of those left waits for another
 * worker.
 */

static ngx_uint_t
ngx_chat_wait_look(ngx_queue_t *ready)
{
    ngx_uint_t        n, others;
    ngx_queue_t      *q, *next;
    ngx_chat_wait_t  *w;

    n = 0;
    others = 0;

    for (q = ngx_queue_head(&ngx_chat_wait_delivery_queue);
         q != ngx_queue_sentinel(&ngx_chat_wait_delivery_queue);
         q = next)
    {
        next = ngx_queue_next(q);
        w = ngx_queue_data(q, ngx_chat_wait_t, queue);

        if (ngx_chat_wait_update(w)) {
            others |= w->others;
            continue;
        }

        if (n == NGX_CHAT_WAIT_ANSWERS) {
            ngx_chat_wait_post();
            break;
        }

        ngx_queue_remove(q);

        if (w->browser) {
            ngx_chat_wait_hold(w);

        } else {
            ngx_queue_insert_tail(ready, q);
            n++;
        }
    }

    return others;
}


/* Takes workers that have delivered out of w->slots: 1 while some are left. */

static ngx_uint_t
ngx_chat_wait_update(ngx_chat_wait_t *w)
{
    uint64_t             bits;
    ngx_uint_t           i, pending;
    ngx_chat_zone_sh_t  *sh;

    sh = ngx_chat_wait_fanout->zone->sh;
    pending = 0;
    w->others = 0;

    for (i = 0; i < sh->nslots; i += 64) {

        /* the lowest bit first */

        for (bits = w->slots[i / 64]; bits; bits &= bits - 1) {

            if (ngx_chat_wait_for_slot(w,
                                       &sh->slots[i + __builtin_ctzll(bits)]))
            {
                pending = 1;

            } else {
                w->slots[i / 64] &= ~(bits & -bits);
            }
        }
    }

    if (!pending && w->early) {
        w->early = 0;
        ngx_chat_count(NGX_CHAT_EARLY_e, 1);
    }

    return pending;
}


/*
 * 1 while the worker of a slot is waited for.  When the time is over it is
 * stuck.  This worker's timers come before its pass, so for its own pass there
 * is one look more.
 */

static ngx_uint_t
ngx_chat_wait_for_slot(ngx_chat_wait_t *w, ngx_chat_slot_sh_t *slot)
{
    uint64_t            position;
    ngx_chat_fanout_t  *f;

    f = ngx_chat_wait_fanout;

    position = __atomic_load_n(&slot->position, __ATOMIC_ACQUIRE);

    if (position >= w->position) {
        return 0;
    }

    if (__atomic_load_n(&slot->stuck, __ATOMIC_RELAXED) != position + 1) {

        if (!w->timer.timedout) {
            w->others |= (slot != f->slot);
            return 1;
        }

        if (slot == f->slot && f->event.posted && !w->last) {
            w->last = 1;
            return 1;
        }

        __atomic_store_n(&slot->stuck, position + 1, __ATOMIC_RELAXED);
    }

    w->early = 1;

    return 0;
}


static void
ngx_chat_wait_hold(ngx_chat_wait_t *w)
{
    ngx_queue_insert_tail(&ngx_chat_wait_hold_queue, &w->queue);

    if (w->timer.timer_set) {
        ngx_del_timer(&w->timer);
    }

    w->timer.handler = ngx_chat_wait_hold_handler;

    ngx_add_timer(&w->timer, NGX_CHAT_WAIT_BROWSER);
}


static void
ngx_chat_wait_hold_handler(ngx_event_t *ev)
{
    ngx_chat_wait_t  *w;

    w = (ngx_chat_wait_t *) ((u_char *) ev - offsetof(ngx_chat_wait_t, timer));

    ngx_chat_wait_go_on(&w->queue);
}


/*
 * Lets requests publish until this worker is behind again.  The number of
 * requests is limited as well, for those that publish nothing.  Where this
 * worker stays behind, as others publish all the time, one request goes on
 * when all is delivered that was in the ring when it came.  The first has
 * waited longest.
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

            if (!w->timer.timedout) {
                return;
            }

            w->handler = ngx_chat_wait_refuse;
            w->data = w;
        }

        ngx_chat_wait_go_on(q);
    }
}


/* A ngx_chat_request_pt. */

static ngx_int_t
ngx_chat_wait_refuse(ngx_http_request_t *r, void *data)
{
    ngx_chat_wait_t *w = data;

    return w->reply(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                    "this worker is behind with its deliveries");
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
 * Has the queues looked at again.  While this worker has to deliver, it does
 * so in the next turn, and the look comes behind it.  The timer also keeps a
 * worker that leaves.
 */

static void
ngx_chat_wait_again(void)
{
    ngx_uint_t    publish, delivery;
    ngx_event_t  *ev;

    ev = &ngx_chat_wait_event;
    publish = !ngx_queue_empty(&ngx_chat_wait_publish_queue);
    delivery = !ngx_queue_empty(&ngx_chat_wait_delivery_queue);

    if (publish || (delivery && ngx_chat_wait_fanout->event.posted)) {
        ngx_chat_wait_post();
    }

    if ((publish || (delivery && ngx_chat_wait_wakeup == NULL))
        && !ev->timer_set)
    {
        ngx_add_timer(ev, NGX_CHAT_WAIT_POLL);
    }
}


static void
ngx_chat_wait_post(void)
{
    if (!ngx_chat_wait_event.posted) {
        ngx_post_event(&ngx_chat_wait_event, &ngx_posted_next_events);
    }
}


static void
ngx_chat_wait_go_on(ngx_queue_t *q)
{
    ngx_chat_wait_t     *w;
    ngx_http_request_t  *r;

    w = ngx_queue_data(q, ngx_chat_wait_t, queue);
    r = w->request;

    ngx_chat_wait_cleanup(w);

    ngx_chat_request_resume(r, w->handler, w->data);
}
