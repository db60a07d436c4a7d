
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Answers.
 */


#ifndef _NGX_CHAT_REPLY_H_INCLUDED_
#define _NGX_CHAT_REPLY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_request.h>


/*
 * Sends a status with a body, whose text must live as long as the request.
 * Each of these functions returns what a content handler returns, or what
 * ngx_http_finalize_request() takes.  A request body that was not read is
 * discarded.  A 409 or 503 asks the client to try again in a second, and a
 * 503 is counted.
 */
ngx_int_t ngx_chat_reply_typed(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *text);

/* The same without a word about caches: the caller has set such headers. */
ngx_int_t ngx_chat_reply_file(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *text);

/* The body is application/json. */
ngx_int_t ngx_chat_reply_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *text);

/* The body is the JSON that render() writes. */
ngx_int_t ngx_chat_reply_render(ngx_http_request_t *r, ngx_uint_t status,
    ngx_chat_render_pt render, void *data);

/* Answers with an error's text in the form that the clients of an endpoint
   expect: reply_error() and reply_line() are such. */
typedef ngx_int_t (*ngx_chat_reply_pt)(ngx_http_request_t *r,
    ngx_uint_t status, const char *text);

/* The body is {"error":"..."}. */
ngx_int_t ngx_chat_reply_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *text);

/* The body is text/plain: one line, to which the newline is added. */
ngx_int_t ngx_chat_reply_text(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *line);
ngx_int_t ngx_chat_reply_line(ngx_http_request_t *r, ngx_uint_t status,
    const char *text);

/* A 405; allow is the value of its Allow header. */
ngx_int_t ngx_chat_reply_not_allowed(ngx_http_request_t *r,
    const char *allow);

/* Add a header; the value must live as long as the request. */
ngx_int_t ngx_chat_reply_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);
ngx_int_t ngx_chat_reply_header_text(ngx_http_request_t *r, const char *name,
    const char *text);


#endif /* _NGX_CHAT_REPLY_H_INCLUDED_ */
