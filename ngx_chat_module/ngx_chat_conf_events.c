
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_events, with the names of channels, or without.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <events/ngx_chat_events.h>
#include <http/ngx_chat_http_module.h>
#include <ngx_chat_conf_events.h>
#include <ngx_chat_conf_location.h>


static char *ngx_chat_conf_events_channel(ngx_conf_t *cf,
    ngx_chat_events_conf_t *events, ngx_str_t *value);


char *
ngx_chat_conf_events(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_chat_loc_conf_t *clcf = conf;

    char                    *rv;
    ngx_str_t               *value;
    ngx_uint_t               i;
    ngx_chat_events_conf_t  *events;

    if (clcf->events) {
        return "is duplicate";
    }

    events = ngx_pcalloc(cf->pool, sizeof(ngx_chat_events_conf_t));
    if (events == NULL) {
        return NGX_CONF_ERROR;
    }

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_chat_conf_app_parameter(&value[i], &events->ref)) {
            continue;
        }

        rv = ngx_chat_conf_events_channel(cf, events, &value[i]);

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    clcf->events = events;

    if (events->channels) {
        return ngx_chat_conf_app_endpoint(cf, clcf, &events->ref,
                                          ngx_chat_events_handler);
    }

    if (events->ref.id.len) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"app=%V\" in \"chat_events\" is for the channels "
                           "that stand before it; without channels the key in "
                           "the URL tells the app", &events->ref.id);
        return NGX_CONF_ERROR;
    }

    return ngx_chat_conf_endpoint(cf, clcf, ngx_chat_events_handler);
}


static char *
ngx_chat_conf_events_channel(ngx_conf_t *cf, ngx_chat_events_conf_t *events,
    ngx_str_t *value)
{
    ngx_http_complex_value_t  *cv;

    /* a name may have commas, but most likely that is a list */

    if (ngx_strlchr(value->data, value->data + value->len, ',')) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid channel name \"%V\" in \"chat_events\", "
                           "write several channels as several parameters",
                           value);
        return NGX_CONF_ERROR;
    }

    if (events->channels == NULL) {
        events->channels = ngx_array_create(cf->pool, 1,
                                            sizeof(ngx_http_complex_value_t));
        if (events->channels == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (events->channels->nelts == NGX_CHAT_EVENTS_CHANNELS) {
        return "has more than 100 channels";
    }

    cv = ngx_array_push(events->channels);
    if (cv == NULL) {
        return NGX_CONF_ERROR;
    }

    return ngx_chat_conf_channel(cf, value, cv);
}
