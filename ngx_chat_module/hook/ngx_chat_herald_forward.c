
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * In a cluster: what only this node knows goes to the others, by the log.
 *
 * Records that came with the log have its numbers; the others are of this node.
 * How far they are forwarded is in the zone, which lives as long as the ring.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald_work.h>
#include <link/ngx_chat_log_item.h>
#include <shared/ngx_chat_incident.h>
#include <shared/ngx_chat_index.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


static ngx_int_t ngx_chat_herald_forward_some(ngx_chat_herald_t *h,
    uint64_t end);
static ngx_int_t ngx_chat_herald_gather_some(ngx_chat_herald_t *h,
    ngx_chat_link_item_t *items, ngx_uint_t *n, uint64_t *next);
static ngx_int_t ngx_chat_herald_forward_item(ngx_chat_herald_t *h,
    ngx_chat_hook_record_t *rec, ngx_chat_link_item_t *it);
static void ngx_chat_herald_forwarded(ngx_chat_herald_t *h, uint64_t position);


void
ngx_chat_herald_forward(ngx_chat_herald_t *h, ngx_uint_t last)
{
    uint64_t                    from, newest;
    ngx_int_t                   rc;
    ngx_chat_herald_cluster_t  *c;

    c = &h->cluster;

    if (h->link_conf == NULL
        || ngx_chat_link_get(&h->link_conf->sh->term) == 0
        || (!last && ngx_chat_clock_msec() < c->pause))
    {
        return;
    }

    newest = ngx_chat_herald_newest(h->zone);
    from = h->zone->sh->hooks.forwarded;
    rc = NGX_OK;

    if (c->chain.n == 0) {

        if (newest == NGX_CHAT_INDEX_NONE || newest < from) {
            return;
        }

        rc = ngx_chat_herald_find(h, &c->chain, from);
    }

    while (rc == NGX_OK && c->chain.n) {
        rc = ngx_chat_herald_forward_some(h, ngx_chat_herald_patience(h,
                                                                      last));
    }

    if (rc == NGX_OK) {
        return;
    }

    c->chain.n = 0;
    c->pause = ngx_chat_clock_msec() + NGX_CHAT_HERALD_REST;

    if (rc == NGX_DECLINED) {
        ngx_log_error(NGX_LOG_ERR, h->log, 0,
                      "chat webhooks were overrun by events before they were "
                      "in the cluster's log: events are lost");
        ngx_chat_incident_note(NGX_CHAT_INCIDENT_RING_OVERRUN_e, "webhooks");

        ngx_chat_herald_forwarded(h, newest + 1);
    }
}


/*
 * An append of which nobody knows what came of it is made again, by the next
 * call: where it had been taken, the others are told twice.
 */

static ngx_int_t
ngx_chat_herald_forward_some(ngx_chat_herald_t *h, uint64_t end)
{
    uint64_t                next;
    ngx_int_t               rc;
    ngx_uint_t              i, n;
    ngx_chat_link_item_t   *items;
    ngx_chat_link_batch_t   b;

    items = calloc(NGX_CHAT_HERALD_ITEMS, sizeof(ngx_chat_link_item_t));
    if (items == NULL) {
        return NGX_ERROR;
    }

    n = 0;
    next = 0;

    rc = ngx_chat_herald_gather_some(h, items, &n, &next);

    if (rc == NGX_OK && n) {
        ngx_memzero(&b, sizeof(ngx_chat_link_batch_t));

        b.items = items;
        b.n = n;

        ngx_chat_failpoint("hook forward");

        if (ngx_chat_herald_append(h, &b, end) != NGX_OK) {
            rc = NGX_ERROR;
        }
    }

    if (rc == NGX_OK) {
        ngx_chat_herald_forwarded(h, next);
    }

    for (i = 0; i < n; i++) {
        free(items[i].bytes.data);
    }

    free(items);

    return rc;
}


/* Takes records off the chain; *next is the place behind them. */

static ngx_int_t
ngx_chat_herald_gather_some(ngx_chat_herald_t *h, ngx_chat_link_item_t *items,
    ngx_uint_t *n, uint64_t *next)
{
    size_t                    size;
    ngx_int_t                 rc;
    ngx_chat_hook_record_t    rec;
    ngx_chat_herald_chain_t  *chain;

    chain = &h->cluster.chain;
    size = 0;

    while (chain->n && *n < NGX_CHAT_HERALD_ITEMS
           && size < NGX_CHAT_HERALD_BYTES)
    {
        *next = chain->positions[chain->n - 1] + 1;

        rc = ngx_chat_herald_next(h, chain, &rec);

        if (rc == NGX_DONE || (rc == NGX_OK && rec.seq)) {
            continue;
        }

        if (rc == NGX_OK) {
            rc = ngx_chat_herald_forward_item(h, &rec, &items[*n]);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        size += items[(*n)++].bytes.len;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_herald_forward_item(ngx_chat_herald_t *h,
    ngx_chat_hook_record_t *rec, ngx_chat_link_item_t *it)
{
    ngx_int_t             rc;
    ngx_chat_log_item_t   item;

    ngx_memzero(&item, sizeof(ngx_chat_log_item_t));

    item.kind = NGX_CHAT_MESSAGE_HOOK_e;
    item.app = rec->app;
    item.content.len = ngx_chat_hook_record_size(rec);

    item.content.data = malloc(item.content.len);
    if (item.content.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_chat_hook_record_pack(item.content.data, rec);

    rc = ngx_chat_herald_pack(h, &item, it);

    free(item.content.data);

    return rc;
}


static void
ngx_chat_herald_forwarded(ngx_chat_herald_t *h, uint64_t position)
{
    __atomic_store_n(&h->zone->sh->hooks.forwarded, position,
                     __ATOMIC_RELAXED);
}
