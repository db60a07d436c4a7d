
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Worker slots: who is there, and what each has put in the zone.
 *
 * A worker holds its slot's mutex, which is robust, from its start to its
 * end.  Whoever tries the lock learns whether the worker lives (EBUSY), has
 * left (0) or has died (EOWNERDEAD): exact, however it died, and blind to
 * process ids that are used again.
 */


#ifndef _NGX_CHAT_SLOT_H_INCLUDED_
#define _NGX_CHAT_SLOT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>

#include <shared/ngx_chat_rolling_max.h>
#include <shared/ngx_chat_zone.h>


typedef struct ngx_chat_share_sh_s  ngx_chat_share_sh_t;
typedef struct ngx_chat_part_sh_s  ngx_chat_part_sh_t;


struct ngx_chat_slot_sh_s {
    pthread_mutex_t         lease;
    ngx_pid_t               pid;
    ngx_chat_share_sh_t    *shares;        /* its channels */
    ngx_chat_part_sh_t     *parts;         /* its users' presence */

    /* How far it has delivered, a place in the ring; any process reads it.
       Where somebody has waited for that in vain, stuck is one more. */
    uint64_t                position;
    uint64_t                stuck;

    /* of its event loop, in microseconds */
    ngx_chat_rolling_max_t  turn;          /* from waking to waiting */
    ngx_chat_rolling_max_t  delay;         /* of timers */

    uint64_t                counters[NGX_CHAT_COUNTERS_e];
};


/* Called at the zone's making.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_chat_slot_init(ngx_chat_slot_sh_t *slot);

/*
 * Takes a slot for this process, a dead worker's after it has been cleared.
 * The position is the ring's head; what is counted and measured goes there
 * from now on.  NULL: none is free.
 */
ngx_chat_slot_sh_t *ngx_chat_slot_lease(ngx_chat_zone_t *zone,
    ngx_log_t *log);

/* Gives a slot back, with all that it still holds. */
void ngx_chat_slot_release(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot);

/* Clears the slots of workers that died.  Returns how many there were. */
ngx_uint_t ngx_chat_slot_reap(ngx_chat_zone_t *zone, ngx_log_t *log);


#endif /* _NGX_CHAT_SLOT_H_INCLUDED_ */
