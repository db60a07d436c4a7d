
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The reading half of the store: a few handles, each with one read at a
 * time, beside the writer (WAL).
 */


#ifndef _NGX_CHAT_READER_H_INCLUDED_
#define _NGX_CHAT_READER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include <store/ngx_chat_store.h>


typedef struct ngx_chat_readers_s  ngx_chat_readers_t;


/* One handle; the thread's while active. */

typedef struct {
    ngx_chat_readers_t      *readers;
    ngx_thread_task_t       *task;
    ngx_chat_read_t         *read;         /* NULL: look at the handle only */
    ngx_chat_db_t            db;
    ngx_int_t                rc;
    unsigned                 active:1;

    u_char                  *rows;         /* rendered, as read */
    size_t                   len;
    size_t                   size;
    size_t                  *ends;         /* of each row */
    ngx_uint_t               nrows;
} ngx_chat_reader_t;


struct ngx_chat_readers_s {
    ngx_chat_store_conf_t   *conf;
    ngx_chat_db_conf_t       db_conf;
    ngx_queue_t              waiting;
    ngx_uint_t               nwaiting;
    ngx_uint_t               nactive;
    ngx_event_t              guard;        /* keeps an exiting worker */
    ngx_log_t               *log;
    ngx_chat_reader_t        readers[NGX_CHAT_STORE_READERS];
};


ngx_int_t ngx_chat_reader_init(ngx_chat_readers_t *rs,
    ngx_chat_store_conf_t *conf, ngx_cycle_t *cycle);

void ngx_chat_reader_exit(ngx_chat_readers_t *rs);

/* Has the handles looked at that wait for a read. */
void ngx_chat_reader_check(ngx_chat_readers_t *rs);

/* As ngx_chat_store_read(). */
ngx_int_t ngx_chat_reader_add(ngx_chat_readers_t *rs, ngx_chat_read_t *rd);


#endif /* _NGX_CHAT_READER_H_INCLUDED_ */
