
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_api: questions about channels, and the end of a user's connections
 * (Pusher protocol, sections 6.4 and 5.4).
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_api.h>
#include <http/ngx_chat_reply.h>
#include <pusher/ngx_chat_member.h>
#include <pusher/ngx_chat_name.h>
#include <shared/ngx_chat_presence.h>


typedef struct {
    ngx_uint_t                 info;
    ngx_array_t               *list;       /* of ngx_chat_registry_query_t */
} ngx_chat_api_list_t;


typedef struct {
    ngx_uint_t                 info;
    ngx_uint_t                 type;
    ngx_chat_api_route_kind_e  kind;
    ngx_chat_registry_query_t  found;
    ngx_str_t                  cached;     /* data of the cached event; NULL:
                                              there is none */
    ngx_uint_t                 ttl;
} ngx_chat_api_channel_t;


static void ngx_chat_api_write_channels(ngx_chat_json_write_t *w,
    void *data);
static const char *ngx_chat_api_channel_info(ngx_chat_api_channel_t *ch,
    ngx_str_t *info);
static ngx_int_t ngx_chat_api_channel_cached(ngx_http_request_t *r,
    ngx_chat_api_t *api, ngx_chat_api_channel_t *ch);
static void ngx_chat_api_write_channel(ngx_chat_json_write_t *w, void *data);
static void ngx_chat_api_write_users(ngx_chat_json_write_t *w, void *data);


ngx_int_t
ngx_chat_api_channels(ngx_http_request_t *r, ngx_chat_api_t *api)
{
    ngx_str_t            *prefix, *info, empty;
    ngx_chat_api_list_t   list;

    ngx_str_null(&empty);

    prefix = ngx_chat_api_query_get(&api->query, "filter_by_prefix");
    info = ngx_chat_api_query_get(&api->query, "info");

    if (prefix == NULL) {
        prefix = &empty;
    }

    list.info = info ? ngx_chat_trigger_read_info(info) : 0;

    if ((list.info & NGX_CHAT_INFO_USER_COUNT)
        && (prefix->len < 9
            || ngx_memcmp(prefix->data, "presence-", 9) != 0))
    {
        return ngx_chat_reply_line(r, NGX_HTTP_BAD_REQUEST,
                  "user_count may only be requested for presence channels - "
                  "please supply filter_by_prefix beginning with presence-");
    }

    list.list = ngx_array_create(r->pool, 16,
                                 sizeof(ngx_chat_registry_query_t));

    if (list.list == NULL
        || ngx_chat_registry_query_list(api->cmcf->zone, api->app->number,
                                        prefix, list.list, r->pool)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_chat_reply_render(r, NGX_HTTP_OK, ngx_chat_api_write_channels,
                                 &list);
}


static void
ngx_chat_api_write_channels(ngx_chat_json_write_t *w, void *data)
{
    ngx_chat_api_list_t *list = data;

    ngx_uint_t                  i;
    ngx_chat_registry_query_t  *c;

    c = list->list->elts;

    ngx_chat_json_write_object(w);
    ngx_chat_json_write_key(w, "channels");
    ngx_chat_json_write_object(w);

    for (i = 0; i < list->list->nelts; i++) {
        ngx_chat_json_write_name(w, &c[i].name);
        ngx_chat_json_write_object(w);
        ngx_chat_api_write_info(w, list->info, &c[i]);
        ngx_chat_json_write_object_end(w);
    }

    ngx_chat_json_write_object_end(w);
    ngx_chat_json_write_object_end(w);
}


void
ngx_chat_api_write_info(ngx_chat_json_write_t *w, ngx_uint_t info,
    ngx_chat_registry_query_t *c)
{
    if (info & NGX_CHAT_INFO_USER_COUNT) {
        ngx_chat_json_write_key_uint(w, "user_count", c->users);
    }

    if (info & NGX_CHAT_INFO_SUBSCRIPTION_COUNT) {
        ngx_chat_json_write_key_uint(w, "subscription_count",
                                     c->subscriptions);
    }
}


ngx_int_t
ngx_chat_api_channel(ngx_http_request_t *r, ngx_chat_api_t *api)
{
    ngx_str_t               *info;
    const char              *error;
    ngx_chat_api_channel_t   ch;

    if (ngx_chat_name_check(&api->route.name) != NGX_OK) {
        return ngx_chat_reply_line(r, NGX_HTTP_BAD_REQUEST,
                                  "Invalid channel name");
    }

    ngx_memzero(&ch, sizeof(ngx_chat_api_channel_t));

    ch.kind = api->route.kind;
    ch.type = ngx_chat_name_type(&api->route.name);

    info = ngx_chat_api_query_get(&api->query, "info");
    error = info ? ngx_chat_api_channel_info(&ch, info) : NULL;

    if (error) {
        return ngx_chat_reply_line(r, NGX_HTTP_BAD_REQUEST, error);
    }

    if (ch.kind == NGX_CHAT_API_ROUTE_STATS_e
        && (ch.type & NGX_CHAT_CHANNEL_PRESENCE))
    {
        ch.info |= NGX_CHAT_INFO_USER_COUNT;
    }

    ch.found.name = api->route.name;

    ngx_chat_registry_query_count(api->cmcf->zone, api->app->number,
                                  &ch.found);

    /* a user's own channel is not shown as a channel */

    if (ch.type & NGX_CHAT_CHANNEL_USER) {
        ch.found.subscriptions = 0;
    }

    if ((ch.info & NGX_CHAT_INFO_CACHE)
        && ngx_chat_api_channel_cached(r, api, &ch) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_chat_reply_render(r, NGX_HTTP_OK, ngx_chat_api_write_channel,
                                 &ch);
}


static const char *
ngx_chat_api_channel_info(ngx_chat_api_channel_t *ch, ngx_str_t *info)
{
    ch->info = ngx_chat_trigger_read_info(info);

    if ((ch->info & NGX_CHAT_INFO_USER_COUNT)
        && !(ch->type & NGX_CHAT_CHANNEL_PRESENCE))
    {
        return "Cannot retrieve the user count unless the channel is a "
               "presence channel";
    }

    if ((ch->info & NGX_CHAT_INFO_CACHE)
        && !(ch->type & NGX_CHAT_CHANNEL_CACHE))
    {
        return "Cannot retrieve the cache unless the channel is a cache "
               "channel";
    }

    return NULL;
}


/* Takes the data of the cached event out of the text that clients get. */

static ngx_int_t
ngx_chat_api_channel_cached(ngx_http_request_t *r, ngx_chat_api_t *api,
    ngx_chat_api_channel_t *ch)
{
    ngx_int_t               rc;
    ngx_str_t               event;
    ngx_chat_json_t         json;
    ngx_chat_json_value_t  *v, *data;

    rc = ngx_chat_registry_query_cached(api->cmcf->zone, api->app->number,
                                        &ch->found.name, &event, &ch->ttl,
                                        r->pool);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
    }

    ngx_chat_request_json(r, &json);

    if (ngx_chat_json_parse(&json, event.data, event.len, &v) != NGX_OK) {
        return NGX_ERROR;
    }

    data = ngx_chat_json_member(v, "data");

    if (data == NULL || data->type != NGX_CHAT_JSON_STRING_e) {
        return NGX_ERROR;
    }

    ch->cached = data->text;

    if (ch->cached.data == NULL) {
        ngx_str_set(&ch->cached, "");
    }

    return NGX_OK;
}


static void
ngx_chat_api_write_channel(ngx_chat_json_write_t *w, void *data)
{
    ngx_chat_api_channel_t *ch = data;

    ngx_chat_json_write_object(w);
    ngx_chat_json_write_key(w, "occupied");
    ngx_chat_json_write_bool(w, ch->found.subscriptions != 0);

    ngx_chat_api_write_info(w, ch->info, &ch->found);

    if (ch->kind == NGX_CHAT_API_ROUTE_STATS_e) {
        ngx_chat_json_write_key_uint(w, "connection_count",
                                     ch->found.subscriptions);
    }

    if (ch->info & NGX_CHAT_INFO_CACHE) {
        ngx_chat_json_write_key(w, "cache");

        if (ch->cached.data) {
            ngx_chat_json_write_object(w);
            ngx_chat_json_write_key(w, "data");
            ngx_chat_json_write_string(w, &ch->cached);
            ngx_chat_json_write_key_uint(w, "ttl", ch->ttl);
            ngx_chat_json_write_object_end(w);

        } else {
            ngx_chat_json_write_null(w);
        }
    }

    ngx_chat_json_write_object_end(w);
}


ngx_int_t
ngx_chat_api_users(ngx_http_request_t *r, ngx_chat_api_t *api)
{
    ngx_str_t  members;

    if (ngx_chat_name_check(&api->route.name) != NGX_OK) {
        return ngx_chat_reply_line(r, NGX_HTTP_BAD_REQUEST,
                                  "Invalid channel name");
    }

    if (!(ngx_chat_name_type(&api->route.name) & NGX_CHAT_CHANNEL_PRESENCE)) {
        return ngx_chat_reply_line(r, NGX_HTTP_BAD_REQUEST,
                                  "Users can only be retrieved for presence "
                                  "channels");
    }

    if (ngx_chat_registry_query_members(api->cmcf->zone, api->app->number,
                                        &api->route.name, &members, r->pool)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_chat_reply_render(r, NGX_HTTP_OK, ngx_chat_api_write_users,
                                 &members);
}


static void
ngx_chat_api_write_users(ngx_chat_json_write_t *w, void *data)
{
    ngx_str_t *members = data;

    u_char     *p, *last;
    ngx_str_t   user, info;

    p = members->data;
    last = p + members->len;

    ngx_chat_json_write_object(w);
    ngx_chat_json_write_key(w, "users");
    ngx_chat_json_write_array(w);

    while (ngx_chat_presence_entry_read(&p, last, &user, &info) == NGX_OK) {
        ngx_chat_json_write_object(w);
        ngx_chat_json_write_key(w, "id");
        ngx_chat_json_write_string(w, &user);
        ngx_chat_json_write_object_end(w);
    }

    ngx_chat_json_write_array_end(w);
    ngx_chat_json_write_object_end(w);
}


/* Ends all connections that have signed in as the user, on all workers. */

ngx_int_t
ngx_chat_api_terminate(ngx_http_request_t *r, ngx_chat_api_t *api)
{
    ngx_chat_envelope_t  e;

    static ngx_str_t  prefix = ngx_string(NGX_CHAT_NAME_USER);
    static ngx_str_t  none = ngx_string("{}");

    if (api->route.name.len > NGX_CHAT_MEMBER_ID_MAX) {
        return ngx_chat_reply_line(r, NGX_HTTP_BAD_REQUEST, "Invalid user id");
    }

    ngx_memzero(&e, sizeof(ngx_chat_envelope_t));

    e.type = NGX_CHAT_ENVELOPE_TERMINATE_e;
    e.app = api->app->number;
    e.channel.len = prefix.len + api->route.name.len;
    e.channel.data = ngx_pnalloc(r->pool, e.channel.len);

    if (e.channel.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(ngx_cpymem(e.channel.data, prefix.data, prefix.len),
               api->route.name.data, api->route.name.len);

    (void) ngx_chat_hub_publish(api->cmcf->zone, &e, 0, NULL);

    return ngx_chat_reply_send(r, NGX_HTTP_OK, &none);
}
