
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The reading half of the store.  The thread that reads a page also renders
 * it, so that the event loop only sends bytes.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <shared/ngx_chat_incident.h>
#include <store/ngx_chat_migration.h>
#include <store/ngx_chat_page.h>
#include <store/ngx_chat_reader.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_message.h>


#define NGX_CHAT_READER_FIRST  4096        /* bytes for rows at first */
#define NGX_CHAT_READER_STALE  1000        /* ms that a page which may be stale
                                              waits for the log */


static void ngx_chat_reader_next(ngx_chat_readers_t *rs);
static void ngx_chat_reader_start(ngx_chat_reader_t *reader,
    ngx_chat_read_t *rd);
static ngx_int_t ngx_chat_reader_thread(void *data, ngx_log_t *log);
static ngx_int_t ngx_chat_reader_catch_up(ngx_chat_reader_t *reader,
    uint64_t *seq, ngx_log_t *log);
static ngx_uint_t ngx_chat_reader_has(ngx_chat_reader_t *reader,
    uint64_t seq);
static ngx_int_t ngx_chat_reader_page(ngx_chat_reader_t *reader);
static ngx_int_t ngx_chat_reader_row(void *data, ngx_chat_record_t *rec);
static ssize_t ngx_chat_reader_render(ngx_chat_reader_t *reader,
    ngx_chat_record_t *rec, u_char *buf, size_t size);
static ngx_int_t ngx_chat_reader_join(ngx_chat_reader_t *reader);
static void ngx_chat_reader_done(void *data, ngx_int_t rc);
static void ngx_chat_reader_refuse(ngx_event_t *ev);


ngx_int_t
ngx_chat_reader_init(ngx_chat_readers_t *rs, ngx_chat_store_conf_t *conf,
    ngx_cycle_t *cycle)
{
    ngx_uint_t          i;
    ngx_chat_reader_t  *reader;

    rs->conf = conf;
    rs->log = cycle->log;

    ngx_chat_read_queue_init(&rs->queue);
    ngx_queue_init(&rs->refused);

    rs->refuse.handler = ngx_chat_reader_refuse;
    rs->refuse.data = rs;
    rs->refuse.log = cycle->log;

    for (i = 0; i < NGX_CHAT_READERS; i++) {
        reader = &rs->readers[i];

        reader->readers = rs;

        ngx_chat_handle_init(&reader->handle, conf, NGX_CHAT_STORE_WAIT, 0);

        if (conf->link) {
            ngx_chat_link_init(&reader->link, conf->link);
        }

        reader->task.thread = ngx_chat_reader_thread;
        reader->task.done = ngx_chat_reader_done;
        reader->task.data = reader;

        if (ngx_chat_store_task_init(&reader->task, conf->pool, cycle)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


void
ngx_chat_reader_exit(ngx_chat_readers_t *rs)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_CHAT_READERS; i++) {
        ngx_chat_handle_close(&rs->readers[i].handle);

        if (rs->conf->link) {
            ngx_chat_link_close(&rs->readers[i].link);
        }
    }
}


void
ngx_chat_reader_check(ngx_chat_readers_t *rs)
{
    ngx_uint_t          i;
    ngx_chat_reader_t  *reader;

    for (i = 0; i < NGX_CHAT_READERS; i++) {
        reader = &rs->readers[i];

        if (!reader->task.active && reader->handle.db.handle) {
            ngx_chat_reader_start(reader, NULL);
        }
    }
}


ngx_int_t
ngx_chat_reader_add(ngx_chat_readers_t *rs, ngx_chat_read_t *rd)
{
    ngx_chat_read_t  *refused;

    if (ngx_chat_read_queue_add(&rs->queue, rd, &refused) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, rs->log, 0,
                      "chat store refuses a read, clients hold %uz bytes of "
                      "pages", rs->queue.held);

        ngx_chat_incident_note(NGX_CHAT_INCIDENT_STORE_QUEUE_FULL_e,
                               "a read is refused, clients hold %uz bytes",
                               rs->queue.held);
        ngx_free(rd);
        return NGX_BUSY;
    }

    if (refused) {
        ngx_log_error(NGX_LOG_ERR, rs->log, 0,
                      "chat store queue is full, %ui reads wait",
                      rs->queue.nwaiting);

        ngx_chat_incident_note(NGX_CHAT_INCIDENT_STORE_QUEUE_FULL_e,
                               "%ui reads wait", rs->queue.nwaiting);
    }

    if (refused == rd) {
        ngx_free(rd);
        return NGX_BUSY;
    }

    /* another request is not to end within this one's handler */

    if (refused) {
        refused->state = NGX_CHAT_READ_REFUSED_e;
        ngx_queue_insert_tail(&rs->refused, &refused->queue);
        ngx_post_event(&rs->refuse, &ngx_posted_events);
    }

    ngx_chat_reader_next(rs);

    return NGX_OK;
}


void
ngx_chat_reader_cancel(ngx_chat_readers_t *rs, ngx_chat_read_t *rd)
{
    switch (rd->state) {

    case NGX_CHAT_READ_WAITING_e:
        ngx_chat_read_queue_remove(&rs->queue, rd);
        ngx_free(rd);
        break;

    case NGX_CHAT_READ_REFUSED_e:
        ngx_queue_remove(&rd->queue);
        ngx_free(rd);
        break;

    default: /* NGX_CHAT_READ_STARTED_e, done() will free it */
        ngx_chat_store_set(&rd->left, 1);
        ngx_chat_read_queue_leave(rd);
    }

    /* its client may have less than its share now */

    ngx_chat_reader_next(rs);
}


void
ngx_chat_reader_release(ngx_chat_readers_t *rs, ngx_chat_read_client_t *client,
    ngx_str_t *page)
{
    ngx_chat_page_free(page->data, page->len);
    ngx_chat_read_queue_release(&rs->queue, client, page->len);
    ngx_chat_reader_next(rs);
}


/* Gives idle readers the reads whose turn it is. */

static void
ngx_chat_reader_next(ngx_chat_readers_t *rs)
{
    ngx_uint_t        i;
    ngx_chat_read_t  *rd;

    for (i = 0; i < NGX_CHAT_READERS; i++) {

        if (rs->readers[i].task.active) {
            continue;
        }

        rd = ngx_chat_read_queue_next(&rs->queue);

        if (rd == NULL) {
            break;
        }

        ngx_chat_reader_start(&rs->readers[i], rd);
    }

    rs->conf->reading(rs->queue.nwaiting, rs->queue.held);
}


static void
ngx_chat_reader_start(ngx_chat_reader_t *reader, ngx_chat_read_t *rd)
{
    reader->read = rd;

    ngx_chat_store_task_start(&reader->task);
}


/* The functions from here to done() run on a thread. */

static ngx_int_t
ngx_chat_reader_thread(void *data, ngx_log_t *log)
{
    ngx_chat_reader_t *reader = data;

    uint64_t   seq;
    ngx_int_t  rc;

    if (reader->read && ngx_chat_store_get(&reader->read->left)) {
        return NGX_ABORT;
    }

    seq = 0;
    reader->is_stale = 0;

    if (reader->read && ngx_chat_reader_catch_up(reader, &seq, log) != NGX_OK) {
        return NGX_BUSY;
    }

    rc = ngx_chat_handle_ready(&reader->handle, 0, log);

    if (rc == NGX_OK && reader->is_stale) {
        rc = ngx_chat_migration_epoch(&reader->handle.db);
    }

    if (rc == NGX_OK && reader->read && !ngx_chat_reader_has(reader, seq)) {
        return NGX_BUSY;
    }

    if (rc == NGX_OK && reader->read) {
        rc = ngx_chat_reader_page(reader);
    }

    if (rc != NGX_OK && rc != NGX_ABORT) {
        ngx_chat_handle_failed(&reader->handle, rc, log);
        return rc;
    }

    /*
     * The handle on a file that is not writable has an index of the WAL of a
     * special kind, which SQLite gives to all handles of the process.  Kept
     * open, it would hold up the writer when the file is writable again.
     */

    if (sqlite3_db_readonly(reader->handle.db.handle, "main")) {
        ngx_chat_handle_close(&reader->handle);
    }

    return rc;
}


/*
 * In a cluster a client may have heard of a message by another node, and reads
 * here what was before it: so a page has all that the log had when it was asked
 * for, and the epoch of then.
 *
 * Where the log can't be asked, a page that may be stale has what is here,
 * under the epoch that was committed with it.
 */

static ngx_int_t
ngx_chat_reader_catch_up(ngx_chat_reader_t *reader, uint64_t *seq,
    ngx_log_t *log)
{
    uint64_t               end;
    ngx_int_t              rc;
    ngx_chat_link_conf_t  *link;

    link = reader->readers->conf->link;

    if (link == NULL) {
        return NGX_OK;
    }

    if (reader->read->history.stale && ngx_chat_link_get(&link->sh->term) == 0)
    {
        reader->is_stale = 1;
        return NGX_OK;
    }

    end = ngx_chat_clock_msec()
          + (reader->read->history.stale ? NGX_CHAT_READER_STALE
                                         : link->timeout);

    rc = ngx_chat_link_catch_up(&reader->link, end, seq, reader->read->epoch);

    if (rc != NGX_OK && reader->read->history.stale) {
        reader->is_stale = 1;
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "chat cluster: history can't be read, this node does "
                      "not have all of the log: %s",
                      reader->link.engine.error);
    }

    return rc;
}


/*
 * Whether the file that was opened has all up to a number of the log: one that
 * was put in place of the database may be behind, and is filled then.
 */

static ngx_uint_t
ngx_chat_reader_has(ngx_chat_reader_t *reader, uint64_t seq)
{
    ngx_chat_link_conf_t  *link;

    link = reader->readers->conf->link;

    if (link == NULL || reader->is_stale
        || (ngx_chat_link_get(&link->sh->file) == reader->handle.db.files.file
            && ngx_chat_link_get(&link->sh->stored) >= seq))
    {
        return 1;
    }

    ngx_chat_link_set(&link->sh->doubt, 1);

    return 0;
}


static ngx_int_t
ngx_chat_reader_page(ngx_chat_reader_t *reader)
{
    ngx_int_t            rc;
    ngx_chat_history_t  *h;

    h = &reader->read->history;

    reader->len = 0;
    reader->size = 0;
    reader->rows = NULL;
    reader->nrows = 0;

    reader->ends = malloc(h->limit * sizeof(size_t));
    if (reader->ends == NULL) {
        return NGX_ERROR;
    }

    h->row = ngx_chat_reader_row;
    h->data = reader;

    rc = ngx_chat_history_read(&reader->handle.db, h);

    if (rc == NGX_OK) {
        rc = ngx_chat_reader_join(reader);
    }

    if (reader->readers->conf->link == NULL || reader->is_stale) {
        ngx_memcpy(reader->read->epoch, reader->handle.db.epoch,
                   NGX_CHAT_DB_EPOCH_LEN);
    }

    ngx_chat_page_free(reader->rows, reader->size);
    free(reader->ends);

    return rc;
}


/* A ngx_chat_history_row_pt. */

static ngx_int_t
ngx_chat_reader_row(void *data, ngx_chat_record_t *rec)
{
    ngx_chat_reader_t *reader = data;

    size_t    size;
    u_char   *rows;
    ssize_t   len;

    if (ngx_chat_store_get(&reader->read->left)) {
        return NGX_ABORT;
    }

    len = ngx_chat_reader_render(reader, rec, NULL, 0);

    if (len == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (reader->nrows && reader->len + len > reader->read->held) {
        return NGX_DONE;
    }

    if (reader->len + len > reader->size) {

        size = ngx_max(reader->size * 2, NGX_CHAT_READER_FIRST);
        size = ngx_max(size, reader->len + len);

        rows = ngx_chat_page_resize(reader->rows, reader->size, size);
        if (rows == NULL) {
            return NGX_ERROR;
        }

        reader->rows = rows;
        reader->size = size;
    }

    if (ngx_chat_reader_render(reader, rec, reader->rows + reader->len, len)
        != len)
    {
        return NGX_ERROR;
    }

    reader->len += len;
    reader->ends[reader->nrows++] = reader->len;

    return NGX_OK;
}


static ssize_t
ngx_chat_reader_render(ngx_chat_reader_t *reader, ngx_chat_record_t *rec,
    u_char *buf, size_t size)
{
    ngx_chat_message_t  m;

    if (reader->read->render) {
        return reader->read->render(rec, buf, size);
    }

    ngx_chat_record_message(rec, &m);

    return ngx_chat_message_render(&m, buf, size);
}


/* The rows, oldest first: as a JSON array, unless render() makes no JSON. */

static ngx_int_t
ngx_chat_reader_join(ngx_chat_reader_t *reader)
{
    size_t            start;
    u_char           *p;
    ngx_uint_t        i, n, array;
    ngx_chat_read_t  *rd;

    rd = reader->read;
    array = (rd->render == NULL || rd->is_json);

    rd->nrows = reader->nrows;
    rd->page.len = reader->len;

    if (array) {
        rd->page.len += 2 + (reader->nrows ? reader->nrows - 1 : 0);
    }

    if (rd->page.len == 0) {
        return NGX_OK;
    }

    p = ngx_chat_page_resize(NULL, 0, rd->page.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    rd->page.data = p;

    if (array) {
        *p++ = '[';
    }

    for (i = 0; i < reader->nrows; i++) {

        if (i && array) {
            *p++ = ',';
        }

        n = (rd->history.from == NGX_CHAT_HISTORY_AFTER_e)
            ? i : reader->nrows - 1 - i;

        start = n ? reader->ends[n - 1] : 0;
        p = ngx_cpymem(p, reader->rows + start, reader->ends[n] - start);
    }

    if (array) {
        *p = ']';
    }

    return NGX_OK;
}


/* On the event loop again. */

static void
ngx_chat_reader_done(void *data, ngx_int_t rc)
{
    ngx_chat_reader_t *reader = data;

    ngx_chat_read_t     *rd;
    ngx_chat_readers_t  *rs;

    rs = reader->readers;

    /* before the next read starts and its thread uses the reader */
    rd = reader->read;

    if (rd) {
        ngx_chat_read_queue_hold(&rs->queue, rd,
                                 (rc == NGX_OK) ? rd->page.len : 0);
    }

    ngx_chat_reader_next(rs);

    if (rd == NULL) {
        return;
    }

    if (rc == NGX_OK) {
        ngx_chat_store_stats_read(&rs->conf->sh->stats);
    }

    if (!rd->left) {
        rd->done(rd, rc);
    }

    /* the caller has the page, and releases it, or nobody wants it */

    if (rd->page.data) {
        ngx_chat_read_queue_hold(&rs->queue, rd, 0);
        ngx_chat_page_free(rd->page.data, rd->page.len);
        ngx_chat_reader_next(rs);
    }

    ngx_free(rd);
}


static void
ngx_chat_reader_refuse(ngx_event_t *ev)
{
    ngx_queue_t         *q;
    ngx_chat_read_t     *rd;
    ngx_chat_readers_t  *rs;

    rs = ev->data;

    while (!ngx_queue_empty(&rs->refused)) {
        q = ngx_queue_head(&rs->refused);
        rd = ngx_queue_data(q, ngx_chat_read_t, queue);

        /* of another read than the one freed before; the analyzer can't tell */

        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        ngx_queue_remove(q);
        rd->state = NGX_CHAT_READ_STARTED_e;

        rd->done(rd, NGX_BUSY);
        ngx_free(rd);
    }
}
