
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The pages of history that wait to be read in a worker, and the bytes of those
 * that wait for their clients.
 *
 * A client is a connection; over HTTP/2 and HTTP/3 one client has many
 * requests at a time.  All of a worker's clients of chat_events are one.
 * Clients take turns, so that a client with many reads does not hold up the
 * others.
 *
 * A page stays in memory until its client has taken it, which may be never.  So
 * a client's next page is read only while it holds less than its share.  And
 * the more bytes all clients of the worker hold, the shorter is the next page:
 * a client reads the rest with its next request.  Pages are short before they
 * are refused.
 *
 * All of it is the event loop's.
 */


#ifndef _NGX_CHAT_READ_QUEUE_H_INCLUDED_
#define _NGX_CHAT_READ_QUEUE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_history.h>


typedef struct ngx_chat_read_s  ngx_chat_read_t;


typedef struct {
    ngx_queue_t               queue;       /* of clients whose reads wait */
    ngx_queue_t               waiting;     /* its reads */
    ngx_uint_t                nwaiting;
    size_t                    held;        /* bytes of its pages, and of what
                                              is being read for it */
} ngx_chat_read_client_t;


typedef enum {
    NGX_CHAT_READ_WAITING_e = 0,           /* in its client's queue */
    NGX_CHAT_READ_REFUSED_e,               /* in the list of those refused */
    NGX_CHAT_READ_STARTED_e                /* a thread has it, or it is done */
} ngx_chat_read_state_e;


/* A page to be read.  The store owns it from store_read() to done(). */

struct ngx_chat_read_s {
    ngx_queue_t               queue;
    ngx_chat_read_state_e     state;
    ngx_chat_read_client_t   *client;      /* NULL: nobody waits any more */
    size_t                    held;        /* what it counts for: the most that
                                              it may read, then its page */
    size_t                    most;        /* bytes of a page that are of use;
                                              0: all */

    ngx_chat_history_t        history;     /* row and data are the store's */
    ngx_str_t                 page;        /* a JSON array; where render is
                                              set and is_json is not, what it
                                              has made */
    ngx_uint_t                nrows;       /* of the page */

    ngx_chat_record_render_pt  render;     /* called on a thread */
    ngx_uint_t                is_json;     /* what it makes is */
    u_char                    epoch[NGX_CHAT_DB_EPOCH_LEN];

    void                    (*done)(ngx_chat_read_t *rd, ngx_int_t rc);
    void                     *data;

    ngx_uint_t                left;        /* nobody waits for it any more; the
                                              thread looks at each message */
};


typedef struct {
    ngx_queue_t               clients;     /* those whose reads wait */
    ngx_uint_t                nwaiting;
    size_t                    held;        /* of all clients */
} ngx_chat_read_queue_t;


void ngx_chat_read_queue_init(ngx_chat_read_queue_t *q);
void ngx_chat_read_client_init(ngx_chat_read_client_t *client);

/*
 * NGX_OK; NGX_BUSY: clients hold too much.  *refused becomes the read that has
 * to go since too many wait, one of the client that has the most of them, or
 * NULL.  It is not in the queue any more.
 */
ngx_int_t ngx_chat_read_queue_add(ngx_chat_read_queue_t *q,
    ngx_chat_read_t *rd, ngx_chat_read_t **refused);

/* Takes a read that waits out of the queue. */
void ngx_chat_read_queue_remove(ngx_chat_read_queue_t *q,
    ngx_chat_read_t *rd);

/*
 * The next read, which is not in the queue any more; its held is the most that
 * its page may have.  NULL: none waits, or only those whose clients have their
 * share.
 */
ngx_chat_read_t *ngx_chat_read_queue_next(ngx_chat_read_queue_t *q);

/* From now on a read counts for so much. */
void ngx_chat_read_queue_hold(ngx_chat_read_queue_t *q, ngx_chat_read_t *rd,
    size_t size);

/* The client has left: what its read counts for is the worker's only. */
void ngx_chat_read_queue_leave(ngx_chat_read_t *rd);

/* A client has given back a page of so many bytes. */
void ngx_chat_read_queue_release(ngx_chat_read_queue_t *q,
    ngx_chat_read_client_t *client, size_t size);


#endif /* _NGX_CHAT_READ_QUEUE_H_INCLUDED_ */
