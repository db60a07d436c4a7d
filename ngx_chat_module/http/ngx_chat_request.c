
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What several endpoints do with their requests.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_request.h>


static void *ngx_chat_request_alloc(void *ctx, size_t size);


ngx_int_t
ngx_chat_request_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len == len
                && ngx_strncasecmp(h[i].key.data, (u_char *) name, len) == 0)
            {
                *value = h[i].value;
                return NGX_OK;
            }
        }
    }

    return NGX_DECLINED;
}


void
ngx_chat_request_json(ngx_http_request_t *r, ngx_chat_json_t *j)
{
    j->alloc = ngx_chat_request_alloc;
    j->ctx = r->pool;
}


static void *
ngx_chat_request_alloc(void *ctx, size_t size)
{
    return ngx_palloc(ctx, size);
}


ngx_int_t
ngx_chat_request_render(ngx_http_request_t *r, ngx_chat_render_pt render,
    void *data, ngx_str_t *json)
{
    u_char                 *buf;
    ssize_t                 len;
    ngx_chat_json_write_t   w;

    buf = NULL;
    len = 0;

    for ( ;; ) {
        ngx_chat_json_write_init(&w, buf, len);

        render(&w, data);

        len = ngx_chat_json_write_done(&w);

        if (len == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (buf) {
            break;
        }

        buf = ngx_pnalloc(r->pool, len);
        if (buf == NULL) {
            return NGX_ERROR;
        }
    }

    json->data = buf;
    json->len = len;

    return NGX_OK;
}


void
ngx_chat_request_suspend(ngx_http_request_t *r)
{
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    r->main->count++;
}


void
ngx_chat_request_resume(ngx_http_request_t *r, ngx_chat_request_pt handler,
    void *data)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    rc = handler(r, data);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}
