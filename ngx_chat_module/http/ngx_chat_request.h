
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What several endpoints do with their requests.
 */


#ifndef _NGX_CHAT_REQUEST_H_INCLUDED_
#define _NGX_CHAT_REQUEST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <wire/ngx_chat_json.h>
#include <wire/ngx_chat_json_write.h>


/* Goes on with a request; returns what ngx_http_finalize_request() takes. */
typedef ngx_int_t (*ngx_chat_request_pt)(ngx_http_request_t *r, void *data);

/*
 * Writes a JSON value.  It is called twice: the first time only to count the
 * bytes.
 */
typedef void (*ngx_chat_render_pt)(ngx_chat_json_write_t *w, void *data);


/*
 * Finds a header of the request by its lower-case name.  Several lines are one
 * value, with commas between them, as a proxy on the way may write it.
 * NGX_OK, NGX_DECLINED: there is none, or NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_request_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value);

/*
 * Takes the next item from a list with commas, without the white space around
 * it; empty items are skipped.  NGX_OK or NGX_DECLINED.
 */
ngx_int_t ngx_chat_request_next_item(ngx_str_t *list, ngx_str_t *item);

/*
 * Whether the Content-Type is JSON or a form's, with or without parameters.
 * The last one counts where there are several, as in browsers: XMLHttpRequest
 * appends what a script sets twice.  NULL, with *json 1 or 0; else the text of
 * a 415: it is another one, or the body is encoded.
 */
const char *ngx_chat_request_body_type(ngx_http_request_t *r,
    ngx_uint_t *json);

/* 1 where the body has a Content-Encoding, which nobody undoes here. */
ngx_uint_t ngx_chat_request_is_encoded(ngx_http_request_t *r);

/* A JSON reader with memory of the pool. */
void ngx_chat_request_json(ngx_pool_t *pool, ngx_chat_json_t *j);

/* Writes JSON into memory of the request.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_request_render(ngx_http_request_t *r,
    ngx_chat_render_pt render, void *data, ngx_str_t *json);

/*
 * A request that waits for something other than its client, and is not ended
 * by the client's leaving.  Its handler returns NGX_DONE; resume() calls
 * handler() and finalizes the request with what that returns.
 */
void ngx_chat_request_suspend(ngx_http_request_t *r);
void ngx_chat_request_resume(ngx_http_request_t *r,
    ngx_chat_request_pt handler, void *data);

/* Has a suspended request end where its client leaves, or has left already. */
void ngx_chat_request_watch(ngx_http_request_t *r);

/*
 * A read_event_handler: ends a request whose client has left.  Unlike nginx's,
 * it does not end one whose client has only closed its half of the connection,
 * and waits for the answer.
 */
void ngx_chat_request_test_left(ngx_http_request_t *r);


#endif /* _NGX_CHAT_REQUEST_H_INCLUDED_ */
