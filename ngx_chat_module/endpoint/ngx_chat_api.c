
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_api: from a request to who may ask what.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <endpoint/ngx_chat_api.h>
#include <endpoint/ngx_chat_body.h>
#include <endpoint/ngx_chat_reply.h>
#include <pusher/ngx_chat_api_auth.h>


#define NGX_CHAT_API_BODY  (1024 * 1024)


static ngx_int_t ngx_chat_api_find(ngx_http_request_t *r,
    ngx_chat_api_t *api, ngx_int_t *reply);
static ngx_int_t ngx_chat_api_not_allowed(ngx_http_request_t *r,
    const char *allow);
static ngx_int_t ngx_chat_api_no_app(ngx_http_request_t *r,
    ngx_chat_api_t *api);
static ngx_int_t ngx_chat_api_find_app(ngx_chat_api_t *api);
static size_t ngx_chat_api_body_max(ngx_http_request_t *r);
static ngx_int_t ngx_chat_api_body(ngx_http_request_t *r,
    ngx_chat_body_t *body, void *data);
static ngx_int_t ngx_chat_api_check(ngx_http_request_t *r,
    ngx_chat_api_t *api, ngx_int_t *reply);
static ngx_int_t ngx_chat_api_answer(ngx_http_request_t *r,
    ngx_chat_api_t *api);


ngx_int_t
ngx_chat_api_handler(ngx_http_request_t *r)
{
    size_t           max;
    ngx_int_t        rc;
    ngx_chat_api_t  *api;

    api = ngx_palloc(r->pool, sizeof(ngx_chat_api_t));
    if (api == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    api->cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    if (ngx_chat_api_find(r, api, &rc) != NGX_OK) {
        return rc;
    }

    max = ngx_chat_api_body_max(r);

    if (r->headers_in.content_length_n > (off_t) max) {
        return ngx_chat_api_error(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                  "The request's body is too large");
    }

    return ngx_chat_body_read(r, max, ngx_chat_api_body, api);
}


/* What is asked, and of which app; NGX_DECLINED: it is answered. */

static ngx_int_t
ngx_chat_api_find(ngx_http_request_t *r, ngx_chat_api_t *api,
    ngx_int_t *reply)
{
    u_char      *p, *buf;
    ngx_uint_t   post;

    api->path = r->unparsed_uri;

    p = ngx_strlchr(api->path.data, api->path.data + api->path.len, '?');

    if (p != NULL) {
        api->path.len = p - api->path.data;
    }

    buf = ngx_pnalloc(r->pool, api->path.len + r->args.len + 1);
    if (buf == NULL) {
        *reply = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_DECLINED;
    }

    if (ngx_chat_route_read(&api->route, &api->path, buf) != NGX_OK) {
        *reply = ngx_chat_api_error(r, NGX_HTTP_NOT_FOUND, "Unknown path");
        return NGX_DECLINED;
    }

    post = ngx_chat_route_is_post(api->route.kind);

    if (post ? (r->method != NGX_HTTP_POST)
             : !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)))
    {
        *reply = ngx_chat_api_not_allowed(r, post ? "POST" : "GET, HEAD");
        return NGX_DECLINED;
    }

    if (ngx_chat_query_read(&api->query, r->args.data, r->args.len,
                            buf + api->path.len)
        != NGX_OK)
    {
        *reply = ngx_chat_api_error(r, NGX_HTTP_BAD_REQUEST,
                                    "Too many parameters");
        return NGX_DECLINED;
    }

    if (ngx_chat_api_find_app(api) != NGX_OK) {
        *reply = ngx_chat_api_no_app(r, api);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_api_not_allowed(ngx_http_request_t *r, const char *allow)
{
    ngx_str_t  value;

    value.data = (u_char *) allow;
    value.len = ngx_strlen(allow);

    if (ngx_chat_reply_header(r, "Allow", &value) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_chat_api_error(r, NGX_HTTP_NOT_ALLOWED,
                              "Method is not allowed here");
}


static ngx_int_t
ngx_chat_api_no_app(ngx_http_request_t *r, ngx_chat_api_t *api)
{
    if (api->route.app.len) {
        return ngx_chat_api_error(r, NGX_HTTP_NOT_FOUND, "Unknown app id");
    }

    return ngx_chat_api_error(r, NGX_HTTP_UNAUTHORIZED,
                              ngx_chat_query_get(&api->query, "auth_key")
                              ? "Unknown auth_key"
                              : "Missing parameter: auth_key");
}


/* By the id in the path; where there is none, by the key. */

static ngx_int_t
ngx_chat_api_find_app(ngx_chat_api_t *api)
{
    ngx_str_t       *id, *key;
    ngx_uint_t       i;
    ngx_chat_app_t  *apps;

    apps = api->cmcf->apps.elts;
    id = &api->route.app;
    key = ngx_chat_query_get(&api->query, "auth_key");

    for (i = 0; i < api->cmcf->apps.nelts; i++) {

        if (id->len
            ? (apps[i].id.len == id->len
               && ngx_memcmp(apps[i].id.data, id->data, id->len) == 0)
            : (key != NULL && ngx_chat_app_secret(&apps[i], key) != NULL))
        {
            api->app = &apps[i];
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/* client_max_body_size may be off or huge; this is held in memory. */

static size_t
ngx_chat_api_body_max(ngx_http_request_t *r)
{
    size_t                     max;
    ngx_chat_loc_conf_t       *clcf;
    ngx_http_core_loc_conf_t  *core;

    core = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    max = ngx_max(NGX_CHAT_API_BODY, clcf->max_message_size * 6 + 65536);

    if (core->client_max_body_size
        && core->client_max_body_size < (off_t) max)
    {
        max = core->client_max_body_size;
    }

    return max;
}


/* A ngx_chat_body_pt. */

static ngx_int_t
ngx_chat_api_body(ngx_http_request_t *r, ngx_chat_body_t *body, void *data)
{
    ngx_chat_api_t *api = data;

    ngx_int_t  rc;

    api->body.data = body->start;
    api->body.len = body->len;

    if (ngx_chat_api_check(r, api, &rc) != NGX_OK) {
        return rc;
    }

    return ngx_chat_api_answer(r, api);
}


/*
 * NGX_OK, or NGX_DECLINED: it is answered.  A library that was given a prefix
 * by its "path" option does not sign it, so the path from /apps/ on is tried
 * second.
 */

static ngx_int_t
ngx_chat_api_check(ngx_http_request_t *r, ngx_chat_api_t *api,
    ngx_int_t *reply)
{
    ngx_int_t             rc;
    ngx_uint_t            status;
    ngx_str_t             error;
    ngx_chat_api_auth_t  *auth;

    *reply = NGX_HTTP_INTERNAL_SERVER_ERROR;

    auth = ngx_palloc(r->pool, 2 * sizeof(ngx_chat_api_auth_t)
                               + r->args.len + NGX_CHAT_QUERY_PARAMS);
    if (auth == NULL) {
        return NGX_DECLINED;
    }

    auth[0].method = r->method_name;
    auth[0].path = api->path;
    auth[0].query = &api->query;
    auth[0].body = api->body;
    auth[0].now = ngx_time();
    auth[0].window = api->app->timestamp_window;
    auth[0].scratch = (u_char *) (auth + 2);

    rc = ngx_chat_api_auth_check(&auth[0], api->app);

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    status = auth[0].status;
    error = auth[0].error;

    /* a slash too many is a changed path, and no prefix */

    if (rc == NGX_DECLINED && api->route.prefix > 1) {
        auth[1] = auth[0];
        auth[1].path.data += api->route.prefix;
        auth[1].path.len -= api->route.prefix;

        rc = ngx_chat_api_auth_check(&auth[1], api->app);
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "client's chat_api request is refused: %ui", status);

        *reply = ngx_chat_reply_text(r, status, &error);
    }

    return (rc == NGX_OK) ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_chat_api_answer(ngx_http_request_t *r, ngx_chat_api_t *api)
{
    switch (api->route.kind) {

    case NGX_CHAT_ROUTE_CHANNELS_e:
        return ngx_chat_api_channels(r, api);

    case NGX_CHAT_ROUTE_CHANNEL_e:
    case NGX_CHAT_ROUTE_STATS_e:
        return ngx_chat_api_channel(r, api);

    case NGX_CHAT_ROUTE_USERS_e:
        return ngx_chat_api_users(r, api);

    case NGX_CHAT_ROUTE_TERMINATE_e:
        return ngx_chat_api_terminate(r, api);

    default: /* events, batch, the old way to publish */
        return ngx_chat_api_events(r, api);
    }
}


ngx_int_t
ngx_chat_api_error(ngx_http_request_t *r, ngx_uint_t status, const char *text)
{
    ngx_str_t  line;

    line.data = (u_char *) text;
    line.len = ngx_strlen(text);

    return ngx_chat_reply_text(r, status, &line);
}


ngx_int_t
ngx_chat_api_render(ngx_http_request_t *r, ngx_chat_api_render_pt render,
    void *arg, ngx_str_t *json)
{
    ssize_t  len;

    len = render(arg, NULL, 0);

    if (len == NGX_ERROR) {
        return NGX_ERROR;
    }

    json->len = len;
    json->data = ngx_pnalloc(r->pool, len);

    if (json->data == NULL) {
        return NGX_ERROR;
    }

    (void) render(arg, json->data, len);

    return NGX_OK;
}
