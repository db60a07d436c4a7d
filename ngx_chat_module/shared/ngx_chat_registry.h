
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The registry: which channels have subscriptions, and how many of each
 * worker, in the shared zone.
 *
 * A channel is there as long as a worker has a share in it.  Totals are
 * summed from the shares and kept nowhere, so a worker that is killed can't
 * leave a wrong one.  Functions take the zone's lock themselves where they
 * don't say otherwise.
 */


#ifndef _NGX_CHAT_REGISTRY_H_INCLUDED_
#define _NGX_CHAT_REGISTRY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_presence.h>
#include <shared/ngx_chat_slot.h>
#include <wire/ngx_chat_envelope.h>


struct ngx_chat_channel_sh_s {
    ngx_chat_channel_sh_t  *next;          /* in the bucket */
    ngx_chat_share_sh_t    *shares;
    ngx_chat_member_sh_t   *members;       /* those who left, too */
    ngx_uint_t              nmembers;      /* present; about, after a kill */
    ngx_uint_t              ngone;
    uint64_t                app;
    uint64_t                counted;       /* ms, when subscriptions were
                                              told */
    ngx_uint_t              told;          /* and how many */
    unsigned                counting:1;    /* they are told */
    uint32_t                hash;
    u_char                  len;
    u_char                  name[];
};


/* One worker's part of a channel. */

struct ngx_chat_share_sh_s {
    ngx_chat_share_sh_t    *next;          /* of the channel's shares */
    ngx_chat_share_sh_t    *slot_next;     /* of the slot's shares */
    ngx_chat_share_sh_t    *slot_prev;     /* void once the worker died */
    ngx_chat_channel_sh_t  *channel;
    ngx_chat_slot_sh_t     *slot;
    ngx_uint_t              subscriptions;
};


/* A subscription to be made. */

typedef struct {
    uint64_t                app;
    uint32_t                hash;
    ngx_str_t              *name;

    unsigned                counting:1;    /* tell the number of them */
    unsigned                cached:1;      /* wants the cached event */

    /* presence; user is NULL for other channels */
    ngx_str_t              *user;
    ngx_str_t              *info;          /* len 0: none */
    ngx_uint_t              members_max;   /* 0: no limit */
    ngx_chat_envelope_t    *added;         /* sent where the user is new */

    /* memory for the members, from its start, and the cached event, at its
       end */
    u_char                 *buf;
    size_t                  size;

    /* the results */
    size_t                  need;          /* after NGX_AGAIN */
    size_t                  members_len;
    ngx_uint_t              nmembers;
    size_t                  cached_len;    /* 0: nothing is cached */
    uint64_t                start;         /* in the ring */
    ngx_uint_t              total;         /* subscriptions */
    ngx_chat_part_sh_t     *part;          /* keep it, for leave() */
    ngx_uint_t              due;           /* counting: tell it later */
} ngx_chat_registry_join_t;


/*
 * Subscribes: a count of this worker, and where the subscription starts in
 * the ring; the members and the cached event of that very instant.  *share
 * is NULL for the first one of the channel here; keep it.  NGX_OK; NGX_AGAIN:
 * buf is too small, nothing was done; NGX_DONE: the channel has members_max
 * members; NGX_BUSY: the zone is full.
 */
ngx_int_t ngx_chat_registry_join(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_registry_join_t *j,
    ngx_chat_share_sh_t **share);

/*
 * Takes one back; with the last, the share is gone and *share is NULL.
 * Returns 1 where the number is to be told later.
 */
ngx_uint_t ngx_chat_registry_leave(ngx_chat_zone_t *zone,
    ngx_chat_share_sh_t **share, ngx_chat_part_sh_t *part);

/* Tells the number of subscriptions, if it is due and has changed: 0; or 1:
   to be tried again later. */
ngx_uint_t ngx_chat_registry_tell(ngx_chat_zone_t *zone,
    ngx_chat_share_sh_t *share);

/*
 * The channel, or NULL: nobody is subscribed.  Its subscriptions on all
 * workers.  The caller holds the lock.
 */
ngx_chat_channel_sh_t *ngx_chat_registry_find(ngx_chat_zone_t *zone,
    uint64_t app, uint32_t hash, ngx_str_t *name);
ngx_uint_t ngx_chat_registry_total(ngx_chat_channel_sh_t *ch);

/* 1 where somebody is subscribed.  The caller holds the lock. */
ngx_uint_t ngx_chat_registry_has(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *name);

/*
 * Takes at most n shares and parts from a slot whose worker is gone; the
 * caller has its lease.  NGX_OK: none is left, NGX_AGAIN: go on.
 */
ngx_int_t ngx_chat_registry_clear(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_uint_t n);

/* A channel's hash, the same in all workers. */
uint32_t ngx_chat_registry_hash(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *name);


#endif /* _NGX_CHAT_REGISTRY_H_INCLUDED_ */
