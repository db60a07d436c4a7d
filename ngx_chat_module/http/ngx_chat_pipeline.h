
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Answers that leave later than nginx has them: those to pipelined requests
 * (RFC 9112, section 9.3.2) together, those to triggers behind deliveries.
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
 * leave with the next one; with behind it is kept in any case, to leave behind
 * the first deliveries of what the request has published.  It waits no longer
 * than until the next turn of the event loop.
 */
ngx_int_t ngx_chat_pipeline_output(ngx_http_request_t *r, ngx_chain_t *out,
    ngx_uint_t behind);

/*
 * Sends what is kept of the connection's answers, if anything is: for who
 * takes it over and sends by himself.  NGX_OK; NGX_ERROR: it is broken.
 */
ngx_int_t ngx_chat_pipeline_push(ngx_connection_t *c);

/* The same for all connections; while the hub delivers, too. */
void ngx_chat_pipeline_push_all(void);


#endif /* _NGX_CHAT_PIPELINE_H_INCLUDED_ */
