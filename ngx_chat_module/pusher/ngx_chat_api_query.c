
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The query string of an HTTP API request.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_api_query.h>
#include <wire/ngx_chat_urlencoded.h>


static ngx_uint_t ngx_chat_api_query_params(u_char *text, size_t len);
static int ngx_chat_api_query_compare(ngx_str_t *a, ngx_str_t *b);


size_t
ngx_chat_api_query_size(u_char *text, size_t len)
{
    return ngx_chat_api_query_params(text,
                                     len) * sizeof(ngx_chat_api_query_param_t)
           + len;
}


/* At most as many parameters are read; empty ones count. */

static ngx_uint_t
ngx_chat_api_query_params(u_char *text, size_t len)
{
    size_t      i;
    ngx_uint_t  n;

    n = 1;

    for (i = 0; i < len; i++) {
        n += (text[i] == '&');
    }

    return ngx_min(n, NGX_CHAT_API_QUERY_PARAMS);
}


ngx_int_t
ngx_chat_api_query_read(ngx_chat_api_query_t *q, u_char *text, size_t len,
    u_char *buf)
{
    u_char      *ch;
    ngx_str_t    rest, name, value;
    ngx_uint_t   i;

    q->n = 0;
    q->params = (ngx_chat_api_query_param_t *) buf;

    buf += ngx_chat_api_query_params(text,
                                     len) * sizeof(ngx_chat_api_query_param_t);

    rest.data = text;
    rest.len = len;

    while (ngx_chat_urlencoded_next(&rest, &name, &value) == NGX_OK) {

        if (q->n == NGX_CHAT_API_QUERY_PARAMS) {
            return NGX_DECLINED;
        }

        (void) ngx_chat_urlencoded_decode(&name, buf);
        buf += name.len;

        for (ch = name.data; ch < buf; ch++) {
            *ch = ngx_tolower(*ch);
        }

        (void) ngx_chat_urlencoded_decode(&value, buf);
        buf += value.len;

        /* requests have few parameters, nearly in order */

        for (i = q->n++; i > 0; i--) {

            if (ngx_chat_api_query_compare(&q->params[i - 1].name, &name)
                <= 0)
            {
                break;
            }

            q->params[i] = q->params[i - 1];
        }

        q->params[i].name = name;
        q->params[i].value = value;
    }

    return NGX_OK;
}


ngx_str_t *
ngx_chat_api_query_get(ngx_chat_api_query_t *q, const char *name)
{
    ngx_uint_t  i;

    for (i = q->n; i > 0; i--) {

        if (ngx_chat_urlencoded_is(&q->params[i - 1].name, name)) {
            return &q->params[i - 1].value;
        }
    }

    return NULL;
}


u_char *
ngx_chat_api_query_write_signed(u_char *p, ngx_chat_api_query_t *q)
{
    u_char                      *start;
    ngx_uint_t                   i;
    ngx_chat_api_query_param_t  *param;

    start = p;

    for (i = 0; i < q->n; i++) {
        param = &q->params[i];

        if (ngx_chat_urlencoded_is(&param->name, "auth_signature")) {
            continue;
        }

        if (p > start) {
            *p++ = '&';
        }

        p = ngx_cpymem(p, param->name.data, param->name.len);
        *p++ = '=';
        p = ngx_cpymem(p, param->value.data, param->value.len);
    }

    return p;
}


static int
ngx_chat_api_query_compare(ngx_str_t *a, ngx_str_t *b)
{
    int  rc;

    rc = memcmp(a->data, b->data, ngx_min(a->len, b->len));

    if (rc != 0) {
        return rc;
    }

    return (a->len > b->len) - (a->len < b->len);
}
