
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The console's list of apps: their limits as they are configured, and what
 * they use.  A secret is never shown.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <console/ngx_chat_console.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_reply.h>
#include <pusher/ngx_chat_name.h>
#include <shared/ngx_chat_registry_query.h>
#include <shared/ngx_chat_stats.h>


typedef struct {
    ngx_chat_app_t           *app;
    ngx_uint_t                connections;
    ngx_chat_stats_app_t      stats;
} ngx_chat_console_app_t;


typedef struct {
    ngx_chat_console_app_t   *apps;
    ngx_uint_t                n;
    ngx_uint_t                stored;      /* there is a database */
} ngx_chat_console_apps_t;


static void ngx_chat_console_apps_write(ngx_chat_json_write_t *w, void *data);
static void ngx_chat_console_app_write(ngx_chat_json_write_t *w,
    ngx_chat_console_app_t *a, ngx_uint_t stored);
static void ngx_chat_console_app_bool(ngx_chat_json_write_t *w,
    const char *name, ngx_flag_t on);


ngx_int_t
ngx_chat_console_apps(ngx_http_request_t *r)
{
    ngx_uint_t                  i;
    ngx_chat_app_t             *app;
    ngx_chat_console_app_t     *a;
    ngx_chat_main_conf_t       *cmcf;
    ngx_chat_console_apps_t     apps;
    ngx_chat_registry_query_t   found;

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    app = cmcf->apps.elts;

    apps.n = cmcf->apps.nelts;
    apps.stored = (cmcf->live != NULL);
    apps.apps = ngx_palloc(r->pool, apps.n * sizeof(ngx_chat_console_app_t));

    if (apps.apps == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (i = 0; i < apps.n; i++) {
        a = &apps.apps[i];
        a->app = &app[i];
        a->connections = 0;

        ngx_chat_stats_take_app(cmcf->zone, app[i].number, &a->stats);

        /* they are counted where there is a limit */

        if (app[i].max_connections) {
            ngx_str_set(&found.name, NGX_CHAT_NAME_CONNECTIONS);
            ngx_chat_registry_query_count(cmcf->zone, app[i].number, &found);
            a->connections = found.subscriptions;
        }
    }

    return ngx_chat_reply_render(r, NGX_HTTP_OK, ngx_chat_console_apps_write,
                                 &apps);
}


static void
ngx_chat_console_apps_write(ngx_chat_json_write_t *w, void *data)
{
    ngx_chat_console_apps_t *apps = data;

    ngx_uint_t  i;

    ngx_chat_json_write_object(w);
    ngx_chat_json_write_key(w, "apps");
    ngx_chat_json_write_array(w);

    for (i = 0; i < apps->n; i++) {
        ngx_chat_console_app_write(w, &apps->apps[i], apps->stored);
    }

    ngx_chat_json_write_array_end(w);
    ngx_chat_json_write_object_end(w);
}


/* The names are those of the directives; times are in seconds. */

static void
ngx_chat_console_app_write(ngx_chat_json_write_t *w, ngx_chat_console_app_t *a,
    ngx_uint_t stored)
{
    ngx_chat_app_t  *app;

    app = a->app;

    ngx_chat_json_write_object(w);

    ngx_chat_json_write_key(w, "id");
    ngx_chat_json_write_string(w, &app->id);
    ngx_chat_json_write_key(w, "key");
    ngx_chat_json_write_string(w, &app->key);

    ngx_chat_console_app_bool(w, "stored", stored);
    ngx_chat_console_app_bool(w, "enabled", app->enabled);
    ngx_chat_console_app_bool(w, "tls_only", app->tls_only);
    ngx_chat_console_app_bool(w, "client_events", app->client_events);
    ngx_chat_console_app_bool(w, "subscription_count",
                              app->subscription_count);
    ngx_chat_console_app_bool(w, "watchlist", app->watchlist);

    ngx_chat_json_write_key_uint(w, "max_connections", app->max_connections);
    ngx_chat_json_write_key_uint(w, "presence_members", app->presence_members);
    ngx_chat_json_write_key_uint(w, "channels_per_connection",
                                 app->channels_per_connection);
    ngx_chat_json_write_key_uint(w, "authorization_timeout",
                                 app->authorization_timeout / 1000);
    ngx_chat_json_write_key_uint(w, "cache_ttl", app->cache_ttl);
    ngx_chat_json_write_key_uint(w, "timestamp_window", app->timestamp_window);

    if (app->max_connections) {
        ngx_chat_json_write_key_uint(w, "connections", a->connections);
    }

    ngx_chat_json_write_key_uint(w, "zone_held_bytes", a->stats.held);
    ngx_chat_json_write_key_uint(w, "zone_share_bytes", a->stats.share);
    ngx_chat_json_write_key_uint(w, "zone_refused", a->stats.refused);

    ngx_chat_json_write_object_end(w);
}


static void
ngx_chat_console_app_bool(ngx_chat_json_write_t *w, const char *name,
    ngx_flag_t on)
{
    ngx_chat_json_write_key(w, name);
    ngx_chat_json_write_bool(w, on);
}
