
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Worker slots: which workers are there, and what each has in the zone.
 *
 * A worker holds its slot's lease, a robust mutex, from its start to its end.
 * An attempt to take the lease tells whether the worker lives (EBUSY), has left
 * (0) or has died (EOWNERDEAD).  That is exact however the worker died, and
 * does not depend on process ids, which are used again.
 */


#ifndef _NGX_CHAT_SLOT_H_INCLUDED_
#define _NGX_CHAT_SLOT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


/*
 * Takes a slot for this process; a dead worker's slot is cleared first.  The
 * slot's position is the ring's head, and this worker counts in the slot from
 * now on.  NULL: none is free.
 */
ngx_chat_slot_sh_t *ngx_chat_slot_lease(ngx_chat_zone_t *zone,
    ngx_log_t *log);

/* To be called after a wipe, once the worker has dropped its pointers. */
void ngx_chat_slot_renew(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot);

/* Clears a slot and gives it back. */
void ngx_chat_slot_release(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot);

/* Clears the slots of workers that died.  Returns how many there were. */
ngx_uint_t ngx_chat_slot_reap(ngx_chat_zone_t *zone, ngx_log_t *log);


#endif /* _NGX_CHAT_SLOT_H_INCLUDED_ */
