
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Group commit.  A batch begins by BEGIN IMMEDIATE, which waits for SQLite's
 * write lock.  After a plain BEGIN the first INSERT could fail at once: SQLite
 * does not wait for a transaction that has read what is old by now.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <store/ngx_chat_batch.h>


static ngx_int_t ngx_chat_batch_run(ngx_chat_db_t *db,
    ngx_chat_db_statement_e n, ngx_chat_record_t *rec, int64_t created);


ngx_int_t
ngx_chat_batch_insert(ngx_chat_db_t *db, ngx_chat_record_t *rec, int64_t now)
{
    ngx_int_t  rc;

    if (rec->keyed) {
        rc = ngx_chat_keys_find(db, rec->key, now, &rec->id, &rec->created);

        rec->repeated = (rc == NGX_OK);

        if (rc == NGX_OK) {
            rec->updated = rec->created;
        }

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    rc = ngx_chat_batch_run(db, NGX_CHAT_DB_INSERT_e, rec, now);
    if (rc != NGX_OK) {
        return rc;
    }

    rec->id = (uint64_t) sqlite3_last_insert_rowid(db->handle);
    rec->created = now;
    rec->updated = now;

    return rec->keyed ? ngx_chat_keys_add(db, rec->key, rec->id, now) : NGX_OK;
}


ngx_int_t
ngx_chat_batch_replicate(ngx_chat_db_t *db, ngx_chat_record_t *rec,
    ngx_uint_t fill)
{
    ngx_chat_db_statement_e  n;

    n = fill ? NGX_CHAT_DB_FILL_e : NGX_CHAT_DB_REPLICATE_e;

    if (sqlite3_bind_int64(db->statements[n], 8, (sqlite3_int64) rec->id)
        != SQLITE_OK)
    {
        return ngx_chat_db_end(db, n, SQLITE_ERROR);
    }

    return ngx_chat_batch_run(db, n, rec, rec->created);
}


static ngx_int_t
ngx_chat_batch_run(ngx_chat_db_t *db, ngx_chat_db_statement_e n,
    ngx_chat_record_t *rec, int64_t created)
{
    sqlite3_stmt  *st;

    st = db->statements[n];

    /* without an author parameter 5 stays NULL */

    if (sqlite3_bind_int64(st, 1, (sqlite3_int64) rec->app) != SQLITE_OK
        || ngx_chat_db_bind_text(st, 2, &rec->channel) != SQLITE_OK
        || ngx_chat_db_bind_text(st, 3, &rec->event) != SQLITE_OK
        || ngx_chat_db_bind_text(st, 4, &rec->content) != SQLITE_OK
        || (rec->author.len
            && ngx_chat_db_bind_text(st, 5, &rec->author) != SQLITE_OK)
        || sqlite3_bind_int64(st, 6, created) != SQLITE_OK
        || sqlite3_bind_int64(st, 7, (sqlite3_int64) rec->kind) != SQLITE_OK)
    {
        return ngx_chat_db_end(db, n, SQLITE_ERROR);
    }

    return ngx_chat_db_run(db, n);
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


/* This does not overwrite db->error, the reason for the rollback. */

void
ngx_chat_batch_rollback(ngx_chat_db_t *db)
{
    if (db->handle == NULL || sqlite3_get_autocommit(db->handle)) {
        return;
    }

    (void) sqlite3_step(db->statements[NGX_CHAT_DB_ROLLBACK_e]);
    (void) sqlite3_reset(db->statements[NGX_CHAT_DB_ROLLBACK_e]);
}
