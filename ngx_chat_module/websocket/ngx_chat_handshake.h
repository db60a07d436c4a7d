
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The opening handshake of WebSocket (RFC 6455, section 4).
 */


#ifndef _NGX_CHAT_HANDSHAKE_H_INCLUDED_
#define _NGX_CHAT_HANDSHAKE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http_module.h>


/*
 * Checks the request and makes the answer 101.  NGX_DECLINED: the answer is
 * sent, or waits in r->out to leave together with the first frame; else the
 * request is refused, and this is what the content handler returns.
 */
ngx_int_t ngx_chat_handshake(ngx_http_request_t *r);


#endif /* _NGX_CHAT_HANDSHAKE_H_INCLUDED_ */
