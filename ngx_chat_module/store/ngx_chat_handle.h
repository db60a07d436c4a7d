
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Handles of files that may be taken away under the running server.
 *
 * A handle goes on writing to a file that was removed, and what it commits
 * there is gone with the last process that has it open.  So each use begins
 * with a look whether the path still leads to the files that the handle has.
 *
 * SQLite gives all handles of a process on one file the same index of the
 * WAL, and takes whatever WAL lies beside a file for its own.  Hence the
 * rules: which files are the database is noted in shared memory by whoever
 * opens them with the turn, and handles without the turn open no others; a
 * process opens new files only when its handles on the old ones are closed.
 */


#ifndef _NGX_CHAT_HANDLE_H_INCLUDED_
#define _NGX_CHAT_HANDLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_store.h>


/*
 * On a thread: makes a handle fit for use, opens it where it is not open, or
 * where the files are others than it has.  With the turn, it also notes the
 * files in shared memory.  NGX_OK; NGX_AGAIN: the turn is needed for it;
 * NGX_BUSY or NGX_ERROR, db->error tells.
 */
ngx_int_t ngx_chat_handle_ready(ngx_chat_store_conf_t *conf,
    ngx_chat_db_t *db, ngx_chat_db_conf_t *db_conf, ngx_uint_t turn,
    ngx_log_t *log);

/* The same without the turn: takes it where it is needed. */
ngx_int_t ngx_chat_handle_ready_alone(ngx_chat_store_conf_t *conf,
    ngx_chat_db_t *db, ngx_chat_db_conf_t *db_conf, ngx_log_t *log);

void ngx_chat_handle_close(ngx_chat_store_conf_t *conf, ngx_chat_db_t *db);


#endif /* _NGX_CHAT_HANDLE_H_INCLUDED_ */
