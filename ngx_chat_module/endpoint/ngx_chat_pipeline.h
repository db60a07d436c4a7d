
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


/* In a worker, behind the event modules. */
void ngx_chat_pipeline_init(void);

/*
 * Hands the rest of an answer to the output filters and returns what they do.
 * Where the connection's next request is already here, the answer is kept, to
 * leave with the next one; it waits no longer than until the next turn of the
 * event loop.
 */
ngx_int_t ngx_chat_pipeline_output(ngx_http_request_t *r, ngx_chain_t *out);

/* Sends what is kept, of all connections. */
void ngx_chat_pipeline_push_all(void);

/*
 * For who takes the connection over: how many bytes are kept, and these, to p,
 * which are then his to send, before all else; gives the byte behind them.
 */
size_t ngx_chat_pipeline_kept(ngx_connection_t *c);
u_char *ngx_chat_pipeline_take(ngx_connection_t *c, u_char *p);


#endif /* _NGX_CHAT_PIPELINE_H_INCLUDED_ */
