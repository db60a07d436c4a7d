
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Publishing of messages and triggered events, by the store's thread.
 *
 * A message is rendered once: the text that its sender gets and the data of
 * its event are the same bytes.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <http/ngx_chat_store_hooks.h>
#include <pusher/ngx_chat_event.h>
#include <pusher/ngx_chat_name.h>
#include <shared/ngx_chat_hook.h>
#include <wire/ngx_chat_message.h>


static ngx_int_t ngx_chat_store_hooks_event(ngx_chat_store_hooks_t *hooks,
    ngx_chat_record_t *rec, ngx_chat_socket_id_t *except, ngx_str_t *text,
    uint64_t *position, ngx_log_t *log);
static ngx_int_t ngx_chat_store_hooks_record(ngx_chat_store_hooks_t *hooks,
    ngx_chat_record_t *rec, ngx_log_t *log);
static ssize_t ngx_chat_store_hooks_payload(ngx_chat_record_t *rec,
    ngx_str_t *text, u_char *buf, size_t size);
static time_t ngx_chat_store_hooks_cached(ngx_chat_store_hooks_t *hooks,
    ngx_chat_record_t *rec);


ngx_int_t
ngx_chat_store_hooks_render(ngx_chat_record_t *rec, ngx_str_t *text)
{
    size_t              size;
    ssize_t             len;
    ngx_chat_message_t  m;

    ngx_chat_record_message(rec, &m);

    size = ngx_chat_store_hooks_event_max(rec);

    text->data = malloc(size);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    len = ngx_chat_message_render(&m, text->data, size);

    if (len == NGX_ERROR) {
        free(text->data);
        text->data = NULL;
        return NGX_ERROR;
    }

    text->len = len;

    return NGX_OK;
}


ngx_int_t
ngx_chat_store_hooks_append(void *data, ngx_chat_record_t *rec,
    ngx_chat_socket_id_t *except, ngx_str_t *reply, uint64_t *position,
    ngx_log_t *log)
{
    ngx_chat_store_hooks_t *hooks = data;

    ngx_int_t  rc;
    ngx_str_t  text;

    if (rec->kind == NGX_CHAT_MESSAGE_HOOK_e) {
        return ngx_chat_store_hooks_record(hooks, rec, log);
    }

    if (rec->kind != NGX_CHAT_MESSAGE_POSTED_e) {
        return ngx_chat_store_hooks_event(hooks, rec, except, &rec->content,
                                          position, log);
    }

    if (ngx_chat_store_hooks_render(rec, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_chat_store_hooks_event(hooks, rec, except, &text, position, log);

    if (reply && rc != NGX_ERROR) {
        *reply = text;

    } else {
        free(text.data);
    }

    return rc;
}


/* Sends an event whose data is text. */

static ngx_int_t
ngx_chat_store_hooks_event(ngx_chat_store_hooks_t *hooks,
    ngx_chat_record_t *rec, ngx_chat_socket_id_t *except, ngx_str_t *text,
    uint64_t *position, ngx_log_t *log)
{
    size_t               size;
    ssize_t              len;
    ngx_int_t            rc;
    ngx_chat_envelope_t  e;

    size = ngx_chat_store_hooks_event_max(rec);

    e.payload.data = malloc(size);
    if (e.payload.data == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    len = ngx_chat_store_hooks_payload(rec, text, e.payload.data, size);
    if (len == NGX_ERROR) {
        goto done;
    }

    e.type = (rec->kind == NGX_CHAT_MESSAGE_TERMINATE_e)
             ? NGX_CHAT_ENVELOPE_TERMINATE_e : NGX_CHAT_ENVELOPE_EVENT_e;
    e.app = rec->app;
    e.message = rec->id;
    e.except = *except;
    e.channel = rec->channel;
    e.payload.len = len;

    rc = ngx_chat_hub_publish(hooks->zone, &e,
                              ngx_chat_store_hooks_cached(hooks, rec),
                              position);

    if (ngx_chat_hook_is_wanted(hooks->zone, NGX_CHAT_HOOK_STORED_e)) {
        ngx_chat_hook_added(hooks->zone);
    }

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "chat event \"%V\" of channel \"%V\" does not fit the "
                      "ring", &rec->event, &rec->channel);
    }

done:

    free(e.payload.data);

    return rc;
}


/* In a cluster: what a node has to tell webhooks, from the log. */

static ngx_int_t
ngx_chat_store_hooks_record(ngx_chat_store_hooks_t *hooks,
    ngx_chat_record_t *rec, ngx_log_t *log)
{
    ngx_chat_hook_record_t  r;

    if (ngx_chat_hook_record_unpack(&r, rec->content.data, rec->content.len)
        != NGX_OK
        || ngx_chat_hook_is_state(r.kind))
    {
        ngx_log_error(NGX_LOG_ALERT, log, 0,
                      "chat cluster: the log has a broken record for webhooks");
        return NGX_OK;
    }

    return ngx_chat_hook_replay(hooks->zone, &r, rec->id);
}


static ssize_t
ngx_chat_store_hooks_payload(ngx_chat_record_t *rec, ngx_str_t *text,
    u_char *buf, size_t size)
{
    switch (rec->kind) {

    case NGX_CHAT_MESSAGE_TERMINATE_e:
        return 0;

    case NGX_CHAT_MESSAGE_CLIENT_e:
        return ngx_chat_event_render_client_event(buf, size, &rec->event,
                                                  &rec->channel, text,
                                                  rec->author.len
                                                  ? &rec->author : NULL);

    default:
        return ngx_chat_event_render(buf, size, &rec->event, &rec->channel,
                                     text);
    }
}


ngx_uint_t
ngx_chat_store_hooks_behind(void *data)
{
    ngx_chat_store_hooks_t *hooks = data;

    uint64_t             head, position;
    ngx_uint_t           i;
    ngx_chat_zone_sh_t  *sh;

    sh = hooks->zone->sh;
    head = ngx_chat_ring_head(sh->ring);

    for (i = 0; i < sh->nslots; i++) {
        position = __atomic_load_n(&sh->slots[i].position, __ATOMIC_RELAXED);

        /* others append as well: a worker may be beyond that head by now */

        if (sh->slots[i].pid
            && position < head
            && head - position > sh->ring->size / 2)
        {
            return 1;
        }
    }

    return 0;
}


uint64_t
ngx_chat_store_hooks_sent(void *data)
{
    ngx_chat_store_hooks_t *hooks = data;

    uint64_t          id;
    ngx_chat_zone_t  *zone;

    zone = hooks->zone;

    ngx_chat_zone_lock(zone);

    id = ngx_chat_ring_mark(zone->sh->ring);

    ngx_chat_zone_unlock(zone);

    return id;
}


/*
 * What subscribes now must not get old messages as news, nor miss new ones for
 * the ids of another database.
 */

void
ngx_chat_store_hooks_begun(void *data, uint64_t id, ngx_uint_t another)
{
    ngx_chat_store_hooks_t *hooks = data;

    ngx_chat_zone_t  *zone;

    zone = hooks->zone;

    ngx_chat_zone_lock(zone);

    ngx_chat_ring_set_mark(zone->sh->ring, id);

    ngx_chat_zone_unlock(zone);

    if (another) {
        (void) ngx_atomic_fetch_add(&zone->sh->renewed, 1);
    }
}


void
ngx_chat_store_hooks_queued(ngx_uint_t n)
{
    ngx_chat_counters[NGX_CHAT_QUEUED_e] = n;
}


void
ngx_chat_store_hooks_reading(ngx_uint_t n, size_t held)
{
    ngx_chat_counters[NGX_CHAT_READS_QUEUED_e] = n;
    ngx_chat_counters[NGX_CHAT_PAGE_BYTES_e] = held;
}


/*
 * A byte of text takes at most 6 bytes in JSON (a \u escape of a control
 * character), and 7 in the JSON of that.
 */

size_t
ngx_chat_store_hooks_event_max(ngx_chat_record_t *rec)
{
    return (rec->content.len + rec->author.len + rec->event.len
            + rec->channel.len) * 7 + 512;
}


/* The author, set by the operator, has no limit but the request's. */

size_t
ngx_chat_store_hooks_envelope_max(size_t content)
{
    return content * 7 + 16384;
}


/* How long the event is to be cached, in seconds. */

static time_t
ngx_chat_store_hooks_cached(ngx_chat_store_hooks_t *hooks,
    ngx_chat_record_t *rec)
{
    ngx_uint_t       i;
    ngx_chat_app_t  *apps;

    if (!(ngx_chat_name_type(&rec->channel) & NGX_CHAT_CHANNEL_CACHE)) {
        return 0;
    }

    apps = hooks->apps->elts;

    for (i = 0; i < hooks->apps->nelts; i++) {
        if (apps[i].number == rec->app) {
            return apps[i].cache_ttl;
        }
    }

    return 0;
}
