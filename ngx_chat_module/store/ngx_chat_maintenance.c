
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Keeps the file in order, in the background.
 *
 * POSTs go first: the turn is taken where nobody has it, for a few ms, and
 * the pause after that is twice as long.  Only where it was not to be had
 * for a while is it waited for as by everybody else.
 *
 * A removal is not synced: what a power cut takes back is removed again.
 * What it writes goes into the file by checkpoints without the turn.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include <store/ngx_chat_handle.h>
#include <store/ngx_chat_maintenance.h>
#include <store/ngx_chat_write_lock.h>


#define NGX_CHAT_MAINTENANCE_TICK   1000    /* ms between looks, idle */
#define NGX_CHAT_MAINTENANCE_LEASE  5000    /* ms */
#define NGX_CHAT_MAINTENANCE_LOOK   20      /* ms of looking at a time */
#define NGX_CHAT_MAINTENANCE_REMOVE 4       /* ms of removing with the turn */
#define NGX_CHAT_MAINTENANCE_SHARE  2       /* how much longer the pause is */
#define NGX_CHAT_MAINTENANCE_PAUSE  10      /* ms, the shortest */
#define NGX_CHAT_MAINTENANCE_LOCK   20      /* ms to wait for SQLite's locks */
#define NGX_CHAT_MAINTENANCE_HUNGER 200     /* ms until it queues for it */
#define NGX_CHAT_MAINTENANCE_WAL     (16 * 1024 * 1024)
#define NGX_CHAT_MAINTENANCE_WARN   60000   /* ms between warnings */


static void ngx_chat_maintenance_tick(ngx_event_t *ev);
static ngx_uint_t ngx_chat_maintenance_lease(ngx_chat_maintenance_t *kp);
static void ngx_chat_maintenance_thread(void *data, ngx_log_t *log);
static ngx_int_t ngx_chat_maintenance_ready(ngx_chat_maintenance_t *kp,
    ngx_log_t *log);
static ngx_uint_t ngx_chat_maintenance_retain(ngx_chat_maintenance_t *kp,
    ngx_log_t *log);
static ngx_int_t ngx_chat_maintenance_remove(ngx_chat_maintenance_t *kp,
    ngx_log_t *log);
static ngx_int_t ngx_chat_maintenance_turn(ngx_chat_maintenance_t *kp,
    ngx_log_t *log);
static void ngx_chat_maintenance_wal(ngx_chat_maintenance_t *kp,
    ngx_log_t *log);
static off_t ngx_chat_maintenance_wal_size(ngx_chat_maintenance_t *kp);
static void ngx_chat_maintenance_failed(ngx_chat_maintenance_t *kp,
    ngx_int_t rc,
    ngx_log_t *log);
static void ngx_chat_maintenance_done(ngx_event_t *ev);


ngx_int_t
ngx_chat_maintenance_init(ngx_chat_maintenance_t *kp,
    ngx_chat_store_conf_t *conf,
    ngx_cycle_t *cycle)
{
    kp->conf = conf;

    kp->db_conf.path = (const char *) conf->path.data;
    kp->db_conf.timeout = NGX_CHAT_MAINTENANCE_LOCK;
    kp->db_conf.write = 1;

    kp->task = ngx_thread_task_alloc(cycle->pool, 0);
    if (kp->task == NULL) {
        return NGX_ERROR;
    }

    kp->task->ctx = kp;
    kp->task->handler = ngx_chat_maintenance_thread;
    kp->task->event.handler = ngx_chat_maintenance_done;
    kp->task->event.data = kp;

    kp->timer.handler = ngx_chat_maintenance_tick;
    kp->timer.data = kp;
    kp->timer.log = cycle->log;
    kp->timer.cancelable = 1;

    ngx_add_timer(&kp->timer, NGX_CHAT_MAINTENANCE_TICK);

    return NGX_OK;
}


void
ngx_chat_maintenance_exit(ngx_chat_maintenance_t *kp)
{
    ngx_chat_handle_close(kp->conf, &kp->db);

    if (ngx_chat_store_get(&kp->conf->sh->keeper)
        == (ngx_atomic_uint_t) ngx_pid)
    {
        ngx_chat_store_set(&kp->conf->sh->lease, 0);
    }
}


static void
ngx_chat_maintenance_tick(ngx_event_t *ev)
{
    ngx_chat_maintenance_t  *kp;

    kp = ev->data;

    kp->leads = ngx_chat_maintenance_lease(kp);

    if (ngx_thread_task_post(kp->conf->pool, kp->task) != NGX_OK) {
        ngx_add_timer(&kp->timer, NGX_CHAT_MAINTENANCE_TICK);
    }
}


/*
 * Whether this worker is the one.  A leaving worker is not: those of the new
 * configuration know what it says.
 */

static ngx_uint_t
ngx_chat_maintenance_lease(ngx_chat_maintenance_t *kp)
{
    ngx_uint_t            mine;
    ngx_atomic_uint_t     now, lease;
    ngx_chat_store_sh_t  *sh;

    sh = kp->conf->sh;

    now = ngx_current_msec;
    lease = ngx_chat_store_get(&sh->lease);
    mine = (ngx_chat_store_get(&sh->keeper) == (ngx_atomic_uint_t) ngx_pid);

    if (ngx_exiting) {
        if (mine) {
            ngx_chat_store_set(&sh->lease, 0);
        }

        return 0;
    }

    if (!mine && lease > now && lease - now <= NGX_CHAT_MAINTENANCE_LEASE) {
        return 0;
    }

    /* of several that find it over, one gets it */

    if (!ngx_atomic_cmp_set(&sh->lease, lease,
                            now + NGX_CHAT_MAINTENANCE_LEASE)) {
        return 0;
    }

    ngx_chat_store_set(&sh->keeper, ngx_pid);

    return 1;
}


/* The rest up to done() runs on a thread of the pool. */

static void
ngx_chat_maintenance_thread(void *data, ngx_log_t *log)
{
    ngx_chat_maintenance_t  *kp = data;

    int64_t     start, now;
    ngx_int_t   rc;
    ngx_uint_t  more;

    kp->pause = NGX_CHAT_MAINTENANCE_TICK;

    rc = ngx_chat_maintenance_ready(kp, log);

    if (rc != NGX_OK) {
        ngx_chat_maintenance_failed(kp, rc, log);
        return;
    }

    if (!kp->leads) {
        kp->failed = 0;
        return;
    }

    start = ngx_chat_retention_clock();

    more = ngx_chat_maintenance_retain(kp, log);

    now = ngx_chat_retention_clock();

    if (kp->db.handle && now - kp->checked >= NGX_CHAT_MAINTENANCE_TICK) {
        kp->checked = now;
        ngx_chat_maintenance_wal(kp, log);
        ngx_chat_store_stats_size(&kp->conf->sh->meter, kp->db_conf.path);
        now = ngx_chat_retention_clock();
    }

    if (more) {
        kp->pause = (ngx_msec_t) (now - start) * NGX_CHAT_MAINTENANCE_SHARE;
        kp->pause = ngx_max(kp->pause, NGX_CHAT_MAINTENANCE_PAUSE);
        kp->pause = ngx_min(kp->pause, NGX_CHAT_MAINTENANCE_TICK);
    }
}


static ngx_int_t
ngx_chat_maintenance_ready(ngx_chat_maintenance_t *kp, ngx_log_t *log)
{
    ngx_int_t       rc;
    ngx_uint_t      fresh;
    ngx_chat_db_t  *db;

    db = &kp->db;
    fresh = (db->handle == NULL);

    rc = ngx_chat_handle_ready(kp->conf, db, &kp->db_conf, 0, log);

    if (rc != NGX_OK) {
        rc = ngx_chat_write_lock_take(kp->conf->sh, NGX_CHAT_STORE_WAIT, log);

        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_chat_handle_ready(kp->conf, db, &kp->db_conf, 1, log);

        ngx_chat_write_lock_give(kp->conf->sh);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    /* what is known of one database says nothing of another */

    if (ngx_memcmp(&kp->files, &db->files, sizeof(ngx_chat_db_files_t)) != 0)
    {
        ngx_memzero(&kp->retention, sizeof(ngx_chat_retention_t));
        kp->files = db->files;
        fresh = 1;
    }

    return fresh ? ngx_chat_db_exec(db, "PRAGMA wal_autocheckpoint = 0")
                 : NGX_OK;
}


/* Whether there is more to do. */

static ngx_uint_t
ngx_chat_maintenance_retain(ngx_chat_maintenance_t *kp, ngx_log_t *log)
{
    int64_t                       now, until;
    ngx_int_t                     rc;
    struct timespec               ts;
    ngx_chat_retention_t         *rt;
    ngx_chat_retention_limits_t  *limits;

    rt = &kp->retention;
    limits = &kp->conf->retention;

    if (limits->age == 0 && limits->count == 0 && limits->size == 0) {
        kp->failed = 0;
        return 0;
    }

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    now = (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
    until = ngx_chat_retention_clock() + NGX_CHAT_MAINTENANCE_LOOK;

    rc = ngx_chat_retention_look(rt, limits, &kp->db, now, until);

    if (rc == NGX_OK) {
        rc = ngx_chat_maintenance_remove(kp, log);
    }

    if (rc == NGX_ERROR) {
        ngx_chat_maintenance_failed(kp, rc, log);
        return 0;
    }

    kp->failed = 0;

    return (rc != NGX_DONE);
}


static ngx_int_t
ngx_chat_maintenance_remove(ngx_chat_maintenance_t *kp, ngx_log_t *log)
{
    int64_t     until;
    ngx_int_t   rc;
    ngx_uint_t  n;

    rc = ngx_chat_maintenance_turn(kp, log);
    if (rc != NGX_OK) {
        return rc;
    }

    n = 0;
    rc = NGX_BUSY;

    /* what a dead worker left has to be sent before it may go */

    if (!kp->conf->sh->dirty) {
        rc = ngx_chat_handle_ready(kp->conf, &kp->db, &kp->db_conf, 0, log);

        /* what was found may be of another file than is there now */

        if (rc == NGX_OK
            && ngx_memcmp(&kp->files, &kp->db.files,
                          sizeof(ngx_chat_db_files_t))
               != 0)
        {
            rc = NGX_BUSY;
        }

        if (rc == NGX_OK) {
            until = ngx_chat_retention_clock() + NGX_CHAT_MAINTENANCE_REMOVE;
            rc = ngx_chat_retention_remove(&kp->retention, &kp->db, until,
                                           &n);
        }
    }

    ngx_chat_write_lock_give(kp->conf->sh);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, log, 0,
                   "chat removed %ui old messages: %i", n, rc);

    return (rc == NGX_AGAIN) ? NGX_BUSY : rc;
}


static ngx_int_t
ngx_chat_maintenance_turn(ngx_chat_maintenance_t *kp, ngx_log_t *log)
{
    int64_t    now;
    ngx_int_t  rc;

    rc = ngx_chat_write_lock_take(kp->conf->sh, 0, log);

    if (rc == NGX_BUSY) {
        now = ngx_chat_retention_clock();

        if (kp->hungry == 0) {
            kp->hungry = now;
        }

        if (now - kp->hungry < NGX_CHAT_MAINTENANCE_HUNGER) {
            return rc;
        }

        rc = ngx_chat_write_lock_take(kp->conf->sh, NGX_CHAT_STORE_WAIT, log);
    }

    kp->hungry = 0;

    return rc;
}


/*
 * A commit moves the WAL into the file, but begins it anew only at a moment
 * without readers, which may never come.
 */

static void
ngx_chat_maintenance_wal(ngx_chat_maintenance_t *kp, ngx_log_t *log)
{
    int64_t     now;
    ngx_int_t   rc;
    ngx_uint_t  frames;

    if (ngx_chat_maintenance_wal_size(kp) < NGX_CHAT_MAINTENANCE_WAL) {
        return;
    }

    /* most of it without the turn */

    rc = ngx_chat_db_checkpoint(&kp->db, 0, &frames);

    if (rc == NGX_OK) {
        rc = ngx_chat_maintenance_turn(kp, log);
    }

    if (rc == NGX_OK) {

        if (ngx_chat_handle_ready(kp->conf, &kp->db, &kp->db_conf, 0, log)
            == NGX_OK)
        {
            rc = ngx_chat_db_checkpoint(&kp->db, 1, &frames);
        }

        ngx_chat_write_lock_give(kp->conf->sh);
    }

    if (rc == NGX_ERROR) {
        ngx_chat_maintenance_failed(kp, rc, log);
        return;
    }

    now = ngx_chat_retention_clock();

    if (rc == NGX_BUSY
        && ngx_chat_maintenance_wal_size(kp) > 16 * NGX_CHAT_MAINTENANCE_WAL
        && now - kp->warned >= NGX_CHAT_MAINTENANCE_WARN)
    {
        kp->warned = now;

        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "chat database \"%V\": its -wal has grown to %O bytes "
                      "and can't be emptied while somebody reads all the "
                      "time", &kp->conf->path,
                      ngx_chat_maintenance_wal_size(kp));
    }
}


static off_t
ngx_chat_maintenance_wal_size(ngx_chat_maintenance_t *kp)
{
    struct stat  st;
    const char  *name;

    name = sqlite3_filename_wal(sqlite3_db_filename(kp->db.handle, "main"));

    return (stat(name, &st) == 0) ? st.st_size : 0;
}


static void
ngx_chat_maintenance_failed(ngx_chat_maintenance_t *kp, ngx_int_t rc,
    ngx_log_t *log)
{
    /* each second, once is enough */

    if (!kp->failed) {
        kp->failed = 1;

        ngx_log_error(NGX_LOG_CRIT, log, 0, "chat database \"%V\": %s",
                      &kp->conf->path, kp->db.error);
    }

    if (rc != NGX_BUSY) {
        ngx_chat_handle_close(kp->conf, &kp->db);
    }
}


/* On the event loop again. */

static void
ngx_chat_maintenance_done(ngx_event_t *ev)
{
    ngx_chat_maintenance_t  *kp;

    kp = ev->data;

    if (kp->conf->handles.stale) {
        kp->conf->handles.stale = 0;
        kp->stale(kp->data);
    }

    ngx_add_timer(&kp->timer, kp->pause);
}
