
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * From a client's message to who does what it asks for.
 */


#ifndef _NGX_CHAT_DISPATCH_H_INCLUDED_
#define _NGX_CHAT_DISPATCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <session/ngx_chat_session.h>


/*
 * Takes a whole text message, valid UTF-8, from the client, and may change it.
 * The session lives on: if it has to end, a posted event does that.
 */
void ngx_chat_dispatch(ngx_chat_session_t *s, u_char *text, size_t len);


#endif /* _NGX_CHAT_DISPATCH_H_INCLUDED_ */
