
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Handles on files that may be taken away.
 *
 * What was acknowledged must not go with the files.  Somebody with the write
 * lock is the first to find that the WAL or its index is missing, or that
 * another file stands in the database's place.  Its handle still has the old
 * files open: it moves all that the WAL has into the file, and only then
 * opens what the path leads to now.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_handle.h>
#include <store/ngx_chat_migration.h>
#include <store/ngx_chat_write_lock.h>

#include <stdio.h>


static ngx_int_t ngx_chat_handle_try(ngx_chat_handle_t *h, ngx_uint_t locked,
    ngx_log_t *log);
static ngx_int_t ngx_chat_handle_gone(ngx_chat_handle_t *h,
    ngx_uint_t locked);
static ngx_int_t ngx_chat_handle_leave(ngx_chat_handle_t *h, ngx_log_t *log);
static ngx_int_t ngx_chat_handle_open(ngx_chat_handle_t *h,
    ngx_chat_db_files_t *files, ngx_uint_t locked, ngx_log_t *log);
static ngx_int_t ngx_chat_handle_admit(ngx_chat_handle_t *h,
    ngx_chat_db_files_t *files);
static ngx_int_t ngx_chat_handle_note(ngx_chat_handle_t *h, ngx_log_t *log);
static ngx_int_t ngx_chat_handle_renew(ngx_chat_handle_t *h);
static ngx_uint_t ngx_chat_handle_noted(ngx_chat_store_sh_t *sh,
    ngx_chat_db_files_t *files);
static uint64_t ngx_chat_handle_epoch(ngx_chat_db_t *db);
static void ngx_chat_handle_rescue(ngx_chat_handle_t *h);
static ngx_int_t ngx_chat_handle_busy(ngx_chat_handle_t *h, const char *text);


void
ngx_chat_handle_init(ngx_chat_handle_t *h, ngx_chat_store_conf_t *conf,
    ngx_msec_t timeout, ngx_uint_t write)
{
    h->conf = conf;
    h->open.path = (const char *) conf->path.data;
    h->open.timeout = timeout;
    h->open.full = conf->full;
    h->open.write = write;
}


ngx_int_t
ngx_chat_handle_ready(ngx_chat_handle_t *h, ngx_log_t *log)
{
    ngx_int_t  rc;

    rc = ngx_chat_handle_try(h, 0, log);

    if (rc != NGX_AGAIN) {
        return rc;
    }

    rc = ngx_chat_write_lock_take(h->conf->sh, NGX_CHAT_STORE_WAIT, log);

    if (rc != NGX_OK) {
        (void) ngx_chat_handle_busy(h, "the write lock was not to be had");
        return rc;
    }

    rc = ngx_chat_handle_try(h, 1, log);

    ngx_chat_write_lock_give(h->conf->sh);

    return rc;
}


ngx_int_t
ngx_chat_handle_ready_locked(ngx_chat_handle_t *h, ngx_log_t *log)
{
    return ngx_chat_handle_try(h, 1, log);
}


/* NGX_AGAIN: it takes the write lock to go on. */

static ngx_int_t
ngx_chat_handle_try(ngx_chat_handle_t *h, ngx_uint_t locked, ngx_log_t *log)
{
    ngx_int_t             rc;
    ngx_chat_handles_t   *all;
    ngx_chat_db_files_t   files;

    all = &h->conf->handles;

    if (ngx_chat_db_files(h->open.path, &files) != NGX_OK) {
        /* glibc's strerror() shares nothing between threads */

        (void) snprintf(h->db.error, NGX_CHAT_DB_ERROR_LEN,
                        "stat() failed: %d \"%s\"", errno,
                        /* NOLINTNEXTLINE(concurrency-mt-unsafe) */
                        strerror(errno));
        return NGX_BUSY;
    }

    if (h->db.handle && ngx_chat_db_files_equal(&files, &h->db.files)) {
        return NGX_OK;
    }

    if (files.file == 0 && ngx_chat_store_get(&h->conf->sh->epoch)) {
        return ngx_chat_handle_gone(h, locked);
    }

    if (!locked && !ngx_chat_handle_noted(h->conf->sh, &files)) {
        ngx_chat_store_set(&all->stale, 1);
        return NGX_AGAIN;
    }

    if (h->db.handle) {
        ngx_chat_store_set(&all->stale, 1);

        rc = locked ? ngx_chat_handle_leave(h, log) : NGX_OK;

        if (rc != NGX_OK) {
            return rc;
        }

        ngx_chat_db_abandon(&h->db);
        ngx_chat_handle_close(h);
    }

    (void) pthread_mutex_lock(&all->mutex);

    rc = ngx_chat_handle_open(h, &files, locked, log);

    (void) pthread_mutex_unlock(&all->mutex);

    return rc;
}


/*
 * There is no file.  The handle stays open: its file may be put back, and
 * then has to have all that was stored, wherever it is now.
 */

static ngx_int_t
ngx_chat_handle_gone(ngx_chat_handle_t *h, ngx_uint_t locked)
{
    ngx_uint_t  frames;

    if (h->db.handle) {

        if (!locked) {
            return NGX_AGAIN;
        }

        (void) ngx_chat_db_checkpoint(&h->db, 0, &frames);
    }

    return ngx_chat_handle_busy(h, "the file was removed under the running "
                                "server; put it back, or put a backup or an "
                                "empty file in its place");
}


/*
 * With the write lock: moves what the WAL has into the file that the handle
 * has open, unless somebody else has noted other files since, and so has done
 * it.  NGX_BUSY: a reader is in the way.
 */

static ngx_int_t
ngx_chat_handle_leave(ngx_chat_handle_t *h, ngx_log_t *log)
{
    ngx_int_t   rc;
    ngx_uint_t  frames;

    if (!ngx_chat_handle_noted(h->conf->sh, &h->db.files)) {
        return NGX_OK;
    }

    rc = ngx_chat_db_checkpoint(&h->db, 1, &frames);

    if (rc == NGX_BUSY) {
        return rc;
    }

    ngx_log_error(NGX_LOG_CRIT, log, 0,
                  "chat database \"%V\": the file, its -wal or its -shm was "
                  "removed or replaced under the running server%s%s",
                  &h->conf->path,
                  (rc == NGX_OK) ? "" : ", and what was stored last is lost: ",
                  (rc == NGX_OK) ? "" : h->db.error);

    return NGX_OK;
}


/* With the process's mutex. */

static ngx_int_t
ngx_chat_handle_open(ngx_chat_handle_t *h, ngx_chat_db_files_t *files,
    ngx_uint_t locked, ngx_log_t *log)
{
    ngx_int_t            rc;
    ngx_chat_handles_t  *all;

    rc = ngx_chat_handle_admit(h, files);
    if (rc != NGX_OK) {
        return rc;
    }

    h->open.create = (ngx_chat_store_get(&h->conf->sh->epoch) == 0);
    h->open.expected = files;

    rc = ngx_chat_db_open(&h->db, &h->open);
    if (rc != NGX_OK) {
        return rc;
    }

    if (locked) {
        rc = ngx_chat_handle_note(h, log);

    } else if (!ngx_chat_handle_noted(h->conf->sh, &h->db.files)) {
        rc = NGX_AGAIN;
    }

    if (rc != NGX_OK) {
        ngx_chat_db_abandon(&h->db);
        ngx_chat_db_close(&h->db);
        return rc;
    }

    all = &h->conf->handles;

    if (!ngx_chat_db_files_equal(&all->files, &h->db.files)) {
        all->files = h->db.files;
        all->n = 0;
    }

    all->n++;

    return NGX_OK;
}


/* Whether the files may be opened by this process now. */

static ngx_int_t
ngx_chat_handle_admit(ngx_chat_handle_t *h, ngx_chat_db_files_t *files)
{
    ngx_atomic_uint_t     file;
    ngx_chat_handles_t   *all;
    ngx_chat_store_sh_t  *sh;

    all = &h->conf->handles;
    sh = h->conf->sh;

    if (all->n
        && all->files.dev == files->dev && all->files.file == files->file
        && (all->files.wal != files->wal || all->files.shm != files->shm))
    {
        return ngx_chat_handle_busy(h, "the -wal or -shm file was removed; "
                                    "some handle still has the one before");
    }

    /* other files than the noted ones: the caller has the write lock */

    file = ngx_chat_store_get(&sh->file);

    if (file && files->file && file != files->file
        && ((files->wal && files->wal == ngx_chat_store_get(&sh->wal))
            || (files->shm && files->shm == ngx_chat_store_get(&sh->shm)))
        && ngx_chat_db_unlink_wal(h->open.path) != NGX_OK)
    {
        return ngx_chat_handle_busy(h, "the -wal file beside the file is of "
                                    "the one before; remove it");
    }

    return NGX_OK;
}


/*
 * With the write lock: notes in shared memory which files are the database,
 * and the highest id that was ever in it.
 */

static ngx_int_t
ngx_chat_handle_note(ngx_chat_handle_t *h, ngx_log_t *log)
{
    int64_t               last;
    ngx_int_t             rc;
    ngx_uint_t            same;
    ngx_chat_store_sh_t  *sh;

    sh = h->conf->sh;

    rc = ngx_chat_db_number(&h->db, "SELECT coalesce(max(seq), 0)"
                            " FROM sqlite_sequence WHERE name = 'messages'",
                            &last);
    if (rc != NGX_OK) {
        return rc;
    }

    if (sh->file && sh->file != h->db.files.file) {
        same = (ngx_chat_handle_epoch(&h->db) == sh->epoch
                && (uint64_t) last >= sh->last);

        if (!same) {
            rc = ngx_chat_handle_renew(h);
            if (rc != NGX_OK) {
                return rc;
            }
        }

        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "chat database \"%V\" is another file now, with %s "
                      "epoch", &h->conf->path, same ? "the same" : "another");
    }

    sh->last = last;

    ngx_memory_barrier();

    ngx_chat_store_set(&sh->wal, h->db.files.wal);
    ngx_chat_store_set(&sh->shm, h->db.files.shm);
    ngx_chat_store_set(&sh->file, h->db.files.file);
    ngx_chat_store_set(&sh->epoch, ngx_chat_handle_epoch(&h->db));

    return NGX_OK;
}


/*
 * Another database, or an older state of this one: ids that clients have seen
 * may come again in it, so it gets a new epoch.  What shared memory says of
 * sent and unsent messages is of the database before.
 */

static ngx_int_t
ngx_chat_handle_renew(ngx_chat_handle_t *h)
{
    ngx_int_t               rc;
    ngx_chat_store_conf_t  *conf;

    conf = h->conf;

    if (!h->open.write) {
        return ngx_chat_handle_busy(h, "another file was put in place");
    }

    rc = ngx_chat_migration_renew(&h->db);
    if (rc != NGX_OK) {
        return rc;
    }

    conf->sh->dirty = 0;
    conf->sh->foreign = conf->sent(conf->data);
    conf->renewed(conf->data);

    return NGX_OK;
}


static ngx_uint_t
ngx_chat_handle_noted(ngx_chat_store_sh_t *sh, ngx_chat_db_files_t *files)
{
    return files->file == ngx_chat_store_get(&sh->file)
           && files->wal == ngx_chat_store_get(&sh->wal)
           && files->shm == ngx_chat_store_get(&sh->shm);
}


/* Half of it tells one from another, and is stored at once. */

static uint64_t
ngx_chat_handle_epoch(ngx_chat_db_t *db)
{
    u_char      c;
    uint64_t    n;
    ngx_uint_t  i;

    n = 0;

    for (i = 0; i < 16; i++) {
        c = db->epoch[i];
        n = n << 4 | (uint64_t) (c <= '9' ? c - '0' : c - 'a' + 10);
    }

    return n ? n : 1;
}


void
ngx_chat_handle_failed(ngx_chat_handle_t *h, ngx_int_t rc, ngx_log_t *log)
{
    if (log) {
        ngx_log_error(NGX_LOG_CRIT, log, 0, "chat database \"%V\": %s",
                      &h->conf->path,
                      h->db.error[0] ? h->db.error : "out of memory");
    }

    ngx_chat_batch_rollback(&h->db);

    if (rc != NGX_BUSY) {
        ngx_chat_handle_close(h);
    }
}


void
ngx_chat_handle_close(ngx_chat_handle_t *h)
{
    ngx_chat_handles_t  *all;

    if (h->db.handle == NULL) {
        return;
    }

    ngx_chat_handle_rescue(h);

    all = &h->conf->handles;

    (void) pthread_mutex_lock(&all->mutex);

    if (all->n && ngx_chat_db_files_equal(&all->files, &h->db.files)) {
        all->n--;
    }

    ngx_chat_db_close(&h->db);

    (void) pthread_mutex_unlock(&all->mutex);
}


/*
 * Of a file that was moved away SQLite leaves the WAL as it is when the last
 * handle is closed.  Whoever has noted the file in its place may have had no
 * handle on the one before, as a new worker has none.  So each handle moves
 * the WAL into that file; nobody writes there any more.  A file that is where
 * it was may have another WAL by now, and is left alone.
 */

static void
ngx_chat_handle_rescue(ngx_chat_handle_t *h)
{
    ngx_uint_t           frames;
    ngx_chat_db_files_t  files;

    if (ngx_chat_db_files(h->open.path, &files) == NGX_OK
        && (files.dev != h->db.files.dev || files.file != h->db.files.file))
    {
        (void) ngx_chat_db_checkpoint(&h->db, 0, &frames);
    }
}


static ngx_int_t
ngx_chat_handle_busy(ngx_chat_handle_t *h, const char *text)
{
    h->db.code = SQLITE_CANTOPEN;

    (void) snprintf(h->db.error, NGX_CHAT_DB_ERROR_LEN, "%s", text);

    return NGX_BUSY;
}
