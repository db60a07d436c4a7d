
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The turn to write: a robust mutex in shared memory, which only threads
 * hold.  It queues the workers' writers, so that nobody polls SQLite's lock.
 */


#ifndef _NGX_CHAT_WRITE_LOCK_H_INCLUDED_
#define _NGX_CHAT_WRITE_LOCK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_store.h>


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
