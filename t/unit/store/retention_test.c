
/* sources: store/ngx_chat_db*.c store/ngx_chat_migration.c */
/* sources: store/ngx_chat_batch.c store/ngx_chat_history.c */
/* sources: store/ngx_chat_keys.c */
/* sources: store/ngx_chat_retention.c wire/ngx_chat_clock.c */
/* sources: wire/ngx_chat_hash.c libs: -lsqlite3 */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What is removed, and what stays, whatever the clock did.
 */


#include "store.h"

#include <store/ngx_chat_history.h>
#include <store/ngx_chat_retention.h>


#define HOUR  3600000LL
#define LONG  60000


/* too large for the stack */
static ngx_chat_retention_t  rt;


static uint64_t
add_at(ngx_chat_db_t *db, uint64_t app, const char *channel, int64_t created)
{
    ngx_chat_record_t  rec;

    store_record(&rec, app, channel, "text");

    CHECK_INT(ngx_chat_batch_begin(db), NGX_OK);
    CHECK_INT(ngx_chat_batch_insert(db, &rec, created), NGX_OK);
    CHECK_INT(ngx_chat_batch_commit(db), NGX_OK);

    return rec.id;
}


/* n messages of one channel in one transaction */
static void
add_many(ngx_chat_db_t *db, uint64_t app, const char *channel, ngx_uint_t n,
    const char *content)
{
    ngx_chat_record_t  rec;

    store_record(&rec, app, channel, content);

    CHECK_INT(ngx_chat_batch_begin(db), NGX_OK);

    while (n--) {
        if (ngx_chat_batch_insert(db, &rec, STORE_NOW) != NGX_OK) {
            CHECK(0);
            break;
        }
    }

    CHECK_INT(ngx_chat_batch_commit(db), NGX_OK);
}


/* Looks and removes until there is nothing; how many went. */
static ngx_uint_t
retain(ngx_chat_db_t *db, ngx_chat_retention_limits_t *limits, int64_t now,
    int64_t ms)
{
    ngx_int_t   rc;
    ngx_uint_t  i, n, all;

    all = 0;

    for (i = 0; i < 100000; i++) {
        rc = ngx_chat_retention_look(&rt, limits, db, now,
                                     ngx_chat_clock_msec() + ms);

        if (rc == NGX_AGAIN) {
            continue;
        }

        if (rc != NGX_OK) {
            CHECK_INT(rc, NGX_DONE);
            CHECK(store_idle(db));
            return all;
        }

        CHECK(rt.n > 0);
        CHECK_INT(ngx_chat_retention_remove(&rt, db,
                                            ngx_chat_clock_msec() + ms,
                                            &n),
                  NGX_OK);
        CHECK(n > 0);
        all += n;
    }

    printf("# no end\n");
    CHECK(0);

    return all;
}


/* The ids there are, as text. */
static const char *
ids(ngx_chat_db_t *db)
{
    char          *p;
    sqlite3_stmt  *st;
    static char    text[4096];

    p = text;
    *p = '\0';

    CHECK(sqlite3_prepare_v2(db->handle, "SELECT id FROM messages ORDER BY id",
                             -1, &st, NULL)
          == SQLITE_OK);

    while (sqlite3_step(st) == SQLITE_ROW && p < text + 4000) {
        p += sprintf(p, "%s%d", p == text ? "" : " ",
                     sqlite3_column_int(st, 0));
    }

    (void) sqlite3_finalize(st);

    return text;
}


#define CHECK_IDS(db, expected)                                               \
    do {                                                                      \
        if (!CHECK(strcmp(ids(db), expected) == 0)) {                         \
            printf("# there are %s\n", ids(db));                              \
        }                                                                     \
    } while (0)


static void
setup(ngx_chat_db_t *db, ngx_chat_retention_limits_t *limits)
{
    store_setup();

    memset(&rt, 0, sizeof(rt));
    memset(limits, 0, sizeof(ngx_chat_retention_limits_t));

    CHECK_INT(store_open(db, 1000, 1), NGX_OK);
}


static void
teardown(ngx_chat_db_t *db)
{
    CHECK_INT(store_number(db->handle, "SELECT integrity_check = 'ok'"
                           " FROM pragma_integrity_check"), 1);
    ngx_chat_db_close(db);
    store_teardown();
}


static void
test_nothing(void)
{
    ngx_chat_db_t                db;
    ngx_chat_retention_limits_t  limits;

    setup(&db, &limits);

    add_at(&db, 1, "a", 0);
    CHECK_INT(retain(&db, &limits, STORE_NOW, LONG), 0);

    limits.age = HOUR;
    limits.count = 5;
    limits.size = 1024 * 1024;

    CHECK_INT(retain(&db, &limits, HOUR / 2, LONG), 0);

    CHECK_INT(retain(&db, &limits, STORE_NOW, LONG), 1);
    CHECK_INT(retain(&db, &limits, STORE_NOW, LONG), 0);

    teardown(&db);
}


static void
test_age(void)
{
    ngx_uint_t                   i;
    ngx_chat_db_t                db;
    ngx_chat_retention_limits_t  limits;

    setup(&db, &limits);

    limits.age = 10 * HOUR;

    for (i = 1; i <= 20; i++) {
        add_at(&db, i % 2, "a", i * HOUR);
    }

    CHECK_INT(retain(&db, &limits, 15 * HOUR, LONG), 4);
    CHECK_IDS(&db, "5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20");

    CHECK_INT(retain(&db, &limits, 15 * HOUR + 1, LONG), 1);
    CHECK_INT(retain(&db, &limits, 28 * HOUR, LONG), 12);
    CHECK_IDS(&db, "18 19 20");

    /* ids don't come back, not of the last one either */

    CHECK_INT(retain(&db, &limits, 100 * HOUR, LONG), 3);
    CHECK_IDS(&db, "");
    CHECK_INT(add_at(&db, 1, "a", 100 * HOUR), 21);

    teardown(&db);
}


/* The clock was ahead, or behind, when some messages were stored. */
static void
test_clock(void)
{
    ngx_uint_t                   i;
    ngx_chat_db_t                db;
    ngx_chat_retention_limits_t  limits;

    setup(&db, &limits);

    limits.age = 10 * HOUR;

    /* ahead by years: they go with what follows them */

    add_at(&db, 1, "a", 1 * HOUR);
    add_at(&db, 1, "a", 90000 * HOUR);
    add_at(&db, 1, "a", 90001 * HOUR);
    add_at(&db, 1, "a", 2 * HOUR);
    add_at(&db, 1, "a", 3 * HOUR);

    CHECK_INT(retain(&db, &limits, 12 * HOUR, LONG), 1);
    CHECK_IDS(&db, "2 3 4 5");
    CHECK_INT(retain(&db, &limits, 12 * HOUR + 1, LONG), 3);
    CHECK_IDS(&db, "5");

    /* more of them than are read at a time, and little time */

    for (i = 0; i < 2500; i++) {
        add_at(&db, 1, "a", 90000 * HOUR);
    }

    add_at(&db, 1, "a", 4 * HOUR);

    CHECK_INT(retain(&db, &limits, 13 * HOUR + 1, 0), 1);
    CHECK_INT(retain(&db, &limits, 14 * HOUR, 0), 0);
    CHECK_INT(retain(&db, &limits, 14 * HOUR + 1, 0), 2501);

    /* behind: what is before them in time of storing stays until its own */

    add_at(&db, 1, "a", 20 * HOUR);
    add_at(&db, 1, "a", 0);
    add_at(&db, 1, "a", 21 * HOUR);

    CHECK_INT(retain(&db, &limits, 30 * HOUR, LONG), 0);
    CHECK_INT(retain(&db, &limits, 30 * HOUR + 1, LONG), 2);
    CHECK_INT(retain(&db, &limits, 31 * HOUR + 1, LONG), 1);

    /* the clock goes back: nothing goes */

    add_at(&db, 1, "a", 50 * HOUR);
    CHECK_INT(retain(&db, &limits, 40 * HOUR, LONG), 0);

    teardown(&db);
}


static void
test_count(void)
{
    ngx_uint_t                   i;
    ngx_chat_db_t                db;
    ngx_chat_retention_limits_t  limits;

    setup(&db, &limits);

    limits.count = 3;

    for (i = 0; i < 5; i++) {
        add_at(&db, 1, "a", i);         /* 1 5 9 13 17 */
        add_at(&db, 1, "b", i);
        add_at(&db, 2, "a", i);
        add_at(&db, -3, "", i);
    }

    CHECK_INT(retain(&db, &limits, STORE_NOW, LONG), 8);
    CHECK_IDS(&db, "9 10 11 12 13 14 15 16 17 18 19 20");
    CHECK_INT(retain(&db, &limits, STORE_NOW, LONG), 0);

    /* those that get more, and new ones */

    add_at(&db, 2, "a", 0);             /* 21 */
    add_at(&db, 2, "new", 0);
    CHECK_INT(retain(&db, &limits, STORE_NOW, LONG), 1);
    CHECK_IDS(&db, "9 10 12 13 14 15 16 17 18 19 20 21 22");

    for (i = 0; i < 3; i++) {
        add_at(&db, 2, "new", 0);       /* 23 24 25 */
    }

    CHECK_INT(retain(&db, &limits, STORE_NOW, LONG), 1);
    CHECK_IDS(&db, "9 10 12 13 14 15 16 17 18 19 20 21 23 24 25");

    /* a channel is full beside one that is not, the table is small */

    for (i = 0; i < 2000; i++) {
        char  name[16];

        (void) sprintf(name, "c%d", (int) (i % 500));
        add_at(&db, 3, name, 0);
    }

    CHECK_INT(retain(&db, &limits, STORE_NOW, 0), 500);
    CHECK_INT(store_number(db.handle, "SELECT count(*) FROM messages"
                           " WHERE app = 3"), 1500);
    CHECK_INT(store_number(db.handle, "SELECT min(id) FROM messages"
                           " WHERE app = 3"), 526);

    teardown(&db);
}


/* Steps are short; the oldest goes first, so there is never a hole. */
static void
test_steps(void)
{
    ngx_int_t                    rc;
    ngx_uint_t                   n, steps;
    ngx_chat_db_t                db;
    ngx_chat_retention_limits_t  limits;

    setup(&db, &limits);
    add_many(&db, 1, "a", 10000, "text");

    limits.count = 100;
    steps = 0;

    for ( ;; ) {
        rc = ngx_chat_retention_look(&rt, &limits, &db, STORE_NOW, INT64_MAX);
        if (rc != NGX_OK) {
            break;
        }

        CHECK(rt.n <= NGX_CHAT_RETENTION_STEP);
        CHECK_INT(ngx_chat_retention_remove(&rt, &db, INT64_MAX, &n), NGX_OK);
        CHECK_INT(n, rt.n);
        CHECK_INT(store_number(db.handle,
                               "SELECT max(id) - min(id) + 1 - count(*)"
                               " FROM messages"), 0);
        steps++;
    }

    CHECK_INT(rc, NGX_DONE);
    CHECK_INT(steps, (9900 + NGX_CHAT_RETENTION_STEP - 1)
                     / NGX_CHAT_RETENTION_STEP);
    CHECK_INT(store_number(db.handle, "SELECT min(id) FROM messages"), 9901);

    /* where the time is over at once, one goes all the same */

    add_many(&db, 1, "a", 2, "text");

    do {
        rc = ngx_chat_retention_look(&rt, &limits, &db, STORE_NOW, 0);
    } while (rc == NGX_AGAIN);

    CHECK_INT(rc, NGX_OK);
    CHECK_INT(ngx_chat_retention_remove(&rt, &db, 0, &n), NGX_OK);
    CHECK_INT(n, 1);
    CHECK_INT(retain(&db, &limits, STORE_NOW, LONG), 1);

    teardown(&db);
}


static void
test_size(void)
{
    int64_t                      used, pages, oldest;
    ngx_uint_t                   i;
    ngx_chat_db_t                db;
    ngx_chat_retention_limits_t  limits;
    static char                  text[2001];

    setup(&db, &limits);

    memset(text, 'x', 2000);
    limits.size = 1024 * 1024;

    add_many(&db, 1, "a", 400, text);
    CHECK_INT(retain(&db, &limits, STORE_NOW, LONG), 0);

    add_many(&db, 1, "b", 600, text);
    CHECK(retain(&db, &limits, STORE_NOW, LONG) > 400);

    used = store_number(db.handle, "SELECT (page_count - freelist_count)"
                        " * page_size FROM pragma_page_count,"
                        " pragma_freelist_count, pragma_page_size");
    CHECK(used <= limits.size);
    CHECK(used > limits.size - 3 * 4096);

    oldest = store_number(db.handle, "SELECT min(id) FROM messages");
    CHECK_INT(store_number(db.handle, "SELECT count(*) FROM messages"),
              1000 - oldest + 1);

    /* the room is used again: the file does not grow any more */

    pages = store_number(db.handle, "PRAGMA page_count");

    for (i = 0; i < 20; i++) {
        add_many(&db, 1, "b", 100, text);
        CHECK(retain(&db, &limits, STORE_NOW, LONG) > 0);
    }

    CHECK(store_number(db.handle, "PRAGMA page_count") <= pages);

    teardown(&db);
}


/* Somebody removes what was found, or has the lock. */
static void
test_others(void)
{
    sqlite3                     *stranger;
    ngx_uint_t                   n;
    ngx_chat_db_t                db;
    ngx_chat_retention_limits_t  limits;

    setup(&db, &limits);
    add_many(&db, 1, "a", 10, "text");

    limits.count = 2;
    stranger = store_stranger();

    CHECK_INT(ngx_chat_retention_look(&rt, &limits, &db, STORE_NOW,
                                      INT64_MAX), NGX_OK);
    CHECK_INT(rt.n, 8);

    CHECK(store_exec(stranger, "DELETE FROM messages WHERE id < 5"));
    CHECK_INT(ngx_chat_retention_remove(&rt, &db, INT64_MAX, &n), NGX_OK);
    CHECK_IDS(&db, "9 10");

    add_many(&db, 1, "a", 2, "text");
    (void) sqlite3_busy_timeout(db.handle, 10);
    CHECK(store_exec(stranger, "BEGIN IMMEDIATE"));

    CHECK_INT(ngx_chat_retention_look(&rt, &limits, &db, STORE_NOW,
                                      INT64_MAX), NGX_OK);
    CHECK_INT(ngx_chat_retention_remove(&rt, &db, INT64_MAX, &n), NGX_BUSY);
    CHECK(store_idle(&db));

    CHECK(store_exec(stranger, "DELETE FROM messages"));
    CHECK(store_exec(stranger, "COMMIT"));

    CHECK_INT(retain(&db, &limits, STORE_NOW, LONG), 0);
    CHECK_INT(store_add(&db, 1, "a", "text"), 13);

    /* what fails is told, and leaves no transaction */

    CHECK(store_exec(stranger, "ALTER TABLE messages RENAME TO gone"));
    CHECK_INT(ngx_chat_retention_look(&rt, &limits, &db, STORE_NOW,
                                      INT64_MAX), NGX_ERROR);
    CHECK(strstr(db.error, "no such table") != NULL);
    CHECK(store_idle(&db));

    (void) sqlite3_close(stranger);
    teardown(&db);
}


/* A client that comes back with an id that has gone gets what there is. */
static ngx_int_t
row(void *data, ngx_chat_record_t *rec)
{
    ngx_uint_t *n = data;

    (*n)++;

    return NGX_OK;
}


static void
test_history(void)
{
    ngx_uint_t                   n;
    ngx_chat_db_t                db;
    ngx_chat_history_t           h;
    ngx_chat_retention_limits_t  limits;

    setup(&db, &limits);
    add_many(&db, 1, "a", 20, "text");

    limits.count = 10;
    CHECK_INT(retain(&db, &limits, STORE_NOW, LONG), 10);

    memset(&h, 0, sizeof(h));
    h.app = 1;
    h.channel = unit_str("a");
    h.from = NGX_CHAT_HISTORY_AFTER_e;
    h.id = 3;
    h.limit = 4;
    h.row = row;
    h.data = &n;

    n = 0;
    CHECK_INT(ngx_chat_history_read(&db, &h), NGX_OK);
    CHECK_INT(n, 4);
    CHECK_INT(h.first, 11);
    CHECK_INT(h.more_before, 0);
    CHECK_INT(h.more_after, 1);

    h.from = NGX_CHAT_HISTORY_BEFORE_e;
    h.id = 11;
    n = 0;
    CHECK_INT(ngx_chat_history_read(&db, &h), NGX_OK);
    CHECK_INT(n, 0);
    CHECK_INT(h.more_after, 1);

    teardown(&db);
}


int
main(void)
{
    RUN(test_nothing);
    RUN(test_age);
    RUN(test_clock);
    RUN(test_count);
    RUN(test_steps);
    RUN(test_size);
    RUN(test_others);
    RUN(test_history);

    return unit_done();
}
