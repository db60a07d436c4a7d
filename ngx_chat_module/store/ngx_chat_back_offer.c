
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the engine has lost is given to it again, by nodes that have it.
 *
 * Who begins a term has seen most.  The others may lack the last of it, so it,
 * or another node that has all, gives them its newest messages, with their ids
 * and times; they keep those that they miss.  Then meta says that it was done.
 *
 * Another node may have seen some that who began the term has not, and their
 * numbers are given anew.  It posts them again, and removes what it has under
 * the old numbers.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_log_item.h>
#include <store/ngx_chat_back_work.h>
#include <store/ngx_chat_history.h>
#include <wire/ngx_chat_failpoint.h>

#include <stdio.h>


#define NGX_CHAT_BACK_ITEMS    64      /* of a batch */
#define NGX_CHAT_BACK_KEPT     "604800000"     /* ms: another node may come
                                                  with the same days later */
#define NGX_CHAT_BACK_BYTES    (1024 * 1024)


typedef struct {
    ngx_chat_back_t        *back;
    ngx_chat_link_item_t    items[NGX_CHAT_BACK_ITEMS];
    u_char                  keys[NGX_CHAT_BACK_ITEMS]
                                [NGX_CHAT_LINK_KEY_LEN + 1];
    ngx_uint_t              n;
    size_t                  bytes;
    ngx_uint_t              orphans;   /* they get new ids */
    ngx_int_t               rc;
} ngx_chat_back_offer_t;


static ngx_int_t ngx_chat_back_offer_since(ngx_chat_back_t *b, uint64_t id,
    ngx_uint_t orphans);
static ngx_int_t ngx_chat_back_offer_row(void *data, ngx_chat_record_t *rec);
static ngx_int_t ngx_chat_back_offer_send(ngx_chat_back_offer_t *o);
static ngx_int_t ngx_chat_back_remove(ngx_chat_back_t *b);


ngx_uint_t
ngx_chat_back_has_orphans(ngx_chat_back_t *b)
{
    return b->place.term && b->place.term < b->meta.term
           && b->place.term == b->meta.from.term
           && b->place.seq > b->meta.from.seq;
}


ngx_int_t
ngx_chat_back_offer(ngx_chat_back_t *b)
{
    ngx_int_t  rc;

    if (ngx_chat_back_has_orphans(b)) {
        rc = ngx_chat_back_offer_since(b, b->meta.from.seq, 1);

        if (rc != NGX_OK) {
            return rc;
        }

        /* readers first */

        ngx_chat_link_set(&b->sh->stored, b->meta.from.seq);

        b->place = b->meta.from;

        rc = ngx_chat_back_locked(b, ngx_chat_back_remove);
        if (rc != NGX_OK) {
            return rc;
        }

        ngx_chat_link_sh_set_place(b->sh, &b->place);
    }

    if (b->meta.offered || !ngx_chat_back_is_complete(b)) {
        return NGX_OK;
    }

    /* whoever has all may do it: who began the term may have died since */

    rc = ngx_chat_back_offer_since(b, b->meta.from.seq
                                      - ngx_min(b->meta.from.seq,
                                                NGX_CHAT_BACK_OFFERED), 0);

    if (rc == NGX_OK) {
        ngx_chat_failpoint("back offered");
        rc = ngx_chat_link_offered(&b->link, b->meta.term);
    }

    return (rc == NGX_OK || rc == NGX_AGAIN) ? rc : NGX_ERROR;
}


/* With the write lock. */

static ngx_int_t
ngx_chat_back_remove(ngx_chat_back_t *b)
{
    char       sql[80];
    ngx_int_t  rc;

    (void) snprintf(sql, sizeof(sql), "DELETE FROM messages WHERE id > %llu",
                    (unsigned long long) b->meta.from.seq);

    rc = ngx_chat_batch_begin(&b->handle.db);

    if (rc == NGX_OK) {
        rc = ngx_chat_db_exec(&b->handle.db, sql);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_back_keep(b, &b->place);
    }

    return (rc == NGX_OK) ? ngx_chat_batch_commit(&b->handle.db) : rc;
}


static ngx_int_t
ngx_chat_back_offer_since(ngx_chat_back_t *b, uint64_t id, ngx_uint_t orphans)
{
    ngx_int_t               rc;
    ngx_chat_back_offer_t  *o;

    o = calloc(1, sizeof(ngx_chat_back_offer_t));
    if (o == NULL) {
        return ngx_chat_back_failed(b, "out of memory");
    }

    o->back = b;
    o->orphans = orphans;

    rc = ngx_chat_history_since(&b->handle.db, id, ngx_chat_back_offer_row, o);

    if (rc == NGX_OK && o->rc == NGX_OK) {
        (void) ngx_chat_back_offer_send(o);
    }

    while (o->n) {
        free(o->items[--o->n].bytes.data);
    }

    rc = (rc == NGX_OK || o->rc != NGX_OK)
         ? o->rc : ngx_chat_back_failed(b, "the database can't be read");

    free(o);

    return rc;
}


/* A ngx_chat_history_row_pt. */

static ngx_int_t
ngx_chat_back_offer_row(void *data, ngx_chat_record_t *rec)
{
    ngx_chat_back_offer_t *o = data;

    ngx_chat_log_item_t    item;
    ngx_chat_link_item_t  *it;

    it = &o->items[o->n];
    ngx_memzero(it, sizeof(ngx_chat_link_item_t));

    if (!o->orphans && rec->id > o->back->meta.from.seq) {
        return NGX_OK;
    }

    if (ngx_chat_back_old_item(o->back, rec, &item) != NGX_OK) {
        return NGX_OK;
    }

    if (o->orphans) {
        item.kind = rec->kind;
        item.except.high = 0;
        item.except.low = 0;

        /* the same where it is offered once more, and by other nodes */

        (void) snprintf((char *) o->keys[o->n], NGX_CHAT_LINK_KEY_LEN + 1,
                        "%016llx%016llx",
                        (unsigned long long) o->back->meta.from.term,
                        (unsigned long long) rec->id);
        it->key = o->keys[o->n];
    }

    it->bytes.len = ngx_chat_log_item_size(&item);
    it->bytes.data = malloc(it->bytes.len);

    if (it->bytes.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_chat_log_item_pack(it->bytes.data, &item);

    o->n++;
    o->bytes += it->bytes.len;

    if (o->n < NGX_CHAT_BACK_ITEMS && o->bytes < NGX_CHAT_BACK_BYTES) {
        return NGX_OK;
    }

    return (ngx_chat_back_offer_send(o) == NGX_OK) ? NGX_OK : NGX_ABORT;
}


ngx_int_t
ngx_chat_back_old_item(ngx_chat_back_t *b, ngx_chat_record_t *rec,
    ngx_chat_log_item_t *item)
{
    ngx_memzero(item, sizeof(ngx_chat_log_item_t));

    item->kind = rec->kind + NGX_CHAT_MESSAGE_OLD_POSTED_e;
    item->app = rec->app;
    item->except.high = rec->id;
    item->except.low = (uint64_t) rec->created;
    item->channel = rec->channel;
    item->event = rec->event;
    item->content = rec->content;
    item->author = rec->author;

    if (!ngx_chat_log_item_fits(item)) {
        ngx_log_error(NGX_LOG_ALERT, b->log, 0,
                      "chat cluster: message %uL is too long for the log, "
                      "others may miss it", rec->id);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_back_offer_send(ngx_chat_back_offer_t *o)
{
    ngx_chat_back_t        *b;
    ngx_chat_link_batch_t   batch;

    if (o->n == 0) {
        return NGX_OK;
    }

    b = o->back;

    ngx_memzero(&batch, sizeof(ngx_chat_link_batch_t));

    batch.items = o->items;
    batch.n = o->n;
    batch.worker = b->worker;
    batch.kept = o->orphans ? NGX_CHAT_BACK_KEPT : NULL;
    batch.term = b->meta.term;
    batch.incarnation = b->sh->incarnation;
    batch.nonce = ngx_chat_link_random();

    o->rc = ngx_chat_link_append(&b->link, &batch, NGX_CHAT_LINK_CALL);

    if (o->rc == NGX_OK) {
        ngx_log_error(NGX_LOG_NOTICE, b->log, 0,
                      "chat cluster: %ui messages are offered %s", o->n,
                      o->orphans ? "again, which the log does not have"
                      : "to nodes that may have missed them");

    } else if (o->rc == NGX_DECLINED) {
        o->rc = NGX_ERROR;
    }

    while (o->n) {
        free(o->items[--o->n].bytes.data);
    }

    o->bytes = 0;

    return o->rc;
}
