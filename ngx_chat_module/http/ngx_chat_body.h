
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Request bodies, whole and in memory.
 */


#ifndef _NGX_CHAT_BODY_H_INCLUDED_
#define _NGX_CHAT_BODY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_request.h>


typedef struct {
    u_char                    *start;
    size_t                     len;
    size_t                     size;       /* of the memory at start */
    size_t                     limit;      /* longer: 413 */
    ngx_chat_request_pt        handler;
    void                      *data;
    unsigned                   shared:1;   /* another module has read it,
                                              and may use it yet */
} ngx_chat_body_t;


/*
 * The most bytes of a body, which is held in memory: room for the largest
 * message with all of it escaped, and for the rest of the body; no more than
 * client_max_body_size.
 */
size_t ngx_chat_body_max(ngx_http_request_t *r, size_t rest);

/*
 * For a content handler to return: reads the body piece by piece, never to a
 * file, and calls the handler with the ngx_chat_body_t once it is whole.
 */
ngx_int_t ngx_chat_body_read(ngx_http_request_t *r, size_t limit,
    ngx_chat_request_pt handler, void *data);


#endif /* _NGX_CHAT_BODY_H_INCLUDED_ */
