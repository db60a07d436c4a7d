
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * How the fanout gives events to sessions.
 */


#ifndef _NGX_CHAT_DELIVERY_H_INCLUDED_
#define _NGX_CHAT_DELIVERY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <session/ngx_chat_session.h>


/* Sets the handlers of the worker's fanout. */
void ngx_chat_delivery_init(ngx_chat_sessions_t *w);


#endif /* _NGX_CHAT_DELIVERY_H_INCLUDED_ */
