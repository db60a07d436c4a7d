
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_events.
 */


#ifndef _NGX_CHAT_CONF_EVENTS_H_INCLUDED_
#define _NGX_CHAT_CONF_EVENTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* The setter of chat_events. */
char *ngx_chat_conf_events(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* _NGX_CHAT_CONF_EVENTS_H_INCLUDED_ */
