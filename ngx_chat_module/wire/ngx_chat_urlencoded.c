
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Text of the type application/x-www-form-urlencoded.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_urlencoded.h>


static ngx_int_t ngx_chat_urlencoded_hex(u_char ch);


ngx_int_t
ngx_chat_urlencoded_next(ngx_str_t *rest, ngx_str_t *name, ngx_str_t *value)
{
    u_char  *p, *eq, *end, *last;

    while (rest->len && rest->data[0] == '&') {
        rest->data++;
        rest->len--;
    }

    if (rest->len == 0) {
        return NGX_DONE;
    }

    p = rest->data;
    last = p + rest->len;

    end = memchr(p, '&', last - p);

    if (end == NULL) {
        end = last;
    }

    eq = memchr(p, '=', end - p);

    if (eq == NULL) {
        eq = end;
    }

    name->data = p;
    name->len = eq - p;

    value->data = (eq < end) ? eq + 1 : end;
    value->len = end - value->data;

    rest->data = end;
    rest->len = last - end;

    return NGX_OK;
}


ngx_int_t
ngx_chat_urlencoded_decode(ngx_str_t *text, u_char *dst)
{
    u_char     *p, *last;
    ngx_int_t   rc, byte;

    rc = NGX_OK;

    p = text->data;
    last = p + text->len;

    text->data = dst;

    while (p < last) {

        if (*p == '%') {
            byte = ngx_chat_urlencoded_byte(p, last);

            if (byte != NGX_ERROR) {
                *dst++ = (u_char) byte;
                p += 3;
                continue;
            }

            rc = NGX_DECLINED;
        }

        *dst++ = (*p == '+') ? ' ' : *p;
        p++;
    }

    text->len = dst - text->data;

    return rc;
}


ngx_uint_t
ngx_chat_urlencoded_is(ngx_str_t *name, const char *what)
{
    return name->len == ngx_strlen(what)
           && ngx_memcmp(name->data, what, name->len) == 0;
}


ngx_int_t
ngx_chat_urlencoded_byte(u_char *p, u_char *last)
{
    ngx_int_t  high, low;

    if (last - p < 3 || *p != '%') {
        return NGX_ERROR;
    }

    high = ngx_chat_urlencoded_hex(p[1]);
    low = ngx_chat_urlencoded_hex(p[2]);

    return (high == NGX_ERROR || low == NGX_ERROR) ? NGX_ERROR
                                                   : high << 4 | low;
}


static ngx_int_t
ngx_chat_urlencoded_hex(u_char ch)
{
    if (ch >= '0' && ch <= '9') {
        return ch - '0';
    }

    ch |= 0x20;

    return (ch >= 'a' && ch <= 'f') ? ch - 'a' + 10 : NGX_ERROR;
}
