
/* sources: wire/ngx_chat_json.c wire/ngx_chat_utf8.c libs: -lyajl */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <wire/ngx_chat_json.h>


static unit_pool_t  pool;


static ngx_str_t  good[] = {
    ngx_string("{}"),
    ngx_string("[]"),
    ngx_string("null"),
    ngx_string("true"),
    ngx_string("false"),
    ngx_string("0"),
    ngx_string("-0"),
    ngx_string("1"),
    ngx_string("-12.5e+10"),
    ngx_string("1E400"),
    ngx_string("123456789012345678901234567890"),
    ngx_string("\"\""),
    ngx_string("\"a\""),
    ngx_string(" \t\r\n[ 1 , 2 ]\n "),
    ngx_string("[[],{},[{}],\"\",0]"),
    ngx_string("{\"a\":{\"b\":[1,2,{\"c\":null}]}}"),
    ngx_string("{\"\":1}"),
    ngx_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\""),
    ngx_string("\"\\u0000\""),
    ngx_string("\"\\ud83d\\ude00\""),
    ngx_string("\"\\uD83D\\uDE00\""),
    ngx_string("\"\\ud83d\\ude00\\ud83d\\ude00\""),
    ngx_string("\"\\ud7ff\\ue000\\uffff\""),
    ngx_string("\"\\\\ud800\""),
    ngx_string("\"\\\\\\\\udc00\""),
    ngx_string("\"/* no comment */ // none\""),
    ngx_string("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\x7f\""),
    ngx_string("\"\\ud800\""),
    ngx_string("\"\\udfff\""),
    ngx_string("\"\\uDC00\""),
    ngx_string("\"\\ud800x\""),
    ngx_string("\"\\ud800\\n\""),
    ngx_string("\"\\ud800\\u0041\""),
    ngx_string("\"\\ud800\\ud800\""),
    ngx_string("\"\\ud800\\ud800\\udc00\""),
    ngx_string("\"\\udc00\\ud800\""),
    ngx_string("\"\\udc00\\udc00\""),
    ngx_string("\"\\ud83d\\ude00\\ude00\""),
    ngx_string("\"\\\\\\ud800\""),
    ngx_string("{\"\\ud800\":1}"),
    ngx_null_string
};


static ngx_str_t  bad[] = {
    ngx_string(" "),
    ngx_string("\n"),
    ngx_string("{"),
    ngx_string("["),
    ngx_string("}"),
    ngx_string("]"),
    ngx_string("[}"),
    ngx_string("{]"),
    ngx_string("[1,2"),
    ngx_string("[1,]"),
    ngx_string("[,1]"),
    ngx_string("[1 2]"),
    ngx_string("[1,,2]"),
    ngx_string("{\"a\""),
    ngx_string("{\"a\":"),
    ngx_string("{\"a\":1"),
    ngx_string("{\"a\":1,"),
    ngx_string("{\"a\":1,}"),
    ngx_string("{\"a\" 1}"),
    ngx_string("{\"a\"}"),
    ngx_string("{a:1}"),
    ngx_string("{1:1}"),
    ngx_string("{'a':1}"),
    ngx_string("{null:1}"),
    ngx_string("{\"a\":1 \"b\":2}"),
    ngx_string("tru"),
    ngx_string("truex"),
    ngx_string("True"),
    ngx_string("nul"),
    ngx_string("NaN"),
    ngx_string("Infinity"),
    ngx_string("-"),
    ngx_string("+1"),
    ngx_string("01"),
    ngx_string("[01]"),
    ngx_string("-01"),
    ngx_string("1."),
    ngx_string("[1.]"),
    ngx_string(".5"),
    ngx_string("1e"),
    ngx_string("1e+"),
    ngx_string("0x10"),
    ngx_string("\""),
    ngx_string("\"abc"),
    ngx_string("\"abc\\"),
    ngx_string("\"abc\\\""),
    ngx_string("\"\\x41\""),
    ngx_string("\"\\'\""),
    ngx_string("\"\\u\""),
    ngx_string("\"\\u12\""),
    ngx_string("\"\\u12g4\""),
    ngx_string("\"\\U0041\""),
    ngx_string("\"a\nb\""),
    ngx_string("\"a\tb\""),
    ngx_string("\"a\0b\""),
    ngx_string("\"a\x1f\""),
    ngx_string("\0"),
    ngx_string("1\0"),
    ngx_string("{}\0"),
    ngx_string("\v1"),
    ngx_string("[\f1]"),
    ngx_string("{} {}"),
    ngx_string("{}x"),
    ngx_string("{},"),
    ngx_string("1 2"),
    ngx_string("\"a\" \"b\""),
    ngx_string("[] ]"),
    ngx_string("\"a\"\""),
    ngx_string("{}\""),
    ngx_string("{}\"abc"),
    ngx_string("1 \"\\\""),
    ngx_string("{} tru"),
    ngx_string("{} tru}"),
    ngx_string("{} 1}"),
    ngx_string("{} -]"),
    ngx_string("{}\"}"),
    ngx_string("{}/*}"),
    ngx_string("{}//}"),
    ngx_string("{}\\}"),
    ngx_string("1 ]"),
    ngx_string("12]"),
    ngx_string("tru]"),
    ngx_string("]"),
    ngx_string(" }"),
    ngx_string("[{]"),
    ngx_string("[[]"),
    ngx_string("{\"a\":]"),
    ngx_string("{\"a\":{}"),
    ngx_string("[\"a\":{}"),
    ngx_string("[] -"),
    ngx_string("[] /"),
    ngx_string("[] 1"),
    ngx_string("// c\n{}"),
    ngx_string("/* c */{}"),
    ngx_string("{}/* c */"),
    ngx_string("{}// c"),
    ngx_string("[1,/* c */2]"),
    ngx_string("# c\n1"),
    ngx_string("\xef\xbb\xbf{}"),
    ngx_string("\\"),
    ngx_string("\\u0041"),
    ngx_string("\\ud83d\\ude00"),
    ngx_string("\"\\ud800\\udc\""),
    ngx_string("\\ud83d"),
    ngx_string("[\\ud83d]"),
    ngx_string("\"\\ud800\\"),
    ngx_string("\"\\ud800\\u"),
    ngx_string("\"\\ud800"),
    ngx_string("\"\xff\""),
    ngx_string("\"\xc0\x80\""),
    ngx_string("\"\xed\xa0\x80\""),
    ngx_string("\"\xc3\""),
    ngx_string("\"\xf4\x90\x80\x80\""),
    ngx_string("{\"\x80\":1}"),
    ngx_null_string
};


static ngx_chat_json_t  json;


static ngx_int_t
parse(const void *text, size_t len, ngx_chat_json_value_t **value)
{
    u_char     *copy;
    ngx_int_t   rc;

    copy = unit_copy(&pool, text, len);

    json.alloc = unit_alloc;
    json.ctx = &pool;
    json.error = NULL;

    rc = ngx_chat_json_parse(&json, copy, len, value);

    CHECK((rc == NGX_DECLINED) == (json.error != NULL));

    /* nothing may point into the text */

    if (len) {
        memset(copy, 'x', len);
    }

    return rc;
}


#define PARSE(literal, value)  parse(literal, sizeof(literal) - 1, value)


static void
test_good(void)
{
    ngx_uint_t              i;
    ngx_chat_json_value_t  *v;

    for (i = 0; good[i].len; i++) {
        v = NULL;

        if (!CHECK_INT(parse(good[i].data, good[i].len, &v), NGX_OK)) {
            unit_dump("case", good[i].data, good[i].len);
        }

        CHECK(v != NULL && v->next == NULL && v->name.len == 0);
    }

    unit_pool_free(&pool);
}


static void
test_bad(void)
{
    ngx_uint_t              i;
    ngx_chat_json_value_t  *v;

    for (i = 0; bad[i].len; i++) {

        if (!CHECK_INT(parse(bad[i].data, bad[i].len, &v), NGX_DECLINED)) {
            unit_dump("case", bad[i].data, bad[i].len);
        }
    }

    CHECK_INT(parse(NULL, 0, &v), NGX_DECLINED);

    unit_pool_free(&pool);
}


/* Every beginning of a text is refused, save the text of a number. */

static void
test_truncated(void)
{
    size_t                  n;
    ngx_chat_json_value_t  *v;

    static u_char  text[] = "{\"a\":[1,2.5e3,\"\\ud83d\\ude00\xc3\xa9\",null],"
                            "\"b\":{\"c\":true,\"d\\u0000\":false}}";

    for (n = 0; n < sizeof(text) - 1; n++) {
        CHECK_INT(parse(text, n, &v), NGX_DECLINED);
    }

    CHECK_INT(parse(text, sizeof(text) - 1, &v), NGX_OK);

    unit_pool_free(&pool);
}


static void
test_tree(void)
{
    ngx_chat_json_value_t  *root, *v;

    CHECK_INT(PARSE("{\"n\":-1.50,\"s\":\"x\",\"t\":true,\"f\":false,"
                    "\"z\":null,\"a\":[\"p\",[],{\"q\":\"r\"}],\"o\":{}}",
                    &root), NGX_OK);

    CHECK_INT(root->type, NGX_CHAT_JSON_OBJECT_e);

    v = root->first;
    CHECK_STR(v->name, "n");
    CHECK_INT(v->type, NGX_CHAT_JSON_NUMBER_e);
    CHECK_STR(v->text, "-1.50");

    v = v->next;
    CHECK_STR(v->name, "s");
    CHECK_INT(v->type, NGX_CHAT_JSON_STRING_e);
    CHECK_STR(v->text, "x");

    v = v->next;
    CHECK_INT(v->type, NGX_CHAT_JSON_TRUE_e);
    v = v->next;
    CHECK_INT(v->type, NGX_CHAT_JSON_FALSE_e);
    v = v->next;
    CHECK_INT(v->type, NGX_CHAT_JSON_NULL_e);

    v = v->next;
    CHECK_STR(v->name, "a");
    CHECK_INT(v->type, NGX_CHAT_JSON_ARRAY_e);
    CHECK_STR(v->first->text, "p");
    CHECK_INT(v->first->name.len, 0);
    CHECK_INT(v->first->next->type, NGX_CHAT_JSON_ARRAY_e);
    CHECK(v->first->next->first == NULL);
    CHECK_INT(v->first->next->next->type, NGX_CHAT_JSON_OBJECT_e);
    CHECK_STR(v->first->next->next->first->name, "q");
    CHECK_STR(v->first->next->next->first->text, "r");
    CHECK(v->first->next->next->next == NULL);

    v = v->next;
    CHECK_STR(v->name, "o");
    CHECK(v->first == NULL);
    CHECK(v->next == NULL);

    unit_pool_free(&pool);
}


static void
test_member(void)
{
    ngx_chat_json_value_t  *root;

    CHECK_INT(PARSE("{\"a\":1,\"ab\":2,\"a\":3,\"b\\u0000\":4,\"\":5,"
                    "\"c\\u0064\":6}", &root), NGX_OK);

    CHECK_STR(ngx_chat_json_member(root, "a")->text, "3");
    CHECK_STR(ngx_chat_json_member(root, "ab")->text, "2");
    CHECK_STR(ngx_chat_json_member(root, "")->text, "5");
    CHECK_STR(ngx_chat_json_member(root, "cd")->text, "6");
    CHECK(ngx_chat_json_member(root, "b") == NULL);
    CHECK(ngx_chat_json_member(root, "x") == NULL);
    CHECK(ngx_chat_json_member(root->first, "a") == NULL);
    CHECK(ngx_chat_json_member(NULL, "a") == NULL);

    CHECK_INT(PARSE("[\"a\"]", &root), NGX_OK);
    CHECK(ngx_chat_json_member(root, "a") == NULL);

    unit_pool_free(&pool);
}


static void
test_strings(void)
{
    ngx_chat_json_value_t  *v;

    CHECK_INT(PARSE("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"", &v), NGX_OK);
    CHECK_STR(v->text, "\"\\/\b\f\n\r\tA");

    CHECK_INT(PARSE("\"a\\u0000b\\u0000\"", &v), NGX_OK);
    CHECK_STR(v->text, "a\0b\0");

    CHECK_INT(PARSE("\"\\u0000\"", &v), NGX_OK);
    CHECK_STR(v->text, "\0");

    CHECK_INT(PARSE("\"\\ud83d\\ude00\\u20ac\\u00e9\"", &v), NGX_OK);
    CHECK_STR(v->text, "\xf0\x9f\x98\x80\xe2\x82\xac\xc3\xa9");

    CHECK_INT(PARSE("\"\\ud800\\udc00\\uDBFF\\uDFFF\"", &v), NGX_OK);
    CHECK_STR(v->text, "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");

    CHECK_INT(PARSE("\"\\\\ud800\"", &v), NGX_OK);
    CHECK_STR(v->text, "\\ud800");

    /* half a character, whatever is beside it */

    CHECK_INT(PARSE("\"a\\uD83Db\\ude00\"", &v), NGX_OK);
    CHECK_STR(v->text, "a\xef\xbf\xbd" "b\xef\xbf\xbd");

    CHECK_INT(PARSE("\"\\ud83d\\u0041\\ud83d\\n\"", &v), NGX_OK);
    CHECK_STR(v->text, "\xef\xbf\xbd" "A\xef\xbf\xbd\n");

    CHECK_INT(PARSE("\"\\ud83d\\ud83d\\ude00\\ude00\"", &v), NGX_OK);
    CHECK_STR(v->text, "\xef\xbf\xbd\xf0\x9f\x98\x80\xef\xbf\xbd");

    CHECK_INT(PARSE("\"\\\\\\ud83d\\\\ud83d\"", &v), NGX_OK);
    CHECK_STR(v->text, "\\\xef\xbf\xbd\\ud83d");

    CHECK_INT(PARSE("{\"k\\ud83d\":0}", &v), NGX_OK);
    CHECK_STR(v->first->name, "k\xef\xbf\xbd");
    CHECK(!ngx_chat_json_is_exact(&json, &v->first->name));

    CHECK_INT(PARSE("[\"\\ud83d\",\"a\"]", &v), NGX_OK);
    CHECK(ngx_chat_json_is_exact(&json, &v->first->next->text));

    CHECK_INT(PARSE("\"\\ufffd\"", &v), NGX_OK);
    CHECK(ngx_chat_json_is_exact(&json, &v->text));

    CHECK_INT(PARSE("\"\"", &v), NGX_OK);
    CHECK(v->text.data != NULL && v->text.len == 0);

    CHECK_INT(PARSE("{\"k\\u0000\\n\":0}", &v), NGX_OK);
    CHECK_STR(v->first->name, "k\0\n");

    unit_pool_free(&pool);
}


/* Longer than any buffer that yajl begins with. */

static void
test_long_strings(void)
{
    u_char                 *text;
    size_t                  i, n, len;
    ngx_uint_t              wrong;
    ngx_chat_json_value_t  *v;

    for (n = 1000; n < 70000; n = n * 2 + 1) {
        len = 2 + n * 3;
        text = unit_alloc(&pool, len);
        text[0] = '"';

        for (i = 0; i < n; i++) {
            ngx_memcpy(text + 1 + i * 3, "a\\n", 3);
        }

        text[len - 1] = '"';

        CHECK_INT(parse(text, len, &v), NGX_OK);
        CHECK_INT(v->text.len, n * 2);

        wrong = 0;

        for (i = 0; i < n; i++) {
            wrong += v->text.data[i * 2] != 'a'
                     || v->text.data[i * 2 + 1] != '\n';
        }

        CHECK_INT(wrong, 0);

        /* without its end */

        text[0] = '"';
        CHECK_INT(parse(text, len - 1, &v), NGX_DECLINED);

        unit_pool_free(&pool);
    }
}


static ngx_int_t
parse_nested(size_t depth, const char *open, const char *close)
{
    u_char                 *text;
    size_t                  i, a, b;
    ngx_int_t               rc;
    ngx_chat_json_value_t  *v;

    a = strlen(open);
    b = strlen(close);

    text = malloc(depth * (a + b) + 1);

    for (i = 0; i < depth; i++) {
        memcpy(text + i * a, open, a);
    }

    text[depth * a] = '1';

    for (i = 0; i < depth; i++) {
        memcpy(text + depth * a + 1 + i * b, close, b);
    }

    rc = parse(text, depth * (a + b) + 1, &v);
    free(text);

    return rc;
}


static void
test_depth(void)
{
    CHECK_INT(parse_nested(NGX_CHAT_JSON_DEPTH, "[", "]"), NGX_OK);
    CHECK_INT(parse_nested(NGX_CHAT_JSON_DEPTH, "{\"a\":", "}"), NGX_OK);
    CHECK_INT(parse_nested(NGX_CHAT_JSON_DEPTH / 2, "[{\"a\":", "}]"),
              NGX_OK);

    CHECK_INT(parse_nested(NGX_CHAT_JSON_DEPTH + 1, "[", "]"), NGX_DECLINED);
    CHECK(json.error != NULL && strstr(json.error, "deep") != NULL);

    CHECK_INT(parse_nested(NGX_CHAT_JSON_DEPTH + 1, "{\"a\":", "}"),
              NGX_DECLINED);
    CHECK_INT(parse_nested(NGX_CHAT_JSON_DEPTH / 2 + 1, "[{\"a\":", "}]"),
              NGX_DECLINED);

    unit_pool_free(&pool);
}


/* The depth is seen before the rest costs anything. */

static void
test_very_deep(void)
{
    u_char                 *text;
    ngx_chat_json_value_t  *v;

    text = malloc(100000);
    memset(text, '[', 100000);

    json.alloc = unit_alloc;
    json.ctx = &pool;

    CHECK_INT(ngx_chat_json_parse(&json, text, 100000, &v), NGX_DECLINED);
    CHECK(pool.count < 200);
    CHECK(pool.bytes < 32 * 1024);

    free(text);
    unit_pool_free(&pool);
}


/* An array of as many values as are allowed, itself one, and of one more. */

static void
test_many_values(void)
{
    size_t                  len;
    u_char                 *text;
    ngx_uint_t              n;
    ngx_chat_json_value_t  *v;

    json.alloc = unit_alloc;
    json.ctx = &pool;

    text = malloc(2 * NGX_CHAT_JSON_VALUES + 2);

    for (n = NGX_CHAT_JSON_VALUES - 1; n <= NGX_CHAT_JSON_VALUES; n++) {

        memset(text, '0', 2 * n + 1);
        text[0] = '[';

        for (len = 2; len < 2 * n; len += 2) {
            text[len] = ',';
        }

        text[2 * n] = ']';

        if (n < NGX_CHAT_JSON_VALUES) {
            CHECK_INT(ngx_chat_json_parse(&json, text, 2 * n + 1, &v),
                      NGX_OK);

        } else {
            CHECK_INT(ngx_chat_json_parse(&json, text, 2 * n + 1, &v),
                      NGX_DECLINED);
            CHECK(strcmp(json.error, "JSON has too many values") == 0);
        }

        unit_pool_free(&pool);
    }

    free(text);
}


/* Whichever allocation fails: NGX_ERROR, no crash. */

static void
test_no_memory(void)
{
    ngx_int_t               rc;
    ngx_uint_t              n;
    ngx_chat_json_value_t  *v;

    static u_char  text[] = "{\"key\\n\":[\"a\\tb\",1,true,null,[[[[[[]]]]]],"
                            "{\"x\":\"y\"}],\"number\":1}";

    json.alloc = unit_alloc;
    json.ctx = &pool;
    rc = NGX_ERROR;

    for (n = 1; n < 1000 && rc != NGX_OK; n++) {
        pool.fail_at = n;
        rc = ngx_chat_json_parse(&json, text, sizeof(text) - 1, &v);
        CHECK(rc == NGX_OK || rc == NGX_ERROR);
        unit_pool_free(&pool);
    }

    CHECK_INT(rc, NGX_OK);
    CHECK(n > 15);
}


int
main(void)
{
    RUN(test_good);
    RUN(test_bad);
    RUN(test_truncated);
    RUN(test_tree);
    RUN(test_member);
    RUN(test_strings);
    RUN(test_long_strings);
    RUN(test_depth);
    RUN(test_very_deep);
    RUN(test_many_values);
    RUN(test_no_memory);

    return unit_done();
}
