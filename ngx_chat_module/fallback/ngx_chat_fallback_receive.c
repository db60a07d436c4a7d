
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Requests that receive: the lines of a session, piped from the worker where
 * the session lives into an answer that goes on.  The first request of a
 * session opens it, in this worker.
 *
 * A client that reads slowly is not read ahead of: the connection between the
 * workers fills, and what is behind waits in the session.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <fallback/ngx_chat_fallback.h>
#include <fallback/ngx_chat_fallback_request.h>
#include <fallback/ngx_chat_serve.h>
#include <fallback/ngx_chat_visit.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_stream.h>
#include <pusher/ngx_chat_error.h>


#define NGX_CHAT_RECEIVE_BUFFER  16384
#define NGX_CHAT_RECEIVE_READS   16        /* most in one turn */
#define NGX_CHAT_RECEIVE_TRIES   3
#define NGX_CHAT_RECEIVE_TIME    10000     /* ms for a worker to answer */
#define NGX_CHAT_RECEIVE_SILENT  60000     /* ms without a line; there is a
                                              heartbeat every 25 s */


typedef struct {
    ngx_chat_stream_t            stream;   /* first */
    ngx_chat_visit_t             visit;
    ngx_chat_door_request_t      said;
    ngx_chat_fallback_request_t *req;
    ngx_uint_t                   tries;
} ngx_chat_receive_t;


static ngx_int_t ngx_chat_receive_begin(ngx_http_request_t *r,
    ngx_chat_receive_t *rv);
static ngx_int_t ngx_chat_receive_open(ngx_http_request_t *r,
    ngx_chat_fallback_request_t *req);
static ngx_int_t ngx_chat_receive_answered(ngx_http_request_t *r, void *data);
static void ngx_chat_receive_read_handler(ngx_event_t *rev);
static void ngx_chat_receive_write_handler(ngx_event_t *wev);
static void ngx_chat_receive_pipe(ngx_chat_receive_t *rv);
static void ngx_chat_receive_ready(ngx_chat_stream_t *st);
static void ngx_chat_receive_gone(ngx_chat_stream_t *st);


/* what is read is used before the next request's turn */
static u_char  ngx_chat_receive_buffer[NGX_CHAT_RECEIVE_BUFFER];


ngx_int_t
ngx_chat_fallback_receive(ngx_http_request_t *r,
    ngx_chat_fallback_request_t *req)
{
    ngx_int_t            rc;
    ngx_chat_receive_t  *rv;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    rv = ngx_pcalloc(r->pool, sizeof(ngx_chat_receive_t));

    if (rv == NULL || ngx_chat_visit_init(&rv->visit, r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rv->req = req;
    rv->stream.ready = ngx_chat_receive_ready;
    rv->stream.gone = ngx_chat_receive_gone;

    rv->said.name = req->name;
    rv->said.origin = req->origin;
    rv->said.attempt = req->attempt;
    rv->said.kind = req->kind;

    rv->visit.handler = ngx_chat_receive_answered;
    rv->visit.data = rv;

    return ngx_chat_receive_begin(r, rv);
}


/* Goes where the session lives, or opens it. */

static ngx_int_t
ngx_chat_receive_begin(ngx_http_request_t *r, ngx_chat_receive_t *rv)
{
    ngx_int_t                     rc;
    ngx_chat_slot_sh_t           *slot;
    ngx_chat_main_conf_t         *cmcf;
    ngx_chat_fallback_request_t  *req;

    req = rv->req;
    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    for ( ;; ) {

        if (rv->tries++ == NGX_CHAT_RECEIVE_TRIES) {
            return ngx_chat_reply_line(r, NGX_HTTP_NOT_FOUND,
                                       "no such session");
        }

        slot = ngx_chat_fallback_slot(cmcf->zone, req->app->number, req->name,
                                      r->pool);
        if (slot != NULL) {
            break;
        }

        rc = ngx_chat_receive_open(r, req);

        if (rc == NGX_OK) {
            slot = cmcf->hub.fanout.slot;
            break;
        }

        if (rc != NGX_AGAIN) {
            return ngx_chat_fallback_refuse(r, rc, NULL, NULL);
        }
    }

    rv->visit.pos = (u_char *) &rv->said;
    rv->visit.last = rv->visit.pos + sizeof(ngx_chat_door_request_t);

    /* the session would hold this worker, which leaves */

    if ((ngx_exiting && slot != cmcf->hub.fanout.slot)
        || ngx_chat_visit(&rv->visit, cmcf->zone, slot, NGX_CHAT_RECEIVE_TIME)
           != NGX_OK)
    {
        return ngx_chat_reply_line(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "come back later");
    }

    return NGX_DONE;
}


/* NGX_OK; NGX_AGAIN: another worker has opened it; or a code to refuse with. */

static ngx_int_t
ngx_chat_receive_open(ngx_http_request_t *r, ngx_chat_fallback_request_t *req)
{
    ngx_chat_hub_t              *hub;
    ngx_chat_loc_conf_t         *clcf;
    ngx_chat_main_conf_t        *cmcf;
    ngx_http_core_loc_conf_t    *core;
    ngx_chat_fallback_client_t   client;

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);
    core = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    hub = &cmcf->hub;

    if (hub->fanout.slot != NULL
        && ngx_chat_door_open(hub->fanout.zone, hub->fanout.slot,
                              &ngx_chat_serve_handlers)
           != NGX_OK)
    {
        ngx_chat_session_count_refused(NGX_CHAT_ERROR_CAPACITY);
        return NGX_CHAT_ERROR_CAPACITY;
    }

    client.app = req->app;
    client.token = req->token;
    client.name = req->name;
    client.origin = req->origin;
    client.addr = &r->connection->addr_text;
    client.log = core->error_log;
    client.conf = &clcf->session;

    return ngx_chat_fallback_open(&cmcf->sessions, &client);
}


static ngx_int_t
ngx_chat_receive_answered(ngx_http_request_t *r, void *data)
{
    ngx_chat_receive_t *rv = data;

    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = rv->visit.connection;

    if (rv->visit.answer != NGX_CHAT_DOOR_TAKEN) {

        ngx_chat_visit_end(&rv->visit);

        if (rv->visit.answer == NGX_CHAT_DOOR_UNKNOWN) {
            return ngx_chat_receive_begin(r, rv);
        }

        return ngx_chat_reply_line(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "come back later");
    }

    rc = ngx_chat_stream_open(&rv->stream, r, NGX_CHAT_LINE_TYPE);

    if (rc != NGX_DONE) {
        return rc;
    }

    c->data = rv;
    c->read->handler = ngx_chat_receive_read_handler;
    c->write->handler = ngx_chat_receive_write_handler;

    /* the timer also holds this worker while it leaves */

    ngx_add_timer(c->read, NGX_CHAT_RECEIVE_SILENT);
    ngx_post_event(c->read, &ngx_posted_events);

    /* the client may have left meanwhile, and nobody has looked */

    ngx_post_event(r->connection->read, &ngx_posted_events);

    return NGX_DONE;
}


static void
ngx_chat_receive_read_handler(ngx_event_t *rev)
{
    ngx_uint_t           silent;
    ngx_connection_t    *c;
    ngx_chat_receive_t  *rv;

    c = rev->data;
    rv = c->data;
    silent = 0;

    if (rev->timedout) {
        rev->timedout = 0;

        /* a client that does not read is not read for */

        silent = ngx_chat_stream_is_ready(&rv->stream);

        if (silent) {
            ngx_log_error(NGX_LOG_ERR, c->log, NGX_ETIMEDOUT,
                          "chat worker is silent");
        }

        ngx_add_timer(rev, NGX_CHAT_RECEIVE_SILENT);
    }

    if (silent || c->close) {
        ngx_chat_visit_end(&rv->visit);
        ngx_chat_stream_end(&rv->stream, 1);
        return;
    }

    ngx_chat_receive_pipe(rv);
}


static void
ngx_chat_receive_write_handler(ngx_event_t *wev)
{
    /* nothing is said any more */
}


/* Passes lines on; may free rv. */

static void
ngx_chat_receive_pipe(ngx_chat_receive_t *rv)
{
    ssize_t            n;
    ngx_uint_t         i;
    ngx_connection_t  *c;

    c = rv->visit.connection;

    for (i = 0; ngx_chat_stream_is_ready(&rv->stream); i++) {

        if (i == NGX_CHAT_RECEIVE_READS) {
            ngx_post_event(c->read, &ngx_posted_next_events);
            return;
        }

        n = c->recv(c, ngx_chat_receive_buffer, NGX_CHAT_RECEIVE_BUFFER);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            ngx_chat_visit_end(&rv->visit);
            ngx_chat_stream_end(&rv->stream, 0);
            return;
        }

        ngx_add_timer(c->read, NGX_CHAT_RECEIVE_SILENT);

        if (ngx_chat_stream_write(&rv->stream, ngx_chat_receive_buffer, n)
            == NGX_ERROR)
        {
            ngx_chat_visit_end(&rv->visit);
            ngx_chat_stream_end(&rv->stream, 1);
            return;
        }
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_chat_visit_end(&rv->visit);
        ngx_chat_stream_end(&rv->stream, 1);
    }
}


static void
ngx_chat_receive_ready(ngx_chat_stream_t *st)
{
    ngx_chat_receive_pipe((ngx_chat_receive_t *) st);
}


static void
ngx_chat_receive_gone(ngx_chat_stream_t *st)
{
    ngx_chat_receive_t *rv = (ngx_chat_receive_t *) st;

    ngx_chat_visit_end(&rv->visit);
}
