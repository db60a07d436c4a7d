
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What stands in a JSON string as it is (RFC 8259, section 7), found eight
 * bytes at a time.  Pure.
 */


#ifndef _NGX_CHAT_JSON_PLAIN_H_INCLUDED_
#define _NGX_CHAT_JSON_PLAIN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_CHAT_JSON_PLAIN_EACH  0x0101010101010101ULL
#define NGX_CHAT_JSON_PLAIN_HIGH  0x8080808080808080ULL


static ngx_inline ngx_uint_t
ngx_chat_json_plain_byte(u_char ch)
{
    return ch >= 0x20 && ch != '"' && ch != '\\';
}


/*
 * Whether all eight are plain: a byte below n has its highest bit set by
 * subtracting n, and had it not before.  A borrow may set more of them, but
 * only where there is one already.
 */

static ngx_inline ngx_uint_t
ngx_chat_json_plain_word(u_char *p)
{
    uint64_t  word, quote, slash;

    ngx_memcpy(&word, p, sizeof(uint64_t));

    quote = word ^ NGX_CHAT_JSON_PLAIN_EACH * '"';
    slash = word ^ NGX_CHAT_JSON_PLAIN_EACH * '\\';

    word = (word - NGX_CHAT_JSON_PLAIN_EACH * 0x20) & ~word;
    quote = (quote - NGX_CHAT_JSON_PLAIN_EACH) & ~quote;
    slash = (slash - NGX_CHAT_JSON_PLAIN_EACH) & ~slash;

    return ((word | quote | slash) & NGX_CHAT_JSON_PLAIN_HIGH) == 0;
}


/* The first byte of p to last that is a control, '"' or '\', or last. */

static ngx_inline u_char *
ngx_chat_json_plain(u_char *p, u_char *last)
{
    while (last - p >= (ssize_t) sizeof(uint64_t)
           && ngx_chat_json_plain_word(p))
    {
        p += sizeof(uint64_t);
    }

    while (p < last && ngx_chat_json_plain_byte(*p)) {
        p++;
    }

    return p;
}


#endif /* _NGX_CHAT_JSON_PLAIN_H_INCLUDED_ */
