
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the herald is given.
 */


#ifndef _NGX_CHAT_HERALD_CONF_H_INCLUDED_
#define _NGX_CHAT_HERALD_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>
#include <store/ngx_chat_store_conf.h>


typedef struct {
    ngx_chat_zone_t        *zone;
    ngx_chat_store_conf_t  *store;
    ngx_array_t            *apps;          /* of ngx_chat_app_t */
    ngx_uint_t              n;             /* webhooks of all apps */
    ngx_atomic_uint_t       number;        /* of this configuration */
    ngx_str_t               certificate;   /* of authorities, PEM; len 0: those
                                              of the system */
} ngx_chat_herald_conf_t;


#endif /* _NGX_CHAT_HERALD_CONF_H_INCLUDED_ */
