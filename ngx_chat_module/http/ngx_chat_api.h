
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A request of chat_api, and what answers it.
 */


#ifndef _NGX_CHAT_API_H_INCLUDED_
#define _NGX_CHAT_API_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http_module.h>
#include <pusher/ngx_chat_api_query.h>
#include <pusher/ngx_chat_api_route.h>
#include <pusher/ngx_chat_trigger.h>
#include <shared/ngx_chat_registry_query.h>
#include <wire/ngx_chat_json_write.h>


/* A request; its signature is good when it is answered by those below. */

typedef struct {
    ngx_chat_app_t            *app;
    ngx_chat_main_conf_t      *cmcf;
    ngx_chat_api_route_t       route;
    ngx_str_t                  path;       /* as on the request line */
    ngx_str_t                  args;       /* so, too */
    ngx_str_t                  body;
    u_char                    *decoded;    /* room for the path */
    ngx_chat_api_query_t       query;
    unsigned                   is_operator:1;  /* not signed: of the console */
} ngx_chat_api_t;


/*
 * Answers a request of the console as one that is signed.  The caller knows
 * that its sender is the operator.  path begins with /apps/ID/, and is decoded.
 * Returns what a content handler returns.
 */
ngx_int_t ngx_chat_api_operator(ngx_http_request_t *r, ngx_str_t *path);

/* Each answers, and returns what ngx_http_finalize_request() takes. */

ngx_int_t ngx_chat_api_channels(ngx_http_request_t *r, ngx_chat_api_t *api);
ngx_int_t ngx_chat_api_channel(ngx_http_request_t *r, ngx_chat_api_t *api);
ngx_int_t ngx_chat_api_users(ngx_http_request_t *r, ngx_chat_api_t *api);
ngx_int_t ngx_chat_api_terminate(ngx_http_request_t *r,
    ngx_chat_api_t *api);

/* Triggers events.  A ngx_chat_request_pt; data is the ngx_chat_api_t. */
ngx_int_t ngx_chat_api_events(ngx_http_request_t *r, void *data);

/*
 * Reads what is triggered; t->data_max is set.  NGX_OK; NGX_DECLINED: t->status
 * and t->error are the answer; NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_api_trigger_read(ngx_http_request_t *r,
    ngx_chat_api_t *api, ngx_chat_trigger_t *t);

/* Members of an answer: what info asks for, as of ngx_chat_trigger_t. */
void ngx_chat_api_write_info(ngx_chat_json_write_t *w, ngx_uint_t info,
    ngx_chat_registry_query_t *c);


#endif /* _NGX_CHAT_API_H_INCLUDED_ */
