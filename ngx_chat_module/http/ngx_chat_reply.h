
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * JSON answers, and headers of requests.
 */


#ifndef _NGX_CHAT_REPLY_H_INCLUDED_
#define _NGX_CHAT_REPLY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <wire/ngx_chat_json.h>


/*
 * Sends a status with a body of application/json; the text must live as long
 * as the request.  Each returns what a content handler returns, or what
 * ngx_http_finalize_request() takes.  A body that was not read is discarded.
 */
ngx_int_t ngx_chat_reply_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *text);

/* The same as another content type, with 200. */
ngx_int_t ngx_chat_reply_typed(ngx_http_request_t *r, ngx_str_t *type,
    ngx_str_t *text);

/* The same as text/plain: one line, whose end is added. */
ngx_int_t ngx_chat_reply_text(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *line);

/* {"error":"…"}; the text is a constant. */
ngx_int_t ngx_chat_reply_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *text);

/* The 503 that asks to come again. */
ngx_int_t ngx_chat_reply_unavailable(ngx_http_request_t *r,
    const char *text);

/* The header of an answer that asks to come again. */
ngx_int_t ngx_chat_reply_retry_after(ngx_http_request_t *r);

/* A 405, allow is the value of its header. */
ngx_int_t ngx_chat_reply_not_allowed(ngx_http_request_t *r,
    const char *allow);

/* Adds a header; the value must live as long as the request. */
ngx_int_t ngx_chat_reply_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);

/*
 * Finds a header of the request by its lower-case name, the first one where
 * it is doubled.  NGX_OK or NGX_DECLINED.
 */
ngx_int_t ngx_chat_request_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);

/* A JSON reader with memory of the request. */
void ngx_chat_request_json(ngx_http_request_t *r, ngx_chat_json_t *j);


#endif /* _NGX_CHAT_REPLY_H_INCLUDED_ */
