
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Waiting for another process without a lock that it could die with: a word in
 * shared memory that goes up with each change.
 */


#ifndef _NGX_CHAT_FUTEX_H_INCLUDED_
#define _NGX_CHAT_FUTEX_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Any thread, event loops too: a change, and wakes all who sleep. */
void ngx_chat_futex_turn(uint32_t *turns);

/*
 * A thread that may wait: sleeps until the next change after the one that it
 * has read from *turns, at most so many ms.
 */
void ngx_chat_futex_sleep(uint32_t *turns, uint32_t read, ngx_msec_t ms);


#endif /* _NGX_CHAT_FUTEX_H_INCLUDED_ */
