
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What several endpoints do with their requests.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_request.h>


static ngx_table_elt_t *ngx_chat_request_next_header(ngx_list_part_t **part,
    ngx_uint_t *i, const char *name);
static ngx_int_t ngx_chat_request_append(ngx_http_request_t *r,
    ngx_str_t *value, ngx_str_t *more);
static ngx_uint_t ngx_chat_request_is_type(ngx_str_t *value,
    const char *type);
static void *ngx_chat_request_alloc(void *ctx, size_t size);


ngx_int_t
ngx_chat_request_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    i = 0;
    part = &r->headers_in.headers.part;

    h = ngx_chat_request_next_header(&part, &i, name);

    if (h == NULL) {
        return NGX_DECLINED;
    }

    *value = h->value;

    for ( ;; ) {
        h = ngx_chat_request_next_header(&part, &i, name);

        if (h == NULL) {
            return NGX_OK;
        }

        if (ngx_chat_request_append(r, value, &h->value) != NGX_OK) {
            return NGX_ERROR;
        }
    }
}


/* The next line of this name, from the i-th of the part on. */

static ngx_table_elt_t *
ngx_chat_request_next_header(ngx_list_part_t **part, ngx_uint_t *i,
    const char *name)
{
    size_t            len;
    ngx_table_elt_t  *h;

    len = ngx_strlen(name);

    for ( /* void */ ; *part; *part = (*part)->next, *i = 0) {

        while (*i < (*part)->nelts) {
            h = (ngx_table_elt_t *) (*part)->elts + (*i)++;

            if (h->key.len == len
                && ngx_strncasecmp(h->key.data, (u_char *) name, len) == 0)
            {
                return h;
            }
        }
    }

    return NULL;
}


static ngx_int_t
ngx_chat_request_append(ngx_http_request_t *r, ngx_str_t *value,
    ngx_str_t *more)
{
    u_char  *p, *start;

    if (more->len == 0) {
        return NGX_OK;
    }

    if (value->len == 0) {
        *value = *more;
        return NGX_OK;
    }

    start = ngx_pnalloc(r->pool, value->len + 2 + more->len);
    if (start == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(start, value->data, value->len);
    *p++ = ',';
    *p++ = ' ';
    p = ngx_cpymem(p, more->data, more->len);

    value->data = start;
    value->len = p - start;

    return NGX_OK;
}


ngx_int_t
ngx_chat_request_next_item(ngx_str_t *list, ngx_str_t *item)
{
    u_char  *p, *last;

    while (list->len) {
        last = list->data + list->len;
        p = ngx_strlchr(list->data, last, ',');

        item->data = list->data;
        item->len = (p ? p : last) - list->data;

        list->data = p ? p + 1 : last;
        list->len = last - list->data;

        while (item->len && (*item->data == ' ' || *item->data == '\t')) {
            item->data++;
            item->len--;
        }

        for (last = item->data + item->len;
             item->len && (last[-1] == ' ' || last[-1] == '\t');
             last--)
        {
            item->len--;
        }

        if (item->len) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


const char *
ngx_chat_request_body_type(ngx_http_request_t *r, ngx_uint_t *json)
{
    ngx_str_t  list, item, type;

    ngx_str_null(&type);

    if (ngx_chat_request_header(r, "content-type", &list) == NGX_OK) {

        while (ngx_chat_request_next_item(&list, &item) == NGX_OK) {
            type = item;
        }
    }

    *json = ngx_chat_request_is_type(&type, "application/json");

    if (!*json
        && !ngx_chat_request_is_type(&type,
                                     "application/x-www-form-urlencoded"))
    {
        return "content type must be application/json or "
               "application/x-www-form-urlencoded";
    }

    if (ngx_chat_request_is_encoded(r)) {
        return "content encodings are not read, send the body as it is";
    }

    return NULL;
}


static ngx_uint_t
ngx_chat_request_is_type(ngx_str_t *value, const char *type)
{
    u_char  *p;
    size_t   len;

    len = ngx_strlen(type);

    if (value->len < len
        || ngx_strncasecmp(value->data, (u_char *) type, len) != 0)
    {
        return 0;
    }

    p = value->data + len;

    return value->len == len || *p == ';' || *p == ' ' || *p == '\t';
}


ngx_uint_t
ngx_chat_request_is_encoded(ngx_http_request_t *r)
{
    ngx_int_t  rc;
    ngx_str_t  list, item;

    rc = ngx_chat_request_header(r, "content-encoding", &list);

    if (rc != NGX_OK) {
        return rc != NGX_DECLINED;
    }

    while (ngx_chat_request_next_item(&list, &item) == NGX_OK) {

        if (item.len != 8
            || ngx_strncasecmp(item.data, (u_char *) "identity", 8) != 0)
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_chat_request_json(ngx_pool_t *pool, ngx_chat_json_t *j)
{
    j->alloc = ngx_chat_request_alloc;
    j->ctx = pool;
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


void
ngx_chat_request_watch(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    r->read_event_handler = ngx_chat_request_test_left;

    if (r->http_version > NGX_HTTP_VERSION_20) {
        r->write_event_handler = ngx_chat_request_test_left;
    }

    if (c->read->pending_eof || c->write->error) {
        ngx_post_event(c->read, &ngx_posted_events);
    }
}


void
ngx_chat_request_test_left(ngx_http_request_t *r)
{
    int                err;
    socklen_t          len;
    ngx_connection_t  *c;

    c = r->connection;

    /* a stream is reset, and has no half of its own to close */

    if (r->http_version >= NGX_HTTP_VERSION_20) {

        /* over HTTP/3, perhaps only the half that would be the answer's */

        if (c->write->error) {
            c->read->error = 1;
        }

        ngx_http_test_reading(r);
        return;
    }

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err == 0) {
        ngx_http_block_reading(r);
        return;
    }

    c->read->eof = 1;
    c->read->error = 1;
    c->error = 1;

    ngx_log_error(NGX_LOG_INFO, c->log, err,
                  "client prematurely closed connection");

    ngx_http_finalize_request(r, NGX_HTTP_CLIENT_CLOSED_REQUEST);
}
