
/* sources: pusher/ngx_chat_member.c pusher/ngx_chat_event.c */
/* sources: pusher/ngx_chat_name.c */
/* sources: wire/ngx_chat_json.c wire/ngx_chat_json_write.c */
/* sources: wire/ngx_chat_utf8.c libs: -lyajl */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <pusher/ngx_chat_member.h>


typedef ngx_int_t (*read_pt)(ngx_chat_member_t *m, ngx_chat_json_t *j,
    ngx_str_t *text);


static unit_pool_t        pool;
static ngx_chat_json_t    json;
static ngx_chat_member_t  member;


static ngx_int_t
read_by(read_pt read, const char *p, size_t len)
{
    ngx_int_t  rc;
    ngx_str_t  text;

    json.alloc = unit_alloc;
    json.ctx = &pool;
    json.error = NULL;

    memset(&member, 0xff, sizeof(member));

    text.len = len;
    text.data = p ? unit_copy(&pool, p, len) : NULL;

    rc = read(&member, &json, &text);

    if (rc == NGX_DECLINED) {
        CHECK(json.error != NULL);
    }

    /* nothing may point into the text */

    if (len && text.data != NULL) {
        memset(text.data, 'x', len);
    }

    return rc;
}


#define CHANNEL_DATA(literal)                                                 \
    read_by(ngx_chat_member_read_channel_data, literal, sizeof(literal) - 1)

#define USER_DATA(literal)                                                    \
    read_by(ngx_chat_member_read_user_data, literal, sizeof(literal) - 1)

#define CHECK_DECLINED(call, text)                                            \
    CHECK_INT(call, NGX_DECLINED);                                            \
    CHECK_BYTES(json.error, json.error ? strlen(json.error) : 0, text)


#define BAD_JSON  "channel_data is not the text of a JSON object"
#define BAD_TYPE  "user_id in channel_data is neither a string nor an integer"
#define BAD_INFO  "user_info supplied to presence subscription is invalid - " \
                  "if supplied it must be a type of hash"
#define TOO_LONG  "user_id in channel_data is longer than 128 characters"
#define TOO_BIG   "user_id and user_info together are larger than 1024 bytes"

#define BAD_USER  "user_data is not the text of a JSON object"
#define NO_ID     "id in user_data is missing, empty or not a string"
#define BAD_ID    "id in user_data is longer than 128 characters, or has one" \
                  " that may not be part of a channel name"


static void
test_channel_data(void)
{
    CHECK_INT(CHANNEL_DATA("{\"user_id\":\"7\","
                           "\"user_info\":{\"name\":\"Ann\"}}"), NGX_OK);
    CHECK_STR(member.id, "7");
    CHECK_STR(member.info, "{\"name\":\"Ann\"}");
    CHECK(member.watchlist == NULL);

    CHECK_INT(CHANNEL_DATA(" { \"user_info\" : { \"a\" : [ 1 , 2.50 , null ],"
                           " \"b\" : \"\\u00e9\\\"\\n\" } ,"
                           " \"user_id\" : \"\\u00e9 x\" } "), NGX_OK);
    CHECK_STR(member.id, "\xc3\xa9 x");
    CHECK_STR(member.info,
              "{\"a\":[1,2.50,null],\"b\":\"\xc3\xa9\\\"\\n\"}");

    CHECK_INT(CHANNEL_DATA("{\"user_id\":\"7\"}"), NGX_OK);
    CHECK_INT(member.info.len, 0);

    CHECK_INT(CHANNEL_DATA("{\"user_id\":\"7\",\"user_info\":null}"), NGX_OK);
    CHECK_INT(member.info.len, 0);

    CHECK_INT(CHANNEL_DATA("{\"user_id\":\"7\",\"user_info\":{}}"), NGX_OK);
    CHECK_STR(member.info, "{}");

    CHECK_INT(CHANNEL_DATA("{\"user_id\":\"a\\u0000b\",\"watchlist\":7,"
                           "\"more\":[]}"), NGX_OK);
    CHECK_STR(member.id, "a\0b");
    CHECK(member.watchlist == NULL);

    CHECK_INT(CHANNEL_DATA("{\"user_id\":\"7\",\"user_id\":\"8\"}"), NGX_OK);
    CHECK_STR(member.id, "8");

    unit_pool_free(&pool);
}


/* P42 */

static void
test_numbers(void)
{
    CHECK_INT(CHANNEL_DATA("{\"user_id\":10,"
                           "\"user_info\":{\"name\":\"Mr. Pusher\"}}"),
              NGX_OK);
    CHECK_STR(member.id, "10");
    CHECK_STR(member.info, "{\"name\":\"Mr. Pusher\"}");

    CHECK_INT(CHANNEL_DATA("{\"user_id\":0}"), NGX_OK);
    CHECK_STR(member.id, "0");

    CHECK_INT(CHANNEL_DATA("{\"user_id\":-12}"), NGX_OK);
    CHECK_STR(member.id, "-12");

    CHECK_INT(CHANNEL_DATA("{\"user_id\":123456789012345678901234567890}"),
              NGX_OK);
    CHECK_STR(member.id, "123456789012345678901234567890");

    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":1.5}"), BAD_TYPE);
    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":1.0}"), BAD_TYPE);
    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":1e3}"), BAD_TYPE);
    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":1E+3}"), BAD_TYPE);
    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":01}"), BAD_JSON);

    unit_pool_free(&pool);
}


/* P41, P43 */

static void
test_channel_data_declined(void)
{
    CHECK_DECLINED(read_by(ngx_chat_member_read_channel_data, NULL, 0),
                   "channel_data is required on a presence channel");

    CHECK_DECLINED(CHANNEL_DATA(""), BAD_JSON);
    CHECK_DECLINED(CHANNEL_DATA("x"), BAD_JSON);
    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":\"7\""), BAD_JSON);
    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":\"7\"}}"), BAD_JSON);
    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":\"\xff\"}"), BAD_JSON);
    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":\"\\ud800\"}"),
                   "user_id in channel_data has half a surrogate pair");
    CHECK_DECLINED(CHANNEL_DATA("[]"), BAD_JSON);
    CHECK_DECLINED(CHANNEL_DATA("\"7\""), BAD_JSON);
    CHECK_DECLINED(CHANNEL_DATA("null"), BAD_JSON);

    CHECK_DECLINED(CHANNEL_DATA("{}"), "user_id is missing in channel_data");
    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":null}"),
                   "user_id is missing in channel_data");
    CHECK_DECLINED(CHANNEL_DATA("{\"id\":\"7\"}"),
                   "user_id is missing in channel_data");
    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":\"\"}"),
                   "user_id in channel_data is empty");

    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":true}"), BAD_TYPE);
    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":{}}"), BAD_TYPE);
    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":[\"7\"]}"), BAD_TYPE);

    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":\"7\",\"user_info\":\"x\"}"),
                   BAD_INFO);
    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":\"7\",\"user_info\":\"{}\"}"),
                   BAD_INFO);
    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":\"7\",\"user_info\":[]}"),
                   BAD_INFO);
    CHECK_DECLINED(CHANNEL_DATA("{\"user_id\":\"7\",\"user_info\":false}"),
                   BAD_INFO);

    unit_pool_free(&pool);
}


/* {"KEY":"unit × n"} and what follows. */

static ngx_int_t
repeated(read_pt read, const char *before, const char *one, size_t n,
    const char *after)
{
    char       *text;
    size_t      len;
    ngx_int_t   rc;

    text = malloc(strlen(before) + strlen(one) * n + strlen(after) + 1);

    len = sprintf(text, "%s", before);

    while (n--) {
        len += sprintf(text + len, "%s", one);
    }

    len += sprintf(text + len, "%s", after);

    rc = read_by(read, text, len);

    free(text);

    return rc;
}


/* P50 */

static void
test_limits(void)
{
    size_t   n;
    read_pt  read;

    read = ngx_chat_member_read_channel_data;

    CHECK_INT(repeated(read, "{\"user_id\":\"", "a", 128, "\"}"), NGX_OK);
    CHECK_INT(member.id.len, 128);
    CHECK_DECLINED(repeated(read, "{\"user_id\":\"", "a", 129, "\"}"),
                   TOO_LONG);

    CHECK_INT(repeated(read, "{\"user_id\":", "1", 128, "}"), NGX_OK);
    CHECK_DECLINED(repeated(read, "{\"user_id\":", "1", 129, "}"), TOO_LONG);

    /* characters, not bytes */

    CHECK_INT(repeated(read, "{\"user_id\":\"", "\xf0\x9f\x98\x80", 128,
                       "\"}"), NGX_OK);
    CHECK_INT(member.id.len, 512);
    CHECK_DECLINED(repeated(read, "{\"user_id\":\"", "\xc3\xa9", 129, "\"}"),
                   TOO_LONG);

    /* {"user_id":"7","user_info":{"a":"…"}} */

    n = 1024 - (sizeof("{\"user_id\":\"7\",\"user_info\":{\"a\":\"\"}}") - 1);

    CHECK_INT(repeated(read, "{\"user_id\":7,\"user_info\":{\"a\":\"", "x", n,
                       "\"}, \"more\":\"not counted\"}"), NGX_OK);
    CHECK_INT(member.info.len, n + sizeof("{\"a\":\"\"}") - 1);
    CHECK_DECLINED(repeated(read, "{\"user_id\":7,\"user_info\":{\"a\":\"",
                            "x", n + 1, "\"}}"), TOO_BIG);

    /* measured as it will be written */

    CHECK_DECLINED(repeated(read, "{\"user_id\":\"", "\\u0001", 128,
                            "\",\"user_info\":{\"a\":\"0123456789012345678901"
                            "23456789012345678901234567890123456789012345678"
                            "90123456789012345678901234567890123456789012345"
                            "67890123456789012345678901234567890123456789012"
                            "34567890123456789012345678901234567890123456789"
                            "01234567890123456789012345678901234567890\"}}"),
                   TOO_BIG);

    CHECK_DECLINED(repeated(read, "{\"user_id\":7,\"user_info\":{\"a\":[1",
                            ",1", 30000, "]}}"), TOO_BIG);

    unit_pool_free(&pool);
}


static void
test_check_size(void)
{
    size_t   n;
    read_pt  read;

    read = ngx_chat_member_read_user_data;
    n = 1024 - (sizeof("{\"user_id\":\"7\",\"user_info\":{\"a\":\"\"}}") - 1);

    CHECK_INT(repeated(read, "{\"id\":\"7\",\"user_info\":{\"a\":\"", "x", n,
                       "\"}}"), NGX_OK);
    CHECK_INT(ngx_chat_member_check_size(&member, &json), NGX_OK);

    CHECK_INT(repeated(read, "{\"id\":\"7\",\"user_info\":{\"a\":\"", "x",
                       n + 1, "\"}}"), NGX_OK);
    CHECK_DECLINED(ngx_chat_member_check_size(&member, &json), TOO_BIG);

    unit_pool_free(&pool);
}


static void
test_user_data(void)
{
    ngx_chat_json_value_t  *v;

    CHECK_INT(USER_DATA("{\"id\":\"12345\"}"), NGX_OK);
    CHECK_STR(member.id, "12345");
    CHECK_INT(member.info.len, 0);
    CHECK(member.watchlist == NULL);

    CHECK_INT(USER_DATA("{\"id\":\"a_-=@,.;Z9\",\"name\":\"x\","
                        "\"user_info\": { \"n\": 1 },"
                        "\"watchlist\":[\"8\",\"\",\"#x\"]}"), NGX_OK);
    CHECK_STR(member.id, "a_-=@,.;Z9");
    CHECK_STR(member.info, "{\"n\":1}");

    if (CHECK(member.watchlist != NULL)) {
        v = member.watchlist->first;
        CHECK_STR(v->text, "8");
        v = v->next;
        CHECK_STR(v->text, "");
        v = v->next;
        CHECK_STR(v->text, "#x");
        CHECK(v->next == NULL);
    }

    CHECK_INT(USER_DATA("{\"id\":\"7\",\"user_info\":null,"
                        "\"watchlist\":null}"), NGX_OK);
    CHECK_INT(member.info.len, 0);
    CHECK(member.watchlist == NULL);

    CHECK_INT(USER_DATA("{\"id\":\"7\",\"watchlist\":[]}"), NGX_OK);
    CHECK(member.watchlist != NULL && member.watchlist->first == NULL);

    CHECK_INT(repeated(ngx_chat_member_read_user_data,
                       "{\"id\":\"7\",\"watchlist\":[\"1\"", ",\"2\"", 100,
                       "]}"), NGX_OK);

    unit_pool_free(&pool);
}


static void
test_user_data_declined(void)
{
    read_pt  read;

    read = ngx_chat_member_read_user_data;

    CHECK_DECLINED(read_by(read, NULL, 0), "Missing parameter: data.user");

    CHECK_DECLINED(USER_DATA(""), BAD_USER);
    CHECK_DECLINED(USER_DATA("{"), BAD_USER);
    CHECK_DECLINED(USER_DATA("[]"), BAD_USER);
    CHECK_DECLINED(USER_DATA("\"7\""), BAD_USER);

    CHECK_DECLINED(USER_DATA("{}"), NO_ID);
    CHECK_DECLINED(USER_DATA("{\"user_id\":\"7\"}"), NO_ID);
    CHECK_DECLINED(USER_DATA("{\"id\":7}"), NO_ID);
    CHECK_DECLINED(USER_DATA("{\"id\":null}"), NO_ID);
    CHECK_DECLINED(USER_DATA("{\"id\":\"\"}"), NO_ID);

    CHECK_DECLINED(USER_DATA("{\"id\":\"a b\"}"), BAD_ID);
    CHECK_DECLINED(USER_DATA("{\"id\":\"a\\u0000\"}"), BAD_ID);
    CHECK_DECLINED(USER_DATA("{\"id\":\"\xc3\xa9\"}"), BAD_ID);
    CHECK_DECLINED(USER_DATA("{\"id\":\"#server-to-user-7\"}"), BAD_ID);

    CHECK_INT(repeated(read, "{\"id\":\"", "a", 128, "\"}"), NGX_OK);
    CHECK_DECLINED(repeated(read, "{\"id\":\"", "a", 129, "\"}"), BAD_ID);

    CHECK_DECLINED(USER_DATA("{\"id\":\"7\",\"user_info\":[]}"),
                   "user_info in user_data is not an object");
    CHECK_DECLINED(USER_DATA("{\"id\":\"7\",\"watchlist\":{}}"),
                   "watchlist in user_data is not an array");
    CHECK_DECLINED(USER_DATA("{\"id\":\"7\",\"watchlist\":\"8\"}"),
                   "watchlist in user_data is not an array");
    CHECK_DECLINED(USER_DATA("{\"id\":\"7\",\"watchlist\":[\"8\",9]}"),
                   "watchlist in user_data holds what is not a string");
    CHECK_DECLINED(USER_DATA("{\"id\":\"7\",\"watchlist\":[null]}"),
                   "watchlist in user_data holds what is not a string");

    unit_pool_free(&pool);
}


static void
test_no_memory(void)
{
    ngx_int_t   rc;
    ngx_uint_t  n, user;

    for (user = 0; user < 2; user++) {
        rc = NGX_ERROR;

        for (n = 2; n < 1000 && rc != NGX_OK; n++) {
            pool.fail_at = n;

            rc = user ? USER_DATA("{\"id\":\"7\",\"user_info\":{\"a\":1},"
                                  "\"watchlist\":[\"8\"]}")
                      : CHANNEL_DATA("{\"user_id\":\"7\","
                                     "\"user_info\":{\"a\":1}}");

            CHECK(rc == NGX_OK || rc == NGX_ERROR);
            unit_pool_free(&pool);
        }

        CHECK_INT(rc, NGX_OK);
        CHECK(n > 10);
    }
}


int
main(void)
{
    RUN(test_channel_data);
    RUN(test_numbers);
    RUN(test_channel_data_declined);
    RUN(test_limits);
    RUN(test_check_size);
    RUN(test_user_data);
    RUN(test_user_data_declined);
    RUN(test_no_memory);

    return unit_done();
}
