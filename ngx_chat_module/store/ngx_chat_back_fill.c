
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A node that the log does not reach gets the messages that it lacks from
 * another node.  It is in the cluster behind that, and reads the log from the
 * place that the other one had.
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

#define NGX_CHAT_BACK_PARTED    10000  /* ms until it tries again where it has
                                          something else than the others */


static ngx_int_t ngx_chat_back_fill_reaches(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_fill_wanted(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_fill_from(ngx_chat_back_t *b, uint64_t node);
static ngx_int_t ngx_chat_back_fill_chunk(ngx_chat_back_t *b);
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

    nodes = NULL;
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
    b->fill.parted = 0;

    for (i = 0; i < n && rc == NGX_DECLINED; i += 2) {
        incarnation = ngx_chat_engine_text(ngx_chat_engine_item(nodes, i));

        if (ngx_chat_link_incarnation(&incarnation, &node) == NGX_OK) {
            rc = ngx_chat_back_fill_from(b, node);
        }
    }

    ngx_chat_engine_free(nodes);

    if (rc == NGX_DECLINED && b->fill.parted) {
        rc = ngx_chat_back_parted(b, &b->place);
        ngx_chat_single_sleep(&b->single, NGX_CHAT_BACK_PARTED);
    }

    return (rc == NGX_DECLINED)
           ? ngx_chat_back_failed(b, "the log does not go back far enough, and "
                                  "no other node gives what is missing now; "
                                  "start one that has it, or begin with a copy "
                                  "of its database")
           : rc;
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

    /* of the one before, where its connection was lost */

    if (f->fill.id && ngx_chat_link_fill_end(&b->link, &f->fill) == NGX_ERROR)
    {
        return NGX_ERROR;
    }

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

    if (rc == NGX_ERROR
        || ngx_chat_link_fill_end(&b->link, &f->fill) == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    f->fill.id = 0;

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

        rc = ngx_chat_back_locked(b, ngx_chat_back_fill_store);

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

    /* another node may have the same as this one */

    if (f->use == NGX_ABORT) {
        f->parted = 1;
        return NGX_DECLINED;
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
