
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The write lock: a robust mutex in shared memory.
 *
 * Only threads take it, never an event loop.  Whoever writes to the database
 * holds it, from before the transaction until the events are in the ring, so
 * that the ring's order is the order of the ids.  And the workers' writers
 * queue for it, so that nobody polls SQLite's own lock.
 */


#ifndef _NGX_CHAT_WRITE_LOCK_H_INCLUDED_
#define _NGX_CHAT_WRITE_LOCK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_store_conf.h>


/* Master.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_write_lock_init(ngx_chat_store_sh_t *sh);

/*
 * On a thread: waits so many ms at most; with 0 not at all.  NGX_OK; NGX_BUSY:
 * somebody else has it, logged where it was waited for; NGX_ERROR, logged.
 */
ngx_int_t ngx_chat_write_lock_take(ngx_chat_store_sh_t *sh, ngx_msec_t wait,
    ngx_log_t *log);

void ngx_chat_write_lock_give(ngx_chat_store_sh_t *sh);


#endif /* _NGX_CHAT_WRITE_LOCK_H_INCLUDED_ */
