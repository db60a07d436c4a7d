
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

#include <shared/ngx_chat_zone.h>


/*
 * Takes a slot for this process, a dead worker's after it has been cleared.
 * The position is the ring's head; what is counted and measured goes there
 * from now on.  NULL: none is free.
 */
ngx_chat_slot_sh_t *ngx_chat_slot_lease(ngx_chat_zone_t *zone,
    ngx_log_t *log);

/* After ngx_chat_zone_is_wiped(), once the worker has dropped its pointers. */
void ngx_chat_slot_renew(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot);

/* Gives a slot back, with all that it still holds. */
void ngx_chat_slot_release(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot);

/* Clears the slots of workers that died.  Returns how many there were. */
ngx_uint_t ngx_chat_slot_reap(ngx_chat_zone_t *zone, ngx_log_t *log);


#endif /* _NGX_CHAT_SLOT_H_INCLUDED_ */
