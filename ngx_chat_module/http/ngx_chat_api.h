
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_api: the HTTP API of server SDKs (Pusher protocol, section 6).
 */


#ifndef _NGX_CHAT_API_H_INCLUDED_
#define _NGX_CHAT_API_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http.h>
#include <pusher/ngx_chat_api_auth.h>
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


/* Each returns what ngx_http_finalize_request() takes. */

/* data is the ngx_chat_api_t */
ngx_int_t ngx_chat_api_events(ngx_http_request_t *r, void *data);
ngx_int_t ngx_chat_api_channels(ngx_http_request_t *r, ngx_chat_api_t *api);
ngx_int_t ngx_chat_api_channel(ngx_http_request_t *r, ngx_chat_api_t *api);
ngx_int_t ngx_chat_api_users(ngx_http_request_t *r, ngx_chat_api_t *api);
ngx_int_t ngx_chat_api_terminate(ngx_http_request_t *r,
    ngx_chat_api_t *api);

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


#endif /* _NGX_CHAT_API_H_INCLUDED_ */
