
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The maintenance of the database.
 *
 * Messages that are posted go first.  The write lock is taken where nobody
 * has it, for a few ms at a time, and the pause after that is twice as long.
 * Only when the lock was not to be had for a while it is waited for.
 *
 * Removing is not synced to the disk: what a power cut brings back is removed
 * again.  It leaves its pages in the WAL; a checkpoint, which needs no write
 * lock, moves them into the file.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include <store/ngx_chat_maintenance.h>
#include <store/ngx_chat_write_lock.h>
#include <wire/ngx_chat_clock.h>


#define NGX_CHAT_MAINTENANCE_INTERVAL  1000    /* ms between looks, idle */
#define NGX_CHAT_MAINTENANCE_TERM      5000    /* ms that an election holds */
#define NGX_CHAT_MAINTENANCE_LOOK      20      /* ms of looking at a time */
#define NGX_CHAT_MAINTENANCE_REMOVE    4       /* ms of removing at a time */
#define NGX_CHAT_MAINTENANCE_SHARE     2       /* pause for each ms */
#define NGX_CHAT_MAINTENANCE_PAUSE     10      /* ms, the shortest */
#define NGX_CHAT_MAINTENANCE_TIMEOUT   20      /* ms for SQLite's locks */
#define NGX_CHAT_MAINTENANCE_PATIENCE  200     /* ms until it waits for the
                                                  write lock */
#define NGX_CHAT_MAINTENANCE_WAL       (16 * 1024 * 1024)
#define NGX_CHAT_MAINTENANCE_WARN      60000   /* ms between warnings */


static void ngx_chat_maintenance_timer(ngx_event_t *ev);
static ngx_uint_t ngx_chat_maintenance_elect(ngx_chat_maintenance_t *mt);
static void ngx_chat_maintenance_thread(void *data, ngx_log_t *log);
static ngx_int_t ngx_chat_maintenance_run(ngx_chat_maintenance_t *mt,
    ngx_log_t *log);
static ngx_int_t ngx_chat_maintenance_retain(ngx_chat_maintenance_t *mt,
    ngx_log_t *log);
static ngx_int_t ngx_chat_maintenance_remove(ngx_chat_maintenance_t *mt,
    ngx_log_t *log);
static ngx_int_t ngx_chat_maintenance_wal(ngx_chat_maintenance_t *mt,
    ngx_log_t *log);
static ngx_int_t ngx_chat_maintenance_lock(ngx_chat_maintenance_t *mt,
    ngx_log_t *log);
static void ngx_chat_maintenance_done(ngx_event_t *ev);


ngx_int_t
ngx_chat_maintenance_init(ngx_chat_maintenance_t *mt,
    ngx_chat_store_conf_t *conf, ngx_cycle_t *cycle)
{
    mt->conf = conf;

    ngx_chat_handle_init(&mt->handle, conf, NGX_CHAT_MAINTENANCE_TIMEOUT, 1);
    mt->handle.open.full = 0;

    mt->task = ngx_thread_task_alloc(cycle->pool, 0);
    if (mt->task == NULL) {
        return NGX_ERROR;
    }

    mt->task->ctx = mt;
    mt->task->handler = ngx_chat_maintenance_thread;
    mt->task->event.handler = ngx_chat_maintenance_done;
    mt->task->event.data = mt;

    mt->timer.handler = ngx_chat_maintenance_timer;
    mt->timer.data = mt;
    mt->timer.log = cycle->log;
    mt->timer.cancelable = 1;

    ngx_add_timer(&mt->timer, NGX_CHAT_MAINTENANCE_INTERVAL);

    return NGX_OK;
}


void
ngx_chat_maintenance_exit(ngx_chat_maintenance_t *mt)
{
    ngx_chat_handle_close(&mt->handle);

    if (ngx_chat_store_get(&mt->conf->sh->maintainer)
        == (ngx_atomic_uint_t) ngx_pid)
    {
        ngx_chat_store_set(&mt->conf->sh->maintainer_until, 0);
    }
}


static void
ngx_chat_maintenance_timer(ngx_event_t *ev)
{
    ngx_chat_maintenance_t  *mt;

    mt = ev->data;

    mt->elected = ngx_chat_maintenance_elect(mt);

    if (ngx_thread_task_post(mt->conf->pool, mt->task) != NGX_OK) {
        ngx_add_timer(&mt->timer, NGX_CHAT_MAINTENANCE_INTERVAL);
    }
}


/*
 * Whether this worker is the one.  A leaving worker is not: those of the new
 * configuration know what chat_retention says there.
 */

static ngx_uint_t
ngx_chat_maintenance_elect(ngx_chat_maintenance_t *mt)
{
    ngx_uint_t            mine;
    ngx_atomic_uint_t     now, until;
    ngx_chat_store_sh_t  *sh;

    sh = mt->conf->sh;

    now = ngx_current_msec;
    until = ngx_chat_store_get(&sh->maintainer_until);
    mine = (ngx_chat_store_get(&sh->maintainer)
            == (ngx_atomic_uint_t) ngx_pid);

    if (ngx_exiting) {
        if (mine) {
            ngx_chat_store_set(&sh->maintainer_until, 0);
        }

        return 0;
    }

    if (!mine && until > now && until - now <= NGX_CHAT_MAINTENANCE_TERM) {
        return 0;
    }

    /* of several that find the time over, one gets the place */

    if (!ngx_atomic_cmp_set(&sh->maintainer_until, until,
                            now + NGX_CHAT_MAINTENANCE_TERM)) {
        return 0;
    }

    ngx_chat_store_set(&sh->maintainer, ngx_pid);

    return 1;
}


/* The rest up to done() runs on a thread of the pool. */

static void
ngx_chat_maintenance_thread(void *data, ngx_log_t *log)
{
    ngx_chat_maintenance_t *mt = data;

    ngx_int_t  rc;

    mt->pause = NGX_CHAT_MAINTENANCE_INTERVAL;

    rc = ngx_chat_maintenance_run(mt, log);

    /* it comes again each second, and is logged once */

    if (rc != NGX_OK) {
        ngx_chat_handle_failed(&mt->handle, rc, mt->failed ? NULL : log);
    }

    mt->failed = (rc != NGX_OK);
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

    /* what is known of one database says nothing of another */

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
                * NGX_CHAT_MAINTENANCE_SHARE;
        pause = ngx_max(pause, NGX_CHAT_MAINTENANCE_PAUSE);
        mt->pause = ngx_min(pause, NGX_CHAT_MAINTENANCE_INTERVAL);
    }

    return NGX_OK;
}


/* NGX_DONE: there is nothing more to remove; NGX_OK, NGX_BUSY: there may be. */

static ngx_int_t
ngx_chat_maintenance_retain(ngx_chat_maintenance_t *mt, ngx_log_t *log)
{
    uint64_t                      until;
    ngx_int_t                     rc;
    ngx_chat_retention_limits_t  *limits;

    limits = &mt->conf->retention;

    if (limits->age == 0 && limits->count == 0 && limits->size == 0) {
        return NGX_DONE;
    }

    until = ngx_chat_clock_msec() + NGX_CHAT_MAINTENANCE_LOOK;

    rc = ngx_chat_retention_look(&mt->retention, limits, &mt->handle.db,
                                 ngx_chat_clock_wall(), until);

    return (rc == NGX_OK) ? ngx_chat_maintenance_remove(mt, log) : rc;
}


static ngx_int_t
ngx_chat_maintenance_remove(ngx_chat_maintenance_t *mt, ngx_log_t *log)
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
         * What was found may be of another file than is there now.  What a
         * dead worker has stored has to be sent before it may go.
         */

        if (!ngx_chat_db_files_equal(&mt->files, &mt->handle.db.files)
            || mt->conf->sh->dirty)
        {
            rc = NGX_BUSY;

        } else {
            until = ngx_chat_clock_msec() + NGX_CHAT_MAINTENANCE_REMOVE;
            rc = ngx_chat_retention_remove(&mt->retention, &mt->handle.db,
                                           until, &n);
        }
    }

    ngx_chat_write_lock_give(mt->conf->sh);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, log, 0,
                   "chat removed %ui old messages: %i", n, rc);

    return rc;
}


/*
 * A commit moves the WAL into the file, but begins it anew only at a moment
 * without readers, which may never come.
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

    /* most of it without the write lock */

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


/* Takes the write lock.  NGX_BUSY: another time. */

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
ngx_chat_maintenance_done(ngx_event_t *ev)
{
    ngx_chat_maintenance_t  *mt;

    mt = ev->data;

    if (ngx_chat_store_get(&mt->conf->handles.stale)) {
        ngx_chat_store_set(&mt->conf->handles.stale, 0);
        mt->stale(mt->data);
    }

    ngx_add_timer(&mt->timer, mt->pause);
}
