
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * message_stored in a cluster.  There each node stores the messages of the log,
 * and the rows of webhooks are one node's to make: it tells what its database
 * has behind the last message that was told.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald.h>
#include <hook/ngx_chat_herald_work.h>


static ngx_uint_t ngx_chat_herald_wants_stored(ngx_chat_herald_t *h);
static ngx_int_t ngx_chat_herald_told(ngx_chat_herald_t *h, int64_t *id);
static ngx_int_t ngx_chat_herald_begins(ngx_chat_herald_t *h, int64_t told,
    int64_t *id);
static ngx_int_t ngx_chat_herald_tell(ngx_chat_herald_t *h, int64_t *id,
    ngx_uint_t *n);
static void ngx_chat_herald_told_text(sqlite3_stmt *st, int column,
    ngx_str_t *text);


ngx_int_t
ngx_chat_herald_tell_stored(ngx_chat_herald_t *h)
{
    int64_t     id, told;
    ngx_int_t   rc;
    ngx_uint_t  i, n;

    h->cluster.more = 0;

    if (h->link_conf == NULL) {
        return NGX_OK;
    }

    n = 0;
    rc = ngx_chat_herald_told(h, &told);

    if (rc != NGX_OK && rc != NGX_DONE) {
        return rc;
    }

    /* who wants it later is not told of what is of before */

    if (!ngx_chat_herald_wants_stored(h)) {
        return (rc == NGX_DONE) ? NGX_OK
               : ngx_chat_db_exec(&h->db.handle.db, "DELETE FROM meta"
                                  " WHERE key = 'webhooks stored'");
    }

    rc = ngx_chat_herald_begins(h, told, &id);

    if (rc == NGX_OK) {
        rc = ngx_chat_herald_tell(h, &id, &n);
    }

    if (rc != NGX_OK || (n == 0 && id == told)) {
        return rc;
    }

    for (i = 0; n && i < h->conf->n; i++) {
        h->hooks[i].due = 0;
    }

    return ngx_chat_hook_db_change(&h->db, NGX_CHAT_HOOK_DB_TELL_UP_TO_e, id,
                                   0, 0);
}


static ngx_uint_t
ngx_chat_herald_wants_stored(ngx_chat_herald_t *h)
{
    ngx_uint_t       i;
    ngx_chat_app_t  *apps;

    apps = h->conf->apps->elts;

    for (i = 0; i < h->conf->apps->nelts; i++) {
        if (apps[i].hooks & ngx_chat_hook_bit(NGX_CHAT_HOOK_STORED_e)) {
            return 1;
        }
    }

    return 0;
}


/* The last message that was told.  NGX_OK; NGX_DONE: none was, and it is -1. */

static ngx_int_t
ngx_chat_herald_told(ngx_chat_herald_t *h, int64_t *id)
{
    ngx_int_t      rc;
    sqlite3_stmt  *st;

    *id = -1;

    st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_TOLD_UP_TO_e);
    if (st == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_chat_hook_db_step(&h->db, NGX_CHAT_HOOK_DB_TOLD_UP_TO_e);

    if (rc == NGX_OK) {
        *id = sqlite3_column_int64(st, 0);
        ngx_chat_hook_db_reset(&h->db, NGX_CHAT_HOOK_DB_TOLD_UP_TO_e);
    }

    return rc;
}


/*
 * The message behind which it goes on.  Who wanted it from nginx's start on is
 * told of all since; else what is of before is nobody's concern.  So it is
 * where this node has adopted the books: the others have told more than it
 * knows.
 */

static ngx_int_t
ngx_chat_herald_begins(ngx_chat_herald_t *h, int64_t told, int64_t *id)
{
    *id = told;

    if (told >= 0 && !h->cluster.adopted) {
        return NGX_OK;
    }

    if (h->conf->number == 1 && !h->cluster.adopted) {
        *id = (int64_t) h->link_conf->sh->quiet;
        return NGX_OK;
    }

    return ngx_chat_db_number(&h->db.handle.db, "SELECT coalesce(max(id), 0)"
                              " FROM messages", id);
}


/* Adds rows for the next messages, *n of them; the last one is *id. */

static ngx_int_t
ngx_chat_herald_tell(ngx_chat_herald_t *h, int64_t *id, ngx_uint_t *n)
{
    size_t              size;
    ngx_int_t           rc;
    sqlite3_stmt       *st;
    ngx_chat_record_t   rec;

    *n = 0;
    size = 0;

    st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_UNTOLD_e);
    if (st == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(st, 1, *id);
    (void) sqlite3_bind_int64(st, 2, NGX_CHAT_HERALD_ITEMS);

    ngx_memzero(&rec, sizeof(ngx_chat_record_t));

    while ((rc = ngx_chat_hook_db_step(&h->db, NGX_CHAT_HOOK_DB_UNTOLD_e))
           == NGX_OK)
    {
        rec.id = (uint64_t) sqlite3_column_int64(st, 0);
        rec.app = (uint64_t) sqlite3_column_int64(st, 1);
        ngx_chat_herald_told_text(st, 2, &rec.channel);
        ngx_chat_herald_told_text(st, 3, &rec.event);
        ngx_chat_herald_told_text(st, 4, &rec.content);
        ngx_chat_herald_told_text(st, 5, &rec.author);
        rec.created = sqlite3_column_int64(st, 6);
        rec.updated = rec.created;
        rec.kind = (ngx_uint_t) sqlite3_column_int64(st, 7);

        rc = ngx_chat_herald_stored(h->conf, &h->db.handle.db, &rec);

        if (rc != NGX_OK) {
            return rc;
        }

        *id = (int64_t) rec.id;
        (*n)++;
        size += rec.content.len;

        if (size > NGX_CHAT_HERALD_BYTES) {
            h->cluster.more = 1;
            ngx_chat_hook_db_reset(&h->db, NGX_CHAT_HOOK_DB_UNTOLD_e);
            return NGX_OK;
        }
    }

    h->cluster.more = (*n == NGX_CHAT_HERALD_ITEMS);

    return (rc == NGX_DONE) ? NGX_OK : rc;
}


static void
ngx_chat_herald_told_text(sqlite3_stmt *st, int column, ngx_str_t *text)
{
    text->data = (u_char *) sqlite3_column_text(st, column);
    text->len = sqlite3_column_bytes(st, column);
}
