
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * History: GET answers with a page of a channel's messages, oldest first.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <endpoint/ngx_chat_page.h>
#include <endpoint/ngx_chat_reply.h>
#include <endpoint/ngx_chat_variable.h>
#include <ngx_chat_module.h>
#include <pusher/ngx_chat_name.h>


#define NGX_CHAT_PAGE_ID_MAX  0x7fffffffffffffffULL


typedef struct {
    ngx_http_cleanup_t   *cleanup;
    ngx_chat_history_t    history;
    unsigned              has_limit:1;
    unsigned              has_from:1;
} ngx_chat_page_t;


static const char *ngx_chat_page_args(ngx_http_request_t *r,
    ngx_chat_page_t *page);
static const char *ngx_chat_page_arg(ngx_chat_page_t *page, ngx_uint_t max,
    ngx_str_t *name, ngx_str_t *value);
static ngx_int_t ngx_chat_page_number(ngx_str_t *value, uint64_t *n);
static ngx_uint_t ngx_chat_page_is_from(ngx_str_t *name, const char *what,
    const char *also);
static ngx_int_t ngx_chat_page_start(ngx_http_request_t *r,
    ngx_chat_page_t *page);
static void ngx_chat_page_cleanup(void *data);
static void ngx_chat_page_done(ngx_chat_read_t *rd, ngx_int_t rc);
static ngx_int_t ngx_chat_page_reply(ngx_http_request_t *r,
    ngx_chat_read_t *rd);
static ngx_int_t ngx_chat_page_take(ngx_http_request_t *r,
    ngx_chat_read_t *rd, ngx_str_t *json);
static void ngx_chat_page_free(void *data);
static ngx_int_t ngx_chat_page_link(ngx_http_request_t *r, const char *arg,
    const char *rel, uint64_t id);
static u_char *ngx_chat_page_link_args(ngx_http_request_t *r, u_char *p);


ngx_int_t
ngx_chat_page_handler(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    const char           *error;
    ngx_chat_page_t      *page;
    ngx_chat_loc_conf_t  *clcf;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    page = ngx_pcalloc(r->pool, sizeof(ngx_chat_page_t));
    if (page == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    page->history.app = clcf->history->ref.app->number;
    page->history.limit = clcf->history->limit;

    if (ngx_http_complex_value(r, &clcf->history->channel,
                               &page->history.channel)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_chat_name_check(&page->history.channel) != NGX_OK) {
        return ngx_chat_reply_error(r, NGX_HTTP_BAD_REQUEST,
                                    "channel name is not valid");
    }

    ngx_chat_variable_note(r, &clcf->history->ref.app->id,
                           &page->history.channel, NULL, NULL, NULL);

    error = ngx_chat_page_args(r, page);

    if (error) {
        return ngx_chat_reply_error(r, NGX_HTTP_BAD_REQUEST, error);
    }

    return ngx_chat_page_start(r, page);
}


/* NULL, or what is wrong. */

static const char *
ngx_chat_page_args(ngx_http_request_t *r, ngx_chat_page_t *page)
{
    u_char               *p, *last, *end;
    ngx_str_t             name, value;
    const char           *error;
    ngx_chat_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    p = r->args.data;
    last = p + r->args.len;

    while (p < last) {

        end = ngx_strlchr(p, last, '&');

        if (end == NULL) {
            end = last;
        }

        name.data = p;
        value.data = ngx_strlchr(p, end, '=');

        if (value.data == NULL) {
            name.len = end - p;
            value.data = end;
            value.len = 0;

        } else {
            name.len = value.data - p;
            value.data++;
            value.len = end - value.data;
        }

        error = ngx_chat_page_arg(page, clcf->history->max, &name, &value);

        if (error) {
            return error;
        }

        p = end + 1;
    }

    return NULL;
}


static const char *
ngx_chat_page_arg(ngx_chat_page_t *page, ngx_uint_t max, ngx_str_t *name,
    ngx_str_t *value)
{
    uint64_t    n;
    ngx_uint_t  after, before;

    after = ngx_chat_page_is_from(name, "after", "after_id");
    before = ngx_chat_page_is_from(name, "before", "before_id");

    if (after || before) {

        if (page->has_from) {
            return "only one of after and before can be given, and once";
        }

        if (ngx_chat_page_number(value, &n) != NGX_OK) {
            return "after and before take the id of a message";
        }

        page->has_from = 1;
        page->history.id = n;
        page->history.from = after ? NGX_CHAT_HISTORY_AFTER_e
                                   : NGX_CHAT_HISTORY_BEFORE_e;
        return NULL;
    }

    if (ngx_chat_page_is_from(name, "limit", "limit")) {

        if (page->has_limit) {
            return "limit can be given once";
        }

        if (ngx_chat_page_number(value, &n) != NGX_OK || n == 0 || n > max) {
            return "limit is not a number between 1 and the maximum";
        }

        page->has_limit = 1;
        page->history.limit = n;
    }

    return NULL;
}


static ngx_uint_t
ngx_chat_page_is_from(ngx_str_t *name, const char *what, const char *also)
{
    return (name->len == ngx_strlen(what)
            && ngx_memcmp(name->data, what, name->len) == 0)
           || (name->len == ngx_strlen(also)
               && ngx_memcmp(name->data, also, name->len) == 0);
}


static ngx_int_t
ngx_chat_page_number(ngx_str_t *value, uint64_t *n)
{
    size_t  i;
    u_char  ch;

    if (value->len == 0) {
        return NGX_ERROR;
    }

    *n = 0;

    for (i = 0; i < value->len; i++) {
        ch = value->data[i];

        if (ch < '0' || ch > '9'
            || *n > (NGX_CHAT_PAGE_ID_MAX - (ch - '0')) / 10)
        {
            return NGX_ERROR;
        }

        *n = *n * 10 + (ch - '0');
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_page_start(ngx_http_request_t *r, ngx_chat_page_t *page)
{
    ngx_chat_read_t       *rd;
    ngx_http_cleanup_t    *cln;
    ngx_chat_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    if (cmcf->live == NULL) {
        /* a reload without a new process */
        return ngx_chat_reply_unavailable(r, "nginx has to be restarted");
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rd = ngx_chat_store_read_alloc(&page->history, r->connection->log);
    if (rd == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rd->done = ngx_chat_page_done;
    rd->data = r;

    if (ngx_chat_store_read(cmcf->live, rd) != NGX_OK) {
        ngx_chat_hub_count(&cmcf->hub, NGX_CHAT_UNAVAILABLE_e, 1);
        return ngx_chat_reply_unavailable(r, "too many reads are waiting");
    }

    cln->handler = ngx_chat_page_cleanup;
    cln->data = rd;

    page->cleanup = cln;
    ngx_http_set_ctx(r, page, ngx_chat_module);

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    r->main->count++;

    return NGX_DONE;
}


static void
ngx_chat_page_cleanup(void *data)
{
    ngx_chat_read_t *rd = data;

    if (rd) {
        rd->data = NULL;
    }
}


static void
ngx_chat_page_done(ngx_chat_read_t *rd, ngx_int_t rc)
{
    ngx_chat_page_t       *page;
    ngx_connection_t      *c;
    ngx_http_request_t    *r;
    ngx_chat_main_conf_t  *cmcf;

    r = rd->data;
    c = r->connection;

    page = ngx_http_get_module_ctx(r, ngx_chat_module);
    page->cleanup->data = NULL;

    ngx_http_set_log_request(c->log, r);

    if (rc == NGX_OK) {
        rc = ngx_chat_page_reply(r, rd);

    } else {
        cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);
        ngx_chat_hub_count(&cmcf->hub, NGX_CHAT_UNAVAILABLE_e, 1);

        rc = ngx_chat_reply_unavailable(r, "history can't be read now");
    }

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_chat_page_reply(ngx_http_request_t *r, ngx_chat_read_t *rd)
{
    u_char              *p;
    ngx_str_t            json, epoch;
    ngx_chat_history_t  *h;

    p = ngx_pnalloc(r->pool, NGX_CHAT_DB_EPOCH_LEN);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(p, rd->epoch, NGX_CHAT_DB_EPOCH_LEN);

    epoch.data = p;
    epoch.len = NGX_CHAT_DB_EPOCH_LEN;

    if (ngx_chat_reply_header(r, "Chat-Epoch", &epoch) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h = &rd->history;

    if (h->first && h->more_before
        && ngx_chat_page_link(r, "before", "prev", h->first) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (h->first && h->more_after
        && ngx_chat_page_link(r, "after", "next", h->last) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_chat_page_take(r, rd, &json) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_chat_reply_send(r, NGX_HTTP_OK, &json);
}


/* The page, perhaps of megabytes, is not copied: the request frees it. */

static ngx_int_t
ngx_chat_page_take(ngx_http_request_t *r, ngx_chat_read_t *rd,
    ngx_str_t *json)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_chat_page_free;
    cln->data = rd->page.data;

    *json = rd->page;
    rd->page.data = NULL;

    return NGX_OK;
}


static void
ngx_chat_page_free(void *data)
{
    free(data);
}


/* Link: <path?other-args&arg=id>; rel="rel" */

static ngx_int_t
ngx_chat_page_link(ngx_http_request_t *r, const char *arg, const char *rel,
    uint64_t id)
{
    u_char     *p;
    ngx_str_t   path, value;

    /* as the client wrote it, so that it leads here again */

    path = r->unparsed_uri;

    p = ngx_strlchr(path.data, path.data + path.len, '?');

    if (p != NULL) {
        path.len = p - path.data;
    }

    p = ngx_pnalloc(r->pool, path.len + r->args.len + NGX_INT64_LEN
                             + sizeof("<?&before=>; rel=\"next\""));
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;

    *p++ = '<';
    p = ngx_cpymem(p, path.data, path.len);
    *p++ = '?';
    p = ngx_chat_page_link_args(r, p);
    p = ngx_sprintf(p, "%s=%uL>; rel=\"%s\"", arg, id, rel);

    value.len = p - value.data;

    return ngx_chat_reply_header(r, "Link", &value);
}


/* The request's arguments but those that name a place, each with its "&". */

static u_char *
ngx_chat_page_link_args(ngx_http_request_t *r, u_char *p)
{
    u_char     *arg, *last, *end;
    ngx_str_t   name;

    arg = r->args.data;
    last = arg + r->args.len;

    while (arg < last) {

        end = ngx_strlchr(arg, last, '&');

        if (end == NULL) {
            end = last;
        }

        name.data = arg;
        name.len = end - arg;

        end = ngx_strlchr(arg, end, '=');

        if (end != NULL) {
            name.len = end - arg;
        }

        end = ngx_strlchr(arg, last, '&');

        if (end == NULL) {
            end = last;
        }

        if (end > arg
            && !ngx_chat_page_is_from(&name, "after", "after_id")
            && !ngx_chat_page_is_from(&name, "before", "before_id"))
        {
            p = ngx_cpymem(p, arg, end - arg);
            *p++ = '&';
        }

        arg = end + 1;
    }

    return p;
}
