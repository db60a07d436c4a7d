
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_status: counters as JSON, or as Prometheus text.
 */


#ifndef _NGX_CHAT_STATUS_H_INCLUDED_
#define _NGX_CHAT_STATUS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* The content handler. */
ngx_int_t ngx_chat_status_handler(ngx_http_request_t *r);


#endif /* _NGX_CHAT_STATUS_H_INCLUDED_ */
