
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * History: GET answers with a page of a channel's messages, oldest first.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_handlers.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_variable.h>
#include <pusher/ngx_chat_name.h>
#include <wire/ngx_chat_history_query.h>


typedef struct {
    ngx_http_request_t       *request;
    ngx_chat_store_t         *store;
    ngx_chat_read_t          *read;    /* NULL: the store has none of ours */
    ngx_int_t                 rc;
    ngx_str_t                 page;    /* the answer's */
    ngx_chat_read_client_t   *client;
    ngx_chat_read_client_t    own;     /* of a connection that has one request
                                          at a time */
} ngx_chat_get_history_t;


static const char *ngx_chat_get_history_args(ngx_http_request_t *r,
    ngx_uint_t max, ngx_chat_history_t *h);
static ngx_int_t ngx_chat_get_history_start(ngx_http_request_t *r,
    ngx_chat_history_t *h, ngx_chat_record_render_pt render);
static ngx_chat_read_client_t *ngx_chat_get_history_client(
    ngx_chat_get_history_t *page);
static void ngx_chat_get_history_client_cleanup(void *data);
static void ngx_chat_get_history_cleanup(void *data);
static void ngx_chat_get_history_release(void *data);
static void ngx_chat_get_history_done(ngx_chat_read_t *rd, ngx_int_t rc);
static ngx_int_t ngx_chat_get_history_reply(ngx_http_request_t *r, void *data);
static ngx_int_t ngx_chat_get_history_headers(ngx_http_request_t *r,
    ngx_chat_read_t *rd);
static ngx_int_t ngx_chat_get_history_link(ngx_http_request_t *r,
    const char *arg, const char *rel, uint64_t id);


ngx_int_t
ngx_chat_get_history(ngx_http_request_t *r)
{
    ngx_str_t                 channel;
    ngx_chat_loc_conf_t      *clcf;
    ngx_chat_history_conf_t  *conf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);
    conf = clcf->history;

    if (ngx_http_complex_value(r, &conf->channel, &channel) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_chat_get_history_of(r, conf->ref.app, &channel, conf->limit,
                                   conf->max, conf->stale);
}


ngx_int_t
ngx_chat_get_history_of(ngx_http_request_t *r, ngx_chat_app_t *app,
    ngx_str_t *channel, ngx_uint_t limit, ngx_uint_t max, ngx_uint_t stale)
{
    ngx_int_t            rc;
    const char          *error;
    ngx_chat_history_t   history;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_chat_name_check(channel) != NGX_OK) {
        return ngx_chat_reply_error(r, NGX_HTTP_BAD_REQUEST,
                                    "channel name is not valid");
    }

    ngx_memzero(&history, sizeof(ngx_chat_history_t));

    history.app = app->number;
    history.channel = *channel;
    history.limit = limit;
    history.stale = stale;

    ngx_chat_variable_note(r, &app->id, channel, NULL, NULL, NULL);

    error = ngx_chat_get_history_args(r, max, &history);

    if (error) {
        return ngx_chat_reply_error(r, NGX_HTTP_BAD_REQUEST, error);
    }

    return ngx_chat_get_history_start(r, &history, NULL);
}


ngx_int_t
ngx_chat_get_history_dead(ngx_http_request_t *r, ngx_chat_app_t *app,
    ngx_uint_t limit, ngx_uint_t max, ngx_chat_record_render_pt render)
{
    ngx_int_t            rc;
    const char          *error;
    ngx_chat_history_t   history;

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    ngx_memzero(&history, sizeof(ngx_chat_history_t));

    history.app = app->number;
    history.limit = limit;
    history.stale = 1;
    history.id = NGX_CHAT_HISTORY_QUERY_ID_MAX;

    error = ngx_chat_get_history_args(r, max, &history);

    if (error == NULL && history.from == NGX_CHAT_HISTORY_AFTER_e) {
        error = "after is not possible here";
    }

    if (error) {
        return ngx_chat_reply_error(r, NGX_HTTP_BAD_REQUEST, error);
    }

    history.from = NGX_CHAT_HISTORY_DEAD_e;

    return ngx_chat_get_history_start(r, &history, render);
}


/* NULL, or what is wrong. */

static const char *
ngx_chat_get_history_args(ngx_http_request_t *r, ngx_uint_t max,
    ngx_chat_history_t *h)
{
    const char               *error;
    ngx_chat_history_query_t  range;

    error = ngx_chat_history_query_read(&range, &r->args, max);

    if (error) {
        return error;
    }

    if (range.limited) {
        h->limit = range.limit;
    }

    if (range.after || range.before) {
        h->id = range.id;
        h->from = range.after ? NGX_CHAT_HISTORY_AFTER_e
                              : NGX_CHAT_HISTORY_BEFORE_e;
    }

    return NULL;
}


static ngx_int_t
ngx_chat_get_history_start(ngx_http_request_t *r, ngx_chat_history_t *h,
    ngx_chat_record_render_pt render)
{
    ngx_chat_get_history_t  *page;
    ngx_http_cleanup_t      *cln;
    ngx_chat_main_conf_t    *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    if (cmcf->live == NULL) {
        return ngx_chat_reply_error(r, NGX_HTTP_NOT_FOUND,
                                    "there is no chat_database");
    }

    cln = ngx_http_cleanup_add(r, sizeof(ngx_chat_get_history_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    page = cln->data;

    ngx_memzero(page, sizeof(ngx_chat_get_history_t));

    page->request = r;
    page->store = cmcf->live;

    page->client = ngx_chat_get_history_client(page);
    if (page->client == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    page->read = ngx_chat_store_read_alloc(h, r->connection->log);

    if (page->read == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    page->read->done = ngx_chat_get_history_done;
    page->read->data = page;
    page->read->client = page->client;
    page->read->render = render;
    page->read->is_json = 1;

    if (ngx_chat_store_read(page->store, page->read) != NGX_OK) {
        return ngx_chat_reply_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                    "too many reads are waiting");
    }

    cln->handler = ngx_chat_get_history_cleanup;

    ngx_chat_request_suspend(r);

    /* nobody needs the page when the client has left, perhaps already */

    ngx_chat_request_watch(r);

    return NGX_DONE;
}


/* What all requests of one connection share.  NULL: no memory. */

static ngx_chat_read_client_t *
ngx_chat_get_history_client(ngx_chat_get_history_t *page)
{
    ngx_connection_t    *c;
    ngx_pool_cleanup_t  *cln;
    ngx_http_request_t  *r;

    r = page->request;
    c = r->connection;

#if (NGX_HTTP_V2)
    if (r->stream) {
        c = r->stream->connection->connection;
    }
#endif

#if (NGX_HTTP_V3)
    if (c->quic) {
        c = c->quic->parent;
    }
#endif

    if (c == r->connection) {
        ngx_chat_read_client_init(&page->own);
        return &page->own;
    }

    for (cln = c->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_chat_get_history_client_cleanup) {
            return cln->data;
        }
    }

    cln = ngx_pool_cleanup_add(c->pool, sizeof(ngx_chat_read_client_t));
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_chat_get_history_client_cleanup;
    ngx_chat_read_client_init(cln->data);

    return cln->data;
}


/* All requests of the connection have ended: the handler is but its name. */

static void
ngx_chat_get_history_client_cleanup(void *data)
{
}


/* The request ends before its page is there. */

static void
ngx_chat_get_history_cleanup(void *data)
{
    ngx_chat_get_history_t *page = data;

    if (page->read) {
        ngx_chat_store_cancel(page->store, page->read);
    }
}


static void
ngx_chat_get_history_done(ngx_chat_read_t *rd, ngx_int_t rc)
{
    ngx_chat_get_history_t  *page;

    page = rd->data;
    page->rc = rc;

    ngx_chat_request_resume(page->request, ngx_chat_get_history_reply, page);
}


/* A ngx_chat_request_pt. */

static ngx_int_t
ngx_chat_get_history_reply(ngx_http_request_t *r, void *data)
{
    ngx_chat_get_history_t *page = data;

    ngx_chat_read_t     *rd;
    ngx_pool_cleanup_t  *cln;

    rd = page->read;
    page->read = NULL;

    if (page->rc != NGX_OK) {
        return ngx_chat_reply_error(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                    "history can't be read now");
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (cln == NULL || ngx_chat_get_history_headers(r, rd) != NGX_OK) {
        ngx_chat_store_cancel(page->store, rd);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* the text, perhaps of megabytes, is not copied: the request frees it */

    cln->handler = ngx_chat_get_history_release;
    cln->data = page;

    page->page = rd->page;
    rd->page.data = NULL;

    return ngx_chat_reply_send(r, NGX_HTTP_OK, &page->page);
}


static void
ngx_chat_get_history_release(void *data)
{
    ngx_chat_get_history_t *page = data;

    ngx_chat_store_release(page->store, page->client, &page->page);
}


static ngx_int_t
ngx_chat_get_history_headers(ngx_http_request_t *r, ngx_chat_read_t *rd)
{
    ngx_str_t            epoch;
    ngx_chat_history_t  *h;

    h = &rd->history;

    epoch.len = NGX_CHAT_DB_EPOCH_LEN;
    epoch.data = ngx_pnalloc(r->pool, epoch.len);

    if (epoch.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(epoch.data, rd->epoch, epoch.len);

    if (ngx_chat_reply_header(r, "Chat-Epoch", &epoch) != NGX_OK) {
        return NGX_ERROR;
    }

    if (h->first && h->more_before
        && ngx_chat_get_history_link(r, "before", "prev", h->first) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (h->first && h->more_after
        && ngx_chat_get_history_link(r, "after", "next", h->last) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* Link: <path?other-args&arg=id>; rel="rel" */

static ngx_int_t
ngx_chat_get_history_link(ngx_http_request_t *r, const char *arg,
    const char *rel, uint64_t id)
{
    u_char     *p;
    ngx_str_t   path, value;

    /* as the client wrote it, so that the link leads here again */

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
