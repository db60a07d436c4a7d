
/* sources: pusher/ngx_chat_event.c */
/* sources: pusher/ngx_chat_name.c pusher/ngx_chat_error.c */
/* sources: wire/ngx_chat_json.c wire/ngx_chat_json_write.c */
/* sources: wire/ngx_chat_utf8.c libs: -lyajl */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Events of whatever bytes: JSON comes out, counted to the byte, and where
 * the bytes were UTF-8 they come out as they were.
 */


#include "fuzz_json.h"

#include <pusher/ngx_chat_error.h>
#include <pusher/ngx_chat_event.h>


#define LISTED  8


static void
check_event(unit_pool_t *pool, ngx_str_t *s)
{
    u_char                 *p;
    ssize_t                 len;
    ngx_str_t               text;
    ngx_chat_json_value_t  *v;

    len = ngx_chat_event_render(NULL, 0, &s[0], &s[1], &s[2]);
    EXPECT(len > 0);

    p = unit_alloc(pool, len);

    EXPECT(ngx_chat_event_render(p, len, &s[0], &s[1], &s[2]) == len);

    v = fuzz_json_read(pool, p, len);

    text = fuzz_mended(pool, &s[0]);
    fuzz_json_expect(v, "event", &text);
    text = fuzz_mended(pool, &s[1]);
    fuzz_json_expect(v, "channel", &text);
    text = fuzz_mended(pool, &s[2]);
    fuzz_json_expect(v, "data", &text);

    p = unit_alloc(pool, len - 1);

    EXPECT(ngx_chat_event_render(p, len - 1, &s[0], &s[1], &s[2])
           == NGX_ERROR);
}


static void
check_list(unit_pool_t *pool, ngx_str_t *s, ngx_uint_t n)
{
    u_char                   *p;
    ssize_t                   len;
    ngx_str_t                 text;
    ngx_uint_t                i;
    ngx_chat_json_value_t    *v, *one;
    ngx_chat_event_member_t   members[LISTED];

    for (i = 0; i < n; i++) {
        members[i].id = s[i];
        ngx_str_null(&members[i].info);

        if (i & 1) {
            ngx_str_set(&members[i].info, "{\"a\":[\"\\\\\\\"\"]}");
        }
    }

    len = ngx_chat_event_render_presence_succeeded(NULL, 0, &s[0], -1, members,
                                                   n);
    EXPECT(len > 0);

    p = unit_alloc(pool, len);

    EXPECT(ngx_chat_event_render_presence_succeeded(p, len, &s[0], -1, members,
                                                    n)
           == len);

    v = fuzz_json_read(pool, p, len);

    text = fuzz_mended(pool, &s[0]);
    fuzz_json_expect(v, "channel", &text);

    v = fuzz_json_get(v, "data", NGX_CHAT_JSON_STRING_e);
    v = fuzz_json_read(pool, v->text.data, v->text.len);
    v = fuzz_json_get(v, "presence", NGX_CHAT_JSON_OBJECT_e);
    v = fuzz_json_get(v, "ids", NGX_CHAT_JSON_ARRAY_e);

    one = v->first;

    for (i = 0; i < n; i++) {
        text = fuzz_mended(pool, &s[i]);
        EXPECT(one != NULL && fuzz_same(&one->text, &text));
        one = one->next;
    }

    EXPECT(one == NULL);
}


static void
check_watchlist(unit_pool_t *pool, ngx_str_t *s, ngx_uint_t n)
{
    u_char                 *p;
    ssize_t                 len;
    ngx_chat_json_value_t  *v;

    len = ngx_chat_event_render_watchlist(NULL, 0, s, n / 2, &s[n / 2],
                                          n - n / 2);
    EXPECT(len > 0);

    p = unit_alloc(pool, len);

    EXPECT(ngx_chat_event_render_watchlist(p, len, s, n / 2, &s[n / 2],
                                           n - n / 2)
           == len);

    v = fuzz_json_read(pool, p, len);

    EXPECT(ngx_chat_json_member(v, "data") != NULL);
}


static void
check_error(unit_pool_t *pool, ngx_str_t *s, size_t size)
{
    size_t     whole;
    u_char    *buf;
    ngx_str_t  text;

    text.len = ngx_chat_error_reason_len(s->data, s->len);
    text.data = s->data;

    EXPECT(text.len <= NGX_CHAT_CLOSE_REASON_MAX && text.len <= s->len);
    EXPECT(fuzz_is_utf8(&text));

    if (s->len <= NGX_CHAT_CLOSE_REASON_MAX) {
        (void) fuzz_utf8(s->data, s->len, &whole);
        EXPECT(text.len == whole);
    }

    buf = unit_alloc(pool, size);
    text.data = buf;
    text.len = ngx_chat_error_format(buf, size,
                                     NGX_CHAT_ERROR_NOT_SUBSCRIBED, s);

    EXPECT(text.len <= size && fuzz_is_utf8(&text));
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t       f;
    ngx_str_t    s[LISTED];
    ngx_uint_t   i, n;
    unit_pool_t  pool;

    memset(&pool, 0, sizeof(unit_pool_t));

    f.p = (u_char *) data;
    f.len = size;

    n = fuzz_byte(&f);

    for (i = 0; i < LISTED; i++) {
        s[i] = fuzz_take(&f, &pool,
                         (i == LISTED - 1) ? f.len : fuzz_byte(&f));
    }

    check_event(&pool, s);
    check_list(&pool, s, n % (LISTED + 1));
    check_watchlist(&pool, s, n % (LISTED + 1));
    check_error(&pool, &s[LISTED - 1], n);

    unit_pool_free(&pool);

    return 0;
}
