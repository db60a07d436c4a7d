
/* sources: store/ngx_chat_db*.c store/ngx_chat_migration.c */
/* sources: store/ngx_chat_batch.c store/ngx_chat_keys.c */
/* sources: wire/ngx_chat_clock.c libs: -lsqlite3 */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Files that are there already: empty ones, ours, other people's.
 */


#include "store.h"


/* A file as it was: its bytes, its time. */
typedef struct {
    u_char           *data;
    size_t            len;
    struct stat       st;
} snapshot_t;


static void
snapshot_take(snapshot_t *s)
{
    int  fd;

    fd = open(store_path, O_RDONLY);

    if (fd == -1 || fstat(fd, &s->st) == -1) {
        perror(store_path);
        exit(2);
    }

    s->len = s->st.st_size;
    s->data = malloc(s->len + 1);

    if (s->data == NULL || read(fd, s->data, s->len) != (ssize_t) s->len) {
        perror(store_path);
        exit(2);
    }

    (void) close(fd);
}


/* Nothing has changed since; to be called when no handle is open. */
static ngx_uint_t
snapshot_holds(snapshot_t *s)
{
    snapshot_t  now;
    ngx_uint_t  ok;

    snapshot_take(&now);

    ok = (now.len == s->len && memcmp(now.data, s->data, s->len) == 0
          && now.st.st_mtim.tv_sec == s->st.st_mtim.tv_sec
          && now.st.st_mtim.tv_nsec == s->st.st_mtim.tv_nsec
          && now.st.st_ino == s->st.st_ino);

    free(now.data);
    free(s->data);

    return ok;
}


static void
write_file(const void *p, size_t len)
{
    int  fd;

    fd = open(store_path, O_WRONLY|O_CREAT|O_TRUNC, 0644);

    if (fd == -1 || write(fd, p, len) != (ssize_t) len) {
        perror(store_path);
        exit(2);
    }

    (void) close(fd);
}


/* open() refuses the file, says why, and leaves it alone. */
static void
check_refused(const char *text)
{
    char           error[NGX_CHAT_DB_ERROR_LEN];
    snapshot_t     s;
    ngx_chat_db_t  db;

    snapshot_take(&s);

    CHECK_INT(store_open(&db, 100, 1), NGX_DECLINED);
    CHECK(strstr(db.error, text) != NULL);
    CHECK(db.handle == NULL);

    CHECK_INT(store_open(&db, 100, 0), NGX_DECLINED);
    CHECK(strstr(db.error, text) != NULL);

    CHECK_INT(ngx_chat_db_probe(store_path, error), NGX_DECLINED);
    CHECK(strstr(error, text) != NULL);
    CHECK(strstr(error, "/") == NULL);

    CHECK(snapshot_holds(&s));
}


/* Files that hold nothing yet are ours to fill. */
static void
test_empty_files(void)
{
    char           error[NGX_CHAT_DB_ERROR_LEN];
    sqlite3       *handle;
    ngx_uint_t     i;
    ngx_chat_db_t  db;

    static const char  *sql[] = {
        "SELECT 1",
        "VACUUM",                              /* makes a page */
        "PRAGMA journal_mode = WAL"            /* a kill before the schema */
    };

    for (i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
        store_setup();

        handle = store_stranger();
        CHECK(store_exec(handle, sql[i]));
        (void) sqlite3_close(handle);

        CHECK_INT(ngx_chat_db_probe(store_path, error), NGX_OK);
        CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
        CHECK(store_add(&db, 1, "chat", "a") == 1);

        ngx_chat_db_close(&db);
        store_teardown();
    }
}


static void
test_newer(void)
{
    sqlite3        *handle;
    ngx_chat_db_t   db;

    store_setup();

    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    CHECK(store_add(&db, 1, "chat", "a") == 1);
    ngx_chat_db_close(&db);

    handle = store_stranger();
    CHECK(store_exec(handle, "PRAGMA user_version = 999"));
    (void) sqlite3_close(handle);

    check_refused("the file has schema 999, this module knows schemas up to"
                  " 4:");

    handle = store_stranger();
    CHECK(store_exec(handle, "PRAGMA user_version = -1"));
    (void) sqlite3_close(handle);

    check_refused("the file has schema -1,");

    store_teardown();
}


static void
test_foreign(void)
{
    sqlite3     *handle;
    ngx_uint_t   i;

    static const char  *sql[] = {
        "CREATE TABLE t (a)",
        "CREATE TABLE t (a); DROP TABLE t",
        "PRAGMA journal_mode = WAL; CREATE TABLE t (a)",
        "PRAGMA application_id = 7",
        "PRAGMA application_id = 7; CREATE TABLE messages (id)",
        "PRAGMA user_version = 1",
        "PRAGMA user_version = 1; CREATE TABLE messages (id)"
    };

    for (i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
        store_setup();

        handle = store_stranger();
        CHECK(store_exec(handle, sql[i]));
        (void) sqlite3_close(handle);

        check_refused("another application");

        store_teardown();
    }
}


/* A stranger's WAL, left by a crash, is not moved into the file. */
static void
test_foreign_wal(void)
{
    pid_t           pid;
    sqlite3        *handle;
    snapshot_t      s;
    ngx_chat_db_t   db;

    store_setup();

    pid = fork();

    if (pid == 0) {
        handle = store_stranger();
        _exit(!store_exec(handle, "PRAGMA journal_mode = WAL;"
                                  "CREATE TABLE t (a)"));
    }

    CHECK_INT(store_wait(&pid, 1), 1);

    snapshot_take(&s);
    CHECK_INT(s.len, 4096);

    CHECK_INT(store_open(&db, 100, 1), NGX_DECLINED);
    CHECK(strstr(db.error, "another application") != NULL);
    CHECK(snapshot_holds(&s));

    handle = store_stranger();
    CHECK_INT(store_number(handle, "SELECT count(*) FROM t"), 0);
    (void) sqlite3_close(handle);

    store_teardown();
}


/* Our own after a crash: all is in the WAL, the header knows nothing. */
static void
test_own_wal(void)
{
    char           error[NGX_CHAT_DB_ERROR_LEN];
    pid_t          pid;
    ngx_chat_db_t  db;

    store_setup();

    pid = fork();

    if (pid == 0) {
        _exit(!(store_open(&db, 1000, 1) == NGX_OK
                && store_add(&db, 1, "chat", "a") == 1));
    }

    CHECK_INT(store_wait(&pid, 1), 1);

    CHECK_INT(ngx_chat_db_probe(store_path, error), NGX_OK);
    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    CHECK_INT(store_number(db.handle, "SELECT count(*) FROM messages"), 1);
    ngx_chat_db_close(&db);

    CHECK_INT(ngx_chat_db_probe(store_path, error), NGX_OK);

    store_teardown();
}


/* What the file is by its own header, and which pages the WAL has. */
static void
test_header(void)
{
    sqlite3               *handle;
    ngx_chat_db_t          db;
    ngx_chat_db_header_t   whole, header;

    store_setup();

    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    CHECK_INT(store_add(&db, 1, "chat", "a"), 1);
    CHECK_INT(ngx_chat_db_checkpoint(&db, 1), NGX_OK);

    CHECK(ngx_chat_db_is_whole(&db, &whole));
    CHECK_INT(whole.pages, store_number(db.handle, "PRAGMA page_count"));
    CHECK_INT(whole.claimed, whole.pages);
    CHECK(!ngx_chat_db_wal_has(&db, 1));

    /* pages that another program adds are in the WAL only */

    handle = store_stranger();
    CHECK(store_exec(handle, "PRAGMA wal_autocheckpoint = 0;"
                             " CREATE TABLE x (y);"
                             " INSERT INTO x VALUES (zeroblob(50000))"));

    CHECK(ngx_chat_db_is_whole(&db, &header));
    CHECK_INT(header.pages, whole.pages);
    CHECK_INT(header.claimed, whole.pages);
    CHECK_INT(header.changes, whole.changes);
    CHECK(ngx_chat_db_wal_has(&db, 1));
    CHECK(ngx_chat_db_wal_has(&db, whole.pages + 1));
    CHECK(ngx_chat_db_wal_has(&db, whole.pages + 5));
    CHECK(!ngx_chat_db_wal_has(&db, whole.pages + 1000));

    /* the WAL begins anew: what lies behind its end is not in it any more */

    CHECK(store_exec(handle, "PRAGMA wal_checkpoint(RESTART);"
                             " CREATE TABLE z (y)"));

    CHECK(ngx_chat_db_is_whole(&db, &header));
    CHECK(header.pages > whole.pages + 10);
    CHECK_INT(header.claimed, header.pages);
    CHECK((int32_t) (header.changes - whole.changes) > 0);
    CHECK(ngx_chat_db_wal_has(&db, 1));
    CHECK(!ngx_chat_db_wal_has(&db, whole.pages + 5));

    /* truncated: the header tells of more than there is */

    CHECK_INT(truncate(store_path, 4096 * (off_t) whole.pages), 0);
    CHECK(ngx_chat_db_is_whole(&db, &header));
    CHECK_INT(header.pages, whole.pages);
    CHECK(header.claimed > header.pages);

    CHECK_INT(truncate(store_path, 0), 0);
    CHECK(!ngx_chat_db_is_whole(&db, &header));

    (void) sqlite3_close(handle);
    ngx_chat_db_abandon(&db);
    ngx_chat_db_close(&db);

    store_teardown();
}


/*
 * A backup is moved in between looking at the path and opening it.  The WAL of
 * the database before lies beside it, and must not become the backup's.
 */

static void
test_moved_in(void)
{
    char                 backup[96];
    ngx_chat_db_t        old, db;
    ngx_chat_db_conf_t   conf;
    ngx_chat_db_files_t  files;
    snapshot_t           s;

    store_setup();

    (void) snprintf(backup, sizeof(backup), "%s.backup", store_path);

    CHECK_INT(store_open(&db, 1000, 1), NGX_OK);
    CHECK_INT(store_add(&db, 1, "chat", "of the backup"), 1);
    ngx_chat_db_close(&db);
    CHECK_INT(rename(store_path, backup), 0);

    CHECK_INT(store_open(&old, 1000, 1), NGX_OK);
    CHECK_INT(store_add(&old, 1, "chat", "of the one before"), 1);
    CHECK_INT(ngx_chat_db_files(store_path, &files), NGX_OK);

    conf.path = store_path;
    conf.timeout = 1000;
    conf.full = 0;
    conf.write = 1;
    conf.create = 0;
    conf.expected = &files;

    CHECK_INT(ngx_chat_db_open(&db, &conf), NGX_OK);
    ngx_chat_db_close(&db);

    CHECK_INT(rename(backup, store_path), 0);
    snapshot_take(&s);

    CHECK_INT(ngx_chat_db_open(&db, &conf), NGX_BUSY);
    CHECK(strstr(db.error, "another file was put in place") != NULL);
    CHECK(db.handle == NULL);

    ngx_chat_db_abandon(&old);
    ngx_chat_db_close(&old);
    CHECK(snapshot_holds(&s));

    CHECK_INT(ngx_chat_db_unlink_wal(store_path), NGX_OK);
    CHECK_INT(ngx_chat_db_files(store_path, &files), NGX_OK);
    CHECK_INT(ngx_chat_db_open(&db, &conf), NGX_OK);
    CHECK_INT(store_number(db.handle, "SELECT content = 'of the backup'"
                                      " FROM messages"), 1);
    ngx_chat_db_close(&db);

    store_teardown();
}


static void
test_not_a_database(void)
{
    size_t  i;
    u_char  buf[8192];

    for (i = 0; i < sizeof(buf); i++) {
        buf[i] = (u_char) (i * 7 + 1);
    }

    store_setup();

    write_file(buf, 1);
    check_refused("not an SQLite database");

    write_file(buf, 99);
    check_refused("not an SQLite database");

    write_file(buf, 100);
    check_refused("not an SQLite database");

    write_file(buf, sizeof(buf));
    check_refused("not an SQLite database");

    store_teardown();
}


static void
test_unusable_paths(void)
{
    char           error[NGX_CHAT_DB_ERROR_LEN];
    ngx_chat_db_t  db;

    store_setup();

    /* nothing there */
    CHECK_INT(ngx_chat_db_probe(store_path, error), NGX_OK);
    CHECK(access(store_path, F_OK) == -1);

    write_file("", 0);
    CHECK_INT(ngx_chat_db_probe(store_path, error), NGX_OK);
    (void) remove(store_path);

    CHECK(mkfifo(store_path, 0600) == 0);
    CHECK_INT(ngx_chat_db_probe(store_path, error), NGX_DECLINED);
    CHECK(strstr(error, "regular file") != NULL);
    (void) remove(store_path);

    CHECK(mkdir(store_path, 0700) == 0);
    CHECK_INT(ngx_chat_db_probe(store_path, error), NGX_DECLINED);
    CHECK(strstr(error, "directory") != NULL);

    CHECK_INT(store_open(&db, 100, 1), NGX_ERROR);
    CHECK(db.error[0] != '\0');
    CHECK(db.handle == NULL);

    (void) strcat(store_path, "/missing/chat.db");
    CHECK_INT(store_open(&db, 100, 1), NGX_ERROR);
    CHECK(strstr(db.error, "No such file") != NULL);

    CHECK_INT(ngx_chat_db_probe("/dev/null/chat.db", error),
              NGX_ERROR);
    CHECK_INT(errno, ENOTDIR);

    store_teardown();
}


int
main(void)
{
    RUN(test_empty_files);
    RUN(test_newer);
    RUN(test_foreign);
    RUN(test_foreign_wal);
    RUN(test_own_wal);
    RUN(test_header);
    RUN(test_moved_in);
    RUN(test_not_a_database);
    RUN(test_unusable_paths);

    return unit_done();
}
