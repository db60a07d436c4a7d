
/* sources: wire/ngx_chat_utf8.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <wire/ngx_chat_utf8.h>


typedef struct {
    ngx_str_t          text;
    size_t             prefix;         /* of whole characters */
} utf8_case_t;


static unit_pool_t  pool;


static ngx_str_t  good[] = {
    ngx_string(""),
    ngx_string("a"),
    ngx_string("\0"),
    ngx_string("\x7f"),
    ngx_string("seven.."),
    ngx_string("eight..."),
    ngx_string("a rather long line of nothing but ASCII, three words"),
    ngx_string("\xc2\x80"),
    ngx_string("\xdf\xbf"),
    ngx_string("\xe0\xa0\x80"),
    ngx_string("\xec\xbf\xbf"),
    ngx_string("\xed\x80\x80"),
    ngx_string("\xed\x9f\xbf"),
    ngx_string("\xee\x80\x80"),
    ngx_string("\xef\xbf\xbf"),
    ngx_string("\xf0\x90\x80\x80"),
    ngx_string("\xf1\x80\x80\x80"),
    ngx_string("\xf4\x8f\xbf\xbf"),
    ngx_string("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"),
    ngx_string("1234567\xc3\xa9" "1234567890\xf0\x9f\x98\x80" "12345678"),
    ngx_null_string
};


static utf8_case_t  bad[] = {
    { ngx_string("\x80"), 0 },
    { ngx_string("a\xbf"), 1 },
    { ngx_string("\xc0\x80"), 0 },
    { ngx_string("\xc1\xbf"), 0 },
    { ngx_string("\xc2"), 0 },
    { ngx_string("\xc2" "a"), 0 },
    { ngx_string("\xc2\xc0"), 0 },
    { ngx_string("\xe0\x80\x80"), 0 },
    { ngx_string("\xe0\x9f\xbf"), 0 },
    { ngx_string("ab\xe2\x82"), 2 },
    { ngx_string("\xe2\x82" "a"), 0 },
    { ngx_string("\xe2\x28\xa1"), 0 },
    { ngx_string("\xed\xa0\x80"), 0 },
    { ngx_string("\xed\xbf\xbf"), 0 },
    { ngx_string("\xf0\x80\x80\x80"), 0 },
    { ngx_string("\xf0\x8f\xbf\xbf"), 0 },
    { ngx_string("\xf0\x9f\x98"), 0 },
    { ngx_string("\xf0\x9f\x98" "a"), 0 },
    { ngx_string("\xf4\x90\x80\x80"), 0 },
    { ngx_string("\xf5\x80\x80\x80"), 0 },
    { ngx_string("\xf8\x88\x80\x80\x80"), 0 },
    { ngx_string("\xfe"), 0 },
    { ngx_string("\xff"), 0 },
    { ngx_string("12345678\xff"), 8 },
    { ngx_string("1234567\xff" "12345678"), 7 },
    { ngx_string("\xc3\xa9\xc3\xa9\xc3"), 4 },
    { ngx_null_string, 0 }
};


/* In two parts, cut at every place; the result must be that of the whole. */

static ngx_int_t
check_cut(ngx_str_t *s, size_t cut)
{
    ngx_chat_utf8_t  u;

    ngx_chat_utf8_init(&u);

    if (ngx_chat_utf8_update(&u, s->data, cut) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_chat_utf8_update(&u, s->data + cut, s->len - cut) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_chat_utf8_final(&u);
}


static ngx_int_t
check_bytes(ngx_str_t *s)
{
    size_t           i;
    ngx_chat_utf8_t  u;

    ngx_chat_utf8_init(&u);

    for (i = 0; i < s->len; i++) {
        if (ngx_chat_utf8_update(&u, &s->data[i], 1) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_chat_utf8_final(&u);
}


static void
test_good(void)
{
    size_t       cut;
    ngx_uint_t   i;
    ngx_str_t    s;

    for (i = 0; good[i].data; i++) {
        s.len = good[i].len;
        s.data = unit_copy(&pool, good[i].data, s.len);

        CHECK_INT(ngx_chat_utf8_check(s.data, s.len), NGX_OK);
        CHECK_INT(ngx_chat_utf8_prefix(s.data, s.len), s.len);
        CHECK_INT(check_bytes(&s), NGX_OK);

        for (cut = 0; cut <= s.len; cut++) {
            CHECK_INT(check_cut(&s, cut), NGX_OK);
        }
    }

    unit_pool_free(&pool);
}


static void
test_bad(void)
{
    size_t       cut;
    ngx_uint_t   i;
    ngx_str_t    s;

    for (i = 0; bad[i].text.len; i++) {
        s.len = bad[i].text.len;
        s.data = unit_copy(&pool, bad[i].text.data, s.len);

        if (!CHECK_INT(ngx_chat_utf8_check(s.data, s.len), NGX_ERROR)) {
            unit_dump("case", s.data, s.len);
        }

        CHECK_INT(ngx_chat_utf8_prefix(s.data, s.len), bad[i].prefix);
        CHECK_INT(check_bytes(&s), NGX_ERROR);

        for (cut = 0; cut <= s.len; cut++) {
            CHECK_INT(check_cut(&s, cut), NGX_ERROR);
        }
    }

    unit_pool_free(&pool);
}


/* An error is seen with the first byte that shows it. */

static void
test_fails_fast(void)
{
    ngx_chat_utf8_t  u;

    ngx_chat_utf8_init(&u);
    CHECK_INT(ngx_chat_utf8_update(&u, (u_char *) "\xed\xa0", 2), NGX_ERROR);

    ngx_chat_utf8_init(&u);
    CHECK_INT(ngx_chat_utf8_update(&u, (u_char *) "\xf4\x90", 2), NGX_ERROR);

    ngx_chat_utf8_init(&u);
    CHECK_INT(ngx_chat_utf8_update(&u, (u_char *) "\xc0", 1), NGX_ERROR);
}


static void
test_final(void)
{
    ngx_chat_utf8_t  u;

    ngx_chat_utf8_init(&u);
    CHECK_INT(ngx_chat_utf8_final(&u), NGX_OK);
    CHECK_INT(ngx_chat_utf8_update(&u, NULL, 0), NGX_OK);
    CHECK_INT(ngx_chat_utf8_update(&u, (u_char *) "\xf0\x9f", 2), NGX_OK);
    CHECK_INT(ngx_chat_utf8_final(&u), NGX_ERROR);
    CHECK_INT(ngx_chat_utf8_update(&u, (u_char *) "\x98\x80", 2), NGX_OK);
    CHECK_INT(ngx_chat_utf8_final(&u), NGX_OK);
}


/* Every code point, encoded, is right; every surrogate is wrong. */

static void
test_all_characters(void)
{
    u_char      c[4];
    size_t      len;
    ngx_int_t   expected;
    ngx_uint_t  n, wrong;

    wrong = 0;

    for (n = 0; n < 0x120000; n++) {

        if (n < 0x80) {
            c[0] = (u_char) n;
            len = 1;

        } else if (n < 0x800) {
            c[0] = (u_char) (0xc0 | (n >> 6));
            c[1] = (u_char) (0x80 | (n & 0x3f));
            len = 2;

        } else if (n < 0x10000) {
            c[0] = (u_char) (0xe0 | (n >> 12));
            c[1] = (u_char) (0x80 | ((n >> 6) & 0x3f));
            c[2] = (u_char) (0x80 | (n & 0x3f));
            len = 3;

        } else {
            c[0] = (u_char) (0xf0 | (n >> 18));
            c[1] = (u_char) (0x80 | ((n >> 12) & 0x3f));
            c[2] = (u_char) (0x80 | ((n >> 6) & 0x3f));
            c[3] = (u_char) (0x80 | (n & 0x3f));
            len = 4;
        }

        expected = ((n >= 0xd800 && n <= 0xdfff) || n > 0x10ffff) ? NGX_ERROR
                                                                  : NGX_OK;
        if (ngx_chat_utf8_check(c, len) != expected) {
            wrong++;
        }
    }

    CHECK_INT(wrong, 0);
}


static void
test_count(void)
{
    CHECK_INT(ngx_chat_utf8_count(NULL, 0), 0);
    CHECK_INT(ngx_chat_utf8_count((u_char *) "a\xc3\xa9\xe2\x80\xa8"
                                  "\xf0\x9f\x98\x80z", 11), 5);
}


int
main(void)
{
    RUN(test_good);
    RUN(test_bad);
    RUN(test_fails_fast);
    RUN(test_final);
    RUN(test_all_characters);
    RUN(test_count);

    return unit_done();
}
