
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The nodes of a cluster in the registry.
 *
 * Each node has a slot, as each worker has: what the node has announced, by the
 * log, of channels and members.  Clients see that, and nothing else, so all
 * nodes' clients see the same changes in the same order.  What this node's
 * workers have is in their own slots; collect() finds where the node has to
 * announce something.
 *
 * Functions take the zone's lock themselves, and wake the workers.  The back's
 * thread calls apply(), the announcer's collect().
 */


#ifndef _NGX_CHAT_NODE_H_INCLUDED_
#define _NGX_CHAT_NODE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


/* What a node has of a channel, or whether it has a member. */

typedef struct {
    uint64_t      app;
    ngx_str_t     channel;             /* up to 255 bytes */
    ngx_str_t     user;                /* len 0: it is about the channel */
    ngx_str_t     info;                /* of the member; len 0: none */
    uint64_t      n;                   /* subscriptions; of a member 1 or 0 */
    ngx_uint_t    counting;            /* the channel's number is told */
} ngx_chat_node_fact_t;


/* Memory for facts that collect() has found. */

#define NGX_CHAT_NODE_FACTS  256
#define NGX_CHAT_NODE_TEXT   (256 * 1024)

typedef struct {
    ngx_chat_node_fact_t  facts[NGX_CHAT_NODE_FACTS];
    ngx_uint_t            n;
    u_char                text[NGX_CHAT_NODE_TEXT];
    size_t                used;
    ngx_uint_t            word;        /* where the next look begins */
} ngx_chat_node_facts_t;


/* This node has a name in the log from now on, another one than before: all
   that its workers have is to be announced. */
void ngx_chat_node_begin(ngx_chat_zone_t *zone, uint64_t incarnation);

/* The node of that incarnation has this.  NGX_OK; NGX_BUSY: the zone is full,
   or knows too many nodes; this node's own is then to be taken back. */
ngx_int_t ngx_chat_node_apply(ngx_chat_zone_t *zone, uint64_t incarnation,
    ngx_chat_node_fact_t *fact);

/* The node of that incarnation is gone, with all that it had. */
void ngx_chat_node_gone(ngx_chat_zone_t *zone, uint64_t incarnation);

/* Tells the numbers of subscriptions that were told too short ago to be told
   again. */
void ngx_chat_node_tell(ngx_chat_zone_t *zone);

/*
 * Fills list with what this node has to announce, as much as it takes.  What it
 * has found is not found again, unless it changes again or again() is called:
 * then all of it may be.
 */
void ngx_chat_node_collect(ngx_chat_zone_t *zone, ngx_chat_node_facts_t *list);
void ngx_chat_node_again(ngx_chat_zone_t *zone);

/* Whether this node has announced a member, or with an empty user a channel,
   and the log has brought it. */
ngx_uint_t ngx_chat_node_has(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *channel, ngx_str_t *user);

/* Under the lock: this node's slot.  NULL: the log has brought nothing of this
   node yet. */
ngx_chat_slot_sh_t *ngx_chat_node_self(ngx_chat_zone_t *zone);


#endif /* _NGX_CHAT_NODE_H_INCLUDED_ */
