
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Streams of server-sent events.
 *
 * A stream is sent to while it takes what it gets, for as long as the turn may
 * last; then the queue goes on with it.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <events/ngx_chat_events_answer.h>
#include <events/ngx_chat_events_queue.h>
#include <events/ngx_chat_events_ring.h>
#include <http/ngx_chat_reply.h>
#include <shared/ngx_chat_turn.h>


#define NGX_CHAT_EVENTS_STREAM_SEND  5         /* us of a piece */
#define NGX_CHAT_EVENTS_STREAM_COPY  4096      /* bytes of it in a us */


static ngx_int_t ngx_chat_events_stream_begin(ngx_chat_events_t *ev);
static ngx_int_t ngx_chat_events_stream_first(ngx_chat_events_t *ev);
static ngx_int_t ngx_chat_events_stream_recovery(ngx_chat_events_t *ev,
    ngx_chat_events_text_t *t);
static void ngx_chat_events_stream_go(ngx_chat_events_t *ev);
static void ngx_chat_events_stream_ready(ngx_chat_stream_t *st);
static void ngx_chat_events_stream_gone(ngx_chat_stream_t *st);
static ngx_uint_t ngx_chat_events_stream_pump(ngx_chat_events_t *ev);
static void ngx_chat_events_stream_write(ngx_chat_events_t *ev, u_char *p,
    size_t len);
static void ngx_chat_events_stream_beat(ngx_chat_events_t *ev,
    ngx_uint_t silent, uint64_t told);
static ngx_int_t ngx_chat_events_stream_part(ngx_http_request_t *r,
    void *data);


ngx_chat_events_kind_t  ngx_chat_events_stream = {
    ngx_chat_events_stream_begin,
    ngx_chat_events_stream_go,
    ngx_chat_events_stream_go,
    ngx_chat_events_stream_beat,
    ngx_chat_events_stream_part
};


static ngx_int_t
ngx_chat_events_stream_begin(ngx_chat_events_t *ev)
{
    ngx_int_t  rc;

    ev->stream.ready = ngx_chat_events_stream_ready;
    ev->stream.gone = ngx_chat_events_stream_gone;

    if (ngx_chat_events_answer_headers(ev) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_chat_stream_open(&ev->stream, ev->request, "text/event-stream");

    if (rc != NGX_DONE) {
        return rc;
    }

    if (ngx_chat_events_stream_first(ev) == NGX_OK) {
        ngx_chat_events_stream_write(ev, ngx_chat_events_answer_begun.data,
                                     ngx_chat_events_answer_begun.len);

    } else {
        ngx_chat_events_answer_stop(ev, NGX_ERROR);
    }

    ngx_chat_events_queue_post(ev);

    return NGX_DONE;
}


/* Puts the stream's first lines before the events that come first. */

static ngx_int_t
ngx_chat_events_stream_first(ngx_chat_events_t *ev)
{
    u_char                  *p, buf[sizeof("retry: 1000\nid: \n\n")
                                    + NGX_CHAT_EVENTS_POSITION_LEN];
    ngx_int_t                rc;
    ngx_chat_events_text_t   events;

    events = ngx_chat_events_answer_begun;
    ngx_memzero(&ngx_chat_events_answer_begun, sizeof(ngx_chat_events_text_t));

    p = ngx_cpymem(buf, "retry: 1000\nid: ", sizeof("retry: 1000\nid: ") - 1);
    p = ngx_chat_events_position_write(p, ngx_chat_events_zone(ev), &ev->at);
    *p++ = LF;
    *p++ = LF;

    rc = ngx_chat_events_text_write(&ngx_chat_events_answer_begun, buf,
                                    p - buf);

    if (rc == NGX_OK && (ev->is_gone || ev->recalled)) {
        rc = ngx_chat_events_stream_recovery(ev,
                                             &ngx_chat_events_answer_begun);
    }

    if (rc == NGX_OK && events.len) {
        rc = ngx_chat_events_text_write(&ngx_chat_events_answer_begun,
                                        events.data, events.len);
    }

    if (events.data) {
        ngx_free(events.data);
    }

    return rc;
}


static ngx_int_t
ngx_chat_events_stream_recovery(ngx_chat_events_t *ev,
    ngx_chat_events_text_t *t)
{
    u_char  *p, buf[sizeof("event: recovery\ndata: {\"recovered\":true,"
                           "\"missed\":}\n\n") + NGX_INT_T_LEN];

    if (ev->is_gone) {
        p = ngx_sprintf(buf, "event: recovery\n"
                             "data: {\"recovered\":false}\n\n");

    } else if (ev->counted) {
        p = ngx_sprintf(buf, "event: recovery\n"
                             "data: {\"recovered\":true,\"missed\":%ui}\n\n",
                             ev->missed);

    } else {
        p = ngx_sprintf(buf, "event: recovery\n"
                             "data: {\"recovered\":true}\n\n");
    }

    return ngx_chat_events_text_write(t, buf, p - buf);
}


static void
ngx_chat_events_stream_go(ngx_chat_events_t *ev)
{
    (void) ngx_chat_events_stream_pump(ev);
}


static void
ngx_chat_events_stream_ready(ngx_chat_stream_t *st)
{
    ngx_chat_events_t  *ev;

    ev = ngx_queue_data(st, ngx_chat_events_t, stream);

    (void) ngx_chat_events_stream_pump(ev);
}


static void
ngx_chat_events_stream_gone(ngx_chat_stream_t *st)
{
    ngx_chat_events_end(ngx_queue_data(st, ngx_chat_events_t, stream));
}


/* Sends what there is.  Returns 1 where it has sent something. */

static ngx_uint_t
ngx_chat_events_stream_pump(ngx_chat_events_t *ev)
{
    ngx_int_t                rc;
    ngx_uint_t               sent;
    ngx_chat_events_text_t  *text;

    sent = 0;

    while (ngx_chat_stream_is_ready(&ev->stream)
           && !ev->session.is_ending && !ev->session.closed)
    {
        if (ngx_chat_turn_is_long()) {
            ngx_chat_events_queue_post(ev);
            break;
        }

        rc = ngx_chat_events_answer_next(ev, &text);

        if (rc == NGX_OK) {

            ngx_chat_events_stream_write(ev, text->data, text->len);
            sent = 1;
            continue;
        }

        if (rc == NGX_AGAIN) {
            ngx_chat_events_queue_post(ev);

        } else if (rc != NGX_DONE && rc != NGX_BUSY) {
            ngx_chat_events_answer_stop(ev, rc);
        }

        break;
    }

    return sent;
}


static void
ngx_chat_events_stream_write(ngx_chat_events_t *ev, u_char *p, size_t len)
{
    ngx_int_t  rc;

    rc = ngx_chat_stream_write(&ev->stream, p, len);

    ngx_chat_turn_add(NGX_CHAT_EVENTS_STREAM_SEND
                      + len / NGX_CHAT_EVENTS_STREAM_COPY);

    ngx_chat_events_queue_told(ev, ev->at.place.position);

    ngx_chat_session_check_rc(&ev->session, rc);
}


/* One that has not read what it got, or is being given more, needs nothing. */

static void
ngx_chat_events_stream_beat(ngx_chat_events_t *ev, ngx_uint_t silent,
    uint64_t told)
{
    u_char  *p, buf[sizeof(":\n\nid: \n\n") + NGX_CHAT_EVENTS_POSITION_LEN];

    if (ngx_chat_events_stream_pump(ev)
        || !ngx_chat_stream_is_ready(&ev->stream)
        || ev->history || ev->in_work
        || ev->session.is_ending || ev->session.closed)
    {
        return;
    }

    p = buf;

    if (silent) {
        p = ngx_cpymem(p, ":\n\n", 3);
    }

    if (ev->at.place.position != told) {
        p = ngx_cpymem(p, "id: ", 4);
        p = ngx_chat_events_position_write(p, ngx_chat_events_zone(ev),
                                           &ev->at);
        *p++ = LF;
        *p++ = LF;
    }

    if (p > buf) {
        ngx_chat_events_stream_write(ev, buf, p - buf);
    }
}


/*
 * A ngx_chat_request_pt: the history is still being read, and the client is to
 * ask again with the position that it has.
 */

static ngx_int_t
ngx_chat_events_stream_part(ngx_http_request_t *r, void *data)
{
    static ngx_str_t  type = ngx_string("text/event-stream");
    static ngx_str_t  text = ngx_string("retry: 1000\n\n");

    ngx_chat_events_end(data);

    return ngx_chat_reply_typed(r, NGX_HTTP_OK, &type, &text);
}
