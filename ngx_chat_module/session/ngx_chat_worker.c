
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A worker's sessions: what the hub delivers to them, and the ways they go
 * without having asked for it.
 *
 * A session never ends while the hub delivers: whoever finds that it must
 * go marks it as doomed, and a posted event ends the doomed.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <pusher/ngx_chat_error.h>
#include <pusher/ngx_chat_event.h>
#include <session/ngx_chat_notice.h>
#include <session/ngx_chat_session.h>
#include <session/ngx_chat_worker.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_frame.h>


#define NGX_CHAT_WORKER_SCRATCH  4096
#define NGX_CHAT_WORKER_TICK     250       /* ms between looks at exiting */
#define NGX_CHAT_WORKER_RUN      16384     /* bytes of events put together */
#define NGX_CHAT_WORKER_LAST     500       /* ms for all last words; nginx
                                              kills who takes 1000 */
#define NGX_CHAT_WORKER_DOOM     64        /* the doomed ended in one turn */
#define NGX_CHAT_WORKER_LOOK     64        /* words between looks at that */


static void ngx_chat_worker_doom_handler(ngx_event_t *ev);
static void ngx_chat_worker_timer_handler(ngx_event_t *ev);
static void ngx_chat_worker_expire(ngx_chat_worker_t *w);
static void ngx_chat_worker_drain(ngx_chat_worker_t *w);
static void ngx_chat_worker_last_words(ngx_chat_worker_t *w);
static ngx_chat_buf_t *ngx_chat_worker_last_word(ngx_log_t *log);

static void *ngx_chat_worker_render(ngx_chat_envelope_t *e, ngx_log_t *log);
static ngx_int_t ngx_chat_worker_extend(void **events,
    ngx_chat_envelope_t *e, ngx_log_t *log);
static void ngx_chat_worker_release(void *events);
static void ngx_chat_worker_deliver(ngx_chat_subscriber_t *sr, void *events,
    ngx_uint_t hold);
static ngx_uint_t ngx_chat_worker_flush(ngx_uint_t max);
static void ngx_chat_worker_overrun(ngx_chat_subscriber_t *sr);
static void ngx_chat_worker_terminate(ngx_chat_subscriber_t *sr);
static void ngx_chat_worker_wiped(void);


static ngx_chat_hub_handlers_t  ngx_chat_worker_handlers = {
    ngx_chat_worker_render,
    ngx_chat_worker_extend,
    ngx_chat_worker_release,
    ngx_chat_worker_deliver,
    ngx_chat_worker_flush,
    ngx_chat_worker_overrun,
    ngx_chat_worker_terminate,
    ngx_chat_worker_wiped
};


/* for flush() and wiped(), which no subscriber leads to; set once per
   process */
static ngx_chat_worker_t  *ngx_chat_worker_current;


ngx_int_t
ngx_chat_worker_init(ngx_chat_worker_t *w, ngx_chat_hub_t *hub,
    ngx_uint_t napps, ngx_cycle_t *cycle)
{
    w->hub = hub;
    w->dummy.data = w;

    hub->handlers = &ngx_chat_worker_handlers;
    hub->zone->handlers = &ngx_chat_notice_handlers;
    ngx_chat_worker_current = w;

    ngx_queue_init(&w->sessions);
    ngx_queue_init(&w->dirty);
    ngx_queue_init(&w->doomed);
    ngx_queue_init(&w->anonymous);

    w->quotas = ngx_pcalloc(cycle->pool,
                            napps * sizeof(ngx_chat_slot_channel_sh_t *));
    if (w->quotas == NULL) {
        return NGX_ERROR;
    }

    w->scratch = ngx_create_pool(NGX_CHAT_WORKER_SCRATCH, cycle->log);
    if (w->scratch == NULL) {
        return NGX_ERROR;
    }

    w->doom.handler = ngx_chat_worker_doom_handler;
    w->doom.data = &w->dummy;
    w->doom.log = cycle->log;

    w->timer.handler = ngx_chat_worker_timer_handler;
    w->timer.data = &w->dummy;
    w->timer.log = cycle->log;
    w->timer.cancelable = 1;

    ngx_add_timer(&w->timer, NGX_CHAT_WORKER_TICK);

    return NGX_OK;
}


void
ngx_chat_worker_exit(ngx_chat_worker_t *w)
{
    ngx_queue_t  *q;

    ngx_chat_worker_last_words(w);

    while (!ngx_queue_empty(&w->sessions)) {
        q = ngx_queue_head(&w->sessions);

        ngx_chat_count(NGX_CHAT_CLOSED_SHUTDOWN_e, 1);
        ngx_chat_session_end(ngx_queue_data(q, ngx_chat_session_t, queue));
    }

    ngx_chat_outbox_exit();

    if (w->scratch) {
        ngx_destroy_pool(w->scratch);
        w->scratch = NULL;
    }
}


ngx_uint_t
ngx_chat_worker_log_level(ngx_chat_worker_t *w)
{
    if (w->alerted == ngx_time()) {
        return NGX_LOG_INFO;
    }

    w->alerted = ngx_time();

    return NGX_LOG_ALERT;
}


void
ngx_chat_worker_doom(ngx_chat_session_t *s)
{
    if (s->is_doomed || s->closed) {
        return;
    }

    s->is_doomed = 1;
    ngx_queue_insert_tail(&s->worker->doomed, &s->doomed);

    ngx_post_event(&s->worker->doom, &ngx_posted_events);
}


static void
ngx_chat_worker_doom_handler(ngx_event_t *ev)
{
    ngx_uint_t           n;
    ngx_queue_t         *q;
    ngx_connection_t    *c;
    ngx_chat_worker_t   *w;
    ngx_chat_session_t  *s;

    c = ev->data;
    w = c->data;

    for (n = 0; !ngx_queue_empty(&w->doomed); n++) {

        if (n == NGX_CHAT_WORKER_DOOM) {
            /* all of them may be: others come in between */

            if (ev->posted) {
                ngx_delete_posted_event(ev);
            }

            ngx_post_event(ev, &ngx_posted_next_events);
            return;
        }

        q = ngx_queue_head(&w->doomed);
        s = ngx_queue_data(q, ngx_chat_session_t, doomed);

        /* of a queue that is not empty; the analyzer thinks it may be */

        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        ngx_queue_remove(q);
        s->is_doomed = 0;

        if (s->broken) {
            ngx_chat_count(NGX_CHAT_CLOSED_BROKEN_e, 1);
            s->transport->abort(s);
            continue;
        }

        if (s->closed) {
            continue;
        }

        if (s->slow) {
            ngx_log_error(NGX_LOG_INFO, s->connection->log, 0,
                          "client reads too slowly, more than %uz bytes wait "
                          "for it", s->conf->send_buffer);

            ngx_chat_count(NGX_CHAT_CLOSED_SLOW_e, 1);
            ngx_chat_outbox_truncate(&s->outbox);

        } else if (!s->terminated && !s->close_code) {
            ngx_chat_count(NGX_CHAT_CLOSED_OVERRUN_e, 1);
        }

        if (s->terminated) {
            ngx_chat_count(NGX_CHAT_CLOSED_TERMINATED_e, !s->slow);
            ngx_chat_session_fail_text(s, NGX_CHAT_ERROR_TERMINATED,
                                       NGX_CHAT_ERROR_TERMINATED_TEXT, NULL);
            continue;
        }

        ngx_chat_session_fail(s, s->close_code ? s->close_code
                                               : NGX_CHAT_ERROR_RECONNECT,
                              NULL);
    }
}


static void
ngx_chat_worker_timer_handler(ngx_event_t *ev)
{
    ngx_connection_t   *c;
    ngx_chat_worker_t  *w;

    c = ev->data;
    w = c->data;

    ngx_chat_worker_expire(w);

    if (ngx_exiting) {
        ngx_chat_worker_drain(w);
    }

    ngx_add_timer(&w->timer, NGX_CHAT_WORKER_TICK);
}


/* Sends away who did not show in time who it is. */

static void
ngx_chat_worker_expire(ngx_chat_worker_t *w)
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
        ngx_chat_count(NGX_CHAT_CLOSED_ANONYMOUS_e, 1);
        ngx_chat_session_fail(s, NGX_CHAT_ERROR_UNAUTHORIZED, NULL);
    }
}


/*
 * A leaving worker sends its clients away little by little: they come back
 * at once, and not all in the same moment.
 */

static void
ngx_chat_worker_drain(ngx_chat_worker_t *w)
{
    ngx_uint_t           n;
    ngx_queue_t         *q;
    ngx_chat_session_t  *s;

    if (w->ticks == 0) {
        w->ticks = ngx_max(w->drain / NGX_CHAT_WORKER_TICK, 1);
    }

    n = (w->nsessions + w->ticks - 1) / w->ticks;

    if (w->ticks > 1) {
        w->ticks--;
    }

    while (n-- && !ngx_queue_empty(&w->sessions)) {
        q = ngx_queue_head(&w->sessions);
        s = ngx_queue_data(q, ngx_chat_session_t, queue);

        if (s->is_doomed) {
            return;
        }

        ngx_chat_count(NGX_CHAT_CLOSED_SHUTDOWN_e, 1);
        ngx_chat_session_fail(s, NGX_CHAT_ERROR_RECONNECT, NULL);
    }
}


/*
 * nginx ends at once (SIGTERM): there is no event loop any more, but each
 * socket may still take one frame.
 */

static void
ngx_chat_worker_last_words(ngx_chat_worker_t *w)
{
    ngx_uint_t           n;
    uint64_t             end;
    ngx_queue_t         *q;
    ngx_chat_buf_t      *b;
    ngx_connection_t    *c;
    ngx_chat_session_t  *s;

    if (ngx_queue_empty(&w->sessions)) {
        return;
    }

    b = ngx_chat_worker_last_word(w->doom.log);
    if (b == NULL) {
        return;
    }

    /* nginx's own clock stands still by now */

    n = 0;
    end = ngx_chat_clock_msec() + NGX_CHAT_WORKER_LAST;

    for (q = ngx_queue_head(&w->sessions);
         q != ngx_queue_sentinel(&w->sessions);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_chat_session_t, queue);
        c = s->connection;

        /* not into the middle of a frame */

        if (!s->broken && s->outbox.first == NULL && !c->buffered
            && c->write->ready)
        {
            (void) c->send(c, b->data, b->len);
        }

        if (++n % NGX_CHAT_WORKER_LOOK == 0
            && ngx_chat_clock_msec() > end)
        {
            break;
        }
    }

    ngx_chat_buf_release(b);
}


/* The error and the close frame that say reconnect-now. */

static ngx_chat_buf_t *
ngx_chat_worker_last_word(ngx_log_t *log)
{
    size_t           size;
    u_char          *p;
    ssize_t          len;
    ngx_str_t        text;
    ngx_uint_t       code;
    const char      *reason;
    ngx_chat_buf_t  *b;

    code = NGX_CHAT_ERROR_RECONNECT;
    reason = ngx_chat_error_text(code);

    text.data = (u_char *) reason;
    text.len = ngx_strlen(reason);

    len = ngx_chat_event_render_error(NULL, 0, code, &text);
    if (len == NGX_ERROR) {
        return NULL;
    }

    size = ngx_chat_frame_header_size(len) + len
           + ngx_chat_frame_header_size(2) + 2;

    b = ngx_chat_buf_alloc(size, log);
    if (b == NULL) {
        return NULL;
    }

    p = ngx_chat_frame_write_header(b->data, NGX_CHAT_FRAME_TEXT, len);
    (void) ngx_chat_event_render_error(p, len, code, &text);

    p = ngx_chat_frame_write_header(p + len, NGX_CHAT_FRAME_CLOSE, 2);
    *p++ = (u_char) (code >> 8);
    *p = (u_char) code;

    return b;
}


/* One frame for all of this worker's subscribers. */

static void *
ngx_chat_worker_render(ngx_chat_envelope_t *e, ngx_log_t *log)
{
    u_char          *p;
    ngx_chat_buf_t  *b;

    b = ngx_chat_session_frame(NGX_CHAT_FRAME_TEXT, e->payload.len, &p, log);

    if (b != NULL) {
        ngx_memcpy(p, e->payload.data, e->payload.len);
    }

    return b;
}


/* Frames of one channel, one behind the other. */

static ngx_int_t
ngx_chat_worker_extend(void **events, ngx_chat_envelope_t *e, ngx_log_t *log)
{
    size_t           len;
    u_char          *p;
    ngx_chat_buf_t  *b;

    b = *events;
    len = ngx_chat_frame_header_size(e->payload.len) + e->payload.len;

    if (b->len + len > NGX_CHAT_WORKER_RUN) {
        return NGX_DECLINED;
    }

    if (b->len + len > b->size) {
        b = ngx_chat_buf_grow(b, ngx_max(b->size * 2, b->len + len), log);

        if (b == NULL) {
            return NGX_DECLINED;
        }

        *events = b;
    }

    p = ngx_chat_frame_write_header(b->data + b->len, NGX_CHAT_FRAME_TEXT,
                                    e->payload.len);
    ngx_memcpy(p, e->payload.data, e->payload.len);

    b->len += len;

    return NGX_OK;
}


static void
ngx_chat_worker_release(void *events)
{
    ngx_chat_buf_release(events);
}


static void
ngx_chat_worker_deliver(ngx_chat_subscriber_t *sr, void *events,
    ngx_uint_t hold)
{
    ngx_int_t            rc;
    ngx_chat_session_t  *s;

    s = (ngx_chat_session_t *) sr;

    if (s->is_doomed) {
        return;
    }

    rc = hold ? NGX_DECLINED : ngx_chat_outbox_try(&s->outbox, events);

    if (rc == NGX_OK) {
        return;
    }

    if (rc == NGX_AGAIN) {
        rc = ngx_chat_outbox_flush(&s->outbox, s->connection);

    } else if (rc == NGX_DECLINED) {
        rc = ngx_chat_outbox_send(&s->outbox, s->connection, events,
                                  s->conf->send_buffer, hold);
    }

    if (rc == NGX_OK) {
        return;
    }

    if (rc == NGX_AGAIN) {

        if (hold && !s->is_dirty) {
            s->is_dirty = 1;
            ngx_queue_insert_tail(&s->worker->dirty, &s->dirty);
        }

        return;
    }

    if (rc == NGX_BUSY) {
        s->slow = 1;

    } else {
        s->broken = 1;
    }

    ngx_chat_worker_doom(s);
}


static ngx_uint_t
ngx_chat_worker_flush(ngx_uint_t max)
{
    ngx_uint_t           n;
    ngx_queue_t         *q;
    ngx_chat_worker_t   *w;
    ngx_chat_session_t  *s;

    w = ngx_chat_worker_current;

    for (n = 0; n < max && !ngx_queue_empty(&w->dirty); n++) {
        q = ngx_queue_head(&w->dirty);
        s = ngx_queue_data(q, ngx_chat_session_t, dirty);

        ngx_queue_remove(q);
        s->is_dirty = 0;

        if (ngx_chat_outbox_flush(&s->outbox, s->connection) == NGX_ERROR) {
            s->broken = 1;
            ngx_chat_worker_doom(s);
        }
    }

    return n;
}


static void
ngx_chat_worker_overrun(ngx_chat_subscriber_t *sr)
{
    ngx_chat_worker_doom((ngx_chat_session_t *) sr);
}


static void
ngx_chat_worker_terminate(ngx_chat_subscriber_t *sr)
{
    ngx_chat_session_t  *s;

    s = (ngx_chat_session_t *) sr;

    s->terminated = 1;

    ngx_chat_worker_doom(s);
}


static void
ngx_chat_worker_wiped(void)
{
    ngx_queue_t         *q;
    ngx_chat_worker_t   *w;
    ngx_chat_session_t  *s;

    w = ngx_chat_worker_current;

    for (q = ngx_queue_head(&w->sessions);
         q != ngx_queue_sentinel(&w->sessions);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_chat_session_t, queue);

        ngx_chat_hub_leave(w->hub, &s->subscriber);

        if (s->in_quota) {
            s->in_quota = 0;
            ngx_chat_hub_release(w->hub, &w->quotas[s->app->index]);
        }

        ngx_chat_worker_doom(s);
    }
}
