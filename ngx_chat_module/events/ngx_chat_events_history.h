
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Stored messages for a client whose position the ring has not any more, or who
 * wants all there is.
 *
 * They are the messages above ev->at.behind up to the mark of ev->at.place:
 * what comes later is in the ring behind that place.  They are read in rounds,
 * each of some messages of every channel, and given in the order of their ids.
 */


#ifndef _NGX_CHAT_EVENTS_HISTORY_H_INCLUDED_
#define _NGX_CHAT_EVENTS_HISTORY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <events/ngx_chat_events.h>


/* Whether messages of the history are to come. */
#define ngx_chat_events_history_is_due(ev)                                    \
    ngx_chat_events_position_is_due(&(ev)->at)

/*
 * The mark of a client that wants all: as high as the ids are when the history
 * is read first.
 */
#define NGX_CHAT_EVENTS_HISTORY_ALL  ((uint64_t) -1)

/*
 * Whether the history has all that the client's channels have had since ev->at.
 * 1 or 0.
 */
ngx_uint_t ngx_chat_events_history_has_all(ngx_chat_events_t *ev);

/*
 * Begins to read a round.  whole: all messages have to be in it, within R16's
 * bounds.  NGX_OK: done() will be called, with NGX_OK, or NGX_DECLINED where
 * they can't be had; NGX_DECLINED: they can't be had.
 */
ngx_int_t ngx_chat_events_history_read(ngx_chat_events_t *ev,
    ngx_uint_t whole, void (*done)(ngx_chat_events_t *ev, ngx_int_t rc));

/* Number of messages of the round that was read. */
ngx_uint_t ngx_chat_events_history_count(ngx_chat_events_t *ev);

/*
 * The next messages of the round.  As ngx_chat_events_ring_next(), but
 * NGX_DONE: the round is over, and freed; NGX_BUSY: it is still being read.
 */
ngx_int_t ngx_chat_events_history_next(ngx_chat_events_t *ev,
    ngx_chat_events_text_t **text);

/* Gives up what is being read, and frees what was. */
void ngx_chat_events_history_free(ngx_chat_events_t *ev);

/* Frees what the worker keeps. */
void ngx_chat_events_history_exit(void);


#endif /* _NGX_CHAT_EVENTS_HISTORY_H_INCLUDED_ */
