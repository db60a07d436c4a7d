
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The maintenance of the database, in the background.
 *
 * Each worker has one.  Once a second it looks whether the files are still
 * there.  One worker, the maintainer, also removes what chat_retention does
 * not keep, removes old idempotency keys, and empties a WAL that has grown
 * because of readers.  Shared memory says which worker that is, and until when.
 * When that time is over because the maintainer was killed, another worker
 * takes its place.
 */


#ifndef _NGX_CHAT_MAINTENANCE_H_INCLUDED_
#define _NGX_CHAT_MAINTENANCE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <store/ngx_chat_handle.h>
#include <store/ngx_chat_retention.h>
#include <store/ngx_chat_store_task.h>


typedef struct {
    /* the event loop's */
    ngx_chat_store_conf_t   *conf;
    ngx_chat_store_task_t    task;
    ngx_event_t              timer;

    /* called when the worker's other handles must look at their files */
    void                   (*stale)(void *data);
    void                    *data;

    /* the thread's while the task is active */
    ngx_uint_t               elected;      /* this worker is the maintainer */
    ngx_chat_handle_t        handle;
    ngx_chat_retention_t     retention;
    ngx_chat_db_files_t      files;        /* that retention knows about */
    ngx_uint_t               failed;       /* the last run has failed */
    uint64_t                 checked;      /* when the WAL was looked at, ms */
    uint64_t                 warned;       /* when a warning was logged, ms */
    uint64_t                 refused;      /* since when somebody else has the
                                              write lock, ms; 0: nobody */
    ngx_msec_t               pause;        /* until the next run */
} ngx_chat_maintenance_t;


/* In init_process.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_maintenance_init(ngx_chat_maintenance_t *mt,
    ngx_chat_store_conf_t *conf, ngx_cycle_t *cycle);

/* Lets another worker be the maintainer at once. */
void ngx_chat_maintenance_exit(ngx_chat_maintenance_t *mt);


#endif /* _NGX_CHAT_MAINTENANCE_H_INCLUDED_ */
