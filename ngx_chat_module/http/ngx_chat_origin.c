
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Lists of origins: reads them, and compares an Origin header with them.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <http/ngx_chat_origin.h>


static ngx_int_t ngx_chat_origin_split(ngx_chat_origin_t *o,
    ngx_str_t *value);
static ngx_int_t ngx_chat_origin_check_host(ngx_str_t *host);
static ngx_uint_t ngx_chat_origin_match_host(ngx_chat_origin_t *o,
    ngx_str_t *host);
static ngx_uint_t ngx_chat_origin_equal(ngx_str_t *a, ngx_str_t *b);


ngx_int_t
ngx_chat_origin_parse(ngx_chat_origin_t *o, ngx_str_t *value)
{
    ngx_memzero(o, sizeof(ngx_chat_origin_t));

    if (value->len == 1 && value->data[0] == '*') {
        o->any = 1;
        return NGX_OK;
    }

    ngx_strlow(value->data, value->data, value->len);

    if (ngx_chat_origin_split(o, value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (o->scheme.len == 0 && o->port.len == 0) {
        o->any_port = 1;
    }

    if (o->host.len > 2 && ngx_strncmp(o->host.data, "*.", 2) == 0) {
        o->subdomains = 1;
        o->host.data += 2;
        o->host.len -= 2;

    } else if (o->host.len > 1 && o->host.data[0] == '.') {
        o->subdomains = 1;
        o->domain = 1;
        o->host.data++;
        o->host.len--;
    }

    return ngx_chat_origin_check_host(&o->host);
}


ngx_uint_t
ngx_chat_origin_match(ngx_array_t *list, ngx_str_t *origin)
{
    ngx_uint_t          i;
    ngx_chat_origin_t  *o, in;

    o = list->elts;

    if (ngx_chat_origin_any(list)) {
        return 1;
    }

    if (ngx_chat_origin_split(&in, origin) != NGX_OK
        || ngx_chat_origin_check_host(&in.host) != NGX_OK
        || in.scheme.len == 0)
    {
        return 0;
    }

    for (i = 0; i < list->nelts; i++) {

        if (o[i].scheme.len
            && !ngx_chat_origin_equal(&o[i].scheme, &in.scheme))
        {
            continue;
        }

        if (!o[i].any_port && !ngx_chat_origin_equal(&o[i].port, &in.port)) {
            continue;
        }

        if (ngx_chat_origin_match_host(&o[i], &in.host)) {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_chat_origin_any(ngx_array_t *list)
{
    ngx_uint_t          i;
    ngx_chat_origin_t  *o;

    o = list->elts;

    for (i = 0; i < list->nelts; i++) {
        if (o[i].any) {
            return 1;
        }
    }

    return 0;
}


/* Splits [scheme://]host[:port]; an IPv6 host keeps its brackets. */

static ngx_int_t
ngx_chat_origin_split(ngx_chat_origin_t *o, ngx_str_t *value)
{
    u_char  *p, *last, *colon;

    p = value->data;
    last = p + value->len;

    ngx_str_null(&o->scheme);
    ngx_str_null(&o->port);

    for (colon = p; colon + 2 < last; colon++) {

        if (colon[0] == ':' && colon[1] == '/' && colon[2] == '/') {
            o->scheme.data = p;
            o->scheme.len = colon + 3 - p;
            p = colon + 3;
            break;
        }
    }

    o->host.data = p;
    o->host.len = last - p;

    for (colon = last; colon > p && colon[-1] != ']'; colon--) {

        if (colon[-1] == ':') {
            o->host.len = colon - 1 - p;
            o->port.data = colon - 1;
            o->port.len = last - o->port.data;
            break;
        }
    }

    return o->host.len ? NGX_OK : NGX_ERROR;
}


/*
 * Takes characters of host names and IPv6 addresses only: others could hide
 * another host in front of an allowed one.
 */

static ngx_int_t
ngx_chat_origin_check_host(ngx_str_t *host)
{
    u_char  ch;
    size_t  i;

    if (host->len == 0) {
        return NGX_ERROR;
    }

    for (i = 0; i < host->len; i++) {
        ch = ngx_tolower(host->data[i]);

        if (!((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9')
              || ch == '.' || ch == '-' || ch == '_'
              || ch == '[' || ch == ']' || ch == ':'))
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_chat_origin_match_host(ngx_chat_origin_t *o, ngx_str_t *host)
{
    u_char  *tail;

    if ((!o->subdomains || o->domain)
        && ngx_chat_origin_equal(&o->host, host))
    {
        return 1;
    }

    if (!o->subdomains || host->len < o->host.len + 2) {
        return 0;
    }

    tail = host->data + host->len - o->host.len;

    return tail[-1] == '.'
           && ngx_strncasecmp(tail, o->host.data, o->host.len) == 0;
}


static ngx_uint_t
ngx_chat_origin_equal(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len && ngx_strncasecmp(a->data, b->data, a->len) == 0;
}
