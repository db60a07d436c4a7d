
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Adds up the zone's counters, under its lock, so that the counts of a worker
 * that leaves are not taken twice.  Workers count without the lock, so the
 * numbers of one worker may be some events apart.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_share.h>
#include <shared/ngx_chat_slot.h>
#include <shared/ngx_chat_stats.h>
#include <wire/ngx_chat_clock.h>


static void ngx_chat_stats_slot(ngx_chat_stats_t *t,
    ngx_chat_slot_sh_t *slot);
static void ngx_chat_stats_hooks(ngx_chat_stats_t *t,
    ngx_chat_zone_sh_t *sh);
static void ngx_chat_stats_parts(ngx_chat_stats_t *t,
    ngx_chat_zone_sh_t *sh);
static void ngx_chat_stats_part(ngx_chat_stats_part_t *part, size_t used,
    size_t size);


ngx_int_t
ngx_chat_stats_take(ngx_chat_zone_t *zone, ngx_chat_stats_t *t,
    ngx_pool_t *pool)
{
    ngx_uint_t           i;
    ngx_chat_zone_sh_t  *sh;

    sh = zone->sh;

    ngx_memzero(t, sizeof(ngx_chat_stats_t));

    t->workers = ngx_palloc(pool,
                            sh->nslots * sizeof(ngx_chat_stats_worker_t));
    if (t->workers == NULL) {
        return NGX_ERROR;
    }

    ngx_chat_zone_lock(zone);

    ngx_memcpy(t->counters, sh->counters, sizeof(sh->counters));

    t->channels = sh->nchannels;
    t->members = sh->nmembers;
    t->grace = sh->ngrace;
    t->uptime = ngx_current_msec - sh->started;
    t->position = ngx_chat_ring_head(sh->ring);

    t->counters[NGX_CHAT_EVENTS_e] = sh->ring->records - sh->hooks.records;
    t->counters[NGX_CHAT_STORED_e] = sh->ring->marks;
    t->counters[NGX_CHAT_WIPES_e] = sh->generation;

    ngx_chat_stats_parts(t, sh);

    for (i = 0; i < sh->nslots; i++) {

        if (sh->slots[i].pid) {
            ngx_chat_stats_slot(t, &sh->slots[i]);
        }
    }

    ngx_chat_zone_unlock(zone);

    ngx_chat_stats_hooks(t, sh);

    return NGX_OK;
}


void
ngx_chat_stats_take_app(ngx_chat_zone_t *zone, uint64_t app,
    ngx_chat_stats_app_t *a)
{
    ngx_chat_share_sh_t  *share;

    ngx_chat_zone_lock(zone);

    share = ngx_chat_share_find(zone->sh, app);

    a->held = share->owner.held;
    a->share = share->owner.share;
    a->refused = share->refused;

    ngx_chat_zone_unlock(zone);
}


static void
ngx_chat_stats_slot(ngx_chat_stats_t *t, ngx_chat_slot_sh_t *slot)
{
    ngx_uint_t                i;
    ngx_chat_stats_worker_t  *w;

    for (i = 0; i < NGX_CHAT_COUNTERS_e; i++) {
        t->counters[i] += slot->counters[i];
    }

    w = &t->workers[t->nworkers++];

    w->pid = slot->pid;
    w->connections = slot->counters[NGX_CHAT_CONNECTIONS_e];
    w->subscriptions = slot->counters[NGX_CHAT_SUBSCRIPTIONS_e];
    w->queued = slot->counters[NGX_CHAT_QUEUED_e];
    w->overruns = slot->counters[NGX_CHAT_OVERRUNS_e];

    w->position = __atomic_load_n(&slot->position, __ATOMIC_RELAXED);
    w->lag = (t->position > w->position) ? t->position - w->position : 0;

    w->stall = slot->turn.worst;
    w->stall_recent = ngx_chat_rolling_max_recent(&slot->turn,
                                                  ngx_current_msec);
    w->delay = slot->delay.worst;
    w->delay_recent = ngx_chat_rolling_max_recent(&slot->delay,
                                                  ngx_current_msec);
}


static void
ngx_chat_stats_parts(ngx_chat_stats_t *t, ngx_chat_zone_sh_t *sh)
{
    ngx_chat_stats_part(&t->parts[NGX_CHAT_STATS_RING_e],
                        t->position - sh->ring->tail, sh->ring->size);

    ngx_chat_stats_part(&t->parts[NGX_CHAT_STATS_ARENA_e],
                        sh->arena->used, sh->arena->size);

    ngx_chat_stats_part(&t->parts[NGX_CHAT_STATS_CACHED_e],
                        sh->kept[NGX_CHAT_CACHE_EVENTS_e].used,
                        sh->kept[NGX_CHAT_CACHE_EVENTS_e].limit);

    ngx_chat_stats_part(&t->parts[NGX_CHAT_STATS_ANSWERS_e],
                        sh->kept[NGX_CHAT_CACHE_ANSWERS_e].used,
                        sh->kept[NGX_CHAT_CACHE_ANSWERS_e].limit);
}


static void
ngx_chat_stats_part(ngx_chat_stats_part_t *part, size_t used, size_t size)
{
    part->used = ngx_min(used, size);
    part->free = size - part->used;
}


static void
ngx_chat_stats_hooks(ngx_chat_stats_t *t, ngx_chat_zone_sh_t *sh)
{
    uint64_t             now, oldest;
    ngx_uint_t           i;
    ngx_chat_hook_sh_t  *hook;

    t->has_hooks = (sh->hooks.kinds != 0);

    now = ngx_chat_clock_wall();

    for (i = 0; t->has_hooks && i < sh->hooks.nhooks; i++) {
        hook = &sh->hooks.hooks[i];

        if (hook->key == 0) {
            continue;
        }

        t->hooks_queued += hook->queued;
        t->hooks_dead += hook->dead;

        oldest = hook->oldest;

        if (oldest && oldest < now) {
            t->hooks_lag = ngx_max(t->hooks_lag, now - oldest);
        }
    }
}
