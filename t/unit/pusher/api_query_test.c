
/* sources: pusher/ngx_chat_api_query.c wire/ngx_chat_urlencoded.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <pusher/ngx_chat_api_query.h>


static unit_pool_t       pool;
static ngx_chat_api_query_t  query;


static ngx_int_t
read_query(const char *text)
{
    size_t  len;

    len = strlen(text);

    return ngx_chat_api_query_read(&query, unit_copy(&pool, text, len), len,
                                   unit_alloc(&pool, ngx_chat_api_query_size(
                                              (u_char *) text, len)));
}


static void
check_signed(const char *text, const char *expected)
{
    u_char  *buf, *end;

    CHECK_INT(read_query(text), NGX_OK);

    buf = unit_alloc(&pool, strlen(text) + query.n);
    end = ngx_chat_api_query_write_signed(buf, &query);

    CHECK_INT(end - buf, (int64_t) strlen(expected));
    CHECK(memcmp(buf, expected, end - buf) == 0);
}


/* P79 P80: names in lower case, sorted, decoded; equal ones as they came. */
static void
test_signed(void)
{
    check_signed("", "");
    check_signed("&&", "");
    check_signed("b=2&a=1", "a=1&b=2");
    check_signed("B=2&A=1&c", "a=1&b=2&c=");
    check_signed("=x&a", "=x&a=");
    check_signed("info=a%2cb&auth_signature=x&AUTH_KEY=k",
                 "auth_key=k&info=a,b");
    check_signed("info[]=b&info%5B%5D=a&info[]=b",
                 "info[]=b&info[]=a&info[]=b");
    check_signed("ab=1&a=2&aB=3&a=4", "a=2&a=4&ab=1&ab=3");
    check_signed("x=a+b%2Bc%20d", "x=a b+c d");
    check_signed("x=%zz%4&y=%", "x=%zz%4&y=%");
    check_signed("a=b=c&a=", "a=b=c&a=");
}


static void
test_get(void)
{
    CHECK_INT(read_query("Name=1&x=2&name=3&empty&empt"), NGX_OK);

    CHECK_STR(*ngx_chat_api_query_get(&query, "name"), "3");
    CHECK_STR(*ngx_chat_api_query_get(&query, "x"), "2");
    CHECK_INT(ngx_chat_api_query_get(&query, "empty")->len, 0);
    CHECK(ngx_chat_api_query_get(&query, "emp") == NULL);
    CHECK(ngx_chat_api_query_get(&query, "Name") == NULL);
}


static void
test_many(void)
{
    char        text[2 * (NGX_CHAT_API_QUERY_PARAMS + 1) + 1];
    ngx_uint_t  i;

    for (i = 0; i <= NGX_CHAT_API_QUERY_PARAMS; i++) {
        text[2 * i] = 'z' - i % 26;
        text[2 * i + 1] = '&';
    }

    text[2 * i] = '\0';
    CHECK_INT(read_query(text), NGX_DECLINED);

    text[2 * (i - 1)] = '\0';
    CHECK_INT(read_query(text), NGX_OK);
    CHECK_INT(query.n, NGX_CHAT_API_QUERY_PARAMS);
}


int
main(void)
{
    RUN(test_signed);
    RUN(test_get);
    RUN(test_many);

    unit_pool_free(&pool);

    return unit_done();
}
