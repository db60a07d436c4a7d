
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_app: the block, and finding the app that a directive means.
 *
 * A directive may stand before the app that it names.  So the name and the
 * place are kept, and the app is looked up when all is read.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http_module.h>
#include <ngx_chat_conf_app.h>
#include <ngx_chat_conf_app_item.h>
#include <ngx_chat_conf_webhook.h>


static char *ngx_chat_conf_app_id(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf,
    ngx_str_t *id, ngx_chat_app_t *app);
static char *ngx_chat_conf_app_check(ngx_conf_t *cf,
    ngx_chat_main_conf_t *cmcf, ngx_chat_app_t *app);
static char *ngx_chat_conf_app_check_key(ngx_conf_t *cf,
    ngx_chat_main_conf_t *cmcf, ngx_chat_app_t *app, ngx_str_t *key);
static void ngx_chat_conf_app_list(ngx_chat_main_conf_t *cmcf, u_char *buf,
    size_t size, ngx_str_t *list);


char *
ngx_chat_conf_app(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_chat_main_conf_t *cmcf = conf;

    char            *rv;
    ngx_str_t       *value;
    ngx_conf_t       save;
    ngx_chat_app_t   app, *slot;

    value = cf->args->elts;

    ngx_memzero(&app, sizeof(ngx_chat_app_t));

    app.index = cmcf->apps.nelts;
    app.enabled = NGX_CONF_UNSET;
    app.tls_only = NGX_CONF_UNSET;
    app.client_events = NGX_CONF_UNSET;
    app.subscription_count = NGX_CONF_UNSET;
    app.watchlist = NGX_CONF_UNSET;
    app.max_connections = NGX_CONF_UNSET;
    app.presence_members = NGX_CONF_UNSET;
    app.channels_per_connection = NGX_CONF_UNSET;
    app.authorization_timeout = NGX_CONF_UNSET_MSEC;
    app.cache_ttl = NGX_CONF_UNSET;
    app.timestamp_window = NGX_CONF_UNSET;

    rv = ngx_chat_conf_app_id(cf, cmcf, &value[1], &app);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    save = *cf;
    cf->handler = ngx_chat_conf_app_item;
    /* cppcheck-suppress autoVariables; put back below */
    cf->handler_conf = (char *) &app;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    rv = ngx_chat_conf_app_check(cf, cmcf, &app);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    slot = ngx_array_push(&cmcf->apps);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = app;

    return NGX_CONF_OK;
}


ngx_int_t
ngx_chat_conf_app_ref(ngx_conf_t *cf, ngx_chat_app_ref_t *ref)
{
    ngx_chat_app_ref_t    **slot;
    ngx_chat_main_conf_t   *cmcf;

    ngx_chat_conf_place(cf, &ref->place);

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    slot = ngx_array_push(&cmcf->refs);
    if (slot == NULL) {
        return NGX_ERROR;
    }

    *slot = ref;

    return NGX_OK;
}


void
ngx_chat_conf_place(ngx_conf_t *cf, ngx_chat_place_t *place)
{
    ngx_str_t  *value;

    value = cf->args->elts;

    place->name = value[0];
    place->file = cf->conf_file->file.name;
    place->line = cf->conf_file->line;
}


ngx_int_t
ngx_chat_conf_app_resolve(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf,
    ngx_chat_app_ref_t *ref)
{
    u_char     buf[256];
    ngx_str_t  list;

    ref->app = (ref->id.len == 0 && cmcf->apps.nelts == 1)
               ? cmcf->apps.elts : ngx_chat_app_of_id(&cmcf->apps, &ref->id);

    if (ref->app) {
        return NGX_OK;
    }

    ngx_chat_conf_app_list(cmcf, buf, sizeof(buf), &list);

    if (ref->id.len == 0) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"%V\" must have \"app=ID\" where several apps are "
                      "configured: %V in %V:%ui", &ref->place.name, &list,
                      &ref->place.file, ref->place.line);

    } else {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "unknown app \"%V\" in \"%V\", configured: %V "
                      "in %V:%ui", &ref->id, &ref->place.name, &list,
                      &ref->place.file, ref->place.line);
    }

    return NGX_ERROR;
}


static char *
ngx_chat_conf_app_id(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf,
    ngx_str_t *id, ngx_chat_app_t *app)
{
    ngx_uint_t       i;
    ngx_chat_app_t  *apps;

    app->id = *id;
    app->number = ngx_chat_app_number(id);

    if (app->number == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid app id \"%V\", it must be a number of at "
                           "most %d digits that does not begin with 0, or "
                           "have 1 to %d letters, digits, \"-\" and \"_\"",
                           id, NGX_CHAT_APP_ID_DIGITS, NGX_CHAT_APP_ID_MAX);
        return NGX_CONF_ERROR;
    }

    apps = cmcf->apps.elts;

    for (i = 0; i < cmcf->apps.nelts; i++) {

        if (apps[i].number != app->number) {
            continue;
        }

        if (ngx_chat_app_of_id(&cmcf->apps, id) != NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate chat_app \"%V\"", id);

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "chat_app \"%V\" has the same number as "
                               "chat_app \"%V\" by chance, give it another id",
                               id, &apps[i].id);
        }

        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_chat_conf_app_check(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf,
    ngx_chat_app_t *app)
{
    char                *rv;
    ngx_uint_t           i;
    ngx_chat_app_key_t  *keys;

    if (app->key.len == 0 || app->secret.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "chat_app \"%V\" must have \"%s\"", &app->id,
                           app->key.len ? "secret" : "key");
        return NGX_CONF_ERROR;
    }

    rv = ngx_chat_conf_app_check_key(cf, cmcf, app, &app->key);

    keys = app->keys ? app->keys->elts : NULL;

    for (i = 0; keys && i < app->keys->nelts && rv == NGX_CONF_OK; i++) {

        if (keys[i].secret.len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "chat_app \"%V\" must have \"secret\" behind "
                               "each \"key\"", &app->id);
            return NGX_CONF_ERROR;
        }

        rv = ngx_chat_conf_app_check_key(cf, cmcf, app, &keys[i].key);
    }

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    ngx_conf_init_value(app->enabled, 1);
    ngx_conf_init_value(app->tls_only, 0);
    ngx_conf_init_value(app->client_events, 0);
    ngx_conf_init_value(app->subscription_count, 0);
    ngx_conf_init_value(app->watchlist, 1);
    ngx_conf_init_value(app->max_connections, 0);
    ngx_conf_init_value(app->presence_members, 0);
    ngx_conf_init_value(app->channels_per_connection, 1000);
    ngx_conf_init_msec_value(app->authorization_timeout, 0);
    ngx_conf_init_value(app->cache_ttl, 1800);
    ngx_conf_init_value(app->timestamp_window, 600);

    return ngx_chat_conf_webhook_check_app(cf, app);
}


static char *
ngx_chat_conf_app_check_key(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf,
    ngx_chat_app_t *app, ngx_str_t *key)
{
    ngx_uint_t       i;
    ngx_chat_app_t  *apps;

    apps = cmcf->apps.elts;

    for (i = 0; i < cmcf->apps.nelts; i++) {

        if (ngx_chat_app_secret_any_case(&apps[i], key) != NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "chat_app \"%V\" has the same key as chat_app "
                               "\"%V\", give each app a key of its own",
                               &app->id, &apps[i].id);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_chat_conf_app_check_store(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf)
{
    ngx_uint_t       i;
    ngx_chat_app_t  *apps;

    apps = cmcf->apps.elts;

    for (i = 0; i < cmcf->apps.nelts; i++) {

        if (apps[i].store && cmcf->store.path.len == 0) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"store\" in chat_app \"%V\" needs a database, add "
                          "\"chat_database /path/to/chat.db;\" to the http "
                          "block in %V:%ui", &apps[i].id, &apps[i].file,
                          apps[i].line);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static void
ngx_chat_conf_app_list(ngx_chat_main_conf_t *cmcf, u_char *buf, size_t size,
    ngx_str_t *list)
{
    u_char          *p;
    ngx_uint_t       i;
    ngx_chat_app_t  *apps;

    apps = cmcf->apps.elts;
    p = buf;

    for (i = 0; i < cmcf->apps.nelts; i++) {
        p = ngx_slprintf(p, buf + size, "%s\"%V\"", i ? ", " : "",
                         &apps[i].id);
    }

    list->data = buf;
    list->len = p - buf;
}
