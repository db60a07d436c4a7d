
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Mending of the shared zone after a worker was killed with its lock.
 *
 * Every structure of the zone is whole at every instant, so that a walk
 * never goes astray; what a kill can leave is half of a change.  Whoever gets
 * the lock next takes such halves back or finishes them, counts anew, and
 * frees what nobody knows, before anything else is done.
 */


#ifndef _NGX_CHAT_REPAIR_H_INCLUDED_
#define _NGX_CHAT_REPAIR_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_registry.h>


/*
 * Notes a change that is to be told, and the ring's head: if the head is
 * still there after a kill, it was not told.  Its end is noted by done().
 */
void ngx_chat_repair_note(ngx_chat_zone_t *zone, ngx_chat_turn_e turn,
    void *what);
void ngx_chat_repair_done(ngx_chat_zone_t *zone);

/* The caller has the lock, and has found that its last holder died. */
void ngx_chat_repair(ngx_chat_zone_t *zone);


#endif /* _NGX_CHAT_REPAIR_H_INCLUDED_ */
