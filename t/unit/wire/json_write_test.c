
/* sources: wire/ngx_chat_json_write.c wire/ngx_chat_json.c */
/* sources: wire/ngx_chat_utf8.c libs: -lyajl */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <wire/ngx_chat_json_write.h>


typedef void (*write_pt)(ngx_chat_json_write_t *w, void *data);


static unit_pool_t  pool;


/* Counted, then written into exactly that much, then into too little. */

static ngx_str_t
render(write_pt handler, void *data)
{
    u_char                 *p;
    ssize_t                 len, got;
    ngx_str_t               text;
    ngx_chat_json_write_t   w;

    ngx_str_null(&text);

    ngx_chat_json_write_init(&w, NULL, 0);
    handler(&w, data);
    len = ngx_chat_json_write_done(&w);

    if (len == NGX_ERROR) {
        return text;
    }

    text.data = unit_alloc(&pool, len);
    ngx_chat_json_write_init(&w, text.data, len);
    handler(&w, data);
    got = ngx_chat_json_write_done(&w);
    CHECK_INT(got, len);
    text.len = len;

    p = unit_alloc(&pool, len - 1);
    ngx_chat_json_write_init(&w, p, len - 1);
    handler(&w, data);
    CHECK_INT(ngx_chat_json_write_done(&w), NGX_ERROR);

    return text;
}


static void
write_all(ngx_chat_json_write_t *w, void *data)
{
    ngx_str_t  s;

    (void) data;

    ngx_str_set(&s, "two\0three");

    ngx_chat_json_write_object(w);
    ngx_chat_json_write_key(w, "a");
    ngx_chat_json_write_array(w);
    ngx_chat_json_write_uint(w, 0);
    ngx_chat_json_write_uint(w, 18446744073709551615ULL);
    ngx_chat_json_write_cstring(w, "one");
    ngx_chat_json_write_string(w, &s);
    ngx_chat_json_write_null(w);
    ngx_chat_json_write_array(w);
    ngx_chat_json_write_array_end(w);
    ngx_chat_json_write_object(w);
    ngx_chat_json_write_object_end(w);
    ngx_chat_json_write_array_end(w);
    ngx_chat_json_write_key(w, "");
    ngx_chat_json_write_uint(w, 1);
    ngx_chat_json_write_object_end(w);
}


static void
write_string(ngx_chat_json_write_t *w, void *data)
{
    ngx_chat_json_write_string(w, data);
}


static void
write_value(ngx_chat_json_write_t *w, void *data)
{
    ngx_chat_json_write_value(w, data);
}


static void
test_all(void)
{
    CHECK_STR(render(write_all, NULL),
              "{\"a\":[0,18446744073709551615,\"one\",\"two\\u0000three\","
              "null,[],{}],\"\":1}");

    unit_pool_free(&pool);
}


static void
check_string(ngx_str_t *s, const char *expected)
{
    ngx_str_t  got;

    got = render(write_string, s);

    if (!CHECK(got.len == strlen(expected)
               && memcmp(got.data, expected, got.len) == 0))
    {
        unit_dump("     got", got.data, got.len);
        unit_dump("expected", (u_char *) expected, strlen(expected));
    }
}


static void
check_literal(const char *literal, size_t len, const char *expected)
{
    ngx_str_t  s;

    s.data = unit_copy(&pool, literal, len);
    s.len = len;

    check_string(&s, expected);
}


#define CHECK_STRING(literal, expected)                                       \
    check_literal(literal, sizeof(literal) - 1, expected)


static void
test_strings(void)
{
    static ngx_str_t  empty = ngx_null_string;

    check_string(&empty, "\"\"");

    CHECK_STRING("plain /path", "\"plain /path\"");
    CHECK_STRING("\"\\", "\"\\\"\\\\\"");
    CHECK_STRING("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"");
    CHECK_STRING("\x01\x1f\x7f", "\"\\u0001\\u001F\x7f\"");
    CHECK_STRING("\0", "\"\\u0000\"");
    CHECK_STRING("\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80",
                 "\"\xc3\xa9\xe2\x80\xa8\xf0\x9f\x98\x80\"");

    unit_pool_free(&pool);
}


/* What is not UTF-8 becomes U+FFFD, the rest stays as it is. */

static void
test_repair(void)
{
    CHECK_STRING("\xff", "\"\xef\xbf\xbd\"");
    CHECK_STRING("a\xff" "b", "\"a\xef\xbf\xbd" "b\"");
    CHECK_STRING("\xff\xfe", "\"\xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK_STRING("\xc3\"\xa9", "\"\xef\xbf\xbd\\\"\xef\xbf\xbd\"");
    CHECK_STRING("\xc3\xa9\xe2\x82", "\"\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK_STRING("\xed\xa0\x80",
                 "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK_STRING("\n\x80\n\xc3\xa9", "\"\\n\xef\xbf\xbd\\n\xc3\xa9\"");

    unit_pool_free(&pool);
}


static void
test_value(void)
{
    ngx_uint_t              i;
    ngx_str_t               got;
    ngx_chat_json_t         j;
    ngx_chat_json_value_t  *v;

    static ngx_str_t  texts[] = {
        ngx_string("{\"z\":1,\"a\":[true,false,null,-1.50e+3,{}],\"a\":\"\"}"),
        ngx_string("[[],[[]],\"\\u0000\\\"\xc3\xa9\"]"),
        ngx_string("\"\xf0\x9f\x98\x80\""),
        ngx_string("12345678901234567890123"),
        ngx_string("null"),
        ngx_null_string
    };

    j.alloc = unit_alloc;
    j.ctx = &pool;

    for (i = 0; texts[i].len; i++) {
        CHECK_INT(ngx_chat_json_parse(&j, texts[i].data, texts[i].len, &v),
                  NGX_OK);
        got = render(write_value, v);
        CHECK_INT(got.len, texts[i].len);
        CHECK(got.len == texts[i].len
              && memcmp(got.data, texts[i].data, got.len) == 0);
    }

    unit_pool_free(&pool);
}


/* The deepest value that is read can be written inside something. */

static void
test_deep_value(void)
{
    u_char                  text[2 * NGX_CHAT_JSON_DEPTH];
    ngx_str_t               got;
    ngx_chat_json_t         j;
    ngx_chat_json_value_t  *v;

    memset(text, '[', NGX_CHAT_JSON_DEPTH);
    memset(text + NGX_CHAT_JSON_DEPTH, ']', NGX_CHAT_JSON_DEPTH);

    j.alloc = unit_alloc;
    j.ctx = &pool;

    CHECK_INT(ngx_chat_json_parse(&j, text, sizeof(text), &v), NGX_OK);
    got = render(write_value, v);
    CHECK_INT(got.len, sizeof(text));

    unit_pool_free(&pool);
}


static void
misuse(ngx_chat_json_write_t *w, void *data)
{
    switch (*(int *) data) {

    case 0: /* nothing written */
        return;

    case 1: /* not closed */
        ngx_chat_json_write_object(w);
        return;

    case 2: /* closed twice */
        ngx_chat_json_write_array(w);
        ngx_chat_json_write_array_end(w);
        ngx_chat_json_write_array_end(w);
        return;
    }
}


static void
test_misuse(void)
{
    int        i;
    ngx_str_t  got;

    for (i = 0; i < 3; i++) {
        got = render(misuse, &i);

        if (!CHECK(got.data == NULL)) {
            printf("# misuse %d\n", i);
        }
    }

    unit_pool_free(&pool);
}


static void
write_text(ngx_chat_json_write_t *w, void *data)
{
    ngx_str_t  json;

    ngx_str_set(&json, "{\"a\":\"\\n\"}");

    ngx_chat_json_write_array(w);
    ngx_chat_json_write_text(w);
    ngx_chat_json_write_object(w);
    ngx_chat_json_write_name(w, data);
    ngx_chat_json_write_array(w);
    ngx_chat_json_write_string(w, data);
    ngx_chat_json_write_json(w, &json);
    ngx_chat_json_write_array_end(w);
    ngx_chat_json_write_key(w, "b");
    ngx_chat_json_write_bool(w, 1);
    ngx_chat_json_write_object_end(w);
    ngx_chat_json_write_text_end(w);
    ngx_chat_json_write_bool(w, 0);
    ngx_chat_json_write_array_end(w);
}


/* JSON in a string is escaped once, a string in it twice. */

static void
test_text(void)
{
    ngx_str_t  s;

    ngx_str_set(&s, "\"\x01\xff");

    CHECK_STR(render(write_text, &s),
              "[\"{\\\"\\\\\\\"\\\\u0001\xef\xbf\xbd\\\":"
              "[\\\"\\\\\\\"\\\\u0001\xef\xbf\xbd\\\","
              "{\\\"a\\\":\\\"\\\\n\\\"}],"
              "\\\"b\\\":true}\",false]");

    unit_pool_free(&pool);
}


/* A full buffer is not written beyond, whatever its size. */

static void
test_small_buffers(void)
{
    u_char                 *buf;
    size_t                  size;
    ngx_str_t               text;
    ngx_chat_json_write_t   w;

    text = render(write_all, NULL);

    for (size = 0; size < text.len + 3; size++) {
        buf = unit_alloc(&pool, size);
        ngx_chat_json_write_init(&w, buf, size);
        write_all(&w, NULL);
        CHECK_INT(ngx_chat_json_write_done(&w),
                  (size < text.len) ? NGX_ERROR : (ssize_t) text.len);
    }

    unit_pool_free(&pool);
}


int
main(void)
{
    RUN(test_all);
    RUN(test_strings);
    RUN(test_repair);
    RUN(test_value);
    RUN(test_deep_value);
    RUN(test_misuse);
    RUN(test_text);
    RUN(test_small_buffers);

    return unit_done();
}
