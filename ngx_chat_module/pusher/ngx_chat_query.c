
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The query string of an HTTP API request.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_query.h>
#include <wire/ngx_chat_urlencoded.h>


static ngx_uint_t ngx_chat_query_params(u_char *text, size_t len);
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
    u_char                  *ch;
    ngx_str_t                rest, name, value;
    ngx_chat_query_param_t  *param;

    q->n = 0;
    q->params = (ngx_chat_query_param_t *) buf;

    buf += ngx_chat_query_params(text, len) * sizeof(ngx_chat_query_param_t);

    rest.data = text;
    rest.len = len;

    while (ngx_chat_urlencoded_next(&rest, &name, &value) == NGX_OK) {

        if (q->n == NGX_CHAT_QUERY_PARAMS) {
            return NGX_DECLINED;
        }

        (void) ngx_chat_urlencoded_decode(&name, buf);
        buf += name.len;

        for (ch = name.data; ch < buf; ch++) {
            *ch = ngx_tolower(*ch);
        }

        (void) ngx_chat_urlencoded_decode(&value, buf);
        buf += value.len;

        param = &q->params[q->n++];
        param->name = name;
        param->value = value;
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
