
/* sources: none */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <wire/ngx_chat_json_plain.h>


#define SIZE  40


/* RFC 8259, section 7: what must be escaped. */

static ngx_uint_t
is_escaped(ngx_uint_t ch)
{
    return ch < 0x20 || ch == 0x22 || ch == 0x5c;
}


/* Each byte at each place of texts of each length, among others like these. */

static void
check_among(u_char other)
{
    u_char       text[SIZE + 1], *last;
    ngx_uint_t   ch, at, len, wrong;

    memset(text, other, sizeof(text));
    wrong = 0;

    for (len = 0; len < SIZE; len++) {
        last = text + 1 + len;
        wrong += (ngx_chat_json_plain(text + 1, last) != last);

        for (at = 1; at <= len; at++) {

            for (ch = 0; ch < 256; ch++) {
                text[at] = (u_char) ch;
                wrong += (ngx_chat_json_plain(text + 1, last)
                          != (is_escaped(ch) ? text + at : last));
            }

            text[at] = other;
        }
    }

    CHECK_INT(wrong, 0);
}


static void
test_each_byte(void)
{
    check_among(' ');
    check_among('!');
    check_among('#');
    check_among('[');
    check_among(']');
    check_among(0x7f);
    check_among(0x80);
    check_among(0xa2);                 /* '"' and '\' with the highest bit */
    check_among(0xdc);
    check_among(0xff);
}


/* Of two the first. */

static void
test_first(void)
{
    u_char      text[16], *p;
    ngx_uint_t  a, b;

    for (a = 0; a < sizeof(text); a++) {

        for (b = a + 1; b < sizeof(text); b++) {
            memset(text, 'x', sizeof(text));
            text[a] = '"';
            text[b] = '\\';

            p = ngx_chat_json_plain(text, text + sizeof(text));
            CHECK_INT(p - text, a);

            text[a] = 0;
            p = ngx_chat_json_plain(text, text + sizeof(text));
            CHECK_INT(p - text, a);
        }
    }
}


/* Nothing behind the end is looked at: the text is all there is. */

static void
test_end(void)
{
    u_char       *text;
    size_t        len;
    unit_pool_t   pool;

    memset(&pool, 0, sizeof(unit_pool_t));

    for (len = 1; len < SIZE; len++) {
        text = unit_alloc(&pool, len);
        memset(text, 'x', len);

        CHECK(ngx_chat_json_plain(text, text + len) == text + len);
        CHECK(ngx_chat_json_plain(text + len, text + len) == text + len);
    }

    unit_pool_free(&pool);
}


int
main(void)
{
    RUN(test_each_byte);
    RUN(test_first);
    RUN(test_end);

    return unit_done();
}
