
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Mutexes in shared memory that outlive their holder.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_mutex.h>


ngx_int_t
ngx_chat_mutex_init(pthread_mutex_t *m)
{
    ngx_int_t            rc;
    pthread_mutexattr_t  attr;

    if (pthread_mutexattr_init(&attr) != 0) {
        return NGX_ERROR;
    }

    rc = NGX_OK;

    if (pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) != 0
        || pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) != 0
        || pthread_mutex_init(m, &attr) != 0)
    {
        rc = NGX_ERROR;
    }

    (void) pthread_mutexattr_destroy(&attr);

    return rc;
}
