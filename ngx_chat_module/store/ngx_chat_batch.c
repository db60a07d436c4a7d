
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Group commit.  BEGIN IMMEDIATE takes SQLite's lock at once.  A transaction
 * that begins by reading could find at its first INSERT that what it reads is
 * old, and in that case SQLite does not wait for the lock.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <store/ngx_chat_batch.h>


static int ngx_chat_batch_bind(sqlite3_stmt *st, int n, ngx_str_t *value);


ngx_int_t
ngx_chat_batch_begin(ngx_chat_db_t *db)
{
    return ngx_chat_db_run(db, NGX_CHAT_DB_WRITE_e);
}


ngx_int_t
ngx_chat_batch_insert(ngx_chat_db_t *db, ngx_chat_record_t *rec, int64_t now)
{
    ngx_int_t      rc;
    sqlite3_stmt  *st;

    st = db->statements[NGX_CHAT_DB_INSERT_e];

    if (sqlite3_bind_int64(st, 1, (sqlite3_int64) rec->app) != SQLITE_OK
        || ngx_chat_batch_bind(st, 2, &rec->channel) != SQLITE_OK
        || ngx_chat_batch_bind(st, 3, &rec->event) != SQLITE_OK
        || ngx_chat_batch_bind(st, 4, &rec->content) != SQLITE_OK
        || sqlite3_bind_int64(st, 6, now) != SQLITE_OK
        || sqlite3_bind_int64(st, 7, (sqlite3_int64) rec->kind) != SQLITE_OK)
    {
        goto failed;
    }

    /* without an author the parameter stays NULL */

    if (rec->author.len
        && ngx_chat_batch_bind(st, 5, &rec->author) != SQLITE_OK)
    {
        goto failed;
    }

    rc = ngx_chat_db_run(db, NGX_CHAT_DB_INSERT_e);
    if (rc != NGX_OK) {
        return rc;
    }

    rec->id = (uint64_t) sqlite3_last_insert_rowid(db->handle);
    rec->created = now;
    rec->updated = now;

    return NGX_OK;

failed:

    rc = ngx_chat_db_failed(db, "sqlite3_bind()");

    (void) sqlite3_clear_bindings(st);

    return rc;
}


ngx_int_t
ngx_chat_batch_commit(ngx_chat_db_t *db)
{
    ngx_int_t  rc;

    rc = ngx_chat_db_run(db, NGX_CHAT_DB_COMMIT_e);

    if (rc != NGX_OK) {
        ngx_chat_batch_rollback(db);
    }

    return rc;
}


/* Keeps the text of the failure that led here. */

void
ngx_chat_batch_rollback(ngx_chat_db_t *db)
{
    if (db->handle == NULL || sqlite3_get_autocommit(db->handle)) {
        return;
    }

    (void) sqlite3_step(db->statements[NGX_CHAT_DB_ROLLBACK_e]);
    (void) sqlite3_reset(db->statements[NGX_CHAT_DB_ROLLBACK_e]);
}


static int
ngx_chat_batch_bind(sqlite3_stmt *st, int n, ngx_str_t *value)
{
    const char  *p;

    /* an empty string without memory is not NULL */

    p = value->len ? (const char *) value->data : "";

    return sqlite3_bind_text64(st, n, p, value->len, SQLITE_STATIC,
                               SQLITE_UTF8);
}
