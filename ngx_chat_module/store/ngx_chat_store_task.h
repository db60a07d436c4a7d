
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A task of the store: work that a thread of the pool does again and again.
 *
 * The event loop owns a task and starts it.  thread() runs on a thread, then
 * done() on the event loop.  A worker that exits waits for a task in flight,
 * as messages may wait for it.
 */


#ifndef _NGX_CHAT_STORE_TASK_H_INCLUDED_
#define _NGX_CHAT_STORE_TASK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>


typedef struct {
    ngx_thread_pool_t   *pool;
    ngx_thread_task_t   *task;
    ngx_event_t          guard;            /* keeps an exiting worker */
    unsigned             active:1;         /* from start() to done() */

    ngx_int_t          (*thread)(void *data, ngx_log_t *log);
    void               (*done)(void *data, ngx_int_t rc);
    void                *data;
    ngx_int_t            rc;               /* what thread() gave back */
} ngx_chat_store_task_t;


/* thread, done and data are set by the caller.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_store_task_init(ngx_chat_store_task_t *t,
    ngx_thread_pool_t *pool, ngx_cycle_t *cycle);

/* Where the pool's queue is full, done() is called with NGX_BUSY. */
void ngx_chat_store_task_start(ngx_chat_store_task_t *t);


#endif /* _NGX_CHAT_STORE_TASK_H_INCLUDED_ */
