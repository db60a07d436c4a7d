
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The write lock: a robust mutex in shared memory.  Only threads take it, never
 * an event loop.
 *
 * Who writes to the database holds it from before the transaction until the
 * events are in the ring.  So the ring has the events in the order of ids.
 * And the writers of all workers wait for it, where otherwise they would poll
 * SQLite's own lock.
 *
 * When its holder is killed, the next thread gets the lock.  What the dead
 * worker has not sent is marked elsewhere: see dirty in ngx_chat_writer.c.
 */


#ifndef _NGX_CHAT_WRITE_LOCK_H_INCLUDED_
#define _NGX_CHAT_WRITE_LOCK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_store_conf.h>


/*
 * Waits for so many ms at most, with 0 not at all.  NGX_OK; NGX_BUSY: somebody
 * else has the lock, which is logged after a wait; NGX_ERROR: logged.  Without
 * a log nothing is.
 */
ngx_int_t ngx_chat_write_lock_take(ngx_chat_store_sh_t *sh, ngx_msec_t wait,
    ngx_log_t *log);

void ngx_chat_write_lock_give(ngx_chat_store_sh_t *sh);


#endif /* _NGX_CHAT_WRITE_LOCK_H_INCLUDED_ */
