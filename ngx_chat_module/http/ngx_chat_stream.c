
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Answers that go on.
 *
 * nginx finalizes the request when its stream ends.  Until then the request has
 * one more count, and handlers of its own.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_stream.h>
#include <shared/ngx_chat_turn.h>


static ngx_int_t ngx_chat_stream_send_header(ngx_http_request_t *r,
    const char *type);
static ngx_int_t ngx_chat_stream_flush(ngx_chat_stream_t *st,
    ngx_chain_t *out);
static ngx_int_t ngx_chat_stream_wait(ngx_http_request_t *r);
static void ngx_chat_stream_write_handler(ngx_http_request_t *r);
static void ngx_chat_stream_cleanup(void *data);
static void ngx_chat_stream_free(void *data);


ngx_int_t
ngx_chat_stream_open(ngx_chat_stream_t *st, ngx_http_request_t *r,
    const char *type)
{
    ngx_int_t            rc;
    ngx_pool_cleanup_t  *cln;

    st->cleanup = ngx_http_cleanup_add(r, 0);
    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_chat_stream_piece_t));

    if (st->cleanup == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    st->piece = cln->data;
    ngx_memzero(st->piece, sizeof(ngx_chat_stream_piece_t));

    cln->handler = ngx_chat_stream_free;

    rc = ngx_chat_stream_send_header(r, type);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    st->cleanup->handler = ngx_chat_stream_cleanup;
    st->cleanup->data = st;

    ngx_http_set_ctx(r, st, ngx_chat_module);

    st->request = r;

    r->main->count++;
    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_chat_stream_write_handler;

    /* the client may have left before there was a handler */

    if (r->connection->read->pending_eof) {
        ngx_post_event(r->connection->read, &ngx_posted_events);
    }

    return NGX_DONE;
}


static ngx_int_t
ngx_chat_stream_send_header(ngx_http_request_t *r, const char *type)
{
    if (ngx_chat_reply_header_text(r, "Cache-Control",
                                   "no-store, no-transform")
        != NGX_OK
        || ngx_chat_reply_header_text(r, "X-Accel-Buffering", "no") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

#if (NGX_HTTP_GZIP)

    /* compression would hold back what is to be seen at once */

    r->gzip_tested = 1;
    r->gzip_ok = 0;

#endif

    /* an answer without an end is never the one that the client has */

    r->disable_not_modified = 1;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = -1;

    r->headers_out.content_type.data = (u_char *) type;
    r->headers_out.content_type.len = ngx_strlen(type);
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    return ngx_http_send_header(r);
}


ngx_int_t
ngx_chat_stream_write(ngx_chat_stream_t *st, u_char *p, size_t len)
{
    ngx_buf_t                *b;
    ngx_chat_stream_piece_t  *piece;

    ngx_chat_turn_add(0);

    piece = st->piece;
    piece->data = ngx_alloc(len, st->request->connection->log);

    if (piece->data == NULL) {
        return NGX_ERROR;
    }

    b = &piece->buf;
    ngx_memzero(b, sizeof(ngx_buf_t));

    b->start = piece->data;
    b->pos = b->start;
    b->last = ngx_cpymem(b->pos, p, len);
    b->end = b->last;
    b->memory = 1;
    b->flush = 1;

    piece->out.buf = b;
    piece->out.next = NULL;

    return ngx_chat_stream_flush(st, &piece->out);
}


/* NGX_OK: nothing is under way; NGX_AGAIN; NGX_ERROR. */

static ngx_int_t
ngx_chat_stream_flush(ngx_chat_stream_t *st, ngx_chain_t *out)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = st->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    if (ngx_http_output_filter(r, out) == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (r->buffered || r->postponed || c->buffered
        || st->piece->buf.pos != st->piece->buf.last)
    {
        return (ngx_chat_stream_wait(r) == NGX_OK) ? NGX_AGAIN : NGX_ERROR;
    }

    if (c->write->timer_set && !c->write->delayed) {
        ngx_del_timer(c->write);
    }

    ngx_free(st->piece->data);
    st->piece->data = NULL;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_stream_wait(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    wev = r->connection->write;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    return ngx_handle_write_event(wev, clcf->send_lowat);
}


static void
ngx_chat_stream_write_handler(ngx_http_request_t *r)
{
    ngx_int_t           rc;
    ngx_event_t        *wev;
    ngx_chat_stream_t  *st;

    wev = r->connection->write;
    st = ngx_http_get_module_ctx(r, ngx_chat_module);

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, NGX_ETIMEDOUT,
                      "client timed out");

        r->connection->timedout = 1;

        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    /* over HTTP/3, a client that leaves may say so to this half only */

    if (wev->error) {
        r->connection->error = 1;

        ngx_http_finalize_request(r, NGX_HTTP_CLIENT_CLOSED_REQUEST);
        return;
    }

    if (st->piece->data == NULL) {
        return;
    }

    if (wev->delayed) {
        rc = (ngx_chat_stream_wait(r) == NGX_OK) ? NGX_AGAIN : NGX_ERROR;

    } else {
        rc = ngx_chat_stream_flush(st, NULL);
    }

    if (rc == NGX_ERROR) {
        ngx_http_finalize_request(r, NGX_ERROR);
        return;
    }

    if (rc == NGX_OK) {
        st->ready(st);
    }
}


void
ngx_chat_stream_end(ngx_chat_stream_t *st, ngx_uint_t broken)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = st->request;

    if (r == NULL) {
        return;
    }

    c = r->connection;

    st->request = NULL;
    st->cleanup->handler = NULL;

    ngx_http_set_ctx(r, NULL, ngx_chat_module);
    ngx_http_set_log_request(c->log, r);

    ngx_http_finalize_request(r, broken ? NGX_ERROR
                                 : ngx_http_send_special(r, NGX_HTTP_LAST));
    ngx_http_run_posted_requests(c);
}


/* Whoever ended the request. */

static void
ngx_chat_stream_cleanup(void *data)
{
    ngx_chat_stream_t *st = data;

    st->request = NULL;
    st->gone(st);
}


static void
ngx_chat_stream_free(void *data)
{
    ngx_chat_stream_piece_t *piece = data;

    ngx_free(piece->data);
}
