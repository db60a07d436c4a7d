
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The writing half of the store.
 *
 * A thread does a batch in these steps: take the write lock; BEGIN; INSERT all
 * messages; COMMIT; append all events to the ring, which sends them; give the
 * lock back.
 *
 * A worker may be killed at any step, also between COMMIT and the ring.  Then
 * messages are committed that nobody has sent.  So before the commit the
 * thread sets two words in shared memory: floor is the id below the batch, and
 * dirty says that messages above floor may be committed and not sent.  When
 * all are sent it clears dirty.  A thread that gets the lock and finds dirty
 * set first sends what the dead worker has not sent.  The ring knows the last
 * id that was appended, so no message is sent twice.
 *
 * In a cluster a thread gives the batch to the log instead, and the node's back
 * does the rest: see ngx_chat_front.h and ngx_chat_back.h.
 *
 * A message whose idempotency key is in the database was committed before.  It
 * is not inserted and not sent, and gets the same answer again, which is made
 * from the row.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <shared/ngx_chat_incident.h>
#include <store/ngx_chat_batch.h>
#include <store/ngx_chat_history.h>
#include <store/ngx_chat_write_lock.h>
#include <store/ngx_chat_writer.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_WRITER_BATCH   1024       /* most messages in one commit */
#define NGX_CHAT_WRITER_QUEUE   16384      /* most waiting in a worker */
#define NGX_CHAT_WRITER_BYTES   (64 * 1024 * 1024)


static void ngx_chat_writer_start(ngx_chat_writer_t *wr);
static ngx_int_t ngx_chat_writer_thread(void *data, ngx_log_t *log);
static ngx_int_t ngx_chat_writer_forward(ngx_chat_writer_t *wr,
    ngx_log_t *log);
static ngx_int_t ngx_chat_writer_locked(ngx_chat_writer_t *wr,
    ngx_log_t *log);
static ngx_int_t ngx_chat_writer_resend(ngx_chat_writer_t *wr,
    ngx_log_t *log);
static ngx_int_t ngx_chat_writer_resend_row(void *data,
    ngx_chat_record_t *rec);
static ngx_int_t ngx_chat_writer_commit(ngx_chat_writer_t *wr,
    ngx_log_t *log);
static ngx_int_t ngx_chat_writer_insert(ngx_chat_writer_t *wr);
static ngx_int_t ngx_chat_writer_send(ngx_chat_writer_t *wr, ngx_log_t *log);
static void ngx_chat_writer_repeat(ngx_chat_writer_t *wr,
    ngx_chat_write_t *w);
static ngx_int_t ngx_chat_writer_repeat_row(void *data,
    ngx_chat_record_t *rec);
static void ngx_chat_writer_done(void *data, ngx_int_t rc);
static void ngx_chat_writer_expire(ngx_chat_writer_t *wr, ngx_queue_t *late);
static void ngx_chat_writer_answer(ngx_queue_t *writes, ngx_int_t rc);


ngx_int_t
ngx_chat_writer_init(ngx_chat_writer_t *wr, ngx_chat_store_conf_t *conf,
    ngx_cycle_t *cycle)
{
    wr->conf = conf;
    wr->log = cycle->log;

    ngx_queue_init(&wr->waiting);
    ngx_queue_init(&wr->batch);

    ngx_chat_handle_init(&wr->handle, conf, NGX_CHAT_STORE_WAIT, 1);

    ngx_chat_front_init(&wr->front, conf);

    wr->task.thread = ngx_chat_writer_thread;
    wr->task.done = ngx_chat_writer_done;
    wr->task.data = wr;

    if (ngx_chat_store_task_init(&wr->task, conf->pool, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    /* an empty batch sends what a dead worker has not sent */

    ngx_chat_writer_start(wr);

    return NGX_OK;
}


void
ngx_chat_writer_exit(ngx_chat_writer_t *wr)
{
    ngx_chat_handle_close(&wr->handle);
    ngx_chat_front_exit(&wr->front);
}


void
ngx_chat_writer_check(ngx_chat_writer_t *wr)
{
    if (!wr->task.active && !wr->more) {
        ngx_chat_writer_start(wr);
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

        ngx_chat_incident_note(NGX_CHAT_INCIDENT_STORE_QUEUE_FULL_e,
                               "%ui messages wait", wr->nwaiting);
        ngx_free(w);
        return NGX_BUSY;
    }

    ngx_queue_insert_tail(&wr->waiting, &w->queue);
    wr->nwaiting++;
    wr->bytes += w->record.content.len;
    wr->more = w->more;
    w->queued = ngx_current_msec;
    wr->conf->queued(wr->nwaiting + wr->nbatch);

    ngx_chat_writer_check(wr);

    return NGX_OK;
}


static void
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

        /* all messages of one request are in one commit */

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

    wr->nbatch = n;

    ngx_chat_store_task_start(&wr->task);
}


/* The functions from here to done() run on a thread. */

static ngx_int_t
ngx_chat_writer_thread(void *data, ngx_log_t *log)
{
    ngx_chat_writer_t *wr = data;

    ngx_int_t  rc;

    if (wr->conf->link) {
        return ngx_chat_writer_forward(wr, log);
    }

    rc = ngx_chat_write_lock_take(wr->conf->sh, NGX_CHAT_STORE_WAIT, log);

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_writer_locked(wr, log);

    if (rc != NGX_OK) {
        ngx_chat_handle_failed(&wr->handle, rc, log);
    }

    ngx_chat_write_lock_give(wr->conf->sh);

    return rc;
}


/* In a cluster: what is written comes back by the log. */

static ngx_int_t
ngx_chat_writer_forward(ngx_chat_writer_t *wr, ngx_log_t *log)
{
    ngx_int_t          rc;
    ngx_queue_t       *q;
    ngx_chat_write_t  *w;

    if (ngx_queue_empty(&wr->batch)) {
        ngx_chat_handle_close(&wr->handle);
        return NGX_OK;
    }

    rc = ngx_chat_front_take(&wr->front, &wr->batch, log);

    for (q = ngx_queue_head(&wr->batch);
         rc == NGX_OK && q != ngx_queue_sentinel(&wr->batch);
         q = ngx_queue_next(q))
    {
        w = ngx_queue_data(q, ngx_chat_write_t, queue);

        if (!w->record.repeated) {
            continue;
        }

        if (ngx_chat_handle_ready(&wr->handle, 0, log) == NGX_OK) {
            ngx_chat_writer_repeat(wr, w);

        } else {
            (void) wr->conf->render(&w->record, &w->reply);
        }
    }

    return rc;
}


static ngx_int_t
ngx_chat_writer_locked(ngx_chat_writer_t *wr, ngx_log_t *log)
{
    ngx_int_t  rc;

    rc = ngx_chat_handle_ready(&wr->handle, 1, log);

    if (rc == NGX_OK && wr->conf->sh->dirty) {
        rc = ngx_chat_writer_resend(wr, log);
    }

    if (rc == NGX_OK && !ngx_queue_empty(&wr->batch)) {
        rc = ngx_chat_writer_commit(wr, log);
    }

    return rc;
}


/* A worker was killed after its commit, before it had sent all messages. */

static ngx_int_t
ngx_chat_writer_resend(ngx_chat_writer_t *wr, ngx_log_t *log)
{
    uint64_t                id, sent;
    ngx_int_t               rc;
    ngx_chat_store_conf_t  *conf;

    conf = wr->conf;

    id = conf->sh->floor;
    sent = conf->sent(conf->data);

    id = ngx_max(id, sent);

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "chat sends what a dead worker may have stored after "
                  "message %uL", id);

    rc = ngx_chat_history_since(&wr->handle.db, id, ngx_chat_writer_resend_row,
                                wr);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_chat_failpoint("resent");

    conf->sh->dirty = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_writer_resend_row(void *data, ngx_chat_record_t *rec)
{
    ngx_chat_writer_t *wr = data;

    ngx_int_t             rc;
    ngx_chat_socket_id_t  nobody;

    ngx_memzero(&nobody, sizeof(ngx_chat_socket_id_t));

    rc = wr->conf->append(wr->conf->data, rec, &nobody, NULL, NULL, wr->log);

    /* append() has logged what is too long for the ring */

    return (rc == NGX_DECLINED) ? NGX_OK : rc;
}


static ngx_int_t
ngx_chat_writer_commit(ngx_chat_writer_t *wr, ngx_log_t *log)
{
    uint64_t              start;
    ngx_int_t             rc;
    ngx_chat_store_sh_t  *sh;

    sh = wr->conf->sh;
    start = ngx_chat_clock_usec();

    rc = ngx_chat_writer_insert(wr);
    if (rc != NGX_OK) {
        return rc;
    }

    if (wr->first) {
        sh->floor = wr->first - 1;
        ngx_memory_barrier();
        sh->dirty = 1;
    }

    ngx_chat_failpoint("commit");

    rc = ngx_chat_batch_commit(&wr->handle.db);

    ngx_chat_failpoint("committed");

    if (rc == NGX_OK) {
        rc = ngx_chat_handle_whole(&wr->handle);
    }

    if (rc != NGX_OK) {
        sh->dirty = 0;
        return rc;
    }

    ngx_chat_store_stats_commit(&sh->stats, ngx_chat_clock_usec() - start);

    if (wr->first) {
        sh->last = wr->last;
    }

    if (ngx_chat_writer_send(wr, log) == NGX_OK && wr->first) {
        ngx_chat_failpoint("sent");
        ngx_memory_barrier();
        sh->dirty = 0;
        ngx_chat_failpoint("clean");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_writer_insert(ngx_chat_writer_t *wr)
{
    int64_t            now;
    ngx_int_t          rc;
    ngx_queue_t       *q;
    ngx_chat_write_t  *w, *prev;

    wr->first = 0;
    prev = NULL;

    rc = ngx_chat_batch_begin(&wr->handle.db);

    now = ngx_chat_clock_wall();

    for (q = ngx_queue_head(&wr->batch);
         rc == NGX_OK && q != ngx_queue_sentinel(&wr->batch);
         q = ngx_queue_next(q))
    {
        w = ngx_queue_data(q, ngx_chat_write_t, queue);

        if (prev && prev->more && prev->record.repeated) {

            /* one transaction gave the request's messages their ids */

            w->record.id = prev->record.id + 1;
            w->record.repeated = 1;

        } else {
            rc = ngx_chat_batch_insert(&wr->handle.db, &w->record, now);
        }

        if (rc == NGX_OK && wr->conf->stored && !w->record.repeated) {
            rc = wr->conf->stored(wr->conf->stored_data, &wr->handle.db,
                                  &w->record);
        }

        if (!w->record.repeated) {
            wr->first = wr->first ? wr->first : w->record.id;
            wr->last = w->record.id;
        }

        prev = w;
    }

    return rc;
}


/*
 * Sends what is committed.  NGX_ERROR: there was no memory, and the next holder
 * of the write lock sends the rest.
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

        if (w->record.repeated) {
            ngx_chat_writer_repeat(wr, w);
            continue;
        }

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


/*
 * Makes the answer anew.  Where the message has been removed, the request,
 * which is the same, has the same content.
 */

static void
ngx_chat_writer_repeat(ngx_chat_writer_t *wr, ngx_chat_write_t *w)
{
    if (w->record.kind != NGX_CHAT_MESSAGE_POSTED_e) {
        return;
    }

    wr->repeated = w;

    (void) ngx_chat_history_since(&wr->handle.db, w->record.id - 1,
                                  ngx_chat_writer_repeat_row, wr);

    if (w->reply.data == NULL) {
        (void) wr->conf->render(&w->record, &w->reply);
    }
}


/*
 * The first message from the id on.  It is another one where that was removed,
 * and by its time where somebody had ids begin anew.
 */

static ngx_int_t
ngx_chat_writer_repeat_row(void *data, ngx_chat_record_t *rec)
{
    ngx_chat_writer_t *wr = data;

    ngx_chat_write_t  *w;

    w = wr->repeated;

    if (rec->id == w->record.id && rec->created == w->record.created) {
        (void) wr->conf->render(rec, &w->reply);
    }

    return NGX_DONE;
}


/* On the event loop again. */

static void
ngx_chat_writer_done(void *data, ngx_int_t rc)
{
    ngx_chat_writer_t *wr = data;

    ngx_queue_t  batch, late;

    ngx_queue_init(&batch);
    ngx_queue_add(&batch, &wr->batch);
    ngx_queue_init(&wr->batch);

    wr->nbatch = 0;

    ngx_queue_init(&late);
    ngx_chat_writer_expire(wr, &late);

    if (rc != NGX_OK) {
        ngx_chat_store_stats_fail(&wr->conf->sh->stats, rc);
    }

    /* the next batch is committed while the answers are written */

    if (!ngx_queue_empty(&wr->waiting)) {
        ngx_chat_writer_start(wr);
    }

    wr->conf->queued(wr->nwaiting + wr->nbatch);

    ngx_chat_writer_answer(&batch, rc);
    ngx_chat_writer_answer(&late, NGX_BUSY);
}


/*
 * Takes what has waited too long out of the queue.  It was in no batch, so it
 * is not stored.  Messages of one request came at one time, and go together.
 */

static void
ngx_chat_writer_expire(ngx_chat_writer_t *wr, ngx_queue_t *late)
{
    ngx_queue_t       *q;
    ngx_chat_write_t  *w;

    while (!ngx_queue_empty(&wr->waiting)) {
        q = ngx_queue_head(&wr->waiting);
        w = ngx_queue_data(q, ngx_chat_write_t, queue);

        if (ngx_current_msec - w->queued < NGX_CHAT_STORE_WAIT) {
            return;
        }

        ngx_queue_remove(q);
        ngx_queue_insert_tail(late, q);

        wr->nwaiting--;
        wr->bytes -= w->record.content.len;
    }
}


static void
ngx_chat_writer_answer(ngx_queue_t *writes, ngx_int_t rc)
{
    ngx_queue_t       *q;
    ngx_chat_write_t  *w;

    while (!ngx_queue_empty(writes)) {
        q = ngx_queue_head(writes);
        w = ngx_queue_data(q, ngx_chat_write_t, queue);

        ngx_queue_remove(q);

        if (w->data) {
            w->done(w, rc);
        }

        free(w->reply.data);
        ngx_free(w);
    }
}
