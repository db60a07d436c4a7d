
/* sources: wire/ngx_chat_urlencoded.c */
/* sources: wire/ngx_chat_message.c wire/ngx_chat_json.c */
/* sources: wire/ngx_chat_json_write.c wire/ngx_chat_utf8.c libs: -lyajl */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <time.h>

#include <unit.h>
#include <wire/ngx_chat_message.h>


typedef struct {
    ngx_str_t          text;
    ngx_uint_t         blank;
} blank_case_t;


static unit_pool_t              pool;
static ngx_chat_message_post_t  post;


static blank_case_t  blanks[] = {
    { ngx_string(" "), 1 },
    { ngx_string("\t\n\v\f\r "), 1 },
    { ngx_string("\xc2\x85"), 1 },
    { ngx_string("\xc2\xa0"), 1 },
    { ngx_string("\xe1\x9a\x80"), 1 },
    { ngx_string("\xe2\x80\x80\xe2\x80\x8a"), 1 },
    { ngx_string("\xe2\x80\xa8"), 1 },
    { ngx_string("\xe2\x80\xa9"), 1 },
    { ngx_string("\xe2\x80\xaf"), 1 },
    { ngx_string("\xe2\x81\x9f"), 1 },
    { ngx_string("\xe3\x80\x80"), 1 },
    { ngx_string(" \xe3\x80\x80 \xc2\xa0\n"), 1 },
    { ngx_string("a"), 0 },
    { ngx_string(" a "), 0 },
    { ngx_string("\0"), 0 },
    { ngx_string("\x08"), 0 },
    { ngx_string("\x0e"), 0 },
    { ngx_string("\x1c"), 0 },
    { ngx_string("\x7f"), 0 },
    { ngx_string("\xc2\x84"), 0 },
    { ngx_string("\xc2\x86"), 0 },
    { ngx_string("\xc3\xa0"), 0 },
    { ngx_string("\xe1\xa0\x8e"), 0 },          /* U+180E, no longer one */
    { ngx_string("\xe2\x80\x8b"), 0 },          /* zero width space */
    { ngx_string("\xe2\x80\xaa"), 0 },
    { ngx_string("\xe2\x81\xa0"), 0 },          /* word joiner */
    { ngx_string("\xe3\x80\x81"), 0 },
    { ngx_string("\xef\xbb\xbf"), 0 },          /* byte order mark */
    { ngx_string("\xf0\x9f\x98\x80"), 0 },
    { ngx_null_string, 0 }
};


static ngx_int_t
read_as(ngx_uint_t form, const char *text, size_t len)
{
    u_char           *body;
    ngx_int_t         rc;
    ngx_chat_json_t   j;

    j.alloc = unit_alloc;
    j.ctx = &pool;
    j.error = NULL;

    memset(&post, 0xff, sizeof(post));

    body = unit_copy(&pool, text, len);

    rc = form ? ngx_chat_message_read_form(&post, &j, body, len)
              : ngx_chat_message_read_json(&post, &j, body, len);

    CHECK((rc == NGX_DECLINED) == (rc != NGX_ERROR && post.error != NULL));

    return rc;
}


#define JSON(literal)  read_as(0, literal, sizeof(literal) - 1)
#define FORM(literal)  read_as(1, literal, sizeof(literal) - 1)


static void
test_json(void)
{
    CHECK_INT(JSON("{\"content\":\"hello\"}"), NGX_OK);
    CHECK_STR(post.content, "hello");
    CHECK(!post.blank);
    CHECK(post.socket_id.data == NULL);

    CHECK_INT(JSON("{\"x\":[{}],\"content\":\"a\\u0000b\","
                   "\"socket_id\":\"1.2\"}"), NGX_OK);
    CHECK_STR(post.content, "a\0b");
    CHECK_STR(post.socket_id, "1.2");
    CHECK(!post.blank);

    CHECK_INT(JSON("{\"content\":\"a\",\"content\":\"b\"}"), NGX_OK);
    CHECK_STR(post.content, "b");

    CHECK_INT(JSON("{\"content\":\"x\",\"socket_id\":null}"), NGX_OK);
    CHECK(post.socket_id.data == NULL);

    CHECK_INT(JSON("{\"content\":\"x\",\"socket_id\":1.2}"), NGX_OK);
    CHECK(post.socket_id.data == NULL);

    CHECK_INT(JSON("{\"content\":\"x\",\"socket_id\":[\"1.2\"]}"), NGX_OK);
    CHECK(post.socket_id.data == NULL);

    CHECK_INT(JSON("{\"content\":\"x\",\"socket_id\":\"\"}"), NGX_OK);
    CHECK(post.socket_id.data != NULL && post.socket_id.len == 0);

    CHECK_INT(JSON("{\"content\":\"\\ud83d\\ude00\"}"), NGX_OK);
    CHECK_STR(post.content, "\xf0\x9f\x98\x80");

    unit_pool_free(&pool);
}


static void
test_json_blank(void)
{
    ngx_uint_t  i;

    static ngx_str_t  bodies[] = {
        ngx_string("{}"),
        ngx_string("{\"content\":null}"),
        ngx_string("{\"content\":\"\"}"),
        ngx_string("{\"content\":\" \\n\\u00a0\\u3000\"}"),
        ngx_string("{\"content\":1}"),
        ngx_string("{\"content\":true}"),
        ngx_string("{\"content\":[\"a\"]}"),
        ngx_string("{\"content\":{\"content\":\"a\"}}"),
        ngx_string("{\"content\":\"a\",\"content\":null}"),
        ngx_string("{\"Content\":\"a\"}"),
        ngx_null_string
    };

    for (i = 0; bodies[i].len; i++) {
        CHECK_INT(read_as(0, (char *) bodies[i].data, bodies[i].len),
                  NGX_OK);

        if (!CHECK(post.blank)) {
            unit_dump("case", bodies[i].data, bodies[i].len);
        }
    }

    unit_pool_free(&pool);
}


static void
test_json_declined(void)
{
    CHECK_INT(JSON(""), NGX_DECLINED);
    CHECK_INT(JSON("hello"), NGX_DECLINED);
    CHECK_INT(JSON("[]"), NGX_DECLINED);
    CHECK_INT(JSON("\"content\""), NGX_DECLINED);
    CHECK_INT(JSON("null"), NGX_DECLINED);
    CHECK_INT(JSON("[{\"content\":\"a\"}]"), NGX_DECLINED);
    CHECK_INT(JSON("{\"content\":\"a\""), NGX_DECLINED);
    CHECK_INT(JSON("{\"content\":\"a\"}x"), NGX_DECLINED);
    CHECK_INT(JSON("{\"content\":\"\xff\"}"), NGX_DECLINED);

    unit_pool_free(&pool);
}


static void
test_form(void)
{
    CHECK_INT(FORM("content=hello"), NGX_OK);
    CHECK_STR(post.content, "hello");
    CHECK(!post.blank);
    CHECK(post.socket_id.data == NULL);

    CHECK_INT(FORM("a=b&content=x+y%20z%2B%26%3d%25&socket_id=1.2&c"), NGX_OK);
    CHECK_STR(post.content, "x y z+&=%");
    CHECK_STR(post.socket_id, "1.2");

    CHECK_INT(FORM("content=a=b=c"), NGX_OK);
    CHECK_STR(post.content, "a=b=c");

    CHECK_INT(FORM("content=a&content=b"), NGX_OK);
    CHECK_STR(post.content, "b");

    CHECK_INT(FORM("%63ontent=%c3%A9%F0%9f%98%80"), NGX_OK);
    CHECK_STR(post.content, "\xc3\xa9\xf0\x9f\x98\x80");

    CHECK_INT(FORM("content=\xc3\xa9%00"), NGX_OK);
    CHECK_STR(post.content, "\xc3\xa9\0");

    CHECK_INT(FORM("&&content=a&&"), NGX_OK);
    CHECK_STR(post.content, "a");

    CHECK_INT(FORM("content=a;socket_id=b"), NGX_OK);
    CHECK_STR(post.content, "a;socket_id=b");

    CHECK_INT(FORM("content=a&socket_id="), NGX_OK);
    CHECK(post.socket_id.data != NULL && post.socket_id.len == 0);

    CHECK_INT(FORM("content=%2525"), NGX_OK);
    CHECK_STR(post.content, "%25");

    unit_pool_free(&pool);
}


static void
test_form_blank(void)
{
    CHECK_INT(FORM(""), NGX_OK);
    CHECK(post.blank);
    CHECK_INT(FORM("content"), NGX_OK);
    CHECK(post.blank);
    CHECK_INT(FORM("content="), NGX_OK);
    CHECK(post.blank);
    CHECK_INT(FORM("content=+%0a%C2%A0"), NGX_OK);
    CHECK(post.blank);
    CHECK_INT(FORM("contents=a&conten=b&=c"), NGX_OK);
    CHECK(post.blank);
    CHECK_INT(FORM("content=a&content="), NGX_OK);
    CHECK(post.blank);

    unit_pool_free(&pool);
}


static void
test_form_declined(void)
{
    CHECK_INT(FORM("content=%"), NGX_DECLINED);
    CHECK_INT(FORM("content=%4"), NGX_DECLINED);
    CHECK_INT(FORM("content=%4&x=1"), NGX_DECLINED);
    CHECK_INT(FORM("content=%g0"), NGX_DECLINED);
    CHECK_INT(FORM("content=%0g"), NGX_DECLINED);
    CHECK_INT(FORM("content=%%41"), NGX_DECLINED);
    CHECK_INT(FORM("content=a&b%=1"), NGX_DECLINED);
    CHECK_INT(FORM("b%4=1&content=a"), NGX_DECLINED);
    CHECK_INT(FORM("content=%ff"), NGX_DECLINED);
    CHECK_INT(FORM("content=\xff"), NGX_DECLINED);
    CHECK_INT(FORM("content=%c3&x=%a9"), NGX_DECLINED);
    CHECK_INT(FORM("content=%ed%a0%80"), NGX_DECLINED);
    CHECK_INT(FORM("content=a&x=%80"), NGX_DECLINED);

    unit_pool_free(&pool);
}


static void
test_no_memory(void)
{
    pool.fail_at = 2;                  /* the first is the body's copy */
    CHECK_INT(JSON("{\"content\":\"a\"}"), NGX_ERROR);
    unit_pool_free(&pool);

    pool.fail_at = 2;
    CHECK_INT(FORM("content=a"), NGX_ERROR);
    unit_pool_free(&pool);
}


static void
test_blank(void)
{
    u_char      *copy;
    ngx_uint_t   i;

    CHECK(ngx_chat_message_is_blank(NULL, 0));

    for (i = 0; blanks[i].text.len; i++) {
        copy = unit_copy(&pool, blanks[i].text.data, blanks[i].text.len);

        if (!CHECK_INT(ngx_chat_message_is_blank(copy, blanks[i].text.len),
                       blanks[i].blank))
        {
            unit_dump("case", copy, blanks[i].text.len);
        }
    }

    unit_pool_free(&pool);
}


static ngx_str_t
render(ngx_chat_message_t *m)
{
    ssize_t    len;
    ngx_str_t  s;

    len = ngx_chat_message_render(m, NULL, 0);
    CHECK(len > 0);

    s.data = unit_alloc(&pool, len);
    s.len = len;

    CHECK_INT(ngx_chat_message_render(m, s.data, len), len);
    CHECK_INT(ngx_chat_message_render(m, unit_alloc(&pool, len - 1), len - 1),
              NGX_ERROR);

    return s;
}


static void
test_render(void)
{
    ngx_chat_message_t  m;

    memset(&m, 0, sizeof(m));

    m.id = 1;
    m.created = 1769851800123LL;
    m.updated = 1769851800123LL;
    ngx_str_set(&m.content, "hello");

    CHECK_STR(render(&m), "{\"id\":1,\"content\":\"hello\","
              "\"created_at\":\"2026-01-31T09:30:00.123Z\","
              "\"updated_at\":\"2026-01-31T09:30:00.123Z\"}");

    m.id = 18446744073709551615ULL;
    m.updated++;
    ngx_str_set(&m.content, "\"\\\n\0\xc3\xa9</script>");
    ngx_str_set(&m.author, "Ann \"A\"");

    CHECK_STR(render(&m), "{\"id\":18446744073709551615,"
              "\"content\":\"\\\"\\\\\\n\\u0000\xc3\xa9</script>\","
              "\"author\":\"Ann \\\"A\\\"\","
              "\"created_at\":\"2026-01-31T09:30:00.123Z\","
              "\"updated_at\":\"2026-01-31T09:30:00.124Z\"}");

    unit_pool_free(&pool);
}


#define CHECK_TIME(ms, expected)                                              \
    CHECK_INT(ngx_chat_message_write_time(text, ms) - text,                   \
              NGX_CHAT_MESSAGE_TIME_LEN);                                     \
    CHECK_BYTES(text, NGX_CHAT_MESSAGE_TIME_LEN, expected)


static void
test_time(void)
{
    u_char  text[NGX_CHAT_MESSAGE_TIME_LEN];

    CHECK_TIME(0, "1970-01-01T00:00:00.000Z");
    CHECK_TIME(1, "1970-01-01T00:00:00.001Z");
    CHECK_TIME(-1, "1969-12-31T23:59:59.999Z");
    CHECK_TIME(951782399999LL, "2000-02-28T23:59:59.999Z");
    CHECK_TIME(951782400000LL, "2000-02-29T00:00:00.000Z");
    CHECK_TIME(951868800000LL, "2000-03-01T00:00:00.000Z");
    CHECK_TIME(978307199000LL, "2000-12-31T23:59:59.000Z");
    CHECK_TIME(4107542400000LL, "2100-03-01T00:00:00.000Z");
    CHECK_TIME(253402300799999LL, "9999-12-31T23:59:59.999Z");
    CHECK_TIME(253402300800000LL, "9999-12-31T23:59:59.999Z");
    CHECK_TIME(INT64_MAX, "9999-12-31T23:59:59.999Z");
    CHECK_TIME(-62167219200000LL, "0000-01-01T00:00:00.000Z");
    CHECK_TIME(INT64_MIN, "0000-01-01T00:00:00.000Z");
}


/* Every day of a thousand years as libc has it. */

static void
test_time_days(void)
{
    char        expected[64];
    u_char      text[NGX_CHAT_MESSAGE_TIME_LEN];
    time_t      t;
    int64_t     day;
    struct tm   tm;
    ngx_uint_t  wrong;

    wrong = 0;

    for (day = -146097; day < 2 * 146097; day++) {
        t = (time_t) (day * 86400 + (day & 0xffff));

        (void) gmtime_r(&t, &tm);
        (void) strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.007Z",
                        &tm);

        (void) ngx_chat_message_write_time(text, (int64_t) t * 1000 + 7);

        wrong += memcmp(text, expected, sizeof(text)) != 0;
    }

    CHECK_INT(wrong, 0);
}


int
main(void)
{
    RUN(test_json);
    RUN(test_json_blank);
    RUN(test_json_declined);
    RUN(test_form);
    RUN(test_form_blank);
    RUN(test_form_declined);
    RUN(test_no_memory);
    RUN(test_blank);
    RUN(test_render);
    RUN(test_time);
    RUN(test_time_days);

    return unit_done();
}
