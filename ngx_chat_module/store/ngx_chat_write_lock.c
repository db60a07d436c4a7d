
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The turn to write.  Whoever dies with it leaves it to the next; what was
 * not sent then is marked in the shared part, not here.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_mutex.h>
#include <store/ngx_chat_write_lock.h>


ngx_int_t
ngx_chat_write_lock_init(ngx_chat_store_sh_t *sh)
{
    return ngx_chat_mutex_init(&sh->turn);
}


ngx_int_t
ngx_chat_write_lock_take(ngx_chat_store_sh_t *sh, ngx_msec_t wait,
    ngx_log_t *log)
{
    int              err;
    struct timespec  ts;

    if (wait) {
        /* a clock that is set meanwhile moves the end, not the holder's */

        (void) clock_gettime(CLOCK_REALTIME, &ts);

        ts.tv_sec += wait / 1000;
        ts.tv_nsec += (wait % 1000) * 1000000;

        if (ts.tv_nsec >= 1000000000) {
            ts.tv_nsec -= 1000000000;
            ts.tv_sec++;
        }

        err = pthread_mutex_timedlock(&sh->turn, &ts);

    } else {
        err = pthread_mutex_trylock(&sh->turn);
    }

    switch (err) {

    case EOWNERDEAD:
        (void) pthread_mutex_consistent(&sh->turn);
        /* fall through */

    case 0:
        return NGX_OK;

    case EBUSY:
        return NGX_BUSY;

    case ETIMEDOUT:
        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "chat store waited %M ms for its turn to write", wait);
        return NGX_BUSY;
    }

    ngx_log_error(NGX_LOG_ALERT, log, err, "pthread_mutex_lock() failed");

    return NGX_ERROR;
}


void
ngx_chat_write_lock_give(ngx_chat_store_sh_t *sh)
{
    (void) pthread_mutex_unlock(&sh->turn);
}
