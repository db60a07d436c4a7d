
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Answers, with the headers that all of them have.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_reply.h>
#include <shared/ngx_chat_counter.h>
#include <shared/ngx_chat_turn.h>


static ngx_int_t ngx_chat_reply_output(ngx_http_request_t *r,
    ngx_chain_t *out);
static void ngx_chat_reply_rest(ngx_http_request_t *r);
static void ngx_chat_reply_write_error(ngx_chat_json_write_t *w, void *data);


ngx_int_t
ngx_chat_reply_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *text)
{
    static ngx_str_t  type = ngx_string("application/json");

    return ngx_chat_reply_typed(r, status, &type, text);
}


ngx_int_t
ngx_chat_reply_text(ngx_http_request_t *r, ngx_uint_t status, ngx_str_t *line)
{
    u_char     *p;
    ngx_str_t   text;

    static ngx_str_t  type = ngx_string("text/plain");

    text.len = line->len + 1;
    text.data = ngx_pnalloc(r->pool, text.len);

    if (text.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_cpymem(text.data, line->data, line->len);
    *p = '\n';

    return ngx_chat_reply_typed(r, status, &type, &text);
}


ngx_int_t
ngx_chat_reply_line(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    ngx_str_t  line;

    line.data = (u_char *) text;
    line.len = ngx_strlen(text);

    return ngx_chat_reply_text(r, status, &line);
}


ngx_int_t
ngx_chat_reply_typed(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *text)
{
    if (status == NGX_HTTP_SERVICE_UNAVAILABLE) {
        ngx_chat_count(NGX_CHAT_UNAVAILABLE_e, 1);
    }

    if ((status == NGX_HTTP_SERVICE_UNAVAILABLE || status == NGX_HTTP_CONFLICT)
        && ngx_chat_reply_header_text(r, "Retry-After", "1") != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_chat_reply_header_text(r, "Cache-Control", "no-store") != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_chat_reply_file(r, status, type, text);
}


ngx_int_t
ngx_chat_reply_file(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *text)
{
    ngx_buf_t    *b;
    ngx_int_t     rc;
    ngx_chain_t   out;

    ngx_chat_turn_add(0);

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    r->headers_out.status = status;
    r->headers_out.content_length_n = text->len;

    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->pos = text->data;
    b->last = text->data + text->len;
    b->memory = (text->len != 0);
    b->last_buf = (r == r->main);
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_chat_reply_output(r, &out);
}


/*
 * While nginx writes the rest of an answer, it takes a client that closes its
 * half of the connection for one that has left.  So it is given another
 * handler, behind the call of ngx_http_finalize_request() that sets its own.
 */

static ngx_int_t
ngx_chat_reply_output(ngx_http_request_t *r, ngx_chain_t *out)
{
    ngx_int_t  rc;

    rc = ngx_http_output_filter(r, out);

    if (rc != NGX_AGAIN
        || r != r->main
        || r->http_version >= NGX_HTTP_VERSION_20)
    {
        return rc;
    }

    if (ngx_http_post_request(r, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    r->write_event_handler = ngx_chat_reply_rest;
    r->main->count++;

    return NGX_DONE;
}


static void
ngx_chat_reply_rest(ngx_http_request_t *r)
{
    ngx_http_finalize_request(r, NGX_AGAIN);

    if (r->read_event_handler == ngx_http_test_reading) {
        r->read_event_handler = ngx_chat_request_test_left;
    }
}


ngx_int_t
ngx_chat_reply_render(ngx_http_request_t *r, ngx_uint_t status,
    ngx_chat_render_pt render, void *data)
{
    ngx_str_t  json;

    if (ngx_chat_request_render(r, render, data, &json) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_chat_reply_send(r, status, &json);
}


ngx_int_t
ngx_chat_reply_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *text)
{
    return ngx_chat_reply_render(r, status, ngx_chat_reply_write_error,
                                 (void *) text);
}


static void
ngx_chat_reply_write_error(ngx_chat_json_write_t *w, void *data)
{
    ngx_chat_json_write_object(w);
    ngx_chat_json_write_key(w, "error");
    ngx_chat_json_write_cstring(w, data);
    ngx_chat_json_write_object_end(w);
}


ngx_int_t
ngx_chat_reply_not_allowed(ngx_http_request_t *r, const char *allow)
{
    if (ngx_chat_reply_header_text(r, "Allow", allow) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_chat_reply_error(r, NGX_HTTP_NOT_ALLOWED,
                                "method is not allowed here");
}


ngx_int_t
ngx_chat_reply_header_text(ngx_http_request_t *r, const char *name,
    const char *text)
{
    ngx_str_t  value;

    value.data = (u_char *) text;
    value.len = ngx_strlen(text);

    return ngx_chat_reply_header(r, name, &value);
}


ngx_int_t
ngx_chat_reply_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value = *value;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif

    return NGX_OK;
}
