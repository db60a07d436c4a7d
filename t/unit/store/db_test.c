
/* sources: store/ngx_chat_db*.c store/ngx_chat_migration.c */
/* sources: store/ngx_chat_batch.c store/ngx_chat_keys.c */
/* sources: wire/ngx_chat_clock.c libs: -lsqlite3 */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Opening: new files, races, locks, the epoch.
 */


#include "store.h"


#define OPENERS  8
#define ROUNDS   10


static void
test_new_file(void)
{
    u_char         epoch[NGX_CHAT_DB_EPOCH_LEN];
    ngx_uint_t     i;
    ngx_chat_db_t  db;

    store_setup();

    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    CHECK(store_idle(&db));

    CHECK_INT(store_number(db.handle, "PRAGMA user_version"), 4);
    CHECK_INT(store_number(db.handle, "PRAGMA application_id"), 0x4e434854);
    CHECK_INT(store_number(db.handle, "SELECT count(*) FROM messages"), 0);
    CHECK_INT(store_number(db.handle, "SELECT journal_mode = 'wal' FROM"
                                      " pragma_journal_mode"), 1);
    CHECK_INT(store_number(db.handle, "PRAGMA synchronous"), 1);

    for (i = 0; i < NGX_CHAT_DB_EPOCH_LEN; i++) {
        CHECK(strchr("0123456789abcdef", db.epoch[i]) != NULL);
    }

    memcpy(epoch, db.epoch, sizeof(epoch));

    ngx_chat_db_close(&db);
    ngx_chat_db_close(&db);

    CHECK_INT(store_open(&db, 1000, 0), NGX_OK);
    CHECK(memcmp(epoch, db.epoch, sizeof(epoch)) == 0);

    ngx_chat_db_close(&db);
    store_teardown();
}


static void
test_synchronous(void)
{
    ngx_chat_db_t       db;
    ngx_chat_db_conf_t  conf;

    store_setup();

    conf.path = store_path;
    conf.timeout = 1000;
    conf.full = 1;
    conf.write = 1;
    conf.create = 1;
    conf.expected = NULL;

    CHECK_INT(ngx_chat_db_open(&db, &conf), NGX_OK);
    CHECK_INT(store_number(db.handle, "PRAGMA synchronous"), 2);

    ngx_chat_db_close(&db);
    store_teardown();
}


static void
test_reader_comes_first(void)
{
    ngx_chat_db_t  reader, writer;

    store_setup();

    CHECK_INT(store_open(&reader, 1000, 0), NGX_OK);
    CHECK_INT(store_open(&writer, 1000, 1), NGX_OK);
    CHECK(memcmp(reader.epoch, writer.epoch, NGX_CHAT_DB_EPOCH_LEN) == 0);

    CHECK(store_add(&writer, 1, "chat", "a") == 1);
    CHECK(store_add(&reader, 1, "chat", "b") == 0);
    CHECK(store_idle(&reader));
    CHECK_INT(store_number(reader.handle, "SELECT count(*) FROM messages"),
              1);

    ngx_chat_db_close(&reader);
    ngx_chat_db_close(&writer);
    store_teardown();
}


static void
opener(int start, int result)
{
    char           c;
    ngx_int_t      rc;
    ngx_chat_db_t  db;

    (void) read(start, &c, 1);         /* the end of the file lets all go */

    rc = store_open(&db, 20000, 1);

    if (rc != NGX_OK) {
        printf("# open: %ld %s\n", (long) rc, db.error);
        fflush(stdout);
        _exit(1);
    }

    if (write(result, db.epoch, sizeof(db.epoch)) != sizeof(db.epoch)
        || store_add(&db, 1, "chat", "a") == 0)
    {
        _exit(1);
    }

    ngx_chat_db_close(&db);
    _exit(0);
}


/* Many processes open a new file at once: all succeed, on one database. */
static void
test_race(void)
{
    int            start[2], result[2];
    pid_t          pids[OPENERS];
    u_char         epochs[OPENERS][NGX_CHAT_DB_EPOCH_LEN];
    ngx_uint_t     i, n;
    ngx_chat_db_t  db;

    for (n = 0; n < ROUNDS; n++) {
        store_setup();

        if (pipe(start) == -1 || pipe(result) == -1) {
            exit(2);
        }

        for (i = 0; i < OPENERS; i++) {
            pids[i] = fork();

            if (pids[i] == 0) {
                (void) close(start[1]);
                opener(start[0], result[1]);
            }
        }

        (void) close(start[0]);
        (void) close(start[1]);

        CHECK_INT(store_wait(pids, OPENERS), OPENERS);

        CHECK_INT(read(result[0], epochs, sizeof(epochs)), sizeof(epochs));

        for (i = 1; i < OPENERS; i++) {
            CHECK(memcmp(epochs[i], epochs[0], sizeof(epochs[0])) == 0);
        }

        CHECK_INT(store_open(&db, 1000, 0), NGX_OK);
        CHECK(memcmp(db.epoch, epochs[0], sizeof(epochs[0])) == 0);
        CHECK_INT(store_number(db.handle, "SELECT count(*) FROM messages"),
                  OPENERS);
        ngx_chat_db_close(&db);

        (void) close(result[0]);
        (void) close(result[1]);
        store_teardown();
    }
}


static void
test_locked_new(void)
{
    int64_t        start, passed;
    sqlite3       *handle;
    ngx_chat_db_t  db;

    store_setup();

    handle = store_stranger();
    CHECK(store_exec(handle, "BEGIN EXCLUSIVE"));

    start = ngx_chat_clock_msec();
    CHECK_INT(store_open(&db, 100, 1), NGX_BUSY);
    passed = ngx_chat_clock_msec() - start;

    CHECK(passed >= 90);
    CHECK(passed < 10000);
    CHECK(db.handle == NULL);
    CHECK((db.code & 0xff) == SQLITE_BUSY);
    CHECK(strstr(db.error, "locked") != NULL);

    CHECK(store_exec(handle, "COMMIT"));

    /* a reader holds up the switch to WAL, which SQLite does not wait for */

    CHECK(store_exec(handle, "PRAGMA user_version = 0"));
    CHECK(store_exec(handle, "BEGIN"));
    CHECK_INT(store_number(handle, "SELECT count(*) FROM sqlite_schema"), 0);

    start = ngx_chat_clock_msec();
    CHECK_INT(store_open(&db, 100, 1), NGX_BUSY);
    passed = ngx_chat_clock_msec() - start;

    CHECK(passed >= 90);
    CHECK(passed < 10000);

    CHECK(store_exec(handle, "COMMIT"));
    (void) sqlite3_close(handle);

    CHECK_INT(store_open(&db, 100, 1), NGX_OK);

    ngx_chat_db_close(&db);
    store_teardown();
}


/* The lock is given back while open() waits for it. */
static void
test_locked_wait(void)
{
    int               ready[2];
    char              c;
    pid_t             pid;
    sqlite3          *handle;
    ngx_chat_db_t     db;
    struct timespec   ts;

    store_setup();

    if (pipe(ready) == -1) {
        exit(2);
    }

    pid = fork();

    if (pid == 0) {
        handle = store_stranger();

        if (!store_exec(handle, "BEGIN EXCLUSIVE")) {
            _exit(1);
        }

        (void) write(ready[1], "r", 1);

        ts.tv_sec = 0;
        ts.tv_nsec = 150000000;
        (void) nanosleep(&ts, NULL);

        _exit(!store_exec(handle, "COMMIT"));
    }

    CHECK_INT(read(ready[0], &c, 1), 1);
    CHECK_INT(store_open(&db, 20000, 1), NGX_OK);
    CHECK_INT(store_wait(&pid, 1), 1);

    ngx_chat_db_close(&db);

    (void) close(ready[0]);
    (void) close(ready[1]);
    store_teardown();
}


/* With nothing to be made, somebody's write lock is of no interest. */
static void
test_locked_ready(void)
{
    sqlite3        *handle;
    ngx_uint_t      write;
    ngx_chat_db_t   db;

    store_setup();

    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    CHECK(store_add(&db, 1, "chat", "a") == 1);
    ngx_chat_db_close(&db);

    handle = store_stranger();
    CHECK(store_exec(handle, "BEGIN IMMEDIATE"));
    CHECK(store_exec(handle, "DELETE FROM messages"));

    for (write = 0; write < 2; write++) {
        CHECK_INT(store_open(&db, 0, write), NGX_OK);
        CHECK_INT(store_number(db.handle, "SELECT count(*) FROM messages"),
                  1);
        ngx_chat_db_close(&db);
    }

    CHECK(store_exec(handle, "ROLLBACK"));
    (void) sqlite3_close(handle);
    store_teardown();
}


/* A restore takes the epoch away, the next opening makes another. */
static void
test_epoch_lost(void)
{
    u_char          epoch[NGX_CHAT_DB_EPOCH_LEN];
    sqlite3        *handle;
    ngx_uint_t      i;
    ngx_chat_db_t   db;

    static const char  *sql[] = {
        "DELETE FROM meta WHERE key = 'epoch'",
        "UPDATE meta SET value = 'short' WHERE key = 'epoch'",
        "UPDATE meta SET value = '0123456789abcdef0123456789abcde' || char(10)"
    };

    store_setup();

    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);

    for (i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
        CHECK(store_add(&db, 1, "chat", "a") == i + 1);
        memcpy(epoch, db.epoch, sizeof(epoch));
        ngx_chat_db_close(&db);

        handle = store_stranger();
        CHECK(store_exec(handle, sql[i]));
        (void) sqlite3_close(handle);

        CHECK_INT(store_open(&db, 1000, 0), NGX_OK);
        CHECK(db.epoch[0] != '\0');
        CHECK(memcmp(epoch, db.epoch, sizeof(epoch)) != 0);
        ngx_chat_db_close(&db);

        CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    }

    CHECK_INT(store_number(db.handle, "SELECT count(*) FROM meta"), 1);

    ngx_chat_db_close(&db);
    store_teardown();
}


#define WITHOUT_WEBHOOKS                                                      \
    "DROP TABLE webhook_events; DROP TABLE webhook_state;"                    \
    "DROP TABLE webhooks;"


/*
 * A file of an older schema is brought up, and keeps what it holds.  An older
 * module's handle that is open meanwhile goes on.
 */
static void
test_older_schemas(void)
{
    sqlite3        *handle;
    ngx_uint_t      i;
    ngx_chat_db_t   db;

    static const char  *sql[] = {
        WITHOUT_WEBHOOKS "PRAGMA user_version = 3",
        WITHOUT_WEBHOOKS "DROP TABLE keys; PRAGMA user_version = 2",
        WITHOUT_WEBHOOKS "DROP TABLE keys;"
        "ALTER TABLE messages DROP COLUMN kind; PRAGMA user_version = 1"
    };

    store_setup();

    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    CHECK_INT(store_add(&db, 1, "chat", "a"), 1);
    ngx_chat_db_close(&db);

    for (i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
        handle = store_stranger();
        CHECK(store_exec(handle, sql[i]));

        CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
        CHECK_INT(store_number(db.handle, "PRAGMA user_version"), 4);
        CHECK_INT(store_number(db.handle, "SELECT count(*) FROM messages WHERE"
                                          " kind = 0 AND content = 'a'"), 1);
        CHECK_INT(store_number(db.handle, "SELECT count(*) FROM keys"), 0);
        CHECK_INT(store_add(&db, 1, "chat", "b"), 2 * i + 2);

        CHECK(store_exec(handle, "INSERT INTO messages (app, channel, event,"
                                 " content, created_at, updated_at)"
                                 " VALUES (1, 'c', 'e', '', 0, 0)"));

        ngx_chat_db_close(&db);
        (void) sqlite3_close(handle);
    }

    store_teardown();
}


int
main(void)
{
    RUN(test_new_file);
    RUN(test_synchronous);
    RUN(test_reader_comes_first);
    RUN(test_race);
    RUN(test_locked_new);
    RUN(test_locked_wait);
    RUN(test_locked_ready);
    RUN(test_epoch_lost);
    RUN(test_older_schemas);

    return unit_done();
}
