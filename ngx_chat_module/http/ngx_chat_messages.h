
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_history and chat_publish.
 */


#ifndef _NGX_CHAT_MESSAGES_H_INCLUDED_
#define _NGX_CHAT_MESSAGES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* The content handler: GET, HEAD and POST. */
ngx_int_t ngx_chat_messages_handler(ngx_http_request_t *r);


#endif /* _NGX_CHAT_MESSAGES_H_INCLUDED_ */
