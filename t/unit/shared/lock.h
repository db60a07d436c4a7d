
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A robust mutex of processes that are killed.
 */


#ifndef _NGX_CHAT_UNIT_LOCK_H_INCLUDED_
#define _NGX_CHAT_UNIT_LOCK_H_INCLUDED_


#include <errno.h>
#include <pthread.h>
#include <time.h>


/*
 * 1: its holder was found dead.  Looks again every second: where the one
 * waiter that was woken is killed before it has the mutex, glibc wakes no
 * other.
 */

static inline unsigned
unit_lock(pthread_mutex_t *mutex)
{
    int              rc;
    struct timespec  ts;

    do {
        (void) clock_gettime(CLOCK_REALTIME, &ts);
        ts.tv_sec++;

        rc = pthread_mutex_timedlock(mutex, &ts);

    } while (rc == ETIMEDOUT);

    if (rc != EOWNERDEAD) {
        return 0;
    }

    (void) pthread_mutex_consistent(mutex);

    return 1;
}


#endif /* _NGX_CHAT_UNIT_LOCK_H_INCLUDED_ */
