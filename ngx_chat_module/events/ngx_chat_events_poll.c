
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Long polls: one answer with what there is, or with nothing when the time is
 * over.  Until then the request is suspended.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <events/ngx_chat_events_answer.h>
#include <events/ngx_chat_events_queue.h>
#include <http/ngx_chat_reply.h>


static ngx_int_t ngx_chat_events_poll_begin(ngx_chat_events_t *ev);
static ngx_int_t ngx_chat_events_poll_wait(ngx_chat_events_t *ev);
static void ngx_chat_events_poll_timeout(ngx_event_t *event);
static void ngx_chat_events_poll_go(ngx_chat_events_t *ev);
static ngx_int_t ngx_chat_events_poll_part(ngx_http_request_t *r, void *data);
static ngx_int_t ngx_chat_events_poll_reply(ngx_http_request_t *r,
    void *data);


ngx_chat_events_kind_t  ngx_chat_events_poll = {
    ngx_chat_events_poll_begin,
    ngx_chat_events_queue_post,
    ngx_chat_events_poll_go,
    NULL,                                  /* beat: it is told nothing */
    ngx_chat_events_poll_part
};


static ngx_chat_events_text_t  *ngx_chat_events_poll_text;


static ngx_int_t
ngx_chat_events_poll_begin(ngx_chat_events_t *ev)
{
    ngx_int_t                rc;
    ngx_chat_events_text_t  *text;

    if (ngx_chat_events_answer_headers(ev) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text = &ngx_chat_events_answer_begun;

    if (text->n == 0 && !ev->is_gone) {

        rc = ngx_chat_events_answer_next(ev, &text);

        if (rc != NGX_OK && ev->request->method != NGX_HTTP_HEAD) {

            if (rc == NGX_AGAIN) {
                ngx_chat_events_queue_post(ev);
            }

            if (rc == NGX_DONE || rc == NGX_AGAIN || rc == NGX_BUSY) {
                return ngx_chat_events_poll_wait(ev);
            }
        }

        /* the ring has just gone past: the client is told with its next one */

        if (rc != NGX_OK) {
            text = NULL;
        }
    }

    ngx_chat_events_poll_text = text;

    return ngx_chat_events_poll_reply(ev->request, ev);
}


static ngx_int_t
ngx_chat_events_poll_wait(ngx_chat_events_t *ev)
{
    ngx_event_t  *timer;

    timer = ngx_pcalloc(ev->request->pool, sizeof(ngx_event_t));
    if (timer == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    timer->handler = ngx_chat_events_poll_timeout;
    timer->data = ev;
    timer->log = ev->request->connection->log;

    ev->timer = timer;
    ngx_add_timer(timer, ev->timeout * 1000);

    return ngx_chat_events_answer_wait(ev);
}


static void
ngx_chat_events_poll_timeout(ngx_event_t *event)
{
    ngx_chat_events_part(event->data, 0);
}


/* A poll that waits, and may have events now. */

static void
ngx_chat_events_poll_go(ngx_chat_events_t *ev)
{
    ngx_int_t                rc;
    ngx_chat_events_text_t  *text;

    if (!ev->is_waiting || ev->session.is_ending) {
        return;
    }

    rc = ngx_chat_events_answer_next(ev, &text);

    switch (rc) {

    case NGX_OK:
        ngx_chat_events_poll_text = text;
        ngx_chat_request_resume(ev->request, ngx_chat_events_poll_reply, ev);
        return;

    case NGX_DONE:
    case NGX_BUSY:
        return;

    case NGX_AGAIN:
        ngx_chat_events_queue_post(ev);
        return;

    default:
        ngx_chat_events_answer_stop(ev, rc);
    }
}


/* A ngx_chat_request_pt: a poll that waits ends, and has got nothing. */

static ngx_int_t
ngx_chat_events_poll_part(ngx_http_request_t *r, void *data)
{
    ngx_chat_events_poll_text = NULL;

    return ngx_chat_events_poll_reply(r, data);
}


/* A ngx_chat_request_pt: answers a poll with the events of the text. */

static ngx_int_t
ngx_chat_events_poll_reply(ngx_http_request_t *r, void *data)
{
    ngx_chat_events_t *ev = data;

    u_char                  *p;
    ngx_str_t                etag, json, *position;
    ngx_chat_events_text_t  *text;

    text = ngx_chat_events_poll_text;
    position = ngx_chat_events_answer_position(ev);

    if (position == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    etag.len = position->len + 2;
    etag.data = ngx_pnalloc(r->pool, etag.len);

    json.data = ngx_pnalloc(r->pool, position->len + (text ? text->len : 0)
                            + sizeof("{\"position\":\"\",\"recovered\":false,"
                                     "\"events\":[]}"));

    if (etag.data == NULL || json.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_sprintf(etag.data, "\"%V\"", position);

    p = ngx_sprintf(json.data, "{\"position\":\"%V\",\"recovered\":%s,"
                               "\"events\":[", position,
                               ev->is_gone ? "false" : "true");
    if (text) {
        p = ngx_cpymem(p, text->data, text->len);
    }

    p = ngx_cpymem(p, "]}", 2);
    json.len = p - json.data;

    if (ngx_chat_reply_header(r, "ETag", &etag) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* the same position again is an answer, too */

    r->disable_not_modified = 1;

    ngx_chat_events_end(ev);

    return ngx_chat_reply_send(r, NGX_HTTP_OK, &json);
}
