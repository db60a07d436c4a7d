
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The node's lease, and what goes with its beat.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_node.h>
#include <store/ngx_chat_back_work.h>


static ngx_int_t ngx_chat_back_tell_lacks(ngx_chat_back_t *b);


/*
 * A node has another name in the log after it was taken for dead, in another
 * term, and after a wipe, which nobody else knows of: the others drop all that
 * it had under the old one.
 */

ngx_int_t
ngx_chat_back_enter(ngx_chat_back_t *b)
{
    uint64_t             incarnation, expired;
    ngx_int_t            rc;
    ngx_uint_t           fresh;
    ngx_chat_zone_t     *zone;
    ngx_chat_link_sh_t  *sh;

    sh = b->sh;
    zone = b->conf->zone;

    if (sh->census_term == b->meta.term
        && sh->census_generation != zone->sh->generation + 1)
    {
        rc = ngx_chat_back_withdraw(b);

        if (rc != NGX_OK) {
            return (rc == NGX_AGAIN) ? NGX_AGAIN : NGX_ERROR;
        }
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

    /* where the files are others by now, those can't be opened beside it */

    if (b->handle.db.handle
        && ngx_chat_handle_ready(&b->handle, 0, b->log) != NGX_OK)
    {
        ngx_chat_handle_close(&b->handle);
    }

    if (b->handle.db.handle && b->handle.db.files.file != b->file) {
        return NGX_AGAIN;
    }

    /* where no messages were stored meanwhile */

    if (b->place.seq != b->saved.seq || b->place.term != b->saved.term) {
        rc = ngx_chat_back_locked(b, ngx_chat_back_save);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (ngx_chat_back_tell_lacks(b) != NGX_OK) {
        return NGX_ERROR;
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


/* NGX_OK, NGX_ERROR. */

static ngx_int_t
ngx_chat_back_tell_lacks(ngx_chat_back_t *b)
{
    if (!b->lacking) {
        return NGX_OK;
    }

    b->lacking = 0;

    return (ngx_chat_link_lacks(&b->link) == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


/*
 * The node is not in the cluster for so long that its clients are sent away.
 * Its members go for the others, too: each attempt to join has kept its lease.
 */

void
ngx_chat_back_cut_off(ngx_chat_back_t *b)
{
    if (b->cut_off || !ngx_chat_link_is_isolated(b->link_conf)) {
        return;
    }

    b->cut_off = 1;

    ngx_log_error(NGX_LOG_CRIT, b->log, 0,
                  "chat cluster: this node was not in the cluster for %Mms, "
                  "clients are sent to the other nodes until it is",
                  b->link_conf->isolate);

    if (ngx_chat_back_withdraw(b) != NGX_OK) {
        ngx_chat_link_set(&b->sh->incarnation, 0);
    }
}


ngx_int_t
ngx_chat_back_withdraw(ngx_chat_back_t *b)
{
    ngx_int_t  rc;

    rc = NGX_OK;

    if (b->sh->incarnation) {
        rc = ngx_chat_link_gone(&b->link, b->meta.term, b->sh->incarnation, 1);
    }

    if (rc == NGX_OK) {
        ngx_chat_link_set(&b->sh->incarnation, 0);
    }

    return rc;
}


/* Once in a worker's life: not everybody can change the engine's settings. */

ngx_int_t
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
