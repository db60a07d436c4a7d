
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Server to client events, rendered.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_json_write.h>
#include <pusher/ngx_chat_event.h>
#include <pusher/ngx_chat_event_text.h>
#include <pusher/ngx_chat_name.h>


static ssize_t ngx_chat_event_join(u_char *buf, size_t size,
    ngx_str_t *parts, ngx_uint_t n);
static void ngx_chat_event_write_list(ngx_chat_event_text_t *t,
    const char *name, ngx_str_t *ids, ngx_uint_t n);


ssize_t
ngx_chat_event_render(u_char *buf, size_t size, ngx_str_t *event,
    ngx_str_t *channel, ngx_str_t *data)
{
    ngx_chat_event_text_t  t;

    ngx_chat_event_text_begin_event(&t, buf, size, event, channel);
    ngx_chat_event_text_json(&t, data);

    return ngx_chat_event_text_end(&t);
}


ssize_t
ngx_chat_event_render_established(u_char *buf, size_t size,
    ngx_chat_socket_id_t *id, ngx_uint_t timeout)
{
    u_char      socket[NGX_CHAT_SOCKET_ID_LEN], digits[NGX_INT64_LEN];
    ngx_str_t   parts[5];

    ngx_str_set(&parts[0], "{\"event\":\"pusher:connection_established\","
                           "\"data\":\"{\\\"socket_id\\\":\\\"");

    parts[1].data = socket;
    parts[1].len = ngx_chat_name_write_socket_id(socket, id) - socket;

    ngx_str_set(&parts[2], "\\\",\\\"activity_timeout\\\":");

    parts[3].data = digits;
    parts[3].len = ngx_chat_name_write_number(digits, timeout) - digits;

    ngx_str_set(&parts[4], "}\"}");

    return ngx_chat_event_join(buf, size, parts, 5);
}


ssize_t
ngx_chat_event_render_succeeded(u_char *buf, size_t size, ngx_str_t *channel)
{
    size_t     i;
    ngx_str_t  parts[3], event, data;

    ngx_str_set(&event, "pusher_internal:subscription_succeeded");

    for (i = 0; i < channel->len; i++) {

        if (channel->data[i] <= ' ' || channel->data[i] == '"'
            || channel->data[i] == '\\' || channel->data[i] >= 0x7f)
        {
            ngx_str_set(&data, "{}");
            return ngx_chat_event_render(buf, size, &event, channel, &data);
        }
    }

    /* the name stands in JSON as it is */

    ngx_str_set(&parts[0], "{\"event\":\"pusher_internal:"
                           "subscription_succeeded\",\"channel\":\"");
    parts[1] = *channel;
    ngx_str_set(&parts[2], "\",\"data\":\"{}\"}");

    return ngx_chat_event_join(buf, size, parts, 3);
}


ssize_t
ngx_chat_event_render_error(u_char *buf, size_t size, ngx_uint_t code,
    ngx_str_t *message)
{
    ngx_chat_json_write_t  w;

    (void) ngx_chat_json_write_init(&w, buf, size);

    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "event");
    ngx_chat_json_write_cstring(&w, "pusher:error");

    ngx_chat_json_write_key(&w, "data");
    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "code");

    if (code) {
        ngx_chat_json_write_uint(&w, code);

    } else {
        ngx_chat_json_write_null(&w);
    }

    ngx_chat_json_write_key(&w, "message");
    ngx_chat_json_write_string(&w, message);

    ngx_chat_json_write_object_end(&w);
    ngx_chat_json_write_object_end(&w);

    return ngx_chat_json_write_done(&w);
}


ssize_t
ngx_chat_event_render_subscription_error(u_char *buf, size_t size,
    ngx_str_t *channel, const char *type, ngx_str_t *error, ngx_uint_t status)
{
    ngx_chat_json_write_t  w;

    (void) ngx_chat_json_write_init(&w, buf, size);

    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "event");
    ngx_chat_json_write_cstring(&w, "pusher:subscription_error");

    ngx_chat_json_write_key(&w, "channel");
    ngx_chat_json_write_string(&w, channel);

    ngx_chat_json_write_key(&w, "data");
    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "type");
    ngx_chat_json_write_cstring(&w, type);

    ngx_chat_json_write_key(&w, "error");
    ngx_chat_json_write_string(&w, error);

    ngx_chat_json_write_key(&w, "status");
    ngx_chat_json_write_uint(&w, status);

    ngx_chat_json_write_object_end(&w);
    ngx_chat_json_write_object_end(&w);

    return ngx_chat_json_write_done(&w);
}


ssize_t
ngx_chat_event_render_presence_succeeded(u_char *buf, size_t size,
    ngx_str_t *channel, ngx_chat_event_member_t *members, ngx_uint_t n)
{
    ngx_uint_t             i;
    ngx_chat_event_text_t  t;

    ngx_chat_event_text_begin(&t, buf, size,
                              "pusher_internal:subscription_succeeded",
                              channel);

    ngx_chat_event_text_cstring(&t, "{\"presence\":{\"count\":");
    ngx_chat_event_text_uint(&t, n);
    ngx_chat_event_text_cstring(&t, ",\"ids\":[");

    for (i = 0; i < n; i++) {

        if (i) {
            ngx_chat_event_text_cstring(&t, ",");
        }

        ngx_chat_event_text_string(&t, &members[i].id);
    }

    ngx_chat_event_text_cstring(&t, "],\"hash\":{");

    for (i = 0; i < n; i++) {

        if (i) {
            ngx_chat_event_text_cstring(&t, ",");
        }

        ngx_chat_event_text_string(&t, &members[i].id);
        ngx_chat_event_text_cstring(&t, ":");

        if (members[i].info.len) {
            ngx_chat_event_text_json(&t, &members[i].info);

        } else {
            ngx_chat_event_text_cstring(&t, "{}");
        }
    }

    ngx_chat_event_text_cstring(&t, "}}}");

    return ngx_chat_event_text_end(&t);
}


ssize_t
ngx_chat_event_render_member_added(u_char *buf, size_t size,
    ngx_str_t *channel, ngx_str_t *id, ngx_str_t *info)
{
    ngx_chat_event_text_t  t;

    ngx_chat_event_text_begin(&t, buf, size, "pusher_internal:member_added",
                              channel);

    ngx_chat_event_text_cstring(&t, "{\"user_id\":");
    ngx_chat_event_text_string(&t, id);

    if (info->len) {
        ngx_chat_event_text_cstring(&t, ",\"user_info\":");
        ngx_chat_event_text_json(&t, info);
    }

    ngx_chat_event_text_cstring(&t, "}");

    return ngx_chat_event_text_end(&t);
}


ssize_t
ngx_chat_event_render_member_removed(u_char *buf, size_t size,
    ngx_str_t *channel, ngx_str_t *id)
{
    ngx_chat_event_text_t  t;

    ngx_chat_event_text_begin(&t, buf, size, "pusher_internal:member_removed",
                              channel);

    ngx_chat_event_text_cstring(&t, "{\"user_id\":");
    ngx_chat_event_text_string(&t, id);
    ngx_chat_event_text_cstring(&t, "}");

    return ngx_chat_event_text_end(&t);
}


ssize_t
ngx_chat_event_render_subscription_count(u_char *buf, size_t size,
    ngx_str_t *channel, ngx_uint_t count)
{
    ngx_chat_event_text_t  t;

    ngx_chat_event_text_begin(&t, buf, size,
                              "pusher_internal:subscription_count", channel);

    ngx_chat_event_text_cstring(&t, "{\"subscription_count\":");
    ngx_chat_event_text_uint(&t, count);
    ngx_chat_event_text_cstring(&t, "}");

    return ngx_chat_event_text_end(&t);
}


ssize_t
ngx_chat_event_render_cache_miss(u_char *buf, size_t size, ngx_str_t *channel)
{
    static ngx_str_t  event = ngx_string("pusher:cache_miss");
    static ngx_str_t  data = ngx_string("{}");

    return ngx_chat_event_render(buf, size, &event, channel, &data);
}


ssize_t
ngx_chat_event_render_signin_success(u_char *buf, size_t size,
    ngx_str_t *user_data)
{
    ngx_chat_json_write_t  w;

    (void) ngx_chat_json_write_init(&w, buf, size);

    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "event");
    ngx_chat_json_write_cstring(&w, "pusher:signin_success");

    ngx_chat_json_write_key(&w, "data");
    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "user_data");
    ngx_chat_json_write_string(&w, user_data);

    ngx_chat_json_write_object_end(&w);
    ngx_chat_json_write_object_end(&w);

    return ngx_chat_json_write_done(&w);
}


ssize_t
ngx_chat_event_render_watchlist(u_char *buf, size_t size, ngx_str_t *online,
    ngx_uint_t nonline, ngx_str_t *offline, ngx_uint_t noffline)
{
    ngx_chat_event_text_t  t;

    ngx_chat_event_text_begin(&t, buf, size,
                              "pusher_internal:watchlist_events", NULL);

    ngx_chat_event_text_cstring(&t, "{\"events\":[");

    if (nonline) {
        ngx_chat_event_write_list(&t, "online", online, nonline);
    }

    if (nonline && noffline) {
        ngx_chat_event_text_cstring(&t, ",");
    }

    if (noffline) {
        ngx_chat_event_write_list(&t, "offline", offline, noffline);
    }

    ngx_chat_event_text_cstring(&t, "]}");

    return ngx_chat_event_text_end(&t);
}


static void
ngx_chat_event_write_list(ngx_chat_event_text_t *t, const char *name,
    ngx_str_t *ids, ngx_uint_t n)
{
    ngx_uint_t  i;

    ngx_chat_event_text_cstring(t, "{\"name\":\"");
    ngx_chat_event_text_cstring(t, name);
    ngx_chat_event_text_cstring(t, "\",\"user_ids\":[");

    for (i = 0; i < n; i++) {

        if (i) {
            ngx_chat_event_text_cstring(t, ",");
        }

        ngx_chat_event_text_string(t, &ids[i]);
    }

    ngx_chat_event_text_cstring(t, "]}");
}


ssize_t
ngx_chat_event_render_client_event(u_char *buf, size_t size,
    ngx_str_t *event, ngx_str_t *channel, ngx_str_t *data, ngx_str_t *user_id)
{
    ngx_chat_json_write_t  w;

    (void) ngx_chat_json_write_init(&w, buf, size);

    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "event");
    ngx_chat_json_write_string(&w, event);

    ngx_chat_json_write_key(&w, "channel");
    ngx_chat_json_write_string(&w, channel);

    ngx_chat_json_write_key(&w, "data");
    ngx_chat_json_write_string(&w, data);

    if (user_id != NULL) {
        ngx_chat_json_write_key(&w, "user_id");
        ngx_chat_json_write_string(&w, user_id);
    }

    ngx_chat_json_write_object_end(&w);

    return ngx_chat_json_write_done(&w);
}


ngx_int_t
ngx_chat_event_data_text(ngx_chat_json_t *j, ngx_chat_json_value_t *value,
    ngx_str_t *text)
{
    ssize_t                len;
    ngx_chat_json_write_t  w;

    if (value->type == NGX_CHAT_JSON_STRING_e) {
        *text = value->text;
        return NGX_OK;
    }

    (void) ngx_chat_json_write_init(&w, NULL, 0);
    ngx_chat_json_write_value(&w, value);

    len = ngx_chat_json_write_done(&w);
    if (len == NGX_ERROR) {
        return NGX_ERROR;
    }

    text->len = len;
    text->data = j->alloc(j->ctx, len);

    if (text->data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_chat_json_write_init(&w, text->data, text->len);
    ngx_chat_json_write_value(&w, value);

    return (ngx_chat_json_write_done(&w) == len) ? NGX_OK : NGX_ERROR;
}


/* Text that needs no escapes. */

static ssize_t
ngx_chat_event_join(u_char *buf, size_t size, ngx_str_t *parts, ngx_uint_t n)
{
    size_t      len;
    ngx_uint_t  i;

    len = 0;

    for (i = 0; i < n; i++) {
        len += parts[i].len;
    }

    if (buf == NULL) {
        return len;
    }

    if (len > size) {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        buf = ngx_cpymem(buf, parts[i].data, parts[i].len);
    }

    return len;
}
