
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Paths of the HTTP API.  Pure.
 *
 * A location may stand before /apps/, and may itself contain /apps/, so each
 * /apps/ of the path is tried in turn.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_api_route.h>
#include <pusher/ngx_chat_app.h>
#include <wire/ngx_chat_urlencoded.h>


typedef struct {
    const char            *head;       /* before the name */
    const char            *tail;       /* behind it; NULL: there is no name */
    ngx_chat_api_route_kind_e  kind;
} ngx_chat_api_route_form_t;


static ngx_int_t ngx_chat_api_route_match(ngx_chat_api_route_t *route,
    u_char *p, u_char *last, u_char *buf);
static ngx_int_t ngx_chat_api_route_name(ngx_chat_api_route_t *route, u_char *p,
    u_char *last, u_char *buf);


static const ngx_chat_api_route_form_t  ngx_chat_api_route_forms[] = {

    { "/events", NULL, NGX_CHAT_API_ROUTE_EVENTS_e },
    { "/batch_events", NULL, NGX_CHAT_API_ROUTE_BATCH_e },
    { "/channels", NULL, NGX_CHAT_API_ROUTE_CHANNELS_e },
    { "/channels/", "", NGX_CHAT_API_ROUTE_CHANNEL_e },
    { "/channels/", "/users", NGX_CHAT_API_ROUTE_USERS_e },
    { "/channels/", "/stats", NGX_CHAT_API_ROUTE_STATS_e },
    { "/channels/", "/events", NGX_CHAT_API_ROUTE_PUBLISH_e },
    { "/users/", "/terminate_connections", NGX_CHAT_API_ROUTE_TERMINATE_e },
    { NULL, NULL, 0 }
};


ngx_int_t
ngx_chat_api_route_read(ngx_chat_api_route_t *route, ngx_str_t *path,
    u_char *buf)
{
    u_char  *p, *id, *last;

    last = path->data + path->len;

    for (p = path->data; p < last; p++) {

        if (last - p < 6 || memcmp(p, "/apps/", 6) != 0) {
            continue;
        }

        for (id = p + 6; id < last && ngx_chat_app_is_id_char(*id); id++) {
            /* void */
        }

        route->app.data = p + 6;
        route->app.len = id - route->app.data;
        route->prefix = p - path->data;

        if (route->app.len
            && ngx_chat_api_route_match(route, id, last, buf) == NGX_OK)
        {
            return NGX_OK;
        }
    }

    route->app.len = 0;

    for (p = path->data; p < last; p++) {

        if (*p == '/'
            && ngx_chat_api_route_match(route, p, last, buf) == NGX_OK
            && route->kind == NGX_CHAT_API_ROUTE_TERMINATE_e)
        {
            route->prefix = p - path->data;
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


ngx_uint_t
ngx_chat_api_route_is_post(ngx_chat_api_route_kind_e kind)
{
    return kind == NGX_CHAT_API_ROUTE_EVENTS_e
           || kind == NGX_CHAT_API_ROUTE_BATCH_e
           || kind == NGX_CHAT_API_ROUTE_PUBLISH_e
           || kind == NGX_CHAT_API_ROUTE_TERMINATE_e;
}


/* Matches the part of the path that follows the app's id. */

static ngx_int_t
ngx_chat_api_route_match(ngx_chat_api_route_t *route, u_char *p, u_char *last,
    u_char *buf)
{
    size_t                            len, head, tail;
    const ngx_chat_api_route_form_t  *f;

    len = last - p;

    for (f = ngx_chat_api_route_forms; f->head; f++) {
        head = strlen(f->head);
        tail = f->tail ? strlen(f->tail) : 0;

        if (len < head + tail
            || memcmp(p, f->head, head) != 0
            || (tail && memcmp(last - tail, f->tail, tail) != 0))
        {
            continue;
        }

        route->kind = f->kind;

        if (f->tail == NULL && len == head) {
            ngx_str_null(&route->name);
            return NGX_OK;
        }

        if (f->tail != NULL
            && ngx_chat_api_route_name(route, p + head, last - tail, buf)
               == NGX_OK)
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


/*
 * Decodes one segment of the path, which must not be empty.  In a path "+"
 * stands for itself; a path with a broken escape does not match.
 */

static ngx_int_t
ngx_chat_api_route_name(ngx_chat_api_route_t *route, u_char *p, u_char *last,
    u_char *buf)
{
    ngx_int_t  byte;

    route->name.data = buf;

    while (p < last) {

        if (*p == '/') {
            return NGX_DECLINED;
        }

        if (*p != '%') {
            *buf++ = *p++;
            continue;
        }

        byte = ngx_chat_urlencoded_byte(p, last);

        if (byte == NGX_ERROR) {
            return NGX_DECLINED;
        }

        *buf++ = (u_char) byte;
        p += 3;
    }

    route->name.len = buf - route->name.data;

    return route->name.len ? NGX_OK : NGX_DECLINED;
}
