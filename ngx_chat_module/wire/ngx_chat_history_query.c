
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Which part of the history a request asks for.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_history_query.h>
#include <wire/ngx_chat_urlencoded.h>


static const char *ngx_chat_history_query_arg(ngx_chat_history_query_t *range,
    ngx_str_t *name, ngx_str_t *value, uint64_t max);
static ngx_int_t ngx_chat_history_query_number(ngx_str_t *value, uint64_t *n);


const char *
ngx_chat_history_query_read(ngx_chat_history_query_t *range, ngx_str_t *args,
    uint64_t max)
{
    ngx_str_t    rest, name, value;
    const char  *error;

    ngx_memzero(range, sizeof(ngx_chat_history_query_t));

    rest = *args;

    while (ngx_chat_urlencoded_next(&rest, &name, &value) == NGX_OK) {

        error = ngx_chat_history_query_arg(range, &name, &value, max);

        if (error) {
            return error;
        }
    }

    return NULL;
}


u_char *
ngx_chat_history_query_write_rest(u_char *p, ngx_str_t *args)
{
    ngx_str_t  rest, name, value;

    rest = *args;

    while (ngx_chat_urlencoded_next(&rest, &name, &value) == NGX_OK) {

        if (!ngx_chat_urlencoded_is(&name, "after")
            && !ngx_chat_urlencoded_is(&name, "after_id")
            && !ngx_chat_urlencoded_is(&name, "before")
            && !ngx_chat_urlencoded_is(&name, "before_id"))
        {
            p = ngx_cpymem(p, name.data, rest.data - name.data);
            *p++ = '&';
        }
    }

    return p;
}


static const char *
ngx_chat_history_query_arg(ngx_chat_history_query_t *range, ngx_str_t *name,
    ngx_str_t *value, uint64_t max)
{
    uint64_t    n;
    ngx_uint_t  after, before;

    after = ngx_chat_urlencoded_is(name, "after")
            || ngx_chat_urlencoded_is(name, "after_id");

    before = ngx_chat_urlencoded_is(name, "before")
             || ngx_chat_urlencoded_is(name, "before_id");

    if (after || before) {

        if (range->after || range->before) {
            return "only one of after and before can be given, and once";
        }

        if (ngx_chat_history_query_number(value, &n) != NGX_OK) {
            return "after and before take the id of a message";
        }

        range->id = n;
        range->after = after;
        range->before = before;

        return NULL;
    }

    if (ngx_chat_urlencoded_is(name, "limit")) {

        if (range->limited) {
            return "limit can be given once";
        }

        if (ngx_chat_history_query_number(value, &n) != NGX_OK
            || n == 0 || n > max)
        {
            return "limit is not a number between 1 and the maximum";
        }

        range->limit = n;
        range->limited = 1;
    }

    return NULL;
}


static ngx_int_t
ngx_chat_history_query_number(ngx_str_t *value, uint64_t *n)
{
    size_t  i;
    u_char  ch;

    if (value->len == 0) {
        return NGX_ERROR;
    }

    *n = 0;

    for (i = 0; i < value->len; i++) {
        ch = value->data[i];

        if (ch < '0' || ch > '9'
            || *n > (NGX_CHAT_HISTORY_QUERY_ID_MAX - (ch - '0')) / 10)
        {
            return NGX_ERROR;
        }

        *n = *n * 10 + (ch - '0');
    }

    return NGX_OK;
}
