
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Reading and writing of a WebSocket connection (RFC 6455), on the event loop.
 *
 * An idle client has no read buffer: bytes are read into one buffer that all
 * connections of the worker share, and only an incomplete message is copied.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <pusher/ngx_chat_error.h>
#include <session/ngx_chat_dispatch.h>
#include <session/ngx_chat_recovery.h>
#include <shared/ngx_chat_turn.h>
#include <websocket/ngx_chat_websocket.h>
#include <wire/ngx_chat_frame.h>


#define NGX_CHAT_WEBSOCKET_BUFFER  65536
#define NGX_CHAT_WEBSOCKET_READS   16         /* most in one turn */
#define NGX_CHAT_WEBSOCKET_PONG    30000      /* ms to wait for a sign */


static ngx_int_t ngx_chat_websocket_pause(ngx_chat_websocket_t *ws,
    u_char *p, u_char *last);
static void ngx_chat_websocket_resume(ngx_chat_websocket_t *ws);
static ngx_int_t ngx_chat_websocket_take(ngx_chat_websocket_t *ws,
    ngx_chat_decoded_t *d);
static void ngx_chat_websocket_send(ngx_chat_websocket_t *ws,
    ngx_uint_t opcode, u_char *p, size_t len);
static void ngx_chat_websocket_silent(ngx_chat_websocket_t *ws);


/* what is read is used before the next connection's turn */
static u_char  ngx_chat_websocket_buffer[NGX_CHAT_WEBSOCKET_BUFFER];


void
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

    for (i = 0; rev->ready && !ws->paused; i++) {

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


ngx_int_t
ngx_chat_websocket_feed(ngx_chat_websocket_t *ws, u_char *p, u_char *last)
{
    ngx_int_t            rc;
    ngx_log_t           *log;
    ngx_uint_t           used;
    ngx_chat_decoded_t   d;

    used = 0;
    log = ws->session.connection->log;

    ngx_chat_turn_add(0);

    ngx_chat_count(NGX_CHAT_RECEIVED_e, last - p);

    for ( ;; ) {

        if (ngx_chat_outbox_owes(&ws->session.outbox,
                                 ws->session.conf->send_buffer))
        {
            ngx_chat_recovery_used(&ws->session);
            return ngx_chat_websocket_pause(ws, p, last);
        }

        rc = ngx_chat_decoder_read(&ws->decoder, &d, &p, last, log);

        switch (rc) {

        case NGX_AGAIN:
            if (used) {
                ngx_chat_recovery_used(&ws->session);
            }

            return NGX_OK;

        case NGX_OK:
            used = 1;
            rc = ngx_chat_websocket_take(ws, &d);

            if (rc != NGX_OK) {
                return rc;
            }

            break;

        case NGX_DECLINED:
            ngx_log_error(NGX_LOG_INFO, log, 0,
                          "client sent invalid WebSocket message, closing "
                          "with %ui", d.code);

            ngx_chat_count(NGX_CHAT_CLOSED_PROTOCOL_e, 1);

            return ngx_chat_websocket_close_code(ws, d.code);

        default:
            ngx_chat_websocket_abort(&ws->session);
            return NGX_DONE;
        }
    }
}


/*
 * Takes no more commands until the client has read their answers, so that
 * these have a bound.  What was read already waits.
 */

static ngx_int_t
ngx_chat_websocket_pause(ngx_chat_websocket_t *ws, u_char *p, u_char *last)
{
    ws->paused = 1;

    if (p == last) {
        return NGX_OK;
    }

    ws->rest = ngx_chat_buf_alloc(last - p, ws->session.connection->log);

    if (ws->rest == NULL) {
        ngx_chat_websocket_abort(&ws->session);
        return NGX_DONE;
    }

    ngx_memcpy(ws->rest->data, p, last - p);

    return NGX_OK;
}


static void
ngx_chat_websocket_resume(ngx_chat_websocket_t *ws)
{
    ngx_int_t        rc;
    ngx_event_t     *rev;
    ngx_chat_buf_t  *b;

    b = ws->rest;
    rev = ws->session.connection->read;

    ws->rest = NULL;
    ws->paused = 0;

    if (b != NULL) {
        rc = ngx_chat_websocket_feed(ws, b->data, b->data + b->len);

        ngx_chat_buf_release(b);

        if (rc != NGX_OK) {
            return;
        }
    }

    if (rev->ready && !ws->paused) {
        ngx_post_event(rev, &ngx_posted_next_events);
    }
}


static ngx_int_t
ngx_chat_websocket_take(ngx_chat_websocket_t *ws, ngx_chat_decoded_t *d)
{
    ngx_str_t   *payload;
    ngx_uint_t   code;

    payload = &d->payload;

    switch (d->opcode) {

    case NGX_CHAT_FRAME_TEXT:
        /* a session that has to go goes later, by a posted event */
        ngx_chat_dispatch(&ws->session, payload->data, payload->len);
        return NGX_OK;

    case NGX_CHAT_FRAME_PING:
        ngx_chat_websocket_send(ws, NGX_CHAT_FRAME_PONG, payload->data,
                                payload->len);
        return NGX_OK;

    case NGX_CHAT_FRAME_PONG:
        /* an empty one answers a Ping that asks only whether it is there */

        if (payload->len && !ws->session.is_js) {
            ngx_chat_recovery_pong(&ws->session, payload);
        }

        return NGX_OK;

    default: /* NGX_CHAT_FRAME_CLOSE */
        (void) ngx_chat_frame_read_close(payload->data, payload->len, &code);

        ws->session.was_closed = 1;
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


/* A ngx_chat_transport_t ping(). */

void
ngx_chat_websocket_ping(ngx_chat_session_t *s, ngx_str_t *text)
{
    ngx_chat_websocket_send((ngx_chat_websocket_t *) s, NGX_CHAT_FRAME_PING,
                            text->data, text->len);
}


void
ngx_chat_websocket_write_handler(ngx_event_t *wev)
{
    size_t                 queued;
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

    queued = ws->session.outbox.queued;

    rc = ngx_chat_outbox_flush(&ws->session.outbox, c);

    if (rc == NGX_ERROR) {
        ngx_chat_websocket_abort(&ws->session);
        return;
    }

    if (ws->leaving) {

        if (rc == NGX_OK) {
            ngx_chat_websocket_finish(ws, NGX_OK);
        }

        return;
    }

    /* the client reads */

    if (ws->session.outbox.queued < queued) {
        ws->seen = ngx_current_msec;
    }

    if (ws->paused
        && !ngx_chat_outbox_owes(&ws->session.outbox,
                                 ws->session.conf->send_buffer))
    {
        ngx_chat_websocket_resume(ws);
    }
}


/*
 * The read timer: moved only when it fires, not with each frame.  Every
 * WebSocket stack answers a Ping, so whoever sends nothing for that long is
 * gone (Pusher protocol, section 1.3).  A Ping may wait behind much that the
 * client reads slowly: as long as it reads, it is there.
 */

static void
ngx_chat_websocket_silent(ngx_chat_websocket_t *ws)
{
    ngx_msec_t         idle, timeout;
    ngx_connection_t  *c;

    c = ws->session.connection;

    idle = ngx_current_msec - ws->seen;

    if (ws->pinged) {

        if (idle < NGX_CHAT_WEBSOCKET_PONG) {
            ngx_add_timer(c->read, NGX_CHAT_WEBSOCKET_PONG - idle);
            return;
        }

        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client did not answer WebSocket ping");

        ngx_chat_count(NGX_CHAT_CLOSED_SILENT_e, 1);
        ngx_chat_session_fail(&ws->session, NGX_CHAT_ERROR_NO_PONG, NULL);
        return;
    }

    timeout = ws->session.conf->activity_timeout;

    if (idle < timeout) {
        ngx_add_timer(c->read, timeout - idle);
        return;
    }

    ws->pinged = 1;
    ngx_add_timer(c->read, NGX_CHAT_WEBSOCKET_PONG);

    ngx_chat_websocket_send(ws, NGX_CHAT_FRAME_PING, NULL, 0);
}
