
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Media ranges and their weights.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_accept_header.h>


#define NGX_CHAT_ACCEPT_HEADER_ALL  1000


static u_char *ngx_chat_accept_header_end(u_char *p, u_char *last, u_char c);
static ngx_int_t ngx_chat_accept_header_match(u_char *p, u_char *last,
    const char *type);
static ngx_uint_t ngx_chat_accept_header_quality(u_char *p, u_char *last);
static ngx_uint_t ngx_chat_accept_header_is(u_char *p, u_char *last,
    const char *text, size_t len);


void
ngx_chat_accept_header_type(ngx_chat_accept_header_t *a, ngx_str_t *header,
    const char *type)
{
    u_char      *p, *last, *next, *end;
    ngx_int_t    named, best;
    ngx_uint_t   quality;

    best = -1;
    a->quality = 0;

    p = header->data;
    last = p + header->len;

    for ( /* void */ ; p < last; p = next + 1) {

        next = ngx_chat_accept_header_end(p, last, ',');
        end = ngx_chat_accept_header_end(p, next, ';');

        named = ngx_chat_accept_header_match(p, end, type);

        if (named < 0 || named < best) {
            continue;
        }

        quality = ngx_chat_accept_header_quality(end, next);

        if (named > best || quality > a->quality) {
            best = named;
            a->quality = quality;
        }
    }

    a->named = (best > 0) ? best : 0;
}


/* Finds the next c that is outside of quotes; returns last without one. */

static u_char *
ngx_chat_accept_header_end(u_char *p, u_char *last, u_char c)
{
    ngx_uint_t  quoted;

    quoted = 0;

    for ( /* void */ ; p < last; p++) {

        if (*p == '"') {
            quoted = !quoted;

        } else if (*p == '\\' && quoted && p + 1 < last) {
            p++;

        } else if (*p == c && !quoted) {
            break;
        }
    }

    return p;
}


/* Returns named as in ngx_chat_accept_header_t, or -1 for another type. */

static ngx_int_t
ngx_chat_accept_header_match(u_char *p, u_char *last, const char *type)
{
    size_t  len;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    while (last > p && (last[-1] == ' ' || last[-1] == '\t')) {
        last--;
    }

    if (ngx_chat_accept_header_is(p, last, type, strlen(type))) {
        return 2;
    }

    if (last - p < 3 || last[-1] != '*' || last[-2] != '/') {
        return -1;
    }

    len = last - p - 1;

    if (ngx_chat_accept_header_is(p, last - 1, type,
                                  ngx_min(len, strlen(type))))
    {
        return 1;
    }

    return (len == 2 && *p == '*') ? 0 : -1;
}


/* The value of the parameter "q"; each parameter begins with ";". */

static ngx_uint_t
ngx_chat_accept_header_quality(u_char *p, u_char *last)
{
    u_char      *end;
    ngx_uint_t   quality, unit;

    for ( /* void */ ; p < last; p = end) {

        p++;
        end = ngx_chat_accept_header_end(p, last, ';');

        while (p < end && (*p == ' ' || *p == '\t')) {
            p++;
        }

        if (end - p < 3 || (*p | 0x20) != 'q' || p[1] != '=') {
            continue;
        }

        p += 2;
        quality = (*p == '1') ? NGX_CHAT_ACCEPT_HEADER_ALL : 0;
        unit = NGX_CHAT_ACCEPT_HEADER_ALL / 10;

        if (++p < end && *p == '.') {

            while (++p < end && *p >= '0' && *p <= '9') {
                quality += (*p - '0') * unit;
                unit /= 10;
            }
        }

        return ngx_min(quality, NGX_CHAT_ACCEPT_HEADER_ALL);
    }

    return NGX_CHAT_ACCEPT_HEADER_ALL;
}


static ngx_uint_t
ngx_chat_accept_header_is(u_char *p, u_char *last, const char *text, size_t len)
{
    return (size_t) (last - p) == len
           && strncasecmp((char *) p, text, len) == 0;
}
