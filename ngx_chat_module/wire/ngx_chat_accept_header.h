
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What a request's Accept says of a media type (RFC 9110, section 12.5.1).
 * Pure.
 */


#ifndef _NGX_CHAT_ACCEPT_HEADER_H_INCLUDED_
#define _NGX_CHAT_ACCEPT_HEADER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    ngx_uint_t         quality;        /* 0 to 1000 */
    ngx_uint_t         named;          /* 2: by its name; 1: as one of
                                          "type/"; 0: as any, or not at all */
} ngx_chat_accept_header_t;


/*
 * How much a type such as "text/plain" is wanted.  Its parameters are not
 * looked at: of several versions of a type, the one wanted most counts.
 * What is not to be understood is passed over.
 */
void ngx_chat_accept_header_type(ngx_chat_accept_header_t *a, ngx_str_t *header,
    const char *type);


#endif /* _NGX_CHAT_ACCEPT_HEADER_H_INCLUDED_ */
