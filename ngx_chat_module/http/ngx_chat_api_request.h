
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A request of chat_api, and what all of its kinds share.
 */


#ifndef _NGX_CHAT_API_REQUEST_H_INCLUDED_
#define _NGX_CHAT_API_REQUEST_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http.h>
#include <pusher/ngx_chat_query.h>
#include <pusher/ngx_chat_route.h>
#include <pusher/ngx_chat_trigger.h>


/* A request whose signature is good. */

typedef struct {
    ngx_chat_app_t            *app;
    ngx_chat_main_conf_t      *cmcf;
    ngx_chat_route_t           route;
    ngx_str_t                  path;       /* as on the request line */
    ngx_str_t                  args;       /* so, too */
    ngx_str_t                  body;
    u_char                    *decoded;    /* room for the path */
    ngx_chat_query_t           query;
} ngx_chat_api_t;


/* For the request's variables: what is triggered, where it is one event. */
void ngx_chat_api_note(ngx_http_request_t *r, ngx_chat_trigger_t *t);

/* An error as SDKs show it: one line of text. */
ngx_int_t ngx_chat_api_error(ngx_http_request_t *r, ngx_uint_t status,
    const char *text);

/*
 * Renders into the request's pool.  render() gets arg; it is called without a
 * buffer first, to count, and returns the length, or NGX_ERROR.
 */
typedef ssize_t (*ngx_chat_api_render_pt)(void *arg, u_char *buf,
    size_t size);

ngx_int_t ngx_chat_api_render(ngx_http_request_t *r,
    ngx_chat_api_render_pt render, void *arg, ngx_str_t *json);


#endif /* _NGX_CHAT_API_REQUEST_H_INCLUDED_ */
