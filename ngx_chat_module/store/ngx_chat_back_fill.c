
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A node that the log does not reach gets the messages that it lacks from
 * another node.  It is in the cluster behind that, and reads the log from the
 * place that the other one had.
 *
 * What comes is as foreign as the log.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_back_work.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_BACK_TAKE      200    /* ms that it waits at once: for so long
                                          a worker's end waits */
#define NGX_CHAT_BACK_PATIENCE  3000   /* ms, and the time between two beats,
                                          that it waits for a chunk */
#define NGX_CHAT_BACK_PROGRESS  10000  /* ms between two lines of the log */

#define NGX_CHAT_BACK_OTHER                                                   \
    "SELECT 1 FROM messages WHERE id = ?1 AND (app, channel, event, content," \
    " created_at) IS NOT (?2, ?3, ?4, ?5, ?6)"


static ngx_int_t ngx_chat_back_fill_reaches(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_fill_wanted(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_fill_begin(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_fill_from(ngx_chat_back_t *b, uint64_t node);
static ngx_int_t ngx_chat_back_fill_chunk(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_fill_locked(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_fill_store(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_fill_items(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_fill_compare(ngx_chat_back_t *b,
    ngx_chat_record_t *rec);
static void ngx_chat_back_filled(ngx_chat_back_t *b,
    ngx_chat_link_place_t *place);
static void ngx_chat_back_fill_told(ngx_chat_back_t *b);


ngx_uint_t
ngx_chat_back_may_fill(ngx_chat_back_t *b, ngx_chat_link_place_t *place)
{
    return place->term == b->meta.term
           || place->term == b->meta.from.term
           || (place->term == 0 && place->seq == 0);
}


ngx_int_t
ngx_chat_back_fill(ngx_chat_back_t *b)
{
    ngx_int_t  rc;

    /* it has first to give the others what only it has */

    if (ngx_chat_back_has_orphans(b)
        || (!b->meta.offered && ngx_chat_back_is_complete(b)))
    {
        return NGX_OK;
    }

    rc = ngx_chat_back_fill_reaches(b);

    if (rc == NGX_OK) {
        b->fill.wanted = 0;
        return NGX_OK;
    }

    return (rc == NGX_AGAIN && b->fill.wanted) ? ngx_chat_back_fill_wanted(b)
                                               : rc;
}


/* Whether the log goes on where this node is.  NGX_OK; NGX_AGAIN: it does not,
   or join again; NGX_ERROR. */

static ngx_int_t
ngx_chat_back_fill_reaches(ngx_chat_back_t *b)
{
    ngx_int_t                 rc;
    ngx_chat_link_entry_t     entry;
    ngx_chat_engine_reply_t  *reply;

    if (ngx_chat_link_read(&b->link, &b->place, 1, 1, &reply) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_chat_engine_is_nil(reply)) {
        rc = ngx_chat_back_is_behind(b)
             ? ngx_chat_back_trimmed(b, b->meta.seq, &b->place) : NGX_OK;

    } else if (ngx_chat_link_entry(reply, 0, &entry) == NGX_OK) {
        rc = ngx_chat_back_follow(b, &b->place, &entry);

    } else {
        rc = NGX_OK;       /* apply() says that it is nonsense */
    }

    ngx_chat_engine_free(reply);

    return rc;
}


static ngx_int_t
ngx_chat_back_fill_wanted(ngx_chat_back_t *b)
{
    uint64_t                  node;
    ngx_int_t                 rc;
    ngx_str_t                 incarnation;
    ngx_uint_t                i, n;
    ngx_chat_engine_reply_t  *nodes;

    rc = ngx_chat_back_withdraw(b);

    if (rc == NGX_OK) {

        /* it takes the census behind that: what is announced meanwhile it does
           not read */

        ngx_chat_link_set(&b->sh->term, 0);
        b->sh->census_term = 0;

        rc = ngx_chat_back_locked(b, ngx_chat_back_fill_begin);
    }

    if (rc == NGX_OK && b->fill.wanted) {
        rc = ngx_chat_link_nodes(&b->link, &nodes);
    }

    if (rc != NGX_OK || !b->fill.wanted) {
        return (rc == NGX_OK || rc == NGX_AGAIN) ? NGX_AGAIN : NGX_ERROR;
    }

    n = ngx_chat_engine_count(nodes);
    rc = NGX_DECLINED;

    for (i = 0; i < n && rc == NGX_DECLINED; i += 2) {
        incarnation = ngx_chat_engine_text(ngx_chat_engine_item(nodes, i));

        if (ngx_chat_link_incarnation(&incarnation, &node) == NGX_OK) {
            rc = ngx_chat_back_fill_from(b, node);
        }
    }

    ngx_chat_engine_free(nodes);

    return (rc == NGX_DECLINED)
           ? ngx_chat_back_failed(b, "the log does not go back far enough, and "
                                  "no other node gives what is missing now; "
                                  "start one that has it, or begin with a copy "
                                  "of its database")
           : rc;
}


/*
 * With the write lock.  Another nginx with the same database, as in an upgrade
 * in place, may have got further: then nothing is wanted.  A fill that was
 * broken off goes on, unless it was into another file, or numbers may be other
 * messages' by now.
 */

static ngx_int_t
ngx_chat_back_fill_begin(ngx_chat_back_t *b)
{
    char                    id[NGX_CHAT_LINK_EPOCH + 1];
    ngx_int_t               rc;
    ngx_chat_back_fill_t   *f;
    ngx_chat_link_place_t   place;

    f = &b->fill;
    ngx_memzero(&place, sizeof(ngx_chat_link_place_t));

    rc = ngx_chat_back_load(b, &place, id);
    if (rc != NGX_OK) {
        return rc;
    }

    if (place.term == b->meta.term && place.seq > b->place.seq) {
        ngx_chat_back_filled(b, &place);
        return NGX_OK;
    }

    if (f->begun && f->term == b->meta.term && f->file == b->file
        && f->last >= b->place.seq)
    {
        return NGX_OK;
    }

    f->term = b->meta.term;
    f->file = b->file;
    f->messages = 0;
    f->begun = 0;

    /* the last of what it has is compared with what the others have */

    f->last = b->place.seq - ngx_min(b->place.seq, NGX_CHAT_BACK_OFFERED);

    return NGX_OK;
}


/* NGX_AGAIN: join again, with what was given; NGX_DECLINED: it gives nothing,
   or no more; NGX_ERROR. */

static ngx_int_t
ngx_chat_back_fill_from(ngx_chat_back_t *b, uint64_t node)
{
    uint64_t               now, until;
    ngx_int_t              rc;
    ngx_chat_back_fill_t  *f;

    f = &b->fill;

    f->fill.id = ngx_chat_link_random();
    f->fill.since = f->last;
    f->n = 0;

    until = 0;
    rc = ngx_chat_link_fill_ask(&b->link, node, &f->fill);

    while (rc == NGX_OK && ngx_chat_single_goes_on(&b->single)) {
        now = ngx_chat_clock_msec();

        if (until == 0 || f->came) {
            until = now + NGX_CHAT_BACK_PATIENCE + b->link_conf->lease / 4;

        } else if (now >= until) {
            rc = NGX_DECLINED;
            break;
        }

        ngx_chat_back_cut_off(b);

        rc = ngx_chat_back_fill_chunk(b);
    }

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (ngx_chat_link_fill_end(&b->link, &f->fill, f->n ? 0 : node)
        == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    return (rc == NGX_OK) ? NGX_AGAIN : rc;
}


/* NGX_OK: more may follow; NGX_AGAIN: it was the last one; NGX_DECLINED: it is
   of no use; NGX_ERROR. */

static ngx_int_t
ngx_chat_back_fill_chunk(ngx_chat_back_t *b)
{
    ngx_int_t              rc;
    ngx_chat_back_fill_t  *f;

    f = &b->fill;
    f->came = 0;

    rc = ngx_chat_link_fill_take(&b->link, &f->fill, f->n + 1,
                                 NGX_CHAT_BACK_TAKE, &f->chunk);

    if (rc == NGX_AGAIN) {
        return NGX_OK;
    }

    f->use = rc;

    if (rc == NGX_OK) {
        f->came = 1;
        f->n++;

        rc = ngx_chat_back_locked(b, ngx_chat_back_fill_locked);

        ngx_chat_engine_free(f->chunk.reply);
    }

    if (f->use == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ERR, b->log, 0,
                      "chat cluster: what another node gives is none of this "
                      "module's");

        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (f->use == NGX_ABORT) {
        return ngx_chat_back_parted(b, &b->place);
    }

    ngx_chat_failpoint("back filled");

    if (f->chunk.place.term) {
        return NGX_AGAIN;
    }

    ngx_chat_back_fill_told(b);

    return ngx_chat_link_fill_taken(&b->link, &f->fill, f->n);
}


static void
ngx_chat_back_fill_told(ngx_chat_back_t *b)
{
    uint64_t  now;

    now = ngx_chat_clock_msec();

    if (now >= b->fill.told) {
        b->fill.told = now + NGX_CHAT_BACK_PROGRESS;

        ngx_log_error(NGX_LOG_NOTICE, b->log, 0,
                      "chat cluster: this node is given the messages that it "
                      "lacks, up to %uL of %uL now", b->fill.last,
                      b->meta.seq);
    }
}


/* With the write lock. */

static ngx_int_t
ngx_chat_back_fill_locked(ngx_chat_back_t *b)
{
    uint64_t               last;
    ngx_int_t              rc;
    ngx_uint_t             messages;
    ngx_chat_back_fill_t  *f;

    f = &b->fill;
    last = f->last;
    messages = f->messages;

    rc = ngx_chat_batch_begin(&b->handle.db);

    if (rc == NGX_OK) {
        rc = ngx_chat_back_fill_store(b);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_batch_commit(&b->handle.db);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_handle_whole(&b->handle);
    }

    f->use = rc;

    if (rc != NGX_OK) {
        f->last = last;
        f->messages = messages;
        ngx_chat_batch_rollback(&b->handle.db);

        return (rc == NGX_DECLINED || rc == NGX_ABORT) ? NGX_OK : rc;
    }

    f->begun = 1;

    if (f->chunk.place.term) {
        ngx_chat_back_filled(b, &f->chunk.place);
    }

    return NGX_OK;
}


/* In a transaction.  NGX_OK; NGX_DECLINED: no node has made this; NGX_ABORT:
   the others have something else; NGX_BUSY, NGX_ERROR. */

static ngx_int_t
ngx_chat_back_fill_store(ngx_chat_back_t *b)
{
    ngx_int_t               rc;
    ngx_chat_back_fill_t   *f;
    ngx_chat_link_place_t  *place;

    f = &b->fill;
    place = &f->chunk.place;

    /* of a fill that was broken off, perhaps in another term */

    if (!f->begun) {
        rc = ngx_chat_back_remove_behind(b, b->place.seq);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    rc = ngx_chat_back_fill_items(b);

    if (rc != NGX_OK || place->term == 0) {
        return rc;
    }

    if (place->seq < ngx_max(f->last, b->place.seq) || place->nonce == 0) {
        return NGX_DECLINED;
    }

    /* who gave it is in another term, of which this node knows nothing yet */

    return (place->term == b->meta.term) ? ngx_chat_back_keep(b, place)
                                         : NGX_AGAIN;
}


static ngx_int_t
ngx_chat_back_fill_items(ngx_chat_back_t *b)
{
    u_char               *p, *end;
    ngx_int_t             rc;
    ngx_chat_record_t     rec;
    ngx_chat_log_item_t   item;

    p = b->fill.chunk.items.data;
    end = p + b->fill.chunk.items.len;

    while ((rc = ngx_chat_log_item_unpack(&item, &p, end)) == NGX_OK) {

        if (!ngx_chat_message_is_old(item.kind)) {
            return NGX_DECLINED;
        }

        ngx_chat_back_record(&item, 0, 0, &rec);

        if (rec.id <= b->fill.last || rec.id > (uint64_t) NGX_CHAT_LINK_MAX) {
            return NGX_DECLINED;
        }

        rc = (rec.id <= b->place.seq)
             ? ngx_chat_back_fill_compare(b, &rec)
             : ngx_chat_batch_replicate(&b->handle.db, &rec, 1);

        if (rc != NGX_OK) {
            return rc;
        }

        b->fill.messages += (rec.id > b->place.seq);
        b->fill.last = rec.id;
    }

    return (rc == NGX_DONE) ? NGX_OK : NGX_DECLINED;
}


/* What both have is the same, or this node has seen numbers that were given
   again since.  NGX_OK, NGX_ABORT, NGX_ERROR. */

static ngx_int_t
ngx_chat_back_fill_compare(ngx_chat_back_t *b, ngx_chat_record_t *rec)
{
    int            rc;
    ngx_int_t      status;
    sqlite3_stmt  *st;

    if (sqlite3_prepare_v2(b->handle.db.handle, NGX_CHAT_BACK_OTHER, -1, &st,
                           NULL)
        != SQLITE_OK)
    {
        return ngx_chat_db_failed(&b->handle.db, "sqlite3_prepare_v2()");
    }

    (void) sqlite3_bind_int64(st, 1, (sqlite3_int64) rec->id);
    (void) sqlite3_bind_int64(st, 2, (sqlite3_int64) rec->app);
    (void) ngx_chat_db_bind_text(st, 3, &rec->channel);
    (void) ngx_chat_db_bind_text(st, 4, &rec->event);
    (void) ngx_chat_db_bind_text(st, 5, &rec->content);
    (void) sqlite3_bind_int64(st, 6, rec->created);

    rc = sqlite3_step(st);

    status = (rc == SQLITE_DONE) ? NGX_OK
             : (rc == SQLITE_ROW) ? NGX_ABORT
             : ngx_chat_db_failed(&b->handle.db, "sqlite3_step()");

    (void) sqlite3_finalize(st);

    return status;
}


/* With the write lock.  Clients have missed what was in between. */

static void
ngx_chat_back_filled(ngx_chat_back_t *b, ngx_chat_link_place_t *place)
{
    b->fill.wanted = 0;
    b->fill.begun = 0;
    b->place = *place;
    b->saved = *place;
    b->conf->sh->last = ngx_max(b->conf->sh->last, b->fill.last);

    b->conf->begun(b->conf->data, place->seq, 1);

    ngx_chat_link_sh_set_place(b->sh, place);
    ngx_chat_link_set(&b->sh->applied, place->seq);
    ngx_chat_link_set(&b->sh->stored, place->seq);

    ngx_log_error(NGX_LOG_NOTICE, b->log, 0,
                  "chat cluster: another node has given the %ui messages that "
                  "this one lacked, up to %uL; clients are told to reconnect",
                  b->fill.messages, place->seq);

    b->fill.messages = 0;
}
