
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What nodes have of channels and members, as the log has it.
 *
 * A node that comes into the cluster, or whose zone was wiped, has missed what
 * was announced before.  The engine keeps it, for each node; it is read once,
 * and the log goes on from the place where it was by then.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_log_item.h>
#include <shared/ngx_chat_node.h>
#include <store/ngx_chat_back_work.h>


static ngx_int_t ngx_chat_back_census_node(ngx_chat_back_t *b, uint64_t node);
static void ngx_chat_back_fact(ngx_chat_back_t *b, uint64_t node,
    ngx_chat_log_item_t *item);


ngx_int_t
ngx_chat_back_census(ngx_chat_back_t *b)
{
    uint64_t                  generation, node;
    ngx_int_t                 rc;
    ngx_str_t                 incarnation;
    ngx_uint_t                i, n;
    ngx_chat_zone_t          *zone;
    ngx_chat_link_sh_t       *sh;
    ngx_chat_engine_reply_t  *reply;

    sh = b->sh;
    zone = b->conf->zone;

    if (sh->census_term == b->meta.term
        && sh->census_generation == zone->sh->generation + 1)
    {
        return NGX_OK;
    }

    /* one that begins meanwhile is noticed */

    generation = zone->sh->generation;

    for (i = 0; i < zone->sh->nnodes; i++) {
        ngx_chat_node_gone(zone, zone->sh->nodes->incarnations[i]);
    }

    rc = ngx_chat_link_nodes(&b->link, &reply);
    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    n = ngx_chat_engine_count(reply);

    for (i = 0; i < n && rc == NGX_OK; i += 2) {
        incarnation = ngx_chat_engine_text(ngx_chat_engine_item(reply, i));

        /* what is no name of a node is passed over */

        if (ngx_chat_link_incarnation(&incarnation, &node) == NGX_OK) {
            rc = ngx_chat_back_census_node(b, node);
        }
    }

    ngx_chat_engine_free(reply);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    sh->census_from = b->meta.seq;
    sh->census_generation = generation + 1;
    sh->census_term = b->meta.term;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_back_census_node(ngx_chat_back_t *b, uint64_t node)
{
    u_char                   *p;
    ngx_int_t                 rc;
    ngx_str_t                 text;
    ngx_uint_t                i, n;
    ngx_chat_log_item_t       item;
    ngx_chat_engine_reply_t  *reply;

    rc = ngx_chat_link_census(&b->link, node, &reply);
    if (rc != NGX_OK) {
        return rc;
    }

    n = ngx_chat_engine_count(reply);

    for (i = 0; i + 1 < n; i += 2) {
        text = ngx_chat_engine_text(ngx_chat_engine_item(reply, i + 1));
        p = text.data;

        if (ngx_chat_log_item_unpack(&item, &p, p + text.len) == NGX_OK) {
            ngx_chat_back_fact(b, node, &item);
        }
    }

    ngx_chat_engine_free(reply);

    return NGX_OK;
}


void
ngx_chat_back_announced(ngx_chat_back_t *b, ngx_chat_link_entry_t *entry,
    ngx_chat_log_item_t *item, uint64_t seq)
{
    uint64_t  node;

    if (item->kind != NGX_CHAT_MESSAGE_GONE_e) {

        if (seq > b->sh->census_from) {
            ngx_chat_back_fact(b, entry->node, item);
        }

        return;
    }

    if (ngx_chat_link_incarnation(&item->channel, &node) != NGX_OK) {
        return;
    }

    ngx_chat_node_gone(b->conf->zone, node);

    if (node == b->sh->incarnation) {
        ngx_log_error(NGX_LOG_ERR, b->log, 0,
                      "chat cluster: the others have taken this node for dead, "
                      "it begins anew");

        ngx_chat_link_set(&b->sh->incarnation, 0);
    }
}


static void
ngx_chat_back_fact(ngx_chat_back_t *b, uint64_t node,
    ngx_chat_log_item_t *item)
{
    ngx_chat_node_fact_t  fact;

    ngx_memzero(&fact, sizeof(ngx_chat_node_fact_t));

    fact.app = item->app;
    fact.channel = item->channel;
    fact.user = item->author;
    fact.info = item->content;
    fact.n = item->except.low;
    fact.counting = (item->except.high != 0);

    if ((item->kind != NGX_CHAT_MESSAGE_MEMBER_e
         && item->kind != NGX_CHAT_MESSAGE_CHANNEL_e)
        || (item->kind == NGX_CHAT_MESSAGE_MEMBER_e) != (fact.user.len != 0)
        || fact.n > NGX_MAX_INT32_VALUE
        || fact.user.len > 512 || fact.info.len > 1024)
    {
        return;
    }

    /* subscriptions may wait for what no client's event tells */

    if (node == b->sh->incarnation) {
        b->rouse = 1;
    }

    if (ngx_chat_node_apply(b->conf->zone, node, &fact) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, b->log, 0,
                      "chat cluster: chat_zone has no room for what another "
                      "node has of channel \"%V\"", &item->channel);
    }
}
