
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Numbers of the zone and its workers, for the status pages.
 */


#ifndef _NGX_CHAT_STATS_H_INCLUDED_
#define _NGX_CHAT_STATS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


typedef enum {
    NGX_CHAT_STATS_RING_e = 0,
    NGX_CHAT_STATS_ARENA_e,
    NGX_CHAT_STATS_CACHED_e,               /* these two are in the arena */
    NGX_CHAT_STATS_ANSWERS_e,
    NGX_CHAT_STATS_PARTS_e
} ngx_chat_stats_part_e;


typedef struct {
    size_t                   used;
    size_t                   free;
} ngx_chat_stats_part_t;


typedef struct {
    ngx_pid_t                pid;
    uint64_t                 connections;
    uint64_t                 subscriptions;
    uint64_t                 queued;
    uint64_t                 position;     /* in the ring */
    uint64_t                 lag;          /* bytes behind its head */
    uint64_t                 overruns;

    /* microseconds: since its start, and of the last minute or two */
    uint64_t                 stall;
    uint64_t                 stall_recent;
    uint64_t                 delay;
    uint64_t                 delay_recent;
} ngx_chat_stats_worker_t;


/* What an app has of the arena, see ngx_chat_share.h. */

typedef struct {
    uint64_t                 held;         /* bytes */
    uint64_t                 share;
    uint64_t                 refused;      /* times that it got no memory */
} ngx_chat_stats_app_t;


typedef struct {
    uint64_t                 counters[NGX_CHAT_COUNTERS_e];
    ngx_chat_stats_part_t    parts[NGX_CHAT_STATS_PARTS_e];
    ngx_uint_t               channels;
    ngx_uint_t               members;
    ngx_uint_t               grace;        /* of these, those cut off */
    ngx_uint_t               has_hooks;    /* webhooks are configured */
    uint64_t                 hooks_queued; /* their events that wait */
    uint64_t                 hooks_dead;   /* and that were given up */
    uint64_t                 hooks_lag;    /* ms, of the oldest that waits */
    uint64_t                 position;     /* of the ring's head */
    ngx_msec_t               uptime;

    ngx_chat_stats_worker_t  *workers;     /* those that are there */
    ngx_uint_t                nworkers;
} ngx_chat_stats_t;


/* Workers are in the pool.  NGX_OK, or NGX_ERROR: no memory. */
ngx_int_t ngx_chat_stats_take(ngx_chat_zone_t *zone, ngx_chat_stats_t *t,
    ngx_pool_t *pool);

void ngx_chat_stats_take_app(ngx_chat_zone_t *zone, uint64_t app,
    ngx_chat_stats_app_t *a);


#endif /* _NGX_CHAT_STATS_H_INCLUDED_ */
