
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The steps of subscribe and unsubscribe (Pusher protocol, sections 2.5 and
 * 3).
 */


#ifndef _NGX_CHAT_SUBSCRIBE_H_INCLUDED_
#define _NGX_CHAT_SUBSCRIBE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_command.h>
#include <session/ngx_chat_session.h>


/* Both answer the client themselves. */
void ngx_chat_subscribe(ngx_chat_session_t *s, ngx_chat_command_t *cmd);
void ngx_chat_unsubscribe(ngx_chat_session_t *s, ngx_chat_command_t *cmd);


#endif /* _NGX_CHAT_SUBSCRIBE_H_INCLUDED_ */
