
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The query string of an HTTP API request.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_query.h>


static ngx_uint_t ngx_chat_query_params(u_char *text, size_t len);
static u_char *ngx_chat_query_decode(u_char *dst, u_char *src, u_char *last);
static ngx_int_t ngx_chat_query_hex(u_char ch);
static int ngx_chat_query_compare(ngx_str_t *a, ngx_str_t *b);


size_t
ngx_chat_query_size(u_char *text, size_t len)
{
    return ngx_chat_query_params(text, len) * sizeof(ngx_chat_query_param_t)
           + len;
}


/* The most that are read, empty ones counted. */

static ngx_uint_t
ngx_chat_query_params(u_char *text, size_t len)
{
    u_char      *p, *last;
    ngx_uint_t   n;

    last = text + len;

    for (n = 1; n < NGX_CHAT_QUERY_PARAMS; n++) {
        p = (text < last) ? memchr(text, '&', last - text) : NULL;

        if (p == NULL) {
            break;
        }

        text = p + 1;
    }

    return n;
}


ngx_int_t
ngx_chat_query_read(ngx_chat_query_t *q, u_char *text, size_t len,
    u_char *buf)
{
    u_char                  *p, *last, *end, *eq, *ch;
    ngx_chat_query_param_t  *param;

    q->n = 0;
    q->params = (ngx_chat_query_param_t *) buf;

    buf += ngx_chat_query_params(text, len) * sizeof(ngx_chat_query_param_t);

    last = text + len;

    for (p = text; p < last; p = end + 1) {

        end = memchr(p, '&', last - p);

        if (end == NULL) {
            end = last;
        }

        if (end == p) {
            continue;
        }

        if (q->n == NGX_CHAT_QUERY_PARAMS) {
            return NGX_DECLINED;
        }

        eq = memchr(p, '=', end - p);

        if (eq == NULL) {
            eq = end;
        }

        param = &q->params[q->n++];

        param->name.data = buf;
        buf = ngx_chat_query_decode(buf, p, eq);
        param->name.len = buf - param->name.data;

        for (ch = param->name.data; ch < buf; ch++) {
            *ch = ngx_tolower(*ch);
        }

        param->value.data = buf;
        buf = ngx_chat_query_decode(buf, eq + (eq < end), end);
        param->value.len = buf - param->value.data;
    }

    return NGX_OK;
}


ngx_str_t *
ngx_chat_query_get(ngx_chat_query_t *q, const char *name)
{
    size_t      len;
    ngx_uint_t  i;

    len = strlen(name);

    for (i = q->n; i > 0; i--) {

        if (q->params[i - 1].name.len == len
            && memcmp(q->params[i - 1].name.data, name, len) == 0)
        {
            return &q->params[i - 1].value;
        }
    }

    return NULL;
}


/* Sorted by insertion: requests have few parameters, nearly in order. */

u_char *
ngx_chat_query_write_signed(u_char *p, ngx_chat_query_t *q)
{
    uint16_t                 order[NGX_CHAT_QUERY_PARAMS];
    ngx_uint_t               i, k, n;
    ngx_chat_query_param_t  *param;

    n = 0;

    for (i = 0; i < q->n; i++) {
        param = &q->params[i];

        if (param->name.len == sizeof("auth_signature") - 1
            && memcmp(param->name.data, "auth_signature", param->name.len)
               == 0)
        {
            continue;
        }

        for (k = n; k > 0; k--) {

            if (ngx_chat_query_compare(&q->params[order[k - 1]].name,
                                       &param->name)
                <= 0)
            {
                break;
            }

            order[k] = order[k - 1];
        }

        order[k] = (uint16_t) i;
        n++;
    }

    for (i = 0; i < n; i++) {
        param = &q->params[order[i]];

        if (i) {
            *p++ = '&';
        }

        memcpy(p, param->name.data, param->name.len);
        p += param->name.len;

        *p++ = '=';

        memcpy(p, param->value.data, param->value.len);
        p += param->value.len;
    }

    return p;
}


static u_char *
ngx_chat_query_decode(u_char *dst, u_char *src, u_char *last)
{
    size_t     len;
    ngx_int_t  high, low;

    len = last - src;

    if (len == 0
        || (memchr(src, '%', len) == NULL && memchr(src, '+', len) == NULL))
    {
        return ngx_cpymem(dst, src, len);
    }

    while (src < last) {

        if (*src == '%' && last - src >= 3) {
            high = ngx_chat_query_hex(src[1]);
            low = ngx_chat_query_hex(src[2]);

            if (high >= 0 && low >= 0) {
                *dst++ = (u_char) (high << 4 | low);
                src += 3;
                continue;
            }
        }

        *dst++ = (*src == '+') ? ' ' : *src;
        src++;
    }

    return dst;
}


static ngx_int_t
ngx_chat_query_hex(u_char ch)
{
    if (ch >= '0' && ch <= '9') {
        return ch - '0';
    }

    ch |= 0x20;

    return (ch >= 'a' && ch <= 'f') ? ch - 'a' + 10 : -1;
}


static int
ngx_chat_query_compare(ngx_str_t *a, ngx_str_t *b)
{
    int  rc;

    rc = memcmp(a->data, b->data, ngx_min(a->len, b->len));

    if (rc != 0) {
        return rc;
    }

    return (a->len > b->len) - (a->len < b->len);
}
