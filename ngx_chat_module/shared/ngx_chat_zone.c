
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The shared zone: how it is built, locked and wiped.  Half of it is the ring,
 * most of the rest is the arena.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/rand.h>

#include <bus/ngx_chat_wakeup.h>
#include <shared/ngx_chat_mutex.h>
#include <shared/ngx_chat_zone.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


/* zone bytes for each bucket of the registry */
#define NGX_CHAT_ZONE_PER_BUCKET  1024

/* the same of the ring's index, and the most buckets that it has */
#define NGX_CHAT_ZONE_PER_LAST    512
#define NGX_CHAT_ZONE_LAST_MAX    65536

/* buckets of the index for one that tells of unstored events only */
#define NGX_CHAT_ZONE_UNSTORED    16

/* the part of the arena that cached events may take, and others: one in so
   many */
#define NGX_CHAT_ZONE_CACHE       4
#define NGX_CHAT_ZONE_ANSWERS     8
#define NGX_CHAT_ZONE_PARKED      8


static ngx_int_t ngx_chat_zone_check(ngx_shm_zone_t *shm_zone);
static ngx_int_t ngx_chat_zone_build(ngx_chat_zone_t *zone, size_t size,
    ngx_log_t *log);
static ngx_int_t ngx_chat_zone_alloc(ngx_chat_zone_t *zone, size_t size);
static ngx_int_t ngx_chat_zone_alloc_nodes(ngx_chat_zone_sh_t *sh,
    ngx_slab_pool_t *pool);
static ngx_int_t ngx_chat_zone_alloc_index(ngx_chat_zone_sh_t *sh,
    ngx_slab_pool_t *pool, size_t size);
static void ngx_chat_zone_empty(ngx_chat_zone_sh_t *sh);
static void ngx_chat_zone_empty_share(ngx_chat_zone_sh_t *sh,
    ngx_chat_share_sh_t *share);


ngx_int_t
ngx_chat_zone_init(ngx_shm_zone_t *shm_zone, ngx_chat_zone_t *old,
    ngx_pool_t *pool)
{
    ngx_chat_zone_t  *zone;

    zone = shm_zone->data;

    if (old != NULL) {
        zone->shpool = old->shpool;
        zone->sh = old->sh;

        zone->wakeups = old->wakeups;

        return ngx_chat_wakeup_share(zone->wakeups, pool);
    }

    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    if (shm_zone->shm.exists) {
        zone->sh = zone->shpool->data;
        return NGX_OK;
    }

    if (ngx_chat_zone_check(shm_zone) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_chat_zone_build(zone, shm_zone->shm.size, shm_zone->shm.log)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "chat_zone of %uz bytes is too small",
                      shm_zone->shm.size);
        return NGX_ERROR;
    }

    zone->wakeups = ngx_chat_wakeup_create(zone->sh->wakeups,
                                           zone->sh->nwakeups, pool);

    return zone->wakeups ? NGX_OK : NGX_ERROR;
}


void
ngx_chat_zone_lock(ngx_chat_zone_t *zone)
{
    ngx_shmtx_lock(&zone->shpool->mutex);

    /* busy stays set during the wipe: this process may die in it, too */

    if (zone->sh->busy) {
        ngx_chat_zone_empty(zone->sh);
        zone->sh->hooks.wiped = ngx_chat_clock_msec();
        zone->sh->generation++;
    }

    zone->sh->busy = 1;

    ngx_memory_barrier();
}


void
ngx_chat_zone_unlock(ngx_chat_zone_t *zone)
{
    ngx_memory_barrier();

    zone->sh->busy = 0;

    ngx_shmtx_unlock(&zone->shpool->mutex);
}


/*
 * Refuses another size than that of the running configuration.  nginx would
 * make a second zone, and the subscribers of old workers would miss what the
 * new workers publish.
 */

static ngx_int_t
ngx_chat_zone_check(ngx_shm_zone_t *shm_zone)
{
    ngx_uint_t        i;
    ngx_shm_zone_t   *zones;
    ngx_list_part_t  *part;

    part = (ngx_list_part_t *) &ngx_cycle->shared_memory.part;
    zones = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NGX_OK;
            }

            part = part->next;
            zones = part->elts;
            i = 0;
        }

        if (zones[i].tag == shm_zone->tag
            && zones[i].shm.size != shm_zone->shm.size)
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "chat_zone is %uz bytes in the running nginx and "
                          "can't become %uz bytes by a reload, restart nginx",
                          zones[i].shm.size, shm_zone->shm.size);
            return NGX_ERROR;
        }
    }
}


static ngx_int_t
ngx_chat_zone_build(ngx_chat_zone_t *zone, size_t size, ngx_log_t *log)
{
    ngx_uint_t           i;
    ngx_chat_zone_sh_t  *sh;

    if (ngx_chat_zone_alloc(zone, size) != NGX_OK) {
        return NGX_ERROR;
    }

    sh = zone->sh;
    sh->started = ngx_current_msec;

    if (RAND_bytes((u_char *) &sh->key, sizeof(ngx_chat_hash_key_t)) != 1
        || RAND_bytes((u_char *) &sh->hooks.id, sizeof(uint64_t)) != 1)
    {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "RAND_bytes() failed");
        return NGX_ERROR;
    }

    for (i = 0; i < sh->nslots; i++) {
        if (ngx_chat_mutex_init(&sh->slots[i].lease) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_chat_mutex_init(&sh->hooks.lease) != NGX_OK) {
        return NGX_ERROR;
    }

    sh->hooks.last = (uint64_t) -1;

    ngx_chat_ring_init(sh->ring, size / 2);
    ngx_chat_zone_empty(sh);

    sh->kept[NGX_CHAT_CACHE_EVENTS_e].limit = sh->arena->size
                                              / NGX_CHAT_ZONE_CACHE;
    sh->kept[NGX_CHAT_CACHE_ANSWERS_e].limit = sh->arena->size
                                               / NGX_CHAT_ZONE_ANSWERS;
    sh->parked_limit = sh->arena->size / NGX_CHAT_ZONE_PARKED;

    zone->shpool->data = sh;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, log, 0,
                   "chat zone: ring %uz, arena %uz",
                   (size_t) sh->ring->size, sh->arena->size);

    return NGX_OK;
}


static ngx_int_t
ngx_chat_zone_alloc(ngx_chat_zone_t *zone, size_t size)
{
    size_t               n;
    ngx_slab_pool_t     *pool;
    ngx_chat_zone_sh_t  *sh;

    pool = zone->shpool;
    pool->log_nomem = 0;

    sh = ngx_slab_calloc(pool, sizeof(ngx_chat_zone_sh_t));
    if (sh == NULL) {
        return NGX_ERROR;
    }

    zone->sh = sh;

    for (n = 1024; n * NGX_CHAT_ZONE_PER_BUCKET < size; n *= 2) {
        /* void */
    }

    sh->mask = n - 1;

    /* workers of several configurations live side by side for a while */
    sh->nslots = ngx_max(zone->workers * 4, NGX_CHAT_ZONE_SLOTS);

    /* those of apps that a reload took out may be there beside the new ones */
    sh->nshares = ngx_min(2 * (size / NGX_CHAT_ZONE_PER_APP + 1), 65535);
    sh->nused = 1;

    /* one of the ring, and one for each worker, before and after a reload */
    sh->nwakeups = 1 + 2 * zone->workers;

    sh->ring = ngx_slab_alloc(pool, size / 2);
    sh->channels = ngx_slab_calloc(pool, n * sizeof(ngx_chat_channel_sh_t *));
    sh->members = ngx_slab_calloc(pool, n * sizeof(ngx_chat_member_sh_t *));
    sh->caches = ngx_slab_calloc(pool, n * sizeof(ngx_chat_cache_sh_t *));
    sh->shares = ngx_slab_calloc(pool,
                                 sh->nshares * sizeof(ngx_chat_share_sh_t));
    sh->tokens = ngx_slab_calloc(pool, n * sizeof(ngx_chat_token_sh_t *));
    sh->nnodes = zone->nnodes;
    sh->slots = ngx_slab_calloc(pool, (sh->nslots + NGX_CHAT_ZONE_GRACES
                                       + sh->nnodes)
                                      * sizeof(ngx_chat_slot_sh_t));
    sh->wakeups = ngx_slab_calloc(pool,
                                sh->nwakeups * sizeof(ngx_chat_wakeup_sh_t));

    sh->hooks.nhooks = ngx_min(size / NGX_CHAT_ZONE_PER_HOOK
                               + NGX_CHAT_ZONE_HOOKS, NGX_CHAT_ZONE_HOOKS_MAX);
    sh->hooks.hooks = ngx_slab_calloc(pool, sh->hooks.nhooks
                                            * sizeof(ngx_chat_hook_sh_t));

    if (sh->ring == NULL || sh->channels == NULL || sh->members == NULL
        || sh->caches == NULL || sh->shares == NULL || sh->slots == NULL
        || sh->tokens == NULL || sh->wakeups == NULL
        || sh->hooks.hooks == NULL
        || ngx_chat_zone_alloc_index(sh, pool, size) != NGX_OK
        || ngx_chat_zone_alloc_nodes(sh, pool) != NGX_OK
        || pool->pfree < 16)
    {
        return NGX_ERROR;
    }

    /* the rest, save a few pages for the store's part and the like */

    sh->arena_size = (pool->pfree - 8) * ngx_pagesize;
    sh->arena = ngx_slab_alloc(pool, sh->arena_size);

    return sh->arena ? NGX_OK : NGX_ERROR;
}


/* In a cluster: its nodes, and a bit for each bucket. */

static ngx_int_t
ngx_chat_zone_alloc_nodes(ngx_chat_zone_sh_t *sh, ngx_slab_pool_t *pool)
{
    size_t  bits;

    if (sh->nnodes == 0) {
        return NGX_OK;
    }

    bits = ngx_chat_zone_words(sh) * sizeof(uint64_t);

    sh->nodes = ngx_slab_calloc(pool, sizeof(ngx_chat_nodes_sh_t) + 3 * bits);
    if (sh->nodes == NULL) {
        return NGX_ERROR;
    }

    sh->nodes->channels = (uint64_t *) (sh->nodes + 1);
    sh->nodes->members = sh->nodes->channels + ngx_chat_zone_words(sh);
    sh->nodes->due = sh->nodes->members + ngx_chat_zone_words(sh);

    return NGX_OK;
}


/* The tables of ngx_chat_index.h, in which no bucket has a position yet. */

static ngx_int_t
ngx_chat_zone_alloc_index(ngx_chat_zone_sh_t *sh, ngx_slab_pool_t *pool,
    size_t size)
{
    size_t  last, unstored;

    for (last = 1024;
         last < NGX_CHAT_ZONE_LAST_MAX && last * NGX_CHAT_ZONE_PER_LAST < size;
         last *= 2)
    {
        /* void */
    }

    unstored = last / NGX_CHAT_ZONE_UNSTORED;

    sh->last_mask = last - 1;
    sh->unstored_mask = unstored - 1;

    sh->last = ngx_slab_alloc(pool, last * sizeof(uint64_t));
    sh->unstored = ngx_slab_alloc(pool, unstored * sizeof(uint64_t));

    if (sh->last == NULL || sh->unstored == NULL) {
        return NGX_ERROR;
    }

    ngx_memset(sh->last, 0xff, last * sizeof(uint64_t));
    ngx_memset(sh->unstored, 0xff, unstored * sizeof(uint64_t));

    return NGX_OK;
}


/*
 * Empties the arena and all that points into it.  Follows no pointer into the
 * arena, since it may be broken.
 */

static void
ngx_chat_zone_empty(ngx_chat_zone_sh_t *sh)
{
    size_t      n;
    ngx_uint_t  i;

    n = (sh->mask + 1) * sizeof(void *);

    ngx_memzero(sh->channels, n);
    ngx_memzero(sh->members, n);
    ngx_memzero(sh->caches, n);
    ngx_memzero(sh->tokens, n);

    sh->nchannels = 0;
    sh->nmembers = 0;
    sh->ngrace = 0;

    sh->parked_size = 0;

    ngx_chat_failpoint("wipe");

    for (i = 0; i < sh->nslots + NGX_CHAT_ZONE_GRACES + sh->nnodes; i++) {
        ngx_queue_init(&sh->slots[i].channels);
        ngx_queue_init(&sh->slots[i].members);
        ngx_queue_init(&sh->slots[i].tokens);
    }

    ngx_chat_arena_init(sh->arena, sh->arena_size);

    for (i = 0; i < sh->nshares; i++) {
        ngx_chat_zone_empty_share(sh, &sh->shares[i]);
    }

    for (i = 0; i < NGX_CHAT_CACHE_KINDS_e; i++) {
        sh->kept[i].used = 0;
    }
}


/* The app has nothing, and its share. */

static void
ngx_chat_zone_empty_share(ngx_chat_zone_sh_t *sh, ngx_chat_share_sh_t *share)
{
    ngx_uint_t  i;

    ngx_memzero(&share->owner, sizeof(ngx_chat_arena_owner_sh_t));

    ngx_chat_arena_share(sh->arena, &share->owner,
                         ngx_chat_zone_share(sh, share));

    ngx_queue_init(&share->parked);
    share->parked_size = 0;

    for (i = 0; i < NGX_CHAT_CACHE_KINDS_e; i++) {
        ngx_queue_init(&share->kept[i].entries);
        share->kept[i].used = 0;
    }
}
