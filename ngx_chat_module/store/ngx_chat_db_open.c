
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Opening.  First one read transaction looks whose file it is.  Only then
 * comes what writes, such as the switch to WAL mode.  So a file that is not
 * ours stays as it is.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_db_open.h>
#include <store/ngx_chat_migration.h>
#include <wire/ngx_chat_clock.h>

#include <stdio.h>


#define NGX_CHAT_DB_POLL         2             /* ms */

#define NGX_CHAT_DB_COLUMNS                                                   \
    "SELECT id, app, channel, event, content, author, created_at,"            \
    " updated_at, kind FROM messages"

#define NGX_CHAT_DB_CHANNEL  " WHERE app = ?1 AND channel = ?2"

/* in this order of the tables the index on webhook and dead_at is used */

#define NGX_CHAT_DB_DEAD                                                      \
    " FROM webhooks w CROSS JOIN webhook_events e ON e.webhook = w.id"        \
    " AND e.dead_at > 0 WHERE w.app = ?1"


static ngx_int_t ngx_chat_db_expect(ngx_chat_db_t *db,
    ngx_chat_db_conf_t *conf);
static ngx_int_t ngx_chat_db_connect(ngx_chat_db_t *db,
    ngx_chat_db_conf_t *conf);
static ngx_int_t ngx_chat_db_wal(ngx_chat_db_t *db, ngx_chat_db_conf_t *conf);
static ngx_int_t ngx_chat_db_prepare(ngx_chat_db_t *db,
    ngx_chat_db_conf_t *conf);
static ngx_int_t ngx_chat_db_header(u_char *p, off_t size, char *error);
static uint32_t ngx_chat_db_get32(u_char *p);


static const char  *ngx_chat_db_statements[NGX_CHAT_DB_STATEMENTS_e] = {

    "BEGIN",                                          /* READ */

    "BEGIN IMMEDIATE",                                /* WRITE */

    "COMMIT",

    "ROLLBACK",

    "INSERT INTO messages"                            /* INSERT */
    " (app, channel, event, content, author, created_at, updated_at, kind)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)",

    "INSERT OR REPLACE INTO messages"                 /* REPLICATE */
    " (id, app, channel, event, content, author, created_at, updated_at,"
    " kind) VALUES (?8, ?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)",

    "INSERT OR IGNORE INTO messages"                  /* FILL */
    " (id, app, channel, event, content, author, created_at, updated_at,"
    " kind) VALUES (?8, ?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)",

    NGX_CHAT_DB_COLUMNS NGX_CHAT_DB_CHANNEL           /* NEWEST */
    " ORDER BY id DESC LIMIT ?4",

    NGX_CHAT_DB_COLUMNS NGX_CHAT_DB_CHANNEL           /* AFTER */
    " AND id > ?3 ORDER BY id LIMIT ?4",

    NGX_CHAT_DB_COLUMNS NGX_CHAT_DB_CHANNEL           /* BEFORE */
    " AND id < ?3 ORDER BY id DESC LIMIT ?4",

    "SELECT 1 FROM messages" NGX_CHAT_DB_CHANNEL      /* HAS_BEFORE */
    " AND id <= ?3 LIMIT ?4",

    "SELECT 1 FROM messages" NGX_CHAT_DB_CHANNEL      /* HAS_AFTER */
    " AND id >= ?3 LIMIT ?4",

    NGX_CHAT_DB_COLUMNS                               /* SINCE */
    " WHERE id > ?3 ORDER BY id LIMIT ?4",

    "SELECT id, created_at FROM messages"             /* TIMES */
    " WHERE id > ?3 ORDER BY id LIMIT ?4",

    "SELECT id FROM messages"                         /* OLDEST */
    " WHERE id <= ?3 ORDER BY id LIMIT ?4",

    "SELECT app, channel FROM messages"               /* CHANNEL */
    " WHERE (app, channel) > (?1, ?2) ORDER BY app, channel LIMIT ?4",

    "SELECT app, channel FROM messages NOT INDEXED"   /* RECENT */
    " WHERE id > ?3 AND id <= ?4 AND (app, channel) > (?1, ?2)"
    " ORDER BY app, channel LIMIT 1",

    "SELECT id FROM messages" NGX_CHAT_DB_CHANNEL     /* SURPLUS */
    " AND id <= (SELECT id FROM messages" NGX_CHAT_DB_CHANNEL
    " ORDER BY id DESC LIMIT 1 OFFSET ?3) ORDER BY id LIMIT ?4",

    "DELETE FROM messages WHERE id = ?1",

    "SELECT (page_count - freelist_count) * page_size"     /* USED */
    " FROM pragma_page_count, pragma_freelist_count, pragma_page_size",

    "SELECT coalesce(max(id), 0) FROM messages",      /* MAX */

    "SELECT message, created_at FROM keys"            /* KEY */
    " WHERE key = ?3 AND created_at BETWEEN ?1 AND ?2",

    "INSERT OR REPLACE INTO keys"                     /* ADD_KEY */
    " (message, key, created_at) VALUES (?1, ?2, ?3)",

    "SELECT 1 FROM (SELECT created_at FROM keys"      /* OLD_KEY */
    " ORDER BY message LIMIT 1) WHERE created_at NOT BETWEEN ?1 AND ?2",

    "DELETE FROM keys WHERE message IN"               /* DELETE_KEYS */
    " (SELECT message FROM keys ORDER BY message LIMIT 256)"
    " AND created_at NOT BETWEEN ?1 AND ?2",

    "SELECT e.id, e.app, w.url, '', e.event, e.error,"    /* DEAD */
    " e.created_at, e.dead_at, e.tries" NGX_CHAT_DB_DEAD
    " AND e.id < ?3 ORDER BY e.id DESC LIMIT ?4",

    "SELECT 1" NGX_CHAT_DB_DEAD                       /* HAS_DEAD */
    " AND e.id <= ?3 LIMIT ?4"
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

    rc = ngx_chat_db_expect(db, conf);
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
        rc = ngx_chat_migration_run(db, 0);
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
 * Looks which files are there now.  Since the caller has looked, another file
 * may have been moved to the path.  Beside it lies the WAL of the file before,
 * which SQLite would take for the WAL of the new one.
 */

static ngx_int_t
ngx_chat_db_expect(ngx_chat_db_t *db, ngx_chat_db_conf_t *conf)
{
    ngx_chat_db_files_t  *expected;

    expected = conf->expected;

    if (ngx_chat_db_look(db, conf->path, &db->files) != NGX_OK) {
        return NGX_BUSY;
    }

    if (expected == NULL || expected->file == 0
        || (db->files.dev == expected->dev
            && db->files.file == expected->file))
    {
        return NGX_OK;
    }

    return ngx_chat_db_refuse(db, NGX_BUSY, db->files.file
                              ? "another file was put in place while it was "
                                "opened"
                              : "the file was removed while it was opened");
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
        return ngx_chat_db_refuse(db, NGX_DECLINED,
                                  "the file is not an SQLite database");
    }

    rc = sqlite3_open_v2(conf->path, &db->handle,
                         SQLITE_OPEN_READWRITE|SQLITE_OPEN_NOMUTEX
                         |(conf->create ? SQLITE_OPEN_CREATE : 0), NULL);

    if (rc != SQLITE_OK) {
        return ngx_chat_db_failed(db, "sqlite3_open_v2()");
    }

    (void) sqlite3_extended_result_codes(db->handle, 1);
    (void) sqlite3_busy_timeout(db->handle, (int) conf->timeout);

    /* until it is known that the file is ours */
    ngx_chat_db_abandon(db);

    if (conf->write && sqlite3_db_readonly(db->handle, "main")) {
        return ngx_chat_db_refuse(db, NGX_ERROR, "the file is not writable");
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
    int64_t    wal;
    uint64_t   end;
    ngx_int_t  rc;

    (void) sqlite3_busy_timeout(db->handle, 0);

    end = ngx_chat_clock_msec() + conf->timeout;

    for ( ;; ) {
        rc = ngx_chat_db_exec(db, "PRAGMA journal_mode = WAL");

        if (rc != NGX_BUSY || ngx_chat_clock_msec() >= end) {
            break;
        }

        ngx_msleep(NGX_CHAT_DB_POLL);
    }

    (void) sqlite3_busy_timeout(db->handle, (int) conf->timeout);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_db_number(db, "SELECT journal_mode = 'wal'"
                            " FROM pragma_journal_mode", &wal);

    if (rc == NGX_OK && !wal) {
        return ngx_chat_db_refuse(db, NGX_ERROR,
                                  "the file can't be switched to WAL mode, is "
                                  "it on a network file system?");
    }

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

    if (ngx_chat_db_expect(db, conf) != NGX_OK) {
        ngx_chat_db_abandon(db);
        return NGX_BUSY;
    }

    if (db->files.wal == 0 || db->files.shm == 0) {
        return ngx_chat_db_refuse(db, NGX_BUSY,
                                  "the file, its -wal or its -shm was removed "
                                  "while it was opened");
    }

    if (conf->write) {
        return NGX_OK;
    }

    return ngx_chat_db_exec(db, "PRAGMA query_only = ON");
}


ngx_int_t
ngx_chat_db_probe(const char *path, char *error)
{
    int                  fd, err;
    u_char               buf[NGX_CHAT_DB_HEADER];
    ssize_t              n;
    ngx_int_t            rc;
    struct stat          st;
    ngx_chat_db_files_t  files;

    if (ngx_chat_db_files(path, &files) != NGX_OK) {
        return NGX_ERROR;
    }

    if (files.odd) {
        (void) snprintf(error, NGX_CHAT_DB_ERROR_LEN, "%s", files.odd);
        return NGX_DECLINED;
    }

    /* O_NONBLOCK: do not wait for the other end of a pipe */
    fd = open(path, O_RDONLY|O_NONBLOCK|O_CLOEXEC);

    if (fd == -1) {
        return (errno == ENOENT) ? NGX_OK : NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (fstat(fd, &st) == -1) {
        goto done;
    }

    n = pread(fd, buf, sizeof(buf), 0);

    if (n == -1) {
        goto done;
    }

    ngx_memzero(buf + n, sizeof(buf) - n);

    rc = n ? ngx_chat_db_header(buf, st.st_size, error) : NGX_OK;

done:

    err = errno;
    (void) close(fd);
    errno = err;

    return rc;
}


/*
 * The newest header may be in the WAL.  In that case a new file of ours is one
 * page, whose header tells nothing yet.
 */

static ngx_int_t
ngx_chat_db_header(u_char *p, off_t size, char *error)
{
    off_t  page;

    if (size < NGX_CHAT_DB_HEADER
        || memcmp(p, "SQLite format 3", sizeof("SQLite format 3")) != 0)
    {
        (void) snprintf(error, NGX_CHAT_DB_ERROR_LEN,
                        "the file is not an SQLite database");
        return NGX_DECLINED;
    }

    page = (p[16] << 8) + p[17];

    if (page == 1) {
        page = 65536;
    }

    return ngx_chat_migration_judge((int32_t) ngx_chat_db_get32(&p[68]),
                                    (int32_t) ngx_chat_db_get32(&p[60]),
                                    size > page, error);
}


static uint32_t
ngx_chat_db_get32(u_char *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16
           | (uint32_t) p[2] << 8 | (uint32_t) p[3];
}
