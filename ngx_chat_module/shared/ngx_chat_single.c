
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A thread in each worker, of which one at a time works.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_single.h>
#include <wire/ngx_chat_clock.h>

#include <signal.h>


#define NGX_CHAT_SINGLE_STACK  (512 * 1024)
#define NGX_CHAT_SINGLE_TRY    200         /* ms between attempts */
#define NGX_CHAT_SINGLE_PART   2000        /* the same of a worker that leaves:
                                              if there is another one, that one
                                              has the lease by then */


static void *ngx_chat_single_thread(void *data);
static void ngx_chat_single_wake(ngx_chat_single_t *s);
static ngx_uint_t ngx_chat_single_is_over(ngx_chat_single_t *s);


/* The thread gets no signals: they are for nginx's own. */

ngx_int_t
ngx_chat_single_start(ngx_chat_single_t *s)
{
    int                  err;
    sigset_t             all, old;
    pthread_attr_t       attr;
    pthread_condattr_t   clock;

    if (pthread_condattr_init(&clock) != 0
        || pthread_condattr_setclock(&clock, CLOCK_MONOTONIC) != 0
        || pthread_cond_init(&s->cond, &clock) != 0
        || pthread_mutex_init(&s->mutex, NULL) != 0
        || pthread_attr_init(&attr) != 0)
    {
        return NGX_ERROR;
    }

    (void) pthread_attr_setstacksize(&attr, NGX_CHAT_SINGLE_STACK);

    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &old);

    err = pthread_create(&s->thread, &attr, ngx_chat_single_thread, s);

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    (void) pthread_attr_destroy(&attr);
    (void) pthread_condattr_destroy(&clock);

    s->started = (err == 0);

    return err ? NGX_ERROR : NGX_OK;
}


void
ngx_chat_single_leave(ngx_chat_single_t *s)
{
    if (!s->started || s->leave) {
        return;
    }

    __atomic_store_n(&s->leave, 1, __ATOMIC_RELAXED);
    ngx_chat_single_rouse(s);
}


void
ngx_chat_single_rouse(ngx_chat_single_t *s)
{
    (void) pthread_mutex_lock(&s->mutex);

    ngx_chat_single_wake(s);

    (void) pthread_mutex_unlock(&s->mutex);
}


void
ngx_chat_single_stop(ngx_chat_single_t *s)
{
    if (!s->started) {
        return;
    }

    (void) pthread_mutex_lock(&s->mutex);

    s->stop = 1;
    ngx_chat_single_wake(s);

    (void) pthread_mutex_unlock(&s->mutex);

    (void) pthread_join(s->thread, NULL);

    (void) pthread_cond_destroy(&s->cond);
    (void) pthread_mutex_destroy(&s->mutex);

    s->started = 0;
}


/* With the mutex. */

static void
ngx_chat_single_wake(ngx_chat_single_t *s)
{
    (void) pthread_cond_signal(&s->cond);

    if (s->wake) {
        s->wake(s->data);
    }
}


/* From here on all runs on the thread. */

static void *
ngx_chat_single_thread(void *data)
{
    ngx_chat_single_t *s = data;

    while (!ngx_chat_single_is_over(s)) {

        s->left = __atomic_load_n(&s->leave, __ATOMIC_RELAXED);

        (void) ngx_chat_single_try(s);

        ngx_chat_single_sleep(s, __atomic_load_n(&s->leave, __ATOMIC_RELAXED)
                                 ? NGX_CHAT_SINGLE_PART
                                 : NGX_CHAT_SINGLE_TRY);
    }

    if (s->end) {
        s->end(s->data);
    }

    return NULL;
}


ngx_uint_t
ngx_chat_single_try(ngx_chat_single_t *s)
{
    switch (pthread_mutex_trylock(s->lease)) {

    case EOWNERDEAD:
        (void) pthread_mutex_consistent(s->lease);
        /* fall through */

    case 0:
        break;

    default:
        return 0;
    }

    s->reign(s->data);

    (void) pthread_mutex_unlock(s->lease);

    return 1;
}


static ngx_uint_t
ngx_chat_single_is_over(ngx_chat_single_t *s)
{
    ngx_uint_t  stop;

    (void) pthread_mutex_lock(&s->mutex);

    stop = s->stop;

    (void) pthread_mutex_unlock(&s->mutex);

    return stop || (s->over && s->over(s->data));
}


ngx_uint_t
ngx_chat_single_goes_on(ngx_chat_single_t *s)
{
    return !ngx_chat_single_is_over(s)
           && __atomic_load_n(&s->leave, __ATOMIC_RELAXED) == s->left;
}


void
ngx_chat_single_sleep(ngx_chat_single_t *s, ngx_msec_t ms)
{
    uint64_t         end;
    struct timespec  ts;

    end = ngx_chat_clock_msec() + ms;

    ts.tv_sec = end / 1000;
    ts.tv_nsec = (end % 1000) * 1000000;

    (void) pthread_mutex_lock(&s->mutex);

    if (!s->stop) {
        (void) pthread_cond_timedwait(&s->cond, &s->mutex, &ts);
    }

    (void) pthread_mutex_unlock(&s->mutex);
}
