
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Lists of origins: reads them, and compares an Origin header with them.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <http/ngx_chat_origin.h>


static const char *ngx_chat_origin_check(ngx_chat_origin_t *o);
static const char *ngx_chat_origin_check_address(ngx_str_t *host);
static ngx_int_t ngx_chat_origin_check_port(ngx_str_t *port);
static ngx_uint_t ngx_chat_origin_match_port(ngx_chat_origin_t *o,
    ngx_chat_origin_t *in);
static ngx_str_t ngx_chat_origin_port(ngx_chat_origin_t *o);
static ngx_int_t ngx_chat_origin_split(ngx_chat_origin_t *o,
    ngx_str_t *value);
static ngx_int_t ngx_chat_origin_check_host(ngx_str_t *host);
static ngx_uint_t ngx_chat_origin_match_host(ngx_chat_origin_t *o,
    ngx_str_t *host);
static ngx_uint_t ngx_chat_origin_equal(ngx_str_t *a, ngx_str_t *b);
static ngx_uint_t ngx_chat_origin_is(ngx_str_t *value, const char *text);


const char *
ngx_chat_origin_parse(ngx_chat_origin_t *o, ngx_str_t *value)
{
    ngx_memzero(o, sizeof(ngx_chat_origin_t));

    if (value->len == 1 && value->data[0] == '*') {
        o->any = 1;
        return NULL;
    }

    ngx_strlow(value->data, value->data, value->len);

    if (ngx_chat_origin_is(value, "null")) {
        o->none = 1;
        return NULL;
    }

    if (ngx_chat_origin_split(o, value) != NGX_OK) {
        return "a host must follow, as in \"capacitor://localhost\"";
    }

    if (ngx_chat_origin_is(&o->scheme, "file://")) {
        return o->host.len || o->port.len
               ? "browsers send only \"file://\", or \"null\"" : NULL;
    }

    if (o->scheme.len == 0 && o->port.len == 0) {
        o->any_port = 1;
    }

    if (ngx_chat_origin_is(&o->port, ":*")) {
        o->any_port = 1;
        o->port.len = 0;
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

    return ngx_chat_origin_check(o);
}


/* NULL, or what to write instead. */

static const char *
ngx_chat_origin_check(ngx_chat_origin_t *o)
{
    if (ngx_chat_origin_is(&o->scheme, "ws://")
        || ngx_chat_origin_is(&o->scheme, "wss://"))
    {
        return "it is the page that has an origin: write \"https://\" or "
               "\"http://\"";
    }

    if (ngx_strlchr(o->host.data, o->host.data + o->host.len, '/')
        || ngx_strlchr(o->port.data, o->port.data + o->port.len, '/'))
    {
        return "an origin ends with the host or the port: write it without "
               "\"/\" behind them";
    }

    if (ngx_strlchr(o->host.data, o->host.data + o->host.len, ',')) {
        return "write spaces between origins, no commas";
    }

    if (ngx_chat_origin_check_host(&o->host) != NGX_OK) {
        return "it must be like \"https://example.com\", \"example.com\", "
               "\"*.example.com\", \"null\" or \"*\", with letters beyond "
               "ASCII as \"xn--...\"";
    }

    if (ngx_chat_origin_check_port(&o->port) != NGX_OK) {
        return "a port is a number from 1 to 65535, or \"*\"; write an IPv6 "
               "address in brackets";
    }

    /* other schemes have names of their own kind */

    if (o->scheme.len
        && !ngx_chat_origin_is(&o->scheme, "http://")
        && !ngx_chat_origin_is(&o->scheme, "https://"))
    {
        return NULL;
    }

    return ngx_chat_origin_check_address(&o->host);
}


/* Browsers write an address in one way only. */

static const char *
ngx_chat_origin_check_address(ngx_str_t *host)
{
    int               family;
    char              text[NGX_INET6_ADDRSTRLEN + 1];
    char              again[NGX_INET6_ADDRSTRLEN + 1];
    u_char           *p, *last;
    ngx_str_t         address;
    struct in6_addr   in6;

    address = *host;
    last = host->data + host->len;

    if (ngx_strlchr(host->data, last, '[')
        || ngx_strlchr(host->data, last, ']')
        || ngx_strlchr(host->data, last, ':'))
    {
        family = AF_INET6;

        if (host->len < 4 || host->data[0] != '[' || last[-1] != ']') {
            return "write an IPv6 address in brackets, as in \"[::1]\"";
        }

        address.data++;
        address.len -= 2;

    } else {
        family = AF_INET;

        /* a name's last label is no number */

        for (p = last; p > host->data && p[-1] >= '0' && p[-1] <= '9'; p--) {
            /* void */
        }

        if (p == last || (p > host->data && p[-1] != '.')) {
            return NULL;
        }
    }

    if (address.len < sizeof(text)) {
        (void) ngx_cpystrn((u_char *) text, address.data, address.len + 1);

        if (inet_pton(family, text, &in6) == 1
            && inet_ntop(family, &in6, again, sizeof(again)) != NULL
            && ngx_strcmp(text, again) == 0)
        {
            return NULL;
        }
    }

    return "write an address as browsers do, as in \"127.0.0.1\" and "
           "\"[2001:db8::1]\"";
}


static ngx_int_t
ngx_chat_origin_check_port(ngx_str_t *port)
{
    ngx_int_t  n;

    if (port->len == 0) {
        return NGX_OK;
    }

    n = ngx_atoi(port->data + 1, port->len - 1);

    return (n >= 1 && n <= 65535 && port->data[1] != '0') ? NGX_OK : NGX_ERROR;
}


/*
 * Everybody's are "*", "null", which any page's sandboxed frame sends, and the
 * names below a top-level domain.
 */

const char *
ngx_chat_origin_check_credentials(ngx_chat_origin_list_t *list)
{
    ngx_uint_t          i;
    ngx_chat_origin_t  *o;

    o = list->origins.elts;

    if (list->origins.nelts == 0) {
        return "list them, as in \"https://app.example.com\"";
    }

    for (i = 0; i < list->origins.nelts; i++) {

        if (o[i].any) {
            return "with \"*\" every site could act as its visitors: list "
                   "yours, as in \"https://app.example.com\"";
        }

        if (o[i].none) {
            return "every site can make pages that send \"null\": give yours "
                   "an origin, as in \"https://app.example.com\"";
        }

        if (o[i].subdomains
            && ngx_strlchr(o[i].host.data, o[i].host.data + o[i].host.len, '.')
               == NULL)
        {
            return "everybody can have a name below a top-level domain: write "
                   "your domain, as in \"https://*.example.com\"";
        }
    }

    return NULL;
}


ngx_uint_t
ngx_chat_origin_match(ngx_chat_origin_list_t *list, ngx_str_t *origin)
{
    ngx_uint_t          i, none;
    ngx_chat_origin_t  *o, in;

    if (list->any) {
        return 1;
    }

    o = list->origins.elts;

    none = ngx_chat_origin_is(origin, "null");

    if (!none
        && (ngx_chat_origin_split(&in, origin) != NGX_OK
            || in.scheme.len == 0
            || (in.host.len
                && ngx_chat_origin_check_host(&in.host) != NGX_OK)))
    {
        return 0;
    }

    for (i = 0; i < list->origins.nelts; i++) {

        if (none || o[i].none) {

            if (none && o[i].none) {
                return 1;
            }

            continue;
        }

        if (o[i].scheme.len
            && !ngx_chat_origin_equal(&o[i].scheme, &in.scheme))
        {
            continue;
        }

        if (!o[i].any_port && !ngx_chat_origin_match_port(&o[i], &in)) {
            continue;
        }

        if (ngx_chat_origin_match_host(&o[i], &in.host)) {
            return 1;
        }
    }

    return 0;
}


/* Browsers leave out the port that is the scheme's own. */

static ngx_uint_t
ngx_chat_origin_match_port(ngx_chat_origin_t *o, ngx_chat_origin_t *in)
{
    ngx_str_t  a, b;

    a = ngx_chat_origin_port(o);
    b = ngx_chat_origin_port(in);

    return ngx_chat_origin_equal(&a, &b);
}


static ngx_str_t
ngx_chat_origin_port(ngx_chat_origin_t *o)
{
    static ngx_str_t  http = ngx_string(":80");
    static ngx_str_t  https = ngx_string(":443");

    if (o->port.len) {
        return o->port;
    }

    if (ngx_chat_origin_is(&o->scheme, "https://")) {
        return https;
    }

    return ngx_chat_origin_is(&o->scheme, "http://") ? http : o->port;
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

    return o->host.len || ngx_chat_origin_is(&o->scheme, "file://")
           ? NGX_OK : NGX_ERROR;
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


static ngx_uint_t
ngx_chat_origin_is(ngx_str_t *value, const char *text)
{
    size_t  len;

    len = ngx_strlen(text);

    return value->len == len
           && ngx_strncasecmp(value->data, (u_char *) text, len) == 0;
}
