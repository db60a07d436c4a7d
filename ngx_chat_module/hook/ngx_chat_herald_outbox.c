
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The outbox: a row for each event and webhook.
 *
 * A webhook sends its rows in the order of their ids, one request at a time.
 * Before the first try the rows of a request are marked as a batch, which has
 * the id of the first of them.  So whoever tries again, be it another herald,
 * sends the same rows under the same id, and a receiver can drop what it has
 * seen.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald_work.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_HERALD_BATCH   20         /* events of a request, at most */
#define NGX_CHAT_HERALD_WINDOW  250        /* ms that an event waits for more */
#define NGX_CHAT_HERALD_BODY    (1024 * 1024)  /* bytes of a body that gets no
                                              further event */
#define NGX_CHAT_HERALD_STAMP   280000     /* ms: older than that a body gets
                                              the time of now, since a receiver
                                              may refuse it after 300 s */
#define NGX_CHAT_HERALD_BACKOFF  60000     /* ms, the longest */


/* Rows that may become a request. */

typedef struct {
    uint64_t    rows[NGX_CHAT_HERALD_BATCH];
    int64_t     oldest;                    /* times of the first and the last
                                              of their events */
    int64_t     latest;
    ngx_uint_t  fresh;                     /* they were not tried yet */
    ngx_uint_t  full;                      /* no further one goes with them */
} ngx_chat_herald_batch_t;


static ngx_int_t ngx_chat_herald_render(ngx_chat_herald_t *h,
    ngx_chat_hook_record_t *rec, ngx_str_t *event);
static ngx_int_t ngx_chat_herald_rows(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook, ngx_uint_t fresh, uint64_t first);
static ngx_int_t ngx_chat_herald_gather(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook, uint64_t first,
    ngx_chat_herald_batch_t *batch);
static ngx_int_t ngx_chat_herald_body_event(ngx_chat_herald_hook_t *hook,
    u_char *event, size_t len);
static void ngx_chat_herald_body_end(ngx_chat_herald_hook_t *hook,
    int64_t time);


ngx_int_t
ngx_chat_herald_add(ngx_chat_herald_t *h, ngx_chat_hook_record_t *rec)
{
    ngx_int_t   rc;
    ngx_str_t   event;
    ngx_uint_t  i;

    ngx_str_null(&event);

    for (i = 0; i < h->conf->n; i++) {
        rc = ngx_chat_herald_add_to(h, &h->hooks[i], rec, &event);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_herald_add_to(ngx_chat_herald_t *h, ngx_chat_herald_hook_t *hook,
    ngx_chat_hook_record_t *rec, ngx_str_t *event)
{
    ngx_int_t            rc;
    sqlite3_stmt        *st;
    ngx_chat_webhook_t  *conf;

    conf = hook->conf;

    if (conf->app->number != rec->app
        || !ngx_chat_webhook_wants(conf, ngx_chat_hook_bit(rec->kind),
                                   &rec->channel))
    {
        return NGX_OK;
    }

    if (event->len == 0 && ngx_chat_herald_render(h, rec, event) != NGX_OK) {
        return NGX_ERROR;
    }

    st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_ADD_e);
    if (st == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(st, 1, (int64_t) rec->app);
    (void) sqlite3_bind_int64(st, 2, conf->key);
    (void) sqlite3_bind_int64(st, 3, rec->time);
    (void) ngx_chat_db_bind_text(st, 4, event);

    hook->due = 0;

    rc = ngx_chat_hook_db_run(&h->db, NGX_CHAT_HOOK_DB_ADD_e, NULL);

    if (rc == NGX_OK) {
        ngx_chat_hook_db_added(h->conf->store->sh, &h->db.handle.db);
    }

    return rc;
}


/* Into the herald's memory, until the next one. */

static ngx_int_t
ngx_chat_herald_render(ngx_chat_herald_t *h, ngx_chat_hook_record_t *rec,
    ngx_str_t *event)
{
    ssize_t  len;

    len = ngx_chat_webhook_render(NULL, 0, rec);

    if (len == NGX_ERROR) {
        return NGX_ERROR;
    }

    if ((size_t) len > h->json_size) {
        free(h->json);
        h->json = malloc(len);
        h->json_size = h->json ? len : 0;
    }

    if (h->json == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_chat_webhook_render(h->json, len, rec);

    event->data = h->json;
    event->len = len;

    return NGX_OK;
}


ngx_int_t
ngx_chat_herald_choose(ngx_chat_herald_t *h, ngx_chat_herald_hook_t *hook)
{
    int64_t        now, created, due;
    uint64_t       first, batch;
    ngx_int_t      rc;
    sqlite3_stmt  *st;

    if (hook->state != NGX_CHAT_HERALD_IDLE_e
        || hook->due > (int64_t) ngx_chat_clock_msec())
    {
        return NGX_OK;
    }

    now = ngx_chat_clock_wall();
    hook->due = NGX_CHAT_HERALD_NEVER;

    st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_FIRST_e);
    if (st == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(st, 1, hook->conf->key);

    rc = ngx_chat_hook_db_step(&h->db, NGX_CHAT_HOOK_DB_FIRST_e);

    if (rc != NGX_OK) {

        if (hook->sh && rc == NGX_DONE) {
            hook->sh->oldest = 0;
        }

        return (rc == NGX_DONE) ? NGX_OK : rc;
    }

    first = sqlite3_column_int64(st, 0);
    batch = sqlite3_column_int64(st, 1);
    due = sqlite3_column_int64(st, 2);
    hook->tried = sqlite3_column_int64(st, 4);

    /* what is sent again after it was given up has the tries of before */
    hook->tries = hook->tried ? sqlite3_column_int64(st, 3) : 0;

    created = sqlite3_column_int64(st, 5);

    ngx_chat_hook_db_reset(&h->db, NGX_CHAT_HOOK_DB_FIRST_e);

    if (hook->sh) {
        hook->sh->oldest = created;
        hook->sh->tries = hook->tries;
    }

    /* the clock may have been set back */

    if (due > now && due - now <= NGX_CHAT_HERALD_BACKOFF) {
        hook->due = (int64_t) ngx_chat_clock_msec() + due - now;
        return NGX_OK;
    }

    if (hook->tried == 0 || hook->tried > now) {
        hook->tried = now;
    }

    return ngx_chat_herald_rows(h, hook, batch == 0, batch ? batch : first);
}


/*
 * Makes a request: of the batch that there is, or with fresh set of rows from
 * the first on that were not tried yet, if there are enough or they are old
 * enough.
 */

static ngx_int_t
ngx_chat_herald_rows(ngx_chat_herald_t *h, ngx_chat_herald_hook_t *hook,
    ngx_uint_t fresh, uint64_t first)
{
    int64_t                  now, time;
    ngx_int_t                rc;
    ngx_uint_t               i;
    ngx_chat_herald_batch_t  batch;

    ngx_memzero(&batch, sizeof(ngx_chat_herald_batch_t));

    batch.fresh = fresh;

    rc = ngx_chat_herald_gather(h, hook, first, &batch);

    if (rc != NGX_OK || hook->n == 0) {
        return rc;
    }

    now = ngx_chat_clock_wall();

    if (fresh && !batch.full && batch.oldest <= now
        && now - batch.oldest < NGX_CHAT_HERALD_WINDOW)
    {
        hook->due = (int64_t) ngx_chat_clock_msec() + NGX_CHAT_HERALD_WINDOW
                    - (now - batch.oldest);
        return NGX_OK;
    }

    for (i = 0; fresh && i < hook->n; i++) {
        rc = ngx_chat_hook_db_change(&h->db, NGX_CHAT_HOOK_DB_MARK_e,
                                     (int64_t) first, hook->tried,
                                     (int64_t) batch.rows[i]);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    hook->batch = first;
    hook->state = NGX_CHAT_HERALD_READY_e;

    time = batch.latest;

    if (now - time > NGX_CHAT_HERALD_STAMP || time > now) {
        time = now;
    }

    ngx_chat_herald_body_end(hook, time);

    return NGX_OK;
}


/* Reads the rows and puts their events into the body. */

static ngx_int_t
ngx_chat_herald_gather(ngx_chat_herald_t *h, ngx_chat_herald_hook_t *hook,
    uint64_t first, ngx_chat_herald_batch_t *batch)
{
    int                            i, len;
    ngx_int_t                      rc;
    ngx_uint_t                     max;
    sqlite3_stmt                  *st;
    ngx_chat_hook_db_statement_e   n;

    max = hook->conf->batch || !batch->fresh ? NGX_CHAT_HERALD_BATCH : 1;
    n = batch->fresh ? NGX_CHAT_HOOK_DB_FRESH_e : NGX_CHAT_HOOK_DB_BATCH_e;

    st = ngx_chat_hook_db_get(&h->db, n);
    if (st == NULL) {
        return NGX_ERROR;
    }

    i = 0;

    if (batch->fresh) {
        (void) sqlite3_bind_int64(st, ++i, hook->conf->key);
    }

    (void) sqlite3_bind_int64(st, ++i, (int64_t) first);
    (void) sqlite3_bind_int64(st, ++i, max);

    hook->n = 0;
    hook->body.len = 0;

    while ((rc = ngx_chat_hook_db_step(&h->db, n)) == NGX_OK) {

        len = sqlite3_column_bytes(st, 2);

        if (batch->fresh && (sqlite3_column_int64(st, 3) != 0
                             || (hook->n && hook->body.len + len
                                            > NGX_CHAT_HERALD_BODY)))
        {
            batch->full = 1;
            rc = NGX_DONE;
            break;
        }

        batch->latest = sqlite3_column_int64(st, 1);
        batch->oldest = hook->n ? batch->oldest : batch->latest;
        batch->rows[hook->n++] = sqlite3_column_int64(st, 0);

        if (ngx_chat_herald_body_event(hook,
                                       (u_char *) sqlite3_column_text(st, 2),
                                       len)
            != NGX_OK)
        {
            rc = NGX_ERROR;
            break;
        }
    }

    ngx_chat_hook_db_reset(&h->db, n);

    batch->full = batch->full || hook->n == max;

    return (rc == NGX_DONE) ? NGX_OK : rc;
}


/*
 * The body grows behind room for its beginning, which is written last: it has
 * the time of the last event.
 */

static ngx_int_t
ngx_chat_herald_body_event(ngx_chat_herald_hook_t *hook, u_char *event,
    size_t len)
{
    u_char  *p;
    size_t   size;

    if (hook->body.len == 0) {
        hook->body.len = NGX_CHAT_WEBHOOK_BEGIN;
    }

    size = hook->body.len + 1 + len + NGX_CHAT_WEBHOOK_END;

    if (size > hook->size) {
        size = ngx_max(size, 2 * hook->size);

        p = realloc(hook->body.data, size);
        if (p == NULL) {
            return NGX_ERROR;
        }

        hook->body.data = p;
        hook->size = size;
    }

    p = hook->body.data + hook->body.len;

    if (hook->n > 1) {
        *p++ = ',';
    }

    if (len) {
        p = ngx_cpymem(p, event, len);
    }

    hook->body.len = p - hook->body.data;

    return NGX_OK;
}


static void
ngx_chat_herald_body_end(ngx_chat_herald_hook_t *hook, int64_t time)
{
    u_char  begin[NGX_CHAT_WEBHOOK_BEGIN], *p, *last;
    size_t  len;

    len = ngx_chat_webhook_begin(begin, time) - begin;
    last = ngx_chat_webhook_end(hook->body.data + hook->body.len);

    /* to the memory's start, so that it can be freed */

    p = hook->body.data + NGX_CHAT_WEBHOOK_BEGIN;

    ngx_memmove(hook->body.data + len, p, last - p);
    ngx_memcpy(hook->body.data, begin, len);

    hook->body.len = len + (last - p);
}


ngx_int_t
ngx_chat_herald_settle(ngx_chat_herald_t *h, ngx_chat_herald_hook_t *hook)
{
    int64_t        now, wait, end;
    ngx_str_t      error;
    sqlite3_stmt  *st;

    now = ngx_chat_clock_wall();

    ngx_chat_failpoint("hook settle");

    hook->due = 0;
    hook->given_up = 0;

    if (hook->delivered) {
        return ngx_chat_hook_db_change(&h->db, NGX_CHAT_HOOK_DB_DONE_e,
                                       (int64_t) hook->batch, 0, 0);
    }

    error.data = hook->error;
    error.len = ngx_strlen(hook->error);

    /* the clock was set back meanwhile: "retry" begins again */

    if (hook->tried > now) {
        hook->tried = now;
    }

    end = hook->tried + (int64_t) hook->conf->retry;

    if (now >= end) {
        hook->given_up = 1;

        st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_DEAD_e);
        if (st == NULL) {
            return NGX_ERROR;
        }

        (void) sqlite3_bind_int64(st, 1, now);
        (void) ngx_chat_db_bind_text(st, 2, &error);
        (void) sqlite3_bind_int64(st, 3, (int64_t) hook->batch);

        return ngx_chat_hook_db_run(&h->db, NGX_CHAT_HOOK_DB_DEAD_e, NULL);
    }

    wait = (hook->tries < 6) ? (int64_t) 1000 << hook->tries
                             : NGX_CHAT_HERALD_BACKOFF;

    st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_RETRY_e);
    if (st == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(st, 1, (int64_t) hook->tries + 1);
    (void) sqlite3_bind_int64(st, 2, hook->tried);
    (void) sqlite3_bind_int64(st, 3, ngx_min(now + wait, end));
    (void) ngx_chat_db_bind_text(st, 4, &error);
    (void) sqlite3_bind_int64(st, 5, (int64_t) hook->batch);

    return ngx_chat_hook_db_run(&h->db, NGX_CHAT_HOOK_DB_RETRY_e, NULL);
}
