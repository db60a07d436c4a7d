
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_app, and references to apps.
 */


#ifndef _NGX_CHAT_CONF_APP_H_INCLUDED_
#define _NGX_CHAT_CONF_APP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http_module.h>


/* The setter of chat_app. */
char *ngx_chat_conf_app(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* Keeps where the directive at hand stands. */
void ngx_chat_conf_place(ngx_conf_t *cf, ngx_chat_place_t *place);

/* Keeps a directive's app= (ref->id, empty: none given) for the end. */
ngx_int_t ngx_chat_conf_app_ref(ngx_conf_t *cf, ngx_chat_app_ref_t *ref);

/* Finds the app, at the end; there is at least one.  NGX_ERROR is logged. */
ngx_int_t ngx_chat_conf_app_resolve(ngx_conf_t *cf,
    ngx_chat_main_conf_t *cmcf, ngx_chat_app_ref_t *ref);

/* What an app stores needs a database; NGX_ERROR, logged: there is none. */
ngx_int_t ngx_chat_conf_app_check_store(ngx_conf_t *cf,
    ngx_chat_main_conf_t *cmcf);


#endif /* _NGX_CHAT_CONF_APP_H_INCLUDED_ */
