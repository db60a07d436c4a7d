
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A WebSocket connection: its state, its start, and its end.
 */


#ifndef _NGX_CHAT_WEBSOCKET_H_INCLUDED_
#define _NGX_CHAT_WEBSOCKET_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <session/ngx_chat_session.h>
#include <websocket/ngx_chat_decoder.h>
#include <websocket/ngx_chat_object_pool.h>


typedef struct {
    ngx_chat_session_t       session;      /* first */
    ngx_http_request_t      *request;      /* NULL: given back */
    ngx_http_cleanup_t      *cleanup;      /* of the request */
    ngx_msec_t               seen;         /* when the client last sent */
    ngx_chat_decoder_t       decoder;
    ngx_chat_buf_t          *rest;         /* read, while paused */
    ngx_str_t               *token;        /* in the request's pool, until the
                                              greeting; or NULL */

    unsigned                 started:1;
    unsigned                 paused:1;     /* takes no commands: the client
                                              has not read their answers */
    unsigned                 pinged:1;
    unsigned                 leaving:1;    /* the close frame is queued */
    unsigned                 ended:1;
} ngx_chat_websocket_t;


/* All ngx_chat_websocket_t of this worker. */
extern ngx_chat_object_pool_t  ngx_chat_websocket_pool;


extern ngx_chat_transport_t  ngx_chat_websocket_transport;


/* The content handler. */
ngx_int_t ngx_chat_websocket_handler(ngx_http_request_t *r);

/* Sends the greeting; called when nginx has done with the handshake. */
void ngx_chat_websocket_start(ngx_chat_websocket_t *ws);

/* Handlers of an open connection's events. */
void ngx_chat_websocket_read_handler(ngx_event_t *rev);
void ngx_chat_websocket_write_handler(ngx_event_t *wev);

/*
 * Takes bytes of the client.  NGX_OK: go on reading, unless it is paused;
 * NGX_DONE: the connection is leaving or gone, don't touch it.
 */
ngx_int_t ngx_chat_websocket_feed(ngx_chat_websocket_t *ws, u_char *p,
    u_char *last);

/* The session of a connection, with or without its request. */
ngx_chat_websocket_t *ngx_chat_websocket_get(ngx_connection_t *c);

/*
 * Gives the request's memory back, where nothing needs it until the
 * connection ends: about 8 KB of every idle client.  The access log has its
 * line then.
 */
void ngx_chat_websocket_release(ngx_chat_websocket_t *ws);

/* Who the client is, for the variables of the request, which is still there. */
void ngx_chat_websocket_note(ngx_chat_websocket_t *ws);

/*
 * All of these free ws, or may: don't touch it afterwards.  close_code()
 * closes with a code of RFC 6455, without an error frame, and returns
 * NGX_DONE; close() and abort() are those of the transport; finish() ends
 * the connection, with NGX_OK when everything is sent.
 */
ngx_int_t ngx_chat_websocket_close_code(ngx_chat_websocket_t *ws,
    ngx_uint_t code);
void ngx_chat_websocket_close(ngx_chat_session_t *s, ngx_uint_t code,
    ngx_str_t *reason);
void ngx_chat_websocket_abort(ngx_chat_session_t *s);
void ngx_chat_websocket_finish(ngx_chat_websocket_t *ws, ngx_int_t rc);

/* The transport's.  It frees nothing: a session that breaks ends later. */
void ngx_chat_websocket_ping(ngx_chat_session_t *s, ngx_str_t *text);

/* A cleanup handler of the request, whoever ended it. */
void ngx_chat_websocket_cleanup(void *data);


#endif /* _NGX_CHAT_WEBSOCKET_H_INCLUDED_ */
