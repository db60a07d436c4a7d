
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Stand-ins for what the store needs of nginx: an event loop that does
 * nothing but take back finished tasks, and a thread pool behind it.  Each
 * worker, a thread here, has its own.  Tasks pass from one thread to another
 * under a mutex, as in nginx's own pool.
 */


#ifndef _NGX_CHAT_TSAN_LOOP_H_INCLUDED_
#define _NGX_CHAT_TSAN_LOOP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include <pthread.h>


#define LOOP_THREADS  5


struct ngx_thread_pool_s {
    pthread_mutex_t      lock;
    pthread_cond_t       posted;
    pthread_cond_t       finished;
    ngx_thread_task_t   *queue;
    ngx_thread_task_t   *done;
    ngx_uint_t           stop;
};


typedef struct {
    ngx_thread_pool_t    pool;
    pthread_t            threads[LOOP_THREADS];
} loop_t;


ngx_pid_t                ngx_pid;
ngx_uint_t               ngx_exiting;
volatile ngx_msec_t      ngx_current_msec;
ngx_rbtree_t             ngx_event_timer_rbtree;
ngx_queue_t              ngx_posted_events;

static ngx_log_t         loop_log;


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    (void) log;
    (void) err;

    if (level <= NGX_LOG_ERR) {
        printf("# error: %s\n", fmt);
    }
}


/* Of incidents, which have no zone here. */

u_char *
ngx_vslprintf(u_char *buf, u_char *last, const char *fmt, va_list args)
{
    (void) last;
    (void) fmt;
    (void) args;

    return buf;
}


/* No timer of the store's is ever due here. */

void
ngx_rbtree_insert(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    (void) tree;
    (void) node;
}


void
ngx_rbtree_delete(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    (void) tree;
    (void) node;
}


u_char *
ngx_cpystrn(u_char *dst, u_char *src, size_t n)
{
    size_t  len;

    len = strnlen((char *) src, n - 1);

    memcpy(dst, src, len);
    dst[len] = '\0';

    return dst + len;
}


void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    (void) log;

    return malloc(size);
}


void *
ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    (void) pool;

    return calloc(1, size);
}


ngx_thread_task_t *
ngx_thread_task_alloc(ngx_pool_t *pool, size_t size)
{
    (void) pool;

    return calloc(1, sizeof(ngx_thread_task_t) + size);
}


/* Appends; the caller has the lock. */
static void
loop_append(ngx_thread_task_t **list, ngx_thread_task_t *task)
{
    while (*list) {
        list = &(*list)->next;
    }

    task->next = NULL;
    *list = task;
}


ngx_int_t
ngx_thread_task_post(ngx_thread_pool_t *tp, ngx_thread_task_t *task)
{
    (void) pthread_mutex_lock(&tp->lock);

    loop_append(&tp->queue, task);
    task->event.active = 1;

    (void) pthread_cond_signal(&tp->posted);
    (void) pthread_mutex_unlock(&tp->lock);

    return NGX_OK;
}


static void *
loop_thread(void *data)
{
    ngx_thread_pool_t *tp = data;

    ngx_thread_task_t  *task;

    (void) pthread_mutex_lock(&tp->lock);

    for ( ;; ) {

        while (tp->queue == NULL && !tp->stop) {
            (void) pthread_cond_wait(&tp->posted, &tp->lock);
        }

        task = tp->queue;

        if (task == NULL) {
            break;
        }

        tp->queue = task->next;

        (void) pthread_mutex_unlock(&tp->lock);

        task->handler(task->ctx, &loop_log);

        (void) pthread_mutex_lock(&tp->lock);

        loop_append(&tp->done, task);
        (void) pthread_cond_signal(&tp->finished);
    }

    (void) pthread_mutex_unlock(&tp->lock);

    return NULL;
}


static void
loop_start(loop_t *loop)
{
    ngx_uint_t  i;

    (void) pthread_mutex_init(&loop->pool.lock, NULL);
    (void) pthread_cond_init(&loop->pool.posted, NULL);
    (void) pthread_cond_init(&loop->pool.finished, NULL);

    for (i = 0; i < LOOP_THREADS; i++) {
        (void) pthread_create(&loop->threads[i], NULL, loop_thread,
                              &loop->pool);
    }
}


/* Waits for tasks to finish, and runs their handlers. */
static void
loop_turn(loop_t *loop)
{
    ngx_thread_task_t  *task, *next;

    (void) pthread_mutex_lock(&loop->pool.lock);

    while (loop->pool.done == NULL) {
        (void) pthread_cond_wait(&loop->pool.finished, &loop->pool.lock);
    }

    task = loop->pool.done;
    loop->pool.done = NULL;

    (void) pthread_mutex_unlock(&loop->pool.lock);

    for ( /* void */ ; task; task = next) {
        next = task->next;

        task->event.complete = 1;
        task->event.active = 0;

        task->event.handler(&task->event);
    }
}


static void
loop_stop(loop_t *loop)
{
    ngx_uint_t  i;

    (void) pthread_mutex_lock(&loop->pool.lock);

    loop->pool.stop = 1;

    (void) pthread_cond_broadcast(&loop->pool.posted);
    (void) pthread_mutex_unlock(&loop->pool.lock);

    for (i = 0; i < LOOP_THREADS; i++) {
        (void) pthread_join(loop->threads[i], NULL);
    }
}


#endif /* _NGX_CHAT_TSAN_LOOP_H_INCLUDED_ */
