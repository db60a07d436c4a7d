
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The maintenance of the database.
 *
 * New messages go first.  A run takes the write lock only where nobody has it,
 * holds it for a few ms, and then pauses for twice the time it took.  Only when
 * somebody else has had the lock for a while, a run waits for it.
 *
 * A removal is not synced to the disk.  What comes back by a power cut is
 * removed again.  Its pages stay in the WAL until a checkpoint, which needs no
 * write lock, moves them into the file.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <store/ngx_chat_maintenance.h>
#include <store/ngx_chat_write_lock.h>
#include <wire/ngx_chat_clock.h>


#define NGX_CHAT_MAINTENANCE_INTERVAL  1000    /* ms, the longest pause */
#define NGX_CHAT_MAINTENANCE_TERM      5000    /* ms that an election holds */
#define NGX_CHAT_MAINTENANCE_LOOK      20      /* ms of looking in a run */
#define NGX_CHAT_MAINTENANCE_REMOVE    4       /* ms of removing in a run */
#define NGX_CHAT_MAINTENANCE_FACTOR    2       /* ms of pause for each ms */
#define NGX_CHAT_MAINTENANCE_PAUSE     10      /* ms, the shortest pause */
#define NGX_CHAT_MAINTENANCE_TIMEOUT   20      /* ms for SQLite's locks */
#define NGX_CHAT_MAINTENANCE_PATIENCE  200     /* ms until it waits for the
                                                  write lock */
#define NGX_CHAT_MAINTENANCE_WAL       (16 * 1024 * 1024)
#define NGX_CHAT_MAINTENANCE_WARN      60000   /* ms between warnings */


static void ngx_chat_maintenance_resign(ngx_chat_store_sh_t *sh);
static void ngx_chat_maintenance_timer(ngx_event_t *ev);
static ngx_uint_t ngx_chat_maintenance_elect(ngx_chat_maintenance_t *mt);
static ngx_int_t ngx_chat_maintenance_thread(void *data, ngx_log_t *log);
static ngx_int_t ngx_chat_maintenance_run(ngx_chat_maintenance_t *mt,
    ngx_log_t *log);
static ngx_int_t ngx_chat_maintenance_retain(ngx_chat_maintenance_t *mt,
    ngx_log_t *log);
static void ngx_chat_maintenance_note_removed(ngx_chat_maintenance_t *mt);
static ngx_int_t ngx_chat_maintenance_remove(ngx_chat_maintenance_t *mt,
    ngx_uint_t keys, ngx_log_t *log);
static ngx_int_t ngx_chat_maintenance_wal(ngx_chat_maintenance_t *mt,
    ngx_log_t *log);
static ngx_int_t ngx_chat_maintenance_lock(ngx_chat_maintenance_t *mt,
    ngx_log_t *log);
static void ngx_chat_maintenance_done(void *data, ngx_int_t rc);


ngx_int_t
ngx_chat_maintenance_init(ngx_chat_maintenance_t *mt,
    ngx_chat_store_conf_t *conf, ngx_cycle_t *cycle)
{
    mt->conf = conf;

    ngx_chat_handle_init(&mt->handle, conf, NGX_CHAT_MAINTENANCE_TIMEOUT, 1);
    mt->handle.open.full = 0;

    mt->pause = NGX_CHAT_MAINTENANCE_INTERVAL;

    mt->task.thread = ngx_chat_maintenance_thread;
    mt->task.done = ngx_chat_maintenance_done;
    mt->task.data = mt;

    if (ngx_chat_store_task_init(&mt->task, conf->pool, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    mt->timer.handler = ngx_chat_maintenance_timer;
    mt->timer.data = mt;
    mt->timer.log = cycle->log;
    mt->timer.cancelable = 1;

    ngx_add_timer(&mt->timer, mt->pause);

    return NGX_OK;
}


void
ngx_chat_maintenance_exit(ngx_chat_maintenance_t *mt)
{
    ngx_chat_handle_close(&mt->handle);
    ngx_chat_maintenance_resign(mt->conf->sh);
}


static void
ngx_chat_maintenance_resign(ngx_chat_store_sh_t *sh)
{
    if (ngx_chat_store_get(&sh->maintainer) == (ngx_atomic_uint_t) ngx_pid) {
        ngx_chat_store_set(&sh->maintainer_until, 0);
    }
}


static void
ngx_chat_maintenance_timer(ngx_event_t *ev)
{
    ngx_chat_maintenance_t  *mt;

    mt = ev->data;

    mt->elected = ngx_chat_maintenance_elect(mt);

    ngx_chat_store_task_start(&mt->task);
}


/*
 * Tells whether this worker is the maintainer.  A worker that exits is not,
 * since only the new workers know the new chat_retention.
 */

static ngx_uint_t
ngx_chat_maintenance_elect(ngx_chat_maintenance_t *mt)
{
    ngx_atomic_uint_t     now, until;
    ngx_chat_store_sh_t  *sh;

    sh = mt->conf->sh;

    now = ngx_current_msec;
    until = ngx_chat_store_get(&sh->maintainer_until);

    if (ngx_exiting) {
        ngx_chat_maintenance_resign(sh);
        return 0;
    }

    if (ngx_chat_store_get(&sh->maintainer) != (ngx_atomic_uint_t) ngx_pid
        && until > now && until - now <= NGX_CHAT_MAINTENANCE_TERM)
    {
        return 0;
    }

    /* where several workers find the time over, only one is elected */

    if (!ngx_atomic_cmp_set(&sh->maintainer_until, until,
                            now + NGX_CHAT_MAINTENANCE_TERM))
    {
        return 0;
    }

    ngx_chat_store_set(&sh->maintainer, ngx_pid);

    return 1;
}


/* The functions from here to done() run on a thread. */

static ngx_int_t
ngx_chat_maintenance_thread(void *data, ngx_log_t *log)
{
    ngx_chat_maintenance_t *mt = data;

    ngx_int_t  rc;

    mt->pause = NGX_CHAT_MAINTENANCE_INTERVAL;

    rc = ngx_chat_maintenance_run(mt, log);

    /* a failure that lasts is logged once, not each second */

    if (rc != NGX_OK) {
        ngx_chat_handle_failed(&mt->handle, rc, mt->failed ? NULL : log);
    }

    mt->failed = (rc != NGX_OK);

    return rc;
}


static ngx_int_t
ngx_chat_maintenance_run(ngx_chat_maintenance_t *mt, ngx_log_t *log)
{
    uint64_t        start, now;
    ngx_int_t       rc;
    ngx_msec_t      pause;
    ngx_chat_db_t  *db;

    db = &mt->handle.db;

    rc = ngx_chat_handle_ready(&mt->handle, 0, log);

    if (rc != NGX_OK || !mt->elected) {
        return rc;
    }

    /* retention begins anew with another database */

    if (!ngx_chat_db_files_equal(&mt->files, &db->files)) {
        ngx_memzero(&mt->retention, sizeof(ngx_chat_retention_t));
        mt->files = db->files;
    }

    rc = ngx_chat_db_exec(db, "PRAGMA wal_autocheckpoint = 0");
    if (rc != NGX_OK) {
        return rc;
    }

    start = ngx_chat_clock_msec();

    rc = ngx_chat_maintenance_retain(mt, log);
    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    now = ngx_chat_clock_msec();

    if (db->handle && now - mt->checked >= NGX_CHAT_MAINTENANCE_INTERVAL) {
        mt->checked = now;

        if (ngx_chat_maintenance_wal(mt, log) == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    if (rc != NGX_DONE) {
        pause = (ngx_msec_t) (ngx_chat_clock_msec() - start)
                * NGX_CHAT_MAINTENANCE_FACTOR;
        pause = ngx_max(pause, NGX_CHAT_MAINTENANCE_PAUSE);
        mt->pause = ngx_min(pause, NGX_CHAT_MAINTENANCE_INTERVAL);
    }

    return NGX_OK;
}


/* NGX_DONE: nothing is left; NGX_OK, NGX_AGAIN, NGX_BUSY: look again. */

static ngx_int_t
ngx_chat_maintenance_retain(ngx_chat_maintenance_t *mt, ngx_log_t *log)
{
    uint64_t                      until;
    ngx_int_t                     rc, keys;
    ngx_chat_retention_limits_t  *limits;

    limits = &mt->conf->retention;

    keys = ngx_chat_keys_look(&mt->handle.db, ngx_chat_clock_wall());

    if (keys != NGX_OK && keys != NGX_DONE) {
        return keys;
    }

    rc = NGX_DONE;

    if (limits->age || limits->count || limits->size) {
        until = ngx_chat_clock_msec() + NGX_CHAT_MAINTENANCE_LOOK;

        rc = ngx_chat_retention_look(&mt->retention, limits, &mt->handle.db,
                                     ngx_chat_clock_wall(), until);
    }

    if (rc == NGX_OK || (keys == NGX_OK && (rc == NGX_DONE || rc == NGX_AGAIN)))
    {
        return ngx_chat_maintenance_remove(mt, keys == NGX_OK, log);
    }

    return rc;
}


/* Before it is done: whoever reads the history must not take it for whole. */

static void
ngx_chat_maintenance_note_removed(ngx_chat_maintenance_t *mt)
{
    uint64_t    last;
    ngx_uint_t  i;

    last = mt->conf->sh->removed;

    for (i = 0; i < mt->retention.n; i++) {
        last = ngx_max(last, (uint64_t) mt->retention.ids[i]);
    }

    ngx_chat_store_set(&mt->conf->sh->removed, last);
}


static ngx_int_t
ngx_chat_maintenance_remove(ngx_chat_maintenance_t *mt, ngx_uint_t keys,
    ngx_log_t *log)
{
    uint64_t    until;
    ngx_int_t   rc;
    ngx_uint_t  n;

    rc = ngx_chat_maintenance_lock(mt, log);
    if (rc != NGX_OK) {
        return rc;
    }

    n = 0;

    rc = ngx_chat_handle_ready(&mt->handle, 1, log);

    if (rc == NGX_OK) {

        /*
         * The ids may be those of another file than is there now.  And what a
         * dead worker has stored must be sent before it is removed.
         */

        if (!ngx_chat_db_files_equal(&mt->files, &mt->handle.db.files)
            || mt->conf->sh->dirty)
        {
            rc = NGX_BUSY;

        } else {
            ngx_chat_maintenance_note_removed(mt);

            until = ngx_chat_clock_msec() + NGX_CHAT_MAINTENANCE_REMOVE;

            if (keys) {
                rc = ngx_chat_keys_remove(&mt->handle.db,
                                          ngx_chat_clock_wall());
            }

            if (rc == NGX_OK && mt->retention.n) {
                rc = ngx_chat_retention_remove(&mt->retention, &mt->handle.db,
                                               until, &n);
            }
        }
    }

    ngx_chat_write_lock_give(mt->conf->sh);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, log, 0,
                   "chat removed %ui old messages: %i", n, rc);

    return rc;
}


/*
 * SQLite moves the WAL into the file now and then, but begins the WAL anew only
 * at a moment without readers, which may never come.  So a large WAL is emptied
 * with the write lock.
 */

static ngx_int_t
ngx_chat_maintenance_wal(ngx_chat_maintenance_t *mt, ngx_log_t *log)
{
    uint64_t                    now;
    ngx_int_t                   rc;
    ngx_chat_store_stats_sh_t  *stats;

    stats = &mt->conf->sh->stats;

    ngx_chat_store_stats_size(stats, mt->handle.open.path);

    if (stats->wal < NGX_CHAT_MAINTENANCE_WAL) {
        return NGX_OK;
    }

    /* the most of it is moved without the write lock */

    rc = ngx_chat_db_checkpoint(&mt->handle.db, 0);

    if (rc == NGX_OK) {
        rc = ngx_chat_maintenance_lock(mt, log);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_handle_ready(&mt->handle, 1, log);

        if (rc == NGX_OK) {
            rc = ngx_chat_db_checkpoint(&mt->handle.db, 1);
        }

        ngx_chat_write_lock_give(mt->conf->sh);
    }

    now = ngx_chat_clock_msec();

    ngx_chat_store_stats_size(stats, mt->handle.open.path);

    if (rc == NGX_BUSY
        && stats->wal > 16 * NGX_CHAT_MAINTENANCE_WAL
        && now - mt->warned >= NGX_CHAT_MAINTENANCE_WARN)
    {
        mt->warned = now;

        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "chat database \"%V\": its -wal has grown to %uA bytes "
                      "and can't be emptied while somebody reads all the "
                      "time", &mt->conf->path, stats->wal);
    }

    return rc;
}


/* Takes the write lock.  NGX_BUSY: somebody else has it. */

static ngx_int_t
ngx_chat_maintenance_lock(ngx_chat_maintenance_t *mt, ngx_log_t *log)
{
    uint64_t   now;
    ngx_int_t  rc;

    rc = ngx_chat_write_lock_take(mt->conf->sh, 0, log);

    if (rc == NGX_BUSY) {
        now = ngx_chat_clock_msec();

        if (mt->refused == 0) {
            mt->refused = now;
        }

        if (now - mt->refused < NGX_CHAT_MAINTENANCE_PATIENCE) {
            return NGX_BUSY;
        }

        rc = ngx_chat_write_lock_take(mt->conf->sh, NGX_CHAT_STORE_WAIT, log);
    }

    mt->refused = 0;

    return rc;
}


/* On the event loop again. */

static void
ngx_chat_maintenance_done(void *data, ngx_int_t rc)
{
    ngx_chat_maintenance_t *mt = data;

    if (ngx_chat_store_get(&mt->conf->handles.stale)) {
        ngx_chat_store_set(&mt->conf->handles.stale, 0);
        mt->stale(mt->data);
    }

    ngx_add_timer(&mt->timer, mt->pause);
}
