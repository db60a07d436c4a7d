
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
    ngx_chat_db_files_t  *expected;    /* the file that must be there; NULL, or
                                          file is 0: any */

    unsigned              full:1;      /* synchronous=FULL, else NORMAL */
    unsigned              write:1;     /* may INSERT; a reader is query_only */
    unsigned              create:1;    /* may make the file */
} ngx_chat_db_conf_t;


/*
 * Opens the file in WAL mode, and brings the schema up to date where it is
 * not; a reader's handle does so, too.  Of several that open a new file at a
 * time, one makes the schema.  Where nothing is missing, nothing is written
 * and nobody's lock is waited for.
 *
 * NGX_OK; NGX_BUSY: the file is locked beyond the timeout, or is another one
 * than expected, or can't be looked at; NGX_DECLINED: it is not a database, or
 * one of another application or of a newer schema, and is left untouched;
 * NGX_ERROR: anything else.  After a failure the handle is closed, and
 * db->error tells the reason.
 */
ngx_int_t ngx_chat_db_open(ngx_chat_db_t *db, ngx_chat_db_conf_t *conf);

/*
 * Looks at the first bytes of a file without SQLite, when the configuration is
 * read.  NGX_OK: the file can be opened, or is missing or empty; NGX_DECLINED:
 * error, which has room for NGX_CHAT_DB_ERROR_LEN bytes, tells the reason and
 * names no path; NGX_ERROR with errno set: it can't be read.
 *
 * A process that has the database open must not call this.  When a process
 * closes any descriptor of a file, POSIX takes away all its locks on the file,
 * those of SQLite too.
 */
ngx_int_t ngx_chat_db_probe(const char *path, char *error);


#endif /* _NGX_CHAT_DB_OPEN_H_INCLUDED_ */
