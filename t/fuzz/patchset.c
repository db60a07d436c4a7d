
/* sources: store/ngx_chat_patchset.c libs: -lsqlite3 */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What a cluster's log says of the tables of webhooks: what is taken, SQLite
 * applies to such tables and to nothing else, and comes to an end.
 */


#include <store/ngx_chat_patchset.h>

#include <sqlite3.h>

#include "fuzz.h"


static const char  *schema =
    "CREATE TABLE webhook_events (id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " app INTEGER NOT NULL, webhook INTEGER NOT NULL, created_at INTEGER NOT"
    " NULL, event TEXT NOT NULL, batch INTEGER, tries INTEGER, tried_at"
    " INTEGER, due_at INTEGER, dead_at INTEGER, error TEXT) STRICT;"
    "CREATE TABLE webhook_state (app INTEGER NOT NULL, channel TEXT NOT NULL,"
    " user TEXT NOT NULL, PRIMARY KEY (app, channel, user)) STRICT, WITHOUT"
    " ROWID;"
    "CREATE TABLE webhooks (id INTEGER PRIMARY KEY, app INTEGER NOT NULL, url"
    " TEXT NOT NULL) STRICT;"
    "CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('epoch', 'x'), ('webhooks', '1 2 3 4');"
    "INSERT INTO webhooks VALUES (1, 7, 'http://x');"
    "INSERT INTO webhook_state VALUES (7, 'room', '')";


static int
conflict(void *ctx, int what, sqlite3_changeset_iter *iter)
{
    return (what == SQLITE_CHANGESET_DATA
            || what == SQLITE_CHANGESET_CONFLICT)
           ? SQLITE_CHANGESET_REPLACE : SQLITE_CHANGESET_OMIT;
}


static int
count(sqlite3 *db, const char *sql)
{
    int            n;
    sqlite3_stmt  *st;

    EXPECT(sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK);
    EXPECT(sqlite3_step(st) == SQLITE_ROW);

    n = sqlite3_column_int(st, 0);
    (void) sqlite3_finalize(st);

    return n;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_str_t        text;
    static sqlite3  *db;

    if (db == NULL) {
        EXPECT(sqlite3_open(":memory:", &db) == SQLITE_OK);
        EXPECT(sqlite3_exec(db, schema, NULL, NULL, NULL) == SQLITE_OK);
    }

    text.data = (u_char *) data;
    text.len = size;

    if (ngx_chat_patchset_check(&text) != NGX_OK) {
        return 0;
    }

    (void) sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    (void) sqlite3changeset_apply(db, (int) size, (void *) data, NULL,
                                  conflict, NULL);

    EXPECT(count(db, "SELECT count(*) FROM meta WHERE key = 'epoch'"
                         " AND value = 'x'") == 1);
    EXPECT(count(db, "SELECT count(*) FROM meta WHERE key <> 'epoch'"
                         " AND key NOT LIKE 'webhook%'") == 0);

    (void) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);

    return 0;
}
