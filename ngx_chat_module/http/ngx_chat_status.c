
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_status: collects the counters of all workers, and shows them as JSON or
 * as Prometheus' text.  Nothing here waits: sizes of files are those that the
 * store's threads have found.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_handlers.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_status_table.h>
#include <wire/ngx_chat_accept_header.h>


static ngx_int_t ngx_chat_status_health(ngx_http_request_t *r);
static ngx_int_t ngx_chat_status_metrics(ngx_http_request_t *r,
    ngx_chat_status_t *st);
static ngx_uint_t ngx_chat_status_is_scrape(ngx_http_request_t *r);
static ngx_int_t ngx_chat_status_collect(ngx_http_request_t *r,
    ngx_chat_status_t *st);


ngx_int_t
ngx_chat_status_handler(ngx_http_request_t *r)
{
    ngx_str_t          format;
    ngx_uint_t         metrics;
    ngx_chat_status_t  st;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_chat_reply_not_allowed(r, "GET, HEAD");
    }

    if (ngx_http_arg(r, (u_char *) "format", 6, &format) != NGX_OK) {
        metrics = ngx_chat_status_is_scrape(r);

    } else if (format.len == 6 && ngx_strncmp(format.data, "health", 6) == 0) {
        return ngx_chat_status_health(r);

    } else if (format.len == 4 && ngx_strncmp(format.data, "json", 4) == 0) {
        metrics = 0;

    } else if (format.len == 10
               && ngx_strncmp(format.data, "prometheus", 10) == 0)
    {
        metrics = 1;

    } else {
        return ngx_chat_reply_error(r, NGX_HTTP_BAD_REQUEST,
                                    "format must be json, prometheus or "
                                    "health");
    }

    if (ngx_chat_status_collect(r, &st) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return metrics ? ngx_chat_status_metrics(r, &st)
                   : ngx_chat_reply_render(r, NGX_HTTP_OK,
                                           ngx_chat_status_json, &st);
}


/*
 * For a balancer: whether clients may come.  They may not where the node is cut
 * off from its cluster.
 */

static ngx_int_t
ngx_chat_status_health(ngx_http_request_t *r)
{
    ngx_chat_link_conf_t  *link;
    ngx_chat_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);
    link = cmcf->store.link;

    return (link && ngx_chat_link_is_isolated(link))
           ? ngx_chat_reply_line(r, NGX_HTTP_SERVICE_UNAVAILABLE, "isolated")
           : ngx_chat_reply_line(r, NGX_HTTP_OK, "ok");
}


static ngx_int_t
ngx_chat_status_metrics(ngx_http_request_t *r, ngx_chat_status_t *st)
{
    ngx_str_t  text;

    static ngx_str_t  type =
        ngx_string("text/plain; version=0.0.4; charset=utf-8");

    text.len = ngx_chat_status_prometheus(st, NULL, 0);
    text.data = ngx_pnalloc(r->pool, text.len);

    if (text.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    (void) ngx_chat_status_prometheus(st, text.data, text.len);

    return ngx_chat_reply_typed(r, NGX_HTTP_OK, &type, &text);
}


/*
 * 1 where the client names a text format and wants it more than JSON, or as
 * much without naming JSON.  Libraries that want JSON send
 * "application/json, text/plain, * / *".
 */

static ngx_uint_t
ngx_chat_status_is_scrape(ngx_http_request_t *r)
{
    ngx_str_t                 accept;
    ngx_chat_accept_header_t  json, text, open;

    if (ngx_chat_request_header(r, "accept", &accept) != NGX_OK) {
        return 0;
    }

    ngx_chat_accept_header_type(&json, &accept, "application/json");
    ngx_chat_accept_header_type(&text, &accept, "text/plain");
    ngx_chat_accept_header_type(&open, &accept, "application/openmetrics-text");

    if (open.named > text.named
        || (open.named == text.named && open.quality > text.quality))
    {
        text = open;
    }

    return text.named && text.quality
           && (text.quality > json.quality
               || (text.quality == json.quality && text.named > json.named));
}


static ngx_int_t
ngx_chat_status_collect(ngx_http_request_t *r, ngx_chat_status_t *st)
{
    ngx_uint_t             i;
    ngx_chat_app_t        *app;
    ngx_chat_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    if (ngx_chat_stats_take(cmcf->zone, &st->stats, r->pool) != NGX_OK) {
        return NGX_ERROR;
    }

    app = cmcf->apps.elts;

    st->napps = cmcf->apps.nelts;
    st->apps = ngx_palloc(r->pool, st->napps * sizeof(ngx_chat_status_app_t));

    if (st->apps == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < st->napps; i++) {
        st->apps[i].id = app[i].id;
        ngx_chat_stats_take_app(cmcf->zone, app[i].number,
                                &st->apps[i].stats);
    }

    st->is_stored = (cmcf->store.sh != NULL);
    st->commits = 0;
    st->cluster = NULL;

    if (!st->is_stored) {
        return NGX_OK;
    }

    st->store = cmcf->store.sh->stats;

    for (i = 0; i < NGX_CHAT_STORE_STATS_BUCKETS; i++) {
        st->commits += st->store.commits[i];
    }

    if (cmcf->store.link == NULL) {
        return NGX_OK;
    }

    st->cluster = ngx_palloc(r->pool, sizeof(ngx_chat_status_cluster_t));
    if (st->cluster == NULL) {
        return NGX_ERROR;
    }

    ngx_chat_status_cluster(cmcf->store.link, st->cluster);

    return NGX_OK;
}
