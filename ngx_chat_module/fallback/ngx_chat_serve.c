
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A visitor says which session it wants.  One that receives becomes the
 * session's carrier.  One that sends is read, its messages are taken, and it is
 * told so.
 *
 * Nothing is read for a session that can't take it yet: then the request that
 * sends waits, with what it has to say.  Sessions may end at any time, so the
 * visitor has no pointer to one.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <fallback/ngx_chat_fallback.h>
#include <fallback/ngx_chat_serve.h>
#include <shared/ngx_chat_turn.h>


#define NGX_CHAT_SERVE_TIME  60000         /* ms for all of a visit */


typedef struct {
    ngx_connection_t         *connection;
    ngx_chat_door_request_t   request;
    size_t                    len;         /* that has come of the request */
    u_char                   *messages;    /* NULL: not begun */
    u_char                   *pos;         /* up to here they are taken */
    u_char                   *last;        /* up to here they are read */
    ngx_chat_fallback_wait_t  wait;
    unsigned                  known:1;     /* as a request that is new */
} ngx_chat_serve_t;


static void ngx_chat_serve_visit(ngx_connection_t *c);
static void ngx_chat_serve_read_handler(ngx_event_t *rev);
static void ngx_chat_serve_go_on(ngx_chat_serve_t *sv);
static ngx_int_t ngx_chat_serve_read_request(ngx_chat_serve_t *sv);
static ngx_int_t ngx_chat_serve_read(ngx_chat_serve_t *sv, u_char *p,
    size_t len);
static void ngx_chat_serve_carry(ngx_chat_serve_t *sv,
    ngx_chat_fallback_t *f);
static ngx_int_t ngx_chat_serve_read_messages(ngx_chat_serve_t *sv,
    ngx_chat_fallback_t *f);
static ngx_int_t ngx_chat_serve_wait(ngx_chat_serve_t *sv,
    ngx_chat_fallback_t *f);
static void ngx_chat_serve_end(ngx_chat_serve_t *sv, u_char answer);
static void ngx_chat_serve_free(ngx_chat_serve_t *sv);


ngx_chat_door_handlers_t  ngx_chat_serve_handlers = {
    ngx_chat_serve_visit,
    ngx_chat_fallback_shut
};


static void
ngx_chat_serve_visit(ngx_connection_t *c)
{
    ngx_chat_serve_t  *sv;

    sv = ngx_calloc(sizeof(ngx_chat_serve_t), c->log);

    if (sv == NULL) {
        ngx_close_connection(c);
        return;
    }

    sv->connection = c;
    sv->wait.event = c->read;

    c->data = sv;
    c->read->handler = ngx_chat_serve_read_handler;
    c->write->handler = ngx_chat_serve_read_handler;

    /* what it says has come with it */

    c->read->ready = 1;

    ngx_add_timer(c->read, NGX_CHAT_SERVE_TIME);

    ngx_chat_serve_go_on(sv);
}


static void
ngx_chat_serve_read_handler(ngx_event_t *rev)
{
    ngx_connection_t  *c;
    ngx_chat_serve_t  *sv;

    c = rev->data;
    sv = c->data;

    if (c->read->timedout || c->close) {
        ngx_chat_serve_free(sv);
        return;
    }

    ngx_chat_serve_go_on(sv);
}


/* Does what can be done now; may free sv. */

static void
ngx_chat_serve_go_on(ngx_chat_serve_t *sv)
{
    ngx_int_t             rc;
    ngx_chat_fallback_t  *f;

    ngx_chat_turn_add(0);

    ngx_chat_fallback_unwait(&sv->wait);

    rc = ngx_chat_serve_read_request(sv);

    if (rc != NGX_OK) {
        goto done;
    }

    f = ngx_chat_fallback_find(sv->request.name, sv->request.origin,
                               sv->connection->log);

    if (f == NULL) {
        ngx_chat_serve_end(sv, NGX_CHAT_DOOR_UNKNOWN);
        return;
    }

    if (sv->request.kind != NGX_CHAT_DOOR_SEND_e) {
        ngx_chat_serve_carry(sv, f);
        return;
    }

    rc = ngx_chat_serve_read_messages(sv, f);

    if (rc != NGX_OK) {
        goto done;
    }

    if (!sv->known && ngx_chat_fallback_is_repeated(f, sv->request.attempt)) {
        ngx_chat_serve_end(sv, NGX_CHAT_DOOR_TAKEN);
        return;
    }

    sv->known = 1;

    switch (ngx_chat_fallback_take(f, &sv->pos, sv->last)) {

    case NGX_OK:
        ngx_chat_serve_end(sv, NGX_CHAT_DOOR_TAKEN);
        return;

    case NGX_AGAIN:

        if (ngx_chat_fallback_owes(f)) {
            rc = ngx_chat_serve_wait(sv, f);

        } else {
            ngx_post_event(sv->wait.event, &ngx_posted_next_events);
            rc = NGX_AGAIN;
        }

        break;

    default: /* NGX_DECLINED */
        ngx_chat_serve_end(sv, NGX_CHAT_DOOR_UNKNOWN);
        return;
    }

done:

    if (rc == NGX_BUSY) {
        ngx_chat_serve_end(sv, NGX_CHAT_DOOR_BUSY);
        return;
    }

    if (rc == NGX_ERROR
        || ngx_handle_read_event(sv->connection->read, 0) != NGX_OK)
    {
        ngx_chat_serve_free(sv);
    }
}


static ngx_int_t
ngx_chat_serve_read_request(ngx_chat_serve_t *sv)
{
    ngx_int_t  rc;

    while (sv->len < sizeof(ngx_chat_door_request_t)) {

        rc = ngx_chat_serve_read(sv, (u_char *) &sv->request + sv->len,
                                 sizeof(ngx_chat_door_request_t) - sv->len);
        if (rc < 0) {
            return rc;
        }

        sv->len += rc;
    }

    return NGX_OK;
}


/* The number of bytes, or NGX_AGAIN, or NGX_ERROR: the visitor has left. */

static ngx_int_t
ngx_chat_serve_read(ngx_chat_serve_t *sv, u_char *p, size_t len)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = sv->connection;
    n = c->recv(c, p, len);

    return (n == 0) ? NGX_ERROR : n;
}


/* The visitor becomes the session's carrier; frees sv. */

static void
ngx_chat_serve_carry(ngx_chat_serve_t *sv, ngx_chat_fallback_t *f)
{
    u_char                    answer;
    ngx_connection_t         *c;
    ngx_chat_door_request_t   request;

    c = sv->connection;
    request = sv->request;
    answer = NGX_CHAT_DOOR_TAKEN;

    if (ngx_chat_fallback_is_lost(f, request.attempt)) {
        ngx_log_error(NGX_LOG_INFO, c->log, 0,
                      "client without WebSocket has lost an answer");

        ngx_chat_fallback_finish(f);
        ngx_chat_serve_end(sv, NGX_CHAT_DOOR_UNKNOWN);
        return;
    }

    if (c->send(c, &answer, 1) != 1) {
        ngx_chat_serve_free(sv);
        return;
    }

    ngx_del_timer(c->read);
    ngx_free(sv);

    ngx_chat_fallback_carry(f, c, request.kind == NGX_CHAT_DOOR_POLL_e,
                            request.attempt);
}


/* NGX_OK: all have come; NGX_AGAIN; NGX_BUSY; NGX_ERROR. */

static ngx_int_t
ngx_chat_serve_read_messages(ngx_chat_serve_t *sv, ngx_chat_fallback_t *f)
{
    u_char     *last;
    ngx_int_t   rc;

    if (sv->messages == NULL) {

        if (ngx_chat_fallback_owes(f)) {
            return ngx_chat_serve_wait(sv, f);
        }

        sv->messages = ngx_alloc(ngx_max(sv->request.len, 1),
                                 sv->connection->log);
        if (sv->messages == NULL) {
            return NGX_ERROR;
        }

        sv->pos = sv->messages;
        sv->last = sv->messages;
    }

    last = sv->messages + sv->request.len;

    while (sv->last < last) {

        rc = ngx_chat_serve_read(sv, sv->last, last - sv->last);

        if (rc < 0) {
            return rc;
        }

        sv->last += rc;
    }

    return NGX_OK;
}


/* NGX_AGAIN; NGX_BUSY; NGX_ERROR: the visitor has left. */

static ngx_int_t
ngx_chat_serve_wait(ngx_chat_serve_t *sv, ngx_chat_fallback_t *f)
{
    if (sv->connection->read->pending_eof) {
        return NGX_ERROR;
    }

    return (ngx_chat_fallback_wait(f, &sv->wait) == NGX_OK) ? NGX_AGAIN
                                                            : NGX_BUSY;
}


static void
ngx_chat_serve_end(ngx_chat_serve_t *sv, u_char answer)
{
    ngx_connection_t  *c;

    c = sv->connection;

    /* there is room for a byte, or nobody to read it */

    (void) c->send(c, &answer, 1);

    ngx_chat_serve_free(sv);
}


static void
ngx_chat_serve_free(ngx_chat_serve_t *sv)
{
    ngx_chat_fallback_unwait(&sv->wait);

    ngx_close_connection(sv->connection);

    if (sv->messages) {
        ngx_free(sv->messages);
    }

    ngx_free(sv);
}
