
/* sources: wire/ngx_chat_history_query.c wire/ngx_chat_urlencoded.c */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Arguments of history: a second reader agrees on what they say, and the
 * rest, with a place put behind it, is what a Link has to lead to.
 */


#include "fuzz.h"

#include <wire/ngx_chat_history_query.h>


typedef struct {
    unsigned __int128  id;
    unsigned __int128  limit;
    ngx_uint_t         places;
    ngx_uint_t         before;
    ngx_uint_t         limits;
    ngx_uint_t         bad;
} slow_t;


/* All digits: their value, or what no number may be. */

static unsigned __int128
number(const u_char *p, size_t len)
{
    size_t             i;
    unsigned __int128  n, none;

    none = ~(unsigned __int128) 0;
    n = 0;

    for (i = 0; i < len; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return none;
        }

        n = ngx_min(n * 10 + p[i] - '0', (unsigned __int128) 1 << 100);
    }

    return len ? n : none;
}


static void
read_one(slow_t *s, const u_char *p, size_t len, uint64_t max)
{
    size_t     n;
    ngx_str_t  name;

    for (n = 0; n < len && p[n] != '='; n++) { /* void */ }

    name.data = (u_char *) p;
    name.len = n;

    p += ngx_min(n + 1, len);
    len -= ngx_min(n + 1, len);

    if (fuzz_is(&name, "after") || fuzz_is(&name, "after_id")
        || fuzz_is(&name, "before") || fuzz_is(&name, "before_id"))
    {
        s->places++;
        s->before = (name.data[0] == 'b');
        s->id = number(p, len);
        s->bad |= (s->id > NGX_CHAT_HISTORY_QUERY_ID_MAX);

    } else if (fuzz_is(&name, "limit")) {
        s->limits++;
        s->limit = number(p, len);
        s->bad |= (s->limit == 0 || s->limit > max);
    }
}


static void
read_slowly(slow_t *s, ngx_str_t *args, uint64_t max)
{
    size_t  i, start;

    memset(s, 0, sizeof(slow_t));

    start = 0;

    for (i = 0; i <= args->len; i++) {
        if (i == args->len || args->data[i] == '&') {
            read_one(s, args->data + start, i - start, max);
            start = i + 1;
        }
    }

    s->bad |= (s->places > 1 || s->limits > 1);
}


static void
check_rest(unit_pool_t *pool, ngx_str_t *args, ngx_chat_history_query_t *range,
    uint64_t max)
{
    u_char                   *p;
    ngx_str_t                 rest, link;
    ngx_chat_history_query_t  again;

    rest.data = unit_alloc(pool, args->len + 1);
    rest.len = ngx_chat_history_query_write_rest(rest.data, args) - rest.data;

    EXPECT(rest.len <= args->len + 1);
    EXPECT(ngx_chat_history_query_read(&again, &rest, max) == NULL);
    EXPECT(!again.after && !again.before);
    EXPECT(again.limited == range->limited && again.limit == range->limit);

    link.data = unit_alloc(pool, rest.len + 32);
    p = ngx_cpymem(link.data, rest.data, rest.len);
    p += sprintf((char *) p, "before=%llu", (unsigned long long) max);
    link.len = p - link.data;

    EXPECT(ngx_chat_history_query_read(&again, &link, max) == NULL);
    EXPECT(again.before && again.id == max);
    EXPECT(again.limited == range->limited && again.limit == range->limit);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slow_t                    slow;
    fuzz_t                    f;
    uint64_t                  max;
    ngx_str_t                 args;
    const char               *error;
    unit_pool_t               pool;
    ngx_chat_history_query_t  range;

    memset(&pool, 0, sizeof(unit_pool_t));

    f.p = (u_char *) data;
    f.len = size;

    max = 1 + fuzz_short(&f);
    args = fuzz_take(&f, &pool, f.len);

    read_slowly(&slow, &args, max);
    error = ngx_chat_history_query_read(&range, &args, max);

    EXPECT((error == NULL) == !slow.bad);

    if (error == NULL) {
        EXPECT(range.after + range.before == (int) slow.places);
        EXPECT(range.before == slow.before && range.id == slow.id);
        EXPECT(range.limited == slow.limits && range.limit == slow.limit);

        check_rest(&pool, &args, &range, max);
    }

    unit_pool_free(&pool);

    return 0;
}
