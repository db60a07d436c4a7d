
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Publishers go no faster than their worker's deliveries.
 */


#ifndef _NGX_CHAT_THROTTLE_H_INCLUDED_
#define _NGX_CHAT_THROTTLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <fanout/ngx_chat_hub.h>


/* Publishes; returns what ngx_http_finalize_request() takes. */
typedef ngx_int_t (*ngx_chat_throttle_pt)(ngx_http_request_t *r, void *data);


/* In init_process: hub is this worker's. */
void ngx_chat_throttle_init(ngx_chat_hub_t *hub);

/*
 * For a body's handler to return: calls the handler now, or, where this
 * worker is behind with what it has published, once it has caught up; then
 * it returns NGX_DONE, or 500 without memory.  The handler is called once,
 * unless nginx ends the request by force: that the client leaves does not end
 * it.
 */
ngx_int_t ngx_chat_throttle(ngx_http_request_t *r, ngx_chat_throttle_pt handler,
    void *data);


#endif /* _NGX_CHAT_THROTTLE_H_INCLUDED_ */
