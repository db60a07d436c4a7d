
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A worker's sessions: what the hub delivers to them, and the ways they go
 * without having asked for it.
 */


#ifndef _NGX_CHAT_WORKER_H_INCLUDED_
#define _NGX_CHAT_WORKER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <fanout/ngx_chat_hub.h>
#include <session/ngx_chat_session.h>


struct ngx_chat_worker_s {
    ngx_chat_hub_t          *hub;
    ngx_queue_t              sessions;
    ngx_uint_t               nsessions;
    ngx_queue_t              dirty;        /* have frames to flush */
    ngx_queue_t              doomed;       /* have to end */
    ngx_event_t              doom;         /* posted for those */
    ngx_event_t              timer;        /* watches for the worker's exit */
    ngx_msec_t               drain;        /* to send all away in */
    ngx_uint_t               ticks;        /* left of the draining */
    time_t                   alerted;      /* when the last alert was */
    ngx_queue_t              anonymous;    /* have to authorize in time */
    ngx_chat_slot_channel_sh_t  **quotas;  /* by app: its connections here */
    ngx_pool_t              *scratch;      /* for the command at hand */
    ngx_connection_t         dummy;
};


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

/*
 * Ends a session soon: aborts it where it is broken, else closes it with
 * reconnect-now.  The session stays as it is until then.
 */
void ngx_chat_worker_doom(ngx_chat_session_t *s);


#endif /* _NGX_CHAT_WORKER_H_INCLUDED_ */
