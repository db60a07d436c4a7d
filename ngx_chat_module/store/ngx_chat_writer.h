
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The writing half of the store.
 *
 * Each worker has at most one batch of messages under way, which a thread
 * commits and sends.  Meanwhile new messages gather on the event loop, and
 * the next batch takes them all: one commit for many requests.
 */


#ifndef _NGX_CHAT_WRITER_H_INCLUDED_
#define _NGX_CHAT_WRITER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include <store/ngx_chat_handle.h>


typedef struct ngx_chat_write_s  ngx_chat_write_t;


/* A message to be stored.  The store owns it from write() to done(). */

struct ngx_chat_write_s {
    ngx_queue_t              queue;
    ngx_chat_record_t        record;
    ngx_chat_socket_id_t     except;
    ngx_str_t                reply;        /* after NGX_OK; of an event none */
    uint64_t                 position;     /* in the ring, behind its event;
                                              0: it was not sent */
    unsigned                 more:1;       /* the next write() is of the same
                                              request: all are committed, or
                                              none */

    /*
     * NGX_OK: committed and sent; NGX_BUSY: the store can't take it now;
     * NGX_ERROR.  Not called when data is NULL, as a client's leaving makes
     * it: the message is stored all the same.
     */
    void                   (*done)(ngx_chat_write_t *w, ngx_int_t rc);
    void                    *data;
};


typedef struct {
    /* the event loop's */
    ngx_chat_store_conf_t   *conf;
    ngx_thread_task_t       *task;
    ngx_queue_t              waiting;      /* the next batch */
    ngx_uint_t               nwaiting;
    size_t                   bytes;        /* of those */
    ngx_uint_t               nbatch;       /* in the batch */
    unsigned                 active:1;
    unsigned                 more:1;       /* the rest of a request follows */
    ngx_event_t              guard;        /* keeps an exiting worker */
    ngx_log_t               *log;

    /* the thread's while the task is active */
    ngx_queue_t              batch;
    ngx_chat_handle_t        handle;
    ngx_int_t                rc;           /* of the batch */
} ngx_chat_writer_t;


/*
 * In init_process.  Starts with an empty batch, which sends what a dead
 * worker may have left.  NGX_OK or NGX_ERROR.
 */
ngx_int_t ngx_chat_writer_init(ngx_chat_writer_t *wr,
    ngx_chat_store_conf_t *conf, ngx_cycle_t *cycle);

void ngx_chat_writer_exit(ngx_chat_writer_t *wr);

/*
 * Starts a batch where none is under way, be it empty: it looks whether the
 * handle's files are still there.
 */
void ngx_chat_writer_check(ngx_chat_writer_t *wr);

/* As ngx_chat_store_write(). */
ngx_int_t ngx_chat_writer_add(ngx_chat_writer_t *wr, ngx_chat_write_t *w);


#endif /* _NGX_CHAT_WRITER_H_INCLUDED_ */
