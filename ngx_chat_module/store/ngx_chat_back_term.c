
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Whose cluster it is, and terms.
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

#include <shared/ngx_chat_incident.h>
#include <store/ngx_chat_back_work.h>


static ngx_int_t ngx_chat_back_new_term(ngx_chat_back_t *b);
static ngx_int_t ngx_chat_back_save_all(ngx_chat_back_t *b);
static void ngx_chat_back_has_lost(ngx_chat_back_t *b);


/*
 * There is no cluster, or none any more.  Of several nodes that find that, one
 * makes it.
 */

ngx_int_t
ngx_chat_back_found(ngx_chat_back_t *b)
{
    ngx_memcpy(b->meta.epoch, b->conf->sh->epoch, NGX_CHAT_LINK_EPOCH);

    if (b->id[0]) {
        ngx_memcpy(b->meta.id, b->id, NGX_CHAT_LINK_EPOCH);

    } else {
        ngx_chat_link_token(b->meta.id);
    }

    if (b->place.term) {
        ngx_chat_back_has_lost(b);

        ngx_log_error(NGX_LOG_ALERT, b->log, 0,
                      "chat cluster: the engine has lost all of it; it is made "
                      "anew, behind %uL", b->place.seq);

    } else {

        /* also where it has begun to, and does not know what came of it */

        b->place.seq = b->conf->sh->last;

        ngx_log_error(NGX_LOG_NOTICE, b->log, 0,
                      "chat cluster: this node makes the cluster, whose "
                      "numbers begin behind %uL", b->place.seq);
    }

    return ngx_chat_back_new_term(b);
}


/* Whether the database is one of this cluster's. */

ngx_int_t
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

ngx_int_t
ngx_chat_back_lost(ngx_chat_back_t *b)
{
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

    return ngx_chat_back_new_term(b);
}


/*
 * The place is kept before it is said.  That in shared memory may be ahead of
 * the database's, and if this node died behind that, no node would have all.
 * NGX_AGAIN: there is a term now, whoever has begun it; NGX_ERROR.
 */

static ngx_int_t
ngx_chat_back_new_term(ngx_chat_back_t *b)
{
    ngx_int_t  rc;

    rc = ngx_chat_back_locked(b, ngx_chat_back_save_all);
    if (rc != NGX_OK) {
        return rc;
    }

    /* the first term goes on with the database's */

    if (b->place.term) {
        ngx_chat_link_token(b->meta.epoch);
    }

    rc = ngx_chat_link_term(&b->link, &b->meta, &b->place, &b->books);

    return (rc == NGX_OK || rc == NGX_AGAIN) ? NGX_AGAIN : NGX_ERROR;
}


static ngx_int_t
ngx_chat_back_save_all(ngx_chat_back_t *b)
{
    ngx_int_t  rc;

    rc = ngx_chat_back_save(b);

    return (rc == NGX_OK) ? ngx_chat_books_last(&b->handle.db, &b->books) : rc;
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
 * Who began the term had seen most.  What others lack of the end that was lost,
 * it gives them behind that, or another node does that has all.  A node waits
 * for it, as it could not tell from the log that something is missing.
 */

ngx_int_t
ngx_chat_back_wait_offer(ngx_chat_back_t *b)
{
    if (b->meta.offered || ngx_chat_back_is_complete(b)) {
        return NGX_OK;
    }

    return ngx_chat_back_failed(b, "the end of the log was lost, and no node "
                                "has given it again yet that has all of it; "
                                "start the one that has most");
}


ngx_uint_t
ngx_chat_back_is_complete(ngx_chat_back_t *b)
{
    ngx_chat_link_place_t  *from;

    from = &b->meta.from;

    return b->place.term == b->meta.term
           || (b->place.term == from->term
               && (b->place.seq > from->seq
                   || (b->place.seq == from->seq
                       && b->place.nonce == from->nonce)));
}
