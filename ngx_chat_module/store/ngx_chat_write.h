
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A message on its way into the store.
 */


#ifndef _NGX_CHAT_WRITE_H_INCLUDED_
#define _NGX_CHAT_WRITE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_batch.h>
#include <wire/ngx_chat_envelope.h>


typedef struct ngx_chat_write_s  ngx_chat_write_t;


/* A message to be stored.  The store owns it from store_write() to done(). */

struct ngx_chat_write_s {
    ngx_queue_t              queue;
    ngx_chat_record_t        record;
    ngx_chat_socket_id_t     except;
    ngx_str_t                reply;        /* after NGX_OK; of an event none */
    ngx_msec_t               queued;       /* since when it waits */
    uint64_t                 position;     /* in the ring, behind its event;
                                              0: it was not sent (now) */
    unsigned                 more:1;       /* the next write() is of the same
                                              request: all are committed, or
                                              none; only the first has a key,
                                              and all are repeated, or none */

    /*
     * rc is NGX_OK: committed and sent, by this write or, where the record is
     * repeated, by an earlier one; NGX_BUSY: the store can't take it now;
     * NGX_ERROR; NGX_ABORT: in a cluster, nobody knows whether it was taken.
     * Where the client has left meanwhile, data is NULL and done()
     * is not called.  The message is stored all the same.
     */
    void                   (*done)(ngx_chat_write_t *w, ngx_int_t rc);
    void                    *data;
};


#endif /* _NGX_CHAT_WRITE_H_INCLUDED_ */
