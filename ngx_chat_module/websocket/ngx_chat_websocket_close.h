
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The end of a WebSocket connection.
 */


#ifndef _NGX_CHAT_WEBSOCKET_CLOSE_H_INCLUDED_
#define _NGX_CHAT_WEBSOCKET_CLOSE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <websocket/ngx_chat_websocket.h>


extern ngx_chat_transport_t  ngx_chat_websocket_transport;


/*
 * All of these free ws, or may: don't touch it afterwards.  fail() closes
 * with a code of RFC 6455, without an error frame, and returns NGX_DONE;
 * close() and abort() are those of the transport; finish() ends the
 * connection, with NGX_OK when everything is sent.
 */
ngx_int_t ngx_chat_websocket_fail(ngx_chat_websocket_t *ws, ngx_uint_t code);
void ngx_chat_websocket_close(ngx_chat_session_t *s, ngx_uint_t code,
    ngx_str_t *reason);
void ngx_chat_websocket_abort(ngx_chat_session_t *s);
void ngx_chat_websocket_finish(ngx_chat_websocket_t *ws, ngx_int_t rc);

/* The connection's read handler while the close frame goes out. */
void ngx_chat_websocket_leave_handler(ngx_event_t *rev);

/* A cleanup handler of the request, whoever ended it. */
void ngx_chat_websocket_cleanup(void *data);


#endif /* _NGX_CHAT_WEBSOCKET_CLOSE_H_INCLUDED_ */
