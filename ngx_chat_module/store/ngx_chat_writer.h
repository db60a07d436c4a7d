
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The writing half of the store.
 *
 * Each worker has one writer.  Messages that are to be stored wait in its
 * queue, on the event loop.  The writer takes as many as may go together as a
 * batch, which a thread commits and sends: one commit for many requests.  What
 * comes meanwhile waits for the next batch.
 */


#ifndef _NGX_CHAT_WRITER_H_INCLUDED_
#define _NGX_CHAT_WRITER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include <store/ngx_chat_front.h>
#include <store/ngx_chat_handle.h>
#include <store/ngx_chat_store_task.h>
#include <store/ngx_chat_write.h>


typedef struct {
    /* the event loop's */
    ngx_chat_store_conf_t   *conf;
    ngx_chat_store_task_t    task;
    ngx_queue_t              waiting;      /* for the next batches */
    ngx_uint_t               nwaiting;
    size_t                   bytes;        /* of the waiting messages */
    ngx_uint_t               nbatch;       /* messages in the batch */
    unsigned                 more:1;       /* the rest of a request follows */
    ngx_log_t               *log;

    /* the thread's while the task is active */
    ngx_queue_t              batch;
    uint64_t                 first;        /* the lowest id that was inserted;
                                              0: all were repeated */
    uint64_t                 last;         /* and the highest */
    ngx_chat_write_t        *repeated;     /* whose row is read */
    ngx_chat_handle_t        handle;
    ngx_chat_front_t         front;        /* in a cluster */
} ngx_chat_writer_t;


/* In init_process.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_writer_init(ngx_chat_writer_t *wr,
    ngx_chat_store_conf_t *conf, ngx_cycle_t *cycle);

void ngx_chat_writer_exit(ngx_chat_writer_t *wr);

/*
 * Starts a batch where none is under way.  An empty batch, too, looks whether
 * the handle's files are still there.
 */
void ngx_chat_writer_check(ngx_chat_writer_t *wr);

/* See ngx_chat_store_write(). */
ngx_int_t ngx_chat_writer_add(ngx_chat_writer_t *wr, ngx_chat_write_t *w);


#endif /* _NGX_CHAT_WRITER_H_INCLUDED_ */
