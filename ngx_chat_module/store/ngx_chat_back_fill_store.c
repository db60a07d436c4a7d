
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What another node gives.
 *
 * What comes goes into a temporary table of the handle, and from there into the
 * database in one transaction, together with the place.  So nobody ever sees a
 * part of it, and whoever dies leaves nothing.
 *
 * What comes is as foreign as the log.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_back_work.h>

#include <stdio.h>


#define NGX_CHAT_BACK_COLUMNS  "id, app, channel, event, content, author,"    \
                               " created_at, kind"

#define NGX_CHAT_BACK_TABLE                                                   \
    "DROP TABLE IF EXISTS temp.fill;"                                         \
    " CREATE TEMP TABLE fill (id INTEGER PRIMARY KEY, app, channel, event,"   \
    " content, author, created_at, kind)"

#define NGX_CHAT_BACK_HAS_TABLE                                               \
    "SELECT count(*) FROM temp.sqlite_schema WHERE name = 'fill'"

#define NGX_CHAT_BACK_ADD                                                     \
    "INSERT INTO temp.fill (" NGX_CHAT_BACK_COLUMNS ")"                       \
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"

/* What both have is the same, or this node has seen numbers that were given
   again since. */

#define NGX_CHAT_BACK_OTHERS                                                  \
    "SELECT count(*) FROM temp.fill f JOIN main.messages m ON m.id = f.id"    \
    " WHERE (m.app, m.channel, m.event, m.content, m.created_at) IS NOT"      \
    " (f.app, f.channel, f.event, f.content, f.created_at)"

#define NGX_CHAT_BACK_MOVE                                                    \
    "INSERT OR IGNORE INTO main.messages (" NGX_CHAT_BACK_COLUMNS ","         \
    " updated_at) SELECT " NGX_CHAT_BACK_COLUMNS ", created_at"               \
    " FROM temp.fill WHERE id > %llu; DROP TABLE temp.fill"


static ngx_int_t ngx_chat_back_fill_beside(ngx_chat_back_t *b,
    ngx_chat_link_place_t *place);
static ngx_int_t ngx_chat_back_fill_items(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_fill_add(ngx_chat_back_t *b,
    sqlite3_stmt *st, ngx_chat_record_t *rec);
static ngx_int_t ngx_chat_back_fill_whole(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_fill_move(ngx_chat_back_t *b);
static void ngx_chat_back_filled(ngx_chat_back_t *b,
    ngx_chat_link_place_t *place);


/*
 * With the write lock.  Another nginx with the same database, as in an upgrade
 * in place, may have got further: then nothing is wanted.  A fill that was
 * broken off goes on, unless the handle was closed, or numbers may be other
 * messages' by now.
 */

ngx_int_t
ngx_chat_back_fill_begin(ngx_chat_back_t *b)
{
    int64_t                 n;
    ngx_int_t               rc;
    ngx_chat_back_fill_t   *f;
    ngx_chat_link_place_t   place;

    f = &b->fill;
    n = 0;

    rc = ngx_chat_back_fill_beside(b, &place);

    if (rc == NGX_DONE) {
        ngx_log_error(NGX_LOG_NOTICE, b->log, 0,
                      "chat cluster: another nginx with this database has all "
                      "up to %uL; clients are told to reconnect", place.seq);

        ngx_chat_back_filled(b, &place);
        return NGX_OK;
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_db_number(&b->handle.db, NGX_CHAT_BACK_HAS_TABLE, &n);
    }

    if (rc != NGX_OK
        || (n && f->term == b->meta.term && f->from == b->place.seq))
    {
        return rc;
    }

    f->term = b->meta.term;
    f->from = b->place.seq;
    f->messages = 0;

    /* the last of what it has is compared with what the others have */

    f->last = f->from - ngx_min(f->from, NGX_CHAT_BACK_OFFERED);

    return ngx_chat_db_exec(&b->handle.db, NGX_CHAT_BACK_TABLE);
}


/* With the write lock: NGX_DONE: another nginx with this database is at *place,
   which is further; NGX_OK, NGX_BUSY, NGX_ERROR. */

static ngx_int_t
ngx_chat_back_fill_beside(ngx_chat_back_t *b, ngx_chat_link_place_t *place)
{
    char       id[NGX_CHAT_LINK_EPOCH + 1];
    ngx_int_t  rc;

    ngx_memzero(place, sizeof(ngx_chat_link_place_t));

    rc = ngx_chat_back_load(b, place, id);

    return (rc == NGX_OK && place->term == b->meta.term
            && place->seq > b->place.seq)
           ? NGX_DONE : rc;
}


ngx_int_t
ngx_chat_back_fill_store(ngx_chat_back_t *b)
{
    ngx_int_t              rc;
    ngx_chat_back_fill_t  *f;

    f = &b->fill;

    rc = ngx_chat_db_exec(&b->handle.db, "BEGIN");

    if (rc == NGX_OK) {
        rc = ngx_chat_back_fill_items(b);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_batch_commit(&b->handle.db);
    }

    /* behind a hole nothing may follow: it begins anew */

    if (rc != NGX_OK) {
        f->term = 0;

    } else if (f->chunk.place.term) {
        rc = ngx_chat_back_fill_whole(b);
    }

    f->use = rc;

    if (rc != NGX_OK) {
        ngx_chat_batch_rollback(&b->handle.db);
    }

    /* of what is refused nothing is kept */

    if (rc == NGX_DECLINED || rc == NGX_ABORT) {
        f->term = 0;
        rc = ngx_chat_back_fill_begin(b);
    }

    return rc;
}


/* In a transaction.  NGX_OK; NGX_DECLINED: no node has made this; NGX_BUSY,
   NGX_ERROR. */

static ngx_int_t
ngx_chat_back_fill_items(ngx_chat_back_t *b)
{
    u_char               *p, *end;
    ngx_int_t             rc;
    sqlite3_stmt         *st;
    ngx_chat_record_t     rec;
    ngx_chat_log_item_t   item;

    p = b->fill.chunk.items.data;
    end = p + b->fill.chunk.items.len;

    if (sqlite3_prepare_v2(b->handle.db.handle, NGX_CHAT_BACK_ADD, -1, &st,
                           NULL)
        != SQLITE_OK)
    {
        return ngx_chat_db_failed(&b->handle.db, "sqlite3_prepare_v2()");
    }

    for ( ;; ) {
        rc = ngx_chat_log_item_unpack(&item, &p, end);

        if (rc == NGX_DONE) {
            rc = NGX_OK;
            break;
        }

        if (rc == NGX_OK) {
            ngx_chat_back_record(&item, 0, 0, &rec);
        }

        if (rc != NGX_OK || !ngx_chat_message_is_old(item.kind)
            || rec.id <= b->fill.last || rec.id > (uint64_t) NGX_CHAT_LINK_MAX)
        {
            rc = NGX_DECLINED;
            break;
        }

        rc = ngx_chat_back_fill_add(b, st, &rec);
        if (rc != NGX_OK) {
            break;
        }

        b->fill.last = rec.id;
        b->fill.messages += (rec.id > b->place.seq);
    }

    (void) sqlite3_finalize(st);

    return rc;
}


static ngx_int_t
ngx_chat_back_fill_add(ngx_chat_back_t *b, sqlite3_stmt *st,
    ngx_chat_record_t *rec)
{
    ngx_int_t       rc;
    ngx_chat_db_t  *db;

    db = &b->handle.db;

    (void) sqlite3_bind_int64(st, 1, (sqlite3_int64) rec->id);
    (void) sqlite3_bind_int64(st, 2, (sqlite3_int64) rec->app);
    (void) sqlite3_bind_int64(st, 7, rec->created);
    (void) sqlite3_bind_int64(st, 8, (sqlite3_int64) rec->kind);

    /* without an author it is NULL */

    rc = (ngx_chat_db_bind_text(st, 3, &rec->channel) == SQLITE_OK
          && ngx_chat_db_bind_text(st, 4, &rec->event) == SQLITE_OK
          && ngx_chat_db_bind_text(st, 5, &rec->content) == SQLITE_OK
          && (rec->author.len == 0
              || ngx_chat_db_bind_text(st, 6, &rec->author) == SQLITE_OK)
          && sqlite3_step(st) == SQLITE_DONE)
         ? NGX_OK : ngx_chat_db_failed(db, "what is given can't be kept");

    (void) sqlite3_reset(st);
    (void) sqlite3_clear_bindings(st);

    return rc;
}


/* All is there.  NGX_OK; NGX_AGAIN: join again; NGX_DECLINED: no node has made
   this; NGX_ABORT: the others have something else; NGX_BUSY, NGX_ERROR. */

static ngx_int_t
ngx_chat_back_fill_whole(ngx_chat_back_t *b)
{
    ngx_int_t               rc;
    ngx_chat_link_place_t  *place, other;

    place = &b->fill.chunk.place;

    if (place->seq < ngx_max(b->fill.last, b->place.seq) || place->nonce == 0)
    {
        return NGX_DECLINED;
    }

    /* who gave it is in another term, of which this node knows nothing yet */

    if (place->term != b->meta.term) {
        return NGX_AGAIN;
    }

    rc = ngx_chat_batch_begin(&b->handle.db);

    if (rc == NGX_OK) {
        rc = ngx_chat_back_fill_beside(b, &other);
    }

    if (rc == NGX_DONE) {
        return NGX_AGAIN;
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_back_fill_move(b);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_back_keep(b, place);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_batch_commit(&b->handle.db);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_handle_whole(&b->handle);
    }

    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, b->log, 0,
                      "chat cluster: another node has given the %ui messages "
                      "that this one lacked, up to %uL; clients are told to "
                      "reconnect", b->fill.messages, place->seq);

        b->conf->sh->last = ngx_max(b->conf->sh->last, b->fill.last);
        ngx_chat_back_filled(b, place);
    }

    return rc;
}


/* In a transaction.  As whole(). */

static ngx_int_t
ngx_chat_back_fill_move(ngx_chat_back_t *b)
{
    char       sql[sizeof(NGX_CHAT_BACK_MOVE) + NGX_INT64_LEN];
    int64_t    n;
    ngx_int_t  rc;

    rc = ngx_chat_db_number(&b->handle.db, NGX_CHAT_BACK_OTHERS, &n);

    if (rc != NGX_OK || n) {
        return (rc == NGX_OK) ? NGX_ABORT : rc;
    }

    (void) snprintf(sql, sizeof(sql), NGX_CHAT_BACK_MOVE,
                    (unsigned long long) b->place.seq);

    return ngx_chat_db_exec(&b->handle.db, sql);
}


/* With the write lock: the database has all up to a place, and clients have
   missed what was in between. */

static void
ngx_chat_back_filled(ngx_chat_back_t *b, ngx_chat_link_place_t *place)
{
    b->fill.wanted = 0;
    b->place = *place;
    b->saved = *place;

    b->conf->begun(b->conf->data, place->seq, 1);

    ngx_chat_link_sh_set_place(b->sh, place);
    ngx_chat_link_set(&b->sh->applied, place->seq);
    ngx_chat_link_set(&b->sh->stored, place->seq);
}
