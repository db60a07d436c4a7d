
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The registry: the channels that have subscriptions, and how many each worker
 * has, in the shared zone.
 *
 * A channel is in the registry as long as some worker has subscriptions to it.
 * Functions take the zone's lock themselves, unless they say otherwise.  A
 * worker keeps pointers into the registry, which are good for its slot's
 * generation.  Once the zone was wiped, functions that get such a pointer touch
 * nothing.
 */


#ifndef _NGX_CHAT_REGISTRY_H_INCLUDED_
#define _NGX_CHAT_REGISTRY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_registry_channel.h>
#include <wire/ngx_chat_envelope.h>


/* A subscription to be made. */

typedef struct {
    uint64_t                    app;
    uint32_t                    hash;
    ngx_str_t                  *name;

    unsigned                    counting:1;    /* tell the channel's number
                                                  of subscriptions */
    unsigned                    cached:1;      /* wants the cached event */
    unsigned                    claim:1;       /* in a cluster: only so that
                                                  this node announces it */

    /* presence; user is NULL for other channels */
    ngx_str_t                  *user;
    ngx_str_t                  *info;          /* len 0: none */
    ngx_uint_t                  members_max;   /* 0: no limit */
    ngx_chat_envelope_t        *added;         /* sent where the user is new;
                                                  in a cluster NULL */

    ngx_uint_t                  summed;        /* 1: subscriptions are wanted */

    /* memory: the members go to its start, the cached event to its end */
    u_char                     *buf;
    size_t                      size;

    /* the results */
    size_t                      need;          /* after NGX_AGAIN */
    size_t                      members_len;
    ngx_uint_t                  nmembers;
    size_t                      cached_len;    /* 0: nothing is cached */
    ngx_chat_ring_place_t       start;         /* in the ring */
    ngx_uint_t                  total;         /* where that is summed: this
                                                  node's subscriptions, */
    ngx_uint_t                  others;        /* and other nodes', as they have
                                                  announced them */
    ngx_chat_slot_member_sh_t  *slot_member;   /* for leave() */
    ngx_uint_t                  due;           /* 1: call tell() later */
    ngx_uint_t                  is_new;        /* 1: the user was not there */
} ngx_chat_registry_join_t;


/*
 * Counts a subscription of this worker.  The results tell where it starts in
 * the ring, and the members and the cached event at that position.
 * *slot_channel is this worker's entry of the channel, NULL before its first
 * subscription; the worker keeps it.
 * NGX_OK; NGX_AGAIN: buf is too small, nothing was done; NGX_DONE: the channel
 * has members_max members; NGX_BUSY: the zone has no room for the app, which
 * is counted; NGX_ABORT: the zone was wiped.
 */
ngx_int_t ngx_chat_registry_join(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_registry_join_t *j,
    ngx_chat_slot_channel_sh_t **slot_channel);

/*
 * Takes a subscription back.  Where the connection was cut, its member and its
 * user may stay for a while, see ngx_chat_grace.h.  *slot_channel becomes NULL
 * with the worker's last one, and where the zone was wiped.  Returns 1 where
 * tell() is to be called later.
 */
ngx_uint_t ngx_chat_registry_leave(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_slot_channel_sh_t **slot_channel,
    ngx_chat_slot_member_sh_t *slot_member, ngx_uint_t cut);

/* Tells the number of subscriptions, if it has changed.  1: it is too early,
   to be called again later. */
ngx_uint_t ngx_chat_registry_tell(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_slot_channel_sh_t *slot_channel);

/*
 * Copies a member's id to user->data, at most user->len bytes, and sets
 * user->len.  NGX_OK; NGX_ABORT: the zone was wiped.
 */
ngx_int_t ngx_chat_registry_user(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_slot_member_sh_t *slot_member,
    ngx_str_t *user);

/*
 * Takes at most n channels and members from a slot whose worker is gone.  The
 * caller has the slot's lease.  NGX_OK: none is left; NGX_AGAIN: call it again.
 */
ngx_int_t ngx_chat_registry_clear(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_uint_t n);

/*
 * For several changes at a time: takes the zone's lock, and returns the ring's
 * head for unlock(), which wakes those who have to know of what was changed.
 */
uint64_t ngx_chat_registry_lock(ngx_chat_zone_t *zone);
void ngx_chat_registry_unlock(ngx_chat_zone_t *zone, uint64_t head);

/* The channel has a cached event now.  The caller holds the lock. */
void ngx_chat_registry_filled(ngx_chat_zone_t *zone, uint64_t app,
    uint32_t hash, ngx_str_t *name);

/* Ends at most n members and users who were cut off and have not come back. */
void ngx_chat_registry_expire(ngx_chat_zone_t *zone, ngx_uint_t n);


#endif /* _NGX_CHAT_REGISTRY_H_INCLUDED_ */
