
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What all fuzzers share: a check that ends the fuzzer, the input taken piece
 * by piece, and a slow and plain UTF-8 decoder to compare with.
 *
 * A fuzzer builds the module's pure files alone and looks for more than
 * crashes: EXPECT() says what must hold of any input whatever.
 */


#ifndef _NGX_CHAT_FUZZ_H_INCLUDED_
#define _NGX_CHAT_FUZZ_H_INCLUDED_


#include "unit.h"


#define EXPECT(cond)                                                          \
    if (!(cond)) {                                                            \
        fuzz_failed(#cond, __FILE__, __LINE__);                               \
    }


/* What is left of the input. */
typedef struct {
    u_char            *p;
    size_t             len;
} fuzz_t;


static ngx_inline void
fuzz_failed(const char *text, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, text);
    abort();
}


/* The next byte; 0 when there is none. */
static ngx_inline ngx_uint_t
fuzz_byte(fuzz_t *f)
{
    if (f->len == 0) {
        return 0;
    }

    f->len--;

    return *f->p++;
}


/* Of two bytes. */
static ngx_inline ngx_uint_t
fuzz_short(fuzz_t *f)
{
    ngx_uint_t  n;

    n = fuzz_byte(f) << 8;

    return n | fuzz_byte(f);
}


static ngx_inline uint64_t
fuzz_number(fuzz_t *f)
{
    uint64_t    n;
    ngx_uint_t  i;

    n = 0;

    for (i = 0; i < 8; i++) {
        n = n << 8 | fuzz_byte(f);
    }

    return n;
}


/* The next n bytes, or what there is, in memory of exactly that size. */
static ngx_inline ngx_str_t
fuzz_take(fuzz_t *f, unit_pool_t *pool, size_t n)
{
    ngx_str_t  s;

    s.len = ngx_min(n, f->len);
    s.data = unit_copy(pool, f->p, s.len);

    f->p += s.len;
    f->len -= s.len;

    return s;
}


static ngx_inline ngx_uint_t
fuzz_same(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len
           && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}


static ngx_inline ngx_uint_t
fuzz_is(ngx_str_t *s, const char *text)
{
    return s->len == strlen(text) && memcmp(s->data, text, s->len) == 0;
}


/* 1 where needle is somewhere in s. */
static ngx_inline ngx_uint_t
fuzz_has(ngx_str_t *s, const void *needle, size_t len)
{
    size_t  i;

    for (i = 0; i + len <= s->len; i++) {
        if (memcmp(s->data + i, needle, len) == 0) {
            return 1;
        }
    }

    return 0;
}


/*
 * One character, decoded as RFC 3629 defines it: by value, not by tables.
 * Its length; 0: what is there is the beginning of one; -1: of none.
 */
static ngx_inline int
fuzz_utf8_char(const u_char *p, size_t len)
{
    int       n, i, last;
    uint32_t  low, high;

    if (p[0] < 0x80) {
        return 1;
    }

    n = (p[0] >> 5 == 6) ? 2 : (p[0] >> 4 == 14) ? 3
        : (p[0] >> 3 == 30) ? 4 : -1;

    if (n == -1) {
        return -1;
    }

    /* the least and the greatest character that what is there can become */

    low = p[0] & (0x7f >> n);
    high = low;
    last = ngx_min((size_t) n, len);

    for (i = 1; i < n; i++) {

        if (i < last && p[i] >> 6 != 2) {
            return -1;
        }

        low = low << 6 | (i < last ? (p[i] & 0x3f) : 0);
        high = high << 6 | (i < last ? (p[i] & 0x3f) : 0x3f);
    }

    /* none of them is a character in its shortest form */

    if (high < (n == 2 ? 0x80u : n == 3 ? 0x800u : 0x10000u)
        || low > 0x10ffff
        || (low >= 0xd800 && high <= 0xdfff))
    {
        return -1;
    }

    return last < n ? 0 : n;
}


/* 1: UTF-8; 0: may become it; -1: can't.  *whole: bytes before the fault. */
static ngx_inline int
fuzz_utf8(const u_char *p, size_t len, size_t *whole)
{
    int     n;
    size_t  i;

    n = 1;

    for (i = 0; i < len; i += n) {
        n = fuzz_utf8_char(p + i, len - i);

        if (n <= 0) {
            break;
        }
    }

    *whole = i;

    return n > 0 ? 1 : n;
}


static ngx_inline ngx_uint_t
fuzz_is_utf8(ngx_str_t *s)
{
    size_t  whole;

    return fuzz_utf8(s->data, s->len, &whole) == 1;
}


#endif /* _NGX_CHAT_FUZZ_H_INCLUDED_ */
