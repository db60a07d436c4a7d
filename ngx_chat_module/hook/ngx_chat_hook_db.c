
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The herald's transactions.
 *
 * The thread must end soon when its worker does.  So it waits for locks only
 * for a moment, and tries again; nothing is lost meanwhile, as long as the ring
 * has it.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_hook_db.h>
#include <store/ngx_chat_batch.h>
#include <store/ngx_chat_write_lock.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_HOOK_DB_WAIT  250         /* ms, for each lock */
#define NGX_CHAT_HOOK_DB_LOG   10000       /* ms between logged failures */


static void ngx_chat_hook_db_failed(ngx_chat_hook_db_t *db, ngx_int_t rc,
    ngx_log_t *log);


/*
 * Of a newcomer the meta table has the channel and the user that it was told of
 * last, with a line feed between, which no channel has.
 */

#define NGX_CHAT_HOOK_DB_STATE                                                \
    " FROM meta JOIN webhook_state s ON s.app = ?2 AND (s.channel, s.user)"   \
    " > (substr(value, 1, instr(value, char(10)) - 1),"                       \
    " substr(value, instr(value, char(10)) + 1))"                             \
    " WHERE key = 'webhook ' || ?1 ORDER BY s.channel, s.user"


static const char *const  ngx_chat_hook_db_sql[] = {

    "INSERT OR IGNORE INTO webhook_state (app, channel, user)"
    " VALUES (?, ?, ?)",

    "DELETE FROM webhook_state WHERE app = ? AND channel = ? AND user = ?",

    "DELETE FROM webhook_state WHERE app = ? AND channel = ? RETURNING user",

    "INSERT INTO webhook_events (app, webhook, created_at, event)"
    " VALUES (?, ?, ?, ?)",

    "SELECT id, batch, due_at, tries, tried_at, created_at"
    " FROM webhook_events WHERE webhook = ? AND dead_at = 0"
    " ORDER BY id LIMIT 1",

    "SELECT id, created_at, event, batch FROM webhook_events"
    " WHERE webhook = ? AND dead_at = 0 AND id >= ? ORDER BY id LIMIT ?",

    "SELECT id, created_at, event, batch FROM webhook_events"
    " WHERE batch = ? AND dead_at = 0 ORDER BY id LIMIT ?",

    "UPDATE webhook_events SET batch = ?, tried_at = ? WHERE id = ?",

    "DELETE FROM webhook_events WHERE batch = ?",

    "UPDATE webhook_events SET tries = ?, tried_at = ?, due_at = ?, error = ?"
    " WHERE batch = ?",

    "UPDATE webhook_events SET tries = tries + 1, tried_at = 0, due_at = 0,"
    " dead_at = ?, error = ? WHERE batch = ? AND dead_at = 0",

    "UPDATE webhook_events SET dead_at = 0 WHERE webhook = ? AND dead_at > 0",

    "SELECT webhook, dead_at > 0, count(*), min(dead_at) FROM webhook_events"
    " GROUP BY 1, 2",

    "UPDATE webhook_events SET dead_at = ?, error = 'too many events wait'"
    " WHERE id IN (SELECT id FROM webhook_events WHERE webhook = ?"
    " AND dead_at = 0 AND batch = 0 ORDER BY id LIMIT ?)",

    "DELETE FROM webhook_events WHERE id IN (SELECT id FROM webhook_events"
    " WHERE webhook = ? AND dead_at > 0 ORDER BY dead_at, id LIMIT ?)",

    "DELETE FROM webhook_events WHERE webhook = ? AND dead_at > 0"
    " AND dead_at < ?",

    "INSERT OR IGNORE INTO webhooks (id, app, url) VALUES (?, ?, ?)",

    "INSERT OR REPLACE INTO meta (key, value)"
    " VALUES ('webhook ' || ?, char(10))",

    "SELECT 1 FROM meta WHERE key = 'webhook ' || ?",

    "SELECT s.channel, s.user" NGX_CHAT_HOOK_DB_STATE " LIMIT ?3",

    "UPDATE meta SET value = (SELECT s.channel || char(10) || s.user"
    NGX_CHAT_HOOK_DB_STATE " LIMIT 1 OFFSET ?3) WHERE key = 'webhook ' || ?1",

    "DELETE FROM meta WHERE key = 'webhook ' || ?",

    "SELECT value FROM meta WHERE key = 'webhooks'",

    "INSERT OR REPLACE INTO meta (key, value) VALUES ('webhooks', ?)",

    "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'webhooks stored'",

    "INSERT OR REPLACE INTO meta (key, value) VALUES ('webhooks stored', ?)",

    "SELECT id, app, channel, event, content, author, created_at, kind"
    " FROM messages WHERE id > ? ORDER BY id LIMIT ?"
};


void
ngx_chat_hook_db_init(ngx_chat_hook_db_t *db, ngx_chat_store_conf_t *conf)
{
    ngx_memzero(db, sizeof(ngx_chat_hook_db_t));

    ngx_chat_handle_init(&db->handle, conf, NGX_CHAT_HOOK_DB_WAIT, 1);
    ngx_chat_hook_db_forget(db);
}


ngx_int_t
ngx_chat_hook_db_begin(ngx_chat_hook_db_t *db, ngx_log_t *log)
{
    ngx_int_t               rc;
    ngx_chat_store_conf_t  *conf;

    conf = db->handle.conf;

    rc = ngx_chat_write_lock_take(conf->sh, NGX_CHAT_HOOK_DB_WAIT, NULL);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_handle_ready(&db->handle, 1, log);

    if (rc == NGX_OK) {
        rc = ngx_chat_batch_begin(&db->handle.db);
    }

    if (rc == NGX_OK && conf->link) {
        rc = ngx_chat_books_note(&db->handle.db, &db->books);
    }

    if (rc != NGX_BUSY) {
        db->busy = 0;
    }

    if (rc != NGX_OK) {
        ngx_chat_hook_db_failed(db, rc, log);
        ngx_chat_write_lock_give(conf->sh);
    }

    return rc;
}


ngx_int_t
ngx_chat_hook_db_end(ngx_chat_hook_db_t *db, ngx_int_t rc, ngx_log_t *log)
{
    ngx_chat_hook_db_done(db);

    ngx_chat_failpoint("hook commit");

    if (rc == NGX_OK) {
        rc = ngx_chat_batch_commit(&db->handle.db);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_handle_whole(&db->handle);
    }

    ngx_chat_failpoint("hook committed");

    if (rc != NGX_OK) {
        ngx_chat_hook_db_failed(db, rc, log);
    }

    ngx_chat_write_lock_give(db->handle.conf->sh);

    return rc;
}


ngx_int_t
ngx_chat_hook_db_take(ngx_chat_hook_db_t *db, ngx_int_t rc, ngx_uint_t all,
    ngx_str_t *changes, ngx_chat_link_books_t *books, ngx_log_t *log)
{
    int64_t         row;
    ngx_int_t       taken;
    ngx_chat_db_t  *d;

    d = &db->handle.db;
    row = 0;
    ngx_str_null(changes);

    ngx_chat_hook_db_done(db);

    if (rc == NGX_OK) {
        rc = ngx_chat_books_last(d, books);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_db_highest(d, "webhook_events", &row);
    }

    books->row = (uint64_t) row;

    taken = ngx_chat_books_take(d, db->books,
                                (rc == NGX_OK && !all) ? changes : NULL);
    db->books = NULL;

    rc = (rc == NGX_OK) ? taken : rc;

    if (rc == NGX_OK && all) {
        rc = ngx_chat_books_all(d, changes);
    }

    if (rc != NGX_OK && rc != NGX_DECLINED) {
        ngx_chat_hook_db_failed(db, rc, log);
    }

    ngx_chat_batch_rollback(d);
    ngx_chat_write_lock_give(db->handle.conf->sh);

    return rc;
}


void
ngx_chat_hook_db_done(ngx_chat_hook_db_t *db)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_CHAT_HOOK_DB_STATEMENTS_e; i++) {
        (void) sqlite3_finalize(db->statements[i]);
        db->statements[i] = NULL;
    }
}


/*
 * SQLite counts the commits of others in data_version, and a handle's own
 * changes apart from them.
 */

ngx_int_t
ngx_chat_hook_db_look(ngx_chat_hook_db_t *db, ngx_log_t *log)
{
    int         changes;
    int64_t     version;
    ngx_int_t   rc;
    ngx_uint_t  same;

    version = 0;

    rc = ngx_chat_handle_look(&db->handle, 0, log);

    if (rc == NGX_OK) {
        rc = ngx_chat_db_number(&db->handle.db, "PRAGMA data_version",
                                &version);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    changes = sqlite3_total_changes(db->handle.db.handle);

    same = (version == db->version && changes == db->changes);

    db->version = version;
    db->changes = changes;

    return same ? NGX_DECLINED : NGX_OK;
}


/* Logs the first failure, and then one now and then. */

static void
ngx_chat_hook_db_failed(ngx_chat_hook_db_t *db, ngx_int_t rc, ngx_log_t *log)
{
    uint64_t  now;

    now = ngx_chat_clock_msec();

    /* somebody else's lock is no failure as long as a POST would wait for it */

    if (rc == NGX_BUSY) {
        db->busy = db->busy ? db->busy : now;

        if (now - db->busy < NGX_CHAT_HOOK_DB_LOG) {
            return;
        }
    }

    if (db->logged && now - db->logged < NGX_CHAT_HOOK_DB_LOG) {
        ngx_chat_handle_failed(&db->handle, rc, NULL);
        return;
    }

    db->logged = now;
    ngx_chat_handle_failed(&db->handle, rc, log);
}


void
ngx_chat_hook_db_close(ngx_chat_hook_db_t *db)
{
    ngx_chat_handle_close(&db->handle);
}


sqlite3_stmt *
ngx_chat_hook_db_get(ngx_chat_hook_db_t *db, ngx_chat_hook_db_statement_e n)
{
    if (db->statements[n] == NULL
        && sqlite3_prepare_v2(db->handle.db.handle, ngx_chat_hook_db_sql[n],
                              -1, &db->statements[n], NULL)
           != SQLITE_OK)
    {
        (void) ngx_chat_db_failed(&db->handle.db, "sqlite3_prepare_v2()");
        return NULL;
    }

    return db->statements[n];
}


ngx_int_t
ngx_chat_hook_db_run(ngx_chat_hook_db_t *db, ngx_chat_hook_db_statement_e n,
    ngx_uint_t *changes)
{
    ngx_int_t  rc;

    rc = ngx_chat_hook_db_step(db, n);

    if (rc != NGX_DONE) {
        return (rc == NGX_OK) ? NGX_ERROR : rc;
    }

    if (changes) {
        *changes = sqlite3_changes(db->handle.db.handle);
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_hook_db_change(ngx_chat_hook_db_t *db,
    ngx_chat_hook_db_statement_e n, int64_t a, int64_t b, int64_t c)
{
    sqlite3_stmt  *st;

    st = ngx_chat_hook_db_get(db, n);
    if (st == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(st, 1, a);
    (void) sqlite3_bind_int64(st, 2, b);
    (void) sqlite3_bind_int64(st, 3, c);

    return ngx_chat_hook_db_run(db, n, NULL);
}


ngx_int_t
ngx_chat_hook_db_step(ngx_chat_hook_db_t *db, ngx_chat_hook_db_statement_e n)
{
    int        rc;
    ngx_int_t  status;

    rc = sqlite3_step(db->statements[n]);

    if (rc == SQLITE_ROW) {
        return NGX_OK;
    }

    status = (rc == SQLITE_DONE) ? NGX_DONE
             : ngx_chat_db_failed(&db->handle.db, "sqlite3_step()");

    ngx_chat_hook_db_reset(db, n);

    return status;
}


void
ngx_chat_hook_db_reset(ngx_chat_hook_db_t *db, ngx_chat_hook_db_statement_e n)
{
    (void) sqlite3_reset(db->statements[n]);
    (void) sqlite3_clear_bindings(db->statements[n]);
}
