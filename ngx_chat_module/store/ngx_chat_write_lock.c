
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The write lock.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_incident.h>
#include <store/ngx_chat_write_lock.h>
#include <wire/ngx_chat_clock.h>


ngx_int_t
ngx_chat_write_lock_take(ngx_chat_store_sh_t *sh, ngx_msec_t wait,
    ngx_log_t *log)
{
    int              err;
    int64_t          end;
    struct timespec  ts;

    if (wait) {
        /* pthread_mutex_timedlock() knows no other clock */

        end = ngx_chat_clock_wall() + (int64_t) wait;

        ts.tv_sec = end / 1000;
        ts.tv_nsec = (end % 1000) * 1000000;

        err = pthread_mutex_timedlock(&sh->write_lock, &ts);

    } else {
        err = pthread_mutex_trylock(&sh->write_lock);
    }

    switch (err) {

    case EOWNERDEAD:
        (void) pthread_mutex_consistent(&sh->write_lock);
        /* fall through */

    case 0:
        return NGX_OK;

    case EBUSY:
        return NGX_BUSY;

    case ETIMEDOUT:

        if (log == NULL) {
            return NGX_BUSY;
        }

        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "chat store waited %M ms for the write lock", wait);

        ngx_chat_incident_note(NGX_CHAT_INCIDENT_DATABASE_WRITE_e,
                               "waited %M ms for another worker", wait);
        return NGX_BUSY;
    }

    if (log) {
        ngx_log_error(NGX_LOG_ALERT, log, err, "pthread_mutex_lock() failed");
    }

    return NGX_ERROR;
}


void
ngx_chat_write_lock_give(ngx_chat_store_sh_t *sh)
{
    (void) pthread_mutex_unlock(&sh->write_lock);
}
