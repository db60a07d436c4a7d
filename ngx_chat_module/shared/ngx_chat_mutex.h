
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Robust mutexes in shared memory: when the holder dies, the next one to lock
 * the mutex gets it, with EOWNERDEAD.
 */


#ifndef _NGX_CHAT_MUTEX_H_INCLUDED_
#define _NGX_CHAT_MUTEX_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>


/* Master, before it forks.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_chat_mutex_init(pthread_mutex_t *m);


#endif /* _NGX_CHAT_MUTEX_H_INCLUDED_ */
