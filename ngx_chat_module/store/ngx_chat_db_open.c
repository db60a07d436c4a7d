
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Opening.  Before anything that writes, the switch to WAL included, one read
 * transaction looks whose file it is: a file that is not ours stays as it is.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_db_open.h>
#include <store/ngx_chat_migration.h>
#include <wire/ngx_chat_clock.h>

#include <stdio.h>


#define NGX_CHAT_DB_HEADER       100
#define NGX_CHAT_DB_POLL         2000000       /* ns */

#define NGX_CHAT_DB_COLUMNS                                                   \
    "SELECT id, app, channel, event, content, author, created_at,"            \
    " updated_at, kind FROM messages"

#define NGX_CHAT_DB_CHANNEL  " WHERE app = ?1 AND channel = ?2"


static ngx_int_t ngx_chat_db_look(ngx_chat_db_t *db, ngx_chat_db_conf_t *conf);
static ngx_int_t ngx_chat_db_connect(ngx_chat_db_t *db,
    ngx_chat_db_conf_t *conf);
static ngx_int_t ngx_chat_db_wal(ngx_chat_db_t *db, ngx_chat_db_conf_t *conf);
static ngx_int_t ngx_chat_db_prepare(ngx_chat_db_t *db,
    ngx_chat_db_conf_t *conf);
static ngx_int_t ngx_chat_db_header(u_char *p, off_t size, char *error,
    size_t len);
static uint32_t ngx_chat_db_get32(u_char *p);


static const char  *ngx_chat_db_statements[NGX_CHAT_DB_STATEMENTS_e] = {

    "BEGIN",                                          /* READ */

    "BEGIN IMMEDIATE",                                /* WRITE */

    "COMMIT",

    "ROLLBACK",

    "INSERT INTO messages"                            /* INSERT */
    " (app, channel, event, content, author, created_at, updated_at, kind)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)",

    NGX_CHAT_DB_COLUMNS NGX_CHAT_DB_CHANNEL           /* NEWEST */
    " ORDER BY id DESC LIMIT ?4",

    NGX_CHAT_DB_COLUMNS NGX_CHAT_DB_CHANNEL           /* AFTER */
    " AND id > ?3 ORDER BY id LIMIT ?4",

    NGX_CHAT_DB_COLUMNS NGX_CHAT_DB_CHANNEL           /* BEFORE */
    " AND id < ?3 ORDER BY id DESC LIMIT ?4",

    "SELECT 1 FROM messages" NGX_CHAT_DB_CHANNEL      /* HAS_BEFORE */
    " AND id <= ?3 LIMIT 1",

    "SELECT 1 FROM messages" NGX_CHAT_DB_CHANNEL      /* HAS_AFTER */
    " AND id >= ?3 LIMIT 1",

    NGX_CHAT_DB_COLUMNS                               /* SINCE */
    " WHERE id > ?1 ORDER BY id",

    "SELECT id, created_at FROM messages"             /* OLDEST */
    " WHERE id > ?1 ORDER BY id LIMIT ?2",

    "DELETE FROM messages WHERE id = ?1",

    "SELECT app, channel FROM messages"               /* CHANNEL */
    " WHERE (app, channel) > (?1, ?2) ORDER BY app, channel LIMIT 1",

    "SELECT id, app, channel FROM messages"           /* RECENT */
    " WHERE id > ?1 ORDER BY id LIMIT ?2",

    "SELECT id FROM messages" NGX_CHAT_DB_CHANNEL     /* SURPLUS */
    " ORDER BY id DESC LIMIT 1 OFFSET ?3",

    "SELECT id FROM messages" NGX_CHAT_DB_CHANNEL     /* UPTO */
    " AND id <= ?3 ORDER BY id LIMIT ?4",

    "SELECT (page_count - freelist_count) * page_size"     /* USED */
    " FROM pragma_page_count, pragma_freelist_count, pragma_page_size",

    "SELECT coalesce(max(id), 0) FROM messages"       /* MAX */
};


ngx_int_t
ngx_chat_db_open(ngx_chat_db_t *db, ngx_chat_db_conf_t *conf)
{
    ngx_int_t   rc;
    ngx_uint_t  missing;

    memset(db, 0, sizeof(ngx_chat_db_t));

    rc = ngx_chat_db_connect(db, conf);
    if (rc != NGX_OK) {
        goto failed;
    }

    rc = ngx_chat_migration_inspect(db, &missing);
    if (rc != NGX_OK) {
        goto failed;
    }

    rc = ngx_chat_db_look(db, conf);
    if (rc != NGX_OK) {
        goto failed;
    }

    /* the file is ours */

    (void) sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0,
                             NULL);

    rc = ngx_chat_db_exec(db, conf->full ? "PRAGMA synchronous = FULL"
                                         : "PRAGMA synchronous = NORMAL");
    if (rc != NGX_OK) {
        goto failed;
    }

    rc = ngx_chat_db_wal(db, conf);
    if (rc != NGX_OK) {
        goto failed;
    }

    if (missing) {
        rc = ngx_chat_migration_run(db);
        if (rc != NGX_OK) {
            goto failed;
        }
    }

    rc = ngx_chat_db_prepare(db, conf);
    if (rc != NGX_OK) {
        goto failed;
    }

    return NGX_OK;

failed:

    ngx_chat_db_close(db);

    return rc;
}


/*
 * Which files are there now.  Another one may have been moved to the path since
 * it was looked at; beside it lies the WAL of the one before, which SQLite
 * would take for its own.
 */

static ngx_int_t
ngx_chat_db_look(ngx_chat_db_t *db, ngx_chat_db_conf_t *conf)
{
    ngx_chat_db_files_t  *expected;

    expected = conf->expected;

    if (ngx_chat_db_files(conf->path, &db->files) != NGX_OK) {
        /* glibc's strerror() shares nothing between threads */

        (void) snprintf(db->error, NGX_CHAT_DB_ERROR_LEN,
                        "it was opened, but can't be looked at: %s",
                        /* NOLINTNEXTLINE(concurrency-mt-unsafe) */
                        strerror(errno));
        return NGX_BUSY;
    }

    if (expected == NULL || expected->file == 0
        || (db->files.dev == expected->dev
            && db->files.file == expected->file))
    {
        return NGX_OK;
    }

    (void) snprintf(db->error, NGX_CHAT_DB_ERROR_LEN, "%s while it was opened",
                    db->files.file ? "another file was put in place"
                                   : "the file was removed");

    return NGX_BUSY;
}


static ngx_int_t
ngx_chat_db_connect(ngx_chat_db_t *db, ngx_chat_db_conf_t *conf)
{
    int          rc;
    struct stat  st;

    /* SQLite takes a file of one byte for an empty one */

    if (stat(conf->path, &st) == 0 && S_ISREG(st.st_mode)
        && st.st_size > 0 && st.st_size < NGX_CHAT_DB_HEADER)
    {
        (void) snprintf(db->error, NGX_CHAT_DB_ERROR_LEN,
                        "the file is not an SQLite database");
        return NGX_DECLINED;
    }

    rc = sqlite3_open_v2(conf->path, &db->handle,
                         SQLITE_OPEN_READWRITE|SQLITE_OPEN_NOMUTEX
                         |(conf->create ? SQLITE_OPEN_CREATE : 0), NULL);

    if (rc != SQLITE_OK) {
        return ngx_chat_db_failed(db, "sqlite3_open_v2()");
    }

    (void) sqlite3_extended_result_codes(db->handle, 1);
    (void) sqlite3_busy_timeout(db->handle, (int) conf->timeout);

    /* closing somebody else's file must not move its WAL into it */
    (void) sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
                             NULL);

    if (conf->write && sqlite3_db_readonly(db->handle, "main")) {
        db->code = SQLITE_READONLY;
        (void) snprintf(db->error, NGX_CHAT_DB_ERROR_LEN,
                        "the file is not writable");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * SQLite does not wait for the lock that the switch to WAL takes, hence the
 * loop.
 */

static ngx_int_t
ngx_chat_db_wal(ngx_chat_db_t *db, ngx_chat_db_conf_t *conf)
{
    int              rc;
    uint64_t         end;
    const u_char    *mode;
    sqlite3_stmt    *st;
    struct timespec  ts;

    rc = sqlite3_prepare_v2(db->handle, "PRAGMA journal_mode = WAL", -1, &st,
                            NULL);
    if (rc != SQLITE_OK) {
        return ngx_chat_db_failed(db, "sqlite3_prepare_v2()");
    }

    (void) sqlite3_busy_timeout(db->handle, 0);

    end = ngx_chat_clock_msec() + conf->timeout;

    for ( ;; ) {
        rc = sqlite3_step(st);

        if ((rc & 0xff) != SQLITE_BUSY || ngx_chat_clock_msec() >= end) {
            break;
        }

        (void) sqlite3_reset(st);

        ts.tv_sec = 0;
        ts.tv_nsec = NGX_CHAT_DB_POLL;
        (void) nanosleep(&ts, NULL);
    }

    if (rc != SQLITE_ROW) {
        rc = (int) ngx_chat_db_failed(db, "sqlite3_step()");
        goto done;
    }

    mode = sqlite3_column_text(st, 0);

    rc = NGX_OK;

    if (mode == NULL || strcmp((const char *) mode, "wal") != 0) {
        (void) snprintf(db->error, NGX_CHAT_DB_ERROR_LEN,
                        "the file can't be switched to WAL mode, is it on a "
                        "network file system?");
        db->code = SQLITE_CANTOPEN;
        rc = NGX_ERROR;
    }

done:

    (void) sqlite3_finalize(st);
    (void) sqlite3_busy_timeout(db->handle, (int) conf->timeout);

    return rc;
}


static ngx_int_t
ngx_chat_db_prepare(ngx_chat_db_t *db, ngx_chat_db_conf_t *conf)
{
    int         rc;
    ngx_uint_t  i;

    for (i = 0; i < NGX_CHAT_DB_STATEMENTS_e; i++) {

        rc = sqlite3_prepare_v3(db->handle, ngx_chat_db_statements[i], -1,
                                SQLITE_PREPARE_PERSISTENT, &db->statements[i],
                                NULL);
        if (rc != SQLITE_OK) {
            return ngx_chat_db_failed(db, "sqlite3_prepare_v3()");
        }
    }

    /* the schema was read, so the WAL is open, too */

    if (ngx_chat_db_look(db, conf) != NGX_OK) {
        ngx_chat_db_abandon(db);
        return NGX_BUSY;
    }

    if (db->files.wal == 0 || db->files.shm == 0) {
        (void) snprintf(db->error, NGX_CHAT_DB_ERROR_LEN,
                        "the file, its -wal or its -shm was removed while it "
                        "was opened");
        return NGX_BUSY;
    }

    if (conf->write) {
        return NGX_OK;
    }

    return ngx_chat_db_exec(db, "PRAGMA query_only = ON");
}


ngx_int_t
ngx_chat_db_probe(const char *path, char *error, size_t size)
{
    int          fd, err;
    u_char       buf[NGX_CHAT_DB_HEADER];
    ssize_t      n;
    ngx_int_t    rc;
    struct stat  st;

    /* not to wait for the other end of a pipe */
    fd = open(path, O_RDONLY|O_NONBLOCK|O_CLOEXEC);

    if (fd == -1) {
        return (errno == ENOENT) ? NGX_OK : NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (fstat(fd, &st) == -1) {
        goto done;
    }

    if (!S_ISREG(st.st_mode)) {
        (void) snprintf(error, size, S_ISDIR(st.st_mode)
                                     ? "it is a directory, name a file in it"
                                     : "it is not a regular file");
        rc = NGX_DECLINED;
        goto done;
    }

    n = pread(fd, buf, sizeof(buf), 0);

    if (n == -1) {
        goto done;
    }

    if (n == 0) {
        rc = NGX_OK;

    } else if (n < (ssize_t) sizeof(buf)) {
        (void) snprintf(error, size, "the file is not an SQLite database");
        rc = NGX_DECLINED;

    } else {
        rc = ngx_chat_db_header(buf, st.st_size, error, size);
    }

done:

    err = errno;
    (void) close(fd);
    errno = err;

    return rc;
}


/*
 * The header may lag behind the WAL.  Of a file of ours it then has nothing
 * yet, and is a single page.
 */

static ngx_int_t
ngx_chat_db_header(u_char *p, off_t size, char *error, size_t len)
{
    off_t                          page;
    ngx_chat_migration_identity_t  id;

    if (memcmp(p, "SQLite format 3", sizeof("SQLite format 3")) != 0) {
        (void) snprintf(error, len, "the file is not an SQLite database");
        return NGX_DECLINED;
    }

    page = (p[16] << 8) + p[17];

    if (page == 1) {
        page = 65536;
    }

    id.application = (int32_t) ngx_chat_db_get32(&p[68]);
    id.version = (int32_t) ngx_chat_db_get32(&p[60]);
    id.content = (size > page);

    return ngx_chat_migration_judge(&id, error, len);
}


static uint32_t
ngx_chat_db_get32(u_char *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16
           | (uint32_t) p[2] << 8 | (uint32_t) p[3];
}
