
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * From the ring to this worker's subscribers.
 */


#ifndef _NGX_CHAT_FANOUT_H_INCLUDED_
#define _NGX_CHAT_FANOUT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <fanout/ngx_chat_hub.h>


/*
 * Delivers what is new, up to a bound.  Where more is left, the next turn of
 * the event loop goes on.  Nothing is done where that is so already.
 */
void ngx_chat_fanout(ngx_chat_hub_t *hub);

/* Has this turn of the event loop deliver, behind what is posted already. */
void ngx_chat_fanout_post(ngx_chat_hub_t *hub);

/* A channel is about to be freed: nothing more goes to it.  NULL: nothing. */
void ngx_chat_fanout_forget(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch);

/* All of this worker's subscribers are told to reconnect. */
void ngx_chat_fanout_away(ngx_chat_hub_t *hub);

/* The handler of hub->fanout. */
void ngx_chat_fanout_handler(ngx_event_t *ev);


#endif /* _NGX_CHAT_FANOUT_H_INCLUDED_ */
