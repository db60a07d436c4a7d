
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The clients of a worker that have something to do: at once, or when they have
 * got nothing for long.
 */


#ifndef _NGX_CHAT_EVENTS_QUEUE_H_INCLUDED_
#define _NGX_CHAT_EVENTS_QUEUE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <events/ngx_chat_events.h>


/* In init_process. */
void ngx_chat_events_queue_init(ngx_cycle_t *cycle);

/* The client's go() will be called, in the next turn of the event loop. */
void ngx_chat_events_queue_post(ngx_chat_events_t *ev);

/*
 * The client has got something just now, and was told this position, or a later
 * one.  When it has been silent for long, or the ring has gone on, its beat()
 * is called.
 */
void ngx_chat_events_queue_told(ngx_chat_events_t *ev, uint64_t position);

/* None of that any more. */
void ngx_chat_events_queue_remove(ngx_chat_events_t *ev);


#endif /* _NGX_CHAT_EVENTS_QUEUE_H_INCLUDED_ */
