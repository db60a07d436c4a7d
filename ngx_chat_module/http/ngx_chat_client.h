
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What all transports of Pusher clients read off a request: the app's key and
 * the token in its URL (Pusher protocol, section 1.1), and its origin.
 */


#ifndef _NGX_CHAT_CLIENT_H_INCLUDED_
#define _NGX_CHAT_CLIENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http_module.h>


/*
 * The token behind the key, "/app/KEY;TOKEN": a copy of it in the request's
 * pool, or NULL where there is none.  In the request's own strings it is
 * masked, so that it comes into no log.  NGX_OK; NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_client_token(ngx_http_request_t *r, ngx_str_t **token);

/*
 * A handler of nginx's preaccess phase: masks the token, before limits and
 * access control, whose refusals are logged with the request.
 */
ngx_int_t ngx_chat_client_preaccess(ngx_http_request_t *r);

/* NGX_OK, or NGX_ERROR where a client must not write a token like that. */
ngx_int_t ngx_chat_client_check_token(ngx_str_t *token);

/*
 * The app whose key is the last part of a path, which is the request's or its
 * begin.  0 with *app set, or the Pusher code of what is wrong, with *arg set
 * to what the error's text names.
 */
ngx_uint_t ngx_chat_client_app(ngx_http_request_t *r, ngx_str_t *path,
    ngx_chat_app_t **app, ngx_str_t *arg);

/* The most bytes of a client's message. */
size_t ngx_chat_client_message_max(ngx_chat_loc_conf_t *clcf);

/* 0, or the Pusher code of why the app takes no such client. */
ngx_uint_t ngx_chat_client_check_app(ngx_http_request_t *r,
    ngx_chat_app_t *app);

/*
 * NGX_OK where chat_origins lets the request in.  A client without an Origin is
 * no browser, and is not restricted.
 */
ngx_int_t ngx_chat_client_check_origin(ngx_http_request_t *r);


#endif /* _NGX_CHAT_CLIENT_H_INCLUDED_ */
