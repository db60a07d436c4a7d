
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_cluster and its relatives.
 */


#ifndef _NGX_CHAT_CONF_CLUSTER_H_INCLUDED_
#define _NGX_CHAT_CONF_CLUSTER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http_module.h>


/* Setters of directives. */
char *ngx_chat_conf_cluster(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_cluster_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* When the whole file was read.  NGX_OK; NGX_ERROR, logged. */
ngx_int_t ngx_chat_conf_cluster_init(ngx_conf_t *cf,
    ngx_chat_main_conf_t *cmcf);


#endif /* _NGX_CHAT_CONF_CLUSTER_H_INCLUDED_ */
