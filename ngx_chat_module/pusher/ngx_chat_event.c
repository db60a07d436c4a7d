
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Server to client events, rendered.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_json_write.h>
#include <pusher/ngx_chat_event.h>
#include <pusher/ngx_chat_name.h>


static ssize_t ngx_chat_event_render_empty(u_char *buf, size_t size,
    const char *name, ngx_str_t *channel);
static void ngx_chat_event_begin(ngx_chat_json_write_t *w, u_char *buf,
    size_t size, const char *name, ngx_str_t *channel);
static void ngx_chat_event_begin_text(ngx_chat_json_write_t *w, u_char *buf,
    size_t size, const char *name, ngx_str_t *channel);
static ssize_t ngx_chat_event_end(ngx_chat_json_write_t *w);
static void ngx_chat_event_write_recovered(ngx_chat_json_write_t *w,
    ngx_int_t recovered);
static void ngx_chat_event_write_list(ngx_chat_json_write_t *w,
    const char *name, ngx_str_t *ids, ngx_uint_t n);


ssize_t
ngx_chat_event_render(u_char *buf, size_t size, ngx_str_t *event,
    ngx_str_t *channel, ngx_str_t *data)
{
    return ngx_chat_event_render_client_event(buf, size, event, channel, data,
                                              NULL);
}


ssize_t
ngx_chat_event_render_established(u_char *buf, size_t size,
    ngx_chat_socket_id_t *id, ngx_uint_t timeout, ngx_uint_t recovery)
{
    u_char                 text[NGX_CHAT_SOCKET_ID_LEN];
    ngx_str_t              socket_id;
    ngx_chat_json_write_t  w;

    socket_id.data = text;
    socket_id.len = ngx_chat_name_write_socket_id(text, id) - text;

    ngx_chat_event_begin_text(&w, buf, size, "pusher:connection_established",
                              NULL);

    ngx_chat_json_write_key(&w, "socket_id");
    ngx_chat_json_write_string(&w, &socket_id);

    ngx_chat_json_write_key_uint(&w, "activity_timeout", timeout);

    if (recovery) {
        ngx_chat_json_write_key_uint(&w, "recovery", recovery);
    }

    return ngx_chat_event_end(&w);
}


ssize_t
ngx_chat_event_render_succeeded(u_char *buf, size_t size, ngx_str_t *channel,
    ngx_int_t recovered)
{
    ngx_chat_json_write_t  w;

    ngx_chat_event_begin_text(&w, buf, size,
                              "pusher_internal:subscription_succeeded",
                              channel);
    ngx_chat_event_write_recovered(&w, recovered);

    return ngx_chat_event_end(&w);
}


ssize_t
ngx_chat_event_render_recovery(u_char *buf, size_t size, ngx_str_t *channel,
    ngx_str_t *from, ngx_uint_t missed)
{
    ngx_chat_json_write_t  w;

    ngx_chat_event_begin_text(&w, buf, size, "pusher:recovery", channel);
    ngx_chat_event_write_recovered(&w, from != NULL);

    if (from != NULL) {
        ngx_chat_json_write_key_uint(&w, "missed", missed);
        ngx_chat_json_write_key(&w, "from");
        ngx_chat_json_write_string(&w, from);
    }

    return ngx_chat_event_end(&w);
}


ssize_t
ngx_chat_event_render_ping(u_char *buf, size_t size, ngx_str_t *at)
{
    ngx_chat_json_write_t  w;

    ngx_chat_event_begin_text(&w, buf, size, "pusher:ping", NULL);

    ngx_chat_json_write_key(&w, "at");
    ngx_chat_json_write_string(&w, at);

    return ngx_chat_event_end(&w);
}


ssize_t
ngx_chat_event_render_error(u_char *buf, size_t size, ngx_uint_t code,
    ngx_str_t *message)
{
    ngx_chat_json_write_t  w;

    ngx_chat_event_begin(&w, buf, size, "pusher:error", NULL);
    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "code");

    if (code) {
        ngx_chat_json_write_uint(&w, code);

    } else {
        ngx_chat_json_write_null(&w);
    }

    ngx_chat_json_write_key(&w, "message");
    ngx_chat_json_write_string(&w, message);

    return ngx_chat_event_end(&w);
}


ssize_t
ngx_chat_event_render_subscription_error(u_char *buf, size_t size,
    ngx_str_t *channel, const char *type, ngx_str_t *error, ngx_uint_t status)
{
    ngx_chat_json_write_t  w;

    ngx_chat_event_begin(&w, buf, size, "pusher:subscription_error", channel);
    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "type");
    ngx_chat_json_write_cstring(&w, type);

    ngx_chat_json_write_key(&w, "error");
    ngx_chat_json_write_string(&w, error);

    ngx_chat_json_write_key(&w, "status");
    ngx_chat_json_write_uint(&w, status);

    return ngx_chat_event_end(&w);
}


ssize_t
ngx_chat_event_render_presence_succeeded(u_char *buf, size_t size,
    ngx_str_t *channel, ngx_int_t recovered, ngx_chat_event_member_t *members,
    ngx_uint_t n)
{
    ngx_uint_t             i;
    ngx_chat_json_write_t  w;

    static ngx_str_t  empty = ngx_string("{}");

    ngx_chat_event_begin_text(&w, buf, size,
                              "pusher_internal:subscription_succeeded",
                              channel);

    ngx_chat_event_write_recovered(&w, recovered);

    ngx_chat_json_write_key(&w, "presence");
    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "count");
    ngx_chat_json_write_uint(&w, n);

    ngx_chat_json_write_key(&w, "ids");
    ngx_chat_json_write_array(&w);

    for (i = 0; i < n; i++) {
        ngx_chat_json_write_string(&w, &members[i].id);
    }

    ngx_chat_json_write_array_end(&w);

    ngx_chat_json_write_key(&w, "hash");
    ngx_chat_json_write_object(&w);

    for (i = 0; i < n; i++) {
        ngx_chat_json_write_name(&w, &members[i].id);
        ngx_chat_json_write_json(&w, members[i].info.len ? &members[i].info
                                                         : &empty);
    }

    ngx_chat_json_write_object_end(&w);
    ngx_chat_json_write_object_end(&w);

    return ngx_chat_event_end(&w);
}


ssize_t
ngx_chat_event_render_member_added(u_char *buf, size_t size,
    ngx_str_t *channel, ngx_str_t *id, ngx_str_t *info)
{
    ngx_chat_json_write_t  w;

    ngx_chat_event_begin_text(&w, buf, size, "pusher_internal:member_added",
                              channel);

    ngx_chat_json_write_key(&w, "user_id");
    ngx_chat_json_write_string(&w, id);

    if (info->len) {
        ngx_chat_json_write_key(&w, "user_info");
        ngx_chat_json_write_json(&w, info);
    }

    return ngx_chat_event_end(&w);
}


ssize_t
ngx_chat_event_render_member_removed(u_char *buf, size_t size,
    ngx_str_t *channel, ngx_str_t *id)
{
    ngx_chat_json_write_t  w;

    ngx_chat_event_begin_text(&w, buf, size, "pusher_internal:member_removed",
                              channel);

    ngx_chat_json_write_key(&w, "user_id");
    ngx_chat_json_write_string(&w, id);

    return ngx_chat_event_end(&w);
}


ssize_t
ngx_chat_event_render_subscription_count(u_char *buf, size_t size,
    ngx_str_t *channel, ngx_uint_t count)
{
    ngx_chat_json_write_t  w;

    ngx_chat_event_begin_text(&w, buf, size,
                              "pusher_internal:subscription_count", channel);

    ngx_chat_json_write_key(&w, "subscription_count");
    ngx_chat_json_write_uint(&w, count);

    return ngx_chat_event_end(&w);
}


ssize_t
ngx_chat_event_render_cache_miss(u_char *buf, size_t size, ngx_str_t *channel)
{
    return ngx_chat_event_render_empty(buf, size, "pusher:cache_miss",
                                       channel);
}


ssize_t
ngx_chat_event_render_signin_success(u_char *buf, size_t size,
    ngx_str_t *user_data)
{
    ngx_chat_json_write_t  w;

    ngx_chat_event_begin(&w, buf, size, "pusher:signin_success", NULL);
    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "user_data");
    ngx_chat_json_write_string(&w, user_data);

    return ngx_chat_event_end(&w);
}


ssize_t
ngx_chat_event_render_watchlist(u_char *buf, size_t size, ngx_str_t *online,
    ngx_uint_t nonline, ngx_str_t *offline, ngx_uint_t noffline)
{
    ngx_chat_json_write_t  w;

    ngx_chat_event_begin_text(&w, buf, size,
                              "pusher_internal:watchlist_events", NULL);

    ngx_chat_json_write_key(&w, "events");
    ngx_chat_json_write_array(&w);

    ngx_chat_event_write_list(&w, "online", online, nonline);
    ngx_chat_event_write_list(&w, "offline", offline, noffline);

    ngx_chat_json_write_array_end(&w);

    return ngx_chat_event_end(&w);
}


ssize_t
ngx_chat_event_render_client_event(u_char *buf, size_t size,
    ngx_str_t *event, ngx_str_t *channel, ngx_str_t *data, ngx_str_t *user_id)
{
    ngx_chat_json_write_t  w;

    ngx_chat_json_write_init(&w, buf, size);
    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "event");
    ngx_chat_json_write_string(&w, event);

    if (channel != NULL) {
        ngx_chat_json_write_key(&w, "channel");
        ngx_chat_json_write_string(&w, channel);
    }

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
    ngx_chat_json_write_t  w;

    if (value->type == NGX_CHAT_JSON_STRING_e) {
        *text = value->text;
        return NGX_OK;
    }

    ngx_chat_json_write_init(&w, NULL, 0);
    ngx_chat_json_write_value(&w, value);

    text->len = w.len;
    text->data = j->alloc(j->ctx, text->len);

    if (text->data == NULL) {
        return NGX_ERROR;
    }

    ngx_chat_json_write_init(&w, text->data, text->len);
    ngx_chat_json_write_value(&w, value);

    return NGX_OK;
}


static ssize_t
ngx_chat_event_render_empty(u_char *buf, size_t size, const char *name,
    ngx_str_t *channel)
{
    ngx_chat_json_write_t  w;

    ngx_chat_event_begin_text(&w, buf, size, name, channel);

    return ngx_chat_event_end(&w);
}


/* An event up to its data; channel NULL is left out. */

static void
ngx_chat_event_begin(ngx_chat_json_write_t *w, u_char *buf, size_t size,
    const char *name, ngx_str_t *channel)
{
    ngx_chat_json_write_init(w, buf, size);
    ngx_chat_json_write_object(w);

    ngx_chat_json_write_key(w, "event");
    ngx_chat_json_write_cstring(w, name);

    if (channel != NULL) {
        ngx_chat_json_write_key(w, "channel");
        ngx_chat_json_write_string(w, channel);
    }

    ngx_chat_json_write_key(w, "data");
}


/* The same, with data that is the text of an object. */

static void
ngx_chat_event_begin_text(ngx_chat_json_write_t *w, u_char *buf, size_t size,
    const char *name, ngx_str_t *channel)
{
    ngx_chat_event_begin(w, buf, size, name, channel);

    ngx_chat_json_write_text(w);
    ngx_chat_json_write_object(w);
}


/* Ends the object that is the data, and the event. */

static ssize_t
ngx_chat_event_end(ngx_chat_json_write_t *w)
{
    ngx_chat_json_write_object_end(w);

    if (w->in_text) {
        ngx_chat_json_write_text_end(w);
    }

    ngx_chat_json_write_object_end(w);

    return ngx_chat_json_write_done(w);
}


/* Not where the client has no token, which is -1. */

static void
ngx_chat_event_write_recovered(ngx_chat_json_write_t *w, ngx_int_t recovered)
{
    if (recovered >= 0) {
        ngx_chat_json_write_key(w, "recovered");
        ngx_chat_json_write_bool(w, recovered);
    }
}


static void
ngx_chat_event_write_list(ngx_chat_json_write_t *w, const char *name,
    ngx_str_t *ids, ngx_uint_t n)
{
    ngx_uint_t  i;

    if (n == 0) {
        return;
    }

    ngx_chat_json_write_object(w);

    ngx_chat_json_write_key(w, "name");
    ngx_chat_json_write_cstring(w, name);

    ngx_chat_json_write_key(w, "user_ids");
    ngx_chat_json_write_array(w);

    for (i = 0; i < n; i++) {
        ngx_chat_json_write_string(w, &ids[i]);
    }

    ngx_chat_json_write_array_end(w);
    ngx_chat_json_write_object_end(w);
}
