
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Clients that have something to do.
 *
 * Clients that have nothing to get are in a queue, the longest silent first,
 * which a timer looks at.  Whoever is told a position goes to its end, so the
 * first one is also that with the oldest position.  The timer keeps a worker
 * that leaves from exiting before its streams have ended.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <events/ngx_chat_events_queue.h>
#include <events/ngx_chat_events_ring.h>
#include <shared/ngx_chat_turn.h>


#define NGX_CHAT_EVENTS_QUEUE_LOOK    250      /* ms between looks */
#define NGX_CHAT_EVENTS_QUEUE_SILENT  15000    /* ms without a byte */
#define NGX_CHAT_EVENTS_QUEUE_PASSED  65536    /* bytes of the ring without a
                                                  newer position */


typedef struct {
    ngx_queue_t                idle;
    ngx_queue_t                work;
    ngx_event_t                look;
    ngx_event_t                go;             /* posted: there is work */
    ngx_connection_t           dummy;
} ngx_chat_events_queue_worker_t;


static void ngx_chat_events_queue_go(ngx_event_t *event);
static void ngx_chat_events_queue_look(ngx_event_t *event);


static ngx_chat_events_queue_worker_t  ngx_chat_events_queue_worker;


void
ngx_chat_events_queue_init(ngx_cycle_t *cycle)
{
    ngx_chat_events_queue_worker_t  *w;

    w = &ngx_chat_events_queue_worker;

    ngx_queue_init(&w->idle);
    ngx_queue_init(&w->work);

    w->look.handler = ngx_chat_events_queue_look;
    w->look.data = &w->dummy;
    w->look.log = cycle->log;

    w->go.handler = ngx_chat_events_queue_go;
    w->go.data = &w->dummy;
    w->go.log = cycle->log;
}


void
ngx_chat_events_queue_post(ngx_chat_events_t *ev)
{
    ngx_chat_events_queue_worker_t  *w;

    w = &ngx_chat_events_queue_worker;

    if (!ev->in_work) {
        ev->in_work = 1;
        ngx_queue_insert_tail(&w->work, &ev->work);
    }

    if (!w->go.posted) {
        ngx_post_event(&w->go, &ngx_posted_next_events);
    }
}


void
ngx_chat_events_queue_told(ngx_chat_events_t *ev, uint64_t position)
{
    ngx_chat_events_queue_worker_t  *w;

    w = &ngx_chat_events_queue_worker;

    ev->told = position;
    ev->sent = ngx_current_msec;

    if (ev->is_idle) {
        ngx_queue_remove(&ev->idle);
    }

    ev->is_idle = 1;
    ngx_queue_insert_tail(&w->idle, &ev->idle);

    if (!w->look.timer_set) {
        ngx_add_timer(&w->look, NGX_CHAT_EVENTS_QUEUE_LOOK);
    }
}


/* What is put into the queue meanwhile is for the next turn. */

static void
ngx_chat_events_queue_go(ngx_event_t *event)
{
    ngx_queue_t                       work, *q;
    ngx_chat_events_t                *ev;
    ngx_chat_events_queue_worker_t  *w;

    w = &ngx_chat_events_queue_worker;

    if (ngx_queue_empty(&w->work)) {
        return;
    }

    ngx_queue_init(&work);
    ngx_queue_add(&work, &w->work);
    ngx_queue_init(&w->work);

    while (!ngx_queue_empty(&work) && !ngx_chat_turn_is_long()) {
        q = ngx_queue_head(&work);
        ev = ngx_queue_data(q, ngx_chat_events_t, work);

        ngx_queue_remove(q);
        ev->in_work = 0;

        ev->kind->go(ev);
    }

    /* what is left comes first then */

    ngx_queue_add(&work, &w->work);
    ngx_queue_init(&w->work);
    ngx_queue_add(&w->work, &work);

    if (!ngx_queue_empty(&w->work) && !w->go.posted) {
        ngx_post_event(&w->go, &ngx_posted_next_events);
    }
}


static void
ngx_chat_events_queue_look(ngx_event_t *event)
{
    uint64_t                          told;
    ngx_uint_t                        silent;
    ngx_queue_t                      *q;
    ngx_chat_events_t                *ev;
    ngx_chat_ring_place_t             now;
    ngx_chat_events_queue_worker_t  *w;

    w = &ngx_chat_events_queue_worker;

    while (!ngx_queue_empty(&w->idle) && !ngx_chat_turn_is_long()) {
        q = ngx_queue_head(&w->idle);
        ev = ngx_queue_data(q, ngx_chat_events_t, idle);

        ngx_chat_events_ring_now(ev, &now);

        told = ev->told;
        silent = (ngx_current_msec - ev->sent
                  >= NGX_CHAT_EVENTS_QUEUE_SILENT);

        if (!silent && now.position < told + NGX_CHAT_EVENTS_QUEUE_PASSED) {
            break;
        }

        ngx_chat_events_queue_told(ev, now.position);

        ev->kind->beat(ev, silent, told);
    }

    if (!ngx_queue_empty(&w->idle) && !w->look.timer_set) {
        ngx_add_timer(&w->look, NGX_CHAT_EVENTS_QUEUE_LOOK);
    }
}


void
ngx_chat_events_queue_remove(ngx_chat_events_t *ev)
{
    if (ev->is_idle) {
        ev->is_idle = 0;
        ngx_queue_remove(&ev->idle);
    }

    if (ev->in_work) {
        ev->in_work = 0;
        ngx_queue_remove(&ev->work);
    }
}
