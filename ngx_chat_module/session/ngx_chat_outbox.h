
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The outbox: bytes that wait to be sent to one client, as a queue of shared
 * buffers that count their references.
 *
 * Where the socket takes the bytes at once, nothing is allocated and nothing is
 * queued.
 *
 * A transport without a socket of its own has a connection whose fd is -1: its
 * send_chain() takes what it can, and clears write->ready where it can't.
 *
 * Two kinds of buffers wait.  Events come whether the client reads or not, so
 * there is a limit for them.  What the client has asked for (answers, Pongs,
 * lists of members) reaches it at whatever speed it reads; there the transport
 * stops to take commands, see ngx_chat_outbox_owes().
 */


#ifndef _NGX_CHAT_OUTBOX_H_INCLUDED_
#define _NGX_CHAT_OUTBOX_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <session/ngx_chat_buf.h>


typedef struct ngx_chat_outbox_link_s  ngx_chat_outbox_link_t;


/* All zeroes: empty. */

typedef struct {
    int                      fd;       /* where direct is set */
    unsigned                 direct:1; /* may be sent to at once */
    unsigned                 begun:31; /* bytes from the queue's begin, of a
                                          TLS record that is half written */
#if (NGX_SSL)
    ngx_ssl_conn_t          *tls;      /* where direct is set, or NULL */
#endif
    off_t                    unsaid;   /* sent, and not added to c->sent */
    ngx_chat_outbox_link_t  *first;
    ngx_chat_outbox_link_t  *last;
    size_t                   sent;     /* of the first buffer; while the
                                          queue is empty: of the buffer
                                          that try() could not finish */
    size_t                   queued;   /* bytes not sent yet */
    size_t                   answers;  /* of these, in buffers of answers; the
                                          first one counts as a whole */
} ngx_chat_outbox_t;


/* Whether more than limit bytes wait that the client has asked for. */
#define ngx_chat_outbox_owes(ob, limit)  ((ob)->answers > (limit))


/*
 * Sends a buffer where the queue is empty and the socket took all last time,
 * without a look at nginx's connection.  NGX_OK: all is sent; NGX_DECLINED:
 * send() must follow with the same buffer, a part of it may be sent, or its TLS
 * record begun.
 */
ngx_int_t ngx_chat_outbox_try(ngx_chat_outbox_t *ob, ngx_chat_buf_t *b);

/*
 * Sends a buffer.  It is queued, with a reference of its own, where the socket
 * does not take all of it, where others wait already, and where more is set:
 * then the caller flushes soon.  NGX_OK: all is sent; NGX_AGAIN: it is queued;
 * NGX_BUSY: more than limit bytes of events would be queued, the buffer, which
 * is no answer, is not; NGX_ERROR: the connection is broken, or there is no
 * memory.
 */
ngx_int_t ngx_chat_outbox_send(ngx_chat_outbox_t *ob, ngx_connection_t *c,
    ngx_chat_buf_t *b, size_t limit, ngx_uint_t more);

/*
 * Sends what is queued, many buffers by one call or one TLS record.  One client
 * gets about 1 MB in a turn of the event loop, so that the others are served in
 * between.
 * NGX_OK: all is sent; NGX_AGAIN: a write event will come; NGX_ERROR.
 */
ngx_int_t ngx_chat_outbox_flush(ngx_chat_outbox_t *ob, ngx_connection_t *c);

/* Tells nginx's connection how much was sent, for its $bytes_sent. */
void ngx_chat_outbox_count_sent(ngx_chat_outbox_t *ob, ngx_connection_t *c);

/* Drops all that is queued, but for the rest of a buffer sent in part, and for
   buffers of which a TLS record has a part that is half written. */
void ngx_chat_outbox_truncate(ngx_chat_outbox_t *ob);

/* Drops all. */
void ngx_chat_outbox_clear(ngx_chat_outbox_t *ob);

/* At the worker's end: frees the links that are kept. */
void ngx_chat_outbox_exit(void);


#endif /* _NGX_CHAT_OUTBOX_H_INCLUDED_ */
