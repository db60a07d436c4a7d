
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * How a node becomes a part of the cluster: it finds its place in the log, gets
 * a lease, and reads what it has missed.  It takes messages when it has all
 * that the log had as it began.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_futex.h>
#include <store/ngx_chat_back_work.h>
#include <store/ngx_chat_write_lock.h>
#include <wire/ngx_chat_clock.h>


#define NGX_CHAT_BACK_CONNECT  2000    /* ms */


static ngx_int_t ngx_chat_back_find(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_locate(ngx_chat_back_t *b);
static void ngx_chat_back_place(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_jump(ngx_chat_back_t *b);
static void ngx_chat_back_joined(ngx_chat_back_t *b);


ngx_int_t
ngx_chat_back_join(ngx_chat_back_t *b)
{
    ngx_int_t  rc;

    if (ngx_chat_engine_connect(&b->link.engine, NGX_CHAT_BACK_CONNECT)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    b->give.fill.id = 0;

    rc = ngx_chat_back_find(b);

    if (rc == NGX_OK) {
        rc = ngx_chat_back_fill(b);
    }

    if (rc == NGX_OK) {

        /* what moves from here on is of this term; the one before may be of a
           back that has died */

        if (b->sh->term != b->meta.term) {
            ngx_chat_link_set(&b->sh->term, 0);
        }

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

    b->arriving = 1;

    return rc;
}


/* Where this node is, and where the cluster is. */

static ngx_int_t
ngx_chat_back_find(ngx_chat_back_t *b)
{
    ngx_int_t  rc;

    b->file = 0;

    if (ngx_chat_back_locked(b, ngx_chat_back_locate) != NGX_OK
        || ngx_chat_link_meta(&b->link, &b->meta) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (b->meta.term == 0) {
        return ngx_chat_back_found(b);
    }

    rc = ngx_chat_back_belongs(b);

    if (rc == NGX_OK && b->id[0] == '\0') {
        rc = ngx_chat_back_locked(b, ngx_chat_back_save);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_back_lost(b);
    }

    return (rc == NGX_OK) ? ngx_chat_back_wait_offer(b) : rc;
}


/* With the write lock: the database belongs to the cluster, and has all up to
   this place. */

ngx_int_t
ngx_chat_back_save(ngx_chat_back_t *b)
{
    b->saved = b->place;

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


/* Tells the workers where this node goes on. */

static void
ngx_chat_back_place(ngx_chat_back_t *b)
{
    uint64_t             most;
    ngx_chat_link_sh_t  *sh;

    sh = b->sh;

    if (sh->nplaces == 0) {
        ngx_chat_link_set(&sh->applied, b->place.seq);
        ngx_chat_link_set(&sh->quiet, b->meta.seq);
    }

    /* before the file, which readers look at first */

    ngx_chat_link_set(&sh->stored, b->place.seq);

    if (sh->file != b->file) {
        ngx_chat_link_sh_set_place(sh, &b->place);
        ngx_chat_link_set(&sh->file, b->file);
    }

    /* numbers behind that are other items' in this term; offer() sees to the
       messages that had them here */

    most = (b->place.term && b->place.term < b->meta.term) ? b->meta.from.seq
                                                           : b->meta.seq;

    if (sh->applied > most) {
        ngx_chat_link_set(&sh->applied, most);
    }
}


ngx_int_t
ngx_chat_back_arrive(ngx_chat_back_t *b, ngx_uint_t n)
{
    ngx_int_t  rc;

    /* there is nothing behind this place: so it must be the end */

    if (n == 0 && ngx_chat_back_is_behind(b)) {
        return ngx_chat_back_trimmed(b, b->meta.seq, &b->place);
    }

    if (n == 0 && b->place.term != b->meta.term) {
        rc = ngx_chat_back_locked(b, ngx_chat_back_jump);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (b->place.term == b->meta.term && b->place.seq >= b->meta.seq) {
        b->arriving = 0;
        ngx_chat_back_joined(b);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_chat_back_is_behind(ngx_chat_back_t *b)
{
    if (b->place.term == b->meta.term) {
        return b->place.seq < b->meta.seq;
    }

    return b->meta.seq != b->meta.first
           || !ngx_chat_back_may_jump(b, &b->place, b->meta.term,
                                      b->meta.first);
}


ngx_uint_t
ngx_chat_back_may_jump(ngx_chat_back_t *b, ngx_chat_link_place_t *place,
    uint64_t term, uint64_t seq)
{
    if (term != b->meta.term || seq != b->meta.first) {
        return 0;
    }

    if (place->term == 0) {
        return seq == place->seq;
    }

    /* what this node has missed of the term before was offered again, but not
       more than that */

    return place->term == b->meta.from.term
           && (place->seq != b->meta.from.seq
               || place->nonce == b->meta.from.nonce)
           && b->meta.from.seq <= place->seq + NGX_CHAT_BACK_OFFERED;
}


/* With the write lock: to the beginning of a term that has no items yet. */

static ngx_int_t
ngx_chat_back_jump(ngx_chat_back_t *b)
{
    if (b->place.term) {
        ngx_chat_back_begin_term(b, b->meta.term, b->meta.first);
    }

    b->place.term = b->meta.term;
    b->place.seq = b->meta.first;
    b->place.nonce = b->meta.start;

    ngx_chat_link_sh_set_place(b->sh, &b->place);
    ngx_chat_link_set(&b->sh->applied, b->meta.first);
    ngx_chat_link_set(&b->sh->stored, b->meta.first);

    return ngx_chat_back_save(b);
}


static void
ngx_chat_back_joined(ngx_chat_back_t *b)
{
    ngx_chat_link_sh_t  *sh;

    sh = b->sh;

    ngx_log_error(NGX_LOG_NOTICE, b->log, 0,
                  "chat cluster: this node, \"%V\", is in it: term %uL, at "
                  "%uL of %uL", &b->link_conf->name, b->meta.term,
                  b->place.seq, b->meta.seq);

    ngx_chat_link_set(&sh->alive, ngx_chat_clock_msec());
    ngx_chat_link_set(&sh->term, b->meta.term);
    ngx_chat_futex_turn(&sh->turns);

    b->cut_off = 0;

    b->beat = ngx_chat_clock_msec() + b->link_conf->lease / 4;
}
