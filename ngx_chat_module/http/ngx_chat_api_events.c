
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_api: events are triggered (Pusher protocol, section 6.3).
 *
 * Events that are to be stored go first, all of them or none.  When they are
 * committed, the other events are sent, and the request is answered.
 *
 * Where events are stored, the database has the request's idempotency key, and
 * with it their ids.  Shared memory has it where none is stored, and where the
 * answer has counts, which will be other ones later.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_api.h>
#include <http/ngx_chat_commit.h>
#include <http/ngx_chat_idempotency_key.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_wait.h>
#include <pusher/ngx_chat_name.h>
#include <shared/ngx_chat_idempotency.h>


/* One event on one channel. */

typedef struct {
    ngx_chat_trigger_event_t  *event;
    ngx_chat_registry_query_t  found;      /* its name is the channel's */
    uint64_t                   id;         /* of the stored one */
    ngx_uint_t                 info;       /* that the answer has */
    unsigned                   is_stored:1;
    unsigned                   is_queued:1;    /* goes by the store: it is
                                                  stored, or for a cluster */
} ngx_chat_api_target_t;


typedef struct {
    ngx_chat_api_t            *api;
    ngx_chat_trigger_t         trigger;
    ngx_chat_api_target_t     *targets;
    ngx_uint_t                 n;
    ngx_uint_t                 nqueued;
    u_char                     digest[NGX_CHAT_KEYS_LEN];
    ngx_chat_idempotency_t     key;
    ngx_str_t                  json;       /* the answer */
    uint64_t                  *slots;      /* whose deliveries it waits for */
    uint64_t                   position;   /* behind the last event */

    unsigned                   info:1;     /* the answer has counts */
    unsigned                   keyed:1;    /* the request has a key */
    unsigned                   begun:1;    /* shared memory waits for its end */
    unsigned                   repeated:1; /* all was sent before */
} ngx_chat_api_events_t;


static ngx_int_t ngx_chat_api_events_begin(ngx_http_request_t *r,
    ngx_chat_api_events_t *ev);
static ngx_int_t ngx_chat_api_events_find(ngx_http_request_t *r,
    ngx_chat_api_events_t *ev);
static void ngx_chat_api_events_end(ngx_http_request_t *r,
    ngx_chat_api_events_t *ev, ngx_str_t *answer);
static ngx_int_t ngx_chat_api_events_targets(ngx_http_request_t *r,
    ngx_chat_api_events_t *ev);
static ngx_int_t ngx_chat_api_events_store(ngx_http_request_t *r,
    ngx_chat_api_events_t *ev);
static ngx_int_t ngx_chat_api_events_key(ngx_http_request_t *r,
    ngx_chat_api_events_t *ev, ngx_chat_record_t *recs);
static void ngx_chat_api_events_record(ngx_chat_api_events_t *ev,
    ngx_chat_api_target_t *t, ngx_chat_record_t *rec);
static ngx_int_t ngx_chat_api_events_done(ngx_http_request_t *r, void *data);
static ngx_int_t ngx_chat_api_events_unavailable(ngx_http_request_t *r,
    ngx_int_t rc);
static ngx_int_t ngx_chat_api_events_send(ngx_http_request_t *r,
    ngx_chat_api_events_t *ev);
static ngx_int_t ngx_chat_api_events_reply(ngx_http_request_t *r, void *data);
static ngx_uint_t ngx_chat_api_events_status(ngx_chat_api_events_t *ev);
static void ngx_chat_api_events_count(ngx_chat_api_events_t *ev);
static ngx_int_t ngx_chat_api_events_answer(ngx_http_request_t *r,
    ngx_chat_api_events_t *ev);
static void ngx_chat_api_write_events(ngx_chat_json_write_t *w, void *data);
static void ngx_chat_api_write_targets(ngx_chat_json_write_t *w,
    ngx_chat_api_target_t *t, ngx_uint_t n);
static void ngx_chat_api_write_target(ngx_chat_json_write_t *w,
    ngx_chat_api_target_t *t);


/* A ngx_chat_request_pt. */

ngx_int_t
ngx_chat_api_events(ngx_http_request_t *r, void *data)
{
    ngx_chat_api_t *api = data;

    ngx_int_t               rc;
    ngx_chat_loc_conf_t    *clcf;
    ngx_chat_api_events_t  *ev;

    ev = ngx_pcalloc(r->pool, sizeof(ngx_chat_api_events_t));
    if (ev == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    ev->slots = ngx_chat_wait_slots(r);
    if (ev->slots == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ev->api = api;
    ev->trigger.data_max = clcf->max_message_size;

    rc = ngx_chat_api_trigger_read(r, api, &ev->trigger);

    if (rc == NGX_DECLINED) {
        return ngx_chat_reply_text(r, ev->trigger.status, &ev->trigger.error);
    }

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_chat_api_events_begin(r, ev);
}


/* Goes on unless the same request was answered before, or is under way. */

static ngx_int_t
ngx_chat_api_events_begin(ngx_http_request_t *r, ngx_chat_api_events_t *ev)
{
    ngx_int_t   rc;
    ngx_str_t  *what;

    static ngx_str_t  events = ngx_string("/events");
    static ngx_str_t  batch = ngx_string("/batch_events");

    what = (ev->api->route.kind == NGX_CHAT_API_ROUTE_BATCH_e) ? &batch
                                                               : &events;

    rc = ngx_chat_idempotency_key_read(r, ev->digest, ev->api->app, what,
                                       &ev->trigger.idempotency_key);
    ev->keyed = (rc == NGX_OK);

    if (rc == NGX_DECLINED) {
        return ngx_chat_reply_line(r, NGX_HTTP_BAD_REQUEST,
                                   "Invalid idempotency_key");
    }

    if (rc == NGX_ERROR || ngx_chat_api_events_targets(r, ev) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    switch (ngx_chat_api_events_find(r, ev)) {

    case NGX_OK:
        return ev->nqueued ? ngx_chat_api_events_store(r, ev)
                           : ngx_chat_api_events_send(r, ev);

    case NGX_DONE:
        return ngx_chat_api_events_reply(r, ev);

    case NGX_BUSY:
        return ngx_chat_reply_line(r, NGX_HTTP_CONFLICT, "A request with "
                                   "this idempotency_key is under way");

    default: /* NGX_ERROR */
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
}


/* Asks shared memory for an answer. */

static ngx_int_t
ngx_chat_api_events_find(ngx_http_request_t *r, ngx_chat_api_events_t *ev)
{
    ngx_int_t              rc;
    ngx_chat_main_conf_t  *cmcf;

    if (!ev->keyed || (ev->nqueued && !ev->info)) {
        return NGX_OK;
    }

    cmcf = ev->api->cmcf;

    ngx_chat_idempotency_key(&ev->key, ev->api->app->number, ev->digest,
                             cmcf->hub.fanout.slot);

    rc = ngx_chat_idempotency_begin(cmcf->zone, &ev->key, ev->nqueued == 0,
                                    &ev->json, r->pool);

    ev->begun = (rc == NGX_OK);

    return rc;
}


static void
ngx_chat_api_events_end(ngx_http_request_t *r, ngx_chat_api_events_t *ev,
    ngx_str_t *answer)
{
    if (ev->begun) {
        ngx_chat_idempotency_end(ev->api->cmcf->zone, &ev->key, answer,
                                 r->connection->log);
    }
}


static ngx_int_t
ngx_chat_api_events_targets(ngx_http_request_t *r, ngx_chat_api_events_t *ev)
{
    ngx_uint_t                 i, k;
    ngx_chat_api_target_t     *t;
    ngx_chat_trigger_event_t  *event;

    for (i = 0; i < ev->trigger.n; i++) {
        ev->n += ev->trigger.events[i].nchannels;
        ev->info |= (ev->trigger.events[i].info != 0);
    }

    ev->targets = ngx_pcalloc(r->pool, ev->n * sizeof(ngx_chat_api_target_t));
    if (ev->targets == NULL) {
        return NGX_ERROR;
    }

    t = ev->targets;

    for (i = 0; i < ev->trigger.n; i++) {
        event = &ev->trigger.events[i];

        for (k = 0; k < event->nchannels; k++, t++) {
            t->event = event;
            t->found.name = event->channels[k];
            t->is_stored = ngx_chat_app_stores(ev->api->app, &t->found.name);
            t->is_queued = t->is_stored || ev->api->cmcf->store.link;
            ev->nqueued += t->is_queued;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_api_events_store(ngx_http_request_t *r, ngx_chat_api_events_t *ev)
{
    ngx_int_t              rc;
    ngx_uint_t             i, n;
    ngx_chat_record_t     *recs;
    ngx_chat_socket_id_t  *excepts;

    recs = ngx_pcalloc(r->pool, ev->nqueued * (sizeof(ngx_chat_record_t)
                                           + sizeof(ngx_chat_socket_id_t)));
    if (recs == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    excepts = (ngx_chat_socket_id_t *) (recs + ev->nqueued);
    n = 0;

    for (i = 0; i < ev->n; i++) {
        if (ev->targets[i].is_queued) {
            ngx_chat_api_events_record(ev, &ev->targets[i], &recs[n]);
            excepts[n++] = ev->targets[i].event->except;
        }
    }

    if (ngx_chat_api_events_key(r, ev, recs) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_chat_commit(r, recs, excepts, n, ngx_chat_api_events_done, ev);

    if (rc == NGX_DONE) {
        return NGX_DONE;
    }

    return (rc == NGX_BUSY) ? ngx_chat_api_events_unavailable(r, rc)
                            : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


/*
 * The key of the first record, on which the others depend.  It tells apart
 * requests that store on other channels, and so have other ids to answer.
 */

static ngx_int_t
ngx_chat_api_events_key(ngx_http_request_t *r, ngx_chat_api_events_t *ev,
    ngx_chat_record_t *recs)
{
    ngx_str_t   *parts;
    ngx_uint_t   i;

    if (!ev->keyed) {
        return NGX_OK;
    }

    parts = ngx_palloc(r->pool, (1 + 2 * ev->nqueued) * sizeof(ngx_str_t));
    if (parts == NULL) {
        return NGX_ERROR;
    }

    parts[0].data = ev->digest;
    parts[0].len = NGX_CHAT_KEYS_LEN;

    for (i = 0; i < ev->nqueued; i++) {
        parts[1 + 2 * i] = recs[i].channel;
        ngx_str_set(&parts[2 + 2 * i], "\n");
    }

    recs[0].keyed = 1;

    return ngx_chat_idempotency_key_digest(recs[0].key, ev->api->app, parts,
                                           1 + 2 * ev->nqueued);
}


static void
ngx_chat_api_events_record(ngx_chat_api_events_t *ev,
    ngx_chat_api_target_t *t, ngx_chat_record_t *rec)
{
    ngx_memzero(rec, sizeof(ngx_chat_record_t));

    rec->kind = t->is_stored ? NGX_CHAT_MESSAGE_EVENT_e
                             : NGX_CHAT_MESSAGE_TRIGGER_e;
    rec->app = ev->api->app->number;
    rec->channel = t->found.name;
    rec->event = t->event->name;
    rec->content = t->event->data;
}


/* A ngx_chat_request_pt. */

static ngx_int_t
ngx_chat_api_events_done(ngx_http_request_t *r, void *data)
{
    ngx_chat_commit_t *c = data;

    ngx_uint_t              i, n;
    ngx_chat_api_events_t  *ev;

    ev = c->data;
    n = 0;

    if (c->rc != NGX_OK) {
        return ngx_chat_api_events_unavailable(r, c->rc);
    }

    for (i = 0; i < ev->n; i++) {
        if (ev->targets[i].is_queued) {
            ev->targets[i].id = c->results[n++].id;
        }
    }

    ev->repeated = c->results[0].repeated;
    ev->slots = c->slots;
    ev->position = c->position;

    return ngx_chat_api_events_send(r, ev);
}


static ngx_int_t
ngx_chat_api_events_unavailable(ngx_http_request_t *r, ngx_int_t rc)
{
    if (rc == NGX_ABORT) {
        return ngx_chat_reply_line(r, NGX_HTTP_GATEWAY_TIME_OUT,
                                   "The event may have been sent; repeat the "
                                   "request with its idempotency_key");
    }

    return ngx_chat_reply_line(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                               "The event can't be stored now");
}


/* Sends the events that are not stored: the store has sent the others. */

static ngx_int_t
ngx_chat_api_events_send(ngx_http_request_t *r, ngx_chat_api_events_t *ev)
{
    ngx_int_t               rc;
    ngx_uint_t              i;
    ngx_chat_record_t       rec;
    ngx_chat_api_target_t  *t;
    ngx_chat_main_conf_t   *cmcf;

    cmcf = ev->api->cmcf;
    rc = NGX_OK;

    for (i = 0; i < ev->n && rc == NGX_OK; i++) {
        t = &ev->targets[i];

        if (t->is_queued || ev->repeated) {
            continue;
        }

        ngx_chat_api_events_record(ev, t, &rec);

        rc = ngx_chat_store_hooks_append(&cmcf->store_hooks, &rec,
                                         &t->event->except, NULL, &ev->position,
                                         r->connection->log);

        ngx_chat_registry_query_slots(cmcf->zone, rec.app, &rec.channel,
                                      ev->slots);
    }

    if (rc == NGX_OK) {
        ngx_chat_api_events_count(ev);
        rc = ngx_chat_api_events_answer(r, ev);
    }

    ngx_chat_api_events_end(r, ev, (rc == NGX_OK) ? &ev->json : NULL);

    if (rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_chat_wait_for_delivery(r, ev->slots, ev->position,
                                      ngx_chat_api_events_reply, ev);
}


/* A ngx_chat_request_pt. */

static ngx_int_t
ngx_chat_api_events_reply(ngx_http_request_t *r, void *data)
{
    ngx_chat_api_events_t *ev = data;

    return ngx_chat_reply_send(r, ngx_chat_api_events_status(ev), &ev->json);
}


static ngx_uint_t
ngx_chat_api_events_status(ngx_chat_api_events_t *ev)
{
    return (ev->api->route.kind == NGX_CHAT_API_ROUTE_PUBLISH_e)
           ? NGX_HTTP_ACCEPTED : NGX_HTTP_OK;
}


static void
ngx_chat_api_events_count(ngx_chat_api_events_t *ev)
{
    ngx_uint_t              i, type;
    ngx_chat_api_target_t  *t;

    for (i = 0; i < ev->n; i++) {
        t = &ev->targets[i];
        type = ngx_chat_name_type(&t->found.name);

        if (t->event->info == 0 || (type & NGX_CHAT_CHANNEL_USER)) {
            continue;
        }

        t->info = t->event->info & NGX_CHAT_INFO_SUBSCRIPTION_COUNT;

        if (type & NGX_CHAT_CHANNEL_PRESENCE) {
            t->info |= t->event->info & NGX_CHAT_INFO_USER_COUNT;
        }

        ngx_chat_registry_query_count(ev->api->cmcf->zone, ev->api->app->number,
                                      &t->found);
    }
}


static ngx_int_t
ngx_chat_api_events_answer(ngx_http_request_t *r, ngx_chat_api_events_t *ev)
{
    ngx_uint_t  i;

    for (i = 0; i < ev->n; i++) {

        if (ev->targets[i].is_stored || ev->targets[i].event->info) {
            return ngx_chat_request_render(r, ngx_chat_api_write_events, ev,
                                           &ev->json);
        }
    }

    ngx_str_set(&ev->json, "{}");

    return NGX_OK;
}


static void
ngx_chat_api_write_events(ngx_chat_json_write_t *w, void *data)
{
    ngx_chat_api_events_t *ev = data;

    ngx_uint_t              i, n;
    ngx_chat_api_target_t  *t;

    ngx_chat_json_write_object(w);

    if (ev->api->route.kind != NGX_CHAT_API_ROUTE_BATCH_e) {
        ngx_chat_api_write_targets(w, ev->targets, ev->n);

    } else {
        ngx_chat_json_write_key(w, "batch");
        ngx_chat_json_write_array(w);

        t = ev->targets;

        for (i = 0; i < ev->trigger.n; i++) {
            n = ev->trigger.events[i].nchannels;

            ngx_chat_json_write_object(w);

            if (n == 1) {
                ngx_chat_api_write_target(w, t);

            } else {
                ngx_chat_api_write_targets(w, t, n);
            }

            ngx_chat_json_write_object_end(w);

            t += n;
        }

        ngx_chat_json_write_array_end(w);
    }

    ngx_chat_json_write_object_end(w);
}


static void
ngx_chat_api_write_targets(ngx_chat_json_write_t *w,
    ngx_chat_api_target_t *t, ngx_uint_t n)
{
    ngx_uint_t  i;

    ngx_chat_json_write_key(w, "channels");
    ngx_chat_json_write_object(w);

    for (i = 0; i < n; i++) {
        ngx_chat_json_write_name(w, &t[i].found.name);
        ngx_chat_json_write_object(w);
        ngx_chat_api_write_target(w, &t[i]);
        ngx_chat_json_write_object_end(w);
    }

    ngx_chat_json_write_object_end(w);
}


static void
ngx_chat_api_write_target(ngx_chat_json_write_t *w, ngx_chat_api_target_t *t)
{
    if (t->is_stored) {
        ngx_chat_json_write_key_uint(w, "id", t->id);
    }

    ngx_chat_api_write_info(w, t->info, &t->found);
}
