
/* sources: pusher/ngx_chat_event.c */
/* sources: pusher/ngx_chat_name.c wire/ngx_chat_json.c */
/* sources: wire/ngx_chat_json_write.c wire/ngx_chat_utf8.c libs: -lyajl */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <wire/ngx_chat_json_write.h>
#include <pusher/ngx_chat_event.h>


static unit_pool_t  pool;


/*
 * Counts, allocates exactly that, renders; and again one byte short.  The
 * call uses buf and size.
 */
#define RENDER(result, call)                                                  \
    buf = NULL;                                                               \
    size = 0;                                                                 \
    len = call;                                                               \
    CHECK(len > 0);                                                           \
    size = len - 1;                                                           \
    buf = unit_alloc(&pool, size);                                            \
    CHECK_INT(call, NGX_ERROR);                                               \
    size = len;                                                               \
    buf = unit_alloc(&pool, size);                                            \
    CHECK_INT(call, len);                                                     \
    result.data = buf;                                                        \
    result.len = len


static void
test_event(void)
{
    u_char     *buf;
    size_t      size;
    ssize_t     len;
    ngx_str_t   got, event, channel, data;

    ngx_str_set(&event, "new_message");
    ngx_str_set(&channel, "chat");
    ngx_str_set(&data, "{\"id\":1,\"content\":\"a\\\"b\"}");

    RENDER(got, ngx_chat_event_render(buf, size, &event, &channel, &data));
    CHECK_STR(got, "{\"event\":\"new_message\",\"channel\":\"chat\","
              "\"data\":\"{\\\"id\\\":1,\\\"content\\\":"
              "\\\"a\\\\\\\"b\\\"}\"}");

    ngx_str_set(&event, "pusher_internal:subscription_succeeded");
    ngx_str_set(&data, "{}");

    RENDER(got, ngx_chat_event_render(buf, size, &event, &channel, &data));
    CHECK_STR(got, "{\"event\":\"pusher_internal:subscription_succeeded\","
              "\"channel\":\"chat\",\"data\":\"{}\"}");

    ngx_str_set(&event, "pusher:pong");

    RENDER(got, ngx_chat_event_render(buf, size, &event, NULL, &data));
    CHECK_STR(got, "{\"event\":\"pusher:pong\",\"data\":\"{}\"}");

    ngx_str_set(&data, "plain \0 \n \xe2\x80\xa8 \xf0\x9f\x98\x80 \xff");

    RENDER(got, ngx_chat_event_render(buf, size, &event, NULL, &data));
    CHECK_STR(got, "{\"event\":\"pusher:pong\",\"data\":\"plain \\u0000 \\n "
              "\xe2\x80\xa8 \xf0\x9f\x98\x80 \xef\xbf\xbd\"}");

    unit_pool_free(&pool);
}


static void
test_succeeded(void)
{
    u_char     *buf;
    size_t      size;
    ssize_t     len;
    ngx_str_t   got, channel;

    ngx_str_set(&channel, "my-chat_1.2;a=b@c,d");

    RENDER(got, ngx_chat_event_render_succeeded(buf, size, &channel, -1));
    CHECK_STR(got, "{\"event\":\"pusher_internal:subscription_succeeded\","
              "\"channel\":\"my-chat_1.2;a=b@c,d\",\"data\":\"{}\"}");

    ngx_str_set(&channel, "a\"\\\n\xff");

    RENDER(got, ngx_chat_event_render_succeeded(buf, size, &channel, -1));
    CHECK_STR(got, "{\"event\":\"pusher_internal:subscription_succeeded\","
              "\"channel\":\"a\\\"\\\\\\n\xef\xbf\xbd\","
              "\"data\":\"{}\"}");

    ngx_str_set(&channel, "chat");

    RENDER(got, ngx_chat_event_render_succeeded(buf, size, &channel, 1));
    CHECK_STR(got, "{\"event\":\"pusher_internal:subscription_succeeded\","
              "\"channel\":\"chat\","
              "\"data\":\"{\\\"recovered\\\":true}\"}");

    RENDER(got, ngx_chat_event_render_succeeded(buf, size, &channel, 0));
    CHECK_STR(got, "{\"event\":\"pusher_internal:subscription_succeeded\","
              "\"channel\":\"chat\","
              "\"data\":\"{\\\"recovered\\\":false}\"}");

    unit_pool_free(&pool);
}


/* R5 and R9 of the recovery's rows. */

static void
test_recovery(void)
{
    u_char     *buf;
    size_t      size;
    ssize_t     len;
    ngx_str_t   got, channel, at;

    ngx_str_set(&channel, "chat");
    ngx_str_set(&at, "1f0");

    RENDER(got, ngx_chat_event_render_recovery(buf, size, &channel, &at, 3));
    CHECK_STR(got, "{\"event\":\"pusher:recovery\",\"channel\":\"chat\","
              "\"data\":\"{\\\"recovered\\\":true,\\\"missed\\\":3,"
              "\\\"from\\\":\\\"1f0\\\"}\"}");

    RENDER(got, ngx_chat_event_render_recovery(buf, size, &channel, NULL, 0));
    CHECK_STR(got, "{\"event\":\"pusher:recovery\",\"channel\":\"chat\","
              "\"data\":\"{\\\"recovered\\\":false}\"}");

    RENDER(got, ngx_chat_event_render_ping(buf, size, &at));
    CHECK_STR(got, "{\"event\":\"pusher:ping\","
              "\"data\":\"{\\\"at\\\":\\\"1f0\\\"}\"}");

    unit_pool_free(&pool);
}


static void
test_established(void)
{
    u_char                *buf;
    size_t                 size;
    ssize_t                len;
    ngx_str_t              got;
    ngx_chat_socket_id_t   id;

    id.high = 3363;
    id.low = 1846347;

    RENDER(got, ngx_chat_event_render_established(buf, size, &id, 120,
                                                  0));
    CHECK_STR(got, "{\"event\":\"pusher:connection_established\","
              "\"data\":\"{\\\"socket_id\\\":\\\"3363.1846347\\\","
              "\\\"activity_timeout\\\":120}\"}");

    id.high = 9999999999ULL;
    id.low = 9999999999ULL;

    RENDER(got, ngx_chat_event_render_established(buf, size, &id,
                                                  (ngx_uint_t) -1, 120));
    CHECK_STR(got, "{\"event\":\"pusher:connection_established\","
              "\"data\":\"{\\\"socket_id\\\":"
              "\\\"9999999999.9999999999\\\","
              "\\\"activity_timeout\\\":18446744073709551615,"
              "\\\"recovery\\\":120}\"}");

    unit_pool_free(&pool);
}


static void
test_error(void)
{
    u_char     *buf;
    size_t      size;
    ssize_t     len;
    ngx_str_t   got, message;

    ngx_str_set(&message, "Pong reply not received");

    RENDER(got, ngx_chat_event_render_error(buf, size, 4201, &message));
    CHECK_STR(got, "{\"event\":\"pusher:error\",\"data\":{\"code\":4201,"
              "\"message\":\"Pong reply not received\"}}");

    ngx_str_set(&message, "it's \"bad\"");

    RENDER(got, ngx_chat_event_render_error(buf, size, 0, &message));
    CHECK_STR(got, "{\"event\":\"pusher:error\",\"data\":{\"code\":null,"
              "\"message\":\"it's \\\"bad\\\"\"}}");

    unit_pool_free(&pool);
}


static void
test_subscription_error(void)
{
    u_char     *buf;
    size_t      size;
    ssize_t     len;
    ngx_str_t   got, channel, error;

    ngx_str_set(&channel, "private-x");
    ngx_str_set(&error, "The connection is unauthorized.");

    RENDER(got, ngx_chat_event_render_subscription_error(buf, size, &channel,
                                                   "AuthError", &error, 401));
    CHECK_STR(got, "{\"event\":\"pusher:subscription_error\","
              "\"channel\":\"private-x\",\"data\":{\"type\":\"AuthError\","
              "\"error\":\"The connection is unauthorized.\","
              "\"status\":401}}");

    unit_pool_free(&pool);
}


static void
test_members(void)
{
    u_char                   *buf;
    size_t                    size;
    ssize_t                   len;
    ngx_str_t                 got, channel, none;
    ngx_chat_event_member_t   m[3];

    ngx_str_set(&channel, "presence-room");
    ngx_str_set(&m[0].id, "7");
    ngx_str_set(&m[0].info, "{\"name\":\"Ann\"}");
    ngx_str_set(&m[1].id, "9");
    ngx_str_null(&m[1].info);
    ngx_str_set(&m[2].id, "a\"\\\n\x1f\xc3\xa9");
    ngx_str_set(&m[2].info, "{\"q\":\"\\\"\\\\\\n\"}");
    ngx_str_null(&none);

    RENDER(got, ngx_chat_event_render_presence_succeeded(buf, size, &channel,
                                                         -1, m, 2));
    CHECK_STR(got, "{\"event\":\"pusher_internal:subscription_succeeded\","
              "\"channel\":\"presence-room\",\"data\":"
              "\"{\\\"presence\\\":{\\\"count\\\":2,"
              "\\\"ids\\\":[\\\"7\\\",\\\"9\\\"],"
              "\\\"hash\\\":{\\\"7\\\":{\\\"name\\\":\\\"Ann\\\"},"
              "\\\"9\\\":{}}}}\"}");

    RENDER(got, ngx_chat_event_render_presence_succeeded(buf, size, &channel,
                                                         -1, &m[2], 1));
    CHECK_STR(got, "{\"event\":\"pusher_internal:subscription_succeeded\","
              "\"channel\":\"presence-room\",\"data\":"
              "\"{\\\"presence\\\":{\\\"count\\\":1,\\\"ids\\\":["
              "\\\"a\\\\\\\"\\\\\\\\\\\\n\\\\u001F\xc3\xa9\\\"],"
              "\\\"hash\\\":{"
              "\\\"a\\\\\\\"\\\\\\\\\\\\n\\\\u001F\xc3\xa9\\\":"
              "{\\\"q\\\":\\\"\\\\\\\"\\\\\\\\\\\\n\\\"}}}}\"}");

    RENDER(got, ngx_chat_event_render_presence_succeeded(buf, size, &channel,
                                                         -1, NULL, 0));
    CHECK_STR(got, "{\"event\":\"pusher_internal:subscription_succeeded\","
              "\"channel\":\"presence-room\",\"data\":"
              "\"{\\\"presence\\\":{\\\"count\\\":0,\\\"ids\\\":[],"
              "\\\"hash\\\":{}}}\"}");

    RENDER(got, ngx_chat_event_render_member_added(buf, size, &channel,
                                                   &m[0].id, &m[0].info));
    CHECK_STR(got, "{\"event\":\"pusher_internal:member_added\","
              "\"channel\":\"presence-room\",\"data\":"
              "\"{\\\"user_id\\\":\\\"7\\\","
              "\\\"user_info\\\":{\\\"name\\\":\\\"Ann\\\"}}\"}");

    RENDER(got, ngx_chat_event_render_member_added(buf, size, &channel,
                                                   &m[1].id, &none));
    CHECK_STR(got, "{\"event\":\"pusher_internal:member_added\","
              "\"channel\":\"presence-room\",\"data\":"
              "\"{\\\"user_id\\\":\\\"9\\\"}\"}");

    RENDER(got, ngx_chat_event_render_member_removed(buf, size, &channel,
                                                     &m[1].id));
    CHECK_STR(got, "{\"event\":\"pusher_internal:member_removed\","
              "\"channel\":\"presence-room\",\"data\":"
              "\"{\\\"user_id\\\":\\\"9\\\"}\"}");

    unit_pool_free(&pool);
}


/*
 * Every byte, and what is not UTF-8, comes out as from two runs of the
 * generator.
 */

static void
test_escapes(void)
{
    u_char                 *buf, *text;
    size_t                  size, n;
    ssize_t                 len;
    ngx_str_t               got, expected, event, channel, id, data;
    ngx_uint_t              i;
    ngx_chat_json_write_t   w;

    static ngx_str_t  ids[] = {
        ngx_null_string,               /* bytes 0 to 127 */
        ngx_string(""),
        ngx_string("\xe2\x80\xa8 \xf0\x9f\x98\x80 \x7f / '"),
        ngx_string("\xff"),
        ngx_string("\xff\"\xc3\"\n\xe2\x80"),
        ngx_string("\xed\xa0\x80")
    };

    text = unit_alloc(&pool, 128);

    for (i = 0; i < 128; i++) {
        text[i] = (u_char) i;
    }

    ids[0].data = text;
    ids[0].len = 128;

    ngx_str_set(&event, "pusher_internal:member_removed");
    ngx_str_set(&channel, "presence-room");

    for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        id = ids[i];

        data.data = unit_alloc(&pool, 2048);

        ngx_chat_json_write_init(&w, data.data, 2048);
        ngx_chat_json_write_object(&w);
        ngx_chat_json_write_key(&w, "user_id");
        ngx_chat_json_write_string(&w, &id);
        ngx_chat_json_write_object_end(&w);
        data.len = ngx_chat_json_write_done(&w);

        RENDER(expected, ngx_chat_event_render(buf, size, &event, &channel,
                                               &data));
        RENDER(got, ngx_chat_event_render_member_removed(buf, size, &channel,
                                                         &id));

        CHECK(got.len == expected.len
              && memcmp(got.data, expected.data, got.len) == 0);
    }

    /* no size that is too small is written beyond, or taken for enough */

    for (n = 0; n < got.len; n++) {
        buf = unit_alloc(&pool, n);
        CHECK_INT(ngx_chat_event_render_member_removed(buf, n, &channel, &id),
                  NGX_ERROR);
    }

    unit_pool_free(&pool);
}


/* 10,000 members: parsed again, each is there. */

#define MANY  10000

static void
test_many_members(void)
{
    u_char                   *buf;
    char                      text[64];
    size_t                    size;
    ssize_t                   len;
    ngx_str_t                 got, channel;
    ngx_uint_t                i, bad;
    ngx_chat_json_t           j;
    ngx_chat_json_value_t    *v, *data, *id, *hash;
    ngx_chat_event_member_t  *m;

    ngx_str_set(&channel, "presence-room");
    m = unit_alloc(&pool, MANY * sizeof(ngx_chat_event_member_t));

    for (i = 0; i < MANY; i++) {
        m[i].id.len = sprintf(text, "user \"%u\"", (unsigned) i);
        m[i].id.data = unit_copy(&pool, text, m[i].id.len);
        ngx_str_null(&m[i].info);

        if (i % 2) {
            m[i].info.len = sprintf(text, "{\"n\":\"\\\"%u\"}", (unsigned) i);
            m[i].info.data = unit_copy(&pool, text, m[i].info.len);
        }
    }

    RENDER(got, ngx_chat_event_render_presence_succeeded(buf, size, &channel,
                                                         -1, m, MANY));

    j.alloc = unit_alloc;
    j.ctx = &pool;

    CHECK_INT(ngx_chat_json_parse(&j, got.data, got.len, &v), NGX_OK);
    v = ngx_chat_json_member(v, "data");

    if (!CHECK(v != NULL && v->type == NGX_CHAT_JSON_STRING_e)) {
        return;
    }

    CHECK_INT(ngx_chat_json_parse(&j, v->text.data, v->text.len, &data),
              NGX_OK);
    data = ngx_chat_json_member(data, "presence");

    CHECK_STR(ngx_chat_json_member(data, "count")->text, "10000");

    id = ngx_chat_json_member(data, "ids")->first;
    hash = ngx_chat_json_member(data, "hash")->first;
    bad = 0;

    for (i = 0; i < MANY && id && hash; i++) {

        if (id->text.len != m[i].id.len
            || memcmp(id->text.data, m[i].id.data, m[i].id.len) != 0
            || hash->name.len != m[i].id.len
            || memcmp(hash->name.data, m[i].id.data, m[i].id.len) != 0
            || hash->type != NGX_CHAT_JSON_OBJECT_e)
        {
            bad++;
        }

        v = ngx_chat_json_member(hash, "n");
        sprintf(text, "\"%u", (unsigned) i);

        if (i % 2 ? v == NULL || v->text.len != strlen(text)
                    || memcmp(v->text.data, text, v->text.len) != 0
                  : hash->first != NULL)
        {
            bad++;
        }

        id = id->next;
        hash = hash->next;
    }

    CHECK_INT(i, MANY);
    CHECK_INT(bad, 0);
    CHECK(id == NULL && hash == NULL);

    unit_pool_free(&pool);
}


static void
test_channel_events(void)
{
    u_char     *buf;
    size_t      size;
    ssize_t     len;
    ngx_str_t   got, channel;

    ngx_str_set(&channel, "cache-news");

    RENDER(got, ngx_chat_event_render_cache_miss(buf, size, &channel));
    CHECK_STR(got, "{\"event\":\"pusher:cache_miss\","
              "\"channel\":\"cache-news\",\"data\":\"{}\"}");

    RENDER(got, ngx_chat_event_render_subscription_count(buf, size, &channel,
                                                         3));
    CHECK_STR(got, "{\"event\":\"pusher_internal:subscription_count\","
              "\"channel\":\"cache-news\",\"data\":"
              "\"{\\\"subscription_count\\\":3}\"}");

    RENDER(got, ngx_chat_event_render_subscription_count(buf, size, &channel,
                                                         (ngx_uint_t) -1));
    CHECK_STR(got, "{\"event\":\"pusher_internal:subscription_count\","
              "\"channel\":\"cache-news\",\"data\":"
              "\"{\\\"subscription_count\\\":18446744073709551615}\"}");

    RENDER(got, ngx_chat_event_render_subscription_count(buf, size, &channel,
                                                         0));
    CHECK_STR(got, "{\"event\":\"pusher_internal:subscription_count\","
              "\"channel\":\"cache-news\",\"data\":"
              "\"{\\\"subscription_count\\\":0}\"}");

    unit_pool_free(&pool);
}


static void
test_user_events(void)
{
    u_char     *buf;
    size_t      size;
    ssize_t     len;
    ngx_str_t   got, user_data;

    static ngx_str_t  ids[] = {
        ngx_string("8"), ngx_string("a\""), ngx_string("9")
    };

    ngx_str_set(&user_data, "{\"id\":\"7\",\"watchlist\":[\"8\",\"9\"]}");

    RENDER(got, ngx_chat_event_render_signin_success(buf, size, &user_data));
    CHECK_STR(got, "{\"event\":\"pusher:signin_success\",\"data\":{"
              "\"user_data\":\"{\\\"id\\\":\\\"7\\\","
              "\\\"watchlist\\\":[\\\"8\\\",\\\"9\\\"]}\"}}");

    RENDER(got, ngx_chat_event_render_watchlist(buf, size, ids, 2, &ids[2],
                                                1));
    CHECK_STR(got, "{\"event\":\"pusher_internal:watchlist_events\","
              "\"data\":\"{\\\"events\\\":["
              "{\\\"name\\\":\\\"online\\\","
              "\\\"user_ids\\\":[\\\"8\\\",\\\"a\\\\\\\"\\\"]},"
              "{\\\"name\\\":\\\"offline\\\","
              "\\\"user_ids\\\":[\\\"9\\\"]}]}\"}");

    RENDER(got, ngx_chat_event_render_watchlist(buf, size, ids, 1, NULL, 0));
    CHECK_STR(got, "{\"event\":\"pusher_internal:watchlist_events\","
              "\"data\":\"{\\\"events\\\":["
              "{\\\"name\\\":\\\"online\\\","
              "\\\"user_ids\\\":[\\\"8\\\"]}]}\"}");

    RENDER(got, ngx_chat_event_render_watchlist(buf, size, NULL, 0, ids, 1));
    CHECK_STR(got, "{\"event\":\"pusher_internal:watchlist_events\","
              "\"data\":\"{\\\"events\\\":["
              "{\\\"name\\\":\\\"offline\\\","
              "\\\"user_ids\\\":[\\\"8\\\"]}]}\"}");

    unit_pool_free(&pool);
}


static void
test_client_event(void)
{
    u_char     *buf;
    size_t      size;
    ssize_t     len;
    ngx_str_t   got, event, channel, data, user_id;

    ngx_str_set(&event, "client-typing");
    ngx_str_set(&channel, "presence-room");
    ngx_str_set(&data, "{\"on\":true}");
    ngx_str_set(&user_id, "7");

    RENDER(got, ngx_chat_event_render_client_event(buf, size, &event,
                                                   &channel, &data,
                                                   &user_id));
    CHECK_STR(got, "{\"event\":\"client-typing\","
              "\"channel\":\"presence-room\","
              "\"data\":\"{\\\"on\\\":true}\",\"user_id\":\"7\"}");

    ngx_str_set(&channel, "private-room");

    RENDER(got, ngx_chat_event_render_client_event(buf, size, &event,
                                                   &channel, &data, NULL));
    CHECK_STR(got, "{\"event\":\"client-typing\","
              "\"channel\":\"private-room\","
              "\"data\":\"{\\\"on\\\":true}\"}");

    unit_pool_free(&pool);
}


/* P67 */

static void
test_data_text(void)
{
    ngx_str_t               text;
    ngx_uint_t              i;
    ngx_chat_json_t         j;
    ngx_chat_json_value_t  *v;

    static ngx_str_t  values[] = {
        ngx_string(" { \"a\" : [ 1.50, true, null, \"\\u0041\\n\" ] } "),
        ngx_string("{\"a\":[1.50,true,null,\"A\\n\"]}"),
        ngx_string("\"str \\\"{}\\u0000\""), ngx_string("str \"{}\0"),
        ngx_string("\"\""), ngx_string(""),
        ngx_string("null"), ngx_string("null"),
        ngx_string("false"), ngx_string("false"),
        ngx_string("-1e5"), ngx_string("-1e5"),
        ngx_string("[ ]"), ngx_string("[]"),
        ngx_null_string
    };

    j.alloc = unit_alloc;
    j.ctx = &pool;

    for (i = 0; values[i].len; i += 2) {
        CHECK_INT(ngx_chat_json_parse(&j, values[i].data, values[i].len, &v),
                  NGX_OK);
        CHECK_INT(ngx_chat_event_data_text(&j, v, &text), NGX_OK);

        if (!CHECK(text.len == values[i + 1].len
                   && memcmp(text.data, values[i + 1].data, text.len) == 0))
        {
            unit_dump("got", text.data, text.len);
        }
    }

    CHECK_INT(ngx_chat_json_parse(&j, values[0].data, values[0].len, &v),
              NGX_OK);
    pool.fail_at = pool.count + 1;
    CHECK_INT(ngx_chat_event_data_text(&j, v, &text), NGX_ERROR);

    unit_pool_free(&pool);
}


int
main(void)
{
    RUN(test_event);
    RUN(test_succeeded);
    RUN(test_established);
    RUN(test_recovery);
    RUN(test_error);
    RUN(test_subscription_error);
    RUN(test_members);
    RUN(test_escapes);
    RUN(test_many_members);
    RUN(test_channel_events);
    RUN(test_user_events);
    RUN(test_client_event);
    RUN(test_data_text);

    return unit_done();
}
