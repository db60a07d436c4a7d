
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A worker's sessions as a whole: their begin with the process, and their end
 * when the process leaves.
 */


#ifndef _NGX_CHAT_WORKER_H_INCLUDED_
#define _NGX_CHAT_WORKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <fanout/ngx_chat_hub.h>
#include <session/ngx_chat_session.h>


/* In init_process, with drain set: NGX_OK or NGX_ERROR; sets the hub's
   handlers. */
ngx_int_t ngx_chat_worker_init(ngx_chat_worker_t *w, ngx_chat_hub_t *hub,
    ngx_uint_t napps, ngx_cycle_t *cycle);

/*
 * In exit_process: ends what sessions are left, so that nothing is held when
 * the hub goes.  The clients are told to reconnect, as far as their sockets
 * take it at once.
 */
void ngx_chat_worker_exit(ngx_chat_worker_t *w);

/*
 * The level for what a client can bring about again and again: ALERT once a
 * second, else INFO.
 */
ngx_uint_t ngx_chat_worker_log_level(ngx_chat_worker_t *w);


#endif /* _NGX_CHAT_WORKER_H_INCLUDED_ */
