
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The registry: which channels have subscriptions, and how many of each
 * worker, in the shared zone.
 *
 * A channel is there as long as a worker has subscriptions of it.  Functions
 * take the zone's lock themselves where they don't say otherwise.  The
 * pointers that a worker keeps are of its slot's generation: once the zone was
 * wiped, functions that get them touch nothing.
 */


#ifndef _NGX_CHAT_REGISTRY_H_INCLUDED_
#define _NGX_CHAT_REGISTRY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>
#include <wire/ngx_chat_envelope.h>


/* A subscription to be made. */

typedef struct {
    uint64_t                    app;
    uint32_t                    hash;
    ngx_str_t                  *name;

    unsigned                    counting:1;    /* tell the number of them */
    unsigned                    cached:1;      /* wants the cached event */

    /* presence; user is NULL for other channels */
    ngx_str_t                  *user;
    ngx_str_t                  *info;          /* len 0: none */
    ngx_uint_t                  members_max;   /* 0: no limit */
    ngx_chat_envelope_t        *added;         /* sent where the user is new */

    /* memory for the members, from its start, and the cached event, at its
       end */
    u_char                     *buf;
    size_t                      size;

    /* the results */
    size_t                      need;          /* after NGX_AGAIN */
    size_t                      members_len;
    ngx_uint_t                  nmembers;
    size_t                      cached_len;    /* 0: nothing is cached */
    uint64_t                    start;         /* in the ring */
    ngx_uint_t                  total;         /* subscriptions */
    ngx_chat_slot_member_sh_t  *slot_member;   /* keep it, for leave() */
    ngx_uint_t                  due;           /* counting: tell it later */
} ngx_chat_registry_join_t;


/*
 * Subscribes: a count of this worker, and where the subscription starts in
 * the ring; the members and the cached event of that very instant.
 * *slot_channel is NULL for the first one of the channel here; keep it.
 * NGX_OK; NGX_AGAIN: buf is too small, nothing was done; NGX_DONE: the channel
 * has members_max members; NGX_BUSY: the zone is full; NGX_ABORT: the zone was
 * wiped.
 */
ngx_int_t ngx_chat_registry_join(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_registry_join_t *j,
    ngx_chat_slot_channel_sh_t **slot_channel);

/*
 * Takes one back; *slot_channel is NULL after the last, and where the zone was
 * wiped.  Returns 1 where the number is to be told later.
 */
ngx_uint_t ngx_chat_registry_leave(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_slot_channel_sh_t **slot_channel,
    ngx_chat_slot_member_sh_t *slot_member);

/* Tells the number of subscriptions, if it is due and has changed: 0; or 1:
   to be tried again later. */
ngx_uint_t ngx_chat_registry_tell(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_slot_channel_sh_t *slot_channel);

/*
 * Copies a member's id to user->data, at most user->len bytes, and sets that.
 * NGX_OK; NGX_ABORT: the zone was wiped.
 */
ngx_int_t ngx_chat_registry_user(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_slot_member_sh_t *slot_member,
    ngx_str_t *user);

/*
 * The channel, or NULL: nobody is subscribed.  The caller holds the lock.
 */
ngx_chat_channel_sh_t *ngx_chat_registry_find(ngx_chat_zone_t *zone,
    uint64_t app, uint32_t hash, ngx_str_t *name);

/* 1 where somebody is subscribed.  The caller holds the lock. */
ngx_uint_t ngx_chat_registry_has(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *name);

/*
 * Takes at most n channels and members from a slot whose worker is gone; the
 * caller has its lease.  NGX_OK: none is left, NGX_AGAIN: go on.
 */
ngx_int_t ngx_chat_registry_clear(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_uint_t n);

/* A channel's hash, the same in all workers. */
uint32_t ngx_chat_registry_hash(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *name);


#endif /* _NGX_CHAT_REGISTRY_H_INCLUDED_ */
