
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The shared zone: the ring, the workers' slots, the registry of channels,
 * cached events and counters.  The master builds it once; each later
 * configuration uses the same zone, which has to have the same size.
 *
 * One lock guards it, the slab pool's mutex: nginx's master frees that one, and
 * no other, when a worker dies.  Event loops and the store's threads hold it
 * for a few loads and stores.
 *
 * The holder sets busy while it has the lock.  If a process gets the lock and
 * finds busy set, the last holder has died with the lock, and the process
 * wipes the zone: it empties the arena, with all channels, members, cached
 * events and answers.  The ring and the store's part are valid at every instant
 * and stay.
 *
 * A wipe begins a new generation.  A pointer into the arena may be used under
 * the lock, as long as the zone has the generation in which the worker got the
 * pointer.
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

#define NGX_CHAT_INCIDENT_DETAIL  160  /* bytes */
#define NGX_CHAT_HOOK_ERROR     96     /* bytes of a webhook's last error */

/* zone bytes for each webhook that the console can show, and the least and the
   most of them */
#define NGX_CHAT_ZONE_PER_HOOK  65536
#define NGX_CHAT_ZONE_HOOKS     16
#define NGX_CHAT_ZONE_HOOKS_MAX  1024

#define NGX_CHAT_ZONE_SLOTS     64
#define NGX_CHAT_ZONE_GRACES    2          /* slots of no worker */
#define NGX_CHAT_ZONE_NODES     32         /* of a cluster, with those that are
                                              gone and not cleared up yet */

/* zone bytes for each app of the configuration, so that its share is of use */
#define NGX_CHAT_ZONE_PER_APP   65536


typedef struct ngx_chat_channel_sh_s  ngx_chat_channel_sh_t;
typedef struct ngx_chat_slot_channel_sh_s  ngx_chat_slot_channel_sh_t;
typedef struct ngx_chat_member_sh_s  ngx_chat_member_sh_t;
typedef struct ngx_chat_slot_member_sh_s  ngx_chat_slot_member_sh_t;
typedef struct ngx_chat_cache_sh_s  ngx_chat_cache_sh_t;
typedef struct ngx_chat_token_sh_s  ngx_chat_token_sh_t;
typedef struct ngx_chat_zone_s  ngx_chat_zone_t;


/* A worker's place, see ngx_chat_slot.h. */

typedef struct {
    pthread_mutex_t              lease;
    ngx_pid_t                    pid;
    ngx_atomic_uint_t            generation;   /* of its worker's pointers */
    ngx_queue_t                  channels;
    ngx_queue_t                  members;
    ngx_queue_t                  tokens;       /* of its connections */

    /* The position in the ring up to which it has delivered; any process
       reads it.  A worker that waits for it in vain sets stuck to position
       plus one. */
    uint64_t                     position;
    uint64_t                     stuck;

    /* of its event loop, in microseconds */
    ngx_chat_rolling_max_t       turn;         /* from waking to waiting */
    ngx_chat_rolling_max_t       delay;        /* of timers */

    uint64_t                     counters[NGX_CHAT_COUNTERS_e];
} ngx_chat_slot_sh_t;


/* What went wrong lately, see ngx_chat_incident.h. */

typedef enum {
    NGX_CHAT_INCIDENT_DATABASE_OPEN_e = 0,
    NGX_CHAT_INCIDENT_DATABASE_WRITE_e,
    NGX_CHAT_INCIDENT_DATABASE_READ_e,
    NGX_CHAT_INCIDENT_DATABASE_REPLACED_e,
    NGX_CHAT_INCIDENT_STORE_QUEUE_FULL_e,
    NGX_CHAT_INCIDENT_THREAD_POOL_e,
    NGX_CHAT_INCIDENT_WORKER_DIED_e,
    NGX_CHAT_INCIDENT_REGISTRY_WIPED_e,
    NGX_CHAT_INCIDENT_ZONE_FULL_e,
    NGX_CHAT_INCIDENT_RING_OVERRUN_e,
    NGX_CHAT_INCIDENT_SLOW_CLIENT_e,
    NGX_CHAT_INCIDENT_LOOP_STALL_e,
    NGX_CHAT_INCIDENT_WEBHOOK_FAILED_e,
    NGX_CHAT_INCIDENT_WEBHOOK_DEAD_e,
    NGX_CHAT_INCIDENT_CLUSTER_OUT_e,
    NGX_CHAT_INCIDENT_CLUSTER_LOST_e,
    NGX_CHAT_INCIDENT_CLUSTER_TRIMMED_e,
    NGX_CHAT_INCIDENTS_e
} ngx_chat_incident_e;


typedef struct {
    ngx_atomic_t                 count;
    ngx_atomic_t                 first;        /* ms since 1970 */
    ngx_atomic_t                 last;
    ngx_atomic_t                 mark;         /* of the last note_once() */
    ngx_atomic_t                 busy;         /* ms: somebody writes detail
                                                  since then; 0: nobody */
    ngx_pid_t                    pid;
    size_t                       len;
    u_char                       detail[NGX_CHAT_INCIDENT_DETAIL];
} ngx_chat_incident_sh_t;


/* A channel that somebody is subscribed to, see ngx_chat_registry.h. */

struct ngx_chat_channel_sh_s {
    ngx_chat_channel_sh_t       *next;         /* in the bucket */
    ngx_chat_slot_channel_sh_t  *slots;
    ngx_queue_t                  members;
    uint64_t                     app;
    uint64_t                     counted;      /* ms, when the number of
                                                  subscriptions was told */
    uint32_t                     told;         /* the number told then */
    uint32_t                     subscriptions;
    uint32_t                     nmembers;
    uint32_t                     hash;
    uint32_t                     missed;       /* s, when a subscriber found
                                                  no cached event; 0: not since
                                                  there was one */
    uint16_t                     share;        /* index of the app's share */
    unsigned                     counting:1;   /* that number is told */
    unsigned                     is_shared:1;  /* in a cluster: clients see what
                                                  the nodes have announced */
    u_char                       len;
    u_char                       name[];
};


/* One worker's subscriptions to a channel. */

struct ngx_chat_slot_channel_sh_s {
    ngx_chat_slot_channel_sh_t  *next;         /* of the channel */
    ngx_queue_t                  queue;        /* of the slot */
    ngx_chat_slot_sh_t          *slot;
    ngx_chat_channel_sh_t       *channel;
    ngx_uint_t                   subscriptions;
    ngx_uint_t                   members;      /* of a node's slot: members
                                                  that it has there */
    uint64_t                     expires;      /* ms, by the monotonic clock:
                                                  set by ngx_chat_grace.c */
};


/* A member's id and info, as they are copied into lists of members. */

typedef struct {
    uint16_t                     id_len;
    uint16_t                     info_len;
    u_char                       data[];       /* the id, then the info */
} ngx_chat_entry_t;


/* A user in a presence channel, see ngx_chat_presence.h. */

struct ngx_chat_member_sh_s {
    ngx_chat_member_sh_t        *next;         /* in the bucket */
    ngx_queue_t                  queue;        /* of the channel */
    ngx_chat_channel_sh_t       *channel;
    ngx_chat_slot_member_sh_t   *slots;
    uint32_t                     hash;
    ngx_chat_entry_t             entry;        /* last: it has no fixed size */
};


/* One worker's sockets of a member. */

struct ngx_chat_slot_member_sh_s {
    ngx_chat_slot_member_sh_t   *next;         /* of the member */
    ngx_queue_t                  queue;        /* of the slot */
    ngx_chat_member_sh_t        *member;
    ngx_chat_slot_sh_t          *slot;
    ngx_uint_t                   sockets;
    uint64_t                     expires;      /* ms, by the monotonic clock:
                                                  set by ngx_chat_grace.c */
};


/* A channel of a token session. */

typedef struct {
    uint64_t                 hash;         /* of the channel's name */
    uint64_t                 position:61;  /* the floor */
    uint64_t                 state:2;      /* ngx_chat_token_state_e */
    uint64_t                 is_gap:1;     /* the client has missed something,
                                              and may not have heard of it */
    uint64_t                 mark;
} ngx_chat_token_channel_sh_t;


/*
 * A token session, see ngx_chat_token.h.  With three channels as large as a
 * piece of the arena.
 */

struct ngx_chat_token_sh_s {
    ngx_chat_token_sh_t     *next;         /* in the bucket */
    ngx_queue_t              queue;        /* of the slot, or of the app's
                                              parked ones */
    uint64_t                 digest;
    uint64_t                 owner;        /* second part of the socket id */
    uint32_t                 expires;      /* s: parked, by the monotonic
                                              clock; else how long from then */
    uint32_t                 renewed;      /* the zone's, when it began */
    uint32_t                 slow;         /* s, when it was last too slow */
    uint16_t                 share;        /* its app's entry */
    uint16_t                 n:14;         /* channels */
    uint16_t                 is_parked:1;
    uint16_t                 is_shared:1;  /* by two connections at a time */
    ngx_chat_token_channel_sh_t  channels[];
};


/* A cached event or answer, see ngx_chat_cache.h. */

struct ngx_chat_cache_sh_s {
    ngx_chat_cache_sh_t         *next;         /* in the bucket */
    ngx_queue_t                  queue;
    uint64_t                     app;
    uint32_t                     expires;      /* s, by the monotonic clock */
    uint32_t                     hash;
    uint32_t                     payload_len;
    uint16_t                     renewed;      /* the zone's, when it was set */
    uint16_t                     share;        /* index of the app's share */
    u_char                       len;
    u_char                       data[];       /* the name, then the payload */
};


typedef enum {
    NGX_CHAT_CACHE_EVENTS_e = 0,               /* last events of channels */
    NGX_CHAT_CACHE_ANSWERS_e,                  /* to requests with a key */
    NGX_CHAT_CACHE_KINDS_e
} ngx_chat_cache_kind_e;


/* An app's entries of one kind, the oldest first; it is dropped where room is
   needed. */

typedef struct {
    ngx_queue_t                  entries;
    size_t                       used;
} ngx_chat_cache_queue_t;


/* All apps' entries of one kind. */

typedef struct {
    size_t                       used;
    size_t                       limit;
} ngx_chat_cache_total_t;


/* What an app has of the arena, see ngx_chat_share.h. */

typedef struct {
    uint64_t                     app;          /* 0: the entry is free */
    ngx_chat_arena_owner_sh_t    owner;
    ngx_chat_cache_queue_t       kept[NGX_CHAT_CACHE_KINDS_e];
    ngx_queue_t                  parked;       /* token sessions, the longest
                                                  parked first */
    size_t                       parked_size;  /* bytes of the arena */
    uint64_t                     refused;      /* times it got no memory */
    uint16_t                     first;        /* entry in this bucket, and */
    uint16_t                     next;         /* behind this entry; 0: none */
    uint16_t                     hooks;        /* bits of the kinds of events
                                                  that its webhooks want */
    unsigned                     is_configured:1;
} ngx_chat_share_sh_t;


/*
 * A webhook as the console shows it.  The herald's thread writes it, without a
 * lock; each word is right by itself.
 */

typedef struct {
    uint64_t                     key;          /* of the webhook; 0: none */
    uint64_t                     queued;       /* events that wait */
    uint64_t                     dead;         /* that were given up */
    uint64_t                     tries;        /* of the events at hand */
    uint64_t                     status;       /* of the last answer; 0 */
    uint64_t                     success;      /* ms since 1970; 0: never */
    uint64_t                     oldest;       /* the same, of what waits */
    ngx_atomic_t                 revive;       /* the operator wants the dead
                                                  to be sent again */
    size_t                       len;
    u_char                       error[NGX_CHAT_HOOK_ERROR];
} ngx_chat_hook_sh_t;


/* The nodes of a cluster, see ngx_chat_node.h. */

typedef struct {
    uint64_t                     incarnations[NGX_CHAT_ZONE_NODES];   /* of each
                                                  node slot; 0: it is free */
    uint64_t                     self;         /* this node's; 0: none */
    uint64_t                     seq;          /* of the log's item that is
                                                  being applied */
    uint32_t                     turns;        /* goes up where there is
                                                  something to announce */
    ngx_uint_t                   changed;      /* under the lock: the same,
                                                  since it was taken */
    uint64_t                    *channels;     /* bits: buckets of channels and
                                                  members that may have changed
                                                  here */
    uint64_t                    *members;
    uint64_t                    *due;          /* bits: buckets of channels
                                                  whose number is to be told */
} ngx_chat_nodes_sh_t;


/* What all workers know of webhooks, see ngx_chat_hook.h. */

typedef struct {
    pthread_mutex_t              lease;        /* its holder is the herald */
    uint64_t                     id;           /* of this zone, by chance */
    ngx_atomic_t                 kinds;        /* bits: wanted by any app */
    uint64_t                     last;         /* position of the last record
                                                  in the ring */
    uint64_t                     records;      /* their number */
    uint64_t                     read;         /* what is before is in the
                                                  database, but for state */
    uint64_t                     forwarded;    /* in a cluster: what is before
                                                  is in the log */
    uint64_t                     wiped;        /* ms, when the zone was */
    ngx_atomic_t                 added;        /* rows added by others */
    ngx_atomic_t                 configured;   /* how often, by a start or a
                                                  reload */
    ngx_chat_hook_sh_t          *hooks;
    ngx_uint_t                   nhooks;       /* entries of that table */
} ngx_chat_hooks_sh_t;


/*
 * Called for changes of the registry, while the zone's lock is held.  Each may
 * only render an event and call ngx_chat_index_append().
 */

typedef struct {
    /* The user's last socket left the channel, or its worker died. */
    void  (*removed)(ngx_chat_zone_t *zone, uint64_t app,
                     ngx_str_t *channel, ngx_str_t *user);

    /* The channel got its first subscription, or lost its last. */
    void  (*occupied)(ngx_chat_zone_t *zone, uint64_t app,
                      ngx_str_t *channel, ngx_uint_t on);

    /* The channel's number of subscriptions is to be told. */
    void  (*counted)(ngx_chat_zone_t *zone, uint64_t app,
                     ngx_str_t *channel, ngx_uint_t n);

    /* The user's first socket joined the channel. */
    void  (*joined)(ngx_chat_zone_t *zone, uint64_t app,
                    ngx_str_t *channel, ngx_str_t *user);

    /* In a cluster: the user is there, on whatever node. */
    void  (*added)(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *channel,
                   ngx_str_t *user, ngx_str_t *info);

    /* A subscriber of a cache channel has found no event. */
    void  (*missed)(ngx_chat_zone_t *zone, uint64_t app,
                    ngx_str_t *channel);
} ngx_chat_zone_handlers_t;


typedef struct {
    ngx_chat_ring_sh_t          *ring;
    ngx_chat_arena_sh_t         *arena;
    size_t                       arena_size;

    ngx_chat_slot_sh_t          *slots;        /* of the workers; those of
                                                  the grace and of nodes
                                                  follow */
    ngx_uint_t                   nslots;       /* without these */
    ngx_uint_t                   nnodes;       /* 0: no cluster */
    ngx_chat_nodes_sh_t         *nodes;

    ngx_chat_hash_key_t          key;          /* of all buckets' hashes */
    ngx_chat_channel_sh_t      **channels;     /* buckets of the registry */
    ngx_chat_member_sh_t       **members;      /* of presence channels */
    ngx_chat_cache_sh_t        **caches;       /* of cache channels */
    ngx_chat_token_sh_t        **tokens;       /* of token sessions */
    ngx_uint_t                   mask;         /* number of buckets less one */
    ngx_uint_t                   nchannels;
    ngx_uint_t                   nmembers;
    ngx_uint_t                   ngrace;       /* members that were cut off */

    ngx_chat_share_sh_t         *shares;       /* of the apps */
    ngx_uint_t                   nshares;
    ngx_uint_t                   nused;        /* shares before this one may
                                                  be in use */
    ngx_uint_t                   napps;        /* that are configured */
    ngx_uint_t                   expired;      /* the share looked at next for
                                                  what has expired */
    ngx_chat_cache_total_t       kept[NGX_CHAT_CACHE_KINDS_e];

    uint64_t                    *last;         /* positions in the ring, see */
    ngx_uint_t                   last_mask;    /* ngx_chat_index.h */
    uint64_t                    *unstored;
    ngx_uint_t                   unstored_mask;

    size_t                       parked_size;  /* of all apps' sessions */
    size_t                       parked_limit;
    ngx_uint_t                   unparked;     /* the share looked at next for
                                                  sessions that have expired */

    ngx_chat_wakeup_sh_t        *wakeups;      /* of the ring, and of workers */
    ngx_uint_t                   nwakeups;
    ngx_msec_t                   started;      /* when the zone was made */
    ngx_atomic_t                 renewed;      /* how often the database
                                                  became another one */

    ngx_uint_t                   busy;         /* a process has the lock, or
                                                  died with it */
    ngx_atomic_t                 generation;   /* how often it was wiped */

    /* sums of workers that have left */
    uint64_t                     counters[NGX_CHAT_COUNTERS_e];

    ngx_chat_incident_sh_t       incidents[NGX_CHAT_INCIDENTS_e];

    ngx_chat_hooks_sh_t          hooks;

    void                        *store;        /* the store's part, its own */
} ngx_chat_zone_sh_t;


struct ngx_chat_zone_s {
    ngx_slab_pool_t             *shpool;
    ngx_chat_zone_sh_t          *sh;
    ngx_chat_zone_handlers_t    *handlers;     /* set in each worker */
    ngx_chat_wakeups_t          *wakeups;      /* the first is the ring's */
    ngx_uint_t                   workers;      /* as configured */
    ngx_uint_t                   nnodes;       /* the same; 0: no cluster */
    ngx_msec_t                   grace;        /* that members stay which were
                                                  cut off */
};


/* An app's even part of what is divided among the apps, and its share: half of
   the arena is divided. */
#define ngx_chat_zone_part(sh, share, size)                                   \
    ((share)->is_configured ? (size) / ngx_max((sh)->napps, 1) : 0)

#define ngx_chat_zone_share(sh, share)                                        \
    ngx_chat_zone_part(sh, share, (sh)->arena->size / 2)


/* Of the bits of buckets. */
#define ngx_chat_zone_words(sh)  (((sh)->mask + 64) / 64)

/* The slot of a node, with the number that it has in nodes. */
#define ngx_chat_zone_node(sh, i)                                             \
    (&(sh)->slots[(sh)->nslots + NGX_CHAT_ZONE_GRACES + (i)])

#define ngx_chat_zone_is_node(sh, slot)                                       \
    ((slot) >= ngx_chat_zone_node(sh, 0))


/* lock() wipes the zone where the last holder died with the lock. */
void ngx_chat_zone_lock(ngx_chat_zone_t *zone);
void ngx_chat_zone_unlock(ngx_chat_zone_t *zone);

/*
 * Whether the zone was wiped since the slot's generation began: then all
 * pointers that its worker has from the registry are void.  Without the lock
 * the answer may be old.
 */
#define ngx_chat_zone_is_wiped(zone, slot)                                    \
    ((slot)->generation != (zone)->sh->generation)


/*
 * For an ngx_shm_zone_init_pt, in the master before it forks.  shm_zone->data
 * is a ngx_chat_zone_t with workers set; old is that of the configuration
 * before, or NULL; pool is the new configuration's.  NGX_OK; NGX_ERROR, logged:
 * no memory, or the size differs from a zone in use.
 */
ngx_int_t ngx_chat_zone_init(ngx_shm_zone_t *shm_zone, ngx_chat_zone_t *old,
    ngx_pool_t *pool);


#endif /* _NGX_CHAT_ZONE_H_INCLUDED_ */
