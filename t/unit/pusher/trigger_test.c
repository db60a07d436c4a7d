
/* sources: pusher/ngx_chat_trigger.c pusher/ngx_chat_name.c */
/* sources: wire/ngx_chat_json.c wire/ngx_chat_utf8.c libs: -lyajl */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>

#include <unit.h>
#include <pusher/ngx_chat_trigger.h>


#define DATA_MAX  16


typedef struct {
    const char          *body;
    ngx_uint_t           status;
    const char          *error;        /* how the text begins */
} refused_case_t;


static unit_pool_t         pool;
static ngx_chat_trigger_t  trigger;


static ngx_int_t
read_body(const char *text, ngx_uint_t batch)
{
    size_t   len;
    u_char  *body;

    len = strlen(text);
    body = unit_copy(&pool, text, len);

    memset(&trigger, 0xff, sizeof(trigger));

    trigger.json.alloc = unit_alloc;
    trigger.json.ctx = &pool;
    trigger.data_max = DATA_MAX;

    return batch ? ngx_chat_trigger_read_batch(&trigger, body, len)
                 : ngx_chat_trigger_read_event(&trigger, body, len);
}


static void
check_refused(refused_case_t *c, ngx_uint_t batch)
{
    for ( /* void */ ; c->body; c++) {
        CHECK_INT(read_body(c->body, batch), NGX_DECLINED);
        CHECK_INT(trigger.status, c->status);
        CHECK(trigger.error.len >= strlen(c->error)
              && memcmp(trigger.error.data, c->error, strlen(c->error)) == 0);
        CHECK(memchr(trigger.error.data, '\n', trigger.error.len) == NULL);
    }
}


/* P85 P86: what is read of an event. */
static void
test_event(void)
{
    ngx_chat_trigger_event_t  *e;

    CHECK_INT(read_body("{\"name\":\"n\",\"data\":\"d\\u00e4\","
                        "\"channel\":\"a\",\"channels\":[\"b\",\"a\",\"c\","
                        "\"b\"],\"socket_id\":\"12.34\","
                        "\"info\":\"user_count, subscription_count,\","
                        "\"idempotency_key\":\"k\",\"more\":[{}]}", 0),
              NGX_OK);

    e = trigger.events;

    CHECK_INT(trigger.n, 1);
    CHECK_STR(e->name, "n");
    CHECK_STR(e->data, "d\xc3\xa4");
    CHECK_INT(e->nchannels, 3);
    CHECK_STR(e->channels[0], "a");
    CHECK_STR(e->channels[1], "b");
    CHECK_STR(e->channels[2], "c");
    CHECK_INT(e->except.high, 12);
    CHECK_INT(e->except.low, 34);
    CHECK_INT(e->info, NGX_CHAT_INFO_USER_COUNT
                       | NGX_CHAT_INFO_SUBSCRIPTION_COUNT);
    CHECK_STR(trigger.idempotency_key, "k");

    CHECK_INT(read_body("{\"name\":\"n\",\"data\":\"\",\"channel\":\"a\","
                        "\"channels\":null,\"socket_id\":null,\"info\":null,"
                        "\"idempotency_key\":null}", 0), NGX_OK);

    e = trigger.events;

    CHECK_INT(e->data.len, 0);
    CHECK_INT(e->nchannels, 1);
    CHECK_INT(e->except.high, 0);
    CHECK_INT(e->info, 0);
    CHECK(trigger.idempotency_key.data == NULL);

    CHECK_INT(read_body("{\"name\":\"n\",\"data\":\"0123456789abcdef\","
                        "\"channel\":\"#server-to-user-7\"}", 0), NGX_OK);

    unit_pool_free(&pool);
}


/* P89 P90: what is refused. */
static void
test_refused(void)
{
    static refused_case_t  cases[] = {
        { "", 400, "The body is not JSON" },
        { "{", 400, "The body is not JSON" },
        { "{} x", 400, "The body is not JSON" },
        { "[]", 400, "Expected the body to be an object" },
        { "null", 400, "Expected the body to be an object" },
        { "\"x\"", 400, "Expected the body to be an object" },
        { "{}", 400, "Missing parameter: name" },
        { "{\"name\":null}", 400, "Missing parameter: name" },
        { "{\"name\":1}", 400, "Expected name parameter to be a string" },
        { "{\"name\":[]}", 400, "Expected name parameter to be a string" },
        { "{\"name\":\"n\"}", 400, "Missing parameter: data" },
        { "{\"name\":\"n\",\"data\":{}}", 400,
          "Expected data parameter to be a string" },
        { "{\"name\":\"n\",\"data\":true}", 400,
          "Expected data parameter to be a string" },
        { "{\"name\":\"n\",\"data\":\"\"}", 400,
          "Missing parameter: channels" },
        { "{\"name\":\"n\",\"data\":\"\",\"channels\":[]}", 400,
          "Missing parameter: channels" },
        { "{\"name\":\"n\",\"data\":\"\",\"channels\":\"a\"}", 400,
          "Expected channels parameter to be an array of strings" },
        { "{\"name\":\"n\",\"data\":\"\",\"channels\":[\"a\",1]}", 400,
          "Expected channels parameter to be an array of strings" },
        { "{\"name\":\"n\",\"data\":\"\",\"channel\":{}}", 400,
          "Expected channel parameter to be a string" },
        { "{\"name\":\"n\",\"data\":\"\",\"channel\":\"\"}", 400,
          "Invalid channel name" },
        { "{\"name\":\"n\",\"data\":\"\",\"channel\":\"a b\"}", 400,
          "Invalid channel name" },
        { "{\"name\":\"n\",\"data\":\"\",\"channels\":[\"\",\"\"]}", 400,
          "Invalid channel name" },
        { "{\"name\":\"\",\"data\":\"\",\"channel\":\"a\"}", 400,
          "Invalid event name" },
        { "{\"name\":\"pusher:x\",\"data\":\"\",\"channel\":\"a\"}", 400,
          "Invalid event name" },
        { "{\"name\":\"n\",\"data\":\"0123456789abcdefg\",\"channel\":\"a\"}",
          413, "The data content of this event exceeds the allowed maximum "
               "(16 bytes)" },
        { "{\"name\":\"n\",\"data\":\"01234567\\u20ac\\u20ac\\u20ac\","
          "\"channel\":\"a\"}", 413, "The data content" },
        { "{\"name\":\"n\",\"data\":\"\",\"channel\":\"a\",\"info\":1}", 400,
          "Expected info parameter to be a string" },
        { "{\"name\":\"n\",\"data\":\"\",\"channel\":\"a\",\"info\":\"x\"}",
          400, "info should be a comma separated list of attributes" },
        { "{\"name\":\"n\",\"data\":\"\",\"channel\":\"a\",\"socket_id\":1.2}",
          400, "Expected socket_id parameter to be a string" },
        { "{\"name\":\"n\",\"data\":\"\",\"channel\":\"a\","
          "\"socket_id\":\"1.2:x\"}", 400, "Invalid socket_id" },
        { "{\"name\":\"n\",\"data\":\"\",\"channel\":\"a\","
          "\"idempotency_key\":\"\"}", 400, "An idempotency_key has" },
        { "{\"name\":\"n\",\"data\":\"\",\"channel\":\"a\","
          "\"idempotency_key\":7}", 400,
          "Expected idempotency_key parameter to be a string" },
        { "{\"name\":\"n\",\"data\":\"\",\"channels\":[\"a\","
          "\"private-encrypted-b\"]}", 400, "You cannot trigger to multiple" },
        { NULL, 0, NULL }
    };

    check_refused(cases, 0);
    unit_pool_free(&pool);
}


/* A body with n channels, and a name of so many characters. */
static ngx_int_t
read_sized(ngx_uint_t channels, ngx_uint_t name, const char *character)
{
    char        *p, *body;
    ngx_uint_t   i;

    body = malloc(channels * 16 + name * 4 + 100);
    p = body + sprintf(body, "{\"data\":\"\",\"name\":\"");

    for (i = 0; i < name; i++) {
        p += sprintf(p, "%s", character);
    }

    p += sprintf(p, "\",\"channels\":[");

    for (i = 0; i < channels; i++) {
        p += sprintf(p, "%s\"c%d\"", i ? "," : "", (int) i);
    }

    (void) sprintf(p, "]}");

    i = read_body(body, 0);

    free(body);

    return i;
}


/* P90: 100 channels and 200 characters are the most. */
static void
test_limits(void)
{
    CHECK_INT(read_sized(100, 200, "n"), NGX_OK);
    CHECK_INT(trigger.events->nchannels, 100);
    CHECK_INT(read_sized(101, 200, "n"), NGX_DECLINED);
    CHECK_INT(trigger.status, 400);
    CHECK_INT(read_sized(1, 201, "n"), NGX_DECLINED);
    CHECK_INT(read_sized(1, 200, "\xe2\x82\xac"), NGX_OK);
    CHECK_INT(trigger.events->name.len, 600);
    CHECK_INT(read_sized(1, 201, "\xe2\x82\xac"), NGX_DECLINED);

    unit_pool_free(&pool);
}


/* Data that did not come in JSON. */
static void
test_data(void)
{
    ngx_chat_trigger_event_t  *e;

    CHECK_INT(read_sized(1, 1, "n"), NGX_OK);

    e = trigger.events;

    ngx_str_set(&e->data, "a\0\xc3\xa9");
    CHECK_INT(ngx_chat_trigger_check(&trigger, e), NGX_OK);

    ngx_str_set(&e->data, "a\xc3");
    CHECK_INT(ngx_chat_trigger_check(&trigger, e), NGX_DECLINED);
    CHECK_INT(trigger.status, 400);
    CHECK_STR(trigger.error, "Expected data to be UTF-8");

    ngx_str_null(&e->data);
    CHECK_INT(ngx_chat_trigger_check(&trigger, e), NGX_OK);

    unit_pool_free(&pool);
}


/* P88 P90: batches. */
static void
test_batch(void)
{
    char        body[1024], *p;
    ngx_uint_t  n, i;

    static refused_case_t  cases[] = {
        { "{}", 400, "Missing parameter: batch" },
        { "{\"batch\":{}}", 400, "Expected batch parameter" },
        { "{\"batch\":[]}", 400, "A batch has 1 to 10 events" },
        { "{\"batch\":[1]}", 400, "Expected batch parameter" },
        { "{\"batch\":[{\"name\":\"n\",\"data\":\"\",\"channel\":\"a\"},{}]}",
          400, "Missing parameter: name" },
        { NULL, 0, NULL }
    };

    check_refused(cases, 1);

    for (n = 1; n <= 11; n++) {
        p = body + sprintf(body, "{\"idempotency_key\":\"k\",\"batch\":[");

        for (i = 0; i < n; i++) {
            p += sprintf(p, "%s{\"name\":\"n\",\"data\":\"%d\","
                         "\"channel\":\"c\"}", i ? "," : "", (int) i);
        }

        (void) sprintf(p, "]}");

        CHECK_INT(read_body(body, 1), (n <= 10) ? NGX_OK : NGX_DECLINED);

        if (n <= 10) {
            CHECK_INT(trigger.n, n);
            CHECK_INT(trigger.events[n - 1].data.data[0], '0' + (int) n - 1);
            CHECK_STR(trigger.idempotency_key, "k");
        }
    }

    unit_pool_free(&pool);
}


/* Each allocation that fails is told, and nothing is done with it. */
static void
test_no_memory(void)
{
    ngx_int_t   rc;
    ngx_uint_t  n;

    for (n = 2; n < 100; n++) {
        pool.fail_at = n;

        rc = read_body("{\"batch\":[{\"name\":\"n\",\"data\":\"d\","
                       "\"channels\":[\"a\",\"b\"]}]}", 1);

        unit_pool_free(&pool);

        if (rc == NGX_OK) {
            break;
        }

        CHECK_INT(rc, NGX_ERROR);
    }

    CHECK(n > 3 && n < 100);
}


static void
test_info(void)
{
    ngx_str_t   info;
    ngx_uint_t  i, bits;

    static const char  *others[] = {
        "nonsense", "user_count,nonsense", "cache user_count", "user_countx",
        "user_coun", "User_count", "user_count;cache", "user_count\t"
    };

    ngx_str_set(&info, "cache ,  occupied,,");
    CHECK(ngx_chat_trigger_read_info(&info, &bits) == NULL);
    CHECK_INT(bits, NGX_CHAT_INFO_CACHE | NGX_CHAT_INFO_OCCUPIED);

    ngx_str_set(&info, "");
    CHECK(ngx_chat_trigger_read_info(&info, &bits) == NULL);
    CHECK_INT(bits, 0);

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        info.data = (u_char *) others[i];
        info.len = strlen(others[i]);
        CHECK(ngx_chat_trigger_read_info(&info, &bits) != NULL);
    }
}


int
main(void)
{
    RUN(test_event);
    RUN(test_refused);
    RUN(test_limits);
    RUN(test_data);
    RUN(test_batch);
    RUN(test_no_memory);
    RUN(test_info);

    return unit_done();
}
