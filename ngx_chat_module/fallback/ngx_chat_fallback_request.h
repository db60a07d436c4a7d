
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Requests of pusher-js without WebSocket.
 */


#ifndef _NGX_CHAT_FALLBACK_REQUEST_H_INCLUDED_
#define _NGX_CHAT_FALLBACK_REQUEST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <fallback/ngx_chat_door.h>
#include <pusher/ngx_chat_app.h>


/* What a request's URL and headers say; in the request's pool. */

typedef struct {
    ngx_chat_app_t          *app;          /* NULL: it is refused */
    ngx_str_t               *token;        /* or NULL */
    ngx_str_t                path;         /* up to the key and the token */
    ngx_str_t                session;      /* two parts of the path */
    uint64_t                 name;         /* of the session, for workers */
    uint64_t                 origin;
    uint64_t                 attempt;
    ngx_chat_door_kind_e     kind;
} ngx_chat_fallback_request_t;


/* The content handler. */
ngx_int_t ngx_chat_fallback_handler(ngx_http_request_t *r);

/* The parts of it; they return what a content handler returns. */
ngx_int_t ngx_chat_fallback_receive(ngx_http_request_t *r,
    ngx_chat_fallback_request_t *req);
ngx_int_t ngx_chat_fallback_send(ngx_http_request_t *r,
    ngx_chat_fallback_request_t *req);

/*
 * Answers with a session that is opened and closed at once.  text is NULL where
 * it is that of the code; arg is what the text names.
 */
ngx_int_t ngx_chat_fallback_refuse(ngx_http_request_t *r, ngx_uint_t code,
    const char *text, ngx_str_t *arg);


#endif /* _NGX_CHAT_FALLBACK_REQUEST_H_INCLUDED_ */
