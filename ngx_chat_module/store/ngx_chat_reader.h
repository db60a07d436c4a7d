
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The reading half of the store.
 *
 * Each worker has a few readers.  A reader reads one page of history at a
 * time, on a thread.  Other reads wait, see ngx_chat_read_queue.h.  SQLite's
 * WAL lets readers read while somebody writes, so a reader takes no write lock
 * unless the database's files are new ones.
 */


#ifndef _NGX_CHAT_READER_H_INCLUDED_
#define _NGX_CHAT_READER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include <store/ngx_chat_handle.h>
#include <store/ngx_chat_read_queue.h>
#include <store/ngx_chat_store_task.h>


#define NGX_CHAT_READERS  4                /* of a worker */


typedef struct ngx_chat_readers_s  ngx_chat_readers_t;


typedef struct {
    ngx_chat_readers_t      *readers;
    ngx_chat_store_task_t    task;

    /* the thread's while the task is active */
    ngx_chat_read_t         *read;         /* NULL: look at the handle only */
    ngx_chat_handle_t        handle;
    ngx_chat_link_t          link;         /* in a cluster */
    ngx_uint_t               is_stale;     /* the log can't be asked, and the
                                              page may be without it */

    u_char                  *rows;         /* rendered, as read */
    size_t                   len;
    size_t                   size;
    size_t                  *ends;         /* of each row */
    ngx_uint_t               nrows;
} ngx_chat_reader_t;


/* A worker's readers; the event loop's. */

struct ngx_chat_readers_s {
    ngx_chat_store_conf_t   *conf;
    ngx_chat_read_queue_t    queue;
    ngx_queue_t              refused;      /* reads that get NGX_BUSY */
    ngx_event_t              refuse;       /* posted for those */
    ngx_log_t               *log;
    ngx_chat_reader_t        readers[NGX_CHAT_READERS];
};


/* In init_process.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_reader_init(ngx_chat_readers_t *rs,
    ngx_chat_store_conf_t *conf, ngx_cycle_t *cycle);

void ngx_chat_reader_exit(ngx_chat_readers_t *rs);

/* Looks whether the files of idle readers are still there. */
void ngx_chat_reader_check(ngx_chat_readers_t *rs);

/* See ngx_chat_store_read(). */
ngx_int_t ngx_chat_reader_add(ngx_chat_readers_t *rs, ngx_chat_read_t *rd);

/* See ngx_chat_store_cancel(). */
void ngx_chat_reader_cancel(ngx_chat_readers_t *rs, ngx_chat_read_t *rd);

/* See ngx_chat_store_release(). */
void ngx_chat_reader_release(ngx_chat_readers_t *rs,
    ngx_chat_read_client_t *client, ngx_str_t *page);


#endif /* _NGX_CHAT_READER_H_INCLUDED_ */
