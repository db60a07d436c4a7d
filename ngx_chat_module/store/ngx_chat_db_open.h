
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Opening a database: pragmas, schema, prepared statements.  Pure.
 */


#ifndef _NGX_CHAT_DB_OPEN_H_INCLUDED_
#define _NGX_CHAT_DB_OPEN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_db.h>


typedef struct {
    const char           *path;        /* NUL-terminated, outlives the handle */
    ngx_msec_t            timeout;     /* longest wait for SQLite's lock */
    ngx_chat_db_files_t  *expected;    /* NULL: whichever file is there; else
                                          this one, or a new one where file
                                          is 0 */

    unsigned              full:1;      /* synchronous=FULL, else NORMAL */
    unsigned              write:1;     /* may INSERT; a reader is query_only */
    unsigned              create:1;    /* makes the file where there is none */
} ngx_chat_db_conf_t;


/*
 * Opens, in WAL mode, and brings the schema up to date in one transaction;
 * either kind of handle does so, the winner of a race is whoever comes
 * first.  NGX_OK; NGX_BUSY: locked beyond the timeout, or another file than
 * the expected one, or one that can't be looked at; NGX_DECLINED: not a
 * database, or one of another application or of a newer schema (left
 * untouched); NGX_ERROR: anything else.  On failure db->error tells and the
 * handle is closed.  Where nothing is missing nothing is written, and nobody
 * else's lock is waited for.
 */
ngx_int_t ngx_chat_db_open(ngx_chat_db_t *db, ngx_chat_db_conf_t *conf);

/*
 * Looks at the file without SQLite and without changing anything, for
 * configuration time: reads its first 100 bytes.  NGX_OK: fit to be opened,
 * missing or empty included; NGX_DECLINED with error set (a sentence that
 * names no path); NGX_ERROR with errno set: it can't be read.
 *
 * Not for a process that has the database open: POSIX takes away all locks
 * of a process on a file, SQLite's too, when it closes any descriptor of it.
 */
ngx_int_t ngx_chat_db_probe(const char *path, char *error, size_t size);


#endif /* _NGX_CHAT_DB_OPEN_H_INCLUDED_ */
