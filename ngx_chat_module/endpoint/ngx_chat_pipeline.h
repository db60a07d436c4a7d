
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Answers to pipelined requests (RFC 9112, section 9.3.2).
 */


#ifndef _NGX_CHAT_PIPELINE_H_INCLUDED_
#define _NGX_CHAT_PIPELINE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/*
 * Hands the rest of an answer to the output filters and returns what they do.
 * Where the connection's next request has already been read, the kernel is
 * told that more will follow, so that many answers leave as one segment; none
 * waits longer than until the next turn of the event loop.
 */
ngx_int_t ngx_chat_pipeline_output(ngx_http_request_t *r, ngx_chain_t *out);


#endif /* _NGX_CHAT_PIPELINE_H_INCLUDED_ */
