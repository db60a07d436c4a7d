
/* sources: store/ngx_chat_batch.c store/ngx_chat_db*.c */
/* sources: store/ngx_chat_keys.c */
/* sources: store/ngx_chat_migration.c wire/ngx_chat_clock.c libs: -lsqlite3 */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Group commit: what is kept, what is not, and the ids.
 */


#include "store.h"


#define WRITERS  4
#define BATCHES  20
#define MESSAGES 10


static int64_t
count(ngx_chat_db_t *db)
{
    return store_number(db->handle, "SELECT count(*) FROM messages");
}


/* A batch of one message, in the transaction that is open. */
static ngx_int_t
insert(ngx_chat_db_t *db, const char *content, uint64_t *id)
{
    ngx_int_t          rc;
    ngx_chat_record_t  rec;

    store_record(&rec, 7, "chat", content);

    rc = ngx_chat_batch_insert(db, &rec, STORE_NOW);
    *id = rec.id;

    return rc;
}


static void
test_commit(void)
{
    uint64_t       id, last;
    ngx_uint_t     i;
    ngx_chat_db_t  db, reader;

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    CHECK_INT(store_open(&reader, 1000, 0), NGX_OK);

    CHECK_INT(ngx_chat_batch_begin(&db), NGX_OK);

    last = 0;

    for (i = 0; i < 100; i++) {
        CHECK_INT(insert(&db, "hello", &id), NGX_OK);
        CHECK(id > last);
        last = id;
    }

    CHECK_INT(count(&reader), 0);
    CHECK_INT(ngx_chat_batch_commit(&db), NGX_OK);
    CHECK_INT(count(&reader), 100);
    CHECK(store_idle(&db));

    ngx_chat_db_close(&reader);
    ngx_chat_db_close(&db);
    store_teardown();
}


static void
test_columns(void)
{
    ngx_chat_db_t      db;
    ngx_chat_record_t  rec;

    static u_char  content[] = "a\0b\xf0\x9f\x98\x80'\"\n";

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    CHECK_INT(ngx_chat_batch_begin(&db), NGX_OK);

    store_record(&rec, 17536051, "room-\xc3\xa9", "");
    rec.content.data = content;
    rec.content.len = sizeof(content) - 1;

    CHECK_INT(ngx_chat_batch_insert(&db, &rec, STORE_NOW), NGX_OK);
    CHECK_INT(rec.id, 1);
    CHECK_INT(rec.created, STORE_NOW);
    CHECK_INT(rec.updated, STORE_NOW);

    /* the previous author and content are not left bound */

    rec.author = unit_str("ann");
    CHECK_INT(ngx_chat_batch_insert(&db, &rec, STORE_NOW + 1), NGX_OK);

    memset(&rec.author, 0, sizeof(ngx_str_t));
    memset(&rec.content, 0, sizeof(ngx_str_t));
    rec.app = UINT64_MAX;
    CHECK_INT(ngx_chat_batch_insert(&db, &rec, STORE_NOW - 1), NGX_OK);

    CHECK_INT(ngx_chat_batch_commit(&db), NGX_OK);

    CHECK_INT(store_number(db.handle, "SELECT count(*) FROM messages WHERE"
              " id = 1 AND app = 17536051 AND author IS NULL"
              " AND event = 'new_message' AND typeof(content) = 'text'"
              " AND cast(content AS blob) = x'610062f09f988027220a'"
              " AND cast(channel AS blob) = x'726f6f6d2dc3a9'"
              " AND created_at = 1769851800123"
              " AND updated_at = created_at"), 1);

    CHECK_INT(store_number(db.handle, "SELECT count(*) FROM messages WHERE"
              " id = 2 AND author = 'ann' AND created_at = 1769851800124"),
              1);

    CHECK_INT(store_number(db.handle, "SELECT count(*) FROM messages WHERE"
              " id = 3 AND author IS NULL AND app = -1 AND content = ''"
              " AND created_at = 1769851800122"), 1);

    ngx_chat_db_close(&db);
    store_teardown();
}


static void
test_rollback(void)
{
    uint64_t       id;
    ngx_chat_db_t  db, closed;

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);

    ngx_chat_batch_rollback(&db);

    CHECK_INT(ngx_chat_batch_begin(&db), NGX_OK);
    ngx_chat_batch_rollback(&db);

    CHECK_INT(ngx_chat_batch_begin(&db), NGX_OK);
    CHECK_INT(insert(&db, "lost", &id), NGX_OK);
    ngx_chat_batch_rollback(&db);
    CHECK(store_idle(&db));
    CHECK_INT(count(&db), 0);

    CHECK(store_add(&db, 7, "chat", "kept") > 0);
    CHECK_INT(count(&db), 1);

    /* nothing to commit is an error, not a crash */
    CHECK_INT(ngx_chat_batch_commit(&db), NGX_ERROR);
    CHECK(store_idle(&db));

    memset(&closed, 0, sizeof(ngx_chat_db_t));
    ngx_chat_batch_rollback(&closed);

    ngx_chat_db_close(&db);
    store_teardown();
}


/* An id that was given once is not given again. */
static void
test_ids_never_return(void)
{
    uint64_t       id;
    ngx_chat_db_t  db;

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);

    (void) store_add(&db, 7, "chat", "a");
    (void) store_add(&db, 7, "chat", "b");
    id = store_add(&db, 7, "chat", "c");
    CHECK_INT(id, 3);

    CHECK(store_exec(db.handle, "DELETE FROM messages WHERE id = 3"));
    CHECK_INT(store_add(&db, 7, "chat", "d"), 4);

    CHECK(store_exec(db.handle, "DELETE FROM messages; VACUUM"));
    ngx_chat_db_close(&db);

    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    CHECK_INT(store_add(&db, 7, "other", "e"), 5);

    ngx_chat_db_close(&db);
    store_teardown();
}


static void
test_locked(void)
{
    int64_t         start, passed;
    sqlite3        *handle;
    ngx_chat_db_t   db, reader;

    store_setup();
    CHECK_INT(store_open(&db, 100, 1), NGX_OK);
    CHECK_INT(store_open(&reader, 0, 0), NGX_OK);
    CHECK_INT(store_add(&db, 7, "chat", "a"), 1);

    handle = store_stranger();
    CHECK(store_exec(handle, "BEGIN IMMEDIATE"));

    start = ngx_chat_clock_msec();
    CHECK_INT(ngx_chat_batch_begin(&db), NGX_BUSY);
    passed = ngx_chat_clock_msec() - start;

    CHECK(passed >= 90);
    CHECK(passed < 10000);
    CHECK((db.code & 0xff) == SQLITE_BUSY);
    CHECK(strstr(db.error, "locked") != NULL);
    CHECK(store_idle(&db));

    CHECK_INT(count(&reader), 1);

    CHECK(store_exec(handle, "COMMIT"));
    (void) sqlite3_close(handle);

    CHECK_INT(store_add(&db, 7, "chat", "b"), 2);

    ngx_chat_db_close(&reader);
    ngx_chat_db_close(&db);
    store_teardown();
}


/* The disk is full in the middle of a batch: nothing of it stays. */
static void
test_full(void)
{
    u_char            *p;
    uint64_t           id;
    ngx_int_t          rc;
    ngx_uint_t         i;
    ngx_chat_db_t      db;
    ngx_chat_record_t  rec;

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    CHECK_INT(store_add(&db, 7, "chat", "a"), 1);

    CHECK(store_exec(db.handle, "PRAGMA max_page_count = 20"));

    p = malloc(10000);
    memset(p, 'x', 10000);

    store_record(&rec, 7, "chat", "");
    rec.content.data = p;
    rec.content.len = 10000;

    CHECK_INT(ngx_chat_batch_begin(&db), NGX_OK);

    rc = NGX_OK;

    for (i = 0; i < 20 && rc == NGX_OK; i++) {
        rc = ngx_chat_batch_insert(&db, &rec, STORE_NOW);
    }

    CHECK_INT(rc, NGX_ERROR);
    CHECK_INT(db.code, SQLITE_FULL);

    ngx_chat_batch_rollback(&db);
    CHECK(strstr(db.error, "full") != NULL);
    CHECK(store_idle(&db));
    CHECK_INT(count(&db), 1);

    /* a caller that commits in spite of it */

    CHECK_INT(ngx_chat_batch_begin(&db), NGX_OK);

    do {
        rc = ngx_chat_batch_insert(&db, &rec, STORE_NOW);
    } while (rc == NGX_OK);

    (void) ngx_chat_batch_commit(&db);
    CHECK(store_idle(&db));

    CHECK(store_exec(db.handle, "PRAGMA max_page_count = 1000000"));
    CHECK(store_exec(db.handle, "DELETE FROM messages WHERE id > 1"));

    CHECK_INT(ngx_chat_batch_begin(&db), NGX_OK);
    CHECK_INT(insert(&db, "b", &id), NGX_OK);
    CHECK_INT(ngx_chat_batch_commit(&db), NGX_OK);
    CHECK_INT(count(&db), 2);

    free(p);
    ngx_chat_db_close(&db);
    store_teardown();
}


/* A COMMIT that fails leaves no transaction. */
static void
test_commit_fails(void)
{
    uint64_t       id;
    ngx_chat_db_t  db;

    store_setup();
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);

    CHECK(store_exec(db.handle, "PRAGMA foreign_keys = ON;"
                     "CREATE TABLE p (id INTEGER PRIMARY KEY);"
                     "CREATE TABLE c (id REFERENCES p (id)"
                     " DEFERRABLE INITIALLY DEFERRED)"));

    CHECK_INT(ngx_chat_batch_begin(&db), NGX_OK);
    CHECK_INT(insert(&db, "lost", &id), NGX_OK);
    CHECK(store_exec(db.handle, "INSERT INTO c VALUES (1)"));

    CHECK_INT(ngx_chat_batch_commit(&db), NGX_ERROR);
    CHECK(strstr(db.error, "FOREIGN KEY") != NULL);
    CHECK(store_idle(&db));
    CHECK_INT(count(&db), 0);

    CHECK_INT(store_add(&db, 7, "chat", "kept") > 0, 1);

    ngx_chat_db_close(&db);
    store_teardown();
}


static void
writer(void)
{
    uint64_t       id, last;
    ngx_uint_t     i, n;
    ngx_chat_db_t  db;

    if (store_open(&db, 30000, 1) != NGX_OK) {
        _exit(1);
    }

    last = 0;

    for (i = 0; i < BATCHES; i++) {

        if (ngx_chat_batch_begin(&db) != NGX_OK) {
            _exit(1);
        }

        for (n = 0; n < MESSAGES; n++) {

            if (insert(&db, "x", &id) != NGX_OK || id <= last
                || (n && id != last + 1))
            {
                _exit(1);
            }

            last = id;
        }

        if (i % 4 == 3) {
            /* ids that nobody was told of are free again */
            ngx_chat_batch_rollback(&db);
            last -= MESSAGES;

        } else if (ngx_chat_batch_commit(&db) != NGX_OK) {
            _exit(1);
        }
    }

    ngx_chat_db_close(&db);
    _exit(0);
}


static void
test_processes(void)
{
    pid_t          pids[WRITERS];
    ngx_uint_t     i;
    ngx_chat_db_t  db;

    store_setup();

    for (i = 0; i < WRITERS; i++) {
        pids[i] = fork();

        if (pids[i] == 0) {
            writer();
        }
    }

    CHECK_INT(store_wait(pids, WRITERS), WRITERS);

    CHECK_INT(store_open(&db, 1000, 0), NGX_OK);
    CHECK_INT(count(&db), WRITERS * BATCHES * MESSAGES / 4 * 3);

    ngx_chat_db_close(&db);
    store_teardown();
}


static void
victim(int fd)
{
    uint64_t       id;
    ngx_chat_db_t  db;

    if (store_open(&db, 30000, 1) != NGX_OK) {
        _exit(1);
    }

    for ( ;; ) {
        id = store_add(&db, 7, "chat", "x");

        if (id == 0 || write(fd, &id, sizeof(id)) != sizeof(id)) {
            _exit(1);
        }
    }
}


/* What was acknowledged before a kill is there afterwards. */
static void
test_killed(void)
{
    int            fds[2], status;
    pid_t          pid;
    uint64_t       id, last;
    ngx_uint_t     round, n;
    ngx_chat_db_t  db;

    store_setup();
    last = 0;

    for (round = 0; round < 10; round++) {

        if (pipe(fds) == -1) {
            exit(2);
        }

        pid = fork();

        if (pid == 0) {
            victim(fds[1]);
        }

        (void) close(fds[1]);

        for (n = 0; read(fds[0], &id, sizeof(id)) == sizeof(id); n++) {
            CHECK(id > last);
            last = id;

            if (n == 5 + round) {
                (void) kill(pid, SIGKILL);
            }
        }

        CHECK(n > 5 + round);
        (void) waitpid(pid, &status, 0);
        CHECK(WIFSIGNALED(status));
        (void) close(fds[0]);

        CHECK_INT(store_open(&db, 1000, 1), NGX_OK);

        /* one more may have been committed, its id not told any more */

        id = (uint64_t) store_number(db.handle,
                                     "SELECT max(id) FROM messages");
        CHECK(id == last || id == last + 1);
        CHECK_INT(count(&db), id);
        last = id;

        ngx_chat_db_close(&db);
    }

    store_teardown();
}


int
main(void)
{
    RUN(test_commit);
    RUN(test_columns);
    RUN(test_rollback);
    RUN(test_ids_never_return);
    RUN(test_locked);
    RUN(test_full);
    RUN(test_commit_fails);
    RUN(test_processes);
    RUN(test_killed);

    return unit_done();
}
