
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


/* Delivers what is new, up to a cap; posts hub->drain where more is left. */
void ngx_chat_fanout(ngx_chat_hub_t *hub);

/* A channel is about to be freed: nothing more goes to it.  NULL: nothing. */
void ngx_chat_fanout_forget(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch);

/* All of this worker's subscribers are told to reconnect. */
void ngx_chat_fanout_away(ngx_chat_hub_t *hub);

/*
 * The event loop has published n events: drains in this turn of it, as soon as
 * nothing that is posted publishes on, and lets publishers' answers leave
 * behind that; in the next turn where this one has been long.
 */
void ngx_chat_fanout_soon(ngx_chat_hub_t *hub, ngx_uint_t n);

/* n events that publishers have asked this worker for, with size bytes of
   data, are in the ring; its event loop calls. */
void ngx_chat_fanout_owe(ngx_chat_hub_t *hub, ngx_uint_t n, size_t size);

/* Takes off what is delivered by now; hub has a slot. */
void ngx_chat_fanout_settle(ngx_chat_hub_t *hub);

/* Whether so much of its own is still to be delivered by this worker that
   those who publish should wait; never where it has no slot. */
ngx_uint_t ngx_chat_fanout_is_behind(ngx_chat_hub_t *hub);

/* The handlers of hub->drain and hub->soon. */
void ngx_chat_fanout_handler(ngx_event_t *ev);
void ngx_chat_fanout_soon_handler(ngx_event_t *ev);


#endif /* _NGX_CHAT_FANOUT_H_INCLUDED_ */
