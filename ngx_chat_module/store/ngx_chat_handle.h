
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * SQLite handles, on files that may be taken away while the server runs.
 *
 * The writer, each reader and the maintenance of a worker have a handle of
 * their own.  It is used on threads only, by one thread at a time.
 *
 * A handle goes on writing to a file that was removed.  What it commits there
 * is gone when the last process has closed that file.  So each use begins
 * with a look whether the path still leads to the files that the handle has
 * open.
 *
 * SQLite makes two rules necessary.  All handles of a process on one file
 * share one index of the WAL: so a process opens new files only when all its
 * handles on the old ones are closed.  And SQLite takes whatever WAL lies
 * beside a file for that file's: so it is noted in shared memory which files
 * are the database.  Only the holder of the write lock notes them, and without
 * the lock no other files than those are opened.
 */


#ifndef _NGX_CHAT_HANDLE_H_INCLUDED_
#define _NGX_CHAT_HANDLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_db_open.h>
#include <store/ngx_chat_store_conf.h>


typedef struct {
    ngx_chat_store_conf_t   *conf;
    ngx_chat_db_conf_t       open;         /* how it is opened */
    ngx_chat_db_t            db;
} ngx_chat_handle_t;


/* Sets what a handle is; opens nothing.  timeout is for SQLite's locks. */
void ngx_chat_handle_init(ngx_chat_handle_t *h, ngx_chat_store_conf_t *conf,
    ngx_msec_t timeout, ngx_uint_t write);

/*
 * Makes a handle fit for use: opens it where it is not open, or where the
 * path leads to other files now.  _locked() is for the holder of the write
 * lock; the other one takes the lock where it is needed.  NGX_OK; else
 * h->db.error tells, and the caller calls ngx_chat_handle_failed().
 */
ngx_int_t ngx_chat_handle_ready(ngx_chat_handle_t *h, ngx_log_t *log);
ngx_int_t ngx_chat_handle_ready_locked(ngx_chat_handle_t *h, ngx_log_t *log);

/*
 * After a failure: logs it, where log is not NULL, and leaves nothing half
 * done.  Other than after NGX_BUSY the handle is closed: its next use opens
 * the file anew, and finds it mended.
 */
void ngx_chat_handle_failed(ngx_chat_handle_t *h, ngx_int_t rc,
    ngx_log_t *log);

void ngx_chat_handle_close(ngx_chat_handle_t *h);


#endif /* _NGX_CHAT_HANDLE_H_INCLUDED_ */
