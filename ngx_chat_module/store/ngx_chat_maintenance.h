
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The maintenance of the database, in the background.
 *
 * Each worker looks once a second whether the files are still there.  One of
 * the workers also removes what chat_retention does not keep, and empties a
 * WAL that readers have let grow.  Which one it is stands in shared memory,
 * with the time up to which this holds; where that worker dies, another takes
 * its place when the time is over.
 */


#ifndef _NGX_CHAT_MAINTENANCE_H_INCLUDED_
#define _NGX_CHAT_MAINTENANCE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include <store/ngx_chat_handle.h>
#include <store/ngx_chat_retention.h>


typedef struct {
    /* the event loop's */
    ngx_chat_store_conf_t   *conf;
    ngx_thread_task_t       *task;
    ngx_event_t              timer;

    /* files were taken away: the worker's other handles are to be looked at */
    void                   (*stale)(void *data);
    void                    *data;

    /* the thread's while the task is active */
    ngx_uint_t               elected;      /* this worker is the one */
    ngx_chat_handle_t        handle;
    ngx_chat_retention_t     retention;
    ngx_chat_db_files_t      files;        /* that retention has looked at */
    ngx_uint_t               failed;       /* the last time, and has said so */
    uint64_t                 checked;      /* when the WAL was, ms */
    uint64_t                 warned;
    uint64_t                 refused;      /* since when the write lock was not
                                              to be had; 0: it was */
    ngx_msec_t               pause;        /* until the next time */
} ngx_chat_maintenance_t;


/* In init_process.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_maintenance_init(ngx_chat_maintenance_t *mt,
    ngx_chat_store_conf_t *conf, ngx_cycle_t *cycle);

/* Lets another worker take the place at once. */
void ngx_chat_maintenance_exit(ngx_chat_maintenance_t *mt);


#endif /* _NGX_CHAT_MAINTENANCE_H_INCLUDED_ */
