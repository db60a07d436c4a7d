
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The shared zone: the ring, the workers' slots, the registry of channels,
 * counters.  Built once by the master, adopted by every later configuration
 * of the same size.
 *
 * One lock, the slab pool's mutex: the master frees that one, and no other,
 * when a worker dies.  It is held for a few loads and stores, by event loops
 * and by the store's threads.  All that is in the zone stays valid at every
 * instant: things are filled, then linked by one store.  The holder leaves a
 * sign while it has the lock; whoever gets the lock and finds the sign mends
 * what a killed worker left half done, see ngx_chat_repair.h.
 */


#ifndef _NGX_CHAT_ZONE_H_INCLUDED_
#define _NGX_CHAT_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <bus/ngx_chat_ring.h>
#include <bus/ngx_chat_wakeup.h>
#include <shared/ngx_chat_arena.h>
#include <shared/ngx_chat_counter.h>
#include <wire/ngx_chat_hash.h>


#define NGX_CHAT_ZONE_MIN       (1024 * 1024)
#define NGX_CHAT_ZONE_SLOTS     64


/* A change under way that is told to others, see ngx_chat_repair_note(). */

typedef enum {
    NGX_CHAT_TURN_NONE_e = 0,
    NGX_CHAT_TURN_JOIN_e,                  /* of a member: the first part */
    NGX_CHAT_TURN_LEAVE_e,                 /* the last part */
    NGX_CHAT_TURN_OCCUPY_e                 /* of a channel: the first
                                              subscription */
} ngx_chat_turn_e;


typedef struct ngx_chat_slot_sh_s  ngx_chat_slot_sh_t;
typedef struct ngx_chat_channel_sh_s  ngx_chat_channel_sh_t;
typedef struct ngx_chat_member_sh_s  ngx_chat_member_sh_t;
typedef struct ngx_chat_cache_sh_s  ngx_chat_cache_sh_t;
typedef struct ngx_chat_zone_s  ngx_chat_zone_t;


/*
 * What a change of the registry tells to others.  Each is called under the
 * zone's lock, in the same turn as the change, and may only render and call
 * ngx_chat_append().
 */

typedef struct {
    /* The user's last socket left the channel, or its worker died. */
    void  (*removed)(ngx_chat_zone_t *zone, uint64_t app,
                     ngx_str_t *channel, ngx_str_t *user);

    /* The channel got its first subscription, or lost its last. */
    void  (*occupied)(ngx_chat_zone_t *zone, uint64_t app,
                      ngx_str_t *channel, ngx_uint_t on);

    /* The number of subscriptions to be told. */
    void  (*counted)(ngx_chat_zone_t *zone, uint64_t app,
                     ngx_str_t *channel, ngx_uint_t n);
} ngx_chat_zone_handlers_t;


/* Entries of one kind, in the order they go in when its share is used up. */

typedef struct {
    ngx_chat_cache_sh_t     *first;
    ngx_chat_cache_sh_t     *last;
    size_t                   used;
    size_t                   limit;
} ngx_chat_cache_queue_t;


typedef struct {
    ngx_chat_ring_sh_t      *ring;
    ngx_chat_arena_sh_t     *arena;

    ngx_chat_slot_sh_t      *slots;
    ngx_uint_t               nslots;

    ngx_chat_hash_key_t      key;          /* of all buckets' hashes */
    ngx_chat_channel_sh_t  **channels;     /* buckets of the registry */
    ngx_chat_member_sh_t   **members;      /* of presence channels */
    ngx_chat_cache_sh_t    **caches;       /* of cache channels */
    ngx_uint_t               mask;         /* number of buckets less one */
    ngx_uint_t               nchannels;
    ngx_uint_t               nmembers;

    ngx_chat_cache_queue_t   cached;       /* last events of channels */
    ngx_chat_cache_queue_t   answers;      /* to requests with a key */

    ngx_chat_wakeup_sh_t    *wakeups;      /* of the ring, and of workers */
    ngx_uint_t               nwakeups;
    ngx_msec_t               started;      /* when the zone was made */
    ngx_atomic_t             renewed;      /* how often the database became
                                              another one */

    ngx_uint_t               busy;         /* somebody has the lock, or died
                                              with it */
    ngx_uint_t               repairs;      /* how often that was so */
    ngx_chat_turn_e          turn;
    void                    *turn_what;
    uint64_t                 turn_head;    /* the ring's, before it is told */

    /* of workers that have left */
    uint64_t                 counters[NGX_CHAT_COUNTERS_e];

    void                    *store;        /* the store's part, its own */
} ngx_chat_zone_sh_t;


struct ngx_chat_zone_s {
    ngx_slab_pool_t           *shpool;
    ngx_chat_zone_sh_t        *sh;
    ngx_chat_zone_handlers_t  *handlers;   /* set in each worker */
    ngx_chat_wakeups_t        *wakeups;    /* the first is the ring's */
    ngx_uint_t                 workers;    /* as configured */
    ngx_uint_t                 mended;     /* by this process, to be logged */
};


void ngx_chat_zone_lock(ngx_chat_zone_t *zone);
void ngx_chat_zone_unlock(ngx_chat_zone_t *zone);


/*
 * For an ngx_shm_zone_init_pt: shm_zone->data is a ngx_chat_zone_t with
 * workers set, old is the previous configuration's or NULL; the pool is that
 * of the configuration.  Runs in the master before it forks.  NGX_OK;
 * NGX_ERROR, logged: no memory, or the size differs from a zone in use.
 */
ngx_int_t ngx_chat_zone_init(ngx_shm_zone_t *shm_zone, ngx_chat_zone_t *old,
    ngx_pool_t *pool);


#endif /* _NGX_CHAT_ZONE_H_INCLUDED_ */
