
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * How a node becomes a part of the cluster.
 *
 * The first node makes the cluster of its own database: numbers of the log go
 * on behind its ids.  Each other one has an empty database, or a copy of
 * another node's, or its own from before.
 *
 * An engine may lose the end of the log, where it fails over or restarts.  A
 * node that has seen more than the engine has begins a new term behind that.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_futex.h>
#include <shared/ngx_chat_incident.h>
#include <shared/ngx_chat_node.h>
#include <store/ngx_chat_back_work.h>
#include <store/ngx_chat_write_lock.h>
#include <wire/ngx_chat_clock.h>

#include <stdio.h>


#define NGX_CHAT_BACK_CONNECT  2000    /* ms */
#define NGX_CHAT_BACK_ROW      128     /* bytes of what is kept */


static ngx_int_t ngx_chat_back_locate(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_warn(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_found(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_save(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_belongs(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_lost(ngx_chat_back_t *b);
static void ngx_chat_back_has_lost(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_enter(ngx_chat_back_t *b);
static void ngx_chat_back_place(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_row(ngx_chat_db_t *db, char *row);


ngx_int_t
ngx_chat_back_join(ngx_chat_back_t *b)
{
    ngx_int_t  rc;

    if (ngx_chat_engine_connect(&b->link.engine, NGX_CHAT_BACK_CONNECT)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    b->file = 0;

    if (ngx_chat_back_locked(b, ngx_chat_back_locate) != NGX_OK
        || ngx_chat_link_meta(&b->link, &b->meta) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (b->meta.term == 0) {
        rc = ngx_chat_back_found(b);

    } else {
        rc = ngx_chat_back_belongs(b);

        if (rc == NGX_OK && b->id[0] == '\0') {
            rc = ngx_chat_back_locked(b, ngx_chat_back_save);
        }

        if (rc == NGX_OK) {
            rc = ngx_chat_back_lost(b);
        }
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_back_enter(b);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_back_census(b);
    }

    if (rc == NGX_OK) {
        ngx_chat_back_place(b);
        rc = ngx_chat_back_offer(b);
    }

    if (rc == NGX_OK && !b->warned) {
        rc = ngx_chat_back_warn(b);
    }

    b->news = 1;

    return rc;
}


/* Once in a worker's life, as it may be wanted so by somebody else. */

static ngx_int_t
ngx_chat_back_warn(ngx_chat_back_t *b)
{
    ngx_int_t  rc;

    rc = ngx_chat_link_evicts(&b->link);

    if (rc == NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, b->log, 0,
                      "chat cluster: the engine may drop the log when its "
                      "memory is full; maxmemory-policy should be "
                      "noeviction");
    }

    b->warned = (rc != NGX_ERROR);

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


/*
 * There is no cluster, or none any more.  Of several nodes that find that, one
 * makes it.
 */

static ngx_int_t
ngx_chat_back_found(ngx_chat_back_t *b)
{
    ngx_int_t  rc;

    ngx_memcpy(b->meta.epoch, b->conf->sh->epoch, NGX_CHAT_LINK_EPOCH);

    if (b->id[0]) {
        ngx_chat_back_has_lost(b);

        ngx_log_error(NGX_LOG_ALERT, b->log, 0,
                      "chat cluster: the engine has lost all of it; it is made "
                      "anew, behind %uL", b->place.seq);

        ngx_memcpy(b->meta.id, b->id, NGX_CHAT_LINK_EPOCH);
        ngx_chat_link_token(b->meta.epoch);

        b->sh->offer = 1;

    } else {

        /* kept before it is said, as its answer may be lost */

        b->place.seq = b->conf->sh->last;
        ngx_chat_link_token(b->meta.id);

        rc = ngx_chat_back_locked(b, ngx_chat_back_save);
        if (rc != NGX_OK) {
            return rc;
        }

        ngx_log_error(NGX_LOG_NOTICE, b->log, 0,
                      "chat cluster: this node makes the cluster, whose "
                      "numbers begin behind %uL", b->place.seq);
    }

    rc = ngx_chat_link_term(&b->link, &b->meta, b->place.term, b->place.seq);

    /* as it is now, whoever has made it */

    return (rc == NGX_OK || rc == NGX_AGAIN) ? NGX_AGAIN : NGX_ERROR;
}


/* With the write lock: the database belongs to the cluster, and has all up to
   this place. */

static ngx_int_t
ngx_chat_back_save(ngx_chat_back_t *b)
{
    b->saved = b->place.seq;

    return ngx_chat_back_keep(b, &b->place);
}


ngx_int_t
ngx_chat_back_locked(ngx_chat_back_t *b,
    ngx_int_t (*handler)(ngx_chat_back_t *b))
{
    ngx_int_t  rc;

    rc = ngx_chat_write_lock_take(b->conf->sh, NGX_CHAT_STORE_WAIT, b->log);
    if (rc != NGX_OK) {
        return ngx_chat_back_failed(b, "the write lock is not to be had");
    }

    rc = ngx_chat_back_ready(b);

    if (rc == NGX_OK) {
        rc = handler(b);
    }

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_chat_handle_failed(&b->handle, rc, b->log);
        rc = ngx_chat_back_failed(b, "the database is not to be had");
    }

    ngx_chat_write_lock_give(b->conf->sh);

    return rc;
}


ngx_int_t
ngx_chat_back_ready(ngx_chat_back_t *b)
{
    ngx_int_t  rc;

    rc = ngx_chat_handle_ready(&b->handle, 1, b->log);

    return (rc == NGX_OK && b->file && b->file != b->handle.db.files.file)
           ? NGX_AGAIN : rc;
}


/* With the write lock: where this node goes on. */

static ngx_int_t
ngx_chat_back_locate(ngx_chat_back_t *b)
{
    ngx_int_t  rc;

    ngx_memzero(&b->place, sizeof(ngx_chat_link_place_t));

    rc = ngx_chat_back_load(b, &b->place, b->id);

    if (rc != NGX_OK) {
        return rc;
    }

    b->file = b->handle.db.files.file;

    /*
     * The one before may have got further with the database than with the ring.
     * A file that was put in its place may be behind the ring, and is filled
     * again.
     */

    if (b->sh->file == b->file) {
        (void) ngx_chat_link_sh_get_place(b->sh, &b->place);
    }

    return NGX_OK;
}


/* Whether the database is one of this cluster's. */

static ngx_int_t
ngx_chat_back_belongs(ngx_chat_back_t *b)
{
    /* one that wanted to make the cluster, and another node has */

    if (b->id[0] && b->place.term == 0 && b->conf->sh->last == 0
        && ngx_memcmp(b->id, b->meta.id, NGX_CHAT_LINK_EPOCH) != 0)
    {
        ngx_memzero(&b->place, sizeof(ngx_chat_link_place_t));
        b->id[0] = '\0';
    }

    if (b->id[0]) {
        return (ngx_memcmp(b->id, b->meta.id, NGX_CHAT_LINK_EPOCH) == 0)
               ? NGX_OK
               : ngx_chat_back_failed(b, "the database is of another cluster; "
                                      "use another prefix, or another file");
    }

    if (b->conf->sh->last) {
        return ngx_chat_back_failed(b, "the database has messages of its own, "
                                    "and the cluster is there already; begin "
                                    "with a copy of another node's database, "
                                    "or with none");
    }

    return NGX_OK;
}


/*
 * The engine does not have any more what this node has seen.  Where somebody
 * else has begun a term since, offer() sees to what that does not have.
 */

static ngx_int_t
ngx_chat_back_lost(ngx_chat_back_t *b)
{
    ngx_int_t               rc;
    ngx_chat_link_meta_t   *meta;
    ngx_chat_link_place_t  *place;

    meta = &b->meta;
    place = &b->place;

    if (place->term < meta->term
        || (place->term == meta->term
            && (place->seq < meta->seq
                || (place->seq == meta->seq && place->nonce == meta->nonce))))
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ALERT, b->log, 0,
                  "chat cluster: the engine has lost the end of the log: it "
                  "has %uL of term %uL, this node has seen %uL of term %uL; a "
                  "new term begins", meta->seq, meta->term, place->seq,
                  place->term);

    ngx_chat_back_has_lost(b);
    ngx_chat_link_token(meta->epoch);

    /* before it is said, as its answer may be lost */

    b->sh->offer = 1;

    rc = ngx_chat_link_term(&b->link, meta, place->term, place->seq);

    return (rc == NGX_OK || rc == NGX_AGAIN) ? NGX_AGAIN : NGX_ERROR;
}


static void
ngx_chat_back_has_lost(ngx_chat_back_t *b)
{
    ngx_chat_link_set(&b->sh->lost, b->sh->lost + 1);

    ngx_chat_incident_note(NGX_CHAT_INCIDENT_CLUSTER_LOST_e,
                           "it has %uL, this node has seen %uL", b->meta.seq,
                           b->place.seq);
}


/*
 * A node has another name in the log after it was taken for dead, in another
 * term, and after a wipe, which nobody else knows of: the others drop all that
 * it had under the old one.
 */

static ngx_int_t
ngx_chat_back_enter(ngx_chat_back_t *b)
{
    uint64_t             incarnation, expired;
    ngx_int_t            rc;
    ngx_uint_t           fresh;
    ngx_chat_zone_t     *zone;
    ngx_chat_link_sh_t  *sh;

    sh = b->sh;
    zone = b->conf->zone;

    if (sh->incarnation && sh->census_term == b->meta.term
        && sh->census_generation != zone->sh->generation + 1)
    {
        rc = ngx_chat_link_gone(&b->link, b->meta.term, sh->incarnation, 1);

        if (rc != NGX_OK) {
            return (rc == NGX_AGAIN) ? NGX_AGAIN : NGX_ERROR;
        }

        ngx_chat_link_set(&sh->incarnation, 0);
    }

    fresh = (sh->incarnation == 0 || sh->census_term != b->meta.term);
    incarnation = fresh ? ngx_chat_link_random() : sh->incarnation;

    rc = ngx_chat_link_hello(&b->link, b->meta.term, incarnation, fresh,
                             &expired);

    if (rc == NGX_AGAIN) {

        /* the lease is over, or the term */

        ngx_chat_link_set(&sh->incarnation, 0);
    }

    if (rc != NGX_OK) {
        return (rc == NGX_AGAIN) ? NGX_AGAIN : NGX_ERROR;
    }

    if (ngx_chat_link_get(&zone->sh->nodes->self) != incarnation) {
        ngx_chat_node_begin(zone, incarnation);
    }

    ngx_chat_link_set(&sh->incarnation, incarnation);

    return NGX_OK;
}


/* Tells the workers where this node goes on. */

static void
ngx_chat_back_place(ngx_chat_back_t *b)
{
    ngx_chat_link_sh_t  *sh;

    sh = b->sh;

    if (sh->nplaces == 0) {
        ngx_chat_link_set(&sh->applied, b->place.seq);
        ngx_chat_link_set(&sh->quiet, b->meta.seq);
    }

    if (sh->file != b->file) {
        ngx_chat_link_sh_set_place(sh, &b->place);
        ngx_chat_link_set(&sh->file, b->file);
    }

    /* numbers behind that are other messages' in this term, and offer() sees to
       those that were here */

    if (ngx_chat_back_has_orphans(b)) {
        ngx_chat_link_set(&sh->applied, b->meta.first);
    }
}


void
ngx_chat_back_joined(ngx_chat_back_t *b)
{
    ngx_chat_link_sh_t  *sh;

    sh = b->sh;

    if (sh->term != b->meta.term) {
        ngx_log_error(NGX_LOG_NOTICE, b->log, 0,
                      "chat cluster: this node, \"%V\", is in it: term %uL, "
                      "at %uL of %uL", &b->link_conf->name, b->meta.term,
                      b->place.seq, b->meta.seq);
    }

    ngx_chat_link_set(&sh->alive, ngx_chat_clock_msec());
    ngx_chat_link_set(&sh->term, b->meta.term);
    ngx_chat_futex_turn(&sh->turns);

    b->cut_off = 0;

    b->beat = ngx_chat_clock_msec() + b->link_conf->lease / 4;
}


ngx_int_t
ngx_chat_back_beat(ngx_chat_back_t *b)
{
    uint64_t              expired;
    ngx_int_t             rc;
    ngx_chat_link_sh_t   *sh;
    ngx_chat_link_meta_t  meta;

    sh = b->sh;

    rc = ngx_chat_link_meta(&b->link, &meta);
    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (meta.term != b->meta.term || meta.seq < b->place.seq) {
        return NGX_AGAIN;
    }

    if (sh->incarnation == 0
        || sh->census_generation != b->conf->zone->sh->generation + 1)
    {
        return NGX_AGAIN;
    }

    /* the files may be others, and this handle is in the way of those */

    if (b->handle.db.handle
        && ngx_chat_handle_ready(&b->handle, 0, b->log) != NGX_OK)
    {
        ngx_chat_handle_close(&b->handle);
    }

    if (b->handle.db.handle && b->handle.db.files.file != b->file) {
        return NGX_AGAIN;
    }

    /* where no messages were stored meanwhile */

    if (b->place.seq != b->saved) {
        rc = ngx_chat_back_locked(b, ngx_chat_back_save);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    rc = ngx_chat_link_hello(&b->link, b->meta.term, sh->incarnation, 0,
                             &expired);

    if (rc == NGX_AGAIN) {
        ngx_chat_link_set(&sh->incarnation, 0);
    }

    if (rc == NGX_OK && expired) {
        rc = ngx_chat_link_gone(&b->link, b->meta.term, expired, 0);

        /* there may be more of them: the next step asks again */

        ngx_chat_link_set(&sh->doubt, 1);
    }

    return (rc == NGX_DECLINED) ? NGX_ERROR : rc;
}


/* "ID TERM SEQ NONCE". */

ngx_int_t
ngx_chat_back_load(ngx_chat_back_t *b, ngx_chat_link_place_t *place, char *id)
{
    char                row[NGX_CHAT_BACK_ROW];
    ngx_int_t           rc;
    unsigned long long  term, seq, nonce;

    rc = ngx_chat_back_row(&b->handle.db, row);

    id[0] = '\0';

    if (rc != NGX_OK || row[0] == '\0') {
        return rc;
    }

    if (sscanf(row, "%32[0-9a-f] %llu %llu %16llx", id, &term, &seq, &nonce)
        != 4)
    {
        id[0] = '\0';
        return ngx_chat_db_refuse(&b->handle.db, NGX_ERROR,
                                  "meta has no place in a cluster's log");
    }

    place->term = term;
    place->seq = seq;
    place->nonce = nonce;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_back_row(ngx_chat_db_t *db, char *row)
{
    int            rc;
    const u_char  *p;
    sqlite3_stmt  *st;

    row[0] = '\0';

    rc = sqlite3_prepare_v2(db->handle, "SELECT value FROM meta"
                            " WHERE key = 'cluster'", -1, &st, NULL);
    if (rc != SQLITE_OK) {
        return ngx_chat_db_failed(db, "sqlite3_prepare_v2()");
    }

    rc = sqlite3_step(st);

    if (rc == SQLITE_ROW) {
        p = sqlite3_column_text(st, 0);
        (void) snprintf(row, NGX_CHAT_BACK_ROW, "%s", p ? (char *) p : "");
        rc = SQLITE_DONE;
    }

    rc = (rc == SQLITE_DONE) ? NGX_OK
                             : (int) ngx_chat_db_failed(db, "sqlite3_step()");

    (void) sqlite3_finalize(st);

    return rc;
}


ngx_int_t
ngx_chat_back_keep(ngx_chat_back_t *b, ngx_chat_link_place_t *place)
{
    char  sql[256 + 2 * NGX_CHAT_LINK_EPOCH];

    (void) snprintf(sql, sizeof(sql),
                    "INSERT OR REPLACE INTO meta (key, value) VALUES"
                    " ('cluster', '%.32s %llu %llu %016llx'),"
                    " ('epoch', '%.32s')", (char *) b->meta.id,
                    (unsigned long long) place->term,
                    (unsigned long long) place->seq,
                    (unsigned long long) place->nonce,
                    (char *) b->meta.epoch);

    return ngx_chat_db_exec(&b->handle.db, sql);
}
