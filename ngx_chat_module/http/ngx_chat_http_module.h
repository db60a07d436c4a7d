
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The module's configuration and its worker's state, for the handlers of
 * requests.  The rooms below are handed their own part of it.
 */


#ifndef _NGX_CHAT_HTTP_MODULE_H_INCLUDED_
#define _NGX_CHAT_HTTP_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <fanout/ngx_chat_hub.h>
#include <http/ngx_chat_origin.h>
#include <http/ngx_chat_store_hooks.h>
#include <hook/ngx_chat_herald.h>
#include <pusher/ngx_chat_app.h>
#include <session/ngx_chat_session.h>
#include <session/ngx_chat_sessions.h>
#include <store/ngx_chat_store.h>


#define NGX_CHAT_VERSION  "0.1.0"


/* Where a directive stands: some checks must wait for the whole file. */

typedef struct {
    ngx_str_t                  name;       /* of the directive */
    ngx_str_t                  file;
    ngx_uint_t                 line;
} ngx_chat_place_t;


/* A directive's app=, and the app when it has been found. */

typedef struct {
    ngx_chat_app_t            *app;
    ngx_str_t                  id;         /* empty: the only one */
    ngx_chat_place_t           place;
} ngx_chat_app_ref_t;


typedef struct {
    ngx_http_complex_value_t   channel;
    ngx_chat_app_ref_t         ref;
    ngx_uint_t                 limit;
    ngx_uint_t                 max;
    ngx_uint_t                 stale;      /* of a cluster: see chat_history */
} ngx_chat_history_conf_t;


typedef struct {
    ngx_http_complex_value_t   channel;
    ngx_http_complex_value_t   event;
    ngx_chat_app_ref_t         ref;
} ngx_chat_publish_conf_t;


typedef struct {
    ngx_chat_app_ref_t         ref;
    ngx_http_complex_value_t  *user_id;    /* NULL: not given */
    ngx_http_complex_value_t  *user_info;
} ngx_chat_auth_conf_t;


typedef struct {
    ngx_array_t               *channels;   /* of ngx_http_complex_value_t;
                                              NULL: the client names them */
    ngx_chat_app_ref_t         ref;
} ngx_chat_events_conf_t;


/* Files of chat_cluster; len 0: not given. */

typedef struct {
    ngx_str_t                  password;
    ngx_str_t                  certificate;
    ngx_str_t                  key;
    ngx_str_t                  trusted;
} ngx_chat_cluster_tls_t;


typedef struct {
    ngx_cycle_t               *cycle;
    size_t                     zone_size;
    ngx_msec_t                 drain;      /* of a leaving worker's clients */
    ngx_msec_t                 presence_grace;
    ngx_chat_zone_t           *zone;       /* NULL: the module is not used */
    ngx_array_t                apps;       /* of ngx_chat_app_t */
    ngx_array_t                refs;       /* of ngx_chat_app_ref_t * */
    ngx_chat_place_t           first_endpoint; /* that needs some app */
    ngx_chat_store_conf_t      store;
    ngx_chat_store_hooks_t     store_hooks;
    ngx_chat_place_t           database;   /* where its directive stands */
    ngx_chat_place_t           retention;  /* the same; name.len 0: nowhere */
    size_t                     message_max;    /* the largest configured */
    ngx_chat_herald_conf_t     herald;
    ngx_chat_place_t           certificate;    /* where its directive stands */
    ngx_chat_place_t           cluster;    /* the same; name.len 0: nowhere */
    ngx_chat_cluster_tls_t     cluster_tls;

    /* this worker's */
    ngx_chat_hub_t             hub;
    ngx_chat_sessions_t        sessions;
    ngx_chat_store_t          *live;       /* NULL: no chat_database */
} ngx_chat_main_conf_t;


typedef struct {
    ngx_chat_history_conf_t   *history;
    ngx_chat_publish_conf_t   *publish;
    ngx_chat_auth_conf_t      *auth;
    ngx_chat_events_conf_t    *events;
    ngx_http_complex_value_t  *author;
    ngx_chat_origin_list_t    *cors;       /* empty: "off" */
    ngx_chat_origin_list_t    *origins;
    size_t                     max_message_size;
    ngx_chat_session_conf_t    session;
    ngx_flag_t                 log_close;  /* a WebSocket's access log line
                                              is for its end */
    ngx_flag_t                 fallback;   /* chat_fallback */
    unsigned                   has_tokens:1;   /* its URLs may */
    unsigned                   console:1;  /* chat_console */
    ngx_http_handler_pt        handler;    /* of the endpoint; or NULL */
} ngx_chat_loc_conf_t;


extern ngx_module_t  ngx_chat_module;


#endif /* _NGX_CHAT_HTTP_MODULE_H_INCLUDED_ */
