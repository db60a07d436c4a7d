
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Buffers that clients share.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <session/ngx_chat_buf.h>


ngx_chat_buf_t *
ngx_chat_buf_alloc(size_t len, ngx_log_t *log)
{
    ngx_chat_buf_t  *b;

    b = ngx_alloc(sizeof(ngx_chat_buf_t) + len, log);
    if (b == NULL) {
        return NULL;
    }

    b->refs = 1;
    b->is_answer = 0;
    b->len = len;
    b->size = len;

    return b;
}


void
ngx_chat_buf_release(ngx_chat_buf_t *b)
{
    if (--b->refs == 0) {
        ngx_free(b);
    }
}
