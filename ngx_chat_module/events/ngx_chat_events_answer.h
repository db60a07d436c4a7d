
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What streams and polls have in common.
 */


#ifndef _NGX_CHAT_EVENTS_ANSWER_H_INCLUDED_
#define _NGX_CHAT_EVENTS_ANSWER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <events/ngx_chat_events.h>


/* What comes first in the next answer that begins. */
extern ngx_chat_events_text_t  ngx_chat_events_answer_begun;


/* Adds an event, by its payload, to that.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_events_answer_add(ngx_chat_events_t *ev,
    ngx_str_t *channel, ngx_str_t *payload);

/* Tells in a header where the answer begins.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_events_answer_headers(ngx_chat_events_t *ev);

/* Suspends the request.  Returns what the content handler returns. */
ngx_int_t ngx_chat_events_answer_wait(ngx_chat_events_t *ev);

/*
 * The next events, of the history and of the ring then: a text with some.  As
 * ngx_chat_events_ring_next(), and NGX_BUSY: the history is being read, the
 * client will be in the queue then.
 */
ngx_int_t ngx_chat_events_answer_next(ngx_chat_events_t *ev,
    ngx_chat_events_text_t **text);

/*
 * There is no next event, for NGX_DECLINED or NGX_ERROR.  The answer ends, and
 * the client comes back with the position that it was told last.
 */
void ngx_chat_events_answer_stop(ngx_chat_events_t *ev, ngx_int_t rc);

/* The position, as a text in the request's pool; NULL: no memory. */
ngx_str_t *ngx_chat_events_answer_position(ngx_chat_events_t *ev);


#endif /* _NGX_CHAT_EVENTS_ANSWER_H_INCLUDED_ */
