
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Mutexes in shared memory that outlive their holder: when it dies, the next
 * one gets EOWNERDEAD, and the mutex with it.
 */


#ifndef _NGX_CHAT_MUTEX_H_INCLUDED_
#define _NGX_CHAT_MUTEX_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>


/* Master, before it forks.  NGX_OK, NGX_ERROR. */
ngx_int_t ngx_chat_mutex_init(pthread_mutex_t *m);


#endif /* _NGX_CHAT_MUTEX_H_INCLUDED_ */
