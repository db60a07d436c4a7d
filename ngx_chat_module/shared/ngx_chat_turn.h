
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * How long the turns of this worker's event loop are.
 *
 * A turn is everything between two waits for events.  While it lasts, no
 * client of the worker is served.
 */


#ifndef _NGX_CHAT_TURN_H_INCLUDED_
#define _NGX_CHAT_TURN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <shared/ngx_chat_slot.h>


/* microseconds of work after which the rest is left for the next turn */
#define NGX_CHAT_TURN_LONG  10000


/* In init_process: what is measured from now on is noted in the slot. */
void ngx_chat_turn_init(ngx_chat_slot_sh_t *slot, ngx_log_t *log);

/* In exit_process: nothing is noted any more. */
void ngx_chat_turn_exit(void);

/*
 * Has this turn measured, and adds about usec microseconds to its work.  Called
 * by all code that does something in a turn; with 0 where that is not much.
 */
void ngx_chat_turn_add(ngx_uint_t usec);

/* 1 where this turn has done so much that the rest should wait for the next. */
ngx_uint_t ngx_chat_turn_is_long(void);

/* Notes the delay of a timer: it was due at that ngx_current_msec. */
void ngx_chat_turn_timer(ngx_msec_t due);


#endif /* _NGX_CHAT_TURN_H_INCLUDED_ */
