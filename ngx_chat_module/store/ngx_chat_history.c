
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Pages of a channel.  A page and the answers to whether there is more around
 * it come from one read transaction, so that they agree.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <store/ngx_chat_history.h>


static ngx_int_t ngx_chat_history_page(ngx_chat_db_t *db,
    ngx_chat_history_t *h);
static ngx_int_t ngx_chat_history_bounds(ngx_chat_db_t *db,
    ngx_chat_history_t *h);
static ngx_int_t ngx_chat_history_has(ngx_chat_db_t *db,
    ngx_chat_history_t *h, ngx_chat_db_statement_e n, uint64_t id,
    ngx_uint_t *has);
static ngx_int_t ngx_chat_history_rows(ngx_chat_db_t *db,
    ngx_chat_history_t *h, ngx_chat_db_statement_e n);
static ngx_int_t ngx_chat_history_record(sqlite3_stmt *st,
    ngx_chat_record_t *rec);
static ngx_int_t ngx_chat_history_text(sqlite3_stmt *st, int n,
    ngx_str_t *value);
static ngx_int_t ngx_chat_history_bind(ngx_chat_db_t *db,
    ngx_chat_history_t *h, sqlite3_stmt *st, uint64_t id);
static void ngx_chat_history_reset(sqlite3_stmt *st);


ngx_int_t
ngx_chat_history_read(ngx_chat_db_t *db, ngx_chat_history_t *h)
{
    ngx_int_t  rc;

    db->code = SQLITE_OK;
    db->error[0] = '\0';

    h->first = 0;
    h->last = 0;
    h->more_before = 0;
    h->more_after = 0;

    rc = ngx_chat_db_run(db, NGX_CHAT_DB_READ_e);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_history_page(db, h);
    if (rc != NGX_OK) {
        goto failed;
    }

    rc = ngx_chat_history_bounds(db, h);
    if (rc != NGX_OK) {
        goto failed;
    }

    return ngx_chat_batch_commit(db);

failed:

    ngx_chat_batch_rollback(db);

    return rc;
}


ngx_int_t
ngx_chat_history_since(ngx_chat_db_t *db, uint64_t id,
    ngx_chat_history_row_pt row, void *data)
{
    ngx_int_t           rc;
    sqlite3_stmt       *st;
    ngx_chat_history_t  h;

    db->code = SQLITE_OK;
    db->error[0] = '\0';

    memset(&h, 0, sizeof(ngx_chat_history_t));

    h.row = row;
    h.data = data;

    st = db->statements[NGX_CHAT_DB_SINCE_e];

    if (sqlite3_bind_int64(st, 1, (sqlite3_int64) ngx_min(id, INT64_MAX))
        != SQLITE_OK)
    {
        rc = ngx_chat_db_failed(db, "sqlite3_bind()");
        ngx_chat_history_reset(st);
        return rc;
    }

    return ngx_chat_history_rows(db, &h, NGX_CHAT_DB_SINCE_e);
}


static ngx_int_t
ngx_chat_history_page(ngx_chat_db_t *db, ngx_chat_history_t *h)
{
    ngx_int_t                rc;
    sqlite3_stmt            *st;
    ngx_chat_db_statement_e  n;

    switch (h->from) {

    case NGX_CHAT_HISTORY_AFTER_e:
        n = NGX_CHAT_DB_AFTER_e;
        break;

    case NGX_CHAT_HISTORY_BEFORE_e:
        n = NGX_CHAT_DB_BEFORE_e;
        break;

    default: /* NGX_CHAT_HISTORY_NEWEST_e */
        n = NGX_CHAT_DB_NEWEST_e;
        break;
    }

    st = db->statements[n];

    rc = ngx_chat_history_bind(db, h, st, h->id);
    if (rc != NGX_OK) {
        return rc;
    }

    if (sqlite3_bind_int64(st, 4, (sqlite3_int64) h->limit) != SQLITE_OK) {
        rc = ngx_chat_db_failed(db, "sqlite3_bind()");
        ngx_chat_history_reset(st);
        return rc;
    }

    return ngx_chat_history_rows(db, h, n);
}


/* An empty page lies at the id that was asked for; the newest at the end. */

static ngx_int_t
ngx_chat_history_bounds(ngx_chat_db_t *db, ngx_chat_history_t *h)
{
    uint64_t    below, above;
    ngx_int_t   rc;
    ngx_uint_t  has;

    if (h->first) {
        below = h->first - 1;
        above = h->last + 1;

    } else if (h->from == NGX_CHAT_HISTORY_NEWEST_e) {
        below = INT64_MAX;
        above = INT64_MAX;

    } else {
        below = h->id;
        above = h->id;
    }

    rc = ngx_chat_history_has(db, h, NGX_CHAT_DB_HAS_BEFORE_e, below, &has);
    if (rc != NGX_OK) {
        return rc;
    }

    h->more_before = has;

    rc = ngx_chat_history_has(db, h, NGX_CHAT_DB_HAS_AFTER_e, above, &has);
    if (rc != NGX_OK) {
        return rc;
    }

    h->more_after = has;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_history_has(ngx_chat_db_t *db, ngx_chat_history_t *h,
    ngx_chat_db_statement_e n, uint64_t id, ngx_uint_t *has)
{
    int            rc;
    ngx_int_t      result;
    sqlite3_stmt  *st;

    st = db->statements[n];

    result = ngx_chat_history_bind(db, h, st, id);
    if (result != NGX_OK) {
        return result;
    }

    rc = sqlite3_step(st);

    *has = (rc == SQLITE_ROW);

    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        result = ngx_chat_db_failed(db, "sqlite3_step()");
    }

    ngx_chat_history_reset(st);

    return result;
}


/* Steps through a statement whose parameters are bound, and resets it. */

static ngx_int_t
ngx_chat_history_rows(ngx_chat_db_t *db, ngx_chat_history_t *h,
    ngx_chat_db_statement_e n)
{
    int                rc;
    ngx_int_t          result;
    sqlite3_stmt      *st;
    ngx_chat_record_t  rec;

    st = db->statements[n];
    result = NGX_OK;

    for ( ;; ) {
        rc = sqlite3_step(st);

        if (rc != SQLITE_ROW) {
            break;
        }

        if (ngx_chat_history_record(st, &rec) != NGX_OK) {
            rc = SQLITE_NOMEM;
            break;
        }

        result = h->row(h->data, &rec);

        if (result != NGX_OK) {
            break;
        }

        if (h->first == 0 || rec.id < h->first) {
            h->first = rec.id;
        }

        if (rec.id > h->last) {
            h->last = rec.id;
        }
    }

    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        result = ngx_chat_db_failed(db, "sqlite3_step()");
    }

    ngx_chat_history_reset(st);

    return (result == NGX_DONE) ? NGX_OK : result;
}


static ngx_int_t
ngx_chat_history_record(sqlite3_stmt *st, ngx_chat_record_t *rec)
{
    rec->id = (uint64_t) sqlite3_column_int64(st, 0);
    rec->app = (uint64_t) sqlite3_column_int64(st, 1);
    rec->created = sqlite3_column_int64(st, 6);
    rec->updated = sqlite3_column_int64(st, 7);
    rec->kind = (ngx_uint_t) sqlite3_column_int64(st, 8);

    if (ngx_chat_history_text(st, 2, &rec->channel) != NGX_OK
        || ngx_chat_history_text(st, 3, &rec->event) != NGX_OK
        || ngx_chat_history_text(st, 4, &rec->content) != NGX_OK
        || ngx_chat_history_text(st, 5, &rec->author) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* NGX_ERROR: no memory.  An author that is NULL has no bytes. */

static ngx_int_t
ngx_chat_history_text(sqlite3_stmt *st, int n, ngx_str_t *value)
{
    if (sqlite3_column_type(st, n) == SQLITE_NULL) {
        value->len = 0;
        value->data = NULL;
        return NGX_OK;
    }

    value->data = (u_char *) sqlite3_column_text(st, n);
    value->len = sqlite3_column_bytes(st, n);

    return (value->data == NULL) ? NGX_ERROR : NGX_OK;
}


/*
 * Binds what all the pages' statements have: app, channel, id.  An id that
 * the statement has no use for is out of its range, which is no harm.
 */

static ngx_int_t
ngx_chat_history_bind(ngx_chat_db_t *db, ngx_chat_history_t *h,
    sqlite3_stmt *st, uint64_t id)
{
    ngx_int_t    rc;
    const char  *p;

    p = h->channel.len ? (const char *) h->channel.data : "";

    if (sqlite3_bind_int64(st, 1, (sqlite3_int64) h->app) == SQLITE_OK
        && sqlite3_bind_text64(st, 2, p, h->channel.len, SQLITE_STATIC,
                               SQLITE_UTF8)
           == SQLITE_OK
        && sqlite3_bind_int64(st, 3, (sqlite3_int64) ngx_min(id, INT64_MAX))
           == SQLITE_OK)
    {
        return NGX_OK;
    }

    rc = ngx_chat_db_failed(db, "sqlite3_bind()");
    ngx_chat_history_reset(st);

    return rc;
}


static void
ngx_chat_history_reset(sqlite3_stmt *st)
{
    (void) sqlite3_reset(st);
    (void) sqlite3_clear_bindings(st);
}
