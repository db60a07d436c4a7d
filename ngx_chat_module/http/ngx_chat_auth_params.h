
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What a request of chat_auth asks for.  It is read before access is decided,
 * so that auth_request can be asked about it.
 */


#ifndef _NGX_CHAT_AUTH_PARAMS_H_INCLUDED_
#define _NGX_CHAT_AUTH_PARAMS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <wire/ngx_chat_envelope.h>


/* What the client asks for; data == NULL: not given. */

typedef struct {
    ngx_str_t             socket_id;
    ngx_str_t             channel;     /* not given: a sign-in */
    const char           *error;       /* of the body; NULL: what is given is
                                          valid */
    ngx_uint_t            status;      /* of the error's answer */
    ngx_chat_socket_id_t  id;          /* the same as socket_id */
    unsigned              read:1;      /* the body has been read */
} ngx_chat_auth_params_t;


/* What a request, or the one it is a part of, asks for; NULL: nothing. */
ngx_chat_auth_params_t *ngx_chat_auth_params_get(ngx_http_request_t *r);


#endif /* _NGX_CHAT_AUTH_PARAMS_H_INCLUDED_ */
