
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The store's door: messages are written to a database and read from it.
 *
 * The functions here are for a worker's event loop, which never waits: what
 * is to be written or read is queued, a thread of nginx's thread pool does
 * it, and done() is called on the event loop.  Each worker has one writer
 * (ngx_chat_writer.h), a few readers (ngx_chat_reader.h), and a task that
 * looks after the files (ngx_chat_maintenance.h).
 *
 * The workers' writers take turns by the write lock (ngx_chat_write_lock.h).
 */


#ifndef _NGX_CHAT_STORE_H_INCLUDED_
#define _NGX_CHAT_STORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_reader.h>
#include <store/ngx_chat_writer.h>


typedef struct ngx_chat_store_s  ngx_chat_store_t;


/* Master: fills what workers share.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_store_init_shared(ngx_chat_store_sh_t *sh);

/*
 * In init_process; conf lives as long as the process.  Sends what a dead
 * worker may have left.  NULL: no memory.
 */
ngx_chat_store_t *ngx_chat_store_init(ngx_chat_store_conf_t *conf,
    ngx_cycle_t *cycle);

/* In exit_process, when no thread runs any more. */
void ngx_chat_store_exit(ngx_chat_store_t *st);

/*
 * A write with copies of the record's strings, freed by the store behind
 * done(); NULL: no memory.
 */
ngx_chat_write_t *ngx_chat_store_write_alloc(ngx_chat_record_t *rec,
    ngx_log_t *log);

/*
 * NGX_OK: done() will be called; NGX_BUSY: the queue is full, w is freed.
 * Only the first of a request's can be refused; the others must follow at
 * once.
 */
ngx_int_t ngx_chat_store_write(ngx_chat_store_t *st, ngx_chat_write_t *w);

/*
 * A read with a copy of the channel's name; *page is the receiver's to
 * free() after NGX_OK.
 */
ngx_chat_read_t *ngx_chat_store_read_alloc(ngx_chat_history_t *h,
    ngx_log_t *log);

/* NGX_OK: done() will be called; NGX_BUSY: the queue is full, rd is freed. */
ngx_int_t ngx_chat_store_read(ngx_chat_store_t *st, ngx_chat_read_t *rd);


#endif /* _NGX_CHAT_STORE_H_INCLUDED_ */
