
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * All sessions of a worker: what the process does for them when it starts, by
 * a timer, and when it exits.
 */


#ifndef _NGX_CHAT_SESSIONS_H_INCLUDED_
#define _NGX_CHAT_SESSIONS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <fanout/ngx_chat_hub.h>
#include <session/ngx_chat_session.h>


/* In init_process, with drain set: NGX_OK or NGX_ERROR; sets the hub's
   handlers. */
ngx_int_t ngx_chat_sessions_init(ngx_chat_sessions_t *w, ngx_chat_hub_t *hub,
    ngx_uint_t napps, ngx_cycle_t *cycle);

/*
 * In exit_process, before the herald stops: tells webhooks that the sessions
 * end, which exit() is about to end.
 */
void ngx_chat_sessions_tell_end(ngx_chat_sessions_t *w);

/*
 * In exit_process, before ngx_chat_hub_exit(): ends the sessions that are left.
 * Clients are told to reconnect, as far as their sockets take that at once.
 */
void ngx_chat_sessions_exit(ngx_chat_sessions_t *w);


#endif /* _NGX_CHAT_SESSIONS_H_INCLUDED_ */
