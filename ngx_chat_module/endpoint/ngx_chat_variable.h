
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Variables for auth_request and logs: $chat_channel and $chat_socket_id, of
 * the requests that chat_auth answers.
 */


#ifndef _NGX_CHAT_VARIABLE_H_INCLUDED_
#define _NGX_CHAT_VARIABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* In preconfiguration. */
ngx_int_t ngx_chat_variable_add(ngx_conf_t *cf);


#endif /* _NGX_CHAT_VARIABLE_H_INCLUDED_ */
