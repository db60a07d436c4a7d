
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The end of a WebSocket connection: in good order, with a close frame that
 * reaches the client (RFC 6455, section 7), or at once.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http_module.h>
#include <pusher/ngx_chat_error.h>
#include <session/ngx_chat_claim.h>
#include <session/ngx_chat_recall.h>
#include <session/ngx_chat_recovery.h>
#include <websocket/ngx_chat_websocket.h>
#include <wire/ngx_chat_frame.h>


#define NGX_CHAT_WEBSOCKET_CLOSE_TIME    5000  /* ms to take the last bytes */
#define NGX_CHAT_WEBSOCKET_CLOSE_BUFFER  4096
#define NGX_CHAT_WEBSOCKET_CLOSE_READS   16        /* most in one turn */


/* Of a connection that is closed, in its pool. */

typedef struct {
    ngx_chat_decoder_t       decoder;
    ngx_chat_recovery_t     *recovery;
} ngx_chat_websocket_last_t;


static void ngx_chat_websocket_park(ngx_chat_session_t *s);
static ngx_chat_websocket_last_t *ngx_chat_websocket_last(
    ngx_chat_websocket_t *ws, ngx_chat_recovery_t *recovery);
static void ngx_chat_websocket_last_cleanup(void *data);
static void ngx_chat_websocket_last_read(ngx_connection_t *c, u_char *p,
    u_char *end);
static void ngx_chat_websocket_free(ngx_chat_websocket_t *ws);
static void ngx_chat_websocket_detach(ngx_http_request_t *r);
static void ngx_chat_websocket_finalize(ngx_http_request_t *r, ngx_int_t rc);
static void ngx_chat_websocket_linger(ngx_connection_t *c);
static void ngx_chat_websocket_linger_handler(ngx_event_t *rev);


ngx_chat_transport_t  ngx_chat_websocket_transport = {
    ngx_chat_websocket_close,
    ngx_chat_websocket_abort,
    ngx_chat_websocket_ping,
    NULL,                                  /* wake: it is no reader */
    0                                      /* is_lossy */
};


/* Closes without an error frame: the code is one of RFC 6455. */

ngx_int_t
ngx_chat_websocket_close_code(ngx_chat_websocket_t *ws, ngx_uint_t code)
{
    ngx_str_t  reason;

    ngx_str_null(&reason);

    ngx_chat_websocket_close(&ws->session, code, &reason);

    return NGX_DONE;
}


/* A ngx_chat_transport_t close(); may free ws. */

void
ngx_chat_websocket_close(ngx_chat_session_t *s, ngx_uint_t code,
    ngx_str_t *reason)
{
    ngx_int_t              rc;
    ngx_chat_buf_t        *b;
    ngx_connection_t      *c;
    ngx_chat_websocket_t  *ws;

    c = s->connection;
    ws = (ngx_chat_websocket_t *) s;

    if (ws->leaving || ws->ended) {
        return;
    }

    ws->leaving = 1;

    s->end_code = (uint16_t) code;

    ngx_chat_websocket_park(s);
    ngx_chat_session_leave(s);

    b = ngx_chat_session_frame_close(code, reason, c->log);

    if (b == NULL) {
        ngx_chat_websocket_abort(s);
        return;
    }

    rc = ngx_chat_outbox_send(&s->outbox, c, b, NGX_MAX_SIZE_T_VALUE, 0);

    ngx_chat_buf_release(b);

    if (rc == NGX_ERROR) {
        ngx_chat_websocket_abort(s);
        return;
    }

    if (rc == NGX_OK) {
        ngx_chat_websocket_finish(ws, NGX_OK);
        return;
    }

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    ngx_add_timer(c->write, NGX_CHAT_WEBSOCKET_CLOSE_TIME);

    if ((ngx_event_flags & NGX_USE_LEVEL_EVENT) && c->read->active) {
        (void) ngx_del_event(c->read, NGX_READ_EVENT, 0);
    }
}


/* What is kept for a client with a token, which may come back at once. */

static void
ngx_chat_websocket_park(ngx_chat_session_t *s)
{
    ngx_chat_claim_cancel(s, NULL);
    ngx_chat_recall_cancel(s, NULL);
    ngx_chat_recovery_end(s);
}


/* A ngx_chat_transport_t abort(); may free ws. */

void
ngx_chat_websocket_abort(ngx_chat_session_t *s)
{
    ngx_chat_websocket_finish((ngx_chat_websocket_t *) s,
                              NGX_HTTP_CLIENT_CLOSED_REQUEST);
}


void
ngx_chat_websocket_finish(ngx_chat_websocket_t *ws, ngx_int_t rc)
{
    ngx_connection_t           *c;
    ngx_chat_recovery_t        *recovery;
    ngx_chat_websocket_last_t  *last;

    if (ws->ended) {
        return;
    }

    ws->ended = 1;
    c = ws->session.connection;

    if (ws->request) {
        ngx_chat_websocket_note(ws);
    }

    ngx_chat_websocket_park(&ws->session);
    recovery = ngx_chat_recovery_detach(&ws->session);

    ngx_chat_session_end(&ws->session);

    last = NULL;

    if (recovery) {
        last = (rc == NGX_OK) ? ngx_chat_websocket_last(ws, recovery) : NULL;

        if (last == NULL) {
            ngx_chat_recovery_free(recovery);
        }
    }

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (ws->request) {
        ngx_chat_websocket_finalize(ws->request, rc);
        return;
    }

    ngx_chat_websocket_free(ws);

    if (rc == NGX_OK) {
        c->data = last;
        ngx_chat_websocket_linger(c);
        return;
    }

    ngx_http_close_connection(c);
}


/*
 * Where a client with a token was sent away before it has acknowledged all, its
 * Close frame does so.  NULL: that can't be read, or there is no memory.
 */

static ngx_chat_websocket_last_t *
ngx_chat_websocket_last(ngx_chat_websocket_t *ws, ngx_chat_recovery_t *recovery)
{
    ngx_pool_cleanup_t         *cln;
    ngx_chat_websocket_last_t  *last;

    if (ws->request || ws->rest) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(ws->session.connection->pool,
                               sizeof(ngx_chat_websocket_last_t));
    if (cln == NULL) {
        return NULL;
    }

    last = cln->data;

    /* a frame may have come in part */

    last->decoder = ws->decoder;
    ngx_chat_decoder_init(&ws->decoder, 0);

    last->recovery = recovery;

    cln->handler = ngx_chat_websocket_last_cleanup;

    return last;
}


static void
ngx_chat_websocket_last_cleanup(void *data)
{
    ngx_chat_websocket_last_t *last = data;

    ngx_chat_decoder_clear(&last->decoder);
    ngx_chat_recovery_free(last->recovery);
}


/*
 * What a client still sends: only its Close frame matters.  One that answers
 * ours has our code; any other the client may have sent before it had all.
 */

static void
ngx_chat_websocket_last_read(ngx_connection_t *c, u_char *p, u_char *end)
{
    ngx_uint_t                  code;
    ngx_chat_decoded_t          d;
    ngx_chat_websocket_last_t  *last;

    last = c->data;

    while (last != NULL) {

        if (ngx_chat_decoder_read(&last->decoder, &d, &p, end, c->log)
            != NGX_OK)
        {
            return;
        }

        if (d.opcode == NGX_CHAT_FRAME_CLOSE) {
            (void) ngx_chat_frame_read_close(d.payload.data, d.payload.len,
                                             &code);

            if (code == NGX_CHAT_ERROR_RECONNECT) {
                ngx_chat_recovery_closed(last->recovery);
            }

            c->data = NULL;
            return;
        }
    }
}


void
ngx_chat_websocket_cleanup(void *data)
{
    ngx_chat_websocket_t  *ws = data;

    ngx_chat_recovery_t  *recovery;

    ws->ended = 1;

    ngx_chat_websocket_detach(ws->request);

    ngx_chat_websocket_park(&ws->session);
    recovery = ngx_chat_recovery_detach(&ws->session);

    if (recovery) {
        ngx_chat_recovery_free(recovery);
    }

    ngx_chat_session_end(&ws->session);

    ngx_chat_websocket_free(ws);
}


static void
ngx_chat_websocket_free(ngx_chat_websocket_t *ws)
{
    ngx_chat_decoder_clear(&ws->decoder);

    if (ws->rest) {
        ngx_chat_buf_release(ws->rest);
    }

    ngx_chat_object_pool_free(&ngx_chat_websocket_pool, ws);
}


/* Until nginx sets its own handlers: the request may go on for a moment. */

static void
ngx_chat_websocket_detach(ngx_http_request_t *r)
{
    r->connection->read->handler = ngx_http_empty_handler;
    r->connection->write->handler = ngx_http_empty_handler;

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;
}


/*
 * Gives the request back to nginx.  With NGX_OK all is sent, and nginx does
 * what ngx_chat_websocket_linger() does.
 */

static void
ngx_chat_websocket_finalize(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_connection_t  *c;

    c = r->connection;

    ngx_chat_websocket_detach(r);

    r->lingering_close = (rc == NGX_OK);

    ngx_http_finalize_request(r, rc);

    ngx_http_run_posted_requests(c);
}


/*
 * All is sent: shuts the socket down and reads what the client still sends,
 * so that no reset takes the close frame away from it.
 */

static void
ngx_chat_websocket_linger(ngx_connection_t *c)
{
#if (NGX_SSL)
    ngx_int_t  rc;

    if (c->ssl) {
        c->ssl->shutdown_without_free = 1;

        rc = ngx_ssl_shutdown(c);

        if (rc == NGX_AGAIN) {
            c->ssl->handler = ngx_chat_websocket_linger;
            return;
        }

        if (rc != NGX_OK) {
            ngx_http_close_connection(c);
            return;
        }
    }
#endif

    c->read->handler = ngx_chat_websocket_linger_handler;
    c->write->handler = ngx_http_empty_handler;

    if (ngx_shutdown_socket(c->fd, NGX_WRITE_SHUTDOWN) == -1) {
        ngx_connection_error(c, ngx_socket_errno,
                             ngx_shutdown_socket_n " failed");
        ngx_http_close_connection(c);
        return;
    }

    ngx_add_timer(c->read, NGX_CHAT_WEBSOCKET_CLOSE_TIME);

    ngx_chat_websocket_linger_handler(c->read);
}


static void
ngx_chat_websocket_linger_handler(ngx_event_t *rev)
{
    ssize_t            n;
    u_char             buf[NGX_CHAT_WEBSOCKET_CLOSE_BUFFER];
    ngx_uint_t         i;
    ngx_connection_t  *c;

    c = rev->data;

    if (rev->timedout || c->close) {
        ngx_http_close_connection(c);
        return;
    }

    for (i = 0; rev->ready; i++) {

        if (i == NGX_CHAT_WEBSOCKET_CLOSE_READS) {
            ngx_post_event(rev, &ngx_posted_next_events);
            return;
        }

        n = c->recv(c, buf, sizeof(buf));

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            ngx_http_close_connection(c);
            return;
        }

        ngx_chat_websocket_last_read(c, buf, buf + n);
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_http_close_connection(c);
    }
}
