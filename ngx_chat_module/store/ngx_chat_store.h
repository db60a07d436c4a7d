
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What other rooms call of the store, which writes messages to a database and
 * reads them from it.
 *
 * These functions run on a worker's event loop and never wait.  They queue what
 * is to be written or read.  A thread of nginx's thread pool does it, and then
 * done() is called on the event loop.
 *
 * Each worker has one writer (ngx_chat_writer.h), a few readers
 * (ngx_chat_reader.h), and one task for all that is to be done now and then
 * (ngx_chat_maintenance.h).  The write lock (ngx_chat_write_lock.h) lets the
 * writers of all workers write one after another.
 */


#ifndef _NGX_CHAT_STORE_H_INCLUDED_
#define _NGX_CHAT_STORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_reader.h>
#include <store/ngx_chat_writer.h>


typedef struct ngx_chat_store_s  ngx_chat_store_t;


/* In the master.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_store_init_shared(ngx_chat_store_sh_t *sh);

/* In init_process.  conf lives as long as the process.  NULL: no memory. */
ngx_chat_store_t *ngx_chat_store_init(ngx_chat_store_conf_t *conf,
    ngx_cycle_t *cycle);

/* The cluster that this node is in, or NULL. */
ngx_chat_link_conf_t *ngx_chat_store_link(ngx_chat_store_t *st);

/* Whether clients are better off with another node of the cluster. */
ngx_uint_t ngx_chat_store_is_isolated(ngx_chat_store_t *st);

/* Event loop: the worker begins to leave. */
void ngx_chat_store_leave(ngx_chat_store_t *st);

/* In exit_process, when no thread runs any more. */
void ngx_chat_store_exit(ngx_chat_store_t *st);

/*
 * Makes a write, with copies of the record's strings.  The store frees it after
 * done().  NULL: no memory.
 */
ngx_chat_write_t *ngx_chat_store_write_alloc(ngx_chat_record_t *rec,
    ngx_log_t *log);

/*
 * NGX_OK: done() will be called; NGX_BUSY: the queue is full, and w is freed.
 * Of several writes of one request only the first can be refused.  The others
 * must follow at once.
 */
ngx_int_t ngx_chat_store_write(ngx_chat_store_t *st, ngx_chat_write_t *w);

/*
 * Makes a read, with a copy of the channel's name.  The store frees it after
 * done(), and its page unless done() has taken that, which makes page.data
 * NULL, and frees it later by release().  NULL: no memory.
 */
ngx_chat_read_t *ngx_chat_store_read_alloc(ngx_chat_history_t *h,
    ngx_log_t *log);

/*
 * rd->client must live until done() or cancel(), and until the page is given
 * back.  NGX_OK: done() will be called; NGX_BUSY: too many reads wait, or
 * clients hold too much, and rd is freed.  done() gets NGX_BUSY where that
 * turns out later, too.
 */
ngx_int_t ngx_chat_store_read(ngx_chat_store_t *st, ngx_chat_read_t *rd);

/*
 * Before done(), or in it: nobody waits for the page any more.  The read leaves
 * the queue, or its thread ends it at the next message.  done() is not called.
 */
void ngx_chat_store_cancel(ngx_chat_store_t *st, ngx_chat_read_t *rd);

/* The highest id that retention has removed or is about to; 0: none. */
uint64_t ngx_chat_store_removed(ngx_chat_store_t *st);

/* Frees a page that done() has taken. */
void ngx_chat_store_release(ngx_chat_store_t *st,
    ngx_chat_read_client_t *client, ngx_str_t *page);


#endif /* _NGX_CHAT_STORE_H_INCLUDED_ */
