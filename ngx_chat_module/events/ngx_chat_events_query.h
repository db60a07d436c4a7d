
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What a request of chat_events asks for, and whether it may.
 */


#ifndef _NGX_CHAT_EVENTS_QUERY_H_INCLUDED_
#define _NGX_CHAT_EVENTS_QUERY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <pusher/ngx_chat_api_auth.h>
#include <pusher/ngx_chat_app.h>


#define NGX_CHAT_EVENTS_CHANNELS  100


typedef struct {
    ngx_chat_app_t          *app;
    ngx_str_t                channels[NGX_CHAT_EVENTS_CHANNELS];
    ngx_uint_t               n;
    ngx_str_t                position;     /* len 0: none was given */
    ngx_uint_t               timeout;      /* s, of a poll */

    unsigned                 earliest:1;   /* instead of a position */
    unsigned                 is_poll:1;
    unsigned                 is_raw:1;
    unsigned                 is_fixed:1;   /* channels of the configuration */
    unsigned                 is_operator:1;    /* whoever asks may hear all */
} ngx_chat_events_query_t;


/*
 * Reads the request.  app is what the operator has chosen, who may hear all of
 * it; NULL: the location or the path has the app.  NGX_OK; NGX_DONE: *rc is
 * what the content handler returns, the client has its answer.
 */
ngx_int_t ngx_chat_events_query_read(ngx_chat_events_query_t *q,
    ngx_http_request_t *r, ngx_chat_app_t *app, ngx_int_t *rc);


#endif /* _NGX_CHAT_EVENTS_QUERY_H_INCLUDED_ */
