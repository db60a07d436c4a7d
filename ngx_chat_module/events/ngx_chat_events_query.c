
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The request of chat_events: whose channels, from where on, in which form.
 *
 * Where the configuration has the channels, nginx's access control is what
 * protects them.  Otherwise the client names them, and private ones need a
 * signature, as requests of the HTTP API do.  The query is read as the client
 * wrote it, since that is what was signed.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <events/ngx_chat_events_query.h>
#include <http/ngx_chat_client.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_reply.h>
#include <pusher/ngx_chat_error.h>
#include <pusher/ngx_chat_name.h>
#include <wire/ngx_chat_accept_header.h>


#define NGX_CHAT_EVENTS_QUERY_TIMEOUT      25     /* s */
#define NGX_CHAT_EVENTS_QUERY_TIMEOUT_MAX  55


/* The path and the parameters, as on the request line. */

typedef struct {
    ngx_str_t                path;
    ngx_str_t                args;
    ngx_chat_api_query_t     query;
} ngx_chat_events_query_line_t;


static ngx_int_t ngx_chat_events_query_line(ngx_http_request_t *r,
    ngx_chat_events_query_line_t *line);
static ngx_int_t ngx_chat_events_query_app(ngx_chat_events_query_t *q,
    ngx_http_request_t *r, ngx_int_t *rc);
static ngx_int_t ngx_chat_events_query_channels(ngx_chat_events_query_t *q,
    ngx_http_request_t *r, ngx_chat_events_query_line_t *line, ngx_int_t *rc);
static ngx_int_t ngx_chat_events_query_fixed(ngx_chat_events_query_t *q,
    ngx_http_request_t *r, const char **error);
static const char *ngx_chat_events_query_list(ngx_chat_events_query_t *q,
    ngx_str_t *list);
static const char *ngx_chat_events_query_add(ngx_chat_events_query_t *q,
    ngx_str_t *name);
static ngx_uint_t ngx_chat_events_query_is_private(ngx_chat_events_query_t *q);
static ngx_int_t ngx_chat_events_query_signature(ngx_chat_events_query_t *q,
    ngx_http_request_t *r, ngx_chat_events_query_line_t *line, ngx_int_t *rc);
static void ngx_chat_events_query_position(ngx_chat_events_query_t *q,
    ngx_http_request_t *r, ngx_chat_events_query_line_t *line);
static void ngx_chat_events_query_form(ngx_chat_events_query_t *q,
    ngx_http_request_t *r, ngx_chat_events_query_line_t *line);
static ngx_uint_t ngx_chat_events_query_is_set(
    ngx_chat_events_query_line_t *line, const char *name);
static ngx_int_t ngx_chat_events_query_refuse(ngx_http_request_t *r,
    ngx_uint_t status, const char *text, ngx_int_t *rc);


ngx_int_t
ngx_chat_events_query_read(ngx_chat_events_query_t *q, ngx_http_request_t *r,
    ngx_chat_app_t *app, ngx_int_t *rc)
{
    ngx_chat_events_query_line_t  line;

    ngx_memzero(q, sizeof(ngx_chat_events_query_t));

    q->app = app;
    q->is_operator = (app != NULL);

    *rc = ngx_chat_events_query_line(r, &line);

    if (*rc == NGX_DECLINED) {
        return ngx_chat_events_query_refuse(r, NGX_HTTP_BAD_REQUEST,
                                            "Too many parameters", rc);
    }

    if (*rc != NGX_OK) {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_DONE;
    }

    if ((app == NULL && ngx_chat_events_query_app(q, r, rc) != NGX_OK)
        || ngx_chat_events_query_channels(q, r, &line, rc) != NGX_OK)
    {
        return NGX_DONE;
    }

    if (app == NULL
        && !q->is_fixed
        && (q->app->authorization_timeout
            || ngx_chat_events_query_is_private(q))
        && ngx_chat_events_query_signature(q, r, &line, rc) != NGX_OK)
    {
        return NGX_DONE;
    }

    ngx_chat_events_query_position(q, r, &line);
    ngx_chat_events_query_form(q, r, &line);

    return NGX_OK;
}


/* NGX_OK; NGX_DECLINED: too many parameters; NGX_ERROR. */

static ngx_int_t
ngx_chat_events_query_line(ngx_http_request_t *r,
    ngx_chat_events_query_line_t *line)
{
    u_char  *p, *last;

    /* the path as the client has signed it; the rest may be rewritten */

    line->path = r->unparsed_uri;
    line->args = r->args;

    last = line->path.data + line->path.len;
    p = ngx_strlchr(line->path.data, last, '?');

    if (p) {
        line->path.len = p - line->path.data;
    }

    p = ngx_palloc(r->pool, ngx_chat_api_query_size(line->args.data,
                                                    line->args.len));
    if (p == NULL) {
        return NGX_ERROR;
    }

    return ngx_chat_api_query_read(&line->query, line->args.data,
                                   line->args.len, p);
}


/*
 * The app of the configuration, or of the key that ends the path.  An answer
 * other than 200 tells an EventSource not to come back.
 */

static ngx_int_t
ngx_chat_events_query_app(ngx_chat_events_query_t *q, ngx_http_request_t *r,
    ngx_int_t *rc)
{
    u_char                 *p;
    ngx_str_t               key;
    ngx_chat_loc_conf_t    *clcf;
    ngx_chat_main_conf_t   *cmcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    if (clcf->events->channels) {
        q->is_fixed = 1;
        q->app = clcf->events->ref.app;

    } else {
        cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

        key.data = r->uri.data;
        key.len = r->uri.len;

        for (p = r->uri.data + r->uri.len; p > r->uri.data; p--) {

            if (p[-1] == '/') {
                key.len = r->uri.data + r->uri.len - p;
                key.data = p;
                break;
            }
        }

        q->app = ngx_chat_app_of_key(&cmcf->apps, &key);
    }

    if (q->app == NULL) {
        return ngx_chat_events_query_refuse(r, NGX_HTTP_NOT_FOUND,
                                            "Unknown app key", rc);
    }

    switch (ngx_chat_client_check_app(r, q->app)) {

    case 0:
        return NGX_OK;

    case NGX_CHAT_ERROR_DISABLED:
        *rc = NGX_HTTP_NO_CONTENT;
        return NGX_DONE;

    default: /* NGX_CHAT_ERROR_TLS_ONLY */
        return ngx_chat_events_query_refuse(r, NGX_HTTP_FORBIDDEN,
                                            "App accepts TLS only", rc);
    }
}


static ngx_int_t
ngx_chat_events_query_channels(ngx_chat_events_query_t *q,
    ngx_http_request_t *r, ngx_chat_events_query_line_t *line, ngx_int_t *rc)
{
    ngx_uint_t    i;
    ngx_str_t    *list;
    const char   *error;

    if (q->is_fixed) {
        error = NULL;

        if (ngx_chat_events_query_fixed(q, r, &error) != NGX_OK) {
            *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
            return NGX_DONE;
        }

    } else {
        list = ngx_chat_api_query_get(&line->query, "channels");
        error = list ? ngx_chat_events_query_list(q, list)
                     : "Missing parameter: channels";
    }

    if (error == NULL && q->n == 0) {
        error = "No channels are given";
    }

    if (error == NULL
        && !q->is_fixed
        && q->app->channels_per_connection
        && q->n > (ngx_uint_t) q->app->channels_per_connection)
    {
        error = "Too many channels (channels_per_connection)";
    }

    if (error) {
        return ngx_chat_events_query_refuse(r, NGX_HTTP_BAD_REQUEST, error,
                                            rc);
    }

    for (i = 0; i < q->n; i++) {
        if (ngx_chat_name_type(&q->channels[i]) & NGX_CHAT_CHANNEL_USER) {
            return ngx_chat_events_query_refuse(r, NGX_HTTP_FORBIDDEN,
                             "A user's own channel is for that user only", rc);
        }
    }

    return NGX_OK;
}


/*
 * Each value is one channel, whatever is in its variables: a comma in what a
 * client has sent does not lead to another one.
 */

static ngx_int_t
ngx_chat_events_query_fixed(ngx_chat_events_query_t *q, ngx_http_request_t *r,
    const char **error)
{
    ngx_str_t                  name;
    ngx_uint_t                 i;
    ngx_array_t               *channels;
    ngx_chat_loc_conf_t       *clcf;
    ngx_http_complex_value_t  *values;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    channels = clcf->events->channels;
    values = channels->elts;

    for (i = 0; i < channels->nelts && *error == NULL; i++) {

        if (ngx_http_complex_value(r, &values[i], &name) != NGX_OK) {
            return NGX_ERROR;
        }

        *error = ngx_chat_events_query_add(q, &name);
    }

    return NGX_OK;
}


/* NULL, or what is wrong. */

static const char *
ngx_chat_events_query_list(ngx_chat_events_query_t *q, ngx_str_t *list)
{
    ngx_str_t    name, rest;
    const char  *error;

    error = NULL;
    rest = *list;

    while (error == NULL
           && ngx_chat_request_next_item(&rest, &name) == NGX_OK)
    {
        error = ngx_chat_events_query_add(q, &name);
    }

    return error;
}


/* The same.  A channel that is named twice counts once. */

static const char *
ngx_chat_events_query_add(ngx_chat_events_query_t *q, ngx_str_t *name)
{
    ngx_uint_t  i;

    if (ngx_chat_name_check(name) != NGX_OK) {
        return "Invalid channel name";
    }

    for (i = 0; i < q->n; i++) {
        if (q->channels[i].len == name->len
            && ngx_memcmp(q->channels[i].data, name->data, name->len) == 0)
        {
            return NULL;
        }
    }

    if (q->n == NGX_CHAT_EVENTS_CHANNELS) {
        return "Too many channels, at most 100 are given at a time";
    }

    q->channels[q->n++] = *name;

    return NULL;
}


static ngx_uint_t
ngx_chat_events_query_is_private(ngx_chat_events_query_t *q)
{
    ngx_uint_t  i;

    for (i = 0; i < q->n; i++) {
        if (ngx_chat_name_type(&q->channels[i]) & NGX_CHAT_CHANNEL_PRIVATE) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_chat_events_query_signature(ngx_chat_events_query_t *q,
    ngx_http_request_t *r, ngx_chat_events_query_line_t *line, ngx_int_t *rc)
{
    ngx_chat_api_auth_t  auth;

    auth.method = r->method_name;
    auth.path = line->path;
    auth.query = &line->query;
    auth.now = ngx_time();
    auth.window = q->app->timestamp_window;

    auth.scratch = ngx_pnalloc(r->pool, line->args.len + line->query.n);
    if (auth.scratch == NULL) {
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_DONE;
    }

    switch (ngx_chat_api_auth_check(&auth, q->app)) {

    case NGX_OK:
        return NGX_OK;

    case NGX_DECLINED:
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "client's chat_events request is refused: %ui",
                      auth.status);

        *rc = ngx_chat_reply_text(r, auth.status, &auth.error);
        return NGX_DONE;

    default:
        *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        return NGX_DONE;
    }
}


/* The header of an EventSource is newer than its URL, which never changes. */

static void
ngx_chat_events_query_position(ngx_chat_events_query_t *q,
    ngx_http_request_t *r, ngx_chat_events_query_line_t *line)
{
    ngx_uint_t   i;
    ngx_str_t   *arg, *value;

    static const char  *names[] = { "last_event_id", "lasteventid" };

    value = &q->position;

    if (ngx_chat_request_header(r, "last-event-id", value) != NGX_OK) {
        ngx_str_null(value);
    }

    for (i = 0; i < sizeof(names) / sizeof(names[0]) && value->len == 0; i++) {

        arg = ngx_chat_api_query_get(&line->query, names[i]);

        if (arg) {
            *value = *arg;
        }
    }

    if (value->len == 0
        && ngx_chat_request_header(r, "if-none-match", value) == NGX_OK)
    {
        if (value->len > 2 && ngx_strncmp(value->data, "W/", 2) == 0) {
            value->data += 2;
            value->len -= 2;
        }

        if (value->len >= 2
            && value->data[0] == '"' && value->data[value->len - 1] == '"')
        {
            value->data++;
            value->len -= 2;
        }
    }

    if (value->len == 8 && ngx_strncmp(value->data, "earliest", 8) == 0) {
        q->earliest = 1;
    }
}


static void
ngx_chat_events_query_form(ngx_chat_events_query_t *q, ngx_http_request_t *r,
    ngx_chat_events_query_line_t *line)
{
    ngx_int_t                 n;
    ngx_str_t                 accept, *timeout;
    ngx_chat_accept_header_t  json, stream;

    q->is_raw = ngx_chat_events_query_is_set(line, "raw");
    q->is_poll = ngx_chat_events_query_is_set(line, "poll");

    if (ngx_chat_request_header(r, "accept", &accept) == NGX_OK) {

        ngx_chat_accept_header_type(&json, &accept, "application/json");
        ngx_chat_accept_header_type(&stream, &accept, "text/event-stream");

        if (json.named == 2 && json.quality
            && (json.quality > stream.quality || stream.named < 2))
        {
            q->is_poll = 1;
        }
    }

    timeout = ngx_chat_api_query_get(&line->query, "timeout");
    n = timeout ? ngx_atoi(timeout->data, timeout->len) : NGX_ERROR;

    q->timeout = (n == NGX_ERROR)
                 ? NGX_CHAT_EVENTS_QUERY_TIMEOUT
                 : ngx_min(n, NGX_CHAT_EVENTS_QUERY_TIMEOUT_MAX);
}


/* "0" is as if the parameter were not there. */

static ngx_uint_t
ngx_chat_events_query_is_set(ngx_chat_events_query_line_t *line,
    const char *name)
{
    ngx_str_t  *value;

    value = ngx_chat_api_query_get(&line->query, name);

    return value && !(value->len == 1 && value->data[0] == '0');
}


static ngx_int_t
ngx_chat_events_query_refuse(ngx_http_request_t *r, ngx_uint_t status,
    const char *text, ngx_int_t *rc)
{
    *rc = ngx_chat_reply_line(r, status, text);

    return NGX_DONE;
}
