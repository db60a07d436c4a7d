
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The hub: subscriptions of this worker and of all workers.  Whoever
 * subscribes, leaves or publishes does it by the functions declared here; who
 * waits for deliveries looks at the fanout in it.
 *
 * Each worker has one, used by its event loop only.  Publishing is for any
 * thread.  How an event becomes bytes, and what a subscriber is, the hub
 * learns from the handlers in ngx_chat_fanout.h.
 */


#ifndef _NGX_CHAT_HUB_H_INCLUDED_
#define _NGX_CHAT_HUB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <fanout/ngx_chat_fanout.h>
#include <shared/ngx_chat_slot.h>
#include <shared/ngx_chat_zone.h>
#include <wire/ngx_chat_envelope.h>


typedef struct {
    ngx_chat_fanout_t          fanout;     /* this worker's channels */

    u_char                    *snapshot;   /* memory for the members and the
                                              cached event of a join */
    size_t                     snapshot_size;
    ngx_queue_t                due;        /* channels whose number of
                                              subscriptions is to be told */

    ngx_msec_t                 interval;   /* of ngx_chat_hub_tick() */
    ngx_atomic_uint_t          renewed;    /* the zone's, as last seen */
    ngx_msec_t                 reaped;     /* time of the last look for dead
                                              workers */
} ngx_chat_hub_t;


/* In init_process; NGX_OK or NGX_ERROR (logged). */
ngx_int_t ngx_chat_hub_init(ngx_chat_hub_t *hub, ngx_cycle_t *cycle);

/*
 * To be called every hub->interval ms.  Looks for what no wake-up tells: events
 * of a process that was killed before it woke the others, a dead worker,
 * another database, a wipe.
 */
void ngx_chat_hub_tick(ngx_chat_hub_t *hub);

/* In exit_process: gives the slot back and frees the memory. */
void ngx_chat_hub_exit(ngx_chat_hub_t *hub);

/*
 * Subscribes to a channel's events that are appended from now on.  The caller
 * fills in j, but for hash, buf and size.  After NGX_OK j->buf holds the
 * members and the cached event until the next call.
 * NGX_OK; NGX_DECLINED: is subscribed already; NGX_DONE: too many members;
 * NGX_BUSY: the zone is full, or no slot is free; NGX_ABORT: the zone was
 * wiped, all clients of this worker are told to reconnect; NGX_ERROR: no
 * memory.
 */
ngx_int_t ngx_chat_hub_subscribe(ngx_chat_hub_t *hub,
    ngx_chat_subscriber_t *sr, ngx_chat_registry_join_t *j);

/* The subscription of a subscriber to a channel, or NULL. */
ngx_chat_subscription_t *ngx_chat_hub_subscription(ngx_chat_hub_t *hub,
    ngx_chat_subscriber_t *sr, uint64_t app, ngx_str_t *name);

/* NGX_OK; NGX_DECLINED: is not subscribed. */
ngx_int_t ngx_chat_hub_unsubscribe(ngx_chat_hub_t *hub,
    ngx_chat_subscriber_t *sr, uint64_t app, ngx_str_t *name);

/* Ends all subscriptions of a subscriber.  cut: it may come back soon. */
void ngx_chat_hub_unsubscribe_all(ngx_chat_hub_t *hub,
    ngx_chat_subscriber_t *sr, ngx_uint_t cut);

/*
 * Appends an event to the ring and wakes the workers.  Where cached is not 0,
 * the event becomes the channel's cached event for so many seconds.  Any
 * thread, without the zone's lock.  NGX_OK, with *position, where that is not
 * NULL, behind the event; NGX_DECLINED: longer than the ring takes.
 */
ngx_int_t ngx_chat_hub_publish(ngx_chat_zone_t *zone,
    ngx_chat_envelope_t *e, time_t cached, uint64_t *position);

/*
 * Enter an app's name that no client can name, and take it out.  *slot_channel
 * is this worker's count of it, NULL at first, and void once the slot has
 * another generation.  *total becomes the number on all workers, and *others,
 * where it is not NULL, that of the other nodes of a cluster.  NGX_OK;
 * NGX_BUSY: the zone is full, or no slot is free; NGX_ABORT: it was wiped,
 * twice in a row.
 */
ngx_int_t ngx_chat_hub_hidden_add(ngx_chat_hub_t *hub, uint64_t app,
    ngx_str_t *name, ngx_chat_slot_channel_sh_t **slot_channel,
    ngx_uint_t *total, ngx_uint_t *others);
/*
 * In a cluster: has this node announce a member, whose subscription is to
 * follow; and takes that back.  As ngx_chat_registry_join() and leave().
 */
ngx_int_t ngx_chat_hub_claim(ngx_chat_hub_t *hub, ngx_chat_registry_join_t *j,
    ngx_chat_slot_channel_sh_t **slot_channel);
void ngx_chat_hub_unclaim(ngx_chat_hub_t *hub,
    ngx_chat_slot_channel_sh_t **slot_channel,
    ngx_chat_slot_member_sh_t *slot_member);

void ngx_chat_hub_hidden_remove(ngx_chat_hub_t *hub,
    ngx_chat_slot_channel_sh_t **slot_channel);

/* Count a connection of an app, and give it back, in the same way. */
ngx_int_t ngx_chat_hub_connection_add(ngx_chat_hub_t *hub, uint64_t app,
    ngx_chat_slot_channel_sh_t **slot_channel, ngx_uint_t *total,
    ngx_uint_t *others);
void ngx_chat_hub_connection_remove(ngx_chat_hub_t *hub,
    ngx_chat_slot_channel_sh_t **slot_channel);


#endif /* _NGX_CHAT_HUB_H_INCLUDED_ */
