
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_api: events are triggered (Pusher protocol, section 6.3).
 */


#ifndef _NGX_CHAT_API_EVENTS_H_INCLUDED_
#define _NGX_CHAT_API_EVENTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_api_request.h>


/*
 * A ngx_chat_wait_pt; data is the ngx_chat_api_t, whose signature is good.
 */
ngx_int_t ngx_chat_api_events(ngx_http_request_t *r, void *data);


#endif /* _NGX_CHAT_API_EVENTS_H_INCLUDED_ */
