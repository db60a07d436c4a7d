
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * An app: a tenant with its credentials and switches, as configured.  Pure.
 */


#ifndef _NGX_CHAT_APP_H_INCLUDED_
#define _NGX_CHAT_APP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_CHAT_APP_ID_LEN  18        /* most digits, fits an int64_t */


typedef struct {
    uint64_t           number;         /* the id, as in envelopes and rows */
    ngx_str_t          id;
    ngx_str_t          key;
    ngx_str_t          secret;         /* never logged */
    ngx_uint_t         index;          /* in the configuration */

    ngx_flag_t         enabled;
    ngx_flag_t         tls_only;
    ngx_flag_t         client_events;
    ngx_flag_t         subscription_count;
    ngx_flag_t         watchlist;
    ngx_int_t          max_connections;        /* 0: no limit */
    ngx_int_t          presence_members;       /* in a channel, 0: no limit */
    ngx_int_t          channels_per_connection;    /* 0: no limit */
    ngx_msec_t         authorization_timeout;  /* 0: none is needed */
    time_t             cache_ttl;      /* of cache channels' events */
} ngx_chat_app_t;


#endif /* _NGX_CHAT_APP_H_INCLUDED_ */
