
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * URLs of chat_cluster: where the engine (Redis or Valkey) is.  Pure.
 *
 *     redis://HOST[:PORT][/DATABASE]
 *     rediss://[USER@]HOST[:PORT][/DATABASE]      with TLS
 *     unix:/path/to/socket
 *     sentinel://HOST[:PORT][,HOST[:PORT]...]/NAME    asked for the primary
 *                                                     of that name
 */


#ifndef _NGX_CHAT_LINK_URL_H_INCLUDED_
#define _NGX_CHAT_LINK_URL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    NGX_CHAT_LINK_URL_HOST_e = 0,
    NGX_CHAT_LINK_URL_UNIX_e,
    NGX_CHAT_LINK_URL_SENTINEL_e
} ngx_chat_link_url_kind_e;


/* The strings point into what was read. */

typedef struct {
    ngx_uint_t         kind;           /* ngx_chat_link_url_kind_e */
    ngx_str_t          user;           /* len 0: none */
    ngx_str_t          hosts;          /* HOST[:PORT],..., or the path */
    ngx_str_t          name;           /* of the primary, for sentinels */
    ngx_uint_t         database;
    unsigned           tls:1;
} ngx_chat_link_url_t;


/* NULL, or what is wrong: "... the URL %s". */
const char *ngx_chat_link_url_read(ngx_str_t *text, ngx_chat_link_url_t *url);

/*
 * Takes the first host from a list, which becomes the rest.  The host is
 * without the brackets of an IPv6 address.  NGX_OK; NGX_DONE: there is none;
 * NGX_ERROR: what is there is no host.
 */
ngx_int_t ngx_chat_link_url_host(ngx_str_t *hosts, ngx_uint_t default_port,
    ngx_str_t *host, ngx_uint_t *port);


#endif /* _NGX_CHAT_LINK_URL_H_INCLUDED_ */
