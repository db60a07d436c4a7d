
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Bodies of the HTTP API's events and batch_events.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <stdarg.h>
#include <stdio.h>

#include <pusher/ngx_chat_trigger.h>
#include <wire/ngx_chat_utf8.h>


typedef struct {
    const char  *name;
    ngx_uint_t   bit;
} ngx_chat_trigger_info_t;


static ngx_int_t ngx_chat_trigger_parse(ngx_chat_trigger_t *t, u_char *body,
    size_t len, ngx_chat_json_value_t **v);
static ngx_int_t ngx_chat_trigger_count(ngx_chat_trigger_t *t,
    ngx_chat_json_value_t *list, const char *name, ngx_chat_json_type_e type,
    ngx_uint_t *n);
static ngx_int_t ngx_chat_trigger_event(ngx_chat_trigger_t *t,
    ngx_chat_json_value_t *v, ngx_chat_trigger_event_t *e);
static ngx_int_t ngx_chat_trigger_key(ngx_chat_trigger_t *t,
    ngx_chat_json_value_t *v);
static ngx_int_t ngx_chat_trigger_channels(ngx_chat_trigger_t *t,
    ngx_chat_json_value_t *v, ngx_chat_trigger_event_t *e);
static void ngx_chat_trigger_add(ngx_chat_trigger_event_t *e,
    ngx_str_t *channel);
static ngx_int_t ngx_chat_trigger_string(ngx_chat_trigger_t *t,
    ngx_chat_json_value_t *v, const char *name, ngx_str_t *text);
static ngx_int_t ngx_chat_trigger_required(ngx_chat_trigger_t *t,
    ngx_chat_json_value_t *v, const char *name, ngx_str_t *text);
static ngx_int_t ngx_chat_trigger_refuse(ngx_chat_trigger_t *t,
    ngx_uint_t status, const char *format, ...);


static const ngx_chat_trigger_info_t  ngx_chat_trigger_infos[] = {
    { "user_count", NGX_CHAT_INFO_USER_COUNT },
    { "subscription_count", NGX_CHAT_INFO_SUBSCRIPTION_COUNT },
    { "cache", NGX_CHAT_INFO_CACHE },
    { "occupied", NGX_CHAT_INFO_OCCUPIED },
    { NULL, 0 }
};


ngx_int_t
ngx_chat_trigger_read_event(ngx_chat_trigger_t *t, u_char *body, size_t len)
{
    ngx_int_t               rc;
    ngx_chat_json_value_t  *v;

    rc = ngx_chat_trigger_parse(t, body, len, &v);
    if (rc != NGX_OK) {
        return rc;
    }

    t->events = t->json.alloc(t->json.ctx, sizeof(ngx_chat_trigger_event_t));
    if (t->events == NULL) {
        return NGX_ERROR;
    }

    t->n = 1;

    rc = ngx_chat_trigger_event(t, v, t->events);

    return (rc == NGX_OK) ? ngx_chat_trigger_key(t, v) : rc;
}


ngx_int_t
ngx_chat_trigger_read_batch(ngx_chat_trigger_t *t, u_char *body, size_t len)
{
    ngx_int_t               rc;
    ngx_uint_t              n, nchannels;
    ngx_chat_json_value_t  *v, *batch, *entry;

    rc = ngx_chat_trigger_parse(t, body, len, &v);
    if (rc != NGX_OK) {
        return rc;
    }

    batch = ngx_chat_json_given(v, "batch");

    if (batch == NULL) {
        return ngx_chat_trigger_refuse(t, 400, "Missing parameter: batch");
    }

    rc = ngx_chat_trigger_count(t, batch, "batch", NGX_CHAT_JSON_OBJECT_e, &n);
    if (rc != NGX_OK) {
        return rc;
    }

    if (n == 0 || n > NGX_CHAT_TRIGGER_BATCH) {
        return ngx_chat_trigger_refuse(t, 400, "A batch has 1 to %d events",
                                       NGX_CHAT_TRIGGER_BATCH);
    }

    t->events = t->json.alloc(t->json.ctx,
                              n * sizeof(ngx_chat_trigger_event_t));
    if (t->events == NULL) {
        return NGX_ERROR;
    }

    t->n = 0;
    nchannels = 0;

    for (entry = batch->first; entry; entry = entry->next) {

        rc = ngx_chat_trigger_event(t, entry, &t->events[t->n]);
        if (rc != NGX_OK) {
            return rc;
        }

        nchannels += t->events[t->n++].nchannels;
    }

    /* one commit stores all of them, one turn of the event loop sends them */

    if (nchannels > NGX_CHAT_TRIGGER_CHANNELS) {
        return ngx_chat_trigger_refuse(t, 400, "A batch goes to at most %d "
                                       "channels", NGX_CHAT_TRIGGER_CHANNELS);
    }

    return ngx_chat_trigger_key(t, v);
}


ngx_int_t
ngx_chat_trigger_check(ngx_chat_trigger_t *t, ngx_chat_trigger_event_t *e)
{
    ngx_uint_t  i;

    if (ngx_chat_name_check_event(&e->name) != NGX_OK) {
        return ngx_chat_trigger_refuse(t, 400, "Invalid event name: it has 1 "
                                       "to %d characters and does not begin "
                                       "with pusher: or pusher_internal:",
                                       NGX_CHAT_EVENT_NAME_MAX);
    }

    if (e->data.len > t->data_max) {
        return ngx_chat_trigger_refuse(t, 413, "The data content of this "
                                       "event exceeds the allowed maximum "
                                       "(%zu bytes)", t->data_max);
    }

    if (ngx_chat_utf8_check(e->data.data, e->data.len) != NGX_OK) {
        return ngx_chat_trigger_refuse(t, 400, "Expected data to be UTF-8");
    }

    for (i = 0; i < e->nchannels; i++) {

        if (ngx_chat_name_check(&e->channels[i]) != NGX_OK) {
            return ngx_chat_trigger_refuse(t, 400, "Invalid channel name");
        }

        /* data is encrypted with the key of one channel */

        if (e->nchannels > 1
            && (ngx_chat_name_type(&e->channels[i])
                & NGX_CHAT_CHANNEL_ENCRYPTED))
        {
            return ngx_chat_trigger_refuse(t, 400, "You cannot trigger to "
                                           "multiple channels when using "
                                           "encrypted channels");
        }
    }

    return NGX_OK;
}


const char *
ngx_chat_trigger_read_info(ngx_str_t *info, ngx_uint_t *bits)
{
    u_char                         *p, *last, *end, *next;
    const ngx_chat_trigger_info_t  *i;

    *bits = 0;
    last = info->data + info->len;

    for (p = info->data; p < last; p = next + 1) {

        next = memchr(p, ',', last - p);

        if (next == NULL) {
            next = last;
        }

        for (end = next; end > p && end[-1] == ' '; end--) {
            /* void */
        }

        while (p < end && *p == ' ') {
            p++;
        }

        if (p == end) {
            continue;
        }

        for (i = ngx_chat_trigger_infos; i->name; i++) {

            if ((size_t) (end - p) == strlen(i->name)
                && memcmp(p, i->name, end - p) == 0)
            {
                break;
            }
        }

        if (i->name == NULL) {
            return "info should be a comma separated list of attributes";
        }

        *bits |= i->bit;
    }

    return NULL;
}


static ngx_int_t
ngx_chat_trigger_parse(ngx_chat_trigger_t *t, u_char *body, size_t len,
    ngx_chat_json_value_t **v)
{
    ngx_int_t  rc;

    ngx_str_null(&t->idempotency_key);

    rc = ngx_chat_json_parse(&t->json, body, len, v);

    if (rc == NGX_DECLINED) {
        return ngx_chat_trigger_refuse(t, 400, "The body is not JSON");
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if ((*v)->type != NGX_CHAT_JSON_OBJECT_e) {
        return ngx_chat_trigger_refuse(t, 400,
                                       "Expected the body to be an object");
    }

    return NGX_OK;
}


/* The items of a list, all of the one type. */

static ngx_int_t
ngx_chat_trigger_count(ngx_chat_trigger_t *t, ngx_chat_json_value_t *list,
    const char *name, ngx_chat_json_type_e type, ngx_uint_t *n)
{
    ngx_chat_json_value_t  *item;

    *n = 0;

    for (item = list->first; item && item->type == type; item = item->next) {
        (*n)++;
    }

    if (list->type != NGX_CHAT_JSON_ARRAY_e || item) {
        return ngx_chat_trigger_refuse(t, 400, "Expected %s parameter to be "
                                       "an array of %s", name,
                                       (type == NGX_CHAT_JSON_OBJECT_e)
                                       ? "objects" : "strings");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_trigger_event(ngx_chat_trigger_t *t, ngx_chat_json_value_t *v,
    ngx_chat_trigger_event_t *e)
{
    ngx_int_t    rc;
    ngx_str_t    text;
    const char  *error;

    memset(e, 0, sizeof(ngx_chat_trigger_event_t));

    rc = ngx_chat_trigger_required(t, v, "name", &e->name);

    if (rc == NGX_OK) {
        rc = ngx_chat_trigger_required(t, v, "data", &e->data);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_trigger_channels(t, v, e);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_trigger_string(t, v, "info", &text);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    error = text.data ? ngx_chat_trigger_read_info(&text, &e->info) : NULL;

    if (error) {
        return ngx_chat_trigger_refuse(t, 400, "%s", error);
    }

    rc = ngx_chat_trigger_string(t, v, "socket_id", &text);

    if (rc != NGX_OK) {
        return rc;
    }

    if (text.data
        && ngx_chat_name_read_socket_id(&e->except, text.data, text.len)
           != NGX_OK)
    {
        return ngx_chat_trigger_refuse(t, 400, "Invalid socket_id");
    }

    return ngx_chat_trigger_check(t, e);
}


static ngx_int_t
ngx_chat_trigger_key(ngx_chat_trigger_t *t, ngx_chat_json_value_t *v)
{
    ngx_int_t   rc;
    ngx_str_t  *key;

    key = &t->idempotency_key;

    rc = ngx_chat_trigger_string(t, v, "idempotency_key", key);

    if (rc != NGX_OK) {
        return rc;
    }

    if (key->data && !ngx_chat_json_is_exact(&t->json, key)) {
        return ngx_chat_trigger_refuse(t, 400, "The idempotency_key has half "
                                       "a surrogate pair");
    }

    if (key->data && (key->len == 0 || key->len > NGX_CHAT_TRIGGER_KEY_MAX)) {
        return ngx_chat_trigger_refuse(t, 400, "An idempotency_key has 1 to "
                                       "%d bytes", NGX_CHAT_TRIGGER_KEY_MAX);
    }

    return NGX_OK;
}


/* The union of channel and channels. */

static ngx_int_t
ngx_chat_trigger_channels(ngx_chat_trigger_t *t, ngx_chat_json_value_t *v,
    ngx_chat_trigger_event_t *e)
{
    ngx_int_t               rc;
    ngx_str_t               channel;
    ngx_uint_t              n;
    ngx_chat_json_value_t  *list, *item;

    rc = ngx_chat_trigger_string(t, v, "channel", &channel);

    if (rc != NGX_OK) {
        return rc;
    }

    n = 0;
    list = ngx_chat_json_given(v, "channels");

    if (list) {
        rc = ngx_chat_trigger_count(t, list, "channels",
                                    NGX_CHAT_JSON_STRING_e, &n);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    n += (channel.data != NULL);

    if (n == 0) {
        return ngx_chat_trigger_refuse(t, 400, "Missing parameter: channels");
    }

    if (n > NGX_CHAT_TRIGGER_CHANNELS) {
        return ngx_chat_trigger_refuse(t, 400, "An event goes to at most %d "
                                       "channels", NGX_CHAT_TRIGGER_CHANNELS);
    }

    e->channels = t->json.alloc(t->json.ctx, n * sizeof(ngx_str_t));
    if (e->channels == NULL) {
        return NGX_ERROR;
    }

    if (channel.data) {
        ngx_chat_trigger_add(e, &channel);
    }

    for (item = list ? list->first : NULL; item; item = item->next) {
        ngx_chat_trigger_add(e, &item->text);
    }

    return NGX_OK;
}


/* A channel named twice gets the event once. */

static void
ngx_chat_trigger_add(ngx_chat_trigger_event_t *e, ngx_str_t *channel)
{
    ngx_uint_t  i;

    for (i = 0; i < e->nchannels; i++) {

        if (e->channels[i].len == channel->len
            && memcmp(e->channels[i].data, channel->data, channel->len) == 0)
        {
            return;
        }
    }

    e->channels[e->nchannels++] = *channel;
}


static ngx_int_t
ngx_chat_trigger_string(ngx_chat_trigger_t *t, ngx_chat_json_value_t *v,
    const char *name, ngx_str_t *text)
{
    if (ngx_chat_json_string(v, name, text) != NGX_OK) {
        return ngx_chat_trigger_refuse(t, 400,
                                       "Expected %s parameter to be a string",
                                       name);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_trigger_required(ngx_chat_trigger_t *t, ngx_chat_json_value_t *v,
    const char *name, ngx_str_t *text)
{
    ngx_int_t  rc;

    rc = ngx_chat_trigger_string(t, v, name, text);

    if (rc == NGX_OK && text->data == NULL) {
        return ngx_chat_trigger_refuse(t, 400, "Missing parameter: %s", name);
    }

    return rc;
}


static ngx_int_t
ngx_chat_trigger_refuse(ngx_chat_trigger_t *t, ngx_uint_t status,
    const char *format, ...)
{
    int      n;
    va_list  args;

    va_start(args, format);
    n = vsnprintf((char *) t->text, sizeof(t->text), format, args);
    va_end(args);

    t->status = status;
    t->error.data = t->text;
    t->error.len = (n < 0) ? 0 : ngx_min((size_t) n, sizeof(t->text) - 1);

    return NGX_DECLINED;
}
