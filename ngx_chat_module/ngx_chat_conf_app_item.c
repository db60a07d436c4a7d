
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_app: what stands in the block.  Each setter returns NGX_CONF_OK,
 * NGX_CONF_ERROR where the error is logged, or the end of a sentence.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http_module.h>
#include <ngx_chat_conf_app_item.h>
#include <ngx_chat_conf_pattern.h>
#include <ngx_chat_conf_webhook.h>


/*
 * A field with an offset has one value: it is as wide as ngx_int_t, and
 * NGX_CONF_UNSET until it is set.
 */

typedef struct {
    const char  *name;
    char        *(*set)(ngx_conf_t *cf, ngx_str_t *value, void *p);
    size_t       offset;
} ngx_chat_conf_app_item_t;


static char *ngx_chat_conf_app_key(ngx_conf_t *cf, ngx_str_t *value,
    void *p);
static char *ngx_chat_conf_app_secret(ngx_conf_t *cf, ngx_str_t *value,
    void *p);
static char *ngx_chat_conf_app_credential(ngx_str_t *value,
    ngx_str_t *field);
static char *ngx_chat_conf_app_store(ngx_conf_t *cf, ngx_str_t *value,
    void *p);
static char *ngx_chat_conf_app_flag(ngx_conf_t *cf, ngx_str_t *value,
    void *p);
static char *ngx_chat_conf_app_number(ngx_conf_t *cf, ngx_str_t *value,
    void *p);
static char *ngx_chat_conf_app_time(ngx_conf_t *cf, ngx_str_t *value,
    void *p);
static char *ngx_chat_conf_app_seconds(ngx_conf_t *cf, ngx_str_t *value,
    void *p);


static ngx_chat_conf_app_item_t  ngx_chat_conf_app_items[] = {

    { "key", ngx_chat_conf_app_key,
      0 },

    { "secret", ngx_chat_conf_app_secret,
      0 },

    { "store", ngx_chat_conf_app_store,
      0 },

    { "webhook", ngx_chat_conf_webhook,
      0 },

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

    { "timestamp_window", ngx_chat_conf_app_seconds,
      offsetof(ngx_chat_app_t, timestamp_window) },

    { NULL, NULL, 0 }
};


char *
ngx_chat_conf_app_item(ngx_conf_t *cf, ngx_command_t *dummy, void *conf)
{
    ngx_chat_app_t *app = conf;

    char                      *rv;
    void                      *p;
    ngx_str_t                 *value;
    ngx_chat_conf_app_item_t  *item;

    value = cf->args->elts;

    for (item = ngx_chat_conf_app_items; item->name; item++) {
        if (ngx_strcmp(value[0].data, item->name) == 0) {
            break;
        }
    }

    p = (char *) app + item->offset;

    if (item->name == NULL
        && (ngx_strcmp(value[0].data, "webhooks") == 0
            || ngx_strcmp(value[0].data, "chat_webhook") == 0))
    {
        rv = "is not known, write \"webhook\"";

    } else if (item->name == NULL) {
        rv = "is not known";

    } else if (cf->args->nelts != 2
               && item->set != ngx_chat_conf_app_store
             && item->set != ngx_chat_conf_webhook)
    {
        rv = "must have one value";

    } else if (item->offset && *(ngx_int_t *) p != NGX_CONF_UNSET) {
        rv = "is duplicate";

    } else {
        rv = item->set(cf, &value[1], p);
    }

    if (rv == NGX_CONF_OK || rv == NGX_CONF_ERROR) {
        return rv;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" in chat_app \"%V\" %s",
                       &value[0], &app->id, rv);

    return NGX_CONF_ERROR;
}


/* A key behind a whole pair begins another pair. */

static char *
ngx_chat_conf_app_key(ngx_conf_t *cf, ngx_str_t *value, void *p)
{
    ngx_chat_app_t *app = p;

    ngx_chat_app_key_t  *pair;

    if (app->key.data == NULL || app->secret.data == NULL) {
        return ngx_chat_conf_app_credential(value, &app->key);
    }

    if (app->keys == NULL) {
        app->keys = ngx_array_create(cf->pool, 1, sizeof(ngx_chat_app_key_t));

        if (app->keys == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    pair = app->keys->elts;

    if (app->keys->nelts && pair[app->keys->nelts - 1].secret.data == NULL) {
        return "is duplicate";
    }

    pair = ngx_array_push(app->keys);
    if (pair == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(pair, sizeof(ngx_chat_app_key_t));

    return ngx_chat_conf_app_credential(value, &pair->key);
}


static char *
ngx_chat_conf_app_secret(ngx_conf_t *cf, ngx_str_t *value, void *p)
{
    ngx_chat_app_t *app = p;

    ngx_chat_app_key_t  *pair;

    if (app->keys == NULL) {
        return ngx_chat_conf_app_credential(value, &app->secret);
    }

    pair = app->keys->elts;

    return ngx_chat_conf_app_credential(value,
                                        &pair[app->keys->nelts - 1].secret);
}


/* Keys stand in URLs unescaped, so few characters are allowed. */

static char *
ngx_chat_conf_app_credential(ngx_str_t *value, ngx_str_t *field)
{
    u_char      ch;
    ngx_uint_t  i;

    if (field->data) {
        return "is duplicate";
    }

    if (value->len == 0) {
        return "must not be empty";
    }

    for (i = 0; i < value->len; i++) {
        ch = value->data[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
              || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-'))
        {
            return "may have letters, digits, \"_\" and \"-\" only";
        }
    }

    *field = *value;

    return NGX_CONF_OK;
}


/* Patterns of channels, by name or with a "*" at the end. */

static char *
ngx_chat_conf_app_store(ngx_conf_t *cf, ngx_str_t *value, void *p)
{
    ngx_chat_app_t *app = p;

    char        *rv;
    ngx_uint_t   i;

    if (cf->args->nelts < 2) {
        return "must have the names of channels";
    }

    if (app->store == NULL) {
        app->store = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));

        if (app->store == NULL) {
            return NGX_CONF_ERROR;
        }

        app->file = cf->conf_file->file.name;
        app->line = cf->conf_file->line;
    }

    for (i = 0; i < cf->args->nelts - 1; i++) {
        rv = ngx_chat_conf_pattern(app->store, &value[i]);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_chat_conf_app_flag(ngx_conf_t *cf, ngx_str_t *value, void *p)
{
    ngx_flag_t *field = p;

    if (ngx_strcasecmp(value->data, (u_char *) "on") == 0) {
        *field = 1;

    } else if (ngx_strcasecmp(value->data, (u_char *) "off") == 0) {
        *field = 0;

    } else {
        return "must be \"on\" or \"off\"";
    }

    return NGX_CONF_OK;
}


static char *
ngx_chat_conf_app_number(ngx_conf_t *cf, ngx_str_t *value, void *p)
{
    ngx_int_t *field = p;

    *field = ngx_atoi(value->data, value->len);

    return (*field == NGX_ERROR) ? "must be a number" : NGX_CONF_OK;
}


static char *
ngx_chat_conf_app_time(ngx_conf_t *cf, ngx_str_t *value, void *p)
{
    ngx_msec_t *field = p;

    *field = ngx_parse_time(value, 0);

    return (*field == (ngx_msec_t) NGX_ERROR) ? "must be a time, as \"30s\""
                                              : NGX_CONF_OK;
}


static char *
ngx_chat_conf_app_seconds(ngx_conf_t *cf, ngx_str_t *value, void *p)
{
    time_t *field = p;

    *field = ngx_parse_time(value, 1);

    return (*field <= 0) ? "must be a time, as \"30m\"" : NGX_CONF_OK;
}
