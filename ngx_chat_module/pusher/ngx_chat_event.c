
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


/* {"socket_id":"9999999999.9999999999","activity_timeout":N} */
#define NGX_CHAT_EVENT_ESTABLISHED_LEN                                        \
    (sizeof("{\"socket_id\":\"\",\"activity_timeout\":}") - 1                 \
     + NGX_CHAT_SOCKET_ID_LEN + NGX_INT64_LEN)


static void ngx_chat_event_write_list(ngx_chat_event_text_t *t,
    const char *name, ngx_str_t *ids, ngx_uint_t n);


ssize_t
ngx_chat_event_render(u_char *buf, size_t size, ngx_str_t *event,
    ngx_str_t *channel, ngx_str_t *data)
{
    ngx_chat_json_write_t  w;

    (void) ngx_chat_json_write_init(&w, buf, size);

    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "event");
    ngx_chat_json_write_string(&w, event);

    if (channel != NULL) {
        ngx_chat_json_write_key(&w, "channel");
        ngx_chat_json_write_string(&w, channel);
    }

    ngx_chat_json_write_key(&w, "data");
    ngx_chat_json_write_string(&w, data);

    ngx_chat_json_write_object_end(&w);

    return ngx_chat_json_write_done(&w);
}


ssize_t
ngx_chat_event_render_established(u_char *buf, size_t size,
    ngx_chat_socket_id_t *id, ngx_uint_t timeout)
{
    u_char                 text[NGX_CHAT_EVENT_ESTABLISHED_LEN];
    u_char                 socket[NGX_CHAT_SOCKET_ID_LEN];
    ssize_t                len;
    ngx_str_t              data, socket_id;
    ngx_chat_json_write_t  w;

    static ngx_str_t  event = ngx_string("pusher:connection_established");

    socket_id.data = socket;
    socket_id.len = ngx_chat_name_write_socket_id(socket, id) - socket;

    (void) ngx_chat_json_write_init(&w, text, sizeof(text));

    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "socket_id");
    ngx_chat_json_write_string(&w, &socket_id);

    ngx_chat_json_write_key(&w, "activity_timeout");
    ngx_chat_json_write_uint(&w, timeout);

    ngx_chat_json_write_object_end(&w);

    len = ngx_chat_json_write_done(&w);
    if (len == NGX_ERROR) {
        return NGX_ERROR;
    }

    data.data = text;
    data.len = len;

    return ngx_chat_event_render(buf, size, &event, NULL, &data);
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
