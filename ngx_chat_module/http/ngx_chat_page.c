
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * History: GET answers with a page of a channel's messages, oldest first.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http.h>
#include <http/ngx_chat_page.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_variable.h>
#include <pusher/ngx_chat_name.h>
#include <wire/ngx_chat_history_query.h>


typedef struct {
    ngx_http_cleanup_t   *cleanup;
    ngx_chat_history_t    history;
} ngx_chat_page_t;


static const char *ngx_chat_page_args(ngx_http_request_t *r,
    ngx_chat_page_t *page);
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
    const char               *error;
    ngx_chat_loc_conf_t      *clcf;
    ngx_chat_history_query_t  range;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    error = ngx_chat_history_query_read(&range, &r->args, clcf->history->max);

    if (error) {
        return error;
    }

    if (range.limited) {
        page->history.limit = range.limit;
    }

    if (range.after || range.before) {
        page->history.id = range.id;
        page->history.from = range.after ? NGX_CHAT_HISTORY_AFTER_e
                                         : NGX_CHAT_HISTORY_BEFORE_e;
    }

    return NULL;
}


static ngx_int_t
ngx_chat_page_start(ngx_http_request_t *r, ngx_chat_page_t *page)
{
    ngx_chat_read_t       *rd;
    ngx_http_cleanup_t    *cln;
    ngx_chat_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

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
        ngx_chat_count(NGX_CHAT_UNAVAILABLE_e, 1);
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
    ngx_chat_page_t     *page;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = rd->data;
    c = r->connection;

    page = ngx_http_get_module_ctx(r, ngx_chat_module);
    page->cleanup->data = NULL;

    ngx_http_set_log_request(c->log, r);

    if (rc == NGX_OK) {
        rc = ngx_chat_page_reply(r, rd);

    } else {
        ngx_chat_count(NGX_CHAT_UNAVAILABLE_e, 1);

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
    p = ngx_chat_history_query_write_rest(p, &r->args);
    p = ngx_sprintf(p, "%s=%uL>; rel=\"%s\"", arg, id, rel);

    value.len = p - value.data;

    return ngx_chat_reply_header(r, "Link", &value);
}
