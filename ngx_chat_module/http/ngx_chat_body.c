
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Request bodies, whole and in memory.
 *
 * nginx is asked for an unbuffered body, as a buffered one goes to a file
 * when it outgrows client_body_buffer_size, and a file is I/O on the event
 * loop.  The memory grows with what has arrived, not with what was
 * announced.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_body.h>
#include <http/ngx_chat_http_module.h>


#define NGX_CHAT_BODY_FIRST  1024
#define NGX_CHAT_BODY_MAX    (1024 * 1024)


static void ngx_chat_body_init(ngx_http_request_t *r);
static void ngx_chat_body_event(ngx_http_request_t *r);
static ngx_int_t ngx_chat_body_take(ngx_http_request_t *r,
    ngx_chat_body_t *body);
static ngx_int_t ngx_chat_body_append(ngx_http_request_t *r,
    ngx_chat_body_t *body, ngx_buf_t *b);
static ngx_int_t ngx_chat_body_reserve(ngx_http_request_t *r,
    ngx_chat_body_t *body, size_t len);


size_t
ngx_chat_body_max(ngx_http_request_t *r, size_t rest)
{
    size_t                     max;
    ngx_chat_loc_conf_t       *clcf;
    ngx_http_core_loc_conf_t  *core;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);
    core = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    max = ngx_max(NGX_CHAT_BODY_MAX, clcf->max_message_size * 6 + rest);

    if (core->client_max_body_size
        && core->client_max_body_size < (off_t) max)
    {
        max = core->client_max_body_size;
    }

    return max;
}


ngx_int_t
ngx_chat_body_read(ngx_http_request_t *r, size_t limit,
    ngx_chat_request_pt handler, void *data)
{
    ngx_int_t         rc;
    ngx_chat_body_t  *body;

    if (r->headers_in.content_length_n > (off_t) limit) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    body = ngx_pcalloc(r->pool, sizeof(ngx_chat_body_t));
    if (body == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body->limit = limit;
    body->handler = handler;
    body->data = data;
    body->shared = (r->request_body != NULL);

    ngx_http_set_ctx(r, body, ngx_chat_module);

    r->request_body_no_buffering = 1;

    rc = ngx_http_read_client_request_body(r, ngx_chat_body_init);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


static void
ngx_chat_body_init(ngx_http_request_t *r)
{
    if (r->reading_body) {
        r->read_event_handler = ngx_chat_body_event;
    }

    ngx_chat_body_event(r);
}


static void
ngx_chat_body_event(ngx_http_request_t *r)
{
    ngx_int_t         rc;
    ngx_chat_body_t  *body;

    body = ngx_http_get_module_ctx(r, ngx_chat_module);

    for ( ;; ) {

        rc = ngx_chat_body_take(r, body);

        if (rc != NGX_OK) {
            break;
        }

        if (!r->reading_body) {
            r->read_event_handler = ngx_http_block_reading;
            rc = body->handler(r, body);
            break;
        }

        rc = ngx_http_read_unbuffered_request_body(r);

        if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
            break;
        }

        if (rc == NGX_AGAIN && r->request_body->bufs == NULL) {
            return;
        }
    }

    ngx_http_finalize_request(r, rc);
}


/* Copies what has arrived, and gives nginx back the buffers it reads into. */

static ngx_int_t
ngx_chat_body_take(ngx_http_request_t *r, ngx_chat_body_t *body)
{
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t  *cl, *next;

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    for (cl = r->request_body->bufs; cl; cl = next) {
        next = cl->next;
        b = cl->buf;

        rc = ngx_chat_body_append(r, body, b);

        if (rc != NGX_OK) {
            return rc;
        }

        if (!body->shared) {
            b->pos = b->last;
            ngx_free_chain(r->pool, cl);
        }
    }

    if (!body->shared) {
        r->request_body->bufs = NULL;
    }

    return NGX_OK;
}


/*
 * A buffer is in a file where another module, such as mirror, has had the body
 * read.  The file was written just now, so reading it does not wait for a
 * disk.
 */

static ngx_int_t
ngx_chat_body_append(ngx_http_request_t *r, ngx_chat_body_t *body,
    ngx_buf_t *b)
{
    off_t      len;
    u_char    *p;
    ngx_int_t  rc;

    len = ngx_buf_size(b);

    if (len > (off_t) body->limit) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    rc = ngx_chat_body_reserve(r, body, len);

    if (rc != NGX_OK || len == 0) {
        return rc;
    }

    p = body->start + body->len;

    if (ngx_buf_in_memory(b)) {
        ngx_memcpy(p, b->pos, len);

    } else if (ngx_read_file(b->file, p, len, b->file_pos) != (ssize_t) len) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    body->len += len;

    return NGX_OK;
}


/* Makes room for len bytes more. */

static ngx_int_t
ngx_chat_body_reserve(ngx_http_request_t *r, ngx_chat_body_t *body,
    size_t len)
{
    off_t    announced;
    size_t   size;
    u_char  *start;

    if (len > body->limit - body->len) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    if (len > body->size - body->len) {

        announced = r->headers_in.content_length_n;

        size = (announced >= 0 && announced < NGX_CHAT_BODY_FIRST)
               ? (size_t) announced : NGX_CHAT_BODY_FIRST;

        size = ngx_max(body->size * 2, size);
        size = ngx_max(size, body->len + len);
        size = ngx_min(size, body->limit);

        start = ngx_palloc(r->pool, size);
        if (start == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (body->len) {
            ngx_memcpy(start, body->start, body->len);
            (void) ngx_pfree(r->pool, body->start);
        }

        body->start = start;
        body->size = size;
    }

    return NGX_OK;
}
