
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * How long the turns of this worker's event loop are.
 *
 * A turn is everything between two waits for events.  While it lasts, no
 * client of the worker is served.
 */


#ifndef _NGX_CHAT_LOOP_H_INCLUDED_
#define _NGX_CHAT_LOOP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <shared/ngx_chat_slot.h>


/* microseconds of work after which the rest is left for the next turn */
#define NGX_CHAT_LOOP_LONG  10000


/* Where to note what is measured from now on.  In init_process. */
void ngx_chat_loop_init(ngx_chat_slot_sh_t *slot, ngx_log_t *log);

/* In exit_process: nothing is noted any more. */
void ngx_chat_loop_exit(void);

/*
 * Has this turn measured, and adds about so many microseconds to its work.
 * Called by whoever does something in a turn; with 0 where that is not much.
 */
void ngx_chat_loop_add(ngx_uint_t usec);

/* 1 where this turn has done so much that others should come first. */
ngx_uint_t ngx_chat_loop_is_long(void);

/* A timer that was due at that time (ngx_current_msec) is handled now. */
void ngx_chat_loop_timer(ngx_msec_t due);


#endif /* _NGX_CHAT_LOOP_H_INCLUDED_ */
