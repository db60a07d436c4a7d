
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Commands of clients.
 */


#ifndef _NGX_CHAT_DISPATCH_H_INCLUDED_
#define _NGX_CHAT_DISPATCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <session/ngx_chat_session.h>


/*
 * Does what a client's text message asks for.  The text is valid UTF-8, and
 * may be changed.  The session is still there afterwards: if it has to end, a
 * posted event ends it.
 */
void ngx_chat_dispatch(ngx_chat_session_t *s, u_char *text, size_t len);


#endif /* _NGX_CHAT_DISPATCH_H_INCLUDED_ */
