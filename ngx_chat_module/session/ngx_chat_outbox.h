
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What waits to be sent to one client: a queue of shared, counted buffers.
 *
 * A buffer holds finished bytes and is shared by all the clients of this
 * worker that get them.  Where the socket takes the bytes at once, nothing
 * is allocated and nothing is queued.
 */


#ifndef _NGX_CHAT_OUTBOX_H_INCLUDED_
#define _NGX_CHAT_OUTBOX_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


typedef struct {
    ngx_uint_t               refs;
    size_t                   len;
    size_t                   size;         /* of data */
    u_char                   data[];
} ngx_chat_buf_t;


typedef struct ngx_chat_link_s  ngx_chat_link_t;

/* All zeroes: empty. */

typedef struct {
    int                      fd;       /* where direct is set */
    unsigned                 direct:1; /* bytes may go to the socket at once;
                                          here, beside what is read with it */
    off_t                    unsaid;   /* sent, and not told c->sent */
    ngx_chat_link_t         *first;
    ngx_chat_link_t         *last;
    size_t                   sent;     /* of the first buffer */
    size_t                   queued;   /* bytes not sent yet */
} ngx_chat_outbox_t;


/* A buffer for len bytes with one reference, the caller's; or NULL. */
ngx_chat_buf_t *ngx_chat_buf_alloc(size_t len, ngx_log_t *log);

/*
 * Takes the place of a buffer that has one reference, with the same bytes and
 * more room; NULL: no memory, the buffer is as it was.
 */
ngx_chat_buf_t *ngx_chat_buf_grow(ngx_chat_buf_t *b, size_t size,
    ngx_log_t *log);

void ngx_chat_buf_release(ngx_chat_buf_t *b);

/*
 * Sends a buffer where nothing waits and the socket took all last time,
 * without a look at nginx's connection; never where that is TLS.  NGX_OK:
 * gone; NGX_AGAIN: a part is, the rest is queued, and the caller flushes;
 * NGX_DECLINED: nothing is, send() knows what to do; NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_outbox_try(ngx_chat_outbox_t *ob, ngx_chat_buf_t *b);

/*
 * Sends a buffer, or queues it (and takes a reference) where the socket
 * doesn't take it, others wait already, or more is set: then the caller
 * flushes soon.  NGX_OK: gone; NGX_AGAIN: queued; NGX_BUSY: that would be
 * more than limit bytes, not queued; NGX_ERROR: the connection is broken.
 */
ngx_int_t ngx_chat_outbox_send(ngx_chat_outbox_t *ob, ngx_connection_t *c,
    ngx_chat_buf_t *b, size_t limit, ngx_uint_t more);

/*
 * Sends what is queued, many buffers by one call, and about 1 MB in a turn of
 * the event loop, however much the socket takes: the other clients come in
 * between.  NGX_OK: all is gone; NGX_AGAIN: a write event will come; NGX_ERROR.
 */
ngx_int_t ngx_chat_outbox_flush(ngx_chat_outbox_t *ob, ngx_connection_t *c);

/* Tells nginx's connection how much was sent, for its $bytes_sent. */
void ngx_chat_outbox_settle(ngx_chat_outbox_t *ob, ngx_connection_t *c);

/* Drops all that is queued but the rest of a buffer begun. */
void ngx_chat_outbox_truncate(ngx_chat_outbox_t *ob);

/* Drops all. */
void ngx_chat_outbox_clear(ngx_chat_outbox_t *ob);

/* At the worker's end: frees the links that are kept. */
void ngx_chat_outbox_exit(void);


#endif /* _NGX_CHAT_OUTBOX_H_INCLUDED_ */
