
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The WebSocket transport (RFC 6455): the handshake through nginx's header
 * filters, so that everything an operator configures for a request applies;
 * then reads and writes on the connection itself.
 *
 * The request is given back as soon as the connection is open, where nothing
 * needs it (see ngx_chat_websocket.c).  An idle client has no read
 * buffer: bytes are read into one buffer that all connections of the worker
 * share, and only an incomplete message is copied.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http_module.h>
#include <pusher/ngx_chat_error.h>
#include <session/ngx_chat_dispatch.h>
#include <shared/ngx_chat_turn.h>
#include <websocket/ngx_chat_handshake.h>
#include <websocket/ngx_chat_websocket.h>
#include <wire/ngx_chat_frame.h>


#define NGX_CHAT_WEBSOCKET_BUFFER   65536
#define NGX_CHAT_WEBSOCKET_READS    16        /* most in one turn */
#define NGX_CHAT_WEBSOCKET_MESSAGE  65536     /* at least accepted */
#define NGX_CHAT_WEBSOCKET_PONG     30000     /* ms to wait for a sign */


static void ngx_chat_websocket_take_over(ngx_chat_websocket_t *ws);
static void ngx_chat_websocket_take_back(ngx_http_request_t *r);
static void ngx_chat_websocket_start(ngx_chat_websocket_t *ws);
static ngx_int_t ngx_chat_websocket_take_headers(ngx_chat_websocket_t *ws);
static ngx_int_t ngx_chat_websocket_greet(ngx_chat_websocket_t *ws);
static ngx_int_t ngx_chat_websocket_feed_rest(ngx_chat_websocket_t *ws);
static void ngx_chat_websocket_read_handler(ngx_event_t *rev);
static ngx_int_t ngx_chat_websocket_feed(ngx_chat_websocket_t *ws, u_char *p,
    u_char *last);
static ngx_int_t ngx_chat_websocket_take(ngx_chat_websocket_t *ws);
static void ngx_chat_websocket_send(ngx_chat_websocket_t *ws,
    ngx_uint_t opcode, u_char *p, size_t len);
static void ngx_chat_websocket_write_handler(ngx_event_t *wev);
static void ngx_chat_websocket_silent(ngx_chat_websocket_t *ws);


/* what is read is used before the next connection's turn */
static u_char  ngx_chat_websocket_buffer[NGX_CHAT_WEBSOCKET_BUFFER];


ngx_int_t
ngx_chat_websocket_handler(ngx_http_request_t *r)
{
    ngx_int_t              rc;
    ngx_chat_loc_conf_t   *clcf;
    ngx_chat_websocket_t  *ws;

    if (r != r->main) {
        return NGX_HTTP_NOT_FOUND;
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
    ws->seen = ngx_current_msec;

    ws->session.connection = r->connection;
    ws->session.conf = &clcf->session;
    ws->session.transport = &ngx_chat_websocket_transport;

    ngx_chat_decoder_init(&ws->decoder,
                          ngx_max(clcf->max_message_size * 7 + 4096,
                                  NGX_CHAT_WEBSOCKET_MESSAGE));

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


static void
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
    ngx_str_t              arg;
    ngx_uint_t             code;
    ngx_chat_app_t        *app;
    ngx_chat_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(ws->request, ngx_chat_module);

    ngx_str_null(&arg);

    code = ngx_chat_handshake_app(ws->request, &app, &arg);

    if (code == 0 && (cmcf->hub.fanout.slot == NULL || ngx_exiting)) {
        code = NGX_CHAT_ERROR_CAPACITY;
    }

    if (code) {
        ngx_log_error(NGX_LOG_INFO, ws->session.connection->log, 0,
                      "chat client is refused with %ui", code);

        ngx_chat_session_refuse(&cmcf->sessions, &ws->session, code, &arg);
        return NGX_DONE;
    }

    rc = ngx_chat_session_open(&cmcf->sessions, &ws->session, app);

    if (rc == NGX_ERROR) {
        ngx_chat_websocket_abort(&ws->session);
        return NGX_DONE;
    }

    return rc;
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


static void
ngx_chat_websocket_read_handler(ngx_event_t *rev)
{
    ssize_t                n;
    ngx_uint_t             i;
    ngx_connection_t      *c;
    ngx_chat_websocket_t  *ws;

    c = rev->data;
    ws = ngx_chat_websocket_get(c);

    if (c->close) {
        /* worker_shutdown_timeout is over */

        if (ws->started && !ws->leaving) {
            ngx_chat_count(NGX_CHAT_CLOSED_SHUTDOWN_e, 1);
        }

        ngx_chat_websocket_abort(&ws->session);
        return;
    }

    if (ws->leaving) {
        /* while the last bytes go out, what the client says is ignored */
        return;
    }

    if (!ws->started) {
        ngx_chat_websocket_start(ws);
        return;
    }

    if (rev->timedout) {
        rev->timedout = 0;
        ngx_chat_websocket_silent(ws);
        return;
    }

    for (i = 0; rev->ready; i++) {

        if (i == NGX_CHAT_WEBSOCKET_READS || ngx_chat_turn_is_long()) {
            ngx_post_event(rev, &ngx_posted_next_events);
            return;
        }

        n = c->recv(c, ngx_chat_websocket_buffer, NGX_CHAT_WEBSOCKET_BUFFER);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            ngx_chat_websocket_abort(&ws->session);
            return;
        }

        ws->seen = ngx_current_msec;

        if (ws->pinged) {
            ws->pinged = 0;
            ngx_add_timer(rev, ws->session.conf->activity_timeout);
        }

        if (ngx_chat_websocket_feed(ws, ngx_chat_websocket_buffer,
                                    ngx_chat_websocket_buffer + n)
            != NGX_OK)
        {
            return;
        }
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_chat_websocket_abort(&ws->session);
    }
}


/*
 * Takes bytes of the client.  NGX_OK: go on reading; NGX_DONE: the
 * connection is leaving or gone, don't touch it.
 */

static ngx_int_t
ngx_chat_websocket_feed(ngx_chat_websocket_t *ws, u_char *p, u_char *last)
{
    ngx_int_t   rc;
    ngx_log_t  *log;

    log = ws->session.connection->log;

    ngx_chat_turn_add(0);

    ngx_chat_count(NGX_CHAT_RECEIVED_e, last - p);

    for ( ;; ) {

        rc = ngx_chat_decoder_read(&ws->decoder, &p, last, log);

        switch (rc) {

        case NGX_AGAIN:
            return NGX_OK;

        case NGX_OK:
            rc = ngx_chat_websocket_take(ws);

            if (rc != NGX_OK) {
                return rc;
            }

            break;

        case NGX_DECLINED:
            ngx_log_error(NGX_LOG_INFO, log, 0,
                          "client sent invalid WebSocket message, closing "
                          "with %ui", ws->decoder.code);

            ngx_chat_count(NGX_CHAT_CLOSED_PROTOCOL_e, 1);

            return ngx_chat_websocket_close_code(ws, ws->decoder.code);

        default:
            ngx_chat_websocket_abort(&ws->session);
            return NGX_DONE;
        }
    }
}


static ngx_int_t
ngx_chat_websocket_take(ngx_chat_websocket_t *ws)
{
    ngx_str_t   *payload;
    ngx_uint_t   code;

    payload = &ws->decoder.payload;

    switch (ws->decoder.opcode) {

    case NGX_CHAT_FRAME_TEXT:
        /* a session that has to go goes later, by a posted event */
        ngx_chat_dispatch(&ws->session, payload->data, payload->len);
        return NGX_OK;

    case NGX_CHAT_FRAME_PING:
        ngx_chat_websocket_send(ws, NGX_CHAT_FRAME_PONG, payload->data,
                                payload->len);
        return NGX_OK;

    case NGX_CHAT_FRAME_PONG:
        return NGX_OK;

    default: /* NGX_CHAT_FRAME_CLOSE */
        (void) ngx_chat_frame_read_close(payload->data, payload->len, &code);
        return ngx_chat_websocket_close_code(ws, code);
    }
}


static void
ngx_chat_websocket_send(ngx_chat_websocket_t *ws, ngx_uint_t opcode,
    u_char *payload, size_t len)
{
    u_char          *p;
    ngx_chat_buf_t  *b;

    b = ngx_chat_session_frame(opcode, len, &p, ws->session.connection->log);

    if (b != NULL) {
        ngx_memcpy(p, payload, len);
    }

    ngx_chat_session_send(&ws->session, b);
}


static void
ngx_chat_websocket_write_handler(ngx_event_t *wev)
{
    ngx_int_t              rc;
    ngx_connection_t      *c;
    ngx_chat_websocket_t  *ws;

    c = wev->data;
    ws = ngx_chat_websocket_get(c);

    if (wev->timedout) {
        c->timedout = 1;
        ngx_chat_websocket_abort(&ws->session);
        return;
    }

    rc = ngx_chat_outbox_flush(&ws->session.outbox, c);

    if (rc == NGX_ERROR) {
        ngx_chat_websocket_abort(&ws->session);
        return;
    }

    if (rc == NGX_OK && ws->leaving) {
        ngx_chat_websocket_finish(ws, NGX_OK);
    }
}


/*
 * The read timer: moved only when it fires, not with each frame.  Every
 * WebSocket stack answers a Ping, so whoever sends nothing for that long is
 * gone (Pusher protocol, section 1.3).
 */

static void
ngx_chat_websocket_silent(ngx_chat_websocket_t *ws)
{
    ngx_msec_t         idle, timeout;
    ngx_connection_t  *c;

    c = ws->session.connection;

    if (ws->pinged) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client did not answer WebSocket ping");

        ngx_chat_count(NGX_CHAT_CLOSED_SILENT_e, 1);
        ngx_chat_session_fail(&ws->session, NGX_CHAT_ERROR_NO_PONG, NULL);
        return;
    }

    idle = ngx_current_msec - ws->seen;
    timeout = ws->session.conf->activity_timeout;

    if (idle < timeout) {
        ngx_add_timer(c->read, timeout - idle);
        return;
    }

    ws->pinged = 1;
    ngx_add_timer(c->read, NGX_CHAT_WEBSOCKET_PONG);

    ngx_chat_websocket_send(ws, NGX_CHAT_FRAME_PING, NULL, 0);
}
