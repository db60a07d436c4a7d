
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Worker slots.  The slot of a worker that died is cleared by another worker.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_incident.h>
#include <shared/ngx_chat_registry.h>
#include <shared/ngx_chat_slot.h>
#include <shared/ngx_chat_token.h>
#include <wire/ngx_chat_failpoint.h>


/* channels and members cleared while the zone's lock is held once */
#define NGX_CHAT_SLOT_STEP  64


static void ngx_chat_slot_begin(ngx_chat_slot_sh_t *slot);
static ngx_int_t ngx_chat_slot_trylock(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_log_t *log);
static void ngx_chat_slot_clear(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot);


/* counters for the time without a slot */
static uint64_t  ngx_chat_slot_spare[NGX_CHAT_COUNTERS_e];

uint64_t        *ngx_chat_counters = ngx_chat_slot_spare;


ngx_chat_slot_sh_t *
ngx_chat_slot_lease(ngx_chat_zone_t *zone, ngx_log_t *log)
{
    ngx_uint_t           i;
    ngx_chat_slot_sh_t  *slot;

    for (i = 0; i < zone->sh->nslots; i++) {
        slot = &zone->sh->slots[i];

        if (ngx_chat_slot_trylock(zone, slot, log) != NGX_BUSY) {
            goto found;
        }
    }

    return NULL;

found:

    ngx_chat_failpoint("slot leased");

    slot->position = ngx_chat_ring_head(zone->sh->ring);
    slot->pid = ngx_pid;

    ngx_chat_slot_renew(zone, slot);
    ngx_chat_slot_begin(slot);

    return slot;
}


/* What was counted without a slot is counted in this one. */

static void
ngx_chat_slot_begin(ngx_chat_slot_sh_t *slot)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_CHAT_COUNTERS_e; i++) {
        slot->counters[i] += ngx_chat_slot_spare[i];
        ngx_chat_slot_spare[i] = 0;
    }

    ngx_chat_counters = slot->counters;
}


void
ngx_chat_slot_renew(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot)
{
    ngx_chat_zone_lock(zone);

    slot->generation = zone->sh->generation;

    ngx_chat_zone_unlock(zone);
}


void
ngx_chat_slot_release(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot)
{
    ngx_chat_counters = ngx_chat_slot_spare;

    ngx_chat_slot_clear(zone, slot);

    (void) pthread_mutex_unlock(&slot->lease);
}


ngx_uint_t
ngx_chat_slot_reap(ngx_chat_zone_t *zone, ngx_log_t *log)
{
    ngx_int_t            rc;
    ngx_uint_t           i, n;
    ngx_chat_slot_sh_t  *slot;

    n = 0;

    for (i = 0; i < zone->sh->nslots; i++) {
        slot = &zone->sh->slots[i];

        rc = ngx_chat_slot_trylock(zone, slot, log);

        if (rc != NGX_BUSY) {
            n += (rc == NGX_DONE);
            (void) pthread_mutex_unlock(&slot->lease);
        }
    }

    return n;
}


/*
 * Takes the lease.  NGX_OK: the slot was free; NGX_DONE: its worker has died,
 * and its connections with it, and the slot was cleared; NGX_BUSY.
 */

static ngx_int_t
ngx_chat_slot_trylock(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_log_t *log)
{
    int  err;

    err = pthread_mutex_trylock(&slot->lease);

    if (err != EOWNERDEAD) {
        return err ? NGX_BUSY : NGX_OK;
    }

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "chat clears up after worker %P", slot->pid);

    if (slot->pid) {
        ngx_chat_incident_note(NGX_CHAT_INCIDENT_WORKER_DIED_e,
                               "process %P, %uL client%s", slot->pid,
                               slot->counters[NGX_CHAT_CONNECTIONS_e],
                               (slot->counters[NGX_CHAT_CONNECTIONS_e] == 1)
                               ? "" : "s");

        slot->counters[NGX_CHAT_WORKERS_DIED_e]++;
        slot->counters[NGX_CHAT_CLOSED_LOST_e] +=
                                       slot->counters[NGX_CHAT_CONNECTIONS_e];
        slot->counters[NGX_CHAT_CONNECTIONS_e] = 0;
    }

    ngx_chat_slot_clear(zone, slot);

    ngx_chat_failpoint("slot reaped");

    (void) pthread_mutex_consistent(&slot->lease);

    return NGX_DONE;
}


/*
 * Empties a slot.  The caller has the lease.  Counters move one by one: a kill
 * in between may count some of them twice, and breaks nothing.
 */

static void
ngx_chat_slot_clear(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot)
{
    ngx_uint_t  i, n;

    while (ngx_chat_registry_clear(zone, slot, NGX_CHAT_SLOT_STEP)
           == NGX_AGAIN)
    {
        /* void */
    }

    do {
        ngx_chat_zone_lock(zone);
        n = ngx_chat_token_clear(zone, slot, NGX_CHAT_SLOT_STEP);
        ngx_chat_zone_unlock(zone);

    } while (n != 0);

    ngx_chat_zone_lock(zone);

    for (i = 0; i < NGX_CHAT_COUNTERS_e; i++) {

        if (i >= NGX_CHAT_GAUGES_e) {
            zone->sh->counters[i] += slot->counters[i];
        }

        slot->counters[i] = 0;
    }

    slot->pid = 0;

    ngx_chat_zone_unlock(zone);
}
