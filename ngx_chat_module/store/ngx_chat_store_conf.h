
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What all files of the store use: its shared memory, its settings, and the
 * functions by which it calls other rooms.
 */


#ifndef _NGX_CHAT_STORE_CONF_H_INCLUDED_
#define _NGX_CHAT_STORE_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_thread_pool.h>

#include <pthread.h>

#include <link/ngx_chat_link.h>
#include <shared/ngx_chat_zone.h>
#include <store/ngx_chat_batch.h>
#include <store/ngx_chat_retention.h>
#include <store/ngx_chat_store_stats.h>
#include <wire/ngx_chat_envelope.h>


#define NGX_CHAT_STORE_WAIT      10000     /* ms for locks, each */


/* For a word that other threads and processes read or write meanwhile. */

#define ngx_chat_store_get(p)                                                 \
    __atomic_load_n(p, __ATOMIC_RELAXED)

#define ngx_chat_store_set(p, value)                                          \
    __atomic_store_n(p, value, __ATOMIC_RELAXED)


/* In shared memory; made by the master. */

typedef struct {
    pthread_mutex_t          write_lock;
    ngx_str_t                path;         /* of the database it is for */

    /* read and written with the write lock */
    uint64_t                 floor;        /* messages up to this id are sent */
    uint32_t                 dirty;        /* messages above floor may be
                                              committed and not sent */
    uint64_t                 last;         /* the highest id committed */
    uint64_t                 rows;         /* the highest of webhook_events, be
                                              it committed or not */
    uint64_t                 removed;      /* the highest that retention has
                                              removed or is about to; read
                                              without the lock */

    ngx_chat_store_stats_sh_t  stats;

    /* the note which files are the database; written with the write lock */
    u_char                   epoch[NGX_CHAT_DB_EPOCH_LEN];
    ngx_atomic_t             file;         /* inodes; 0: not known yet */
    ngx_atomic_t             wal;
    ngx_atomic_t             shm;

    /* of the file that is noted; written with the write lock */
    ngx_atomic_t             size;         /* bytes it had at the last look */
    uint32_t                 changes;      /* its counter then */
    ngx_atomic_t             destroyed;    /* its inode: it is not the database
                                              any more */

    ngx_chat_link_sh_t       link;         /* in a cluster */

    /* the worker that does the maintenance, and until when, in ms */
    ngx_atomic_t             maintainer;   /* its pid */
    ngx_atomic_t             maintainer_until;
} ngx_chat_store_sh_t;


/* Which files this process has open.  All its threads use this. */

typedef struct {
    pthread_mutex_t          mutex;
    ngx_uint_t               n;            /* handles on the files */
    ngx_chat_db_files_t      files;
    ngx_uint_t               stale;        /* a handle has found other files,
                                              so all others must look */
} ngx_chat_handles_t;


typedef struct {
    ngx_str_t                path;         /* len 0: no database */
    ngx_uint_t               full;         /* sync=full */
    size_t                   batch_max;    /* most bytes of events in one
                                              commit, for workers must keep
                                              up with the ring */
    ngx_thread_pool_t       *pool;
    ngx_chat_store_sh_t     *sh;
    ngx_chat_handles_t       handles;
    ngx_chat_retention_limits_t  retention;
    ngx_chat_link_conf_t    *link;         /* NULL: no chat_cluster */
    ngx_chat_zone_t         *zone;         /* for the cluster's nodes */

    /* The most bytes that the event of a record can have. */
    size_t                 (*event_max)(ngx_chat_record_t *rec);

    /*
     * On a thread: writes what the sender of a message gets, into memory from
     * malloc().  NGX_OK, NGX_ERROR.
     */
    ngx_int_t              (*render)(ngx_chat_record_t *rec, ngx_str_t *reply);

    /*
     * On a thread, with the write lock: sends a message that is committed.
     * *reply becomes what render() writes, and *position the ring's position
     * behind its event.  Both pointers are NULL where nobody
     * waits for an answer.  NGX_OK; NGX_DECLINED: the message is too long for
     * the ring, which is logged; NGX_ERROR: it can be sent later.
     */
    ngx_int_t              (*append)(void *data, ngx_chat_record_t *rec,
                                     ngx_chat_socket_id_t *except,
                                     ngx_str_t *reply, uint64_t *position,
                                     ngx_log_t *log);

    /* The id of the last message that append() has sent, or begun() told. */
    uint64_t               (*sent)(void *data);

    /*
     * On a thread, with the write lock: messages up to this id are of before,
     * and nobody is sent them any more.  From now on sent() returns it.  That
     * is so at the start, and where the database is another one now: then ids
     * that subscribers have seen may come again.
     */
    void                   (*begun)(void *data, uint64_t id,
                                    ngx_uint_t another);

    /*
     * On a thread, in the transaction of a message that was just inserted: what
     * else goes with it.  NULL: nothing.  NGX_OK, NGX_BUSY, NGX_ERROR.
     */
    ngx_int_t              (*stored)(void *data, ngx_chat_db_t *db,
                                     ngx_chat_record_t *rec);
    void                    *stored_data;

    /* On a thread: a worker lags by half of the ring. */
    ngx_uint_t             (*behind)(void *data);

    /* On the event loop: so many messages of this worker are not stored yet. */
    void                   (*queued)(ngx_uint_t n);

    /*
     * On the event loop: so many reads wait for a reader, and clients hold so
     * many bytes of pages, with what may come of those being read.
     */
    void                   (*reading)(ngx_uint_t n, size_t held);

    void                    *data;         /* for the functions above */
} ngx_chat_store_conf_t;


#endif /* _NGX_CHAT_STORE_CONF_H_INCLUDED_ */
