
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Answers that go on: bytes leave as they come, by nginx's filters, whatever
 * the version of HTTP.  Event loop.
 *
 * One piece is under way at a time.  Whoever owns the stream keeps what comes
 * meanwhile, and bounds it.  An idle stream has no buffer.
 */


#ifndef _NGX_CHAT_STREAM_H_INCLUDED_
#define _NGX_CHAT_STREAM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


typedef struct ngx_chat_stream_s  ngx_chat_stream_t;


/* What is under way, in the request's pool: nginx may need it longer than the
   stream lives. */

typedef struct {
    u_char                  *data;         /* NULL: nothing is */
    ngx_buf_t                buf;
    ngx_chain_t              out;
} ngx_chat_stream_piece_t;


struct ngx_chat_stream_s {
    ngx_http_request_t      *request;      /* NULL: has ended */
    ngx_http_cleanup_t      *cleanup;
    ngx_chat_stream_piece_t *piece;

    /* The piece is gone, another one may follow. */
    void                   (*ready)(ngx_chat_stream_t *st);

    /*
     * The answer ends, by the client or by nginx; not called for end().  The
     * stream may be freed by it.
     */
    void                   (*gone)(ngx_chat_stream_t *st);
};


/*
 * Sends the headers of a 200 with a body of unknown length that nobody is to
 * keep, to compress or to hold back.  The owner has set ready and gone, and
 * cleared the rest.  The request's body was read or discarded.
 * Returns what the content handler returns: NGX_DONE; else there is no stream,
 * since the request is a HEAD, or has failed.
 */
ngx_int_t ngx_chat_stream_open(ngx_chat_stream_t *st, ngx_http_request_t *r,
    const char *type);

/* 1 where write() may be called. */
#define ngx_chat_stream_is_ready(st)                                          \
    ((st)->request != NULL && (st)->piece->data == NULL)

/*
 * Sends a copy of len bytes, which are not none.  NGX_OK: it is gone;
 * NGX_AGAIN: it is under way, ready() will be called; NGX_ERROR: the answer is
 * broken, or there is no memory, and the owner is to call end().
 */
ngx_int_t ngx_chat_stream_write(ngx_chat_stream_t *st, u_char *p, size_t len);

/*
 * Ends the answer: in good order behind what is under way, or at once where it
 * is broken.  The stream may be freed.
 */
void ngx_chat_stream_end(ngx_chat_stream_t *st, ngx_uint_t broken);


#endif /* _NGX_CHAT_STREAM_H_INCLUDED_ */
