
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A WebSocket connection with its request, and without it.
 *
 * The request is given back to nginx as it is between two requests of a
 * connection.  What is left of an idle client is nginx's connection with its
 * small pool, and the session.
 *
 * Some need the request until the connection ends, and it is kept for them:
 * limit_conn, which counts requests; post_action; subrequests that are still
 * under way, such as those of mirror; and an access log that is to have its
 * line at the end ("log=close").
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_variable.h>
#include <websocket/ngx_chat_websocket.h>


static ngx_uint_t ngx_chat_websocket_needs_request(ngx_http_request_t *r);
static void ngx_chat_websocket_free_headers(ngx_connection_t *c,
    ngx_http_connection_t *hc);
static void ngx_chat_websocket_free_buffers(ngx_connection_t *c,
    ngx_chain_t *cl);


ngx_chat_object_pool_t  ngx_chat_websocket_pool = {
    sizeof(ngx_chat_websocket_t), { NULL, NULL }
};


ngx_chat_websocket_t *
ngx_chat_websocket_get(ngx_connection_t *c)
{
    ngx_http_log_ctx_t  *ctx;

    /* nginx's own word on whether the connection has a request */

    ctx = c->log->data;

    return ctx->request ? ngx_http_get_module_ctx(ctx->request,
                                                  ngx_chat_module)
                        : c->data;
}


void
ngx_chat_websocket_note(ngx_chat_websocket_t *ws)
{
    ngx_str_t            user;
    ngx_chat_session_t  *s;

    s = &ws->session;

    if (s->app == NULL) {
        return;
    }

    ngx_str_null(&user);

    if (s->user) {
        /* the request outlives the session by its log */

        user.data = ngx_pstrdup(ws->request->pool, &s->user->id);
        user.len = user.data ? s->user->id.len : 0;
    }

    ngx_chat_variable_note(ws->request, &s->app->id, NULL, NULL,
                           &s->subscriber.id, user.data ? &user : NULL);
}


void
ngx_chat_websocket_release(ngx_chat_websocket_t *ws)
{
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_connection_t  *hc;

    r = ws->request;
    c = r->connection;
    hc = r->http_connection;

    if (ngx_chat_websocket_needs_request(r)) {
        return;
    }

    ngx_chat_websocket_note(ws);

    ws->cleanup->handler = NULL;
    ws->request = NULL;

    ngx_http_free_request(r, 0);

    /* free_request() is for the end of a connection, too */
    c->destroyed = 0;
    c->data = ws;
    c->log->action = "serving WebSocket";

    ngx_chat_websocket_free_headers(c, hc);

#if (NGX_SSL)
    /* something may still wait in it, or in OpenSSL */

    if (c->ssl && !c->buffered) {
        ngx_ssl_free_buffer(c);
    }
#endif
}


static ngx_uint_t
ngx_chat_websocket_needs_request(ngx_http_request_t *r)
{
    ngx_chat_loc_conf_t       *clcf;
    ngx_http_core_loc_conf_t  *core;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);
    core = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    return clcf->log_close
           || r->limit_conn_status
           || core->post_action.data
           || r->count != 1
           || r->blocked
           || r->connection->data != r
           || r->posted_requests;
}


/* The buffers that the request's headers were read into. */

static void
ngx_chat_websocket_free_headers(ngx_connection_t *c,
    ngx_http_connection_t *hc)
{
    if (c->buffer && ngx_pfree(c->pool, c->buffer->start) == NGX_OK) {
        c->buffer->start = NULL;
        c->buffer->pos = NULL;
        c->buffer->last = NULL;
        c->buffer->end = NULL;
    }

    ngx_chat_websocket_free_buffers(c, hc->free);
    ngx_chat_websocket_free_buffers(c, hc->busy);

    hc->free = NULL;
    hc->busy = NULL;
    hc->nbusy = 0;
}


static void
ngx_chat_websocket_free_buffers(ngx_connection_t *c, ngx_chain_t *cl)
{
    ngx_chain_t  *ln;

    while (cl) {
        ln = cl;
        cl = cl->next;

        (void) ngx_pfree(c->pool, ln->buf->start);
        ngx_free_chain(c->pool, ln);
    }
}
