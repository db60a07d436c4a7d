
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * UTF-8 check (RFC 3629).  Pure.
 *
 * Overlong forms, surrogates and characters above U+10FFFF all show in the
 * second byte, so the state is no more than how many bytes must follow and
 * the bounds of the next one (Unicode standard, table 3-7).
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_utf8.h>


#define NGX_CHAT_UTF8_HIGH_BITS  0x8080808080808080ULL


static u_char *ngx_chat_utf8_skip_ascii(u_char *p, u_char *last);
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
    u_char  *last;

    if (len == 0) {
        return NGX_OK;
    }

    last = p + len;

    while (p < last) {

        if (u->need == 0) {
            p = ngx_chat_utf8_skip_ascii(p, last);

            if (p == last) {
                break;
            }

            if (ngx_chat_utf8_lead(u, *p++) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        if (*p < u->low || *p > u->high) {
            return NGX_ERROR;
        }

        u->need--;
        u->low = 0x80;
        u->high = 0xbf;
        p++;
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_utf8_final(ngx_chat_utf8_t *u)
{
    return u->need ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_chat_utf8_check(u_char *p, size_t len)
{
    ngx_chat_utf8_t  u;

    ngx_chat_utf8_init(&u);

    if (ngx_chat_utf8_update(&u, p, len) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_chat_utf8_final(&u);
}


size_t
ngx_chat_utf8_prefix(u_char *p, size_t len)
{
    size_t           i, whole;
    ngx_chat_utf8_t  u;

    ngx_chat_utf8_init(&u);

    whole = 0;

    for (i = 0; i < len; i++) {

        if (ngx_chat_utf8_update(&u, &p[i], 1) != NGX_OK) {
            break;
        }

        if (u.need == 0) {
            whole = i + 1;
        }
    }

    return whole;
}


static u_char *
ngx_chat_utf8_skip_ascii(u_char *p, u_char *last)
{
    uint64_t  word;

    while ((size_t) (last - p) >= sizeof(uint64_t)) {
        ngx_memcpy(&word, p, sizeof(uint64_t));

        if (word & NGX_CHAT_UTF8_HIGH_BITS) {
            break;
        }

        p += sizeof(uint64_t);
    }

    while (p < last && *p < 0x80) {
        p++;
    }

    return p;
}


static ngx_int_t
ngx_chat_utf8_lead(ngx_chat_utf8_t *u, u_char ch)
{
    if (ch < 0xc2 || ch > 0xf4) {
        return NGX_ERROR;
    }

    if (ch < 0xe0) {
        u->need = 1;
        return NGX_OK;
    }

    if (ch < 0xf0) {
        u->need = 2;

        if (ch == 0xe0) {
            u->low = 0xa0;

        } else if (ch == 0xed) {
            u->high = 0x9f;
        }

        return NGX_OK;
    }

    u->need = 3;

    if (ch == 0xf0) {
        u->low = 0x90;

    } else if (ch == 0xf4) {
        u->high = 0x8f;
    }

    return NGX_OK;
}
