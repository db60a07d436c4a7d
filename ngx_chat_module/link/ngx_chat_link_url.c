
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * URLs of chat_cluster.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_link_url.h>


#define NGX_CHAT_LINK_URL_HOST_MAX  253
#define NGX_CHAT_LINK_URL_PATH_MAX  107        /* of a socket's address */


typedef struct {
    const char  *scheme;
    ngx_uint_t   kind;
    ngx_uint_t   tls;
} ngx_chat_link_url_scheme_t;


static const char *ngx_chat_link_url_authority(ngx_chat_link_url_t *url,
    u_char *p, u_char *last);
static const char *ngx_chat_link_url_path(ngx_chat_link_url_t *url, u_char *p,
    u_char *last);
static ngx_int_t ngx_chat_link_url_number(u_char *p, u_char *last,
    ngx_uint_t max, ngx_uint_t *n);
static u_char *ngx_chat_link_url_find(u_char *p, u_char *last, u_char c);


static ngx_chat_link_url_scheme_t  ngx_chat_link_url_schemes[] = {
    { "redis://", NGX_CHAT_LINK_URL_HOST_e, 0 },
    { "rediss://", NGX_CHAT_LINK_URL_HOST_e, 1 },
    { "valkey://", NGX_CHAT_LINK_URL_HOST_e, 0 },
    { "valkeys://", NGX_CHAT_LINK_URL_HOST_e, 1 },
    { "unix:", NGX_CHAT_LINK_URL_UNIX_e, 0 },
    { "sentinel://", NGX_CHAT_LINK_URL_SENTINEL_e, 0 },
    { NULL, 0, 0 }
};


const char *
ngx_chat_link_url_read(ngx_str_t *text, ngx_chat_link_url_t *url)
{
    u_char                      *p, *last;
    size_t                       len;
    ngx_chat_link_url_scheme_t  *s;

    memset(url, 0, sizeof(ngx_chat_link_url_t));
    len = 0;

    for (s = ngx_chat_link_url_schemes; s->scheme; s++) {
        len = strlen(s->scheme);

        if (text->len >= len && memcmp(text->data, s->scheme, len) == 0) {
            break;
        }
    }

    if (s->scheme == NULL) {
        return "must begin with \"redis://\", \"rediss://\", \"unix:\" or "
               "\"sentinel://\"";
    }

    url->kind = s->kind;
    url->tls = s->tls;

    p = text->data + len;
    last = text->data + text->len;

    if (url->kind == NGX_CHAT_LINK_URL_UNIX_e) {
        url->hosts.data = p;
        url->hosts.len = last - p;

        return (url->hosts.len && *p == '/'
                && url->hosts.len <= NGX_CHAT_LINK_URL_PATH_MAX)
               ? NULL : "must have a path of at most 107 bytes that begins "
                        "with \"/\"";
    }

    return ngx_chat_link_url_authority(url, p, last);
}


/* [USER@]HOSTS[/PATH] */

static const char *
ngx_chat_link_url_authority(ngx_chat_link_url_t *url, u_char *p, u_char *last)
{
    u_char      *slash, *at;
    ngx_int_t    rc;
    ngx_str_t    rest, host;
    ngx_uint_t   port, n;

    slash = ngx_chat_link_url_find(p, last, '/');
    at = ngx_chat_link_url_find(p, slash, '@');

    if (at != slash) {

        if (ngx_chat_link_url_find(p, at, ':') != at) {
            return "must not have a password, which belongs into the file of "
                   "chat_cluster_password";
        }

        url->user.data = p;
        url->user.len = at - p;
        p = at + 1;
    }

    url->hosts.data = p;
    url->hosts.len = slash - p;

    rest = url->hosts;
    n = 0;

    while ((rc = ngx_chat_link_url_host(&rest, 1, &host, &port)) == NGX_OK) {
        n++;
    }

    if (rc == NGX_ERROR || n == 0) {
        return "must have a host, and a port from 1 to 65535 if it has one";
    }

    if (n > 1 && url->kind != NGX_CHAT_LINK_URL_SENTINEL_e) {
        return "must have one host; several URLs may be given";
    }

    return ngx_chat_link_url_path(url, slash, last);
}


/* p is at the slash, or at the end. */

static const char *
ngx_chat_link_url_path(ngx_chat_link_url_t *url, u_char *p, u_char *last)
{
    p += (p < last);

    if (url->kind == NGX_CHAT_LINK_URL_SENTINEL_e) {
        url->name.data = p;
        url->name.len = last - p;

        return (url->name.len && ngx_chat_link_url_find(p, last, '/') == last)
               ? NULL : "must end with the primary's name: "
                        "sentinel://HOST,HOST/NAME";
    }

    if (p < last
        && ngx_chat_link_url_number(p, last, 1000000, &url->database)
           != NGX_OK)
    {
        return "may have the number of a database behind the host, and "
               "nothing else";
    }

    return NULL;
}


ngx_int_t
ngx_chat_link_url_host(ngx_str_t *hosts, ngx_uint_t default_port,
    ngx_str_t *host, ngx_uint_t *port)
{
    u_char  *p, *last, *end, *next, *close;

    if (hosts->len == 0) {
        return NGX_DONE;
    }

    p = hosts->data;
    last = p + hosts->len;

    end = ngx_chat_link_url_find(p, last, ',');
    next = end + (end < last);

    hosts->data = next;
    hosts->len = last - next;

    /* a comma at the end has nothing behind it */

    if (end < last && next == last) {
        return NGX_ERROR;
    }

    if (p < end && *p == '[') {
        close = ngx_chat_link_url_find(p, end, ']');

        if (close == end) {
            return NGX_ERROR;
        }

        host->data = p + 1;
        host->len = close - p - 1;
        p = close + 1;

        if (p < end && *p != ':') {
            return NGX_ERROR;
        }

    } else {
        host->data = p;
        p = ngx_chat_link_url_find(p, end, ':');
        host->len = p - host->data;
    }

    *port = default_port;

    if (host->len == 0 || host->len > NGX_CHAT_LINK_URL_HOST_MAX) {
        return NGX_ERROR;
    }

    if (p == end) {
        return NGX_OK;
    }

    return (ngx_chat_link_url_number(p + 1, end, 65535, port) == NGX_OK
            && *port != 0)
           ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_chat_link_url_number(u_char *p, u_char *last, ngx_uint_t max,
    ngx_uint_t *n)
{
    if (p == last) {
        return NGX_ERROR;
    }

    for (*n = 0; p < last; p++) {

        if (*p < '0' || *p > '9') {
            return NGX_ERROR;
        }

        *n = *n * 10 + (*p - '0');

        if (*n > max) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* The first c, or last. */

static u_char *
ngx_chat_link_url_find(u_char *p, u_char *last, u_char c)
{
    while (p < last && *p != c) {
        p++;
    }

    return p;
}
