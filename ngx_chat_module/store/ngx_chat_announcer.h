
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The announcer: tells the cluster's log what this node's workers have of
 * channels and members (shared/ngx_chat_node.h).
 *
 * One thread of the node.  It waits until what it has said came back by the
 * log, so that it never compares with what is under way.
 */


#ifndef _NGX_CHAT_ANNOUNCER_H_INCLUDED_
#define _NGX_CHAT_ANNOUNCER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_store_conf.h>


typedef struct ngx_chat_announcer_s  ngx_chat_announcer_t;


/* In init_process.  NULL: no memory, or no thread, logged. */
ngx_chat_announcer_t *ngx_chat_announcer_start(ngx_chat_store_conf_t *conf,
    ngx_cycle_t *cycle);

/* Event loop: the worker begins to leave.  NULL: nothing is done. */
void ngx_chat_announcer_leave(ngx_chat_announcer_t *a);

/* In exit_process.  NULL: nothing is done. */
void ngx_chat_announcer_stop(ngx_chat_announcer_t *a);


#endif /* _NGX_CHAT_ANNOUNCER_H_INCLUDED_ */
