
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * UTF-8 check (RFC 3629).  Pure.
 *
 * The second byte shows all overlong forms, surrogates and characters above
 * U+10FFFF.  So the state is only how many bytes must follow, and the bounds
 * of the next byte (Unicode standard, table 3-7).
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_utf8.h>


static ngx_int_t ngx_chat_utf8_scan(ngx_chat_utf8_t *u, u_char *p,
    size_t len, size_t *whole);
static ngx_int_t ngx_chat_utf8_lead(ngx_chat_utf8_t *u, u_char ch);


void
ngx_chat_utf8_init(ngx_chat_utf8_t *u)
{
    u->need = 0;
    u->low = 0x80;
    u->high = 0xbf;
}


ngx_int_t
ngx_chat_utf8_update(ngx_chat_utf8_t *u, u_char *p, size_t len)
{
    size_t  whole;

    return ngx_chat_utf8_scan(u, p, len, &whole);
}


ngx_int_t
ngx_chat_utf8_final(ngx_chat_utf8_t *u)
{
    return u->need ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_chat_utf8_check(u_char *p, size_t len)
{
    return (ngx_chat_utf8_prefix(p, len) == len) ? NGX_OK : NGX_ERROR;
}


size_t
ngx_chat_utf8_prefix(u_char *p, size_t len)
{
    size_t           whole;
    ngx_chat_utf8_t  u;

    ngx_chat_utf8_init(&u);

    (void) ngx_chat_utf8_scan(&u, p, len, &whole);

    return whole;
}


size_t
ngx_chat_utf8_count(u_char *p, size_t len)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < len; i++) {
        n += ((p[i] & 0xc0) != 0x80);
    }

    return n;
}


/* *whole is the end of the last complete character. */

static ngx_int_t
ngx_chat_utf8_scan(ngx_chat_utf8_t *u, u_char *p, size_t len, size_t *whole)
{
    size_t  i;

    *whole = 0;

    for (i = 0; i < len; i++) {

        if (u->need) {

            if (p[i] < u->low || p[i] > u->high) {
                return NGX_ERROR;
            }

            u->need--;
            u->low = 0x80;
            u->high = 0xbf;

        } else {
            *whole = i;

            if (p[i] >= 0x80 && ngx_chat_utf8_lead(u, p[i]) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    if (u->need == 0) {
        *whole = len;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_utf8_lead(ngx_chat_utf8_t *u, u_char ch)
{
    if (ch < 0xc2 || ch > 0xf4) {
        return NGX_ERROR;
    }

    u->need = 1 + (ch >= 0xe0) + (ch >= 0xf0);

    switch (ch) {

    case 0xe0:
        u->low = 0xa0;
        break;

    case 0xed:
        u->high = 0x9f;
        break;

    case 0xf0:
        u->low = 0x90;
        break;

    case 0xf4:
        u->high = 0x8f;
        break;
    }

    return NGX_OK;
}
