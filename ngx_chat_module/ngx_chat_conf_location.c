
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The directives of locations.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <console/ngx_chat_console.h>
#include <fallback/ngx_chat_fallback_request.h>
#include <http/ngx_chat_handlers.h>
#include <http/ngx_chat_http_module.h>
#include <ngx_chat_conf_app.h>
#include <ngx_chat_conf_location.h>
#include <pusher/ngx_chat_name.h>
#include <websocket/ngx_chat_websocket.h>


#define NGX_CHAT_CONF_LIMIT         100
#define NGX_CHAT_CONF_MAX           1000
#define NGX_CHAT_CONF_MAX_BOUND     10000
#define NGX_CHAT_CONF_RECOVERY_MAX  86400      /* s */


static char *ngx_chat_conf_handler(ngx_conf_t *cf, ngx_chat_loc_conf_t *clcf,
    ngx_http_handler_pt handler);
static char *ngx_chat_conf_invalid(ngx_conf_t *cf, ngx_str_t *value);
static char *ngx_chat_conf_value(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t *cv);
static char *ngx_chat_conf_parameter(ngx_conf_t *cf, ngx_str_t *value,
    size_t skip, ngx_http_complex_value_t **cv);
static char *ngx_chat_conf_number(ngx_conf_t *cf, ngx_str_t *value,
    size_t skip, ngx_uint_t *n);


char *
ngx_chat_conf_history(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_chat_loc_conf_t *clcf = conf;

    char                     *rv;
    ngx_str_t                *value;
    ngx_uint_t                i;
    ngx_chat_history_conf_t  *history;

    if (clcf->history) {
        return "is duplicate";
    }

    history = ngx_pcalloc(cf->pool, sizeof(ngx_chat_history_conf_t));
    if (history == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    rv = ngx_chat_conf_channel(cf, &value[1], &history->channel);

    for (i = 2; i < cf->args->nelts && rv == NGX_CONF_OK; i++) {

        if (ngx_chat_conf_app_parameter(&value[i], &history->ref)) {
            continue;
        }

        if (ngx_strncmp(value[i].data, "limit=", 6) == 0) {
            rv = ngx_chat_conf_number(cf, &value[i], 6, &history->limit);

        } else if (ngx_strncmp(value[i].data, "max=", 4) == 0) {
            rv = ngx_chat_conf_number(cf, &value[i], 4, &history->max);

        } else if (ngx_strcmp(value[i].data, "stale=on") == 0) {
            history->stale = 1;

        } else if (ngx_strcmp(value[i].data, "stale=off") == 0) {
            history->stale = 0;

        } else {
            rv = ngx_chat_conf_invalid(cf, &value[i]);
        }
    }

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    /* one that is given moves the default of the other */

    if (history->max == 0) {
        history->max = ngx_max(history->limit, NGX_CHAT_CONF_MAX);
    }

    if (history->limit == 0) {
        history->limit = ngx_min(history->max, NGX_CHAT_CONF_LIMIT);
    }

    if (history->limit > history->max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"limit=%ui\" is more than \"max=%ui\"",
                           history->limit, history->max);
        return NGX_CONF_ERROR;
    }

    clcf->history = history;

    return ngx_chat_conf_app_endpoint(cf, clcf, &history->ref,
                                      ngx_chat_messages_handler);
}


char *
ngx_chat_conf_publish(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_chat_loc_conf_t *clcf = conf;

    char                     *rv;
    ngx_str_t                *value;
    ngx_chat_publish_conf_t  *publish;

    if (clcf->publish) {
        return "is duplicate";
    }

    publish = ngx_pcalloc(cf->pool, sizeof(ngx_chat_publish_conf_t));
    if (publish == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    if (cf->args->nelts == 4
        && !ngx_chat_conf_app_parameter(&value[3], &publish->ref))
    {
        return ngx_chat_conf_invalid(cf, &value[3]);
    }

    rv = ngx_chat_conf_channel(cf, &value[1], &publish->channel);

    if (rv == NGX_CONF_OK) {
        rv = ngx_chat_conf_value(cf, &value[2], &publish->event);
    }

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (ngx_chat_name_check_event(&value[2]) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid event name \"%V\"", &value[2]);
        return NGX_CONF_ERROR;
    }

    clcf->publish = publish;

    return ngx_chat_conf_app_endpoint(cf, clcf, &publish->ref,
                                      ngx_chat_messages_handler);
}


char *
ngx_chat_conf_websocket(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_chat_loc_conf_t *clcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (cf->args->nelts == 2) {

        if (ngx_strcmp(value[1].data, "log=close") == 0) {
            clcf->log_close = 1;

        } else if (ngx_strcmp(value[1].data, "log=open") != 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\", it must be "
                               "\"log=open\" or \"log=close\"", &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    clcf->has_tokens = 1;

    return ngx_chat_conf_endpoint(cf, clcf, ngx_chat_websocket_handler);
}


char *
ngx_chat_conf_fallback(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_chat_loc_conf_t *clcf = conf;

    clcf->fallback = 1;
    clcf->has_tokens = 1;

    return ngx_chat_conf_endpoint(cf, clcf, ngx_chat_fallback_handler);
}


char *
ngx_chat_conf_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_chat_conf_endpoint(cf, conf, ngx_chat_api_handler);
}


char *
ngx_chat_conf_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_chat_loc_conf_t *clcf = conf;

    char                  *rv;
    ngx_str_t             *value;
    ngx_uint_t             i;
    ngx_chat_auth_conf_t  *auth;

    if (clcf->auth) {
        return "is duplicate";
    }

    auth = ngx_pcalloc(cf->pool, sizeof(ngx_chat_auth_conf_t));
    if (auth == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_chat_conf_app_parameter(&value[i], &auth->ref)) {
            continue;
        }

        if (ngx_strncmp(value[i].data, "user_id=", 8) == 0) {
            rv = ngx_chat_conf_parameter(cf, &value[i], 8, &auth->user_id);

        } else if (ngx_strncmp(value[i].data, "user_info=", 10) == 0) {
            rv = ngx_chat_conf_parameter(cf, &value[i], 10, &auth->user_info);

        } else {
            rv = "invalid";
        }

        if (rv != NGX_CONF_OK) {
            return ngx_chat_conf_invalid(cf, &value[i]);
        }
    }

    clcf->auth = auth;

    return ngx_chat_conf_app_endpoint(cf, clcf, &auth->ref,
                                      ngx_chat_auth_handler);
}


char *
ngx_chat_conf_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    return ngx_chat_conf_endpoint(cf, conf, ngx_chat_status_handler);
}


/* The rest of a request's path, behind the location, is the console's. */

char *
ngx_chat_conf_console(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_chat_loc_conf_t *clcf = conf;

    ngx_http_core_loc_conf_t  *core;

    core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (core->exact_match || core->noname || core->named
#if (NGX_PCRE)
        || core->regex
#endif
        || core->name.len == 0
        || core->name.data[core->name.len - 1] != '/')
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"chat_console\" must be in a location such as "
                           "\"location /console/\": a path that ends with a "
                           "slash");
        return NGX_CONF_ERROR;
    }

    clcf->console = 1;

    /* without the last slash nginx redirects, as for proxy_pass */
    core->auto_redirect = 1;

    return ngx_chat_conf_endpoint(cf, clcf, ngx_chat_console_handler);
}


char *
ngx_chat_conf_recovery(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_chat_loc_conf_t *clcf = conf;

    ngx_str_t  *value;

    if (clcf->session.recovery != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        clcf->session.recovery = 0;
        return NGX_CONF_OK;
    }

    clcf->session.recovery = ngx_parse_time(&value[1], 1);

    if (clcf->session.recovery == (time_t) NGX_ERROR
        || clcf->session.recovery > NGX_CHAT_CONF_RECOVERY_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"chat_recovery\" must be \"off\" or a time of at "
                           "most a day, such as 2m, not \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_chat_conf_check_timeout(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t *mp = data;

    /* clients are told it in seconds, and 0 makes pusher-js give up */

    return (*mp < 1000 || *mp > 86400000)
           ? "must be between 1s and 1d" : NGX_CONF_OK;
}


char *
ngx_chat_conf_check_size(ngx_conf_t *cf, void *post, void *data)
{
    size_t *sp = data;

    return (*sp == 0 || *sp > 64 * 1024 * 1024)
           ? "must be between 1 and 64m" : NGX_CONF_OK;
}


/* An endpoint for all apps. */

char *
ngx_chat_conf_endpoint(ngx_conf_t *cf, ngx_chat_loc_conf_t *clcf,
    ngx_http_handler_pt handler)
{
    ngx_chat_main_conf_t  *cmcf;

    if (clcf->handler == handler) {
        return "is duplicate";
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_chat_module);

    if (cmcf->first_endpoint.name.len == 0) {
        ngx_chat_conf_place(cf, &cmcf->first_endpoint);
    }

    return ngx_chat_conf_handler(cf, clcf, handler);
}


/* An endpoint for one app. */

char *
ngx_chat_conf_app_endpoint(ngx_conf_t *cf, ngx_chat_loc_conf_t *clcf,
    ngx_chat_app_ref_t *ref, ngx_http_handler_pt handler)
{
    if (ngx_chat_conf_app_ref(cf, ref) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return ngx_chat_conf_handler(cf, clcf, handler);
}


/* One location has one endpoint; history and publishing are one. */

static char *
ngx_chat_conf_handler(ngx_conf_t *cf, ngx_chat_loc_conf_t *clcf,
    ngx_http_handler_pt handler)
{
    ngx_http_core_loc_conf_t  *core;

    core = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (core->handler != NULL && core->handler != handler) {
        return "conflicts with another content handler of this location";
    }

    core->handler = handler;
    clcf->handler = handler;

    return NGX_CONF_OK;
}


/* 1 where the parameter is app=. */

ngx_uint_t
ngx_chat_conf_app_parameter(ngx_str_t *value, ngx_chat_app_ref_t *ref)
{
    if (ngx_strncmp(value->data, "app=", 4) != 0) {
        return 0;
    }

    ref->id.data = value->data + 4;
    ref->id.len = value->len - 4;

    return 1;
}


static char *
ngx_chat_conf_invalid(ngx_conf_t *cf, ngx_str_t *value)
{
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                       value);
    return NGX_CONF_ERROR;
}


static char *
ngx_chat_conf_value(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t *cv)
{
    ngx_http_compile_complex_value_t  ccv;

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = value;
    ccv.complex_value = cv;

    return (ngx_http_compile_complex_value(&ccv) == NGX_OK) ? NGX_CONF_OK
                                                            : NGX_CONF_ERROR;
}


static char *
ngx_chat_conf_parameter(ngx_conf_t *cf, ngx_str_t *value, size_t skip,
    ngx_http_complex_value_t **cv)
{
    ngx_str_t  rest;

    if (*cv != NULL) {
        return "is duplicate";
    }

    *cv = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (*cv == NULL) {
        return NGX_CONF_ERROR;
    }

    rest.data = value->data + skip;
    rest.len = value->len - skip;

    return ngx_chat_conf_value(cf, &rest, *cv);
}


char *
ngx_chat_conf_channel(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t *cv)
{
    if (ngx_chat_conf_value(cf, value, cv) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    /* one with variables is known only with a request */

    if (cv->lengths == NULL && ngx_chat_name_check(value) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid channel name \"%V\", it may have letters, "
                           "digits and _-=@,.; and at most %d characters",
                           value, NGX_CHAT_CHANNEL_NAME_MAX);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_chat_conf_number(ngx_conf_t *cf, ngx_str_t *value, size_t skip,
    ngx_uint_t *n)
{
    ngx_int_t  i;

    i = ngx_atoi(value->data + skip, value->len - skip);

    if (i <= 0 || i > NGX_CHAT_CONF_MAX_BOUND || *n) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\", it must be a number "
                           "between 1 and %d, given once", value,
                           NGX_CHAT_CONF_MAX_BOUND);
        return NGX_CONF_ERROR;
    }

    *n = i;

    return NGX_CONF_OK;
}
