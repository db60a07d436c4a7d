
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * One SQLite handle, and the three files behind it.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_db.h>

#include <stdio.h>


/* big-endian; the last bit is the byte order of the WAL's checksums */
#define NGX_CHAT_DB_WAL_MAGIC  0x377f0682


static void ngx_chat_db_files_beside(ngx_chat_db_files_t *files, char *name);
static sqlite3_file *ngx_chat_db_file(ngx_chat_db_t *db, int which);
static uint32_t ngx_chat_db_get_u32(const u_char *p);


void
ngx_chat_db_close(ngx_chat_db_t *db)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_CHAT_DB_STATEMENTS_e; i++) {
        (void) sqlite3_finalize(db->statements[i]);
        db->statements[i] = NULL;
    }

    (void) sqlite3_close(db->handle);
    db->handle = NULL;
}


void
ngx_chat_db_abandon(ngx_chat_db_t *db)
{
    (void) sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
                             NULL);
}


ngx_int_t
ngx_chat_db_files(const char *path, ngx_chat_db_files_t *files)
{
    char         name[PATH_MAX + sizeof("-journal")];
    size_t       len;
    struct stat  st;

    memset(files, 0, sizeof(ngx_chat_db_files_t));

    len = strlen(path);

    if (len >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return NGX_ERROR;
    }

    memcpy(name, path, len + 1);

    if (lstat(path, &st) == -1) {

        if (errno != ENOENT) {
            return NGX_ERROR;
        }

        ngx_chat_db_files_beside(files, name);
        files->wal = 0;
        files->shm = 0;

        return NGX_OK;
    }

    /* SQLite has the WAL beside what a symbolic link leads to */

    if (S_ISLNK(st.st_mode)
        && (realpath(path, name) == NULL || stat(name, &st) == -1))
    {
        return (errno == ENOENT) ? NGX_OK : NGX_ERROR;
    }

    files->dev = st.st_dev;
    files->file = st.st_ino;
    files->size = st.st_size;

    if (!S_ISREG(st.st_mode)) {
        files->odd = S_ISDIR(st.st_mode)
                     ? "it is a directory, name a file in it"
                     : "it is not a regular file";
    }

    ngx_chat_db_files_beside(files, name);

    return NGX_OK;
}


/* What SQLite opens beside the file; name has room for the longest suffix. */

static void
ngx_chat_db_files_beside(ngx_chat_db_files_t *files, char *name)
{
    size_t        i, len;
    uint64_t      inodes[3];
    struct stat   st;

    static const char *const  suffixes[] = { "-wal", "-shm", "-journal" };

    static const char *const  odd[] = {
        "its -wal is not a regular file",
        "its -shm is not a regular file",
        "its -journal is not a regular file"
    };

    len = strlen(name);

    for (i = 0; i < 3; i++) {

        memcpy(name + len, suffixes[i], strlen(suffixes[i]) + 1);

        inodes[i] = 0;

        if (stat(name, &st) == -1) {
            continue;
        }

        inodes[i] = st.st_ino;

        if (!S_ISREG(st.st_mode)) {
            files->odd = odd[i];
        }
    }

    files->wal = inodes[0];
    files->shm = inodes[1];
}


ngx_int_t
ngx_chat_db_look(ngx_chat_db_t *db, const char *path,
    ngx_chat_db_files_t *files)
{
    if (ngx_chat_db_files(path, files) == NGX_OK) {
        return files->odd ? ngx_chat_db_refuse(db, NGX_BUSY, files->odd)
                          : NGX_OK;
    }

    /* glibc's strerror() shares nothing between threads */

    (void) snprintf(db->error, NGX_CHAT_DB_ERROR_LEN,
                    "the file can't be looked at (%d: %s)", errno,
                    /* NOLINTNEXTLINE(concurrency-mt-unsafe) */
                    strerror(errno));

    return NGX_BUSY;
}


ngx_uint_t
ngx_chat_db_is_whole(ngx_chat_db_t *db, ngx_chat_db_header_t *header)
{
    int            rc;
    u_char         buf[NGX_CHAT_DB_HEADER];
    uint32_t       page;
    sqlite3_file  *file;
    sqlite3_int64  size;

    static const char  magic[] = "SQLite format 3";

    file = ngx_chat_db_file(db, SQLITE_FCNTL_FILE_POINTER);

    if (file == NULL
        || file->pMethods->xRead(file, buf, sizeof(buf), 0) != SQLITE_OK
        || file->pMethods->xFileSize(file, &size) != SQLITE_OK
        || memcmp(buf, magic, sizeof(magic)) != 0)
    {
        return 0;
    }

    /* the size of a page is big-endian, and 1 stands for 65536 */

    page = (uint32_t) buf[16] << 8 | (uint32_t) buf[17] << 16;

    if (page == 0) {
        return 0;
    }

    header->pages = (uint32_t) (size / page);
    header->claimed = ngx_chat_db_get_u32(buf + 28);
    header->changes = ngx_chat_db_get_u32(buf + 24);

    file = ngx_chat_db_file(db, SQLITE_FCNTL_JOURNAL_POINTER);

    if (file == NULL) {
        return 1;
    }

    rc = file->pMethods->xRead(file, buf, 4, 0);

    return rc == SQLITE_IOERR_SHORT_READ
           || (rc == SQLITE_OK
               && (ngx_chat_db_get_u32(buf) & ~1U) == NGX_CHAT_DB_WAL_MAGIC);
}


ngx_uint_t
ngx_chat_db_wal_has(ngx_chat_db_t *db, uint32_t page)
{
    u_char         head[32], frame[24];
    sqlite3_file  *file;
    sqlite3_int64  offset;

    file = ngx_chat_db_file(db, SQLITE_FCNTL_JOURNAL_POINTER);

    if (file == NULL
        || file->pMethods->xRead(file, head, sizeof(head), 0) != SQLITE_OK)
    {
        return 0;
    }

    offset = sizeof(head);

    /* frames that the WAL had before it was begun anew have another salt */

    while (file->pMethods->xRead(file, frame, sizeof(frame), offset)
           == SQLITE_OK
           && memcmp(frame + 8, head + 16, 8) == 0)
    {
        if (ngx_chat_db_get_u32(frame) == page) {
            return 1;
        }

        offset += sizeof(frame) + ngx_chat_db_get_u32(head + 8);
    }

    return 0;
}


/*
 * SQLite's own descriptor of the file or the WAL, or NULL: closing another one
 * would drop SQLite's locks.
 */

static sqlite3_file *
ngx_chat_db_file(ngx_chat_db_t *db, int which)
{
    sqlite3_file  *file;

    if (sqlite3_file_control(db->handle, "main", which, &file) != SQLITE_OK) {
        return NULL;
    }

    return file->pMethods ? file : NULL;
}


static uint32_t
ngx_chat_db_get_u32(const u_char *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16
           | (uint32_t) p[2] << 8 | (uint32_t) p[3];
}


ngx_int_t
ngx_chat_db_unlink_wal(const char *path)
{
    char    name[PATH_MAX + sizeof("-wal")];
    size_t  len;

    if (realpath(path, name) == NULL) {
        return NGX_ERROR;
    }

    len = strlen(name);

    /* the index first: without it a WAL is read from its beginning */

    memcpy(name + len, "-shm", sizeof("-shm"));

    if (unlink(name) == -1 && errno != ENOENT) {
        return NGX_ERROR;
    }

    memcpy(name + len, "-wal", sizeof("-wal"));

    return (unlink(name) == -1 && errno != ENOENT) ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_chat_db_checkpoint(ngx_chat_db_t *db, ngx_uint_t all)
{
    int  rc;

    rc = sqlite3_wal_checkpoint_v2(db->handle, NULL,
                                   all ? SQLITE_CHECKPOINT_TRUNCATE
                                       : SQLITE_CHECKPOINT_PASSIVE,
                                   NULL, NULL);

    return (rc == SQLITE_OK)
           ? NGX_OK : ngx_chat_db_failed(db, "sqlite3_wal_checkpoint_v2()");
}


ngx_int_t
ngx_chat_db_number(ngx_chat_db_t *db, const char *sql, int64_t *value)
{
    int            rc;
    sqlite3_stmt  *st;

    rc = sqlite3_prepare_v2(db->handle, sql, -1, &st, NULL);
    if (rc != SQLITE_OK) {
        return ngx_chat_db_failed(db, "sqlite3_prepare_v2()");
    }

    rc = NGX_OK;

    if (sqlite3_step(st) == SQLITE_ROW) {
        *value = sqlite3_column_int64(st, 0);

    } else {
        rc = (int) ngx_chat_db_failed(db, "sqlite3_step()");
    }

    (void) sqlite3_finalize(st);

    return rc;
}


ngx_int_t
ngx_chat_db_meta(ngx_chat_db_t *db, const char *key, char *buf, size_t size)
{
    int            rc;
    const u_char  *p;
    sqlite3_stmt  *st;

    buf[0] = '\0';

    rc = sqlite3_prepare_v2(db->handle, "SELECT value FROM meta WHERE key = ?",
                            -1, &st, NULL);
    if (rc != SQLITE_OK) {
        return ngx_chat_db_failed(db, "sqlite3_prepare_v2()");
    }

    (void) sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);

    rc = sqlite3_step(st);

    if (rc == SQLITE_ROW) {
        p = sqlite3_column_text(st, 0);
        (void) snprintf(buf, size, "%s", p ? (const char *) p : "");
        rc = SQLITE_DONE;
    }

    rc = (rc == SQLITE_DONE) ? NGX_OK
                             : (int) ngx_chat_db_failed(db, "sqlite3_step()");

    (void) sqlite3_finalize(st);

    return rc;
}


ngx_int_t
ngx_chat_db_highest(ngx_chat_db_t *db, const char *table, int64_t *id)
{
    char  sql[128];

    (void) snprintf(sql, sizeof(sql), "SELECT coalesce(max(seq), 0)"
                    " FROM sqlite_sequence WHERE name = '%s'", table);

    return ngx_chat_db_number(db, sql, id);
}


ngx_int_t
ngx_chat_db_exec(ngx_chat_db_t *db, const char *sql)
{
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return ngx_chat_db_failed(db, "sqlite3_exec()");
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_db_bind(ngx_chat_db_t *db, ngx_chat_db_statement_e n, int64_t app,
    ngx_str_t *channel, int64_t id, int64_t limit)
{
    sqlite3_stmt  *st;

    st = db->statements[n];

    if (sqlite3_bind_int64(st, 1, app) != SQLITE_OK
        || ngx_chat_db_bind_text(st, 2, channel) != SQLITE_OK
        || sqlite3_bind_int64(st, 3, id) != SQLITE_OK
        || sqlite3_bind_int64(st, 4, limit) != SQLITE_OK)
    {
        return ngx_chat_db_end(db, n, SQLITE_ERROR);
    }

    return NGX_OK;
}


int
ngx_chat_db_bind_text(sqlite3_stmt *st, int n, ngx_str_t *value)
{
    const char  *p;

    /* an empty string without memory is not NULL */

    p = value->len ? (const char *) value->data : "";

    return sqlite3_bind_text64(st, n, p, value->len, SQLITE_STATIC,
                               SQLITE_UTF8);
}


ngx_int_t
ngx_chat_db_run(ngx_chat_db_t *db, ngx_chat_db_statement_e n)
{
    return ngx_chat_db_end(db, n, sqlite3_step(db->statements[n]));
}


ngx_int_t
ngx_chat_db_end(ngx_chat_db_t *db, ngx_chat_db_statement_e n, int rc)
{
    ngx_int_t  result;

    result = NGX_OK;

    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        result = ngx_chat_db_failed(db, "sqlite3_step()");
    }

    (void) sqlite3_reset(db->statements[n]);
    (void) sqlite3_clear_bindings(db->statements[n]);

    return result;
}


ngx_int_t
ngx_chat_db_failed(ngx_chat_db_t *db, const char *call)
{
    int  n, err;

    db->code = sqlite3_extended_errcode(db->handle);

    n = snprintf(db->error, NGX_CHAT_DB_ERROR_LEN, "%s failed: %d \"%s\"",
                 call, db->code, sqlite3_errmsg(db->handle));

    switch (db->code & 0xff) {

    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
        err = sqlite3_system_errno(db->handle);

        /* glibc's strerror() shares nothing between threads */

        if (err && n > 0 && n < NGX_CHAT_DB_ERROR_LEN) {
            (void) snprintf(&db->error[n], NGX_CHAT_DB_ERROR_LEN - n,
                            " (%d: %s)", err,
                            /* NOLINTNEXTLINE(concurrency-mt-unsafe) */
                            strerror(err));
        }

        return NGX_ERROR;

    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        /* the last: a race for the WAL's start that was lost many times */
        return NGX_BUSY;
    }

    return NGX_ERROR;
}


ngx_int_t
ngx_chat_db_refuse(ngx_chat_db_t *db, ngx_int_t rc, const char *text)
{
    (void) snprintf(db->error, NGX_CHAT_DB_ERROR_LEN, "%s", text);

    return rc;
}
