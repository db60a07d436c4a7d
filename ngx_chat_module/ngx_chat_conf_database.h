
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

#include <http/ngx_chat_http.h>


/*
 * In the directive: has nginx create the folder for the worker's user where
 * it is missing.  NGX_CONF_OK or NGX_CONF_ERROR.
 */
char *ngx_chat_conf_database_folder(ngx_conf_t *cf, ngx_str_t *path);

/*
 * In the master, when users and folders are settled: NGX_OK; NGX_ERROR,
 * logged with the mend: the worker's user can't write the folder or the
 * file, or the file is not a database that this module can use.
 */
ngx_int_t ngx_chat_conf_database_check(ngx_cycle_t *cycle, ngx_str_t *path,
    ngx_chat_place_t *place);

/* The setter of chat_retention. */
char *ngx_chat_conf_retention(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* _NGX_CHAT_CONF_DATABASE_H_INCLUDED_ */
