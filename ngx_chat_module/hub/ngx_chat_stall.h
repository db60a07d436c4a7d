
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


/* In init_process, once the events' module has begun. */
void ngx_chat_stall_init(void);

/* Where to note what is measured from now on; NULL: nowhere. */
void ngx_chat_stall_note(ngx_chat_stall_sh_t *sh);


#endif /* _NGX_CHAT_STALL_H_INCLUDED_ */
