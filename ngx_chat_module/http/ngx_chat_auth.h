
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_auth: signs subscriptions and sign-ins for the user that nginx has
 * authenticated (Pusher protocol, section 9).
 */


#ifndef _NGX_CHAT_AUTH_H_INCLUDED_
#define _NGX_CHAT_AUTH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* The content handler. */
ngx_int_t ngx_chat_auth_handler(ngx_http_request_t *r);


#endif /* _NGX_CHAT_AUTH_H_INCLUDED_ */
