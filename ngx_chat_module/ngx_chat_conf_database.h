
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_database: what can be told of the file before a worker opens it; and
 * chat_retention.
 */


#ifndef _NGX_CHAT_CONF_DATABASE_H_INCLUDED_
#define _NGX_CHAT_CONF_DATABASE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http_module.h>


/* The setters of chat_database and chat_retention. */
char *ngx_chat_conf_database(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_chat_conf_retention(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

/* NGX_ERROR, logged: there is no database, and what stands there needs it. */
ngx_int_t ngx_chat_conf_database_required(ngx_conf_t *cf,
    ngx_chat_main_conf_t *cmcf, ngx_chat_place_t *place);

/*
 * In the master, when users and folders are settled: NGX_OK; NGX_ERROR,
 * logged with a remedy: the worker's user can't write the folder or the
 * file, or the file is not a database that this module can use.
 */
ngx_int_t ngx_chat_conf_database_check(ngx_cycle_t *cycle, ngx_str_t *path,
    ngx_chat_place_t *place);

/*
 * In the master: what the store's workers share in the zone.  NGX_ERROR,
 * logged: no memory, or the running nginx has another database.
 */
ngx_int_t ngx_chat_conf_database_init(ngx_chat_main_conf_t *cmcf,
    ngx_log_t *log);


#endif /* _NGX_CHAT_CONF_DATABASE_H_INCLUDED_ */
