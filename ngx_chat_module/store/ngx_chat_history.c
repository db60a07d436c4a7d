
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Pages of a channel.  One read transaction reads a page and looks whether
 * there is more around it, so that both agree.
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
static ngx_int_t ngx_chat_history_highest(ngx_chat_db_t *db,
    ngx_chat_history_t *h);
static ngx_int_t ngx_chat_history_bind(ngx_chat_db_t *db,
    ngx_chat_history_t *h, ngx_chat_db_statement_e n, uint64_t id);
static ngx_int_t ngx_chat_history_rows(ngx_chat_db_t *db,
    ngx_chat_history_t *h, ngx_chat_db_statement_e n);
static void ngx_chat_history_record(sqlite3_stmt *st,
    ngx_chat_record_t *rec);
static void ngx_chat_history_text(sqlite3_stmt *st, int n,
    ngx_str_t *value);


ngx_int_t
ngx_chat_history_read(ngx_chat_db_t *db, ngx_chat_history_t *h)
{
    ngx_int_t  rc;

    rc = ngx_chat_db_run(db, NGX_CHAT_DB_READ_e);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_history_page(db, h);

    if (rc == NGX_OK) {
        rc = ngx_chat_history_bounds(db, h);
    }

    if (rc == NGX_OK && h->with_highest) {
        rc = ngx_chat_history_highest(db, h);
    }

    if (rc == NGX_OK) {
        return ngx_chat_batch_commit(db);
    }

    ngx_chat_batch_rollback(db);

    return rc;
}


ngx_int_t
ngx_chat_history_since(ngx_chat_db_t *db, uint64_t id,
    ngx_chat_history_row_pt row, void *data)
{
    ngx_chat_history_t  h;

    memset(&h, 0, sizeof(ngx_chat_history_t));

    h.id = id;
    h.limit = INT64_MAX;
    h.row = row;
    h.data = data;

    return ngx_chat_history_rows(db, &h, NGX_CHAT_DB_SINCE_e);
}


static ngx_int_t
ngx_chat_history_page(ngx_chat_db_t *db, ngx_chat_history_t *h)
{
    switch (h->from) {

    case NGX_CHAT_HISTORY_AFTER_e:
        return ngx_chat_history_rows(db, h, NGX_CHAT_DB_AFTER_e);

    case NGX_CHAT_HISTORY_BEFORE_e:
        return ngx_chat_history_rows(db, h, NGX_CHAT_DB_BEFORE_e);

    case NGX_CHAT_HISTORY_DEAD_e:
        return ngx_chat_history_rows(db, h, NGX_CHAT_DB_DEAD_e);

    default: /* NGX_CHAT_HISTORY_NEWEST_e */
        return ngx_chat_history_rows(db, h, NGX_CHAT_DB_NEWEST_e);
    }
}


/* An empty page lies at its id; an empty page of the newest, at the end. */

static ngx_int_t
ngx_chat_history_bounds(ngx_chat_db_t *db, ngx_chat_history_t *h)
{
    uint64_t   below, above;
    ngx_int_t  rc;

    if (h->from == NGX_CHAT_HISTORY_DEAD_e) {
        h->more_after = 0;

        return ngx_chat_history_has(db, h, NGX_CHAT_DB_HAS_DEAD_e,
                                    h->first ? h->first - 1 : h->id,
                                    &h->more_before);
    }

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

    rc = ngx_chat_history_has(db, h, NGX_CHAT_DB_HAS_BEFORE_e, below,
                              &h->more_before);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_chat_history_has(db, h, NGX_CHAT_DB_HAS_AFTER_e, above,
                                &h->more_after);
}


static ngx_int_t
ngx_chat_history_has(ngx_chat_db_t *db, ngx_chat_history_t *h,
    ngx_chat_db_statement_e n, uint64_t id, ngx_uint_t *has)
{
    int        rc;
    ngx_int_t  result;

    result = ngx_chat_history_bind(db, h, n, id);
    if (result != NGX_OK) {
        return result;
    }

    rc = sqlite3_step(db->statements[n]);

    *has = (rc == SQLITE_ROW);

    return ngx_chat_db_end(db, n, rc);
}


static ngx_int_t
ngx_chat_history_highest(ngx_chat_db_t *db, ngx_chat_history_t *h)
{
    int            rc;
    sqlite3_stmt  *st;

    st = db->statements[NGX_CHAT_DB_MAX_e];

    rc = sqlite3_step(st);

    if (rc == SQLITE_ROW) {
        h->highest = (uint64_t) sqlite3_column_int64(st, 0);
    }

    return ngx_chat_db_end(db, NGX_CHAT_DB_MAX_e, rc);
}


static ngx_int_t
ngx_chat_history_bind(ngx_chat_db_t *db, ngx_chat_history_t *h,
    ngx_chat_db_statement_e n, uint64_t id)
{
    return ngx_chat_db_bind(db, n, (int64_t) h->app, &h->channel,
                            (int64_t) ngx_min(id, INT64_MAX),
                            (int64_t) h->limit);
}


static ngx_int_t
ngx_chat_history_rows(ngx_chat_db_t *db, ngx_chat_history_t *h,
    ngx_chat_db_statement_e n)
{
    int                rc;
    ngx_int_t          result, status;
    sqlite3_stmt      *st;
    ngx_chat_record_t  rec;

    db->error[0] = '\0';

    h->first = 0;
    h->last = 0;
    h->is_full = 0;

    result = ngx_chat_history_bind(db, h, n, h->id);
    if (result != NGX_OK) {
        return result;
    }

    st = db->statements[n];

    for ( ;; ) {
        rc = sqlite3_step(st);

        if (rc != SQLITE_ROW) {
            break;
        }

        ngx_chat_history_record(st, &rec);

        if (sqlite3_errcode(db->handle) == SQLITE_NOMEM) {
            rc = SQLITE_NOMEM;
            break;
        }

        if (h->to && rec.id > h->to) {
            break;
        }

        result = h->row(h->data, &rec);

        if (result != NGX_OK) {
            h->is_full = (result == NGX_DONE);
            break;
        }

        if (h->first == 0 || rec.id < h->first) {
            h->first = rec.id;
        }

        if (rec.id > h->last) {
            h->last = rec.id;
        }
    }

    status = ngx_chat_db_end(db, n, rc);

    return (result == NGX_OK || result == NGX_DONE) ? status : result;
}


static void
ngx_chat_history_record(sqlite3_stmt *st, ngx_chat_record_t *rec)
{
    rec->id = (uint64_t) sqlite3_column_int64(st, 0);
    rec->app = (uint64_t) sqlite3_column_int64(st, 1);
    rec->created = sqlite3_column_int64(st, 6);
    rec->updated = sqlite3_column_int64(st, 7);
    rec->kind = (ngx_uint_t) sqlite3_column_int64(st, 8);

    ngx_chat_history_text(st, 2, &rec->channel);
    ngx_chat_history_text(st, 3, &rec->event);
    ngx_chat_history_text(st, 4, &rec->content);
    ngx_chat_history_text(st, 5, &rec->author);
}


/* An author that is NULL has no bytes. */

static void
ngx_chat_history_text(sqlite3_stmt *st, int n, ngx_str_t *value)
{
    value->data = (u_char *) sqlite3_column_text(st, n);
    value->len = sqlite3_column_bytes(st, n);
}
