
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_app: the block, and finding the app that a directive means.
 *
 * A directive may stand before the app it names, so the name is kept with
 * its place, and looked up when all is read.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <ngx_chat_conf.h>
#include <ngx_chat_conf_app.h>
#include <ngx_chat_module.h>


typedef struct {
    const char  *name;
    char        *(*set)(ngx_conf_t *cf, void *p);
    size_t       offset;
} ngx_chat_conf_app_item_t;


static char *ngx_chat_conf_app_id(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf,
    ngx_str_t *id, ngx_chat_app_t *app);
static char *ngx_chat_conf_app_check(ngx_conf_t *cf,
    ngx_chat_main_conf_t *cmcf, ngx_chat_app_t *app);
static char *ngx_chat_conf_app_item(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf);
static char *ngx_chat_conf_app_credential(ngx_conf_t *cf, void *p);
static char *ngx_chat_conf_app_flag(ngx_conf_t *cf, void *p);
static char *ngx_chat_conf_app_number(ngx_conf_t *cf, void *p);
static char *ngx_chat_conf_app_time(ngx_conf_t *cf, void *p);
static char *ngx_chat_conf_app_seconds(ngx_conf_t *cf, void *p);
static void ngx_chat_conf_app_list(ngx_chat_main_conf_t *cmcf, u_char *buf,
    size_t size, ngx_str_t *list);


static ngx_chat_conf_app_item_t  ngx_chat_conf_app_items[] = {

    { "key", ngx_chat_conf_app_credential,
      offsetof(ngx_chat_app_t, key) },

    { "secret", ngx_chat_conf_app_credential,
      offsetof(ngx_chat_app_t, secret) },

    { "enabled", ngx_chat_conf_app_flag,
      offsetof(ngx_chat_app_t, enabled) },

    { "tls_only", ngx_chat_conf_app_flag,
      offsetof(ngx_chat_app_t, tls_only) },

    { "client_events", ngx_chat_conf_app_flag,
      offsetof(ngx_chat_app_t, client_events) },

    { "subscription_count", ngx_chat_conf_app_flag,
      offsetof(ngx_chat_app_t, subscription_count) },

    { "watchlist", ngx_chat_conf_app_flag,
      offsetof(ngx_chat_app_t, watchlist) },

    { "max_connections", ngx_chat_conf_app_number,
      offsetof(ngx_chat_app_t, max_connections) },

    { "presence_members", ngx_chat_conf_app_number,
      offsetof(ngx_chat_app_t, presence_members) },

    { "channels_per_connection", ngx_chat_conf_app_number,
      offsetof(ngx_chat_app_t, channels_per_connection) },

    { "authorization_timeout", ngx_chat_conf_app_time,
      offsetof(ngx_chat_app_t, authorization_timeout) },

    { "cache_ttl", ngx_chat_conf_app_seconds,
      offsetof(ngx_chat_app_t, cache_ttl) },

    { NULL, NULL, 0 }
};


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

    rv = ngx_chat_conf_app_id(cf, cmcf, &value[1], &app);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    save = *cf;
    cf->handler = ngx_chat_conf_app_item;
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


char *
ngx_chat_conf_app_ref(ngx_conf_t *cf, ngx_chat_app_ref_t *ref, ngx_str_t *id)
{
    ngx_chat_app_ref_t    **slot;
    ngx_chat_main_conf_t   *cmcf;

    ref->id = *id;

    ngx_chat_conf_place(cf, &ref->place);

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    slot = ngx_array_push(&cmcf->refs);
    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    *slot = ref;

    return NGX_CONF_OK;
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
    u_char           buf[256];
    ngx_str_t        list;
    ngx_uint_t       i;
    ngx_chat_app_t  *apps;

    apps = cmcf->apps.elts;

    if (ref->id.len == 0 && cmcf->apps.nelts == 1) {
        ref->app = &apps[0];
        return NGX_OK;
    }

    for (i = 0; i < cmcf->apps.nelts; i++) {

        if (apps[i].id.len == ref->id.len
            && ngx_memcmp(apps[i].id.data, ref->id.data, ref->id.len) == 0)
        {
            ref->app = &apps[i];
            return NGX_OK;
        }
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
    ngx_int_t        n;
    ngx_uint_t       i;
    ngx_chat_app_t  *apps;

    n = (id->len <= NGX_CHAT_APP_ID_LEN) ? ngx_atoi(id->data, id->len)
                                         : NGX_ERROR;

    if (n <= 0 || id->data[0] == '0') {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid app id \"%V\", it must be a number of at "
                           "most %d digits, as server SDKs expect it",
                           id, NGX_CHAT_APP_ID_LEN);
        return NGX_CONF_ERROR;
    }

    apps = cmcf->apps.elts;

    for (i = 0; i < cmcf->apps.nelts; i++) {
        if (apps[i].number == (uint64_t) n) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "duplicate chat_app \"%V\"", id);
            return NGX_CONF_ERROR;
        }
    }

    app->id = *id;
    app->number = n;

    return NGX_CONF_OK;
}


static char *
ngx_chat_conf_app_check(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf,
    ngx_chat_app_t *app)
{
    ngx_uint_t       i;
    ngx_chat_app_t  *apps;

    if (app->key.len == 0 || app->secret.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "chat_app \"%V\" must have \"%s\"", &app->id,
                           app->key.len ? "secret" : "key");
        return NGX_CONF_ERROR;
    }

    apps = cmcf->apps.elts;

    for (i = 0; i < cmcf->apps.nelts; i++) {

        if (apps[i].key.len == app->key.len
            && ngx_memcmp(apps[i].key.data, app->key.data, app->key.len) == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "chat_app \"%V\" has the same key as chat_app "
                               "\"%V\", give each app a key of its own",
                               &app->id, &apps[i].id);
            return NGX_CONF_ERROR;
        }
    }

    ngx_conf_init_value(app->enabled, 1);
    ngx_conf_init_value(app->tls_only, 0);
    ngx_conf_init_value(app->client_events, 0);
    ngx_conf_init_value(app->subscription_count, 0);
    ngx_conf_init_value(app->watchlist, 1);
    ngx_conf_init_value(app->max_connections, 0);
    ngx_conf_init_value(app->presence_members, 0);
    ngx_conf_init_value(app->channels_per_connection, 0);
    ngx_conf_init_msec_value(app->authorization_timeout, 0);
    ngx_conf_init_value(app->cache_ttl, 1800);

    return NGX_CONF_OK;
}


static char *
ngx_chat_conf_app_item(ngx_conf_t *cf, ngx_command_t *dummy, void *conf)
{
    ngx_chat_app_t *app = conf;

    char                      *rv;
    ngx_str_t                 *value;
    ngx_chat_conf_app_item_t  *item;

    value = cf->args->elts;

    for (item = ngx_chat_conf_app_items; item->name; item++) {
        if (ngx_strcmp(value[0].data, item->name) == 0) {
            break;
        }
    }

    if (item->name == NULL) {
        rv = "is not known";

    } else if (cf->args->nelts != 2) {
        rv = "must have one value";

    } else {
        rv = item->set(cf, (char *) app + item->offset);
    }

    if (rv == NGX_CONF_OK || rv == NGX_CONF_ERROR) {
        return rv;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" in chat_app \"%V\" %s",
                       &value[0], &app->id, rv);

    return NGX_CONF_ERROR;
}


/* They stand in URLs unescaped, so their characters are few. */

static char *
ngx_chat_conf_app_credential(ngx_conf_t *cf, void *p)
{
    ngx_str_t *field = p;

    u_char      ch;
    ngx_str_t  *value;
    ngx_uint_t  i;

    if (field->data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "must not be empty";
    }

    for (i = 0; i < value[1].len; i++) {
        ch = value[1].data[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
              || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-'))
        {
            return "may have letters, digits, \"_\" and \"-\" only";
        }
    }

    *field = value[1];

    return NGX_CONF_OK;
}


static char *
ngx_chat_conf_app_flag(ngx_conf_t *cf, void *p)
{
    ngx_flag_t *field = p;

    ngx_str_t  *value;

    if (*field != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcasecmp(value[1].data, (u_char *) "on") == 0) {
        *field = 1;

    } else if (ngx_strcasecmp(value[1].data, (u_char *) "off") == 0) {
        *field = 0;

    } else {
        return "must be \"on\" or \"off\"";
    }

    return NGX_CONF_OK;
}


static char *
ngx_chat_conf_app_number(ngx_conf_t *cf, void *p)
{
    ngx_int_t *field = p;

    ngx_str_t  *value;

    if (*field != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    *field = ngx_atoi(value[1].data, value[1].len);

    return (*field == NGX_ERROR) ? "must be a number" : NGX_CONF_OK;
}


static char *
ngx_chat_conf_app_time(ngx_conf_t *cf, void *p)
{
    ngx_msec_t *field = p;

    ngx_str_t  *value;

    if (*field != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    *field = ngx_parse_time(&value[1], 0);

    return (*field == (ngx_msec_t) NGX_ERROR) ? "must be a time, as \"30s\""
                                              : NGX_CONF_OK;
}


static char *
ngx_chat_conf_app_seconds(ngx_conf_t *cf, void *p)
{
    time_t *field = p;

    ngx_str_t  *value;

    if (*field != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    *field = ngx_parse_time(&value[1], 1);

    return (*field <= 0) ? "must be a time, as \"30m\"" : NGX_CONF_OK;
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
