
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_api: what a request triggers, read from its body, or the old way from
 * its URL (Pusher protocol, section 6.3).
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_api.h>
#include <http/ngx_chat_request.h>
#include <http/ngx_chat_variable.h>
#include <pusher/ngx_chat_name.h>


static ngx_int_t ngx_chat_api_trigger_read_old(ngx_http_request_t *r,
    ngx_chat_api_t *api, ngx_chat_trigger_t *t);
static void ngx_chat_api_trigger_note(ngx_http_request_t *r,
    ngx_chat_trigger_t *t);


ngx_int_t
ngx_chat_api_trigger_read(ngx_http_request_t *r, ngx_chat_api_t *api,
    ngx_chat_trigger_t *t)
{
    ngx_int_t  rc;

    ngx_chat_request_json(r->pool, &t->json);

    switch (api->route.kind) {

    case NGX_CHAT_API_ROUTE_EVENTS_e:
        rc = ngx_chat_trigger_read_event(t, api->body.data, api->body.len);
        break;

    case NGX_CHAT_API_ROUTE_BATCH_e:
        rc = ngx_chat_trigger_read_batch(t, api->body.data, api->body.len);
        break;

    default: /* NGX_CHAT_API_ROUTE_PUBLISH_e */
        rc = ngx_chat_api_trigger_read_old(r, api, t);
    }

    if (rc == NGX_OK) {
        ngx_chat_api_trigger_note(r, t);
    }

    return rc;
}


/* The old way to publish: the body is data as it is, the rest is in the URL. */

static ngx_int_t
ngx_chat_api_trigger_read_old(ngx_http_request_t *r, ngx_chat_api_t *api,
    ngx_chat_trigger_t *t)
{
    ngx_str_t                 *value;
    ngx_chat_trigger_event_t  *event;

    event = ngx_pcalloc(r->pool, sizeof(ngx_chat_trigger_event_t));
    if (event == NULL) {
        return NGX_ERROR;
    }

    value = ngx_chat_api_query_get(&api->query, "name");

    if (value) {
        event->name = *value;
    }

    event->data = api->body;
    event->channels = &api->route.name;
    event->nchannels = 1;

    value = ngx_chat_api_query_get(&api->query, "socket_id");

    if (value
        && ngx_chat_name_read_socket_id(&event->except, value->data,
                                        value->len)
           != NGX_OK)
    {
        ngx_str_set(&t->error, "Invalid socket_id");
        t->status = NGX_HTTP_BAD_REQUEST;
        return NGX_DECLINED;
    }

    t->events = event;
    t->n = 1;

    return ngx_chat_trigger_check(t, event);
}


/* For the request's variables: what is triggered, where it is one event. */

static void
ngx_chat_api_trigger_note(ngx_http_request_t *r, ngx_chat_trigger_t *t)
{
    ngx_chat_trigger_event_t  *e;

    if (t->n != 1) {
        return;
    }

    e = t->events;

    ngx_chat_variable_note(r, NULL, (e->nchannels == 1) ? e->channels : NULL,
                           &e->name, &e->except, NULL);
}
