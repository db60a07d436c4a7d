
/* sources: pusher/ngx_chat_webhook.c pusher/ngx_chat_app.c */
/* sources: wire/ngx_chat_json_write.c wire/ngx_chat_utf8.c */
/* sources: libs: -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <pusher/ngx_chat_webhook.h>


/* The vector of the protocol's section 7.1: P100. */

static void
test_signature(void)
{
    u_char     hex[NGX_CHAT_WEBHOOK_SIGNATURE_LEN], body[256], *p;
    ngx_str_t  secret;

    static const char  event[] =
        "{\"name\":\"channel_occupied\",\"channel\":\"room-1\"}";

    secret = unit_str("app-secret-1");

    p = ngx_chat_webhook_begin(body, 1700000000000);
    p = ngx_cpymem(p, event, sizeof(event) - 1);
    p = ngx_chat_webhook_end(p);

    CHECK_BYTES(body, p - body,
                "{\"time_ms\":1700000000000,\"events\":[{\"name\":"
                "\"channel_occupied\",\"channel\":\"room-1\"}]}");

    CHECK_INT(ngx_chat_webhook_sign(hex, &secret, body, p - body), NGX_OK);
    CHECK_BYTES(hex, sizeof(hex),
                "04dc1a4faa01e04bd1b9bef09987edb1"
                "49be6fc369cd7c8d94e20e9c8c35e43a");
}


static void
check_event(ngx_chat_hook_record_t *rec, const char *expected)
{
    u_char   buf[1024];
    ssize_t  len;

    len = ngx_chat_webhook_render(NULL, 0, rec);

    CHECK_INT(len, strlen(expected));
    CHECK_INT(ngx_chat_webhook_render(buf, sizeof(buf), rec), len);
    CHECK(memcmp(buf, expected, len) == 0);
}


/* The members of each event: section 7.2, and those beyond Pusher's. */

static void
test_events(void)
{
    ngx_chat_hook_record_t  rec;

    memset(&rec, 0, sizeof(ngx_chat_hook_record_t));

    rec.channel = unit_str("room");

    rec.kind = NGX_CHAT_HOOK_OCCUPIED_e;
    check_event(&rec, "{\"name\":\"channel_occupied\",\"channel\":\"room\"}");

    rec.kind = NGX_CHAT_HOOK_VACATED_e;
    check_event(&rec, "{\"name\":\"channel_vacated\",\"channel\":\"room\"}");

    rec.kind = NGX_CHAT_HOOK_CACHE_MISS_e;
    check_event(&rec, "{\"name\":\"cache_miss\",\"channel\":\"room\"}");

    rec.kind = NGX_CHAT_HOOK_COUNT_e;
    rec.number = 3;
    check_event(&rec, "{\"name\":\"subscription_count\",\"channel\":\"room\","
                      "\"subscription_count\":3}");

    rec.kind = NGX_CHAT_HOOK_ADDED_e;
    rec.user = unit_str("7");
    check_event(&rec, "{\"name\":\"member_added\",\"channel\":\"room\","
                      "\"user_id\":\"7\"}");

    rec.kind = NGX_CHAT_HOOK_REMOVED_e;
    check_event(&rec, "{\"name\":\"member_removed\",\"channel\":\"room\","
                      "\"user_id\":\"7\"}");

    rec.kind = NGX_CHAT_HOOK_CLIENT_EVENT_e;
    rec.event = unit_str("client-typing");
    rec.data = unit_str("{\"on\":true}");
    rec.socket_id = unit_str("10.20");
    check_event(&rec, "{\"name\":\"client_event\",\"channel\":\"room\","
                      "\"event\":\"client-typing\","
                      "\"data\":\"{\\\"on\\\":true}\","
                      "\"socket_id\":\"10.20\",\"user_id\":\"7\"}");

    rec.kind = NGX_CHAT_HOOK_STORED_e;
    rec.user.len = 0;
    rec.socket_id.len = 0;
    rec.number = 12;
    check_event(&rec, "{\"name\":\"message_stored\",\"channel\":\"room\","
                      "\"event\":\"client-typing\","
                      "\"data\":\"{\\\"on\\\":true}\","
                      "\"message_id\":\"12\"}");

    rec.kind = NGX_CHAT_HOOK_CLOSED_e;
    rec.channel.len = 0;
    rec.socket_id = unit_str("10.20");
    rec.number = 1006;
    check_event(&rec, "{\"name\":\"connection_closed\",\"channel\":\"\","
                      "\"socket_id\":\"10.20\",\"code\":\"1006\"}");
}


static void
test_names(void)
{
    ngx_str_t  name;

    name = unit_str("member_removed");
    CHECK_INT(ngx_chat_webhook_kind(&name), NGX_CHAT_HOOK_REMOVED_e);

    name = unit_str("connection_closed");
    CHECK_INT(ngx_chat_webhook_kind(&name), NGX_CHAT_HOOK_CLOSED_e);

    name = unit_str("member_remove");
    CHECK_INT(ngx_chat_webhook_kind(&name), NGX_ERROR);

    name = unit_str("");
    CHECK_INT(ngx_chat_webhook_kind(&name), NGX_ERROR);

    CHECK(ngx_chat_webhook_names[NGX_CHAT_HOOK_KINDS_e] == NULL);

    CHECK_INT(ngx_chat_webhook_needs(
                                 ngx_chat_hook_bit(NGX_CHAT_HOOK_REMOVED_e)),
              ngx_chat_hook_bit(NGX_CHAT_HOOK_REMOVED_e)
              |ngx_chat_hook_bit(NGX_CHAT_HOOK_ADDED_e));
    CHECK_INT(ngx_chat_webhook_needs(
                                 ngx_chat_hook_bit(NGX_CHAT_HOOK_STORED_e)),
              ngx_chat_hook_bit(NGX_CHAT_HOOK_STORED_e));
}


static void
test_urls(void)
{
    ngx_str_t    url, user;
    ngx_uint_t   i;
    const char  *error;

    static const char  *good[] = {
        "https://app.example.com/pusher", "http://localhost:8080",
        "HTTP://127.0.0.1/", "https://[::1]:8443/a?b=c", "https://a?x=@y",
        "http://user:p%40ss@host/x"
    };

    static const char  *bad[] = {
        "", "app.example.com", "ftp://host/", "http://", "https:///path",
        "https://:80/", "https://host:0/", "https://host:65536/",
        "https://host:/", "https://host:8a/", "https://ho st/",
        "https://host/#part", "https://[]/", "https://[::1/",
        "https://[::1]x/", "https://user@/", "https://ho\xc3\xa4/"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        url = unit_str(good[i]);
        error = ngx_chat_webhook_url(&url, &user);

        CHECK(error == NULL);
    }

    CHECK_STR(user, "user:p%40ss@");

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        url = unit_str(bad[i]);

        CHECK(ngx_chat_webhook_url(&url, &user) != NULL);
    }
}


static void
test_keys(void)
{
    ngx_str_t  a, b, one, two;

    a = unit_str("1");
    b = unit_str("2");
    one = unit_str("https://host/1");
    two = unit_str("https://host/2");

    CHECK_INT(ngx_chat_webhook_key(&a, &one), ngx_chat_webhook_key(&a, &one));
    CHECK(ngx_chat_webhook_key(&a, &one) != ngx_chat_webhook_key(&a, &two));
    CHECK(ngx_chat_webhook_key(&a, &one) != ngx_chat_webhook_key(&b, &one));
    CHECK(ngx_chat_webhook_key(&a, &one) > 0);

    /* rows of former versions bear it */
    CHECK_INT(ngx_chat_webhook_key(&a, &one), 4805838961743219156);
}


static void
test_wants(void)
{
    ngx_str_t            patterns[2], name;
    ngx_array_t          list;
    ngx_chat_webhook_t   hook;

    memset(&hook, 0, sizeof(ngx_chat_webhook_t));
    memset(&list, 0, sizeof(ngx_array_t));

    hook.events = ngx_chat_hook_bit(NGX_CHAT_HOOK_ADDED_e);
    name = unit_str("presence-a");

    CHECK_INT(ngx_chat_webhook_wants(&hook, hook.events, &name), 1);
    CHECK_INT(ngx_chat_webhook_wants(&hook,
                                 ngx_chat_hook_bit(NGX_CHAT_HOOK_REMOVED_e),
                                 &name), 0);

    patterns[0] = unit_str("room");
    patterns[1] = unit_str("presence-*");
    list.elts = patterns;
    list.nelts = 2;
    hook.channels = &list;

    CHECK_INT(ngx_chat_webhook_wants(&hook, hook.events, &name), 1);

    name = unit_str("room-1");
    CHECK_INT(ngx_chat_webhook_wants(&hook, hook.events, &name), 0);

    name.len = 0;
    CHECK_INT(ngx_chat_webhook_wants(&hook, hook.events, &name), 1);
}


/* The oldest pair stands last. */

static void
test_credentials(void)
{
    ngx_str_t            key, secret;
    ngx_array_t          list;
    ngx_chat_app_t       app;
    ngx_chat_app_key_t   pairs[2];

    memset(&app, 0, sizeof(ngx_chat_app_t));
    memset(&list, 0, sizeof(ngx_array_t));

    app.key = unit_str("new");
    app.secret = unit_str("new-secret");

    ngx_chat_webhook_credentials(&app, &key, &secret);
    CHECK_STR(key, "new");
    CHECK_STR(secret, "new-secret");

    pairs[0].key = unit_str("middle");
    pairs[0].secret = unit_str("middle-secret");
    pairs[1].key = unit_str("old");
    pairs[1].secret = unit_str("old-secret");
    list.elts = pairs;
    list.nelts = 2;
    app.keys = &list;

    ngx_chat_webhook_credentials(&app, &key, &secret);
    CHECK_STR(key, "old");
    CHECK_STR(secret, "old-secret");
}


int
main(void)
{
    RUN(test_signature);
    RUN(test_events);
    RUN(test_names);
    RUN(test_urls);
    RUN(test_keys);
    RUN(test_wants);
    RUN(test_credentials);

    return unit_done();
}
