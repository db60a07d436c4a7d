
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


/* Directives' setters. */
char *ngx_chat_conf_history(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_publish(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_websocket(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_auth(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_origins(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* Posts of stock setters. */
char *ngx_chat_conf_check_timeout(ngx_conf_t *cf, void *post, void *data);
char *ngx_chat_conf_check_size(ngx_conf_t *cf, void *post, void *data);


#endif /* _NGX_CHAT_CONF_LOCATION_H_INCLUDED_ */
