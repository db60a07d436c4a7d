
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * All sessions of a worker: start, timer, exit.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <hook/ngx_chat_herald.h>
#include <pusher/ngx_chat_error.h>
#include <session/ngx_chat_claim.h>
#include <session/ngx_chat_delivery.h>
#include <session/ngx_chat_notice.h>
#include <session/ngx_chat_recall.h>
#include <session/ngx_chat_recovery.h>
#include <session/ngx_chat_replay.h>
#include <session/ngx_chat_session.h>
#include <session/ngx_chat_sessions.h>
#include <shared/ngx_chat_turn.h>
#include <wire/ngx_chat_clock.h>


#define NGX_CHAT_WORKER_SCRATCH  4096
#define NGX_CHAT_WORKER_LAST     500       /* ms for all last words; nginx
                                              kills a worker after 1000 */
#define NGX_CHAT_WORKER_PARTS    64        /* sessions sent away in one turn */
#define NGX_CHAT_WORKER_LOOK     64        /* sessions between looks at the
                                              clock */


static void ngx_chat_sessions_timer_handler(ngx_event_t *ev);
static void ngx_chat_sessions_ask_handler(ngx_event_t *ev);
static void ngx_chat_sessions_wait(ngx_chat_sessions_t *w);
static void ngx_chat_sessions_expire(ngx_chat_sessions_t *w);
static void ngx_chat_sessions_drain(ngx_chat_sessions_t *w);
static void ngx_chat_sessions_part(ngx_chat_sessions_t *w);
static void ngx_chat_sessions_part_handler(ngx_event_t *ev);
static void ngx_chat_sessions_last_words(ngx_chat_sessions_t *w);


ngx_int_t
ngx_chat_sessions_init(ngx_chat_sessions_t *w, ngx_chat_hub_t *hub,
    ngx_uint_t napps, ngx_cycle_t *cycle)
{
    w->hub = hub;
    w->dummy.data = w;

    hub->fanout.zone->handlers = &ngx_chat_notice_handlers;
    ngx_chat_delivery_init(w);

    ngx_queue_init(&w->sessions);
    ngx_queue_init(&w->dirty);
    ngx_queue_init(&w->ending);
    ngx_queue_init(&w->anonymous);
    ngx_queue_init(&w->asking);
    ngx_queue_init(&w->claims);

    w->quotas = ngx_pcalloc(cycle->pool,
                            napps * sizeof(ngx_chat_slot_channel_sh_t *));
    if (w->quotas == NULL) {
        return NGX_ERROR;
    }

    w->scratch = ngx_create_pool(NGX_CHAT_WORKER_SCRATCH, cycle->log);
    if (w->scratch == NULL) {
        return NGX_ERROR;
    }

    w->end.handler = ngx_chat_session_end_handler;
    w->end.data = &w->dummy;
    w->end.log = cycle->log;

    w->claim.data = &w->dummy;
    w->claim.log = cycle->log;

    w->ask.handler = ngx_chat_sessions_ask_handler;
    w->ask.data = &w->dummy;
    w->ask.log = cycle->log;

    w->part.handler = ngx_chat_sessions_part_handler;
    w->part.data = &w->dummy;
    w->part.log = cycle->log;

    w->timer.handler = ngx_chat_sessions_timer_handler;
    w->timer.data = &w->dummy;
    w->timer.log = cycle->log;
    w->timer.cancelable = 1;

    if (ngx_chat_hub_init(hub, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_chat_sessions_wait(w);

    return NGX_OK;
}


/* It is by reconnect-now that they end, where their sockets still take it. */

void
ngx_chat_sessions_tell_end(ngx_chat_sessions_t *w)
{
    ngx_queue_t  *q;

    for (q = ngx_queue_head(&w->sessions);
         q != ngx_queue_sentinel(&w->sessions);
         q = ngx_queue_next(q))
    {
        ngx_chat_session_tell_end(ngx_queue_data(q, ngx_chat_session_t, queue),
                                  NGX_CHAT_ERROR_RECONNECT);
    }
}


void
ngx_chat_sessions_exit(ngx_chat_sessions_t *w)
{
    ngx_queue_t         *q;
    ngx_chat_session_t  *s;

    ngx_chat_sessions_last_words(w);

    while (!ngx_queue_empty(&w->sessions)) {
        q = ngx_queue_head(&w->sessions);

        ngx_chat_count(NGX_CHAT_CLOSED_SHUTDOWN_e, 1);

        s = ngx_queue_data(q, ngx_chat_session_t, queue);

        ngx_chat_claim_cancel(s, NULL);
        ngx_chat_recall_cancel(s, NULL);
        ngx_chat_recovery_end(s);
        ngx_chat_session_end(s);
    }

    ngx_chat_outbox_exit();
    ngx_chat_replay_exit();

    if (w->scratch) {
        ngx_destroy_pool(w->scratch);
        w->scratch = NULL;
    }
}


static void
ngx_chat_sessions_timer_handler(ngx_event_t *ev)
{
    ngx_connection_t     *c;
    ngx_chat_sessions_t  *w;

    c = ev->data;
    w = c->data;

    ngx_chat_turn_timer(w->due);

    ngx_chat_hub_tick(w->hub);

    ngx_chat_sessions_expire(w);
    ngx_chat_recovery_tick(w);
    ngx_chat_claim_post(w);

    if (ngx_exiting) {
        ngx_chat_herald_leave(w->nsessions);

        if (w->store) {
            ngx_chat_store_leave(w->store);
        }

        ngx_chat_sessions_drain(w);

    } else if (w->store && ngx_chat_store_is_isolated(w->store)) {
        ngx_chat_sessions_drain(w);

    } else {
        w->ticks = 0;
    }

    ngx_chat_sessions_wait(w);
}


static void
ngx_chat_sessions_ask_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_chat_recovery_tick(c->data);
}


static void
ngx_chat_sessions_wait(ngx_chat_sessions_t *w)
{
    w->due = ngx_current_msec + w->hub->interval;

    ngx_add_timer(&w->timer, w->hub->interval);
}


/* Ends the sessions that have not authorized themselves in time. */

static void
ngx_chat_sessions_expire(ngx_chat_sessions_t *w)
{
    ngx_queue_t         *q, *next;
    ngx_chat_session_t  *s;

    for (q = ngx_queue_head(&w->anonymous);
         q != ngx_queue_sentinel(&w->anonymous);
         q = next)
    {
        next = ngx_queue_next(q);
        s = ngx_queue_data(q, ngx_chat_session_t, anonymous);

        if (ngx_current_msec - s->opened < s->app->authorization_timeout) {
            continue;
        }

        ngx_chat_session_unlist(s);
        ngx_chat_count(NGX_CHAT_CLOSED_UNAUTHORIZED_e, 1);
        ngx_chat_session_fail(s, NGX_CHAT_ERROR_UNAUTHORIZED, NULL);
    }
}


/*
 * An exiting worker ends its sessions a few at a time, so that the clients do
 * not all come back in the same moment.  So does one whose node is cut off from
 * its cluster; the operator's console stays.
 */

static void
ngx_chat_sessions_drain(ngx_chat_sessions_t *w)
{
    if (w->ticks == 0) {
        w->ticks = ngx_max(w->drain / w->hub->interval, 1);
    }

    w->parting = (w->nsessions + w->ticks - 1) / w->ticks;

    if (w->ticks > 1) {
        w->ticks--;
    }

    ngx_chat_sessions_part(w);
}


/* Those of a step may be very many: others are served in between. */

static void
ngx_chat_sessions_part(ngx_chat_sessions_t *w)
{
    ngx_uint_t           n;
    ngx_queue_t         *q, *next;
    ngx_chat_session_t  *s;

    n = ngx_min(w->parting, NGX_CHAT_WORKER_PARTS);
    w->parting -= n;

    ngx_chat_turn_add(0);

    for (q = ngx_queue_head(&w->sessions);
         n && q != ngx_queue_sentinel(&w->sessions);
         q = next)
    {
        next = ngx_queue_next(q);
        s = ngx_queue_data(q, ngx_chat_session_t, queue);

        if (s->is_ending || s->is_withheld
            || (s->is_operator && !ngx_exiting))
        {
            continue;
        }

        n--;
        ngx_chat_count(ngx_exiting ? NGX_CHAT_CLOSED_SHUTDOWN_e
                                   : NGX_CHAT_CLOSED_ISOLATED_e, 1);

        if (ngx_chat_recovery_part(s) != NGX_OK) {
            s->close_code = NGX_CHAT_ERROR_RECONNECT;
            ngx_chat_session_end_later(s);
        }
    }

    if (w->parting && n == 0) {
        ngx_post_event(&w->part, &ngx_posted_next_events);
    }
}


static void
ngx_chat_sessions_part_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_chat_sessions_part(c->data);
}


/*
 * nginx ends at once (SIGTERM), without another turn of the event loop.  Each
 * socket may still take an error and a close frame that say reconnect-now.
 */

static void
ngx_chat_sessions_last_words(ngx_chat_sessions_t *w)
{
    u_char              *p;
    uint64_t             end;
    ngx_uint_t           n;
    ngx_queue_t         *q;
    ngx_chat_buf_t      *b;
    ngx_chat_session_t  *s;

    /* nginx's own clock stands still by now */

    n = 0;
    end = ngx_chat_clock_msec() + NGX_CHAT_WORKER_LAST;

    for (q = ngx_queue_head(&w->sessions);
         q != ngx_queue_sentinel(&w->sessions);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_chat_session_t, queue);

        ngx_chat_session_error(s, NGX_CHAT_ERROR_RECONNECT,
                               ngx_chat_error_text(NGX_CHAT_ERROR_RECONNECT),
                               NULL);

        b = ngx_chat_session_frame(NGX_CHAT_FRAME_CLOSE, 2, &p, w->end.log);

        if (b != NULL) {
            *p++ = (u_char) (NGX_CHAT_ERROR_RECONNECT >> 8);
            *p = (u_char) NGX_CHAT_ERROR_RECONNECT;
        }

        ngx_chat_session_send(s, b);

        if (++n % NGX_CHAT_WORKER_LOOK == 0
            && ngx_chat_clock_msec() > end)
        {
            break;
        }
    }
}
