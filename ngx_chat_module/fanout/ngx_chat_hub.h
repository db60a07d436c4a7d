
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The hub: who listens, on all workers.  The room's door.
 *
 * One per worker, used by its event loop only; publishing is for any thread.
 * What the hub can't know (how an event becomes bytes, what a subscriber
 * is) comes in by the handlers.
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

    u_char                    *snapshot;   /* of the subscription at hand */
    size_t                     snapshot_size;
    ngx_queue_t                due;        /* channels whose number of
                                              subscriptions is to be told */

    ngx_msec_t                 interval;   /* of ngx_chat_hub_tick() */
    ngx_atomic_uint_t          renewed;    /* the zone's, as known here */
    ngx_msec_t                 reaped;     /* when it last looked for the
                                              dead */
} ngx_chat_hub_t;


/* In init_process; NGX_OK or NGX_ERROR (logged). */
ngx_int_t ngx_chat_hub_init(ngx_chat_hub_t *hub, ngx_cycle_t *cycle);

/*
 * To be called each hub->interval ms.  Looks for what no wake-up tells: a
 * wake-up that a killed process did not give, a worker's death, another
 * database, a registry that was wiped.
 */
void ngx_chat_hub_tick(ngx_chat_hub_t *hub);

/* In exit_process: the slot goes back. */
void ngx_chat_hub_exit(ngx_chat_hub_t *hub);

/*
 * Subscribes, from the events appended after this moment on.  j has the
 * name, and what kind of channel it is; hash and memory are the hub's: after
 * NGX_OK j->buf holds the members and the cached event up to the next call.
 * NGX_OK; NGX_DECLINED: is subscribed already; NGX_DONE: too many members;
 * NGX_BUSY: the zone is full, or no slot is free; NGX_ABORT: the zone was
 * wiped, all of this worker are told to reconnect; NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_hub_subscribe(ngx_chat_hub_t *hub,
    ngx_chat_subscriber_t *sr, ngx_chat_registry_join_t *j);

/* The subscription, or NULL: for what only subscribers may do. */
ngx_chat_subscription_t *ngx_chat_hub_subscription(ngx_chat_hub_t *hub,
    ngx_chat_subscriber_t *sr, uint64_t app, ngx_str_t *name);

/* NGX_OK; NGX_DECLINED: is not subscribed. */
ngx_int_t ngx_chat_hub_unsubscribe(ngx_chat_hub_t *hub,
    ngx_chat_subscriber_t *sr, uint64_t app, ngx_str_t *name);

/* Ends all subscriptions of a subscriber. */
void ngx_chat_hub_leave(ngx_chat_hub_t *hub, ngx_chat_subscriber_t *sr);

/*
 * Appends an event to the ring and rouses the workers.  It becomes the
 * channel's cached event for cached seconds, unless that is 0.  Any thread,
 * without the zone's lock.  NGX_OK, with *position, where that is not NULL,
 * behind the event; NGX_DECLINED: longer than the ring takes.
 */
ngx_int_t ngx_chat_hub_publish(ngx_chat_zone_t *zone,
    ngx_chat_envelope_t *e, time_t cached, uint64_t *position);

/*
 * Counts a connection of an app on all workers; *slot_channel is what this
 * worker has of them, NULL at first, and *total becomes the number of all.
 * NGX_OK, NGX_BUSY.
 */
ngx_int_t ngx_chat_hub_acquire(ngx_chat_hub_t *hub, uint64_t app,
    ngx_chat_slot_channel_sh_t **slot_channel, ngx_uint_t *total);
void ngx_chat_hub_release(ngx_chat_hub_t *hub,
    ngx_chat_slot_channel_sh_t **slot_channel);


#endif /* _NGX_CHAT_HUB_H_INCLUDED_ */
