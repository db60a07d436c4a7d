
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Client events (Pusher protocol, section 4).
 */


#ifndef _NGX_CHAT_CLIENT_EVENT_H_INCLUDED_
#define _NGX_CHAT_CLIENT_EVENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_command.h>
#include <session/ngx_chat_session.h>


/* Sends it to the channel's other subscribers, or answers why not. */
void ngx_chat_client_event(ngx_chat_session_t *s, ngx_chat_command_t *cmd);


#endif /* _NGX_CHAT_CLIENT_EVENT_H_INCLUDED_ */
