
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Entries of the log become messages and events.
 *
 * What nodes have written is foreign: each item is checked.  An entry must
 * follow the one before, by numbers and by nonces; the first of a term follows
 * what the term began with.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <bus/ngx_chat_wakeup.h>
#include <link/ngx_chat_log_item.h>
#include <shared/ngx_chat_futex.h>
#include <shared/ngx_chat_incident.h>
#include <store/ngx_chat_back_work.h>
#include <store/ngx_chat_write_lock.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


static ngx_int_t ngx_chat_back_apply_locked(ngx_chat_back_t *b,
    ngx_chat_engine_reply_t *reply);
static ngx_int_t ngx_chat_back_store(ngx_chat_back_t *b,
    ngx_chat_engine_reply_t *reply, ngx_uint_t *n);
static ngx_int_t ngx_chat_back_store_entry(ngx_chat_back_t *b,
    ngx_chat_link_entry_t *entry);
static ngx_int_t ngx_chat_back_store_item(ngx_chat_back_t *b,
    ngx_chat_link_entry_t *entry, ngx_chat_log_item_t *item, uint64_t seq);
static ngx_int_t ngx_chat_back_store_books(ngx_chat_back_t *b,
    ngx_chat_link_entry_t *entry, ngx_chat_log_item_t *item, uint64_t seq);
static ngx_int_t ngx_chat_back_send(ngx_chat_back_t *b,
    ngx_chat_link_entry_t *entry);
static ngx_int_t ngx_chat_back_send_item(ngx_chat_back_t *b,
    ngx_chat_link_entry_t *entry, ngx_chat_log_item_t *item, uint64_t seq,
    uint64_t sent);


ngx_int_t
ngx_chat_back_apply(ngx_chat_back_t *b, ngx_chat_engine_reply_t *reply)
{
    ngx_int_t  rc;

    rc = ngx_chat_write_lock_take(b->conf->sh, NGX_CHAT_STORE_WAIT, b->log);
    if (rc != NGX_OK) {
        return ngx_chat_back_failed(b, "the write lock is not to be had");
    }

    rc = ngx_chat_back_apply_locked(b, reply);

    ngx_chat_write_lock_give(b->conf->sh);

    return rc;
}


static ngx_int_t
ngx_chat_back_apply_locked(ngx_chat_back_t *b, ngx_chat_engine_reply_t *reply)
{
    ngx_int_t              rc;
    ngx_uint_t             i, n;
    ngx_chat_link_sh_t    *sh;
    ngx_chat_link_entry_t  entry;

    n = 0;
    b->link.engine.error[0] = '\0';

    rc = ngx_chat_back_ready(b);

    if (rc == NGX_OK) {
        rc = ngx_chat_back_store(b, reply, &n);
    }

    if (rc == NGX_AGAIN) {
        ngx_chat_batch_rollback(&b->handle.db);
        return rc;
    }

    if (rc != NGX_OK) {

        if (b->link.engine.error[0] == '\0') {
            ngx_chat_handle_failed(&b->handle, rc, b->log);
            (void) ngx_chat_back_failed(b, "the database takes nothing");
        }

        ngx_chat_batch_rollback(&b->handle.db);

        return NGX_ERROR;
    }

    ngx_chat_failpoint("back committed");

    sh = b->sh;

    for (i = 0; i < n; i++) {
        (void) ngx_chat_link_entry(reply, i, &entry);

        if (b->place.term && entry.term != b->place.term) {
            ngx_chat_back_begin_term(b, entry.term, entry.seq - entry.n);
        }

        if (ngx_chat_back_send(b, &entry) != NGX_OK) {
            return ngx_chat_back_failed(b, "out of memory");
        }

        b->place.term = entry.term;
        b->place.seq = entry.seq;
        b->place.nonce = entry.nonce;

        ngx_chat_link_sh_set_place(sh, &b->place);

        ngx_chat_failpoint("back sent");
    }

    if (b->rouse) {
        b->rouse = 0;
        ngx_chat_wakeup_rouse(&b->conf->zone->wakeups->wakeups[0]);
    }

    return sh->incarnation ? NGX_OK : NGX_AGAIN;
}


/* Ids that clients have seen may be other messages' now. */

void
ngx_chat_back_begin_term(ngx_chat_back_t *b, uint64_t term, uint64_t seq)
{
    ngx_log_error(NGX_LOG_ALERT, b->log, 0,
                  "chat cluster: term %uL begins behind %uL, this node has "
                  "seen %uL; clients are told to reconnect", term, seq,
                  b->place.seq);

    b->conf->begun(b->conf->data, seq, 1);
}


/* One transaction for all, if there are messages; *n is the number of entries.
   */

static ngx_int_t
ngx_chat_back_store(ngx_chat_back_t *b, ngx_chat_engine_reply_t *reply,
    ngx_uint_t *n)
{
    uint64_t               start;
    ngx_int_t              rc;
    ngx_chat_link_entry_t  entry;
    ngx_chat_link_place_t  place;
    ngx_chat_store_stats_sh_t  *stats;

    stats = &b->conf->sh->stats;
    start = ngx_chat_clock_usec();
    place = b->place;
    *n = 0;
    b->began = 0;

    for ( ;; ) {
        rc = ngx_chat_link_entry(reply, *n, &entry);

        if (rc == NGX_DONE) {
            break;
        }

        if (rc == NGX_ERROR) {
            return ngx_chat_back_failed(b, "an entry of the log is none of "
                                        "this module's");
        }

        rc = ngx_chat_back_follow(b, &place, &entry);

        if (rc == NGX_OK) {
            rc = ngx_chat_back_store_entry(b, &entry);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        place.term = entry.term;
        place.seq = entry.seq;
        place.nonce = entry.nonce;

        (*n)++;
    }

    /* without messages the database need not know: what is read again then does
       no harm */

    if (!b->began) {
        ngx_chat_link_set(&b->sh->stored, place.seq);
        return NGX_OK;
    }

    rc = ngx_chat_back_keep(b, &place);

    if (rc == NGX_OK) {
        ngx_chat_failpoint("back commit");
        rc = ngx_chat_batch_commit(&b->handle.db);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_handle_whole(&b->handle);
    }

    if (rc == NGX_OK) {
        ngx_chat_store_stats_commit(stats, ngx_chat_clock_usec() - start);
        b->saved = place;
        ngx_chat_link_set(&b->sh->stored, place.seq);
        b->conf->sh->last = ngx_max(b->conf->sh->last, b->highest);
    }

    return rc;
}


ngx_int_t
ngx_chat_back_follow(ngx_chat_back_t *b, ngx_chat_link_place_t *place,
    ngx_chat_link_entry_t *entry)
{
    uint64_t  before;

    before = entry->seq - entry->n;

    if ((entry->term == place->term || place->term == 0)
        && before == place->seq
        && (place->nonce == 0 || entry->previous == place->nonce))
    {
        return NGX_OK;
    }

    if (entry->term < place->term) {
        return ngx_chat_back_failed(b, "an entry of the log is of an older "
                                    "term");
    }

    if (entry->term > b->meta.term) {
        return NGX_AGAIN;
    }

    /* numbers were given again, and nobody has noticed that they had been */

    if (entry->term == place->term && before <= place->seq) {
        return ngx_chat_back_parted(b, place);
    }

    return (entry->previous == b->meta.start
            && ngx_chat_back_may_jump(b, place, entry->term, before))
           ? NGX_OK : ngx_chat_back_trimmed(b, before, place);
}


ngx_int_t
ngx_chat_back_parted(ngx_chat_back_t *b, ngx_chat_link_place_t *place)
{
    ngx_log_error(NGX_LOG_ALERT, b->log, 0,
                  "chat cluster: the log has other entries before %uL than "
                  "this node has seen; stop it, and begin without a database, "
                  "or with a copy of another node's", place->seq);

    return ngx_chat_back_failed(b, "the log has other entries than this node "
                                "has seen");
}


ngx_int_t
ngx_chat_back_trimmed(ngx_chat_back_t *b, uint64_t seq,
    ngx_chat_link_place_t *place)
{
    ngx_uint_t  may_fill;

    may_fill = ngx_chat_back_may_fill(b, place);

    if (may_fill && b->fill.wanted) {
        return NGX_AGAIN;
    }

    ngx_chat_link_set(&b->sh->trimmed, b->sh->trimmed + 1);

    ngx_chat_incident_note(NGX_CHAT_INCIDENT_CLUSTER_TRIMMED_e,
                           "it goes back to %uL, this node has all up to %uL",
                           seq, place->seq);

    if (may_fill) {
        b->fill.wanted = 1;

        ngx_log_error(NGX_LOG_WARN, b->log, 0,
                      "chat cluster: the log goes back to %uL, and this node's "
                      "database has all up to %uL; it asks the other nodes for "
                      "what is between", seq, place->seq);

        return NGX_AGAIN;
    }

    ngx_log_error(NGX_LOG_ALERT, b->log, 0,
                  "chat cluster: the log goes back to %uL, and this node's "
                  "database has all up to %uL; stop it, and begin without a "
                  "database, or with a copy of another node's", seq,
                  place->seq);

    return ngx_chat_back_failed(b, "the log does not go back far enough");
}


static ngx_int_t
ngx_chat_back_store_entry(ngx_chat_back_t *b, ngx_chat_link_entry_t *entry)
{
    u_char               *p, *last;
    uint64_t              seq;
    ngx_int_t             rc;
    ngx_chat_log_item_t   item;

    p = entry->items.data;
    last = p + entry->items.len;
    seq = entry->seq - entry->n;

    while ((rc = ngx_chat_log_item_unpack(&item, &p, last)) == NGX_OK) {

        if (++seq > entry->seq) {
            break;
        }

        rc = ngx_chat_back_store_item(b, entry, &item, seq);

        if (rc == NGX_DECLINED) {
            break;
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return (rc == NGX_DONE && seq == entry->seq)
           ? NGX_OK
           : ngx_chat_back_failed(b, "an item of the log is none of this "
                                  "module's");
}


/* NGX_DECLINED: no node has made it. */

static ngx_int_t
ngx_chat_back_store_item(ngx_chat_back_t *b, ngx_chat_link_entry_t *entry,
    ngx_chat_log_item_t *item, uint64_t seq)
{
    ngx_int_t          rc;
    ngx_uint_t         old;
    ngx_chat_record_t  rec;

    old = ngx_chat_message_is_old(item->kind);

    if (!old && !ngx_chat_message_is_stored(item->kind)
        && !ngx_chat_message_is_books(item->kind))
    {
        return NGX_OK;
    }

    ngx_chat_back_record(item, seq, entry->time, &rec);

    if (rec.id == 0 || rec.id > seq) {
        return NGX_OK;
    }

    if (!b->began) {
        rc = ngx_chat_batch_begin(&b->handle.db);
        if (rc != NGX_OK) {
            return rc;
        }

        b->began = 1;
    }

    if (ngx_chat_message_is_books(item->kind)) {
        return ngx_chat_back_store_books(b, entry, item, seq);
    }

    b->highest = ngx_max(b->highest, rec.id);

    return ngx_chat_batch_replicate(&b->handle.db, &rec, old);
}


/* NGX_DECLINED: no node has made it. */

static ngx_int_t
ngx_chat_back_store_books(ngx_chat_back_t *b, ngx_chat_link_entry_t *entry,
    ngx_chat_log_item_t *item, uint64_t seq)
{
    ngx_int_t              rc;
    ngx_uint_t             all;
    ngx_chat_link_books_t  before, books;

    all = (item->kind == NGX_CHAT_MESSAGE_BOOKS_ALL_e);

    before.term = item->except.low;
    before.seq = item->except.high;
    books.term = entry->term;
    books.seq = seq;

    rc = ngx_chat_books_apply(&b->handle.db, &item->content, all, &before,
                              &books);

    if (rc == NGX_DONE) {
        b->lacking = (ngx_chat_books_check() == NULL);

        if (!b->lacks) {
            b->lacks = 1;

            ngx_log_error(NGX_LOG_WARN, b->log, 0,
                          "chat cluster: this node's database lacks events of "
                          "webhooks before %uL, which another node sends",
                          seq);
        }

        return NGX_OK;
    }

    if (rc == NGX_OK && all && b->lacks) {
        b->lacks = 0;
        b->lacking = 0;

        ngx_log_error(NGX_LOG_NOTICE, b->log, 0,
                      "chat cluster: this node's database has all events of "
                      "webhooks again");
    }

    return rc;
}


/*
 * Applied moves behind each item.  Where the back is killed between an item and
 * that, an event that is not stored is sent twice.
 */

static ngx_int_t
ngx_chat_back_send(ngx_chat_back_t *b, ngx_chat_link_entry_t *entry)
{
    u_char               *p, *last;
    uint64_t              seq, sent;
    ngx_chat_link_sh_t   *sh;
    ngx_chat_log_item_t   item;

    sh = b->sh;
    p = entry->items.data;
    last = p + entry->items.len;
    seq = entry->seq - entry->n;
    sent = b->conf->sent(b->conf->data);

    while (ngx_chat_log_item_unpack(&item, &p, last) == NGX_OK) {

        if (++seq <= ngx_chat_link_get(&sh->applied)) {
            continue;
        }

        if (ngx_chat_back_send_item(b, entry, &item, seq, sent) != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_chat_link_set(&sh->applied, seq);
    }

    ngx_chat_futex_turn(&sh->turns);

    return NGX_OK;
}


static ngx_int_t
ngx_chat_back_send_item(ngx_chat_back_t *b, ngx_chat_link_entry_t *entry,
    ngx_chat_log_item_t *item, uint64_t seq, uint64_t sent)
{
    ngx_int_t          rc;
    ngx_chat_record_t  rec;

    if (ngx_chat_message_is_old(item->kind)
        || ngx_chat_message_is_books(item->kind))
    {
        return NGX_OK;
    }

    b->conf->zone->sh->nodes->seq = seq;

    if (ngx_chat_message_is_announced(item->kind)) {
        ngx_chat_back_announced(b, entry, item, seq);
        return NGX_OK;
    }

    /* the one before died behind the ring's store and before that of applied */

    if (ngx_chat_message_is_stored(item->kind) && seq <= sent) {
        return NGX_OK;
    }

    ngx_chat_back_record(item, seq, entry->time, &rec);

    /* webhooks' records count as long as they are in the log */

    if (!ngx_chat_message_is_stored(item->kind)
        && item->kind != NGX_CHAT_MESSAGE_HOOK_e)
    {
        /* a node that was away does not send what was said meanwhile */

        if (seq <= b->sh->quiet) {
            return NGX_OK;
        }

        rec.id = 0;
    }

    rc = b->conf->append(b->conf->data, &rec, &item->except, NULL, NULL,
                         b->log);

    /* append() has logged what is too long for the ring */

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


void
ngx_chat_back_record(ngx_chat_log_item_t *item, uint64_t seq, int64_t time,
    ngx_chat_record_t *rec)
{
    ngx_memzero(rec, sizeof(ngx_chat_record_t));

    rec->kind = item->kind;
    rec->id = seq;
    rec->created = time;
    rec->updated = time;
    rec->app = item->app;
    rec->channel = item->channel;
    rec->event = item->event;
    rec->content = item->content;
    rec->author = item->author;

    if (ngx_chat_message_is_old(item->kind)) {
        rec->kind = item->kind - NGX_CHAT_MESSAGE_OLD_POSTED_e;
        rec->id = item->except.high;
        rec->created = (int64_t) item->except.low;
        rec->updated = rec->created;
    }
}
