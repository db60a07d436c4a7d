
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Variables for logs, maps and auth_request: $chat_app, $chat_channel,
 * $chat_event, $chat_socket_id, $chat_user_id.
 */


#ifndef _NGX_CHAT_VARIABLE_H_INCLUDED_
#define _NGX_CHAT_VARIABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <wire/ngx_chat_envelope.h>


/* In preconfiguration. */
ngx_int_t ngx_chat_variable_add(ngx_conf_t *cf);

/*
 * What the request is about, for the variables: each NULL, or 0.0, leaves
 * what was noted before.  The strings stay the caller's, as long as the
 * request lives.  Without memory nothing is noted.
 */
void ngx_chat_variable_note(ngx_http_request_t *r, ngx_str_t *app,
    ngx_str_t *channel, ngx_str_t *event, ngx_chat_socket_id_t *id,
    ngx_str_t *user);


#endif /* _NGX_CHAT_VARIABLE_H_INCLUDED_ */
