
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What stands in the block of chat_app.
 */


#ifndef _NGX_CHAT_CONF_APP_ITEM_H_INCLUDED_
#define _NGX_CHAT_CONF_APP_ITEM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* The handler of what stands in the block; conf is its ngx_chat_app_t. */
char *ngx_chat_conf_app_item(ngx_conf_t *cf, ngx_command_t *dummy,
    void *conf);


#endif /* _NGX_CHAT_CONF_APP_ITEM_H_INCLUDED_ */
