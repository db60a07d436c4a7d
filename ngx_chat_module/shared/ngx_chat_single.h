
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A thread in each worker, of which one at a time works for all of nginx: the
 * one that holds the lease, a robust mutex in shared memory.
 *
 * The others try the lease now and then, and cost nearly nothing.  When the
 * holder dies or leaves, another one has it a little later.  A worker that
 * leaves gives it back, so that one which stays gets it; where none stays, the
 * leaving one takes it again.
 */


#ifndef _NGX_CHAT_SINGLE_H_INCLUDED_
#define _NGX_CHAT_SINGLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>


typedef struct ngx_chat_single_s  ngx_chat_single_t;

typedef void (*ngx_chat_single_pt)(void *data);
typedef ngx_uint_t (*ngx_chat_single_over_pt)(void *data);


struct ngx_chat_single_s {
    pthread_mutex_t          *lease;
    void                     *data;

    /* on the thread, with the lease: works as long as goes_on() says */
    ngx_chat_single_pt        reign;

    /* these may be NULL: on the thread, whether it ends before it is to stop;
       what is left to do at its end; and with the mutex, ends the reign's own
       waiting */
    ngx_chat_single_over_pt   over;
    ngx_chat_single_pt        end;
    ngx_chat_single_pt        wake;

    pthread_t                 thread;
    pthread_mutex_t           mutex;
    pthread_cond_t            cond;
    ngx_uint_t                stop;    /* with the mutex */
    ngx_uint_t                leave;
    ngx_uint_t                left;    /* the thread's: leave, as it was when
                                          the reign began */
    unsigned                  started:1;
};


/* In init_process; all but the thread's own is set.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_chat_single_start(ngx_chat_single_t *s);

/* Event loop: the worker begins to leave.  May be called again. */
void ngx_chat_single_leave(ngx_chat_single_t *s);

/* Event loop: wakes the thread; what over() looks at has changed. */
void ngx_chat_single_rouse(ngx_chat_single_t *s);

/* In exit_process: waits for the thread's end. */
void ngx_chat_single_stop(ngx_chat_single_t *s);

/* On the thread, in end(): reigns once more.  0: another one has the lease. */
ngx_uint_t ngx_chat_single_try(ngx_chat_single_t *s);

/* On the thread. */
ngx_uint_t ngx_chat_single_goes_on(ngx_chat_single_t *s);

/* On the thread: sleeps, unless it is to stop. */
void ngx_chat_single_sleep(ngx_chat_single_t *s, ngx_msec_t ms);


#endif /* _NGX_CHAT_SINGLE_H_INCLUDED_ */
