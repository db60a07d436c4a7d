
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Handles on files that may be removed or replaced.
 *
 * No message that was acknowledged may be lost with the files.  The first
 * holder of the write lock that sees other files at the path still has the old
 * ones open.  It moves all messages from the old WAL into the old file, and
 * only then opens the new files.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_incident.h>
#include <store/ngx_chat_handle.h>
#include <store/ngx_chat_migration.h>
#include <store/ngx_chat_write_lock.h>


static ngx_int_t ngx_chat_handle_inspect(ngx_chat_handle_t *h,
    ngx_chat_db_files_t *files, ngx_uint_t locked);
static ngx_int_t ngx_chat_handle_shrunk(ngx_chat_handle_t *h,
    ngx_chat_db_header_t *header);
static ngx_int_t ngx_chat_handle_destroyed(ngx_chat_handle_t *h);
static ngx_int_t ngx_chat_handle_leave(ngx_chat_handle_t *h,
    ngx_uint_t locked, ngx_log_t *log);
static ngx_int_t ngx_chat_handle_open(ngx_chat_handle_t *h,
    ngx_chat_db_files_t *files, ngx_uint_t locked, ngx_log_t *log);
static ngx_int_t ngx_chat_handle_admit(ngx_chat_handle_t *h,
    ngx_chat_db_files_t *files);
static ngx_int_t ngx_chat_handle_note(ngx_chat_handle_t *h, ngx_log_t *log);
static ngx_int_t ngx_chat_handle_renew(ngx_chat_handle_t *h, uint64_t last);
static ngx_uint_t ngx_chat_handle_noted(ngx_chat_store_sh_t *sh,
    ngx_chat_db_files_t *files);


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
ngx_chat_handle_ready(ngx_chat_handle_t *h, ngx_uint_t locked, ngx_log_t *log)
{
    ngx_int_t  rc;

    rc = ngx_chat_handle_look(h, locked, log);

    if (rc != NGX_AGAIN) {
        return rc;
    }

    rc = ngx_chat_write_lock_take(h->conf->sh, NGX_CHAT_STORE_WAIT, log);

    if (rc != NGX_OK) {
        return ngx_chat_db_refuse(&h->db, rc, "could not get the write lock");
    }

    rc = ngx_chat_handle_look(h, 1, log);

    ngx_chat_write_lock_give(h->conf->sh);

    return rc;
}


ngx_int_t
ngx_chat_handle_look(ngx_chat_handle_t *h, ngx_uint_t locked, ngx_log_t *log)
{
    ngx_int_t             rc;
    ngx_chat_db_files_t   files;
    ngx_chat_store_sh_t  *sh;

    sh = h->conf->sh;

    rc = ngx_chat_db_look(&h->db, h->open.path, &files);
    if (rc != NGX_OK) {
        return rc;
    }

    if (files.file && files.file == ngx_chat_store_get(&sh->file)) {

        rc = ngx_chat_handle_inspect(h, &files, locked);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (h->db.handle && ngx_chat_db_files_equal(&files, &h->db.files)) {
        return NGX_OK;
    }

    if (files.file == 0 && ngx_chat_store_get(&sh->file)) {

        /*
         * The handle stays open.  Its file may be put back, and must have all
         * messages by then.
         */

        if (h->db.handle) {
            (void) ngx_chat_db_checkpoint(&h->db, 0);
        }

        return ngx_chat_db_refuse(&h->db, NGX_BUSY,
                                  "the file was removed under the running "
                                  "server; put it back, or put a backup or an "
                                  "empty file in its place");
    }

    /* other handles of this process may have the old files open, too */

    ngx_chat_store_set(&h->conf->handles.stale, 1);

    if (!locked && !ngx_chat_handle_noted(sh, &files)) {
        return NGX_AGAIN;
    }

    rc = ngx_chat_handle_leave(h, locked, log);

    return (rc == NGX_OK) ? ngx_chat_handle_open(h, &files, locked, log) : rc;
}


/*
 * Looks whether the file that is noted is still whole, and not an older one
 * that was written over it.
 */

static ngx_int_t
ngx_chat_handle_inspect(ngx_chat_handle_t *h, ngx_chat_db_files_t *files,
    ngx_uint_t locked)
{
    ngx_int_t              rc;
    ngx_uint_t             open, whole, shrunk, older;
    ngx_chat_store_sh_t   *sh;
    ngx_chat_db_header_t   header;

    sh = h->conf->sh;

    if (ngx_chat_store_get(&sh->destroyed) == files->file) {
        return ngx_chat_handle_destroyed(h);
    }

    /* no file that was once open is smaller than its header */

    open = (h->db.handle && ngx_chat_db_files_equal(files, &h->db.files));
    whole = (files->size >= NGX_CHAT_DB_HEADER
             && (!open || ngx_chat_db_is_whole(&h->db, &header)));
    shrunk = (open && files->size < ngx_chat_store_get(&sh->size));
    older = (open && whole
             && (int32_t) (header.changes - ngx_chat_store_get(&sh->changes))
                < 0);

    if ((shrunk || older || !whole) && !locked) {
        return NGX_AGAIN;
    }

    rc = (whole && !older) ? NGX_OK : NGX_DECLINED;

    if (rc == NGX_OK && shrunk) {
        rc = ngx_chat_handle_shrunk(h, &header);
    }

    if (rc == NGX_DECLINED) {
        ngx_chat_store_set(&sh->destroyed, files->file);
        return ngx_chat_handle_destroyed(h);
    }

    if (rc == NGX_OK && locked && open) {
        ngx_chat_store_set(&sh->size, files->size);
        ngx_chat_store_set(&sh->changes, header.changes);
    }

    return rc;
}


/*
 * The file is smaller than it was.  A checkpoint makes it so, as behind a
 * VACUUM of others.  Then all is in the file that its header tells of, and what
 * they have added since is in the WAL.  NGX_DECLINED: it was truncated, or
 * another one was written over it.  NGX_BUSY: it can't be told yet.
 */

static ngx_int_t
ngx_chat_handle_shrunk(ngx_chat_handle_t *h, ngx_chat_db_header_t *header)
{
    int64_t               pages;
    ngx_int_t             rc;
    ngx_chat_db_header_t  now;

    rc = ngx_chat_db_number(&h->db, "PRAGMA page_count", &pages);
    if (rc != NGX_OK) {
        return rc;
    }

    if (pages <= header->pages && header->claimed <= header->pages) {
        return NGX_OK;
    }

    /* meanwhile a checkpoint may have ended, and the WAL begun anew */

    if (!ngx_chat_db_wal_has(&h->db, header->pages + 1)
        && ngx_chat_db_is_whole(&h->db, &now) && now.pages == header->pages)
    {
        return NGX_DECLINED;
    }

    /* a checkpoint moves the header first */

    return (header->claimed <= header->pages) ? NGX_OK
           : ngx_chat_db_refuse(&h->db, NGX_BUSY,
                                "the file is smaller than its header says, "
                                "and its -wal has the rest");
}


static ngx_int_t
ngx_chat_handle_destroyed(ngx_chat_handle_t *h)
{
    return ngx_chat_db_refuse(&h->db, NGX_BUSY,
                              "the file or its -wal was truncated or "
                              "overwritten under the running server; move a "
                              "backup or an empty file into its place");
}


ngx_int_t
ngx_chat_handle_whole(ngx_chat_handle_t *h)
{
    ngx_chat_db_header_t  header;

    if (ngx_chat_db_is_whole(&h->db, &header)) {
        return NGX_OK;
    }

    ngx_chat_store_set(&h->conf->sh->destroyed, h->db.files.file);

    return ngx_chat_handle_destroyed(h);
}


/*
 * Closes the old files.  Where these are still the noted ones, nobody has
 * moved the WAL into the file yet, and the caller has the write lock.
 * NGX_BUSY: somebody reads, and is in the way of that.
 */

static ngx_int_t
ngx_chat_handle_leave(ngx_chat_handle_t *h, ngx_uint_t locked, ngx_log_t *log)
{
    ngx_int_t  rc;

    if (h->db.handle == NULL) {
        return NGX_OK;
    }

    if (locked && ngx_chat_handle_noted(h->conf->sh, &h->db.files)
        && h->conf->sh->destroyed != h->db.files.file)
    {
        rc = ngx_chat_db_checkpoint(&h->db, 1);

        if (rc == NGX_BUSY) {
            return rc;
        }

        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "chat database \"%V\": the file, its -wal or its -shm "
                      "was removed or replaced under the running server%s%s",
                      &h->conf->path, rc == NGX_OK ? ""
                      : ", and what was stored last is lost: ",
                      rc == NGX_OK ? "" : h->db.error);

        ngx_chat_incident_note(NGX_CHAT_INCIDENT_DATABASE_REPLACED_e,
                               rc == NGX_OK ? "it was removed or replaced"
                               : "what was stored last is lost");
    }

    ngx_chat_db_abandon(&h->db);
    ngx_chat_handle_close(h);

    return NGX_OK;
}


static ngx_int_t
ngx_chat_handle_open(ngx_chat_handle_t *h, ngx_chat_db_files_t *files,
    ngx_uint_t locked, ngx_log_t *log)
{
    ngx_int_t            rc;
    ngx_chat_handles_t  *all;

    all = &h->conf->handles;

    (void) pthread_mutex_lock(&all->mutex);

    rc = ngx_chat_handle_admit(h, files);
    if (rc != NGX_OK) {
        goto done;
    }

    h->open.create = (ngx_chat_store_get(&h->conf->sh->file) == 0);
    h->open.expected = files;

    rc = ngx_chat_db_open(&h->db, &h->open);
    if (rc != NGX_OK) {
        goto done;
    }

    if (locked) {
        rc = ngx_chat_handle_note(h, log);

    } else if (!ngx_chat_handle_noted(h->conf->sh, &h->db.files)) {
        rc = NGX_AGAIN;
    }

    if (rc != NGX_OK) {
        ngx_chat_db_abandon(&h->db);
        ngx_chat_db_close(&h->db);
        goto done;
    }

    if (!ngx_chat_db_files_equal(&all->files, &h->db.files)) {
        all->files = h->db.files;
        all->n = 0;
    }

    all->n++;

done:

    (void) pthread_mutex_unlock(&all->mutex);

    return rc;
}


/* Tells whether this process may open the files now. */

static ngx_int_t
ngx_chat_handle_admit(ngx_chat_handle_t *h, ngx_chat_db_files_t *files)
{
    ngx_atomic_uint_t     noted;
    ngx_chat_handles_t   *all;
    ngx_chat_store_sh_t  *sh;

    all = &h->conf->handles;
    sh = h->conf->sh;

    if (all->n
        && all->files.dev == files->dev && all->files.file == files->file
        && (all->files.wal != files->wal || all->files.shm != files->shm))
    {
        return ngx_chat_db_refuse(&h->db, NGX_BUSY,
                                  "the -wal or -shm file was removed; some "
                                  "handle still has the one before");
    }

    /* a new file beside the WAL of the old one: the caller has the lock */

    noted = ngx_chat_store_get(&sh->file);

    if (noted && files->file && noted != files->file
        && ((files->wal && files->wal == ngx_chat_store_get(&sh->wal))
            || (files->shm && files->shm == ngx_chat_store_get(&sh->shm)))
        && ngx_chat_db_unlink_wal(h->open.path) != NGX_OK)
    {
        return ngx_chat_db_refuse(&h->db, NGX_BUSY,
                                  "the -wal file beside the file is of the "
                                  "one before; remove it");
    }

    return NGX_OK;
}


/*
 * With the write lock.  Notes in shared memory which files are the database,
 * its epoch, and the highest ids that were ever in it.
 */

static ngx_int_t
ngx_chat_handle_note(ngx_chat_handle_t *h, ngx_log_t *log)
{
    int64_t                last, rows;
    ngx_int_t              rc;
    ngx_uint_t             same;
    ngx_chat_store_sh_t   *sh;
    ngx_chat_db_header_t   header;

    sh = h->conf->sh;

    rc = ngx_chat_db_highest(&h->db, "messages", &last);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_db_highest(&h->db, "webhook_events", &rows);
    if (rc != NGX_OK) {
        return rc;
    }

    if (sh->file && sh->file != h->db.files.file) {
        same = (ngx_memcmp(h->db.epoch, sh->epoch, NGX_CHAT_DB_EPOCH_LEN) == 0
                && (uint64_t) last >= sh->last
                && (uint64_t) rows >= sh->rows);

        if (!same) {
            rc = ngx_chat_handle_renew(h, last);
            if (rc != NGX_OK) {
                return rc;
            }
        }

        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "chat database \"%V\" is another file now, with %s "
                      "epoch", &h->conf->path, same ? "the same" : "another");

        ngx_chat_incident_note(NGX_CHAT_INCIDENT_DATABASE_REPLACED_e,
                               "another file is used now, with %s epoch",
                               same ? "the same" : "another");

    } else if (sh->file == 0) {
        h->conf->begun(h->conf->data, last, 0);
    }

    sh->last = last;
    sh->rows = rows;
    ngx_memcpy(sh->epoch, h->db.epoch, NGX_CHAT_DB_EPOCH_LEN);

    ngx_memory_barrier();

    if (sh->file != h->db.files.file) {
        header.changes = 0;
        (void) ngx_chat_db_is_whole(&h->db, &header);

        ngx_chat_store_set(&sh->size, 0);
        ngx_chat_store_set(&sh->changes, header.changes);
        ngx_chat_store_set(&sh->destroyed, 0);
    }

    ngx_chat_store_set(&sh->wal, h->db.files.wal);
    ngx_chat_store_set(&sh->shm, h->db.files.shm);
    ngx_chat_store_set(&sh->file, h->db.files.file);

    return NGX_OK;
}


/*
 * The file is of another database, or is an older state of this one.  Ids that
 * clients have seen may come again in it, so it gets a new epoch.  What shared
 * memory says of messages to be sent is about the database before.
 */

static ngx_int_t
ngx_chat_handle_renew(ngx_chat_handle_t *h, uint64_t last)
{
    ngx_int_t               rc;
    ngx_chat_store_conf_t  *conf;

    conf = h->conf;

    if (!h->open.write) {
        return ngx_chat_db_refuse(&h->db, NGX_BUSY,
                                  "another file was put in place");
    }

    rc = ngx_chat_migration_run(&h->db, 1);
    if (rc != NGX_OK) {
        return rc;
    }

    conf->sh->dirty = 0;
    conf->begun(conf->data, last, 1);

    /* behind that: whoever asks for it meanwhile is of the database before */

    ngx_chat_store_set(&conf->sh->removed, 0);

    return NGX_OK;
}


static ngx_uint_t
ngx_chat_handle_noted(ngx_chat_store_sh_t *sh, ngx_chat_db_files_t *files)
{
    return files->file == ngx_chat_store_get(&sh->file)
           && files->wal == ngx_chat_store_get(&sh->wal)
           && files->shm == ngx_chat_store_get(&sh->shm);
}


void
ngx_chat_handle_failed(ngx_chat_handle_t *h, ngx_int_t rc, ngx_log_t *log)
{
    if (log) {
        ngx_log_error(NGX_LOG_CRIT, log, 0, "chat database \"%V\": %s",
                      &h->conf->path,
                      h->db.error[0] ? h->db.error : "out of memory");
    }

    ngx_chat_incident_note(h->db.handle == NULL
                           ? NGX_CHAT_INCIDENT_DATABASE_OPEN_e
                           : h->open.write ? NGX_CHAT_INCIDENT_DATABASE_WRITE_e
                                           : NGX_CHAT_INCIDENT_DATABASE_READ_e,
                           "%s", h->db.error[0] ? h->db.error
                                                : "out of memory");

    ngx_chat_batch_rollback(&h->db);

    if (rc != NGX_BUSY) {
        ngx_chat_handle_close(h);
    }
}


void
ngx_chat_handle_close(ngx_chat_handle_t *h)
{
    ngx_chat_handles_t   *all;
    ngx_chat_db_files_t   files;

    if (h->db.handle == NULL) {
        return;
    }

    /*
     * SQLite does not empty the WAL of a file that was moved away when the
     * last handle on it is closed.  Nobody writes to that file any more, so
     * each handle moves the WAL into it.  A file that is still at the path may
     * have another WAL by now, and is left alone.
     */

    if (ngx_chat_store_get(&h->conf->sh->destroyed) == h->db.files.file) {
        ngx_chat_db_abandon(&h->db);

    } else if (ngx_chat_db_files(h->open.path, &files) == NGX_OK
               && (files.dev != h->db.files.dev
                   || files.file != h->db.files.file))
    {
        (void) ngx_chat_db_checkpoint(&h->db, 0);
    }

    all = &h->conf->handles;

    (void) pthread_mutex_lock(&all->mutex);

    if (all->n && ngx_chat_db_files_equal(&all->files, &h->db.files)) {
        all->n--;
    }

    ngx_chat_db_close(&h->db);

    (void) pthread_mutex_unlock(&all->mutex);
}
