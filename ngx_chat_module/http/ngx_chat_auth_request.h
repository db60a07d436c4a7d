
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What a request of chat_auth asks for.  It is read before access is decided,
 * so that auth_request can be asked about it.
 */


#ifndef _NGX_CHAT_AUTH_REQUEST_H_INCLUDED_
#define _NGX_CHAT_AUTH_REQUEST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* What the client asks for; data == NULL: not given. */

typedef struct {
    ngx_str_t          socket_id;
    ngx_str_t          channel;        /* not given: a sign-in */
    const char        *error;          /* of the body: a 400 */
    unsigned           read:1;         /* the body has been read */
    unsigned           too_large:1;
} ngx_chat_auth_request_t;


/* In postconfiguration: reads the body before access is decided. */
ngx_int_t ngx_chat_auth_init(ngx_conf_t *cf);

/* What a request, or the one it is a part of, asks for; NULL: nothing. */
ngx_chat_auth_request_t *ngx_chat_auth_get(ngx_http_request_t *r);


#endif /* _NGX_CHAT_AUTH_REQUEST_H_INCLUDED_ */
