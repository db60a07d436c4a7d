
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Idempotency keys of what is stored.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_keys.h>


static void ngx_chat_keys_bind(ngx_chat_db_t *db, ngx_chat_db_statement_e n,
    int64_t now);


ngx_int_t
ngx_chat_keys_find(ngx_chat_db_t *db, u_char *key, int64_t now, uint64_t *id,
    int64_t *created)
{
    int            rc;
    ngx_int_t      result;
    sqlite3_stmt  *st;

    st = db->statements[NGX_CHAT_DB_KEY_e];

    ngx_chat_keys_bind(db, NGX_CHAT_DB_KEY_e, now);

    if (sqlite3_bind_blob(st, 3, key, NGX_CHAT_KEYS_LEN, SQLITE_STATIC)
        != SQLITE_OK)
    {
        return ngx_chat_db_end(db, NGX_CHAT_DB_KEY_e, SQLITE_ERROR);
    }

    rc = sqlite3_step(st);

    if (rc == SQLITE_ROW) {
        *id = (uint64_t) sqlite3_column_int64(st, 0);
        *created = sqlite3_column_int64(st, 1);
    }

    result = ngx_chat_db_end(db, NGX_CHAT_DB_KEY_e, rc);

    return (result == NGX_OK && rc == SQLITE_DONE) ? NGX_DECLINED : result;
}


ngx_int_t
ngx_chat_keys_add(ngx_chat_db_t *db, u_char *key, uint64_t id,
    int64_t created)
{
    sqlite3_stmt  *st;

    st = db->statements[NGX_CHAT_DB_ADD_KEY_e];

    if (sqlite3_bind_int64(st, 1, (sqlite3_int64) id) != SQLITE_OK
        || sqlite3_bind_blob(st, 2, key, NGX_CHAT_KEYS_LEN, SQLITE_STATIC)
           != SQLITE_OK
        || sqlite3_bind_int64(st, 3, created) != SQLITE_OK)
    {
        return ngx_chat_db_end(db, NGX_CHAT_DB_ADD_KEY_e, SQLITE_ERROR);
    }

    return ngx_chat_db_run(db, NGX_CHAT_DB_ADD_KEY_e);
}


ngx_int_t
ngx_chat_keys_look(ngx_chat_db_t *db, int64_t now)
{
    int        rc;
    ngx_int_t  result;

    ngx_chat_keys_bind(db, NGX_CHAT_DB_OLD_KEY_e, now);

    rc = sqlite3_step(db->statements[NGX_CHAT_DB_OLD_KEY_e]);

    result = ngx_chat_db_end(db, NGX_CHAT_DB_OLD_KEY_e, rc);

    return (result == NGX_OK && rc == SQLITE_DONE) ? NGX_DONE : result;
}


ngx_int_t
ngx_chat_keys_remove(ngx_chat_db_t *db, int64_t now)
{
    ngx_chat_keys_bind(db, NGX_CHAT_DB_DELETE_KEYS_e, now);

    return ngx_chat_db_run(db, NGX_CHAT_DB_DELETE_KEYS_e);
}


/* The times from which on and up to which a key counts. */

static void
ngx_chat_keys_bind(ngx_chat_db_t *db, ngx_chat_db_statement_e n, int64_t now)
{
    (void) sqlite3_bind_int64(db->statements[n], 1, now - NGX_CHAT_KEYS_AGE);
    (void) sqlite3_bind_int64(db->statements[n], 2, now + NGX_CHAT_KEYS_AGE);
}
