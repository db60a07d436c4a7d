
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The begin of a WebSocket connection (RFC 6455): the handshake through nginx's
 * header filters, so that everything an operator configures for a request
 * applies; then the connection is taken over from nginx.
 *
 * The request is given back as soon as the connection is open, where nothing
 * needs it (see ngx_chat_websocket_request.c).
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_client.h>
#include <http/ngx_chat_http_module.h>
#include <pusher/ngx_chat_error.h>
#include <session/ngx_chat_recovery.h>
#include <websocket/ngx_chat_handshake.h>
#include <websocket/ngx_chat_websocket.h>


static void ngx_chat_websocket_take_over(ngx_chat_websocket_t *ws);
static void ngx_chat_websocket_take_back(ngx_http_request_t *r);
static ngx_int_t ngx_chat_websocket_take_headers(ngx_chat_websocket_t *ws);
static ngx_int_t ngx_chat_websocket_greet(ngx_chat_websocket_t *ws);
static ngx_int_t ngx_chat_websocket_feed_rest(ngx_chat_websocket_t *ws);


ngx_int_t
ngx_chat_websocket_handler(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_str_t             *token;
    ngx_chat_loc_conf_t   *clcf;
    ngx_chat_websocket_t  *ws;

    if (r != r->main) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (ngx_chat_client_token(r, &token) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_chat_handshake(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    ws = ngx_chat_object_pool_alloc(&ngx_chat_websocket_pool,
                                    r->connection->log);
    if (ws == NULL) {
        return NGX_ERROR;
    }

    ws->cleanup = ngx_http_cleanup_add(r, 0);
    if (ws->cleanup == NULL) {
        ngx_chat_object_pool_free(&ngx_chat_websocket_pool, ws);
        return NGX_ERROR;
    }

    ws->cleanup->handler = ngx_chat_websocket_cleanup;
    ws->cleanup->data = ws;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    ws->request = r;
    ws->token = token;
    ws->seen = ngx_current_msec;

    ws->session.connection = r->connection;
    ws->session.conf = &clcf->session;
    ws->session.transport = &ngx_chat_websocket_transport;

    ngx_chat_decoder_init(&ws->decoder, ngx_chat_client_message_max(clcf));

    ngx_http_set_ctx(r, ws, ngx_chat_module);

    ngx_chat_websocket_take_over(ws);

    return NGX_DONE;
}


/*
 * Takes the connection over from nginx's request handlers.  The rest waits
 * for a posted event: nginx still uses the request when the content handler
 * has returned.
 */

static void
ngx_chat_websocket_take_over(ngx_chat_websocket_t *ws)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ws->request;
    c = r->connection;

    r->main->count++;

    r->read_event_handler = ngx_chat_websocket_take_back;
    r->write_event_handler = ngx_chat_websocket_take_back;

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    c->read->handler = ngx_chat_websocket_read_handler;
    c->write->handler = ngx_chat_websocket_write_handler;
    c->log->action = "serving WebSocket";

    ngx_post_event(c->read, &ngx_posted_events);
}


/*
 * When a subrequest fails, such as one of mirror, nginx puts its own handlers
 * on the connection.  The rest waits for posted events: nginx still uses the
 * request when this function has returned.
 */

static void
ngx_chat_websocket_take_back(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    c->read->handler = ngx_chat_websocket_read_handler;
    c->write->handler = ngx_chat_websocket_write_handler;

    ngx_post_event(c->read, &ngx_posted_events);
    ngx_post_event(c->write, &ngx_posted_events);
}


void
ngx_chat_websocket_start(ngx_chat_websocket_t *ws)
{
    ngx_event_t  *rev;

    rev = ws->session.connection->read;

    ws->started = 1;

    if (ngx_chat_websocket_take_headers(ws) != NGX_OK) {
        ngx_chat_websocket_abort(&ws->session);
        return;
    }

    if (ngx_chat_websocket_greet(ws) != NGX_OK) {
        return;
    }

    ngx_add_timer(rev, ws->session.conf->activity_timeout);

    if (ngx_chat_websocket_feed_rest(ws) != NGX_OK) {
        return;
    }

    ngx_chat_websocket_release(ws);

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_chat_websocket_abort(&ws->session);
        return;
    }

    if (rev->ready) {
        ngx_post_event(rev, &ngx_posted_events);
    }
}


/* What nginx has of the answer's headers leaves with the first frame. */

static ngx_int_t
ngx_chat_websocket_take_headers(ngx_chat_websocket_t *ws)
{
    u_char              *p;
    size_t               len;
    ngx_int_t            rc;
    ngx_chain_t         *cl;
    ngx_chat_buf_t      *b;
    ngx_http_request_t  *r;

    r = ws->request;
    len = 0;

    for (cl = r->out; cl; cl = cl->next) {
        len += ngx_buf_size(cl->buf);
    }

    if (len == 0) {
        return NGX_OK;
    }

    b = ngx_chat_buf_alloc(len, r->connection->log);
    if (b == NULL) {
        return NGX_ERROR;
    }

    p = b->data;

    for (cl = r->out; cl; cl = cl->next) {
        p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
    }

    r->out = NULL;

    rc = ngx_chat_outbox_send(&ws->session.outbox, r->connection, b,
                              NGX_MAX_SIZE_T_VALUE, 1);

    ngx_chat_buf_release(b);

    return (rc == NGX_AGAIN) ? NGX_OK : NGX_ERROR;
}


/* NGX_OK; NGX_DONE: the client is refused, the connection leaves or is gone. */

static ngx_int_t
ngx_chat_websocket_greet(ngx_chat_websocket_t *ws)
{
    ngx_int_t              rc;
    ngx_str_t              arg, client, *token;
    ngx_uint_t             code;
    const char            *text;
    ngx_chat_app_t        *app;
    ngx_chat_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(ws->request, ngx_chat_module);

    ngx_str_null(&arg);

    text = NULL;
    token = ws->token;
    ws->token = NULL;

    code = ngx_chat_client_app(ws->request, &ws->request->uri, &app, &arg);

    if (code == 0 && (cmcf->hub.fanout.slot == NULL || ngx_exiting)) {
        code = NGX_CHAT_ERROR_CAPACITY;
    }

    if (code == 0 && token
        && ngx_chat_client_check_token(token) != NGX_OK)
    {
        code = NGX_CHAT_ERROR_PATH;
        text = NGX_CHAT_ERROR_TOKEN;
    }

    if (code) {
        ngx_log_error(NGX_LOG_INFO, ws->session.connection->log, 0,
                      "chat client is refused with %ui", code);

        ngx_chat_session_refuse(&cmcf->sessions, &ws->session, code, text,
                                &arg);
        return NGX_DONE;
    }

    ws->session.is_js =
        (ngx_http_arg(ws->request, (u_char *) "client", 6, &client) == NGX_OK
         && client.len == 2 && ngx_strncmp(client.data, "js", 2) == 0);

    rc = ngx_chat_session_open(&cmcf->sessions, &ws->session, app);

    if (rc == NGX_ERROR) {
        ngx_chat_websocket_abort(&ws->session);
    }

    if (rc != NGX_OK) {
        return NGX_DONE;
    }

    ngx_chat_recovery_open(&ws->session, token);
    ngx_chat_session_greet(&ws->session);

    return NGX_OK;
}


/* Frames that came along with the request. */

static ngx_int_t
ngx_chat_websocket_feed_rest(ngx_chat_websocket_t *ws)
{
    u_char     *p;
    ngx_buf_t  *b;

    b = ws->request->header_in;

    if (b->pos == b->last) {
        return NGX_OK;
    }

    p = b->pos;
    b->pos = b->last;

    return ngx_chat_websocket_feed(ws, p, b->last);
}
