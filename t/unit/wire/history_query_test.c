
/* sources: wire/ngx_chat_history_query.c wire/ngx_chat_urlencoded.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include "unit.h"

#include <wire/ngx_chat_history_query.h>


static ngx_chat_history_query_t  range;


static const char *
read_args(const char *text)
{
    ngx_str_t    args;
    unit_pool_t  pool;
    const char  *error;

    memset(&pool, 0, sizeof(unit_pool_t));

    args.len = strlen(text);
    args.data = unit_copy(&pool, text, args.len);

    error = ngx_chat_history_query_read(&range, &args, 1000);

    unit_pool_free(&pool);

    return error;
}


static void
check_rest(const char *text, const char *expected)
{
    u_char       *p, *end;
    ngx_str_t     args;
    unit_pool_t   pool;

    memset(&pool, 0, sizeof(unit_pool_t));

    args.len = strlen(text);
    args.data = unit_copy(&pool, text, args.len);

    p = unit_alloc(&pool, args.len + 1);
    end = ngx_chat_history_query_write_rest(p, &args);

    CHECK_INT(end - p, strlen(expected));
    CHECK(memcmp(p, expected, end - p) == 0);

    unit_pool_free(&pool);
}


static void
test_none(void)
{
    CHECK(read_args("") == NULL);
    CHECK(!range.after && !range.before && !range.limited);

    CHECK(read_args("&&a=1&afte=1&after_=1&LIMIT=0&=&&x") == NULL);
    CHECK(!range.after && !range.before && !range.limited);
}


static void
test_places(void)
{
    CHECK(read_args("after=0") == NULL);
    CHECK(range.after && !range.before && range.id == 0);

    CHECK(read_args("x=y&before_id=17&limit=1000") == NULL);
    CHECK(!range.after && range.before && range.id == 17);
    CHECK(range.limited && range.limit == 1000);

    CHECK(read_args("after_id=9223372036854775807") == NULL);
    CHECK(range.id == NGX_CHAT_HISTORY_QUERY_ID_MAX);
}


static void
test_faults(void)
{
    CHECK(read_args("after") != NULL);
    CHECK(read_args("after=") != NULL);
    CHECK(read_args("after=-1") != NULL);
    CHECK(read_args("after=1x") != NULL);
    CHECK(read_args("after=9223372036854775808") != NULL);
    CHECK(read_args("after=99999999999999999999999") != NULL);
    CHECK(read_args("after=1&before=2") != NULL);
    CHECK(read_args("after=1&after_id=1") != NULL);
    CHECK(read_args("limit=0") != NULL);
    CHECK(read_args("limit=1001") != NULL);
    CHECK(read_args("limit=1&limit=1") != NULL);
    CHECK(read_args("limit") != NULL);
}


static void
test_rest(void)
{
    check_rest("", "");
    check_rest("after=1", "");
    check_rest("a", "a&");
    check_rest("a=b&after=1&c=d&before_id&limit=3", "a=b&c=d&limit=3&");
    check_rest("&&a=&&", "a=&");
    check_rest("=x", "=x&");
}


int
main(void)
{
    RUN(test_none);
    RUN(test_places);
    RUN(test_faults);
    RUN(test_rest);

    return unit_done();
}
