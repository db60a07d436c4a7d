
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Paths of the HTTP API (Pusher protocol, section 6.2).  Pure.
 */


#ifndef _NGX_CHAT_API_ROUTE_H_INCLUDED_
#define _NGX_CHAT_API_ROUTE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_CHAT_API_ROUTE_EVENTS_e = 0,       /* POST apps/ID/events */
    NGX_CHAT_API_ROUTE_BATCH_e,            /* POST apps/ID/batch_events */
    NGX_CHAT_API_ROUTE_CHANNELS_e,         /* GET apps/ID/channels */
    NGX_CHAT_API_ROUTE_CHANNEL_e,          /* GET apps/ID/channels/NAME */
    NGX_CHAT_API_ROUTE_USERS_e,            /* GET apps/ID/channels/NAME/users */
    NGX_CHAT_API_ROUTE_STATS_e,            /* GET apps/ID/channels/NAME/stats */
    NGX_CHAT_API_ROUTE_PUBLISH_e,          /* POST apps/ID/channels/NAME/
                                              events */
    NGX_CHAT_API_ROUTE_TERMINATE_e         /* POST apps/ID/users/NAME/
                                              terminate_connections; also
                                              without apps/ID, as Python's
                                              library sends it */
} ngx_chat_api_route_kind_e;


typedef struct {
    ngx_chat_api_route_kind_e  kind;
    ngx_str_t                  app;    /* the id; len 0: not in the path */
    ngx_str_t                  name;   /* channel or user, decoded */
    size_t                     prefix; /* bytes before /apps/ or /users/ */
} ngx_chat_api_route_t;


/*
 * Reads the path of a request line, without the query.  buf has room for
 * path->len bytes and takes the decoded name.  NGX_OK, or NGX_DECLINED where
 * the API has no such path.
 */
ngx_int_t ngx_chat_api_route_read(ngx_chat_api_route_t *route, ngx_str_t *path,
    u_char *buf);

/* 1 where the route is for POST, 0 where it is for GET. */
ngx_uint_t ngx_chat_api_route_is_post(ngx_chat_api_route_kind_e kind);


#endif /* _NGX_CHAT_API_ROUTE_H_INCLUDED_ */
