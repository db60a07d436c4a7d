
/* sources: wire/ngx_chat_urlencoded.c */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * application/x-www-form-urlencoded: which pairs there are, and what they
 * say.
 */


#include <unit.h>
#include <wire/ngx_chat_urlencoded.h>


static unit_pool_t  pool;


/* All pairs of a text, as [name|value]. */

static void
check_pairs(const char *text, const char *expected)
{
    char       got[256];
    size_t     n;
    ngx_str_t  rest, name, value;

    n = 0;
    got[0] = '\0';

    rest.len = strlen(text);
    rest.data = rest.len ? unit_copy(&pool, text, rest.len) : NULL;

    while (ngx_chat_urlencoded_next(&rest, &name, &value) == NGX_OK) {
        n += snprintf(got + n, sizeof(got) - n, "[%.*s|%.*s]", (int) name.len,
                      name.data, (int) value.len, value.data);
    }

    CHECK_INT(rest.len, 0);

    if (!CHECK(strcmp(got, expected) == 0)) {
        printf("# %s: %s\n", text, got);
    }

    unit_pool_free(&pool);
}


static void
test_pairs(void)
{
    check_pairs("", "");
    check_pairs("&&&", "");
    check_pairs("a=1", "[a|1]");
    check_pairs("a=1&b=2", "[a|1][b|2]");
    check_pairs("&a=1&&b=2&", "[a|1][b|2]");
    check_pairs("a", "[a|]");
    check_pairs("a&b=&=c&=", "[a|][b|][|c][|]");
    check_pairs("a=b=c", "[a|b=c]");
    check_pairs("a;b=1", "[a;b|1]");
    check_pairs("a%26b=c%3dd", "[a%26b|c%3dd]");
}


/* To other memory, and to where it is. */

static void
check_decoded(const char *text, const char *expected, ngx_int_t rc)
{
    size_t      len;
    u_char     *src, *dst;
    ngx_uint_t  i;
    ngx_str_t   s;

    len = strlen(text);

    src = unit_copy(&pool, text, len);
    dst = unit_alloc(&pool, len);

    for (i = 0; i < 2; i++) {
        s.data = src;
        s.len = len;

        CHECK_INT(ngx_chat_urlencoded_decode(&s, dst), rc);
        CHECK(s.data == dst);

        unit_check_bytes(s.data, s.len, (u_char *) expected, strlen(expected),
                         text, __FILE__, __LINE__);

        dst = src;
    }

    unit_pool_free(&pool);
}


static void
test_decode(void)
{
    ngx_uint_t  i;
    char        text[4], byte[2];

    check_decoded("", "", NGX_OK);
    check_decoded("plain", "plain", NGX_OK);
    check_decoded("+a+b+", " a b ", NGX_OK);
    check_decoded("%2B%2b%26%3d%25", "++&=%", NGX_OK);
    check_decoded("%2525", "%25", NGX_OK);
    check_decoded("%c3%A9\xc3\xa9", "\xc3\xa9\xc3\xa9", NGX_OK);

    for (i = 1; i < 256; i++) {
        byte[0] = (char) i;
        byte[1] = '\0';

        (void) snprintf(text, sizeof(text), (i & 1) ? "%%%02x" : "%%%02X",
                        (unsigned) i);
        check_decoded(text, byte, NGX_OK);
    }
}


static void
test_broken(void)
{
    check_decoded("%", "%", NGX_DECLINED);
    check_decoded("%4", "%4", NGX_DECLINED);
    check_decoded("100%", "100%", NGX_DECLINED);
    check_decoded("%g0", "%g0", NGX_DECLINED);
    check_decoded("%0g", "%0g", NGX_DECLINED);
    check_decoded("% 1", "% 1", NGX_DECLINED);
    check_decoded("%%41", "%A", NGX_DECLINED);
    check_decoded("%4%41+", "%4A ", NGX_DECLINED);
    check_decoded("%@1%`1%/1%:1%G1", "%@1%`1%/1%:1%G1", NGX_DECLINED);
}


static void
test_byte(void)
{
    u_char  text[] = "%7e%0";

    CHECK_INT(ngx_chat_urlencoded_byte(text, text + 3), 0x7e);
    CHECK_INT(ngx_chat_urlencoded_byte(text, text + 2), NGX_ERROR);
    CHECK_INT(ngx_chat_urlencoded_byte(text, text), NGX_ERROR);
    CHECK_INT(ngx_chat_urlencoded_byte(text + 1, text + 5), NGX_ERROR);
    CHECK_INT(ngx_chat_urlencoded_byte(text + 3, text + 5), NGX_ERROR);
}


int
main(void)
{
    RUN(test_pairs);
    RUN(test_decode);
    RUN(test_broken);
    RUN(test_byte);

    return unit_done();
}
