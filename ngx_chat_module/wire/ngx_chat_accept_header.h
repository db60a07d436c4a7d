
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * How much a client wants a media type, by the Accept header of its request
 * (RFC 9110, section 12.5.1).  Pure.
 */


#ifndef _NGX_CHAT_ACCEPT_HEADER_H_INCLUDED_
#define _NGX_CHAT_ACCEPT_HEADER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_uint_t         quality;        /* 0 to 1000 */
    ngx_uint_t         named;          /* 2: by its name; 1: by its range,
                                          "text/" and a star; 0: by the range
                                          of all types, or not at all */
} ngx_chat_accept_header_t;


/*
 * Reads how much a type such as "text/plain" is wanted.  The parameters of a
 * type are ignored: where several versions of it are named, the one wanted
 * most counts.  Parts of the header that are malformed are skipped.
 */
void ngx_chat_accept_header_type(ngx_chat_accept_header_t *a, ngx_str_t *header,
    const char *type);


#endif /* _NGX_CHAT_ACCEPT_HEADER_H_INCLUDED_ */
