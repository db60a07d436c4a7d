
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Keeps the file in order, in the background.
 *
 * In every worker: looks each second whether the files are still there.  In
 * one worker of all, which holds a lease in shared memory: removes what
 * chat_retention does not keep, and empties a WAL that readers have let grow.
 * Where that worker dies, the lease ends and another takes it.
 */


#ifndef _NGX_CHAT_MAINTENANCE_H_INCLUDED_
#define _NGX_CHAT_MAINTENANCE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include <store/ngx_chat_store.h>


typedef struct {
    ngx_chat_store_conf_t   *conf;
    ngx_thread_task_t       *task;
    ngx_event_t              timer;

    /* on the event loop: the other handles are to be looked at */
    void                   (*stale)(void *data);
    void                    *data;

    /* the thread's while the task is active */
    ngx_chat_db_t            db;
    ngx_chat_db_conf_t       db_conf;
    ngx_chat_retention_t     retention;
    ngx_chat_db_files_t      files;        /* what that knows is of these */
    ngx_uint_t               leads;        /* has the lease */
    ngx_uint_t               failed;       /* and has said so */
    int64_t                  checked;      /* when the WAL was, ms */
    int64_t                  warned;
    int64_t                  hungry;       /* since when the turn was not had,
                                              0: it was */
    ngx_msec_t               pause;        /* until the next time */
} ngx_chat_maintenance_t;


/* NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_maintenance_init(ngx_chat_maintenance_t *kp,
    ngx_chat_store_conf_t *conf, ngx_cycle_t *cycle);

/* Gives the lease back. */
void ngx_chat_maintenance_exit(ngx_chat_maintenance_t *kp);


#endif /* _NGX_CHAT_MAINTENANCE_H_INCLUDED_ */
