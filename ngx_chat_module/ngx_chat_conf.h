
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The configuration: create, merge, setters, and the checks at the end.
 */


#ifndef _NGX_CHAT_CONF_H_INCLUDED_
#define _NGX_CHAT_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


void *ngx_chat_conf_create_main(ngx_conf_t *cf);
char *ngx_chat_conf_init_main(ngx_conf_t *cf, void *conf);
void *ngx_chat_conf_create_loc(ngx_conf_t *cf);
char *ngx_chat_conf_merge_loc(ngx_conf_t *cf, void *parent, void *child);
ngx_int_t ngx_chat_conf_postconfiguration(ngx_conf_t *cf);

/* Directives' setters. */
char *ngx_chat_conf_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_presence_grace(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* _NGX_CHAT_CONF_H_INCLUDED_ */
