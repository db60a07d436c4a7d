
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The front: a worker's way into the log of a cluster, in place of the
 * writer's transaction.
 *
 * A batch is one entry of the log.  It is answered when the engine has it, and
 * this node's back (ngx_chat_back.h) has stored and sent it: so whoever gets
 * the answer reads what was written.  One thread at a time uses a front; it may
 * wait.
 */


#ifndef _NGX_CHAT_FRONT_H_INCLUDED_
#define _NGX_CHAT_FRONT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_link.h>
#include <store/ngx_chat_store_conf.h>
#include <store/ngx_chat_write.h>


typedef struct {
    ngx_chat_store_conf_t  *conf;
    ngx_chat_link_conf_t   *link_conf; /* NULL: no chat_cluster */
    ngx_chat_link_t         link;
    uint64_t                worker;    /* this front's, by chance */
} ngx_chat_front_t;


void ngx_chat_front_init(ngx_chat_front_t *f, ngx_chat_store_conf_t *conf);
void ngx_chat_front_exit(ngx_chat_front_t *f);

/*
 * On a thread: takes a batch of ngx_chat_write_t, and gives them ids, times and
 * positions, and replies to those that are not repeated.  NGX_OK; NGX_BUSY:
 * nothing was taken; NGX_ABORT: it is not known; NGX_ERROR: no memory, nothing
 * was taken.  What goes wrong is logged.
 */
ngx_int_t ngx_chat_front_take(ngx_chat_front_t *f, ngx_queue_t *batch,
    ngx_log_t *log);


#endif /* _NGX_CHAT_FRONT_H_INCLUDED_ */
