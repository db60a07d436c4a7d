
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Requests that wait for deliveries: before they publish, while this worker is
 * far behind with its own; and behind their event, until all subscribers on
 * this machine have been given it.
 *
 * All of it runs on the event loop.  A request that waits is not ended by its
 * client's leaving.  Where nginx ends it by force it is forgotten.
 */


#ifndef _NGX_CHAT_WAIT_H_INCLUDED_
#define _NGX_CHAT_WAIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <fanout/ngx_chat_fanout.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_request.h>


/* In init_process; the fanout has its zone. */
void ngx_chat_wait_init(ngx_chat_fanout_t *fanout, ngx_cycle_t *cycle);

/* In exit_process: requests that wait for deliveries go on at once. */
void ngx_chat_wait_exit(void);

/*
 * For a request that is about to publish.  Calls the handler at once, and
 * returns what that returns, where this worker is not far behind.  Else
 * returns NGX_DONE, or 500 without memory, and the handler is called when this
 * worker is not far behind any more, or has delivered what was in the ring when
 * the request came.  After 10 s the request gets a 503 by reply instead.
 */
ngx_int_t ngx_chat_wait_before_publish(ngx_http_request_t *r,
    ngx_chat_reply_pt reply, ngx_chat_request_pt handler, void *data);

/*
 * The slots that an answer waits for: an array with a bit for each slot of the
 * zone, all clear, in the request's pool; NULL: no memory.
 */
uint64_t *ngx_chat_wait_slots(ngx_http_request_t *r);

/*
 * For a request that has published.  Calls the handler, which answers, when
 * the workers of these slots have delivered past the position, and within
 * 100 ms in any case; where the request has an Origin, 30 ms later.  Returns
 * what the handler returns, or NGX_DONE, or 500 without memory.
 */
ngx_int_t ngx_chat_wait_for_delivery(ngx_http_request_t *r, uint64_t *slots,
    uint64_t position, ngx_chat_request_pt handler, void *data);


#endif /* _NGX_CHAT_WAIT_H_INCLUDED_ */
