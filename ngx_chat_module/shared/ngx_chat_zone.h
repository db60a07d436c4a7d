
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The shared zone: the ring, the workers' slots, the registry of channels,
 * counters; and all that lies in it.  Built once by the master, adopted by
 * every later configuration of the same size.
 *
 * One lock, the slab pool's mutex: the master frees that one, and no other,
 * when a worker dies.  It is held for a few loads and stores, by event loops
 * and by the store's threads.  The holder leaves a sign while it has the
 * lock.  Whoever gets the lock and finds the sign knows that the last holder
 * died with it, and wipes: channels, members, cached events and answers go,
 * all that the arena has.  The ring and the store's part keep their order by
 * themselves and stay.
 *
 * A pointer into the arena is good under the lock, and while the zone has the
 * generation that it had when the pointer was got.
 */


#ifndef _NGX_CHAT_ZONE_H_INCLUDED_
#define _NGX_CHAT_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>

#include <bus/ngx_chat_ring.h>
#include <bus/ngx_chat_wakeup.h>
#include <shared/ngx_chat_arena.h>
#include <shared/ngx_chat_counter.h>
#include <shared/ngx_chat_rolling_max.h>
#include <wire/ngx_chat_hash.h>


/* the smallest zone; pages may be large ones */
#define NGX_CHAT_ZONE_MIN                                                     \
    ngx_max((size_t) 1024 * 1024, 64 * (size_t) ngx_pagesize)

#define NGX_CHAT_ZONE_SLOTS     64


typedef struct ngx_chat_channel_sh_s  ngx_chat_channel_sh_t;
typedef struct ngx_chat_slot_channel_sh_s  ngx_chat_slot_channel_sh_t;
typedef struct ngx_chat_member_sh_s  ngx_chat_member_sh_t;
typedef struct ngx_chat_slot_member_sh_s  ngx_chat_slot_member_sh_t;
typedef struct ngx_chat_cache_sh_s  ngx_chat_cache_sh_t;
typedef struct ngx_chat_zone_s  ngx_chat_zone_t;


/* A worker's place, see ngx_chat_slot.h. */

typedef struct {
    pthread_mutex_t              lease;
    ngx_pid_t                    pid;
    ngx_atomic_uint_t            generation;   /* of its worker's pointers */
    ngx_queue_t                  channels;
    ngx_queue_t                  members;

    /* How far it has delivered, a place in the ring; any process reads it.
       Where somebody has waited for that in vain, stuck is one more. */
    uint64_t                     position;
    uint64_t                     stuck;

    /* of its event loop, in microseconds */
    ngx_chat_rolling_max_t       turn;         /* from waking to waiting */
    ngx_chat_rolling_max_t       delay;        /* of timers */

    uint64_t                     counters[NGX_CHAT_COUNTERS_e];
} ngx_chat_slot_sh_t;


/* A channel that somebody is subscribed to, see ngx_chat_registry.h. */

struct ngx_chat_channel_sh_s {
    ngx_chat_channel_sh_t       *next;         /* in the bucket */
    ngx_chat_slot_channel_sh_t  *slots;
    ngx_queue_t                  members;
    uint64_t                     app;
    uint64_t                     counted;      /* ms, when subscriptions were
                                                  told */
    uint32_t                     told;         /* and how many */
    uint32_t                     subscriptions;
    uint32_t                     nmembers;
    uint32_t                     hash;
    unsigned                     counting:1;   /* subscriptions are told */
    u_char                       len;
    u_char                       name[];
};


/* One worker's subscriptions of a channel. */

struct ngx_chat_slot_channel_sh_s {
    ngx_chat_slot_channel_sh_t  *next;         /* of the channel */
    ngx_queue_t                  queue;        /* of the slot */
    ngx_chat_slot_sh_t          *slot;
    ngx_chat_channel_sh_t       *channel;
    ngx_uint_t                   subscriptions;
};


/* A user in a presence channel, see ngx_chat_presence.h. */

struct ngx_chat_member_sh_s {
    ngx_chat_member_sh_t        *next;         /* in the bucket */
    ngx_queue_t                  queue;        /* of the channel */
    ngx_chat_channel_sh_t       *channel;
    ngx_chat_slot_member_sh_t   *slots;
    uint32_t                     hash;
    uint16_t                     id_len;
    uint16_t                     info_len;
    u_char                       data[];       /* the id, then the info */
};


/* One worker's sockets of a member. */

struct ngx_chat_slot_member_sh_s {
    ngx_chat_slot_member_sh_t   *next;         /* of the member */
    ngx_queue_t                  queue;        /* of the slot */
    ngx_chat_member_sh_t        *member;
    ngx_chat_slot_sh_t          *slot;
    ngx_uint_t                   sockets;
};


/* A cached event or answer, see ngx_chat_cache.h. */

struct ngx_chat_cache_sh_s {
    ngx_chat_cache_sh_t         *next;         /* in the bucket */
    ngx_queue_t                  queue;
    uint64_t                     app;
    time_t                       expires;      /* by the monotonic clock */
    uint32_t                     hash;
    uint32_t                     renewed;      /* the zone's, when it came */
    uint32_t                     payload_len;
    u_char                       len;
    u_char                       data[];       /* the name, then the payload */
};


/* Entries of one kind, in the order they go in when their room is used up. */

typedef struct {
    ngx_queue_t                  entries;
    size_t                       used;
    size_t                       limit;
} ngx_chat_cache_queue_t;


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


typedef struct {
    ngx_chat_ring_sh_t          *ring;
    ngx_chat_arena_sh_t         *arena;
    size_t                       arena_size;

    ngx_chat_slot_sh_t          *slots;
    ngx_uint_t                   nslots;

    ngx_chat_hash_key_t          key;          /* of all buckets' hashes */
    ngx_chat_channel_sh_t      **channels;     /* buckets of the registry */
    ngx_chat_member_sh_t       **members;      /* of presence channels */
    ngx_chat_cache_sh_t        **caches;       /* of cache channels */
    ngx_uint_t                   mask;         /* number of buckets less one */
    ngx_uint_t                   nchannels;
    ngx_uint_t                   nmembers;

    ngx_chat_cache_queue_t       cached;       /* last events of channels */
    ngx_chat_cache_queue_t       answers;      /* to requests with a key */

    ngx_chat_wakeup_sh_t        *wakeups;      /* of the ring, and of workers */
    ngx_uint_t                   nwakeups;
    ngx_msec_t                   started;      /* when the zone was made */
    ngx_atomic_t                 renewed;      /* how often the database
                                                  became another one */

    ngx_uint_t                   busy;         /* somebody has the lock, or
                                                  died with it */
    ngx_atomic_t                 generation;   /* how often it was wiped */

    /* of workers that have left */
    uint64_t                     counters[NGX_CHAT_COUNTERS_e];

    void                        *store;        /* the store's part, its own */
} ngx_chat_zone_sh_t;


struct ngx_chat_zone_s {
    ngx_slab_pool_t             *shpool;
    ngx_chat_zone_sh_t          *sh;
    ngx_chat_zone_handlers_t    *handlers;     /* set in each worker */
    ngx_chat_wakeups_t          *wakeups;      /* the first is the ring's */
    ngx_uint_t                   workers;      /* as configured */
};


/* Wipes where the last holder died with the lock. */
void ngx_chat_zone_lock(ngx_chat_zone_t *zone);
void ngx_chat_zone_unlock(ngx_chat_zone_t *zone);

/*
 * Whether the zone was wiped since the slot's generation: all pointers that
 * its worker has from the registry are void.  A hint without the lock, the
 * truth with it.
 */
#define ngx_chat_zone_is_wiped(zone, slot)                                    \
    ((slot)->generation != (zone)->sh->generation)


/*
 * For an ngx_shm_zone_init_pt: shm_zone->data is a ngx_chat_zone_t with
 * workers set, old is the previous configuration's or NULL; the pool is that
 * of the configuration.  Runs in the master before it forks.  NGX_OK;
 * NGX_ERROR, logged: no memory, or the size differs from a zone in use.
 */
ngx_int_t ngx_chat_zone_init(ngx_shm_zone_t *shm_zone, ngx_chat_zone_t *old,
    ngx_pool_t *pool);


#endif /* _NGX_CHAT_ZONE_H_INCLUDED_ */
