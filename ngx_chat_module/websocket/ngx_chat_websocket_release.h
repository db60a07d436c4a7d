
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Giving the request behind a WebSocket back to nginx.
 */


#ifndef _NGX_CHAT_WEBSOCKET_RELEASE_H_INCLUDED_
#define _NGX_CHAT_WEBSOCKET_RELEASE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <websocket/ngx_chat_websocket.h>


/*
 * Gives the request's memory back, where nothing needs it up to the
 * connection's end: about 8 KB of every idle client.  The access log has its
 * line then.
 */
void ngx_chat_websocket_release(ngx_chat_websocket_t *ws);

/* Who it is, for the variables of the request, which is still there. */
void ngx_chat_websocket_note(ngx_chat_websocket_t *ws);


#endif /* _NGX_CHAT_WEBSOCKET_RELEASE_H_INCLUDED_ */
