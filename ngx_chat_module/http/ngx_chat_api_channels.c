
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
#include <http/ngx_chat_commit.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_scan.h>
#include <pusher/ngx_chat_member.h>
#include <pusher/ngx_chat_name.h>
#include <shared/ngx_chat_presence.h>


typedef struct {
    ngx_chat_scan_t            scan;       /* first */
    ngx_uint_t                 info;
    ngx_array_t                parts;      /* of ngx_str_t, all turns' JSON */
    size_t                     len;        /* of all, with commas behind */
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


typedef struct {
    ngx_str_t                  members;    /* as the registry lists them */
    ngx_uint_t                 is_operator;    /* who sees their info, too */
} ngx_chat_api_users_t;


static ngx_int_t ngx_chat_api_list_part(ngx_chat_scan_t *scan);
static ngx_int_t ngx_chat_api_list_answer(ngx_http_request_t *r, void *data);
static void ngx_chat_api_write_channels(ngx_chat_json_write_t *w,
    void *data);
static const char *ngx_chat_api_channel_info(ngx_chat_api_channel_t *ch,
    ngx_str_t *info);
static ngx_int_t ngx_chat_api_channel_cached(ngx_http_request_t *r,
    ngx_chat_api_t *api, ngx_chat_api_channel_t *ch);
static void ngx_chat_api_write_channel(ngx_chat_json_write_t *w, void *data);
static void ngx_chat_api_write_users(ngx_chat_json_write_t *w, void *data);
static ngx_int_t ngx_chat_api_terminate_done(ngx_http_request_t *r,
    void *data);
static ngx_int_t ngx_chat_api_terminated(ngx_http_request_t *r, ngx_int_t rc);


ngx_int_t
ngx_chat_api_channels(ngx_http_request_t *r, ngx_chat_api_t *api)
{
    ngx_str_t            *prefix, *info;
    const char           *error;
    ngx_chat_scan_t      *scan;
    ngx_chat_api_list_t  *list;

    list = ngx_pcalloc(r->pool, sizeof(ngx_chat_api_list_t));

    if (list == NULL
        || ngx_array_init(&list->parts, r->pool, 4, sizeof(ngx_str_t))
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    scan = &list->scan;

    scan->request = r;
    scan->zone = api->cmcf->zone;
    scan->app = api->app->number;
    scan->part = ngx_chat_api_list_part;
    scan->answer = ngx_chat_api_list_answer;

    prefix = ngx_chat_api_query_get(&api->query, "filter_by_prefix");
    info = ngx_chat_api_query_get(&api->query, "info");

    if (prefix) {
        scan->prefix = *prefix;
    }

    error = info ? ngx_chat_trigger_read_info(info, &list->info) : NULL;

    if (error) {
        return ngx_chat_reply_line(r, NGX_HTTP_BAD_REQUEST, error);
    }

    if ((list->info & NGX_CHAT_INFO_USER_COUNT)
        && (scan->prefix.len < 9
            || ngx_memcmp(scan->prefix.data, "presence-", 9) != 0))
    {
        return ngx_chat_reply_line(r, NGX_HTTP_BAD_REQUEST,
                  "user_count may only be requested for presence channels - "
                  "please supply filter_by_prefix beginning with presence-");
    }

    return ngx_chat_scan_start(scan);
}


/* Writes the JSON of what a turn has found. */

static ngx_int_t
ngx_chat_api_list_part(ngx_chat_scan_t *scan)
{
    ngx_str_t            *part;
    ngx_chat_api_list_t  *list;

    list = (ngx_chat_api_list_t *) scan;

    part = ngx_array_push(&list->parts);

    if (part == NULL
        || ngx_chat_request_render(scan->request, ngx_chat_api_write_channels,
                                   list, part)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* the braces are those of all parts together */

    part->data++;
    part->len -= 2;

    list->len += part->len + 1;

    return NGX_OK;
}


/* A ngx_chat_request_pt. */

static ngx_int_t
ngx_chat_api_list_answer(ngx_http_request_t *r, void *data)
{
    ngx_chat_api_list_t *list = data;

    u_char      *p;
    ngx_str_t   *parts, text;
    ngx_uint_t   i;

    if (list->scan.rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    text.data = ngx_pnalloc(r->pool, sizeof("{\"channels\":{}}") + list->len);
    if (text.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    parts = list->parts.elts;
    p = ngx_cpymem(text.data, "{\"channels\":{", 13);

    for (i = 0; i < list->parts.nelts; i++) {

        if (i) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, parts[i].data, parts[i].len);
    }

    *p++ = '}';
    *p++ = '}';
    text.len = p - text.data;

    return ngx_chat_reply_send(r, NGX_HTTP_OK, &text);
}


/* The channels of this turn, as an object. */

static void
ngx_chat_api_write_channels(ngx_chat_json_write_t *w, void *data)
{
    ngx_chat_api_list_t *list = data;

    ngx_uint_t                  i;
    ngx_chat_registry_query_t  *c;

    c = list->scan.found.elts;

    ngx_chat_json_write_object(w);

    for (i = 0; i < list->scan.found.nelts; i++) {
        ngx_chat_json_write_name(w, &c[i].name);
        ngx_chat_json_write_object(w);
        ngx_chat_api_write_info(w, list->info, &c[i]);
        ngx_chat_json_write_object_end(w);
    }

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
    const char  *error;

    error = ngx_chat_trigger_read_info(info, &ch->info);

    if (error) {
        return error;
    }

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

    ngx_chat_request_json(r->pool, &json);

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
    ngx_chat_api_users_t  users;

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
                                        &api->route.name, &users.members,
                                        r->pool)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    users.is_operator = api->is_operator;

    return ngx_chat_reply_render(r, NGX_HTTP_OK, ngx_chat_api_write_users,
                                 &users);
}


static void
ngx_chat_api_write_users(ngx_chat_json_write_t *w, void *data)
{
    ngx_chat_api_users_t *users = data;

    u_char     *p, *last;
    ngx_str_t   user, info;

    p = users->members.data;
    last = p + users->members.len;

    ngx_chat_json_write_object(w);
    ngx_chat_json_write_key(w, "users");
    ngx_chat_json_write_array(w);

    while (ngx_chat_presence_entry_read(&p, last, &user, &info) == NGX_OK) {
        ngx_chat_json_write_object(w);
        ngx_chat_json_write_key(w, "id");
        ngx_chat_json_write_string(w, &user);

        if (users->is_operator && info.len) {
            ngx_chat_json_write_key(w, "info");
            ngx_chat_json_write_json(w, &info);
        }

        ngx_chat_json_write_object_end(w);
    }

    ngx_chat_json_write_array_end(w);
    ngx_chat_json_write_object_end(w);
}


/* Ends all connections that have signed in as the user, on all workers. */

ngx_int_t
ngx_chat_api_terminate(ngx_http_request_t *r, ngx_chat_api_t *api)
{
    ngx_int_t             rc;
    ngx_chat_record_t     rec;
    ngx_chat_socket_id_t  nobody;

    static ngx_str_t  prefix = ngx_string(NGX_CHAT_NAME_USER);

    if (api->route.name.len > NGX_CHAT_MEMBER_ID_MAX) {
        return ngx_chat_reply_line(r, NGX_HTTP_BAD_REQUEST, "Invalid user id");
    }

    ngx_memzero(&rec, sizeof(ngx_chat_record_t));
    ngx_memzero(&nobody, sizeof(ngx_chat_socket_id_t));

    rec.kind = NGX_CHAT_MESSAGE_TERMINATE_e;
    rec.app = api->app->number;
    rec.channel.len = prefix.len + api->route.name.len;
    rec.channel.data = ngx_pnalloc(r->pool, rec.channel.len);

    if (rec.channel.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(ngx_cpymem(rec.channel.data, prefix.data, prefix.len),
               api->route.name.data, api->route.name.len);

    if (api->cmcf->store.link == NULL) {
        rc = ngx_chat_store_hooks_append(&api->cmcf->store_hooks, &rec,
                                         &nobody, NULL, NULL,
                                         r->connection->log);

        return ngx_chat_api_terminated(r, rc);
    }

    rc = ngx_chat_commit(r, &rec, &nobody, 1, ngx_chat_api_terminate_done,
                         NULL);

    return (rc == NGX_DONE) ? NGX_DONE : ngx_chat_api_terminated(r, rc);
}


/* A ngx_chat_request_pt. */

static ngx_int_t
ngx_chat_api_terminate_done(ngx_http_request_t *r, void *data)
{
    ngx_chat_commit_t *c = data;

    return ngx_chat_api_terminated(r, c->rc);
}


static ngx_int_t
ngx_chat_api_terminated(ngx_http_request_t *r, ngx_int_t rc)
{
    static ngx_str_t  none = ngx_string("{}");

    if (rc == NGX_OK) {
        return ngx_chat_reply_send(r, NGX_HTTP_OK, &none);
    }

    return ngx_chat_reply_line(r, (rc == NGX_ABORT)
                                  ? NGX_HTTP_GATEWAY_TIME_OUT
                                  : NGX_HTTP_SERVICE_UNAVAILABLE,
                               "The connections can't be ended now");
}
