
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The next events for a client, out of the ring.
 *
 * They are found by the ring's index.  A client that is far behind reads all
 * records instead, a few in each turn.  Where several clients of a worker get
 * the same events, these are made a text once.
 */


#ifndef _NGX_CHAT_EVENTS_RING_H_INCLUDED_
#define _NGX_CHAT_EVENTS_RING_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <events/ngx_chat_events.h>


/*
 * A place up to which the index has all events, not before what this worker has
 * delivered.
 */
void ngx_chat_events_ring_now(ngx_chat_events_t *ev,
    ngx_chat_ring_place_t *now);

/* Notes such a place, which was read with the zone's lock. */
void ngx_chat_events_ring_note(ngx_chat_ring_place_t *place);

/*
 * Whether the client can go on from a place.  NGX_OK; NGX_DECLINED: the ring
 * has been written over; NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_events_ring_check(ngx_chat_events_t *ev,
    ngx_chat_ring_place_t *from);

/* 1 where the channel has had an event since the place. */
ngx_uint_t ngx_chat_events_ring_has(ngx_chat_events_t *ev,
    ngx_chat_channel_t *ch, ngx_chat_ring_place_t *from);

/*
 * The next events: a text, which is good until the next call, and ev->at moves
 * behind them.  NGX_OK; NGX_DONE: there is none; NGX_AGAIN: to be called again
 * in another turn; NGX_DECLINED: the ring has been written over; NGX_ERROR: no
 * memory.
 */
ngx_int_t ngx_chat_events_ring_next(ngx_chat_events_t *ev,
    ngx_chat_events_text_t **text);

/* Frees what the worker keeps. */
void ngx_chat_events_ring_exit(void);


#endif /* _NGX_CHAT_EVENTS_RING_H_INCLUDED_ */
