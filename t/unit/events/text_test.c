
/* sources: events/ngx_chat_events_text.c */
/* sources: wire/ngx_chat_json.c wire/ngx_chat_json_write.c */
/* sources: wire/ngx_chat_utf8.c */
/* sources: libs: -lyajl */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Events as texts of chat_events.
 */


#include "unit.h"

#include <events/ngx_chat_events_text.h>


static ngx_chat_events_text_t  text;
static ngx_pool_t              pool;
static unit_pool_t             memory;
static ngx_log_t               unit_log;
static ngx_uint_t              alerts;


/* What the file calls of nginx. */

void *
ngx_palloc(ngx_pool_t *p, size_t size)
{
    return unit_alloc(&memory, size);
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    alerts += (level == NGX_LOG_ALERT);
}


static void
add(ngx_chat_events_form_e form, const char *event, const char *data)
{
    ngx_str_t                id;
    ngx_chat_events_event_t  e;

    id = unit_str("7-8");
    e.channel = unit_str("chat");
    e.event = unit_str(event);
    e.data = unit_str(data);

    CHECK_INT(ngx_chat_events_text_add(&text, form, &id, &e), NGX_OK);
}


#define IS(literal)                                                           \
    CHECK_BYTES(text.data, text.len, literal);                                \
    ngx_chat_events_text_reset(&text)


static void
test_lines(void)
{
    add(NGX_CHAT_EVENTS_DATA_e, "news", "one");
    IS("id: 7-8\nevent: news\ndata: one\n\n");

    add(NGX_CHAT_EVENTS_DATA_e, "news", "");
    IS("id: 7-8\nevent: news\ndata: \n\n");

    /* each of the three ends is one end */

    add(NGX_CHAT_EVENTS_DATA_e, "n", "a\nb\rc\r\nd\n\re");
    IS("id: 7-8\nevent: n\ndata: a\ndata: b\ndata: c\ndata: d\n"
       "data: \ndata: e\n\n");

    add(NGX_CHAT_EVENTS_DATA_e, "n", "\r");
    IS("id: 7-8\nevent: n\ndata: \ndata: \n\n");

    add(NGX_CHAT_EVENTS_DATA_e, "a\r\nid: 9\n\ndata: b", "c");
    IS("id: 7-8\nevent: a  id: 9  data: b\ndata: c\n\n");

    CHECK_INT(text.n, 0);
}


static void
test_objects(void)
{
    add(NGX_CHAT_EVENTS_OBJECT_e, "a\nb", "{\"c\":\n1}");
    IS("id: 7-8\nevent: a b\ndata: {\"channel\":\"chat\",\"event\":"
       "\"a\\nb\",\"data\":\"{\\\"c\\\":\\n1}\"}\n\n");

    add(NGX_CHAT_EVENTS_POLL_e, "a", "b");
    add(NGX_CHAT_EVENTS_POLL_e, "c", "");
    CHECK_INT(text.n, 2);
    IS("{\"channel\":\"chat\",\"event\":\"a\",\"data\":\"b\","
       "\"id\":\"7-8\"},"
       "{\"channel\":\"chat\",\"event\":\"c\",\"data\":\"\","
       "\"id\":\"7-8\"}");
}


static void
test_payload(void)
{
    ngx_int_t  rc;
    ngx_str_t  id, channel, payload;

    id = unit_str("1");
    channel = unit_str("chat");
    payload = unit_str("{\"event\":\"a\\u000ab\",\"channel\":\"chat\","
                       "\"data\":\"{\\\"c\\\":1}\",\"user_id\":\"7\"}");

    rc = ngx_chat_events_text_add_payload(&text, NGX_CHAT_EVENTS_DATA_e, &id,
                                          &channel, &payload, &pool,
                                          &unit_log);
    CHECK_INT(rc, NGX_OK);
    IS("id: 1\nevent: a b\ndata: {\"c\":1}\n\n");

    /* what is none is an alert, and is left out */

    unit_log.log_level = NGX_LOG_ALERT;

    payload = unit_str("{\"event\":1,\"data\":\"a\"}");

    rc = ngx_chat_events_text_add_payload(&text, NGX_CHAT_EVENTS_DATA_e, &id,
                                          &channel, &payload, &pool,
                                          &unit_log);
    CHECK_INT(rc, NGX_OK);
    CHECK_INT(text.len, 0);
    CHECK_INT(alerts, 1);

    /* without memory nothing is added */

    add(NGX_CHAT_EVENTS_DATA_e, "n", "d");

    memory.count = 0;
    memory.fail_at = 1;

    rc = ngx_chat_events_text_add_payload(&text, NGX_CHAT_EVENTS_DATA_e, &id,
                                          &channel, &payload, &pool,
                                          &unit_log);
    CHECK_INT(rc, NGX_ERROR);
    IS("id: 7-8\nevent: n\ndata: d\n\n");

    memory.fail_at = 0;
    unit_pool_free(&memory);
}


/* A text takes an event, however long, and is full then. */

static void
test_full(void)
{
    char        *data;
    size_t       len;
    ngx_uint_t   i;

    len = 2 * 1024 * 1024;
    data = malloc(len + 1);
    memset(data, '\n', len);
    data[len] = '\0';

    for (i = 0; i < 3; i++) {
        add(NGX_CHAT_EVENTS_DATA_e, "n", data);
        CHECK_INT(text.len, 8 + 9 + (len + 1) * 7 + 1);
        CHECK(ngx_chat_events_text_is_full(&text));

        ngx_chat_events_text_reset(&text);
        CHECK_INT(text.size, 0);
    }

    free(data);
}


int
main(void)
{
    RUN(test_lines);
    RUN(test_objects);
    RUN(test_payload);
    RUN(test_full);

    return unit_done();
}
