
/* sources: pusher/ngx_chat_command.c wire/ngx_chat_json.c */
/* sources: wire/ngx_chat_utf8.c libs: -lyajl */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <pusher/ngx_chat_command.h>


static unit_pool_t         pool;
static ngx_chat_json_t     json;
static ngx_chat_command_t  cmd;


static ngx_int_t
command(const char *text, size_t len)
{
    u_char     *copy;
    ngx_int_t   rc;

    json.alloc = unit_alloc;
    json.ctx = &pool;
    json.error = NULL;

    memset(&cmd, 0xff, sizeof(cmd));

    copy = unit_copy(&pool, text, len);
    rc = ngx_chat_command_read(&cmd, &json, copy, len);

    if (rc == NGX_DECLINED) {
        CHECK(json.error != NULL);
    }

    if (len) {
        memset(copy, 'x', len);
    }

    return rc;
}


#define COMMAND(literal)  command(literal, sizeof(literal) - 1)


/* The frames of pusher-js, as recorded. */

static void
test_pusher_js(void)
{
    CHECK_INT(COMMAND("{\"event\":\"pusher:subscribe\","
                      "\"data\":{\"auth\":\"\",\"channel\":\"news\"}}"),
              NGX_OK);
    CHECK_INT(cmd.type, NGX_CHAT_COMMAND_SUBSCRIBE_e);
    CHECK_STR(cmd.event, "pusher:subscribe");
    CHECK_STR(cmd.channel, "news");
    CHECK(cmd.auth.data != NULL && cmd.auth.len == 0);
    CHECK(cmd.channel_data.data == NULL);
    CHECK(cmd.user_data.data == NULL);
    CHECK(cmd.data == NULL);

    CHECK_INT(COMMAND("{\"event\":\"pusher:subscribe\",\"data\":{"
                      "\"auth\":\"KEY:sig\",\"channel_data\":"
                      "\"{\\\"user_id\\\":\\\"1\\\"}\","
                      "\"channel\":\"presence-x\"}}"), NGX_OK);
    CHECK_STR(cmd.channel, "presence-x");
    CHECK_STR(cmd.auth, "KEY:sig");
    CHECK_STR(cmd.channel_data, "{\"user_id\":\"1\"}");

    CHECK_INT(COMMAND("{\"event\":\"pusher:unsubscribe\","
                      "\"data\":{\"channel\":\"news\"}}"), NGX_OK);
    CHECK_INT(cmd.type, NGX_CHAT_COMMAND_UNSUBSCRIBE_e);
    CHECK_STR(cmd.channel, "news");
    CHECK(cmd.auth.data == NULL);

    CHECK_INT(COMMAND("{\"event\":\"pusher:signin\",\"data\":{"
                      "\"auth\":\"KEY:sig\",\"user_data\":"
                      "\"{\\\"id\\\":\\\"u1\\\"}\"}}"), NGX_OK);
    CHECK_INT(cmd.type, NGX_CHAT_COMMAND_SIGNIN_e);
    CHECK_STR(cmd.auth, "KEY:sig");
    CHECK_STR(cmd.user_data, "{\"id\":\"u1\"}");
    CHECK(cmd.channel.data == NULL);

    unit_pool_free(&pool);
}


static void
test_ping(void)
{
    ngx_uint_t  i;

    static ngx_str_t  pings[] = {
        ngx_string("{\"event\":\"pusher:ping\"}"),
        ngx_string("{\"event\":\"pusher:ping\",\"data\":{}}"),
        ngx_string("{\"event\":\"pusher:ping\",\"data\":\"{}\"}"),
        ngx_string("{\"event\":\"pusher:ping\",\"data\":\"\"}"),
        ngx_string("{\"event\":\"pusher:ping\",\"data\":\"x\"}"),
        ngx_string("{\"event\":\"pusher:ping\",\"data\":null}"),
        ngx_string("{\"event\":\"pusher:ping\",\"data\":[1]}"),
        ngx_string("{\"data\":{},\"event\":\"pusher:ping\",\"id\":1}"),
        ngx_null_string
    };

    for (i = 0; pings[i].len; i++) {
        CHECK_INT(command((char *) pings[i].data, pings[i].len), NGX_OK);
        CHECK_INT(cmd.type, NGX_CHAT_COMMAND_PING_e);
    }

    CHECK_INT(COMMAND("{\"event\":\"pusher:pong\",\"data\":{}}"), NGX_OK);
    CHECK_INT(cmd.type, NGX_CHAT_COMMAND_PONG_e);

    unit_pool_free(&pool);
}


static void
test_string_data(void)
{
    CHECK_INT(COMMAND("{\"event\":\"pusher:subscribe\","
                      "\"data\":\"{\\\"channel\\\":\\\"a\\\","
                      "\\\"auth\\\":\\\"k:s\\\"}\"}"), NGX_OK);
    CHECK_STR(cmd.channel, "a");
    CHECK_STR(cmd.auth, "k:s");

    CHECK_INT(COMMAND("{\"event\":\"pusher:subscribe\",\"data\":\"\"}"),
              NGX_DECLINED);
    CHECK_INT(COMMAND("{\"event\":\"pusher:subscribe\",\"data\":\"a\"}"),
              NGX_DECLINED);
    CHECK_INT(COMMAND("{\"event\":\"pusher:subscribe\",\"data\":\"[]\"}"),
              NGX_DECLINED);
    CHECK_INT(COMMAND("{\"event\":\"pusher:subscribe\","
                      "\"data\":\"{\\\"channel\\\":\"}"), NGX_DECLINED);

    /* a string in a string is one too many */

    CHECK_INT(COMMAND("{\"event\":\"pusher:subscribe\",\"data\":"
                      "\"\\\"{}\\\"\"}"), NGX_DECLINED);

    unit_pool_free(&pool);
}


static void
test_client_event(void)
{
    CHECK_INT(COMMAND("{\"event\":\"client-a\",\"data\":{\"x\":1},"
                      "\"channel\":\"private-x\"}"), NGX_OK);
    CHECK_INT(cmd.type, NGX_CHAT_COMMAND_CLIENT_EVENT_e);
    CHECK_STR(cmd.event, "client-a");
    CHECK_STR(cmd.channel, "private-x");
    CHECK_INT(cmd.data->type, NGX_CHAT_JSON_OBJECT_e);
    CHECK_STR(cmd.data->first->text, "1");

    CHECK_INT(COMMAND("{\"event\":\"client-b\",\"data\":\"str\","
                      "\"channel\":\"private-x\",\"user_id\":7}"), NGX_OK);
    CHECK_INT(cmd.data->type, NGX_CHAT_JSON_STRING_e);
    CHECK_STR(cmd.data->text, "str");

    CHECK_INT(COMMAND("{\"event\":\"client-c\",\"channel\":\"private-x\"}"),
              NGX_OK);
    CHECK(cmd.data == NULL);

    CHECK_INT(COMMAND("{\"event\":\"client-d\",\"data\":null}"), NGX_OK);
    CHECK(cmd.channel.data == NULL);
    CHECK_INT(cmd.data->type, NGX_CHAT_JSON_NULL_e);

    CHECK_INT(COMMAND("{\"event\":\"client-\",\"channel\":null}"), NGX_OK);
    CHECK_INT(cmd.type, NGX_CHAT_COMMAND_CLIENT_EVENT_e);
    CHECK(cmd.channel.data == NULL);

    CHECK_INT(COMMAND("{\"event\":\"client-e\",\"channel\":1}"),
              NGX_DECLINED);
    CHECK_INT(COMMAND("{\"event\":\"client-e\",\"channel\":{}}"),
              NGX_DECLINED);

    unit_pool_free(&pool);
}


static void
test_unknown(void)
{
    CHECK_INT(COMMAND("{\"event\":\"x\"}"), NGX_OK);
    CHECK_INT(cmd.type, NGX_CHAT_COMMAND_UNKNOWN_e);
    CHECK_STR(cmd.event, "x");

    CHECK_INT(COMMAND("{\"event\":\"\"}"), NGX_OK);
    CHECK_INT(cmd.type, NGX_CHAT_COMMAND_UNKNOWN_e);

    CHECK_INT(COMMAND("{\"event\":\"pusher:subscribes\",\"data\":[]}"),
              NGX_OK);
    CHECK_INT(cmd.type, NGX_CHAT_COMMAND_UNKNOWN_e);

    CHECK_INT(COMMAND("{\"event\":\"pusher:ping\\u0000\"}"), NGX_OK);
    CHECK_INT(cmd.type, NGX_CHAT_COMMAND_UNKNOWN_e);
    CHECK_STR(cmd.event, "pusher:ping\0");

    CHECK_INT(COMMAND("{\"event\":\"client\",\"channel\":1}"), NGX_OK);
    CHECK_INT(cmd.type, NGX_CHAT_COMMAND_UNKNOWN_e);

    CHECK_INT(COMMAND("{\"event\":\"pusher_internal:subscribe\"}"), NGX_OK);
    CHECK_INT(cmd.type, NGX_CHAT_COMMAND_UNKNOWN_e);

    unit_pool_free(&pool);
}


static void
test_declined(void)
{
    ngx_uint_t  i;

    static ngx_str_t  messages[] = {
        ngx_string("x"),
        ngx_string("[]"),
        ngx_string("null"),
        ngx_string("\"pusher:ping\""),
        ngx_string("{}"),
        ngx_string("{\"data\":{}}"),
        ngx_string("{\"event\":null}"),
        ngx_string("{\"event\":1}"),
        ngx_string("{\"event\":{}}"),
        ngx_string("{\"event\":\"pusher:ping\""),
        ngx_string("{\"event\":\"pusher:ping\"}{}"),
        ngx_string("[{\"event\":\"pusher:ping\"}]"),
        ngx_string("{\"event\":\"\xff\"}"),
        ngx_string("{\"event\":\"pusher:subscribe\"}"),
        ngx_string("{\"event\":\"pusher:subscribe\",\"data\":null}"),
        ngx_string("{\"event\":\"pusher:subscribe\",\"data\":{}}"),
        ngx_string("{\"event\":\"pusher:subscribe\",\"data\":[]}"),
        ngx_string("{\"event\":\"pusher:subscribe\",\"data\":1}"),
        ngx_string("{\"event\":\"pusher:subscribe\",\"data\":true}"),
        ngx_string("{\"event\":\"pusher:subscribe\",\"channel\":\"a\"}"),
        ngx_string("{\"event\":\"pusher:subscribe\","
                   "\"data\":{\"channel\":null}}"),
        ngx_string("{\"event\":\"pusher:subscribe\","
                   "\"data\":{\"channel\":1}}"),
        ngx_string("{\"event\":\"pusher:subscribe\","
                   "\"data\":{\"channel\":\"a\",\"auth\":1}}"),
        ngx_string("{\"event\":\"pusher:subscribe\","
                   "\"data\":{\"channel\":\"a\",\"channel_data\":{}}}"),
        ngx_string("{\"event\":\"pusher:unsubscribe\"}"),
        ngx_string("{\"event\":\"pusher:unsubscribe\",\"data\":{}}"),
        ngx_string("{\"event\":\"pusher:signin\",\"data\":[]}"),
        ngx_string("{\"event\":\"pusher:signin\","
                   "\"data\":{\"user_data\":{}}}"),
        ngx_null_string
    };

    CHECK_INT(COMMAND(""), NGX_DECLINED);

    for (i = 0; messages[i].len; i++) {

        if (!CHECK_INT(command((char *) messages[i].data, messages[i].len),
                       NGX_DECLINED))
        {
            unit_dump("case", messages[i].data, messages[i].len);
        }
    }

    unit_pool_free(&pool);
}


static void
test_null_members(void)
{
    CHECK_INT(COMMAND("{\"event\":\"pusher:subscribe\",\"data\":{"
                      "\"channel\":\"a\",\"auth\":null,"
                      "\"channel_data\":null,\"more\":[1]}}"), NGX_OK);
    CHECK(cmd.auth.data == NULL);
    CHECK(cmd.channel_data.data == NULL);

    CHECK_INT(COMMAND("{\"event\":\"pusher:signin\"}"), NGX_OK);
    CHECK(cmd.auth.data == NULL && cmd.user_data.data == NULL);

    CHECK_INT(COMMAND("{\"event\":\"pusher:signin\",\"data\":null}"), NGX_OK);
    CHECK(cmd.auth.data == NULL && cmd.user_data.data == NULL);

    unit_pool_free(&pool);
}


static void
test_no_memory(void)
{
    ngx_int_t   rc;
    ngx_uint_t  n;

    rc = NGX_ERROR;

    for (n = 2; n < 1000 && rc != NGX_OK; n++) {
        pool.fail_at = n;
        rc = COMMAND("{\"event\":\"pusher:subscribe\","
                     "\"data\":\"{\\\"channel\\\":\\\"a\\\"}\"}");
        CHECK(rc == NGX_OK || rc == NGX_ERROR);
        unit_pool_free(&pool);
    }

    CHECK_INT(rc, NGX_OK);
    CHECK(n > 10);
}


/* What was not given stays so, and what is empty is there. */

static void
test_copy(void)
{
    u_char              bytes[64];
    u_char             *last;
    ngx_chat_command_t  copy;

    CHECK_INT(COMMAND("{\"event\":\"pusher:subscribe\",\"data\":{"
                      "\"channel\":\"presence-a\",\"auth\":\"\","
                      "\"user_data\":\"no\"}}"),
              NGX_OK);

    ngx_memset(&copy, 0x5a, sizeof(copy));
    last = ngx_chat_command_copy(bytes, &copy, &cmd);

    CHECK_INT(last - bytes, ngx_chat_command_size(&cmd));
    CHECK_INT(copy.type, NGX_CHAT_COMMAND_SUBSCRIBE_e);
    CHECK_STR(copy.channel, "presence-a");
    CHECK(copy.channel.data == bytes);
    CHECK(copy.auth.data != NULL && copy.auth.len == 0);
    CHECK(copy.channel_data.data == NULL && copy.channel_data.len == 0);
    CHECK(copy.user_data.data == NULL && copy.data == NULL);

    CHECK_INT(COMMAND("{\"event\":\"pusher:subscribe\",\"data\":{"
                      "\"channel\":\"a\",\"auth\":\"k:s\","
                      "\"channel_data\":\"{}\"}}"),
              NGX_OK);

    last = ngx_chat_command_copy(bytes, &copy, &cmd);

    CHECK_INT(last - bytes, 6);
    CHECK_STR(copy.auth, "k:s");
    CHECK_STR(copy.channel_data, "{}");

    unit_pool_free(&pool);
}


int
main(void)
{
    RUN(test_pusher_js);
    RUN(test_ping);
    RUN(test_string_data);
    RUN(test_client_event);
    RUN(test_unknown);
    RUN(test_declined);
    RUN(test_null_members);
    RUN(test_no_memory);
    RUN(test_copy);

    return unit_done();
}
