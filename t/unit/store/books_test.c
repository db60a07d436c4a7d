
/* sources: store/ngx_chat_books.c store/ngx_chat_patchset.c */
/* sources: store/ngx_chat_batch.c store/ngx_chat_keys.c */
/* sources: store/ngx_chat_db*.c store/ngx_chat_migration.c */
/* sources: wire/ngx_chat_clock.c libs: -lsqlite3 */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The tables of webhooks as changes in a cluster's log: what was changed in one
 * database is changed in another, once, and nothing else is.
 */


#include "store.h"

#include <store/ngx_chat_books.h>


static int64_t
count(ngx_chat_db_t *db, const char *what)
{
    char  sql[128];

    (void) snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", what);

    return store_number(db->handle, sql);
}


static uint64_t
last(ngx_chat_db_t *db)
{
    ngx_chat_link_books_t  books;

    CHECK_INT(ngx_chat_books_last(db, &books), NGX_OK);
    CHECK_INT(books.term, books.seq ? 3 : 0);

    return books.seq;
}


/* What some statements would change; the database stays as it is. */

static void
make(ngx_chat_db_t *db, const char *sql, ngx_str_t *changes)
{
    ngx_chat_books_t  *books;

    CHECK_INT(ngx_chat_batch_begin(db), NGX_OK);
    CHECK_INT(ngx_chat_books_note(db, &books), NGX_OK);
    CHECK_INT(ngx_chat_db_exec(db, sql), NGX_OK);
    CHECK_INT(ngx_chat_books_take(db, books, changes), NGX_OK);
    ngx_chat_batch_rollback(db);
}


/* The same by hand, of a table that is none of webhooks. */

static void
forge(ngx_chat_db_t *db, const char *table, const char *sql,
    ngx_str_t *changes)
{
    int                size;
    void              *data;
    sqlite3_session   *session;

    CHECK_INT(sqlite3session_create(db->handle, "main", &session), SQLITE_OK);
    CHECK_INT(sqlite3session_attach(session, table), SQLITE_OK);
    CHECK_INT(ngx_chat_batch_begin(db), NGX_OK);
    CHECK_INT(ngx_chat_db_exec(db, sql), NGX_OK);
    CHECK_INT(sqlite3session_patchset(session, &size, &data), SQLITE_OK);
    sqlite3session_delete(session);
    ngx_chat_batch_rollback(db);

    changes->data = malloc(size);
    changes->len = size;
    memcpy(changes->data, data, size);
    sqlite3_free(data);
}


static ngx_int_t
apply_of(ngx_chat_db_t *db, ngx_str_t *changes, ngx_uint_t all, uint64_t term,
    uint64_t before, uint64_t seq)
{
    ngx_int_t              rc;
    ngx_chat_link_books_t  a, b;

    a.term = before ? 3 : 0;
    a.seq = before;
    b.term = term;
    b.seq = seq;

    CHECK_INT(ngx_chat_batch_begin(db), NGX_OK);

    rc = ngx_chat_books_apply(db, changes, all, &a, &b);

    if (rc == NGX_OK || rc == NGX_DONE) {
        CHECK_INT(ngx_chat_batch_commit(db), NGX_OK);

    } else {
        ngx_chat_batch_rollback(db);
    }

    return rc;
}


static ngx_int_t
apply(ngx_chat_db_t *db, ngx_str_t *changes, uint64_t before, uint64_t seq)
{
    return apply_of(db, changes, 0, 3, before, seq);
}


#define ROW  "INSERT INTO webhook_events (app, webhook, created_at, event)"   \
             " VALUES (7, 1, 2, '{}');"                                       \
             "INSERT INTO webhook_state VALUES (7, 'room', '');"              \
             "INSERT INTO webhooks VALUES (1, 7, 'http://x');"                \
             "INSERT INTO meta VALUES ('webhooks', '1 2 3 4')"


static void
test_once(void)
{
    ngx_str_t      first, second;
    ngx_chat_db_t  db;

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    CHECK_INT(last(&db), 0);

    make(&db, ROW, &first);
    CHECK(first.len > 0);
    CHECK_INT(count(&db, "webhook_events"), 0);

    CHECK_INT(apply(&db, &first, 0, 5), NGX_OK);
    CHECK_INT(count(&db, "webhook_events WHERE id = 1 AND event = '{}'"), 1);
    CHECK_INT(count(&db, "webhook_state"), 1);
    CHECK_INT(count(&db, "webhooks"), 1);
    CHECK_INT(count(&db, "meta WHERE value = '1 2 3 4'"), 1);
    CHECK_INT(last(&db), 5);

    make(&db, "DELETE FROM webhook_events;"
              "UPDATE meta SET value = '5 6 7 8' WHERE key = 'webhooks'",
         &second);
    CHECK_INT(apply(&db, &second, 5, 9), NGX_OK);
    CHECK_INT(count(&db, "webhook_events"), 0);
    CHECK_INT(count(&db, "meta WHERE value = '5 6 7 8'"), 1);
    CHECK_INT(last(&db), 9);

    /* what it has is not done again, and nothing behind a hole */

    CHECK_INT(apply(&db, &first, 0, 5), NGX_OK);
    CHECK_INT(apply(&db, &first, 10, 11), NGX_DONE);
    CHECK_INT(count(&db, "webhook_events"), 0);
    CHECK_INT(last(&db), 9);

    /* the same number in another term is another item */

    CHECK_INT(apply_of(&db, &first, 0, 4, 5, 9), NGX_DONE);
    CHECK_INT(apply_of(&db, &first, 0, 2, 5, 20), NGX_OK);
    CHECK_INT(count(&db, "webhook_events"), 0);
    CHECK_INT(last(&db), 9);

    free(first.data);
    free(second.data);
    ngx_chat_db_close(&db);
    store_teardown();
}


/* All of the tables, for a database that lacks some of the items. */

static void
test_all(void)
{
    ngx_str_t      first, all;
    ngx_chat_db_t  db;

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);

    make(&db, ROW, &first);
    CHECK_INT(apply(&db, &first, 0, 5), NGX_OK);
    CHECK_INT(ngx_chat_db_exec(&db, "INSERT INTO messages (app, channel, event,"
                               " content, created_at, updated_at)"
                               " VALUES (7, 'a', 'b', 'c', 1, 1)"), NGX_OK);

    CHECK_INT(ngx_chat_batch_begin(&db), NGX_OK);
    CHECK_INT(ngx_chat_books_all(&db, &all), NGX_OK);
    ngx_chat_batch_rollback(&db);
    CHECK_INT(count(&db, "webhook_events"), 1);
    CHECK_INT(count(&db, "temp.sqlite_schema"), 0);

    /* it has other ones */

    CHECK_INT(ngx_chat_db_exec(&db, "DELETE FROM webhook_state;"
                               "INSERT INTO webhook_state VALUES (7, 'x', '');"
                               "INSERT INTO webhooks VALUES (2, 7, 'http://y');"
                               "UPDATE webhook_events SET event = 'old';"
                               "INSERT INTO meta VALUES ('webhook 2', '')"),
              NGX_OK);

    /* but not the one before: then it has what all have */

    CHECK_INT(apply_of(&db, &all, 1, 3, 5, 9), NGX_OK);
    CHECK_INT(count(&db, "webhook_state WHERE channel = 'x'"), 1);
    CHECK_INT(last(&db), 9);

    CHECK_INT(apply_of(&db, &all, 1, 3, 20, 21), NGX_OK);
    CHECK_INT(count(&db, "webhook_events"), 1);
    CHECK_INT(count(&db, "webhook_events WHERE id = 1 AND event = '{}'"), 1);
    CHECK_INT(count(&db, "webhook_state"), 1);
    CHECK_INT(count(&db, "webhook_state WHERE channel = 'room'"), 1);
    CHECK_INT(count(&db, "webhooks"), 1);
    CHECK_INT(count(&db, "meta WHERE key GLOB 'webhook*'"), 1);
    CHECK_INT(count(&db, "messages"), 1);
    CHECK_INT(last(&db), 21);

    /* once */

    CHECK_INT(apply_of(&db, &all, 1, 3, 20, 21), NGX_OK);
    CHECK_INT(last(&db), 21);

    /* and not more than the log should have */

    CHECK_INT(ngx_chat_db_exec(&db, "WITH RECURSIVE n (i) AS (SELECT 1"
                               " UNION ALL SELECT i + 1 FROM n"
                               " WHERE i <= 50000) INSERT INTO webhook_state"
                               " SELECT 7, 'room', 'user ' || i FROM n"),
              NGX_OK);
    free(all.data);
    CHECK_INT(ngx_chat_books_all(&db, &all), NGX_DECLINED);
    CHECK(all.data == NULL);

    CHECK_INT(ngx_chat_db_exec(&db, "DELETE FROM webhook_state;"
                               "UPDATE webhook_events"
                               " SET event = hex(zeroblob(5000000 / 2))"),
              NGX_OK);
    CHECK_INT(ngx_chat_books_all(&db, &all), NGX_DECLINED);
    CHECK(all.data == NULL);

    free(first.data);
    ngx_chat_db_close(&db);
    store_teardown();
}


static void
test_nothing(void)
{
    ngx_str_t          changes;
    ngx_chat_db_t      db;
    ngx_chat_books_t  *books;

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);

    make(&db, "DELETE FROM webhook_events", &changes);
    CHECK_INT(changes.len, 0);

    CHECK_INT(ngx_chat_batch_begin(&db), NGX_OK);
    CHECK_INT(ngx_chat_books_note(&db, &books), NGX_OK);
    CHECK_INT(ngx_chat_books_take(&db, books, NULL), NGX_OK);
    ngx_chat_batch_rollback(&db);

    ngx_chat_db_close(&db);
    store_teardown();
}


static void
test_foreign(void)
{
    size_t         i;
    u_char         byte;
    ngx_str_t      changes;
    ngx_uint_t     n;
    ngx_chat_db_t  db;

    static const char  *tables[][2] = {
        { "messages", "INSERT INTO messages (app, channel, event, content,"
                      " created_at, updated_at) VALUES (7, 'a', 'b', 'c', 1,"
                      " 1)" },
        { "keys", "INSERT INTO keys VALUES (1, x'00', 1)" },
        { "meta", "INSERT OR REPLACE INTO meta VALUES ('epoch', 'x')" },
        { "meta", "DELETE FROM meta" },
        { "meta", "INSERT INTO meta VALUES ('books', '7')" },
        { "meta", "INSERT INTO meta VALUES ('cluster', '7')" }
    };

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);

    for (n = 0; n < sizeof(tables) / sizeof(tables[0]); n++) {
        forge(&db, tables[n][0], tables[n][1], &changes);
        CHECK(changes.len > 0);
        CHECK_INT(apply(&db, &changes, 0, 5), NGX_DECLINED);
        free(changes.data);
    }

    CHECK_INT(last(&db), 0);
    CHECK_INT(count(&db, "meta WHERE key = 'epoch' AND value <> 'x'"), 1);

    /* each of its bytes changed, and all its beginnings */

    make(&db, ROW, &changes);

    for (i = 0; i < changes.len; i++) {
        byte = changes.data[i];

        for (n = 0; n < 3; n++) {
            changes.data[i] = byte ^ (u_char) (n == 0 ? 1 : n == 1 ? 0x80
                                                             : 0xff);
            (void) apply(&db, &changes, last(&db), last(&db) + 1);
        }

        changes.data[i] = byte;
    }

    n = changes.len;

    for (changes.len = 0; changes.len < n; changes.len++) {
        (void) apply(&db, &changes, last(&db), last(&db) + 1);
    }

    CHECK_INT(count(&db, "messages"), 0);
    CHECK_INT(count(&db, "keys"), 0);
    CHECK_INT(count(&db, "meta WHERE key NOT LIKE 'webhook%'"
                         " AND key NOT IN ('epoch', 'books')"), 0);
    CHECK_INT(count(&db, "meta WHERE key = 'epoch' AND length(value) = 32"),
              1);
    CHECK_INT(count(&db, "pragma_integrity_check"
                         " WHERE integrity_check <> 'ok'"), 0);

    free(changes.data);
    ngx_chat_db_close(&db);
    store_teardown();
}


int
main(void)
{
    RUN(test_once);
    RUN(test_all);
    RUN(test_nothing);
    RUN(test_foreign);

    return unit_done();
}
