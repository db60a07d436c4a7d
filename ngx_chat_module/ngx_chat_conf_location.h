
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Directives of locations.
 */


#ifndef _NGX_CHAT_CONF_LOCATION_H_INCLUDED_
#define _NGX_CHAT_CONF_LOCATION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http_module.h>


/* Directives' setters. */
char *ngx_chat_conf_history(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_publish(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_websocket(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_fallback(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_console(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_recovery(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/*
 * Parts of setters, which return what these do: an endpoint for all apps, an
 * endpoint for one app, and the name of a channel, which may have variables.
 */
char *ngx_chat_conf_endpoint(ngx_conf_t *cf, ngx_chat_loc_conf_t *clcf,
    ngx_http_handler_pt handler);
char *ngx_chat_conf_app_endpoint(ngx_conf_t *cf, ngx_chat_loc_conf_t *clcf,
    ngx_chat_app_ref_t *ref, ngx_http_handler_pt handler);
char *ngx_chat_conf_channel(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_complex_value_t *cv);

/* 1 where the parameter is app=, which becomes the reference's. */
ngx_uint_t ngx_chat_conf_app_parameter(ngx_str_t *value,
    ngx_chat_app_ref_t *ref);

/* Posts of stock setters. */
char *ngx_chat_conf_check_timeout(ngx_conf_t *cf, void *post, void *data);
char *ngx_chat_conf_check_size(ngx_conf_t *cf, void *post, void *data);


#endif /* _NGX_CHAT_CONF_LOCATION_H_INCLUDED_ */
