
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The writing half of the store.
 *
 * A batch, on a thread: take the turn, send what a dead worker committed and
 * did not send, BEGIN, INSERT all, COMMIT, append all to the ring, give the
 * turn back.  Before the commit the shared part is marked dirty with the
 * last id that is surely sent; if the worker dies, whoever has the turn next
 * finds the mark.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include <sched.h>

#include <store/ngx_chat_batch.h>
#include <store/ngx_chat_handle.h>
#include <store/ngx_chat_write_lock.h>
#include <store/ngx_chat_writer.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_WRITER_BATCH   1024       /* most messages in one commit */
#define NGX_CHAT_WRITER_QUEUE   16384      /* most waiting in a worker */
#define NGX_CHAT_WRITER_BYTES   (64 * 1024 * 1024)
#define NGX_CHAT_WRITER_GUARD   60000
#define NGX_CHAT_WRITER_MANY    4          /* answers, 20 us each */


static ngx_int_t ngx_chat_writer_start(ngx_chat_writer_t *wr);
static void ngx_chat_writer_thread(void *data, ngx_log_t *log);
static ngx_int_t ngx_chat_writer_turn(ngx_chat_writer_t *wr, ngx_log_t *log);
static ngx_int_t ngx_chat_writer_resend(ngx_chat_writer_t *wr,
    ngx_log_t *log);
static ngx_int_t ngx_chat_writer_resend_row(void *data,
    ngx_chat_record_t *rec);
static ngx_int_t ngx_chat_writer_commit(ngx_chat_writer_t *wr,
    ngx_log_t *log);
static ngx_int_t ngx_chat_writer_send(ngx_chat_writer_t *wr, ngx_log_t *log);
static ngx_int_t ngx_chat_writer_insert(ngx_chat_writer_t *wr,
    uint64_t *first);
static ngx_int_t ngx_chat_writer_failed(ngx_chat_writer_t *wr, ngx_int_t rc,
    ngx_log_t *log);
static void ngx_chat_writer_done(ngx_event_t *ev);
static void ngx_chat_writer_guard(ngx_event_t *ev);


ngx_int_t
ngx_chat_writer_init(ngx_chat_writer_t *wr, ngx_chat_store_conf_t *conf,
    ngx_cycle_t *cycle)
{
    wr->conf = conf;
    wr->log = cycle->log;

    ngx_queue_init(&wr->waiting);
    ngx_queue_init(&wr->batch);

    wr->db_conf.path = (const char *) conf->path.data;
    wr->db_conf.timeout = NGX_CHAT_STORE_WAIT;
    wr->db_conf.full = conf->full;
    wr->db_conf.write = 1;

    wr->task = ngx_thread_task_alloc(cycle->pool, 0);
    if (wr->task == NULL) {
        return NGX_ERROR;
    }

    wr->task->ctx = wr;
    wr->task->handler = ngx_chat_writer_thread;
    wr->task->event.handler = ngx_chat_writer_done;
    wr->task->event.data = wr;

    wr->guard.handler = ngx_chat_writer_guard;
    wr->guard.data = wr;
    wr->guard.log = cycle->log;

    (void) ngx_chat_writer_start(wr);

    return NGX_OK;
}


void
ngx_chat_writer_exit(ngx_chat_writer_t *wr)
{
    ngx_chat_handle_close(wr->conf, &wr->db);
}


void
ngx_chat_writer_check(ngx_chat_writer_t *wr)
{
    if (!wr->active && !wr->more) {
        (void) ngx_chat_writer_start(wr);
    }
}


ngx_int_t
ngx_chat_writer_add(ngx_chat_writer_t *wr, ngx_chat_write_t *w)
{
    if (!wr->more
        && (wr->nwaiting >= NGX_CHAT_WRITER_QUEUE
            || wr->bytes >= NGX_CHAT_WRITER_BYTES))
    {
        ngx_log_error(NGX_LOG_ERR, wr->log, 0,
                      "chat store queue is full, %ui messages wait",
                      wr->nwaiting);
        ngx_free(w);
        return NGX_BUSY;
    }

    ngx_queue_insert_tail(&wr->waiting, &w->queue);
    wr->nwaiting++;
    wr->bytes += w->record.content.len;
    wr->more = w->more;
    wr->conf->queued(wr->nwaiting + wr->nbatch);

    if (!wr->active && !wr->more) {
        (void) ngx_chat_writer_start(wr);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_writer_start(ngx_chat_writer_t *wr)
{
    size_t             bytes;
    ngx_uint_t         n, more;
    ngx_queue_t       *q;
    ngx_chat_write_t  *w;

    bytes = 0;
    more = 0;

    for (n = 0; !ngx_queue_empty(&wr->waiting); n++) {
        q = ngx_queue_head(&wr->waiting);
        w = ngx_queue_data(q, ngx_chat_write_t, queue);

        bytes += wr->conf->event_max(&w->record);

        /* what is of one request is in one commit */

        if (n && !more
            && (n >= NGX_CHAT_WRITER_BATCH || bytes > wr->conf->batch_max))
        {
            break;
        }

        more = w->more;

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&wr->batch, q);

        wr->nwaiting--;
        wr->bytes -= w->record.content.len;
    }

    wr->active = 1;
    wr->nbatch = n;

    /* without it a worker that exits would not wait for the task */
    ngx_add_timer(&wr->guard, NGX_CHAT_WRITER_GUARD);

    if (ngx_thread_task_post(wr->conf->pool, wr->task) != NGX_OK) {
        wr->rc = NGX_BUSY;
        ngx_post_event(&wr->task->event, &ngx_posted_events);
        return NGX_BUSY;
    }

    return NGX_OK;
}


/* The rest up to done() runs on a thread of the pool. */

static void
ngx_chat_writer_thread(void *data, ngx_log_t *log)
{
    ngx_chat_writer_t *wr = data;

    wr->rc = ngx_chat_write_lock_take(wr->conf->sh, NGX_CHAT_STORE_WAIT, log);

    if (wr->rc == NGX_OK) {
        wr->rc = ngx_chat_writer_turn(wr, log);

        ngx_chat_write_lock_give(wr->conf->sh);
    }
}


static ngx_int_t
ngx_chat_writer_turn(ngx_chat_writer_t *wr, ngx_log_t *log)
{
    ngx_int_t  rc;

    rc = ngx_chat_handle_ready(wr->conf, &wr->db, &wr->db_conf, 1, log);

    if (rc != NGX_OK) {
        return ngx_chat_writer_failed(wr, rc, log);
    }

    if (wr->conf->sh->dirty) {
        rc = ngx_chat_writer_resend(wr, log);
    }

    if (rc == NGX_OK && !ngx_queue_empty(&wr->batch)) {
        rc = ngx_chat_writer_commit(wr, log);
    }

    return rc;
}


/* A worker died after its commit and before it had sent all. */

static ngx_int_t
ngx_chat_writer_resend(ngx_chat_writer_t *wr, ngx_log_t *log)
{
    uint64_t                id, sent;
    ngx_int_t               rc;
    ngx_chat_store_conf_t  *conf;

    conf = wr->conf;

    id = conf->sh->floor;
    sent = conf->sent(conf->data);

    if (sent > id && sent != conf->sh->foreign) {
        id = sent;
    }

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "chat sends what a dead worker may have stored after "
                  "message %uL", id);

    rc = ngx_chat_history_since(&wr->db, id, ngx_chat_writer_resend_row, wr);

    if (rc != NGX_OK) {
        return ngx_chat_writer_failed(wr, rc, log);
    }

    ngx_chat_failpoint("resent");

    conf->sh->dirty = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_writer_resend_row(void *data, ngx_chat_record_t *rec)
{
    ngx_chat_writer_t *wr = data;

    ngx_chat_socket_id_t  nobody;

    ngx_memzero(&nobody, sizeof(ngx_chat_socket_id_t));

    /* one too long for the ring is logged, and must not hold up all others */

    return (wr->conf->append(wr->conf->data, rec, &nobody, NULL, NULL,
                             wr->log)
            == NGX_ERROR)
           ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_chat_writer_commit(ngx_chat_writer_t *wr, ngx_log_t *log)
{
    uint64_t                first, start;
    ngx_int_t               rc;
    ngx_chat_write_t       *w;
    ngx_chat_store_conf_t  *conf;

    conf = wr->conf;
    start = ngx_chat_store_stats_now();

    rc = ngx_chat_batch_begin(&wr->db);

    if (rc == NGX_OK) {
        rc = ngx_chat_writer_insert(wr, &first);
    }

    if (rc != NGX_OK) {
        return ngx_chat_writer_failed(wr, rc, log);
    }

    conf->sh->floor = first - 1;
    ngx_memory_barrier();
    conf->sh->dirty = 1;

    ngx_chat_failpoint("commit");

    rc = ngx_chat_batch_commit(&wr->db);

    ngx_chat_failpoint("committed");

    if (rc != NGX_OK) {
        conf->sh->dirty = 0;
        return ngx_chat_writer_failed(wr, rc, log);
    }

    ngx_chat_store_stats_commit(&conf->sh->meter, start);
    w = ngx_queue_data(ngx_queue_last(&wr->batch), ngx_chat_write_t, queue);
    conf->sh->last = w->record.id;

    if (ngx_chat_writer_send(wr, log) == NGX_OK) {
        ngx_chat_failpoint("sent");
        ngx_memory_barrier();
        conf->sh->dirty = 0;
        conf->sh->foreign = 0;
        ngx_chat_failpoint("clean");
    }

    return NGX_OK;
}


/*
 * Sends what is committed.  NGX_ERROR: there was no memory, and the rest is
 * for whoever has the turn next.
 */

static ngx_int_t
ngx_chat_writer_send(ngx_chat_writer_t *wr, ngx_log_t *log)
{
    ngx_queue_t            *q;
    ngx_chat_write_t       *w;
    ngx_chat_store_conf_t  *conf;

    conf = wr->conf;

    for (q = ngx_queue_head(&wr->batch);
         q != ngx_queue_sentinel(&wr->batch);
         q = ngx_queue_next(q))
    {
        w = ngx_queue_data(q, ngx_chat_write_t, queue);

        if (conf->append(conf->data, &w->record, &w->except, &w->reply,
                         &w->position, log)
            == NGX_ERROR)
        {
            ngx_log_error(NGX_LOG_ALERT, log, 0,
                          "chat could not send message %uL yet",
                          w->record.id);
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_writer_insert(ngx_chat_writer_t *wr, uint64_t *first)
{
    int64_t            now;
    ngx_int_t          rc;
    ngx_queue_t       *q;
    struct timespec    ts;
    ngx_chat_write_t  *w;

    (void) clock_gettime(CLOCK_REALTIME, &ts);
    now = (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;

    *first = 0;

    for (q = ngx_queue_head(&wr->batch);
         q != ngx_queue_sentinel(&wr->batch);
         q = ngx_queue_next(q))
    {
        w = ngx_queue_data(q, ngx_chat_write_t, queue);

        rc = ngx_chat_batch_insert(&wr->db, &w->record, now);

        if (rc != NGX_OK) {
            return rc;
        }

        if (*first == 0) {
            *first = w->record.id;
        }
    }

    return NGX_OK;
}


/*
 * Logs, and leaves nothing half done.  After anything but a lock the handle
 * is closed: the next batch opens the file anew, and finds it mended.
 */

static ngx_int_t
ngx_chat_writer_failed(ngx_chat_writer_t *wr, ngx_int_t rc, ngx_log_t *log)
{
    ngx_log_error(NGX_LOG_CRIT, log, 0, "chat database \"%V\": %s",
                  &wr->conf->path, wr->db.error);

    if (wr->db.handle) {
        ngx_chat_batch_rollback(&wr->db);

        if (rc != NGX_BUSY) {
            ngx_chat_handle_close(wr->conf, &wr->db);
        }
    }

    return rc;
}


/* On the event loop again. */

static void
ngx_chat_writer_done(ngx_event_t *ev)
{
    ngx_int_t          rc;
    ngx_uint_t         n;
    ngx_queue_t       *q, batch;
    ngx_chat_write_t  *w;
    ngx_chat_writer_t *wr;

    wr = ev->data;
    rc = wr->rc;
    n = wr->nbatch;

    ngx_queue_init(&batch);
    ngx_queue_add(&batch, &wr->batch);
    ngx_queue_init(&wr->batch);

    wr->active = 0;
    wr->nbatch = 0;

    if (rc != NGX_OK) {
        ngx_chat_store_stats_fail(&wr->conf->sh->meter, rc);
    }

    if (wr->guard.timer_set) {
        ngx_del_timer(&wr->guard);
    }

    /*
     * Where the thread has no core for itself it gets to the disk first, which
     * is busy then while the answers are written.  Others who wait for this
     * core get it, too, for a slice of the scheduler's, a few milliseconds at
     * most; so not for a few answers.
     */

    if (!ngx_queue_empty(&wr->waiting)
        && ngx_chat_writer_start(wr) == NGX_OK
        && n >= NGX_CHAT_WRITER_MANY)
    {
        (void) sched_yield();
    }

    wr->conf->queued(wr->nwaiting + wr->nbatch);

    while (!ngx_queue_empty(&batch)) {
        q = ngx_queue_head(&batch);
        w = ngx_queue_data(q, ngx_chat_write_t, queue);

        ngx_queue_remove(q);

        if (w->data) {
            w->done(w, rc);
        }

        if (w->reply.data) {
            free(w->reply.data);
        }

        ngx_free(w);
    }
}


static void
ngx_chat_writer_guard(ngx_event_t *ev)
{
    ngx_log_error(NGX_LOG_ALERT, ev->log, 0,
                  "chat store has been writing for %d ms",
                  NGX_CHAT_WRITER_GUARD);

    ngx_add_timer(ev, NGX_CHAT_WRITER_GUARD);
}
