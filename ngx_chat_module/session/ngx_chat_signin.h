
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Sign-in, the user's own channel, watchlists (Pusher protocol, section 5).
 */


#ifndef _NGX_CHAT_SIGNIN_H_INCLUDED_
#define _NGX_CHAT_SIGNIN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_command.h>
#include <session/ngx_chat_session.h>


/* Answers the client itself. */
void ngx_chat_signin(ngx_chat_session_t *s, ngx_chat_command_t *cmd);

/* 1 where the channel is the signed-in user's own. */
ngx_uint_t ngx_chat_signin_is_own(ngx_chat_session_t *s, ngx_str_t *channel);


#endif /* _NGX_CHAT_SIGNIN_H_INCLUDED_ */
