
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Lists of origins in directives: chat_cors, chat_origins.
 */


#ifndef _NGX_CHAT_CONF_ORIGIN_H_INCLUDED_
#define _NGX_CHAT_CONF_ORIGIN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* A directive's setter; cmd->post is set where the list may be "off" and have
   "credentials". */
char *ngx_chat_conf_origins(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* _NGX_CHAT_CONF_ORIGIN_H_INCLUDED_ */
