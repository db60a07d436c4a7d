
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Stand-ins for what the shared zone needs of nginx, so that the real ring,
 * registry and the rest can be built without it: the slab pool gives memory
 * and takes none back, its mutex is a robust one, and a lock whose holder died
 * is freed as nginx's master would free it.
 */


#ifndef _NGX_CHAT_UNIT_ZONE_H_INCLUDED_
#define _NGX_CHAT_UNIT_ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "lock.h"

#include <shared/ngx_chat_share.h>
#include <shared/ngx_chat_slot.h>
#include <shared/ngx_chat_zone.h>


ngx_uint_t             ngx_pagesize = 4096;
volatile ngx_msec_t    ngx_current_msec;
ngx_pid_t              ngx_pid;
ngx_uint_t             ngx_event_flags;
ngx_event_actions_t    ngx_event_actions;
volatile ngx_cycle_t  *ngx_cycle;


/* At the very start of the memory that processes share. */
typedef struct {
    pthread_mutex_t    mutex;          /* the slab pool's */
    uint64_t           found_dead;     /* its holders */
    size_t             used;
    size_t             size;
    ngx_slab_pool_t    pool;
    u_char             memory[];
} unit_memory_t;


static unit_memory_t        *unit_memory;
static ngx_uint_t            unit_alerts;    /* that are still to come */
static ngx_log_t             unit_log;
static ngx_cycle_t           unit_cycle;
static ngx_pool_cleanup_t    unit_cleanup;


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    (void) log;
    (void) err;

    /* what cannot happen is logged at this level, and ends a test */

    if (level <= NGX_LOG_ALERT && unit_alerts-- == 0) {
        fprintf(stderr, "# alert: %s\n", fmt);
        abort();
    }
}


/* An incident's detail: its format as it stands. */

u_char *
ngx_vslprintf(u_char *buf, u_char *last, const char *fmt, va_list args)
{
    (void) args;

    while (*fmt && buf < last) {
        *buf++ = *fmt++;
    }

    return buf;
}


void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    (void) log;

    return malloc(size);
}


void
ngx_shmtx_lock(ngx_shmtx_t *mtx)
{
    (void) mtx;

    unit_memory->found_dead += unit_lock(&unit_memory->mutex);
}


void
ngx_shmtx_unlock(ngx_shmtx_t *mtx)
{
    (void) mtx;

    (void) pthread_mutex_unlock(&unit_memory->mutex);
}


void *
ngx_slab_alloc(ngx_slab_pool_t *pool, size_t size)
{
    u_char  *p;

    size = ngx_align(size, size > ngx_pagesize / 2 ? ngx_pagesize : 64);

    if (size > unit_memory->size - unit_memory->used) {
        return NULL;
    }

    p = (u_char *) unit_memory + unit_memory->used;

    unit_memory->used += size;
    pool->pfree = (unit_memory->size - unit_memory->used) / ngx_pagesize;

    return p;
}


/* The mapping is zeroed, and nothing is ever freed. */

void *
ngx_slab_calloc(ngx_slab_pool_t *pool, size_t size)
{
    return ngx_slab_alloc(pool, size);
}


ngx_pool_cleanup_t *
ngx_pool_cleanup_add(ngx_pool_t *p, size_t size)
{
    (void) p;
    (void) size;

    return &unit_cleanup;
}


ngx_connection_t *
ngx_get_connection(ngx_socket_t s, ngx_log_t *log)
{
    (void) s;
    (void) log;

    return NULL;
}


void
ngx_free_connection(ngx_connection_t *c)
{
    (void) c;
}


/* Makes a zone in memory that children share. */
static ngx_inline void
unit_zone_create(ngx_chat_zone_t *zone, size_t size)
{
    ngx_pool_t           pool;
    ngx_shm_zone_t       shm;
    pthread_mutexattr_t  attr;

    unit_memory = mmap(NULL, size, PROT_READ|PROT_WRITE,
                       MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    if (unit_memory == MAP_FAILED) {
        perror("mmap()");
        exit(2);
    }

    unit_memory->size = size;
    unit_memory->used = ngx_align(sizeof(unit_memory_t), 64);

    (void) pthread_mutexattr_init(&attr);
    (void) pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    (void) pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    (void) pthread_mutex_init(&unit_memory->mutex, &attr);
    (void) pthread_mutexattr_destroy(&attr);

    unit_log.log_level = NGX_LOG_ALERT;
    ngx_cycle = &unit_cycle;
    ngx_pid = getpid();

    memset(&pool, 0, sizeof(ngx_pool_t));
    memset(&shm, 0, sizeof(ngx_shm_zone_t));

    pool.log = &unit_log;
    shm.shm.addr = (u_char *) &unit_memory->pool;
    shm.shm.size = size;
    shm.shm.log = &unit_log;
    shm.data = zone;

    if (ngx_chat_zone_init(&shm, NULL, &pool) != NGX_OK) {
        fprintf(stderr, "# no zone\n");
        exit(2);
    }
}


/* The apps from 1 to n are the configuration's. */
static ngx_inline void
unit_zone_apps(ngx_chat_zone_t *zone, ngx_uint_t n)
{
    ngx_uint_t       i;
    ngx_chat_app_t  *apps;

    apps = calloc(n + 1, sizeof(ngx_chat_app_t));

    for (i = 0; i < n; i++) {
        apps[i].number = i + 1;
    }

    ngx_chat_share_configure(zone, apps, n);

    free(apps);
}


/* Bytes in a list of free pieces, each of which begins with a pointer to the
   next one. */
static ngx_inline size_t
unit_zone_free(ngx_chat_arena_free_t *list, ngx_uint_t order)
{
    size_t   n;
    void    *p;

    n = 0;

    for (p = list; p; p = *(void **) p) {
        n += (size_t) NGX_CHAT_ARENA_UNIT << order;
    }

    return n;
}


/*
 * The bytes of all pieces handed out.  The apps' counts must agree with those
 * of the arena, and the lists of free pieces with both.
 */
static ngx_inline size_t
unit_zone_pieces(ngx_chat_zone_sh_t *sh)
{
    size_t                      held, rest, holes, left;
    ngx_uint_t                  i, k;
    ngx_chat_arena_owner_sh_t  *owner;

    held = 0;
    rest = 0;
    holes = 0;
    left = 0;

    for (i = 0; i < sh->nshares; i++) {
        owner = &sh->shares[i].owner;

        held += owner->held;
        rest += owner->share > owner->held ? owner->share - owner->held : 0;

        for (k = 0; k < NGX_CHAT_ARENA_BLOCK; k++) {
            holes += unit_zone_free(owner->free[k], k);
        }
    }

    for (k = 0; k < NGX_CHAT_ARENA_ORDERS; k++) {
        left += unit_zone_free(sh->arena->free[k], k);
    }

    CHECK_INT(sh->arena->held, held);
    CHECK_INT(sh->arena->used, held - holes);
    CHECK_INT(sh->arena->reserved, rest);
    CHECK_INT(sh->arena->size - held, left);

    return sh->arena->used;
}


/* The end of the last one made. */
static ngx_inline void
unit_zone_destroy(void)
{
    unit_cleanup.handler(unit_cleanup.data);

    (void) munmap(unit_memory, unit_memory->size);
}


#endif /* _NGX_CHAT_UNIT_ZONE_H_INCLUDED_ */
