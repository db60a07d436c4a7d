
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The end of a WebSocket connection: in good order, with a close frame that
 * reaches the client (RFC 6455, section 7), or at once.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <endpoint/ngx_chat_websocket.h>
#include <ngx_chat_module.h>
#include <pusher/ngx_chat_error.h>
#include <wire/ngx_chat_frame.h>


#define NGX_CHAT_CLOSING_TIME  5000        /* ms to take the last bytes */


static void ngx_chat_websocket_leave_handler(ngx_event_t *rev);


ngx_chat_transport_t  ngx_chat_websocket_transport = {
    ngx_chat_websocket_close,
    ngx_chat_websocket_abort
};


/* Closes without an error frame: the code is one of RFC 6455. */

ngx_int_t
ngx_chat_websocket_fail(ngx_chat_websocket_t *ws, ngx_uint_t code)
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
    u_char                *p;
    size_t                 len;
    ngx_int_t              rc;
    ngx_connection_t      *c;
    ngx_chat_buf_t        *b;
    ngx_chat_websocket_t  *ws;

    c = s->connection;
    ws = (ngx_chat_websocket_t *) s;

    if (ws->leaving || ws->ended) {
        return;
    }

    ws->leaving = 1;
    ngx_chat_session_leave(s);

    len = 0;

    if (code != NGX_CHAT_CLOSE_NO_STATUS) {
        len = 2 + ngx_chat_error_reason_len(reason->data, reason->len);
    }

    b = ngx_chat_session_frame(NGX_CHAT_FRAME_CLOSE, len, &p, c->log);

    if (b == NULL) {
        ngx_chat_websocket_abort(s);
        return;
    }

    if (len) {
        *p++ = (u_char) (code >> 8);
        *p++ = (u_char) code;
        ngx_memcpy(p, reason->data, len - 2);
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

    c->read->handler = ngx_chat_websocket_leave_handler;
    ngx_add_timer(c->write, NGX_CHAT_CLOSING_TIME);

    if ((ngx_event_flags & NGX_USE_LEVEL_EVENT) && c->read->active) {
        (void) ngx_del_event(c->read, NGX_READ_EVENT, 0);
    }
}


/* A ngx_chat_transport_t abort(); may free ws. */

void
ngx_chat_websocket_abort(ngx_chat_session_t *s)
{
    ngx_chat_websocket_finish((ngx_chat_websocket_t *) s,
                              NGX_HTTP_CLIENT_CLOSED_REQUEST);
}


/*
 * Gives the request back to nginx.  With NGX_OK all is sent: nginx shuts the
 * socket down and reads what the client still sends, so that no reset takes
 * the close frame away from it.
 */

void
ngx_chat_websocket_finish(ngx_chat_websocket_t *ws, ngx_int_t rc)
{
    ngx_uint_t           starting;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    if (ws->ended) {
        return;
    }

    ws->ended = 1;
    r = ws->request;
    c = r->connection;

    ngx_chat_session_end(&ws->session);

    if (c->read->timer_set) {
        ngx_del_timer(c->read);
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    /* until nginx sets its own: the request may go on for a moment */
    c->read->handler = ngx_http_empty_handler;
    c->write->handler = ngx_http_empty_handler;

    r->lingering_close = (rc == NGX_OK);

    starting = ws->starting;

    ngx_http_finalize_request(r, rc);

    if (!starting) {
        ngx_http_run_posted_requests(c);
    }
}


void
ngx_chat_websocket_cleanup(void *data)
{
    ngx_chat_websocket_t  *ws = data;

    ws->ended = 1;

    ngx_chat_session_end(&ws->session);

    ngx_chat_intake_clear(&ws->intake);
}


/* While the last bytes go out, what the client says does not matter. */

static void
ngx_chat_websocket_leave_handler(ngx_event_t *rev)
{
    ngx_connection_t      *c;
    ngx_chat_websocket_t  *ws;

    c = rev->data;

    if (c->close) {
        ws = ngx_http_get_module_ctx((ngx_http_request_t *) c->data,
                                     ngx_chat_module);
        ngx_chat_websocket_abort(&ws->session);
    }
}
