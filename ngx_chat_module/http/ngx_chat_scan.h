
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A look at all channels of an app, for a request.  All of them may be too much
 * for one turn of the event loop, so the request is suspended, and each turn
 * finds some.
 */


#ifndef _NGX_CHAT_SCAN_H_INCLUDED_
#define _NGX_CHAT_SCAN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_request.h>
#include <shared/ngx_chat_registry_query.h>


typedef struct ngx_chat_scan_s  ngx_chat_scan_t;


/* The caller sets what stands before bucket; the rest is the scan's. */

struct ngx_chat_scan_s {
    ngx_http_request_t        *request;
    ngx_chat_zone_t           *zone;
    uint64_t                   app;
    ngx_str_t                  prefix;     /* of the channels' names */

    /* Takes what a turn has found, which does not stay: NGX_OK, NGX_ERROR. */
    ngx_int_t                (*part)(ngx_chat_scan_t *scan);

    /* Answers, when all are found; data is the scan, and rc NGX_OK, or
       NGX_ERROR: no memory. */
    ngx_chat_request_pt        answer;

    ngx_uint_t                 bucket;     /* where it goes on */
    ngx_array_t                found;      /* of ngx_chat_registry_query_t */
    ngx_pool_t                *pool;       /* of what is found in a turn */
    ngx_int_t                  rc;
    ngx_event_t                timer;
};


/*
 * Starts.  The scan is in the request's memory.  Returns what a content handler
 * returns.
 */
ngx_int_t ngx_chat_scan_start(ngx_chat_scan_t *scan);


#endif /* _NGX_CHAT_SCAN_H_INCLUDED_ */
