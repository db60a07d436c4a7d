
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


typedef struct ngx_chat_body_s  ngx_chat_body_t;

/* Gets the body; returns what ngx_http_finalize_request() takes. */
typedef ngx_int_t (*ngx_chat_body_pt)(ngx_http_request_t *r,
    ngx_chat_body_t *body, void *data);

struct ngx_chat_body_s {
    u_char                    *start;
    size_t                     len;
    size_t                     size;       /* of the memory at start */
    size_t                     limit;      /* longer: 413 */
    ngx_chat_body_pt           handler;
    void                      *data;
    unsigned                   shared:1;   /* another module has read it,
                                              and may use it yet */
};


/*
 * For a content handler to return: reads the body piece by piece, never to a
 * file, and calls the handler once it is whole.
 */
ngx_int_t ngx_chat_body_read(ngx_http_request_t *r, size_t limit,
    ngx_chat_body_pt handler, void *data);


#endif /* _NGX_CHAT_BODY_H_INCLUDED_ */
