
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * webhook in chat_app, and chat_webhook_trusted_certificate.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <hook/ngx_chat_hook_curl.h>
#include <ngx_chat_conf_pattern.h>
#include <ngx_chat_conf_webhook.h>
#include <pusher/ngx_chat_webhook.h>


#define NGX_CHAT_CONF_WEBHOOK_RETRY      300000    /* ms */
#define NGX_CHAT_CONF_WEBHOOK_RETRY_MIN  1000
#define NGX_CHAT_CONF_WEBHOOK_RETRY_MAX  86400000
#define NGX_CHAT_CONF_WEBHOOK_PEM        (4 * 1024 * 1024)


static char *ngx_chat_conf_webhook_url(ngx_conf_t *cf, ngx_str_t *value,
    ngx_chat_app_t *app, ngx_chat_webhook_t *hook);
static char *ngx_chat_conf_webhook_param(ngx_conf_t *cf, ngx_str_t *value,
    ngx_chat_webhook_t *hook);
static char *ngx_chat_conf_webhook_events(ngx_conf_t *cf, ngx_str_t *list,
    ngx_chat_webhook_t *hook);
static char *ngx_chat_conf_webhook_channels(ngx_conf_t *cf, ngx_str_t *list,
    ngx_chat_webhook_t *hook);
static ngx_uint_t ngx_chat_conf_webhook_next(ngx_str_t *list,
    ngx_str_t *item);
static char *ngx_chat_conf_webhook_needs(ngx_conf_t *cf, ngx_chat_app_t *app,
    ngx_chat_webhook_t *hook, const char *event, const char *item);


char *
ngx_chat_conf_webhook(ngx_conf_t *cf, ngx_str_t *value, void *p)
{
    ngx_chat_app_t *app = p;

    char                *rv;
    ngx_uint_t           i;
    ngx_chat_webhook_t  *hook;

    if (cf->args->nelts < 2) {
        return "must have a URL";
    }

    rv = (char *) ngx_chat_hook_curl_check();

    if (rv) {
        return rv;
    }

    if (app->webhooks == NULL) {
        app->webhooks = ngx_array_create(cf->pool, 2,
                                         sizeof(ngx_chat_webhook_t));
        if (app->webhooks == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    hook = ngx_array_push(app->webhooks);
    if (hook == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(hook, sizeof(ngx_chat_webhook_t));

    hook->batch = NGX_CONF_UNSET;
    hook->retry = NGX_CONF_UNSET_MSEC;
    hook->file = cf->conf_file->file.name;
    hook->line = cf->conf_file->line;

    rv = ngx_chat_conf_webhook_url(cf, &value[0], app, hook);

    for (i = 1; rv == NGX_CONF_OK && i < cf->args->nelts - 1; i++) {
        rv = ngx_chat_conf_webhook_param(cf, &value[i], hook);
    }

    ngx_conf_init_value(hook->batch, 1);
    ngx_conf_init_msec_value(hook->retry, NGX_CHAT_CONF_WEBHOOK_RETRY);

    return rv;
}


/* What is shown, and by what it is known, is the URL without a password. */

static char *
ngx_chat_conf_webhook_url(ngx_conf_t *cf, ngx_str_t *value,
    ngx_chat_app_t *app, ngx_chat_webhook_t *hook)
{
    u_char              *p;
    ngx_str_t            user;
    ngx_uint_t           i;
    const char          *error;
    ngx_chat_webhook_t  *other;

    error = ngx_chat_webhook_url(value, &user);

    if (error) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"webhook\" in chat_app \"%V\": the URL %s",
                           &app->id, error);
        return NGX_CONF_ERROR;
    }

    hook->url = *value;
    hook->shown = *value;

    if (user.len) {
        hook->shown.len = value->len - user.len;
        hook->shown.data = ngx_pnalloc(cf->pool, hook->shown.len + 1);

        if (hook->shown.data == NULL) {
            return NGX_CONF_ERROR;
        }

        p = ngx_cpymem(hook->shown.data, value->data, user.data - value->data);
        p = ngx_cpymem(p, user.data + user.len,
                       value->data + value->len - user.data - user.len);
        *p = '\0';
    }

    hook->key = ngx_chat_webhook_key(&app->id, &hook->shown);

    other = app->webhooks->elts;

    for (i = 0; i < app->webhooks->nelts - 1; i++) {
        if (other[i].key == hook->key) {
            return "is duplicate: one for each URL, with all its events";
        }
    }

    return NGX_CONF_OK;
}


static char *
ngx_chat_conf_webhook_param(ngx_conf_t *cf, ngx_str_t *value,
    ngx_chat_webhook_t *hook)
{
    ngx_str_t  s;

    if (ngx_strncmp(value->data, "events=", 7) == 0) {
        s.data = value->data + 7;
        s.len = value->len - 7;

        return ngx_chat_conf_webhook_events(cf, &s, hook);
    }

    if (ngx_strncmp(value->data, "channels=", 9) == 0) {
        s.data = value->data + 9;
        s.len = value->len - 9;

        return ngx_chat_conf_webhook_channels(cf, &s, hook);
    }

    if (ngx_strncmp(value->data, "retry=", 6) == 0) {
        s.data = value->data + 6;
        s.len = value->len - 6;

        if (hook->retry != NGX_CONF_UNSET_MSEC) {
            return "has a duplicate \"retry\"";
        }

        hook->retry = ngx_parse_time(&s, 0);

        if (hook->retry == (ngx_msec_t) NGX_ERROR
            || hook->retry < NGX_CHAT_CONF_WEBHOOK_RETRY_MIN
            || hook->retry > NGX_CHAT_CONF_WEBHOOK_RETRY_MAX)
        {
            return "must have a time from 1s to 1d as \"retry\"";
        }

        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value->data, "batch=", 6) == 0) {

        if (hook->batch != NGX_CONF_UNSET) {
            return "has a duplicate \"batch\"";
        }

        if (ngx_strcmp(value->data + 6, "on") == 0) {
            hook->batch = 1;

        } else if (ngx_strcmp(value->data + 6, "off") == 0) {
            hook->batch = 0;

        } else {
            return "must have \"on\" or \"off\" as \"batch\"";
        }

        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid parameter \"%V\" of \"webhook\", known are "
                       "events=, channels=, batch=, retry=", value);

    return NGX_CONF_ERROR;
}


static char *
ngx_chat_conf_webhook_events(ngx_conf_t *cf, ngx_str_t *list,
    ngx_chat_webhook_t *hook)
{
    u_char      buf[256], *p;
    ngx_int_t   kind;
    ngx_str_t   name, known;
    ngx_uint_t  i;

    if (hook->events) {
        return "has a duplicate \"events\"";
    }

    while (ngx_chat_conf_webhook_next(list, &name)) {

        kind = ngx_chat_webhook_kind(&name);

        if (kind == NGX_ERROR) {
            p = buf;

            for (i = 0; ngx_chat_webhook_names[i]; i++) {
                p = ngx_slprintf(p, buf + sizeof(buf), "%s%s", i ? ", " : "",
                                 ngx_chat_webhook_names[i]);
            }

            known.data = buf;
            known.len = p - buf;

            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "unknown event \"%V\" of \"webhook\", known "
                               "are %V", &name, &known);
            return NGX_CONF_ERROR;
        }

        hook->events |= ngx_chat_hook_bit(kind);
    }

    return hook->events ? NGX_CONF_OK : "must have names as \"events\"";
}


static char *
ngx_chat_conf_webhook_channels(ngx_conf_t *cf, ngx_str_t *list,
    ngx_chat_webhook_t *hook)
{
    char       *rv;
    ngx_str_t   pattern;

    if (hook->channels) {
        return "has a duplicate \"channels\"";
    }

    hook->channels = ngx_array_create(cf->pool, 2, sizeof(ngx_str_t));
    if (hook->channels == NULL) {
        return NGX_CONF_ERROR;
    }

    while (ngx_chat_conf_webhook_next(list, &pattern)) {

        rv = ngx_chat_conf_pattern(hook->channels, &pattern);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return hook->channels->nelts ? NGX_CONF_OK
           : "must have names of channels as \"channels\"";
}


/* Takes the next item of a list with commas: 0 where there is none. */

static ngx_uint_t
ngx_chat_conf_webhook_next(ngx_str_t *list, ngx_str_t *item)
{
    u_char  *comma;

    if (list->len == 0) {
        return 0;
    }

    item->data = list->data;

    comma = ngx_strlchr(list->data, list->data + list->len, ',');

    if (comma == NULL) {
        item->len = list->len;
        list->len = 0;

    } else {
        item->len = comma - list->data;
        list->data = comma + 1;
        list->len -= item->len + 1;
    }

    return 1;
}


/* An event that can't happen is a mistake where it is named. */

char *
ngx_chat_conf_webhook_check_app(ngx_conf_t *cf, ngx_chat_app_t *app)
{
    char                *rv;
    ngx_uint_t           i;
    ngx_chat_webhook_t  *hook;

    if (app->webhooks == NULL) {
        return NGX_CONF_OK;
    }

    rv = NGX_CONF_OK;
    hook = app->webhooks->elts;

    for (i = 0; rv == NGX_CONF_OK && i < app->webhooks->nelts; i++) {

        if ((hook[i].events & ngx_chat_hook_bit(NGX_CHAT_HOOK_CLIENT_EVENT_e))
            && !app->client_events)
        {
            rv = ngx_chat_conf_webhook_needs(cf, app, &hook[i], "client_event",
                                             "client_events");
        }

        if ((hook[i].events & ngx_chat_hook_bit(NGX_CHAT_HOOK_COUNT_e))
            && !app->subscription_count)
        {
            rv = ngx_chat_conf_webhook_needs(cf, app, &hook[i],
                                             "subscription_count",
                                             "subscription_count");
        }

        if (hook[i].events == 0) {
            hook[i].events = NGX_CHAT_WEBHOOK_DEFAULT;
        }

        app->hooks |= ngx_chat_webhook_needs(hook[i].events);
    }

    return rv;
}


static char *
ngx_chat_conf_webhook_needs(ngx_conf_t *cf, ngx_chat_app_t *app,
    ngx_chat_webhook_t *hook, const char *event, const char *item)
{
    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"webhook\" in chat_app \"%V\" has the event \"%s\", "
                  "which needs \"%s on;\" in %V:%ui", &app->id, event, item,
                  &hook->file, hook->line);

    return NGX_CONF_ERROR;
}


/*
 * Read here, where nginx may still be root, and kept: the file may be one that
 * workers can't read.
 */

char *
ngx_chat_conf_webhook_certificate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_chat_main_conf_t *cmcf = conf;

    size_t            size;
    ssize_t           n;
    ngx_fd_t          fd;
    ngx_str_t        *value, *pem;
    ngx_file_info_t   fi;

    pem = &cmcf->herald.certificate;
    value = cf->args->elts;

    if (pem->data) {
        return "is duplicate";
    }

    if (ngx_conf_full_name(cf->cycle, &value[1], 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cmcf->certificate.name = value[0];

    fd = ngx_open_file(value[1].data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (fd == NGX_INVALID_FILE || ngx_fd_info(fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           "\"chat_webhook_trusted_certificate\" can't open "
                           "\"%V\"", &value[1]);

        if (fd != NGX_INVALID_FILE) {
            (void) ngx_close_file(fd);
        }

        return NGX_CONF_ERROR;
    }

    size = ngx_min(ngx_file_size(&fi), NGX_CHAT_CONF_WEBHOOK_PEM);
    pem->data = ngx_pnalloc(cf->pool, size + 1);

    n = pem->data ? ngx_read_fd(fd, pem->data, size) : -1;

    (void) ngx_close_file(fd);

    if (n < 0) {
        return "can't be read";
    }

    pem->data[n] = '\0';
    pem->len = n;

    if (ngx_strstr(pem->data, "-----BEGIN ") == NULL) {
        return "must have a file with certificates in PEM format";
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_chat_conf_webhook_init(ngx_conf_t *cf, ngx_chat_main_conf_t *cmcf)
{
    ngx_uint_t           i, k;
    ngx_chat_app_t      *apps;
    ngx_chat_webhook_t  *hook;

    cmcf->herald.apps = &cmcf->apps;
    cmcf->herald.store = &cmcf->store;

    apps = cmcf->apps.elts;

    for (i = 0; i < cmcf->apps.nelts; i++) {

        if (apps[i].webhooks == NULL) {
            continue;
        }

        hook = apps[i].webhooks->elts;

        if (cmcf->store.path.len == 0) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"webhook\" in chat_app \"%V\" needs a database, "
                          "add \"chat_database /path/to/chat.db;\" to the "
                          "http block in %V:%ui", &apps[i].id, &hook->file,
                          hook->line);
            return NGX_ERROR;
        }

        /* the array of apps stays where it is from now on */

        for (k = 0; k < apps[i].webhooks->nelts; k++) {
            hook[k].app = &apps[i];
        }

        cmcf->herald.n += apps[i].webhooks->nelts;
    }

    return NGX_OK;
}
