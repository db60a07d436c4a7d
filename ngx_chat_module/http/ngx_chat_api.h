
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_api: the HTTP API of server SDKs (Pusher protocol, section 6).
 */


#ifndef _NGX_CHAT_API_H_INCLUDED_
#define _NGX_CHAT_API_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* The content handler. */
ngx_int_t ngx_chat_api_handler(ngx_http_request_t *r);


#endif /* _NGX_CHAT_API_H_INCLUDED_ */
