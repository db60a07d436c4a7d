
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * For how long the event loop keeps a worker from looking at its sockets.
 */


#ifndef _NGX_CHAT_STALL_H_INCLUDED_
#define _NGX_CHAT_STALL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <hub/ngx_chat_peak.h>


/* In shared memory; all in microseconds. */

typedef struct {
    ngx_chat_peak_t          busy;     /* a turn: from waking to waiting */
    ngx_chat_peak_t          late;     /* woke behind the time it had set */
} ngx_chat_stall_sh_t;


/*
 * What this turn has done for clients that takes long where many want it,
 * such as lists of large channels: about microseconds, added by who does it.
 * Who finds the turn long puts off to the next one what it can, so that other
 * events come in between.
 */

#define NGX_CHAT_STALL_LONG  10000

extern ngx_uint_t  ngx_chat_stall_work;

#define ngx_chat_stall_add(usec)  (ngx_chat_stall_work += (usec))
#define ngx_chat_stall_is_long()  (ngx_chat_stall_work > NGX_CHAT_STALL_LONG)


/* In init_process, once the events' module has begun. */
void ngx_chat_stall_init(void);

/* Where to note what is measured from now on; NULL: nowhere. */
void ngx_chat_stall_note(ngx_chat_stall_sh_t *sh);


#endif /* _NGX_CHAT_STALL_H_INCLUDED_ */
