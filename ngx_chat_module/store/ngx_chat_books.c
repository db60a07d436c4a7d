
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Patchsets of the tables of webhooks, made and applied by SQLite.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_books.h>
#include <store/ngx_chat_patchset.h>

#include <stdio.h>


#define NGX_CHAT_BOOKS_ROW  64             /* bytes of what is kept */
#define NGX_CHAT_BOOKS_ALL  50000          /* rows of all, and bytes: each node
                                              has to read them at once */
#define NGX_CHAT_BOOKS_SIZE  (4 * 1024 * 1024)

/* the rows of meta that are webhooks' */
#define NGX_CHAT_BOOKS_META  "meta WHERE key GLOB 'webhook*'"

#define NGX_CHAT_BOOKS_CLEAR                                                  \
    "DELETE FROM webhook_events; DELETE FROM webhook_state;"                  \
    " DELETE FROM webhooks; DELETE FROM " NGX_CHAT_BOOKS_META

/* A note leaves out a row that is removed and put back while it runs.  So all
   are put aside and removed before it begins, and come back while it runs. */

#define NGX_CHAT_BOOKS_ASIDE                                                  \
    "CREATE TEMP TABLE all_events AS SELECT * FROM webhook_events;"           \
    " CREATE TEMP TABLE all_state AS SELECT * FROM webhook_state;"            \
    " CREATE TEMP TABLE all_webhooks AS SELECT * FROM webhooks;"              \
    " CREATE TEMP TABLE all_meta AS SELECT * FROM " NGX_CHAT_BOOKS_META ";"   \
    NGX_CHAT_BOOKS_CLEAR

#define NGX_CHAT_BOOKS_BACK                                                   \
    "INSERT INTO webhook_events SELECT * FROM all_events;"                    \
    " INSERT INTO webhook_state SELECT * FROM all_state;"                     \
    " INSERT INTO webhooks SELECT * FROM all_webhooks;"                       \
    " INSERT INTO meta SELECT * FROM all_meta"


#if (SQLITE_ENABLE_SESSION)

static ngx_int_t ngx_chat_books_patch(ngx_chat_db_t *db, ngx_str_t *changes);
static int ngx_chat_books_conflict(void *ctx, int conflict,
    sqlite3_changeset_iter *iter);
static ngx_int_t ngx_chat_books_keep(ngx_chat_db_t *db,
    ngx_chat_link_books_t *item);


const char *
ngx_chat_books_check(void)
{
    return NULL;
}


ngx_int_t
ngx_chat_books_note(ngx_chat_db_t *db, ngx_chat_books_t **books)
{
    ngx_uint_t  i;

    *books = NULL;

    if (sqlite3session_create(db->handle, "main", books) != SQLITE_OK) {
        *books = NULL;
        return ngx_chat_db_refuse(db, NGX_ERROR, "sqlite3session_create()");
    }

    for (i = 0; ngx_chat_patchset_name(i); i++) {

        if (sqlite3session_attach(*books, ngx_chat_patchset_name(i))
            != SQLITE_OK)
        {
            sqlite3session_delete(*books);
            *books = NULL;

            return ngx_chat_db_refuse(db, NGX_ERROR,
                                      "sqlite3session_attach()");
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_books_take(ngx_chat_db_t *db, ngx_chat_books_t *books,
    ngx_str_t *changes)
{
    int        rc, size;
    void      *data;

    rc = SQLITE_OK;
    size = 0;
    data = NULL;

    if (changes) {
        ngx_str_null(changes);
        rc = sqlite3session_patchset(books, &size, &data);
    }

    sqlite3session_delete(books);

    if (rc != SQLITE_OK) {
        return ngx_chat_db_refuse(db, NGX_ERROR, "sqlite3session_patchset()");
    }

    if (size) {
        changes->data = malloc(size);

        if (changes->data) {
            changes->len = size;
            ngx_memcpy(changes->data, data, size);

        } else {
            rc = SQLITE_NOMEM;
        }
    }

    sqlite3_free(data);

    return (rc == SQLITE_OK) ? NGX_OK
           : ngx_chat_db_refuse(db, NGX_ERROR, "out of memory");
}


ngx_int_t
ngx_chat_books_all(ngx_chat_db_t *db, ngx_str_t *changes)
{
    int64_t            rows;
    ngx_int_t          rc, taken;
    ngx_chat_books_t  *books;

    ngx_str_null(changes);
    books = NULL;

    rc = ngx_chat_db_number(db, "SELECT (SELECT count(*) FROM webhook_events)"
                            " + (SELECT count(*) FROM webhook_state)", &rows);

    if (rc == NGX_OK && rows > NGX_CHAT_BOOKS_ALL) {
        return NGX_DECLINED;
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_db_exec(db, NGX_CHAT_BOOKS_ASIDE);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_books_note(db, &books);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_db_exec(db, NGX_CHAT_BOOKS_BACK);
    taken = ngx_chat_books_take(db, books, (rc == NGX_OK) ? changes : NULL);

    rc = (rc == NGX_OK) ? taken : rc;

    if (rc == NGX_OK && changes->len > NGX_CHAT_BOOKS_SIZE) {
        free(changes->data);
        ngx_str_null(changes);
        rc = NGX_DECLINED;
    }

    return rc;
}


ngx_int_t
ngx_chat_books_apply(ngx_chat_db_t *db, ngx_str_t *changes, ngx_uint_t all,
    ngx_chat_link_books_t *before, ngx_chat_link_books_t *item)
{
    ngx_int_t              rc;
    ngx_chat_link_books_t  last;

    if (ngx_chat_patchset_check(changes) != NGX_OK) {
        return NGX_DECLINED;
    }

    rc = ngx_chat_books_last(db, &last);
    if (rc != NGX_OK) {
        return rc;
    }

    /* nginx beside this one, with the same database, may have applied it */

    if (last.term > item->term
        || (last.term == item->term && last.seq >= item->seq))
    {
        return NGX_OK;
    }

    if (last.term == before->term && last.seq == before->seq) {
        rc = all ? NGX_OK : ngx_chat_books_patch(db, changes);

    } else if (all) {
        rc = ngx_chat_db_exec(db, NGX_CHAT_BOOKS_CLEAR);

        if (rc == NGX_OK) {
            rc = ngx_chat_books_patch(db, changes);
        }

    } else {
        return NGX_DONE;
    }

    return (rc == NGX_OK) ? ngx_chat_books_keep(db, item) : rc;
}


static ngx_int_t
ngx_chat_books_patch(ngx_chat_db_t *db, ngx_str_t *changes)
{
    int  rc;

    rc = sqlite3changeset_apply(db->handle, (int) changes->len, changes->data,
                                NULL, ngx_chat_books_conflict, NULL);

    if (rc == SQLITE_OK) {
        return NGX_OK;
    }

    return (rc == SQLITE_CORRUPT) ? NGX_DECLINED
           : ngx_chat_db_failed(db, "sqlite3changeset_apply()");
}


/* Somebody has changed the tables by hand: what can be done is done. */

static int
ngx_chat_books_conflict(void *ctx, int conflict, sqlite3_changeset_iter *iter)
{
    (void) ctx;
    (void) iter;

    return (conflict == SQLITE_CHANGESET_DATA
            || conflict == SQLITE_CHANGESET_CONFLICT)
           ? SQLITE_CHANGESET_REPLACE : SQLITE_CHANGESET_OMIT;
}


static ngx_int_t
ngx_chat_books_keep(ngx_chat_db_t *db, ngx_chat_link_books_t *item)
{
    char  sql[128];

    (void) snprintf(sql, sizeof(sql), "INSERT OR REPLACE INTO meta (key, value)"
                    " VALUES ('books', '%llu:%llu')",
                    (unsigned long long) item->term,
                    (unsigned long long) item->seq);

    return ngx_chat_db_exec(db, sql);
}


#else


const char *
ngx_chat_books_check(void)
{
    return "nginx was built with an SQLite that has no session extension";
}


ngx_int_t
ngx_chat_books_note(ngx_chat_db_t *db, ngx_chat_books_t **books)
{
    *books = NULL;

    return ngx_chat_db_refuse(db, NGX_ERROR, ngx_chat_books_check());
}


ngx_int_t
ngx_chat_books_take(ngx_chat_db_t *db, ngx_chat_books_t *books,
    ngx_str_t *changes)
{
    (void) books;
    (void) changes;

    return ngx_chat_db_refuse(db, NGX_ERROR, ngx_chat_books_check());
}


ngx_int_t
ngx_chat_books_all(ngx_chat_db_t *db, ngx_str_t *changes)
{
    ngx_str_null(changes);

    return ngx_chat_db_refuse(db, NGX_ERROR, ngx_chat_books_check());
}


/* It can't follow, and never sends webhooks. */

ngx_int_t
ngx_chat_books_apply(ngx_chat_db_t *db, ngx_str_t *changes, ngx_uint_t all,
    ngx_chat_link_books_t *before, ngx_chat_link_books_t *item)
{
    (void) db;
    (void) changes;
    (void) all;
    (void) before;
    (void) item;

    return NGX_DONE;
}


#endif


/* "TERM:SEQ". */

ngx_int_t
ngx_chat_books_last(ngx_chat_db_t *db, ngx_chat_link_books_t *last)
{
    char                row[NGX_CHAT_BOOKS_ROW];
    ngx_int_t           rc;
    unsigned long long  term, seq;

    rc = ngx_chat_db_meta(db, "books", row, sizeof(row));

    ngx_memzero(last, sizeof(ngx_chat_link_books_t));

    if (rc == NGX_OK && sscanf(row, "%llu:%llu", &term, &seq) == 2) {
        last->term = term;
        last->seq = seq;
    }

    return rc;
}
