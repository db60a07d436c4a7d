
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Handles of files that may be taken away under the running server.
 *
 * What was acknowledged must not go with them.  Where the WAL or its index
 * is missing, or another file stands in the database's place, the first who
 * finds that, with the turn, moves all that its WAL has into its file, which
 * it still has open; only then the path is opened anew.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_handle.h>
#include <store/ngx_chat_migration.h>
#include <store/ngx_chat_write_lock.h>

#include <stdio.h>


static void ngx_chat_handle_rescue(ngx_chat_store_conf_t *conf,
    ngx_chat_db_t *db);
static void ngx_chat_handle_drop(ngx_chat_store_conf_t *conf,
    ngx_chat_db_t *db);
static ngx_int_t ngx_chat_handle_gone(ngx_chat_db_t *db, ngx_uint_t turn);
static ngx_int_t ngx_chat_handle_leave(ngx_chat_store_conf_t *conf,
    ngx_chat_db_t *db, ngx_log_t *log);
static ngx_int_t ngx_chat_handle_open(ngx_chat_store_conf_t *conf,
    ngx_chat_db_t *db, ngx_chat_db_conf_t *db_conf,
    ngx_chat_db_files_t *files, ngx_uint_t turn, ngx_log_t *log);
static ngx_int_t ngx_chat_handle_admit(ngx_chat_store_conf_t *conf,
    ngx_chat_db_t *db, ngx_chat_db_files_t *files);
static ngx_int_t ngx_chat_handle_note(ngx_chat_store_conf_t *conf,
    ngx_chat_db_t *db, ngx_chat_db_conf_t *db_conf, ngx_log_t *log);
static ngx_uint_t ngx_chat_handle_noted(ngx_chat_store_sh_t *sh,
    ngx_chat_db_files_t *files);
static uint64_t ngx_chat_handle_epoch(ngx_chat_db_t *db);
static ngx_int_t ngx_chat_handle_busy(ngx_chat_db_t *db, const char *text);


ngx_int_t
ngx_chat_handle_ready(ngx_chat_store_conf_t *conf, ngx_chat_db_t *db,
    ngx_chat_db_conf_t *db_conf, ngx_uint_t turn, ngx_log_t *log)
{
    ngx_int_t            rc;
    ngx_chat_db_files_t  files;

    if (ngx_chat_db_files(db_conf->path, &files) != NGX_OK) {
        /* glibc's strerror() shares nothing between threads */

        (void) snprintf(db->error, NGX_CHAT_DB_ERROR_LEN,
                        "stat() failed: %d \"%s\"", errno,
                        /* NOLINTNEXTLINE(concurrency-mt-unsafe) */
                        strerror(errno));
        return NGX_BUSY;
    }

    if (db->handle
        && ngx_memcmp(&files, &db->files, sizeof(ngx_chat_db_files_t)) == 0)
    {
        return NGX_OK;
    }

    if (files.file == 0 && ngx_chat_store_get(&conf->sh->epoch)) {
        return ngx_chat_handle_gone(db, turn);
    }

    if (!turn && !ngx_chat_handle_noted(conf->sh, &files)) {
        conf->handles.stale = 1;
        return NGX_AGAIN;
    }

    if (db->handle) {
        conf->handles.stale = 1;

        rc = turn ? ngx_chat_handle_leave(conf, db, log) : NGX_OK;

        if (rc != NGX_OK) {
            return rc;
        }

        ngx_chat_handle_drop(conf, db);
    }

    (void) pthread_mutex_lock(&conf->handles.mutex);

    rc = ngx_chat_handle_open(conf, db, db_conf, &files, turn, log);

    (void) pthread_mutex_unlock(&conf->handles.mutex);

    return rc;
}


ngx_int_t
ngx_chat_handle_ready_alone(ngx_chat_store_conf_t *conf, ngx_chat_db_t *db,
    ngx_chat_db_conf_t *db_conf, ngx_log_t *log)
{
    ngx_int_t  rc;

    rc = ngx_chat_handle_ready(conf, db, db_conf, 0, log);

    if (rc != NGX_AGAIN) {
        return rc;
    }

    rc = ngx_chat_write_lock_take(conf->sh, NGX_CHAT_STORE_WAIT, log);

    if (rc != NGX_OK) {
        (void) snprintf(db->error, NGX_CHAT_DB_ERROR_LEN,
                        "the turn to open the file did not come");
        return rc;
    }

    rc = ngx_chat_handle_ready(conf, db, db_conf, 1, log);

    ngx_chat_write_lock_give(conf->sh);

    return rc;
}


void
ngx_chat_handle_close(ngx_chat_store_conf_t *conf, ngx_chat_db_t *db)
{
    ngx_chat_handles_t  *h;

    if (db->handle == NULL) {
        return;
    }

    ngx_chat_handle_rescue(conf, db);

    h = &conf->handles;

    (void) pthread_mutex_lock(&h->mutex);

    if (h->n
        && ngx_memcmp(&h->files, &db->files, sizeof(ngx_chat_db_files_t))
           == 0)
    {
        h->n--;
    }

    ngx_chat_db_close(db);

    (void) pthread_mutex_unlock(&h->mutex);
}


/*
 * Of a file that was moved away SQLite leaves the WAL as it is when the last
 * handle is closed; and whoever has noted the file in its place may have had
 * no handle on the one before, as a new worker.  Nobody writes there any
 * more.  A file that is where it was may have another WAL by now, and is left
 * alone.
 */

static void
ngx_chat_handle_rescue(ngx_chat_store_conf_t *conf, ngx_chat_db_t *db)
{
    ngx_uint_t           frames;
    ngx_chat_db_files_t  files;

    if (ngx_chat_db_files((char *) conf->path.data, &files) == NGX_OK
        && (files.dev != db->files.dev || files.file != db->files.file))
    {
        (void) ngx_chat_db_checkpoint(db, 0, &frames);
    }
}


static void
ngx_chat_handle_drop(ngx_chat_store_conf_t *conf, ngx_chat_db_t *db)
{
    ngx_chat_db_abandon(db);
    ngx_chat_handle_close(conf, db);
}


/*
 * There is no file.  The handle stays open: what it has may be put back, and
 * should have all that was stored, wherever it is now.
 */

static ngx_int_t
ngx_chat_handle_gone(ngx_chat_db_t *db, ngx_uint_t turn)
{
    ngx_uint_t  frames;

    if (db->handle && turn) {
        (void) ngx_chat_db_checkpoint(db, 0, &frames);
    }

    return ngx_chat_handle_busy(db, "the file was removed under the running "
                                "server; put it back, or put a backup or an "
                                "empty file in its place");
}


/*
 * With the turn: moves what the WAL has into the file that the handle has
 * open, unless somebody has done that before.  NGX_BUSY: a reader is in the
 * way.
 */

static ngx_int_t
ngx_chat_handle_leave(ngx_chat_store_conf_t *conf, ngx_chat_db_t *db,
    ngx_log_t *log)
{
    ngx_int_t   rc;
    ngx_uint_t  frames;

    if (!ngx_chat_handle_noted(conf->sh, &db->files)) {
        return NGX_OK;
    }

    rc = ngx_chat_db_checkpoint(db, 1, &frames);

    if (rc == NGX_BUSY) {
        return rc;
    }

    ngx_log_error(NGX_LOG_CRIT, log, 0,
                  "chat database \"%V\": the file, its -wal or its -shm was "
                  "removed or replaced under the running server%s%s",
                  &conf->path,
                  (rc == NGX_OK) ? "" : ", and what was stored last is lost: ",
                  (rc == NGX_OK) ? "" : db->error);

    return NGX_OK;
}


/* With the process's mutex. */

static ngx_int_t
ngx_chat_handle_open(ngx_chat_store_conf_t *conf, ngx_chat_db_t *db,
    ngx_chat_db_conf_t *db_conf, ngx_chat_db_files_t *files, ngx_uint_t turn,
    ngx_log_t *log)
{
    ngx_int_t            rc;
    ngx_chat_handles_t  *h;
    ngx_chat_db_conf_t   open;

    h = &conf->handles;

    rc = ngx_chat_handle_admit(conf, db, files);
    if (rc != NGX_OK) {
        return rc;
    }

    open = *db_conf;
    open.create = (ngx_chat_store_get(&conf->sh->epoch) == 0);
    open.expected = files;

    rc = ngx_chat_db_open(db, &open);
    if (rc != NGX_OK) {
        return rc;
    }

    if (turn) {
        rc = ngx_chat_handle_note(conf, db, db_conf, log);

    } else if (!ngx_chat_handle_noted(conf->sh, &db->files)) {
        rc = NGX_AGAIN;
    }

    if (rc != NGX_OK) {
        ngx_chat_db_abandon(db);
        ngx_chat_db_close(db);
        return rc;
    }

    if (ngx_memcmp(&h->files, &db->files, sizeof(ngx_chat_db_files_t)) != 0) {
        h->files = db->files;
        h->n = 0;
    }

    h->n++;

    return NGX_OK;
}


/* Whether the files may be opened by this process now. */

static ngx_int_t
ngx_chat_handle_admit(ngx_chat_store_conf_t *conf, ngx_chat_db_t *db,
    ngx_chat_db_files_t *files)
{
    ngx_atomic_uint_t     file;
    ngx_chat_handles_t   *h;
    ngx_chat_store_sh_t  *sh;

    h = &conf->handles;
    sh = conf->sh;

    if (h->n
        && h->files.dev == files->dev && h->files.file == files->file
        && (h->files.wal != files->wal || h->files.shm != files->shm))
    {
        return ngx_chat_handle_busy(db, "the -wal or -shm file was removed; "
                                    "some handle still has the one before");
    }

    /* the turn is ours here, or these files would have been noted */

    file = ngx_chat_store_get(&sh->file);

    if (file && files->file && file != files->file
        && ((files->wal && files->wal == ngx_chat_store_get(&sh->wal))
            || (files->shm && files->shm == ngx_chat_store_get(&sh->shm)))
        && ngx_chat_db_unlink_wal((char *) conf->path.data) != NGX_OK)
    {
        return ngx_chat_handle_busy(db, "the -wal file beside the file is of "
                                    "the one before; remove it");
    }

    return NGX_OK;
}


/*
 * With the turn.  What was sent and what was not is known of the database
 * that was here before.  In any other file ids that clients have seen may
 * come again: it may be an older state of this one, or of one that was here
 * earlier.  So it gets a new epoch, except where it is this one, no older.
 */

static ngx_int_t
ngx_chat_handle_note(ngx_chat_store_conf_t *conf, ngx_chat_db_t *db,
    ngx_chat_db_conf_t *db_conf, ngx_log_t *log)
{
    int64_t               last;
    ngx_int_t             rc;
    ngx_chat_store_sh_t  *sh;

    sh = conf->sh;

    rc = ngx_chat_db_number(db, "SELECT coalesce(max(seq), 0)"
                            " FROM sqlite_sequence WHERE name = 'messages'",
                            &last);
    if (rc != NGX_OK) {
        return rc;
    }

    if (sh->file && sh->file != db->files.file) {

        if (ngx_chat_handle_epoch(db) != sh->epoch
            || (uint64_t) last < sh->last)
        {
            if (!db_conf->write) {
                return ngx_chat_handle_busy(db, "another file was put in "
                                            "place");
            }

            rc = ngx_chat_migration_renew(db);
            if (rc != NGX_OK) {
                return rc;
            }

            sh->dirty = 0;
            sh->foreign = conf->sent(conf->data);
            conf->renewed(conf->data);
        }

        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "chat database \"%V\" is another file now, with %s "
                      "epoch", &conf->path,
                      (ngx_chat_handle_epoch(db) == sh->epoch)
                      ? "the same" : "another");
    }

    sh->last = last;

    ngx_memory_barrier();

    ngx_chat_store_set(&sh->wal, db->files.wal);
    ngx_chat_store_set(&sh->shm, db->files.shm);
    ngx_chat_store_set(&sh->file, db->files.file);
    ngx_chat_store_set(&sh->epoch, ngx_chat_handle_epoch(db));

    return NGX_OK;
}


static ngx_uint_t
ngx_chat_handle_noted(ngx_chat_store_sh_t *sh, ngx_chat_db_files_t *files)
{
    return files->file == ngx_chat_store_get(&sh->file)
           && files->wal == ngx_chat_store_get(&sh->wal)
           && files->shm == ngx_chat_store_get(&sh->shm);
}


/* Half of it tells one from another; it is stored at once. */

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


static ngx_int_t
ngx_chat_handle_busy(ngx_chat_db_t *db, const char *text)
{
    db->code = SQLITE_CANTOPEN;

    (void) snprintf(db->error, NGX_CHAT_DB_ERROR_LEN, "%s", text);

    return NGX_BUSY;
}
