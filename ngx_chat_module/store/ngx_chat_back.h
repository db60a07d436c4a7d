
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The back: the node's way out of the log of a cluster.
 *
 * One thread of the node (shared/ngx_chat_single.h) reads the log and does with
 * each batch what a single server's writer does: it commits the messages, and
 * then appends all events to the ring.  Position and messages are one
 * transaction.  So all nodes have the same messages under the same ids, and
 * their subscribers get the events in one order.
 *
 * Shared memory tells how far the ring has come.  Where a back dies, the next
 * one reads again from the last entry that was appended whole, and leaves out
 * what the ring has.
 */


#ifndef _NGX_CHAT_BACK_H_INCLUDED_
#define _NGX_CHAT_BACK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_store_conf.h>


typedef struct ngx_chat_back_s  ngx_chat_back_t;


/* In init_process.  NULL: no memory, or no thread, logged. */
ngx_chat_back_t *ngx_chat_back_start(ngx_chat_store_conf_t *conf,
    ngx_cycle_t *cycle);

/* Event loop: the worker begins to leave.  NULL: nothing is done. */
void ngx_chat_back_leave(ngx_chat_back_t *b);

/* In exit_process.  NULL: nothing is done. */
void ngx_chat_back_stop(ngx_chat_back_t *b);


#endif /* _NGX_CHAT_BACK_H_INCLUDED_ */
