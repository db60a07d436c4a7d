
/* sources: store/ngx_chat_keys.c store/ngx_chat_batch.c */
/* sources: store/ngx_chat_db*.c store/ngx_chat_migration.c */
/* sources: wire/ngx_chat_clock.c libs: -lsqlite3 */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Idempotency keys: what is stored with a key is stored once, for ten minutes.
 */


#include "store.h"


#define MINUTES  60000LL
#define STEP     256                   /* keys that go at a time */


static int64_t
count(ngx_chat_db_t *db, const char *table)
{
    char  sql[64];

    (void) snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);

    return store_number(db->handle, sql);
}


/* A record with a key, in the transaction that is open. */
static ngx_uint_t
insert(ngx_chat_db_t *db, ngx_chat_record_t *rec, ngx_uint_t key,
    const char *content, int64_t now)
{
    store_record(rec, 7, "chat", content);

    rec->keyed = 1;
    memcpy(rec->key, &key, sizeof(ngx_uint_t));

    return CHECK_INT(ngx_chat_batch_insert(db, rec, now), NGX_OK);
}


/* The same in a transaction of its own. */
static ngx_uint_t
add(ngx_chat_db_t *db, ngx_chat_record_t *rec, ngx_uint_t key,
    const char *content, int64_t now)
{
    return CHECK_INT(ngx_chat_batch_begin(db), NGX_OK)
           && insert(db, rec, key, content, now)
           && CHECK_INT(ngx_chat_batch_commit(db), NGX_OK);
}


static void
test_once(void)
{
    ngx_chat_db_t      db, other;
    ngx_chat_record_t  rec;

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    CHECK_INT(store_open(&other, 1000, 1), NGX_OK);

    CHECK(add(&db, &rec, 1, "first", STORE_NOW));
    CHECK_INT(rec.id, 1);
    CHECK_INT(rec.repeated, 0);

    /* by another handle, as by another worker */

    CHECK(add(&other, &rec, 1, "first", STORE_NOW + 5));
    CHECK_INT(rec.id, 1);
    CHECK_INT(rec.repeated, 1);
    CHECK_INT(rec.created, STORE_NOW);
    CHECK_INT(rec.updated, STORE_NOW);

    CHECK(add(&other, &rec, 2, "second", STORE_NOW + 5));
    CHECK_INT(rec.id, 2);
    CHECK_INT(rec.repeated, 0);
    CHECK_INT(rec.created, STORE_NOW + 5);

    /* without a key there is nothing to be found */

    CHECK_INT(store_add(&db, 7, "chat", "third"), 3);
    CHECK_INT(count(&db, "messages"), 3);
    CHECK_INT(count(&db, "keys"), 2);
    CHECK(store_idle(&db));

    ngx_chat_db_close(&db);
    ngx_chat_db_close(&other);

    /* it is in the file */

    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    CHECK(add(&db, &rec, 2, "second", STORE_NOW + 10));
    CHECK_INT(rec.id, 2);
    CHECK_INT(rec.repeated, 1);

    /* and outlives the message */

    CHECK(store_exec(db.handle, "DELETE FROM messages WHERE id = 2"));
    CHECK(add(&db, &rec, 2, "second", STORE_NOW + 15));
    CHECK_INT(rec.id, 2);
    CHECK_INT(rec.repeated, 1);
    CHECK_INT(rec.created, STORE_NOW + 5);

    ngx_chat_db_close(&db);
    store_teardown();
}


/* In one transaction; and what is rolled back leaves no key. */
static void
test_batch(void)
{
    ngx_chat_db_t      db;
    ngx_chat_record_t  rec;

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);

    CHECK_INT(ngx_chat_batch_begin(&db), NGX_OK);
    CHECK(insert(&db, &rec, 1, "lost", STORE_NOW));
    CHECK(insert(&db, &rec, 1, "lost", STORE_NOW));
    CHECK_INT(rec.repeated, 1);
    ngx_chat_batch_rollback(&db);

    CHECK_INT(count(&db, "keys"), 0);

    CHECK_INT(ngx_chat_batch_begin(&db), NGX_OK);
    CHECK(insert(&db, &rec, 1, "kept", STORE_NOW));
    CHECK_INT(rec.id, 1);
    CHECK_INT(rec.repeated, 0);
    CHECK(insert(&db, &rec, 2, "other", STORE_NOW));
    CHECK_INT(rec.id, 2);
    CHECK(insert(&db, &rec, 1, "kept", STORE_NOW));
    CHECK_INT(rec.id, 1);
    CHECK_INT(rec.repeated, 1);

    /* the same record once more: what the first try has set does not count */

    memset(rec.key, 3, sizeof(rec.key));
    CHECK_INT(ngx_chat_batch_insert(&db, &rec, STORE_NOW), NGX_OK);
    CHECK_INT(rec.id, 3);
    CHECK_INT(rec.repeated, 0);
    CHECK_INT(ngx_chat_batch_commit(&db), NGX_OK);

    CHECK_INT(count(&db, "messages"), 3);
    CHECK_INT(count(&db, "keys"), 3);

    ngx_chat_db_close(&db);
    store_teardown();
}


/* Ten minutes, whatever the clock does: before them, and behind them. */
static void
test_age(void)
{
    ngx_uint_t         i;
    ngx_chat_db_t      db;
    ngx_chat_record_t  rec;

    static struct {
        int64_t     passed;
        ngx_uint_t  repeated;
    } cases[] = {
        { 0, 1 },
        { 10 * MINUTES - 1, 1 },
        { 10 * MINUTES + 1, 0 },
        { -10 * MINUTES + 1, 1 },
        { -10 * MINUTES - 1, 0 }
    };

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK(add(&db, &rec, i, "first", STORE_NOW));
        CHECK_INT(rec.repeated, 0);

        CHECK(add(&db, &rec, i, "first", STORE_NOW + cases[i].passed));
        CHECK_INT(rec.repeated, cases[i].repeated);

        /* what was stored anew has the key for ten minutes more */

        CHECK(add(&db, &rec, i, "first", STORE_NOW + cases[i].passed));
        CHECK_INT(rec.repeated, 1);
        CHECK_INT(rec.created, cases[i].repeated
                               ? STORE_NOW : STORE_NOW + cases[i].passed);
    }

    CHECK_INT(count(&db, "messages"), i + 2);
    CHECK_INT(count(&db, "keys"), i);

    ngx_chat_db_close(&db);
    store_teardown();
}


static void
test_remove(void)
{
    int64_t            now;
    ngx_uint_t         i;
    ngx_chat_db_t      db;
    ngx_chat_record_t  rec;

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);

    CHECK_INT(ngx_chat_keys_look(&db, STORE_NOW), NGX_DONE);

    CHECK_INT(ngx_chat_batch_begin(&db), NGX_OK);

    for (i = 0; i < STEP + 10; i++) {
        CHECK(insert(&db, &rec, i, "old", STORE_NOW));
    }

    /* the clock was ahead for a moment */

    CHECK(insert(&db, &rec, i++, "ahead", STORE_NOW + 60 * MINUTES));

    CHECK(insert(&db, &rec, i, "young", STORE_NOW + 5 * MINUTES));
    CHECK_INT(ngx_chat_batch_commit(&db), NGX_OK);

    now = STORE_NOW + 10 * MINUTES;
    CHECK_INT(ngx_chat_keys_look(&db, now), NGX_DONE);
    CHECK_INT(ngx_chat_keys_remove(&db, now), NGX_OK);
    CHECK_INT(count(&db, "keys"), STEP + 12);

    now++;
    CHECK_INT(ngx_chat_keys_look(&db, now), NGX_OK);
    CHECK_INT(ngx_chat_keys_remove(&db, now), NGX_OK);
    CHECK_INT(count(&db, "keys"), 12);
    CHECK_INT(store_number(db.handle, "SELECT min(message) FROM keys"),
              STEP + 1);

    CHECK_INT(ngx_chat_keys_look(&db, now), NGX_OK);
    CHECK_INT(ngx_chat_keys_remove(&db, now), NGX_OK);
    CHECK_INT(count(&db, "keys"), 1);
    CHECK_INT(ngx_chat_keys_look(&db, now), NGX_DONE);
    CHECK(add(&db, &rec, i, "young", now));
    CHECK_INT(rec.repeated, 1);

    CHECK_INT(count(&db, "messages"), STEP + 12);
    CHECK(store_idle(&db));

    ngx_chat_db_close(&db);
    store_teardown();
}


/* Neither looking nor removing waits for a lock beyond the handle's timeout. */
static void
test_locked(void)
{
    sqlite3            *handle;
    ngx_chat_db_t       db;
    ngx_chat_record_t   rec;

    store_setup();
    CHECK_INT(store_open(&db, 0, 1), NGX_OK);
    CHECK(add(&db, &rec, 1, "old", 0));

    handle = store_stranger();
    CHECK(store_exec(handle, "BEGIN IMMEDIATE"));

    CHECK_INT(ngx_chat_keys_look(&db, STORE_NOW), NGX_OK);
    CHECK_INT(ngx_chat_keys_remove(&db, STORE_NOW), NGX_BUSY);
    CHECK(store_idle(&db));

    CHECK(store_exec(handle, "COMMIT"));
    (void) sqlite3_close(handle);

    CHECK_INT(ngx_chat_keys_remove(&db, STORE_NOW), NGX_OK);
    CHECK_INT(count(&db, "keys"), 0);

    ngx_chat_db_close(&db);
    store_teardown();
}


int
main(void)
{
    RUN(test_once);
    RUN(test_batch);
    RUN(test_age);
    RUN(test_remove);
    RUN(test_locked);

    return unit_done();
}
