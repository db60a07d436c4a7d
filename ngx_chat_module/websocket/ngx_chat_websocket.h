
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A WebSocket connection: its state, and where that is kept.
 */


#ifndef _NGX_CHAT_WEBSOCKET_H_INCLUDED_
#define _NGX_CHAT_WEBSOCKET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <session/ngx_chat_object_pool.h>
#include <session/ngx_chat_session.h>
#include <websocket/ngx_chat_decoder.h>


typedef struct {
    ngx_chat_session_t       session;      /* first */
    ngx_http_request_t      *request;      /* NULL: given back */
    ngx_http_cleanup_t      *cleanup;      /* of the request */
    ngx_msec_t               seen;         /* when the client last sent */
    ngx_chat_decoder_t       intake;

    unsigned                 started:1;
    unsigned                 pinged:1;
    unsigned                 leaving:1;    /* the close frame is queued */
    unsigned                 ended:1;
} ngx_chat_websocket_t;


/* All ngx_chat_websocket_t of this worker. */
extern ngx_chat_object_pool_t  ngx_chat_websocket_pool;


/* The session of a connection, with or without its request. */
ngx_chat_websocket_t *ngx_chat_websocket_get(ngx_connection_t *c);


#endif /* _NGX_CHAT_WEBSOCKET_H_INCLUDED_ */
