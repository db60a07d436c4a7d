
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the fanout does with sessions: it gives them events, and ends them.
 *
 * None of these functions ends a session at once, since the fanout may be in
 * the middle of a channel's subscribers.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <session/ngx_chat_claim.h>
#include <session/ngx_chat_delivery.h>
#include <session/ngx_chat_recovery.h>
#include <wire/ngx_chat_frame.h>


#define NGX_CHAT_DELIVERY_RUN  16384     /* bytes of events put together */


static void *ngx_chat_delivery_render(ngx_chat_envelope_t *e, ngx_log_t *log);
static ngx_int_t ngx_chat_delivery_extend(void **events,
    ngx_chat_envelope_t *e, ngx_log_t *log);
static void ngx_chat_delivery_release(void *events);
static void ngx_chat_delivery_give(ngx_chat_subscriber_t *sr, void *events,
    ngx_uint_t hold);
static void ngx_chat_delivery_wake(ngx_chat_session_t *s, ngx_uint_t hold);
static ngx_uint_t ngx_chat_delivery_flush(ngx_uint_t max);
static void ngx_chat_delivery_missed(ngx_chat_subscriber_t *sr);
static void ngx_chat_delivery_terminate(ngx_chat_subscriber_t *sr);
static void ngx_chat_delivery_wiped(void);


static ngx_chat_fanout_handlers_t  ngx_chat_delivery_handlers = {
    ngx_chat_delivery_render,
    ngx_chat_delivery_extend,
    ngx_chat_delivery_release,
    ngx_chat_delivery_give,
    ngx_chat_delivery_flush,
    ngx_chat_delivery_missed,
    ngx_chat_delivery_terminate,
    ngx_chat_delivery_wiped
};


/* for flush() and wiped(), which get no subscriber */
static ngx_chat_sessions_t  *ngx_chat_delivery_sessions;


void
ngx_chat_delivery_init(ngx_chat_sessions_t *w)
{
    w->hub->fanout.handlers = &ngx_chat_delivery_handlers;
    ngx_chat_delivery_sessions = w;
}


static void *
ngx_chat_delivery_render(ngx_chat_envelope_t *e, ngx_log_t *log)
{
    return ngx_chat_session_frame_text(e->payload.data, e->payload.len, log);
}


/* Adds the event's frame to the buffer. */

static ngx_int_t
ngx_chat_delivery_extend(void **events, ngx_chat_envelope_t *e, ngx_log_t *log)
{
    size_t           len, size;
    u_char          *p;
    ngx_chat_buf_t  *b;

    b = *events;
    len = ngx_chat_frame_header_size(e->payload.len) + e->payload.len;

    if (b->len + len > NGX_CHAT_DELIVERY_RUN) {
        return NGX_DECLINED;
    }

    if (b->len + len > b->size) {
        size = ngx_max(b->size * 2, b->len + len);

        b = realloc(b, sizeof(ngx_chat_buf_t) + size);
        if (b == NULL) {
            return NGX_DECLINED;
        }

        b->size = size;
        *events = b;
    }

    p = ngx_chat_frame_write_header(b->data + b->len, NGX_CHAT_FRAME_TEXT,
                                    e->payload.len);
    ngx_memcpy(p, e->payload.data, e->payload.len);

    b->len += len;

    return NGX_OK;
}


static void
ngx_chat_delivery_release(void *events)
{
    ngx_chat_buf_release(events);
}


static void
ngx_chat_delivery_give(ngx_chat_subscriber_t *sr, void *events,
    ngx_uint_t hold)
{
    ngx_int_t            rc;
    ngx_chat_session_t  *s;

    s = (ngx_chat_session_t *) sr;

    /* one test of all three */

    if (s->is_ending || s->is_withheld || s->is_reader) {

        if (s->is_reader && !s->is_ending) {
            ngx_chat_delivery_wake(s, hold);
        }

        return;
    }

    if (s->has_token) {
        ngx_chat_recovery_delivered(s, ((ngx_chat_buf_t *) events)->len);
    }

    /* the common case looks at nothing but the outbox */

    if (!hold && ngx_chat_outbox_try(&s->outbox, events) == NGX_OK) {
        return;
    }

    rc = ngx_chat_outbox_send(&s->outbox, s->connection, events,
                              s->conf->send_buffer, hold);

    if (rc == NGX_AGAIN && hold && !s->is_dirty) {
        s->is_dirty = 1;
        ngx_queue_insert_tail(&s->sessions->dirty, &s->dirty);
    }

    ngx_chat_session_check_rc(s, rc);
}


/* A reader takes events at its own pace, so it needs no run of them. */

static void
ngx_chat_delivery_wake(ngx_chat_session_t *s, ngx_uint_t hold)
{
    if (!hold) {
        s->transport->wake(s);

    } else if (!s->is_dirty) {
        s->is_dirty = 1;
        ngx_queue_insert_tail(&s->sessions->dirty, &s->dirty);
    }
}


static ngx_uint_t
ngx_chat_delivery_flush(ngx_uint_t max)
{
    ngx_uint_t            n;
    ngx_queue_t          *q;
    ngx_chat_sessions_t  *w;
    ngx_chat_session_t   *s;

    w = ngx_chat_delivery_sessions;

    for (n = 0; n < max && !ngx_queue_empty(&w->dirty); n++) {
        q = ngx_queue_head(&w->dirty);
        s = ngx_queue_data(q, ngx_chat_session_t, dirty);

        ngx_queue_remove(q);
        s->is_dirty = 0;

        if (s->is_reader) {
            s->transport->wake(s);
            continue;
        }

        ngx_chat_session_check_rc(s, ngx_chat_outbox_flush(&s->outbox,
                                                           s->connection));
    }

    ngx_chat_claim_post(w);

    return n;
}


static void
ngx_chat_delivery_missed(ngx_chat_subscriber_t *sr)
{
    ngx_chat_session_end_later((ngx_chat_session_t *) sr);
}


static void
ngx_chat_delivery_terminate(ngx_chat_subscriber_t *sr)
{
    ngx_chat_session_t  *s;

    s = (ngx_chat_session_t *) sr;

    s->terminated = 1;

    ngx_chat_session_end_later(s);
}


static void
ngx_chat_delivery_wiped(void)
{
    ngx_queue_t          *q;
    ngx_chat_sessions_t  *w;
    ngx_chat_session_t   *s;

    w = ngx_chat_delivery_sessions;

    ngx_chat_claim_wiped(w);

    for (q = ngx_queue_head(&w->sessions);
         q != ngx_queue_sentinel(&w->sessions);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_chat_session_t, queue);

        ngx_chat_hub_unsubscribe_all(w->hub, &s->subscriber, 0);

        if (s->in_quota) {
            s->in_quota = 0;
            ngx_chat_hub_connection_remove(w->hub, &w->quotas[s->app->index]);
        }

        ngx_chat_session_end_later(s);
    }
}
