
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Requests of the console: which of its parts answers.
 *
 * Paths are those behind the location.  What is the same as elsewhere is
 * answered by the same functions: counters, history, events, the HTTP API.
 * All but the page's files needs a header that pages of other sites can't
 * send, since a browser that has the operator's password sends it along with
 * requests of all pages.  That goes for reading, too: a stream has a
 * subscriber's place in its channel.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <console/ngx_chat_console.h>
#include <events/ngx_chat_events.h>
#include <http/ngx_chat_api.h>
#include <http/ngx_chat_handlers.h>
#include <http/ngx_chat_reply.h>


#define NGX_CHAT_CONSOLE_HISTORY      50   /* messages of a page */
#define NGX_CHAT_CONSOLE_HISTORY_MAX  500


static ngx_int_t ngx_chat_console_get(ngx_http_request_t *r, ngx_str_t *path);
static ngx_int_t ngx_chat_console_post(ngx_http_request_t *r,
    ngx_str_t *path);
static ngx_int_t ngx_chat_console_api(ngx_http_request_t *r, ngx_str_t *path);
static ngx_chat_app_t *ngx_chat_console_app_of(ngx_http_request_t *r,
    ngx_str_t *path, ngx_str_t *rest);
static ngx_int_t ngx_chat_console_app(ngx_http_request_t *r, ngx_str_t *path);
static ngx_uint_t ngx_chat_console_path_is(ngx_str_t *path, const char *text);


ngx_int_t
ngx_chat_console_handler(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_str_t                  path, value;
    ngx_http_core_loc_conf_t  *core;

    if (r != r->main) {
        return NGX_HTTP_NOT_FOUND;
    }

    core = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    /* an "if" in the location may have rewritten the path */

    if (r->uri.len < core->name.len
        || ngx_memcmp(r->uri.data, core->name.data, core->name.len) != 0)
    {
        return NGX_HTTP_NOT_FOUND;
    }

    path.data = r->uri.data + core->name.len;
    path.len = r->uri.len - core->name.len;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD|NGX_HTTP_POST))) {
        return ngx_chat_reply_not_allowed(r, "GET, HEAD, POST");
    }

    if (r->method != NGX_HTTP_POST) {
        rc = ngx_chat_console_file(r, &path);

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    if (ngx_chat_request_header(r, "x-chat-console", &value) != NGX_OK) {
        return ngx_chat_reply_line(r, NGX_HTTP_FORBIDDEN,
                                   "The header X-Chat-Console is missing");
    }

    return (r->method == NGX_HTTP_POST) ? ngx_chat_console_post(r, &path)
                                        : ngx_chat_console_get(r, &path);
}


static ngx_int_t
ngx_chat_console_get(ngx_http_request_t *r, ngx_str_t *path)
{
    if (path->len > 5 && ngx_strncmp(path->data, "apps/", 5) == 0) {
        return ngx_chat_console_app(r, path);
    }

    if (ngx_chat_console_path_is(path, "status")) {
        return ngx_chat_status_handler(r);
    }

    if (ngx_chat_console_path_is(path, "apps")) {
        return ngx_chat_console_apps(r);
    }

    if (ngx_chat_console_path_is(path, "webhooks")) {
        return ngx_chat_console_webhooks(r);
    }

    if (ngx_chat_console_path_is(path, "incidents")) {
        return ngx_chat_console_incidents(r);
    }

    return NGX_HTTP_NOT_FOUND;
}


static ngx_int_t
ngx_chat_console_post(ngx_http_request_t *r, ngx_str_t *path)
{
    ngx_str_t        rest;
    ngx_chat_app_t  *app;

    app = ngx_chat_console_app_of(r, path, &rest);

    if (app && ngx_chat_console_path_is(&rest, "webhooks/revive")) {
        return ngx_chat_console_webhooks_revive(r, app);
    }

    return ngx_chat_console_api(r, path);
}


/* The slash of the location is the API's first one. */

static ngx_int_t
ngx_chat_console_api(ngx_http_request_t *r, ngx_str_t *path)
{
    path->data--;
    path->len++;

    return ngx_chat_api_operator(r, path);
}


/* The app of a path apps/ID/..., and what is behind that; NULL: none. */

static ngx_chat_app_t *
ngx_chat_console_app_of(ngx_http_request_t *r, ngx_str_t *path,
    ngx_str_t *rest)
{
    u_char                *p, *last;
    ngx_str_t              id;
    ngx_chat_main_conf_t  *cmcf;

    rest->len = 0;

    if (path->len <= 5 || ngx_strncmp(path->data, "apps/", 5) != 0) {
        return NULL;
    }

    id.data = path->data + 5;
    last = path->data + path->len;

    p = ngx_strlchr(id.data, last, '/');

    if (p == NULL) {
        return NULL;
    }

    id.len = p - id.data;
    rest->data = p + 1;
    rest->len = last - rest->data;

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    return ngx_chat_app_of_id(&cmcf->apps, &id);
}


/* GET apps/ID/... */

static ngx_int_t
ngx_chat_console_app(ngx_http_request_t *r, ngx_str_t *path)
{
    ngx_str_t        rest;
    ngx_chat_app_t  *app;

    app = ngx_chat_console_app_of(r, path, &rest);

    if (app == NULL) {
        return rest.len ? ngx_chat_reply_line(r, NGX_HTTP_NOT_FOUND,
                                              "Unknown app id")
                        : NGX_HTTP_NOT_FOUND;
    }

    if (ngx_chat_console_path_is(&rest, "channels")) {
        return ngx_chat_console_channels(r, app);
    }

    if (ngx_chat_console_path_is(&rest, "stream")) {
        return ngx_chat_events_serve(r, app);
    }

    if (ngx_chat_console_path_is(&rest, "webhooks/dead")) {
        return ngx_chat_console_webhooks_dead(r, app);
    }

    if (rest.len > 8 && ngx_strncmp(rest.data, "history/", 8) == 0) {
        rest.data += 8;
        rest.len -= 8;

        return ngx_chat_get_history_of(r, app, &rest, NGX_CHAT_CONSOLE_HISTORY,
                                       NGX_CHAT_CONSOLE_HISTORY_MAX, 1);
    }

    return ngx_chat_console_api(r, path);
}


static ngx_uint_t
ngx_chat_console_path_is(ngx_str_t *path, const char *text)
{
    return path->len == ngx_strlen(text)
           && ngx_strncmp(path->data, text, path->len) == 0;
}
