
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Lists of origins (RFC 6454), for CORS and for WebSocket.
 *
 * An entry is "*", an origin ("https://chat.example.com:8443"), or a host
 * alone, which stands for every scheme and port.  The host may be a wildcard
 * as in server_name: "*.example.com" sub-domains only, ".example.com" the
 * domain as well.  "null" is what pages without an origin send, "file://" has
 * no host.
 *
 * With the word "credentials" in the list, requests of its pages may have the
 * user's cookies.  So no entry of such a list may be for everybody's pages.
 */


#ifndef _NGX_CHAT_ORIGIN_H_INCLUDED_
#define _NGX_CHAT_ORIGIN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_str_t          scheme;         /* with "://"; empty: any */
    ngx_str_t          host;           /* lower case; of a wildcard what
                                          follows the dot */
    ngx_str_t          port;           /* with its colon; empty: none, or
                                          that of the scheme */

    unsigned           any:1;          /* "*" */
    unsigned           none:1;         /* "null": a page without an origin */
    unsigned           any_port:1;     /* a host alone, or ":*" */
    unsigned           subdomains:1;   /* "*." or "." */
    unsigned           domain:1;       /* the domain itself too */
} ngx_chat_origin_t;


typedef struct {
    ngx_array_t        origins;        /* of ngx_chat_origin_t; empty: none */

    unsigned           any:1;          /* one of them is "*" */
    unsigned           credentials:1;
} ngx_chat_origin_list_t;


/*
 * Reads an entry, lower-cases it in place.  NULL, or what to write instead of
 * an entry that no client's Origin would match.
 */
const char *ngx_chat_origin_parse(ngx_chat_origin_t *o, ngx_str_t *value);

/* NULL, or why a list must not get credentials, and what to write instead. */
const char *ngx_chat_origin_check_credentials(ngx_chat_origin_list_t *list);

/* 1 where an Origin header's value is in the list. */
ngx_uint_t ngx_chat_origin_match(ngx_chat_origin_list_t *list,
    ngx_str_t *origin);


#endif /* _NGX_CHAT_ORIGIN_H_INCLUDED_ */
