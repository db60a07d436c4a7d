
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_api: channels, their users, and the end of a user's connections.
 */


#ifndef _NGX_CHAT_API_CHANNELS_H_INCLUDED_
#define _NGX_CHAT_API_CHANNELS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_api_request.h>


/* Each answers, and returns what ngx_http_finalize_request() takes. */

ngx_int_t ngx_chat_api_channels(ngx_http_request_t *r, ngx_chat_api_t *api);
ngx_int_t ngx_chat_api_channel(ngx_http_request_t *r, ngx_chat_api_t *api);
ngx_int_t ngx_chat_api_users(ngx_http_request_t *r, ngx_chat_api_t *api);
ngx_int_t ngx_chat_api_terminate(ngx_http_request_t *r,
    ngx_chat_api_t *api);


#endif /* _NGX_CHAT_API_CHANNELS_H_INCLUDED_ */
