
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * History: a page of a channel's messages.
 */


#ifndef _NGX_CHAT_PAGE_H_INCLUDED_
#define _NGX_CHAT_PAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* Answers GET and HEAD; returns what a content handler returns. */
ngx_int_t ngx_chat_page_handler(ngx_http_request_t *r);


#endif /* _NGX_CHAT_PAGE_H_INCLUDED_ */
