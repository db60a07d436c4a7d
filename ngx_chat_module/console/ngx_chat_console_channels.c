
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The console's list of channels.  All of an app's are looked at, and only the
 * first of them in the order asked for are kept: however many there are, the
 * list and the answer are short.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <console/ngx_chat_console.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_scan.h>
#include <pusher/ngx_chat_api_query.h>
#include <pusher/ngx_chat_name.h>


#define NGX_CHAT_CONSOLE_CHANNELS      100
#define NGX_CHAT_CONSOLE_CHANNELS_MAX  500


typedef struct {
    ngx_uint_t                subscriptions;
    ngx_uint_t                users;
    size_t                    len;
    u_char                    name[NGX_CHAT_CHANNEL_NAME_MAX];
} ngx_chat_console_channel_t;


typedef struct {
    ngx_chat_scan_t              scan;     /* first */
    ngx_uint_t                   total;    /* that have the prefix */
    ngx_uint_t                   by_name;  /* else by subscriptions */
    ngx_str_t                    after;    /* a name; empty: from the first */
    ngx_uint_t                   limit;
    ngx_uint_t                   n;
    ngx_chat_console_channel_t  *channels; /* in order */
} ngx_chat_console_channels_t;


static const char *ngx_chat_console_channels_args(
    ngx_chat_console_channels_t *list, ngx_chat_api_query_t *query);
static ngx_int_t ngx_chat_console_channels_part(ngx_chat_scan_t *scan);
static void ngx_chat_console_channels_add(ngx_chat_console_channels_t *list,
    ngx_chat_registry_query_t *c);
static ngx_int_t ngx_chat_console_channels_compare(
    ngx_chat_console_channels_t *list, ngx_chat_registry_query_t *c,
    ngx_chat_console_channel_t *other);
static ngx_int_t ngx_chat_console_channels_answer(ngx_http_request_t *r,
    void *data);
static void ngx_chat_console_channels_write(ngx_chat_json_write_t *w,
    void *data);


ngx_int_t
ngx_chat_console_channels(ngx_http_request_t *r, ngx_chat_app_t *app)
{
    u_char                       *p;
    ngx_int_t                     rc;
    const char                   *error;
    ngx_chat_api_query_t          query;
    ngx_chat_main_conf_t         *cmcf;
    ngx_chat_console_channels_t  *list;

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    list = ngx_pcalloc(r->pool, sizeof(ngx_chat_console_channels_t));
    p = ngx_palloc(r->pool, ngx_chat_api_query_size(r->args.data,
                                                    r->args.len));

    if (list == NULL || p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_chat_api_query_read(&query, r->args.data, r->args.len, p);

    error = (rc == NGX_OK) ? ngx_chat_console_channels_args(list, &query)
                           : "Too many parameters";

    if (error) {
        return ngx_chat_reply_line(r, NGX_HTTP_BAD_REQUEST, error);
    }

    list->channels = ngx_palloc(r->pool, list->limit
                                         * sizeof(ngx_chat_console_channel_t));
    if (list->channels == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    list->scan.request = r;
    list->scan.zone = cmcf->zone;
    list->scan.app = app->number;
    list->scan.part = ngx_chat_console_channels_part;
    list->scan.answer = ngx_chat_console_channels_answer;

    return ngx_chat_scan_start(&list->scan);
}


/* NULL, or what is wrong. */

static const char *
ngx_chat_console_channels_args(ngx_chat_console_channels_t *list,
    ngx_chat_api_query_t *query)
{
    ngx_int_t   n;
    ngx_str_t  *arg;

    arg = ngx_chat_api_query_get(query, "filter_by_prefix");

    if (arg) {
        list->scan.prefix = *arg;
    }

    arg = ngx_chat_api_query_get(query, "sort");

    if (arg && arg->len == 4 && ngx_strncmp(arg->data, "name", 4) == 0) {
        list->by_name = 1;

    } else if (arg
               && (arg->len != 13
                   || ngx_strncmp(arg->data, "subscriptions", 13) != 0))
    {
        return "sort must be name or subscriptions";
    }

    arg = ngx_chat_api_query_get(query, "after");

    if (arg && !list->by_name) {
        return "after needs sort=name";
    }

    if (arg) {
        list->after = *arg;
    }

    list->limit = NGX_CHAT_CONSOLE_CHANNELS;

    arg = ngx_chat_api_query_get(query, "limit");

    if (arg) {
        n = ngx_atoi(arg->data, arg->len);

        if (n < 1 || n > NGX_CHAT_CONSOLE_CHANNELS_MAX) {
            return "limit must be a number from 1 to 500";
        }

        list->limit = n;
    }

    return NULL;
}


/* Takes what a turn has found. */

static ngx_int_t
ngx_chat_console_channels_part(ngx_chat_scan_t *scan)
{
    ngx_uint_t                    i;
    ngx_chat_registry_query_t    *c;
    ngx_chat_console_channels_t  *list;

    list = (ngx_chat_console_channels_t *) scan;
    c = scan->found.elts;

    list->total += scan->found.nelts;

    for (i = 0; i < scan->found.nelts; i++) {

        if (list->after.len
            && ngx_memn2cmp(c[i].name.data, list->after.data, c[i].name.len,
                            list->after.len)
               <= 0)
        {
            continue;
        }

        if (c[i].name.len <= NGX_CHAT_CHANNEL_NAME_MAX) {
            ngx_chat_console_channels_add(list, &c[i]);
        }
    }

    return NGX_OK;
}


/* Puts a channel where it belongs, if that is among the first. */

static void
ngx_chat_console_channels_add(ngx_chat_console_channels_t *list,
    ngx_chat_registry_query_t *c)
{
    ngx_uint_t                   low, high, middle;
    ngx_chat_console_channel_t  *place;

    low = 0;
    high = list->n;

    while (low < high) {
        middle = (low + high) / 2;

        if (ngx_chat_console_channels_compare(list, c, &list->channels[middle])
            < 0)
        {
            high = middle;

        } else {
            low = middle + 1;
        }
    }

    if (low == list->limit) {
        return;
    }

    if (list->n < list->limit) {
        list->n++;
    }

    place = &list->channels[low];

    ngx_memmove(place + 1, place, (list->n - 1 - low)
                                  * sizeof(ngx_chat_console_channel_t));

    place->subscriptions = c->subscriptions;
    place->users = c->users;
    place->len = c->name.len;
    ngx_memcpy(place->name, c->name.data, c->name.len);
}


/* Below 0: c comes before the other one. */

static ngx_int_t
ngx_chat_console_channels_compare(ngx_chat_console_channels_t *list,
    ngx_chat_registry_query_t *c, ngx_chat_console_channel_t *other)
{
    if (!list->by_name && c->subscriptions != other->subscriptions) {
        return (c->subscriptions > other->subscriptions) ? -1 : 1;
    }

    return ngx_memn2cmp(c->name.data, other->name, c->name.len, other->len);
}


/* A ngx_chat_request_pt. */

static ngx_int_t
ngx_chat_console_channels_answer(ngx_http_request_t *r, void *data)
{
    ngx_chat_console_channels_t *list = data;

    if (list->scan.rc != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_chat_reply_render(r, NGX_HTTP_OK,
                                 ngx_chat_console_channels_write, list);
}


static void
ngx_chat_console_channels_write(ngx_chat_json_write_t *w, void *data)
{
    ngx_chat_console_channels_t *list = data;

    ngx_str_t                    name;
    ngx_uint_t                   i;
    ngx_chat_console_channel_t  *c;

    ngx_chat_json_write_object(w);
    ngx_chat_json_write_key_uint(w, "total", list->total);
    ngx_chat_json_write_key(w, "channels");
    ngx_chat_json_write_array(w);

    for (i = 0; i < list->n; i++) {
        c = &list->channels[i];

        name.data = c->name;
        name.len = c->len;

        ngx_chat_json_write_object(w);
        ngx_chat_json_write_key(w, "name");
        ngx_chat_json_write_string(w, &name);
        ngx_chat_json_write_key_uint(w, "subscriptions", c->subscriptions);

        if (ngx_chat_name_type(&name) & NGX_CHAT_CHANNEL_PRESENCE) {
            ngx_chat_json_write_key_uint(w, "users", c->users);
        }

        ngx_chat_json_write_object_end(w);
    }

    ngx_chat_json_write_array_end(w);
    ngx_chat_json_write_object_end(w);
}
