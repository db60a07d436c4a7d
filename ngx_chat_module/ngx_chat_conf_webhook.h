
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * webhook in chat_app, and chat_webhook_trusted_certificate.
 */


#ifndef _NGX_CHAT_CONF_WEBHOOK_H_INCLUDED_
#define _NGX_CHAT_CONF_WEBHOOK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http_module.h>


/* The setter of an item in chat_app; p is its ngx_chat_app_t. */
char *ngx_chat_conf_webhook(ngx_conf_t *cf, ngx_str_t *value, void *p);

/* At the end of a chat_app: what depends on its other items. */
char *ngx_chat_conf_webhook_check_app(ngx_conf_t *cf, ngx_chat_app_t *app);

/* The directive's setter. */
char *ngx_chat_conf_webhook_certificate(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* When all is read.  NGX_OK or NGX_ERROR, logged. */
ngx_int_t ngx_chat_conf_webhook_init(ngx_conf_t *cf,
    ngx_chat_main_conf_t *cmcf);


#endif /* _NGX_CHAT_CONF_WEBHOOK_H_INCLUDED_ */
