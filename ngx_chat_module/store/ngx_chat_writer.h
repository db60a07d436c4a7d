
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The writing half of the store: one batch in flight, the next one
 * gathering.
 */


#ifndef _NGX_CHAT_WRITER_H_INCLUDED_
#define _NGX_CHAT_WRITER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include <store/ngx_chat_store.h>


typedef struct {
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
    ngx_chat_db_t            db;
    ngx_chat_db_conf_t       db_conf;
    ngx_int_t                rc;           /* of the batch */
} ngx_chat_writer_t;


/* NGX_OK or NGX_ERROR; starts with an empty batch, which sends what a dead
   worker may have left. */
ngx_int_t ngx_chat_writer_init(ngx_chat_writer_t *wr,
    ngx_chat_store_conf_t *conf, ngx_cycle_t *cycle);

void ngx_chat_writer_exit(ngx_chat_writer_t *wr);

/* Has the handle looked at, where no batch does that anyway. */
void ngx_chat_writer_check(ngx_chat_writer_t *wr);

/* As ngx_chat_store_write(). */
ngx_int_t ngx_chat_writer_add(ngx_chat_writer_t *wr, ngx_chat_write_t *w);


#endif /* _NGX_CHAT_WRITER_H_INCLUDED_ */
