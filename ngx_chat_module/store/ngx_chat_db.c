
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * One SQLite handle.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_db.h>

#include <stdio.h>


void
ngx_chat_db_close(ngx_chat_db_t *db)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_CHAT_DB_STATEMENTS_e; i++) {
        (void) sqlite3_finalize(db->statements[i]);
        db->statements[i] = NULL;
    }

    (void) sqlite3_close(db->handle);
    db->handle = NULL;
}


void
ngx_chat_db_abandon(ngx_chat_db_t *db)
{
    (void) sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
                             NULL);
}


ngx_int_t
ngx_chat_db_checkpoint(ngx_chat_db_t *db, ngx_uint_t all, ngx_uint_t *frames)
{
    int  rc, n;

    n = 0;

    rc = sqlite3_wal_checkpoint_v2(db->handle, NULL,
                                   all ? SQLITE_CHECKPOINT_TRUNCATE
                                       : SQLITE_CHECKPOINT_PASSIVE,
                                   &n, NULL);

    *frames = (n > 0) ? (ngx_uint_t) n : 0;

    return (rc == SQLITE_OK)
           ? NGX_OK : ngx_chat_db_failed(db, "sqlite3_wal_checkpoint_v2()");
}


ngx_int_t
ngx_chat_db_number(ngx_chat_db_t *db, const char *sql, int64_t *value)
{
    int            rc;
    sqlite3_stmt  *st;

    rc = sqlite3_prepare_v2(db->handle, sql, -1, &st, NULL);
    if (rc != SQLITE_OK) {
        return ngx_chat_db_failed(db, "sqlite3_prepare_v2()");
    }

    rc = NGX_OK;

    if (sqlite3_step(st) == SQLITE_ROW) {
        *value = sqlite3_column_int64(st, 0);

    } else {
        rc = (int) ngx_chat_db_failed(db, "sqlite3_step()");
    }

    (void) sqlite3_finalize(st);

    return rc;
}


ngx_int_t
ngx_chat_db_run(ngx_chat_db_t *db, ngx_chat_db_statement_e n)
{
    ngx_int_t  rc;

    rc = NGX_OK;

    if (sqlite3_step(db->statements[n]) != SQLITE_DONE) {
        rc = ngx_chat_db_failed(db, "sqlite3_step()");
    }

    (void) sqlite3_reset(db->statements[n]);
    (void) sqlite3_clear_bindings(db->statements[n]);

    return rc;
}


ngx_int_t
ngx_chat_db_failed(ngx_chat_db_t *db, const char *call)
{
    int  n, err;

    db->code = sqlite3_extended_errcode(db->handle);

    n = snprintf(db->error, NGX_CHAT_DB_ERROR_LEN, "%s failed: %d \"%s\"",
                 call, db->code, sqlite3_errmsg(db->handle));

    switch (db->code & 0xff) {

    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
        err = sqlite3_system_errno(db->handle);

        /* glibc's strerror() shares nothing between threads */

        if (err && n > 0 && n < NGX_CHAT_DB_ERROR_LEN) {
            (void) snprintf(&db->error[n], NGX_CHAT_DB_ERROR_LEN - n,
                            " (%d: %s)", err,
                            /* NOLINTNEXTLINE(concurrency-mt-unsafe) */
                            strerror(err));
        }

        return NGX_ERROR;

    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        /* the last: a race for the WAL's start that was lost many times */
        return NGX_BUSY;
    }

    return NGX_ERROR;
}


ngx_int_t
ngx_chat_db_exec(ngx_chat_db_t *db, const char *sql)
{
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return ngx_chat_db_failed(db, "sqlite3_exec()");
    }

    return NGX_OK;
}
