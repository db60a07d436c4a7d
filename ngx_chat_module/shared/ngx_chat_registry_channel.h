
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The channels of the registry, and what each worker has of them.  But for
 * hash() the caller holds the zone's lock, and wakes the workers where events
 * were appended.
 */


#ifndef _NGX_CHAT_REGISTRY_CHANNEL_H_INCLUDED_
#define _NGX_CHAT_REGISTRY_CHANNEL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


/* The channel, or NULL: nobody is subscribed. */
ngx_chat_channel_sh_t *ngx_chat_registry_find(ngx_chat_zone_t *zone,
    uint64_t app, uint32_t hash, ngx_str_t *name);

/* 1 where somebody is subscribed. */
ngx_uint_t ngx_chat_registry_has(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *name);

/*
 * Clients see what a slot has of a channel; in a cluster they see what its
 * nodes have announced, and that includes what this node's workers have.
 */
#define ngx_chat_registry_sees(zone, ch, slot)                                \
    (!(ch)->is_shared || ngx_chat_zone_is_node((zone)->sh, slot))

/* What a slot has of a channel, or NULL. */
ngx_chat_slot_channel_sh_t *ngx_chat_registry_channel_of(
    ngx_chat_channel_sh_t *ch, ngx_chat_slot_sh_t *slot);

/*
 * A worker, or the grace, has n more subscriptions of a channel, n may be below
 * 0.  Clients see that at once; in a cluster when this node has announced it.
 */
void ngx_chat_registry_channel_count(ngx_chat_zone_t *zone,
    ngx_chat_slot_channel_sh_t *sc, ngx_int_t n);

/* What other nodes have announced of a channel. */
ngx_uint_t ngx_chat_registry_channel_others(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch);

/* What this node's workers, and the grace, have of a channel. */
ngx_uint_t ngx_chat_registry_channel_local(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch);

/* In a cluster: this node may have to announce a channel, or a member. */
void ngx_chat_registry_channel_changed(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch);
void ngx_chat_registry_member_changed(ngx_chat_zone_t *zone,
    ngx_chat_member_sh_t *m);

/* A channel's hash, the same in all workers. */
uint32_t ngx_chat_registry_hash(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *name);

/*
 * Makes a slot channel without subscriptions.  Where ch is NULL the channel is
 * made, too, of the other arguments.  NULL: the zone is full for the app.
 */
ngx_chat_slot_channel_sh_t *ngx_chat_registry_channel_add(
    ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_channel_sh_t *ch, uint64_t app, uint32_t hash, ngx_str_t *name,
    ngx_uint_t counting);

/* Frees a slot channel, and with the last one the channel. */
void ngx_chat_registry_channel_remove(ngx_chat_zone_t *zone,
    ngx_chat_slot_channel_sh_t *sc);

/*
 * Tells the number of subscriptions: at once in small channels, else every few
 * seconds.  1: it has changed and is to be told later.
 */
ngx_uint_t ngx_chat_registry_channel_tell(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch);


#endif /* _NGX_CHAT_REGISTRY_CHANNEL_H_INCLUDED_ */
