
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * SQLite handles on files that may be removed or replaced while the server
 * runs.
 *
 * In each worker the writer, each reader and the maintenance have a handle of
 * their own.  Only threads use a handle, one thread at a time.
 *
 * A handle goes on writing to a file that was removed, and what it commits
 * there is lost.  So each use begins by ready(), which compares the files at
 * the path with those that the handle has open.
 *
 * Somebody may also truncate or overwrite the file in its place.  SQLite goes
 * on with what it has in memory, so each use looks at the file's beginning and
 * its size, too.  A file that was destroyed so is not used again, even if it
 * gets a new content, since handles have parts of the old one in memory.
 *
 * SQLite makes two rules necessary:
 *
 * All handles of a process on one file share one index of the WAL.  So where
 * the WAL or the index is a new one, the process opens it only after all its
 * handles on the old one are closed.
 *
 * SQLite takes any WAL that lies beside a file for that file's WAL.  So shared
 * memory has a note which files are the database.  The holder of the write
 * lock writes the note.  Without the lock only the noted files are opened.
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


/* Opens nothing yet.  timeout is the longest wait for a lock of SQLite's. */
void ngx_chat_handle_init(ngx_chat_handle_t *h, ngx_chat_store_conf_t *conf,
    ngx_msec_t timeout, ngx_uint_t write);

/*
 * Makes a handle fit for use.  Opens it where it is not open, or where the
 * path leads to other files now.  locked tells whether the caller has the
 * write lock; otherwise ready() takes the lock for other files than the noted
 * ones.  NGX_OK; else the caller calls failed().
 */
ngx_int_t ngx_chat_handle_ready(ngx_chat_handle_t *h, ngx_uint_t locked,
    ngx_log_t *log);

/* The same, but NGX_AGAIN where the caller has to get the lock. */
ngx_int_t ngx_chat_handle_look(ngx_chat_handle_t *h, ngx_uint_t locked,
    ngx_log_t *log);

/*
 * With the write lock.  Tells whether the files that a handle has open are
 * still whole.  NGX_OK; NGX_BUSY: they are not, and are not used any more.
 */
ngx_int_t ngx_chat_handle_whole(ngx_chat_handle_t *h);

/*
 * After a failure of any use: logs it unless log is NULL, and rolls back.
 * After other failures than NGX_BUSY the handle is closed, so that its next
 * use opens the file anew, which may be mended by then.
 */
void ngx_chat_handle_failed(ngx_chat_handle_t *h, ngx_int_t rc,
    ngx_log_t *log);

void ngx_chat_handle_close(ngx_chat_handle_t *h);


#endif /* _NGX_CHAT_HANDLE_H_INCLUDED_ */
