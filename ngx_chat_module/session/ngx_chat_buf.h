
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A buffer holds finished bytes and is shared by all clients of this worker
 * that get them.  It counts its references.
 */


#ifndef _NGX_CHAT_BUF_H_INCLUDED_
#define _NGX_CHAT_BUF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    unsigned                 refs:31;
    unsigned                 is_answer:1;  /* what the client has asked for */
    size_t                   len;
    size_t                   size;         /* of data */
    u_char                   data[];
} ngx_chat_buf_t;


/* A buffer for len bytes with one reference, the caller's; or NULL. */
ngx_chat_buf_t *ngx_chat_buf_alloc(size_t len, ngx_log_t *log);

void ngx_chat_buf_release(ngx_chat_buf_t *b);


#endif /* _NGX_CHAT_BUF_H_INCLUDED_ */
