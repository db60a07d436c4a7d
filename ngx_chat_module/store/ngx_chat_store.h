
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The store's event-loop side: queues of what is to be written and read,
 * tasks of nginx's thread pool, completions.
 *
 * At most one batch of writes of a worker is in flight; while it commits,
 * new messages gather, and the next batch takes them all.  The workers'
 * batches take turns by a robust mutex in shared memory that only threads
 * hold: it covers the commit and the append to the ring, so that the ring's
 * order is the order of the ids.
 *
 * One of the workers keeps the file in order, see ngx_chat_maintenance.h.
 */


#ifndef _NGX_CHAT_STORE_H_INCLUDED_
#define _NGX_CHAT_STORE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include <pthread.h>

#include <store/ngx_chat_history.h>
#include <store/ngx_chat_retention.h>
#include <store/ngx_chat_store_stats.h>
#include <wire/ngx_chat_envelope.h>


#define NGX_CHAT_STORE_READERS   4         /* reads at a time */
#define NGX_CHAT_STORE_WAIT      10000     /* ms for locks, each */


typedef struct ngx_chat_store_s  ngx_chat_store_t;
typedef struct ngx_chat_write_s  ngx_chat_write_t;
typedef struct ngx_chat_read_s  ngx_chat_read_t;


/* A word that other threads and processes look at or change meanwhile. */

#define ngx_chat_store_get(p)                                                 \
    __atomic_load_n(p, __ATOMIC_RELAXED)

#define ngx_chat_store_set(p, value)                                          \
    __atomic_store_n(p, value, __ATOMIC_RELAXED)


/* In shared memory; made by the master. */

typedef struct {
    pthread_mutex_t          turn;
    ngx_str_t                path;         /* of the database it is for */

    /* written by whoever has the turn */
    uint64_t                 floor;        /* ids up to here are sent */
    uint32_t                 dirty;        /* ids above may be committed and
                                              not sent */

    ngx_chat_store_stats_sh_t  meter;      /* written by all */
    uint64_t                   last;       /* the highest id committed */
    uint64_t                   foreign;    /* what the ring sent last is this
                                              id, of a database that was here
                                              before; 0: of this one */

    /* which files are the database; written with the turn, read by all */
    ngx_atomic_t             epoch;        /* its first half; 0: not opened */
    ngx_atomic_t             file;         /* inodes */
    ngx_atomic_t             wal;
    ngx_atomic_t             shm;

    /* the worker that keeps the file in order, and until when (ms) */
    ngx_atomic_t             keeper;
    ngx_atomic_t             lease;
} ngx_chat_store_sh_t;


/* What the handles of this process have open; its threads share it. */

typedef struct {
    pthread_mutex_t          mutex;
    ngx_uint_t               n;            /* handles on the files */
    ngx_chat_db_files_t      files;
    ngx_atomic_t             stale;        /* a handle had to be closed */
} ngx_chat_handles_t;


typedef struct {
    ngx_str_t                path;         /* len 0: no database */
    ngx_uint_t               full;         /* sync=full */
    size_t                   batch_max;    /* most bytes that the events of
                                              one commit may come to: what
                                              the ring's readers keep up
                                              with */
    ngx_thread_pool_t       *pool;
    ngx_chat_store_sh_t     *sh;
    ngx_chat_handles_t       handles;
    ngx_chat_retention_limits_t  retention;

    /* What the event of a record may come to at most. */
    size_t                 (*event_max)(ngx_chat_record_t *rec);

    /*
     * On a thread, with the turn: sends a message that is committed; *reply
     * is what its sender gets, from malloc(), and *position is in the ring,
     * behind its event.  Both are NULL where nobody waits.  NGX_OK;
     * NGX_DECLINED: it can never be sent; NGX_ERROR: it was not sent, and may
     * be later.
     */
    ngx_int_t              (*append)(void *data, ngx_chat_record_t *rec,
                                     ngx_chat_socket_id_t *except,
                                     ngx_str_t *reply, uint64_t *position,
                                     ngx_log_t *log);

    /* The id of the last message that append() has sent, or 0. */
    uint64_t               (*sent)(void *data);

    /*
     * On a thread, with the turn: the database is another one now, and ids
     * that subscribers have seen may come again.
     */
    void                   (*renewed)(void *data);

    /* On the event loop: so many messages of this worker are to be stored. */
    void                   (*queued)(ngx_uint_t n);
    void                    *data;         /* of those with data */
} ngx_chat_store_conf_t;


/* A message to be stored.  The store owns it from write() to done(). */

struct ngx_chat_write_s {
    ngx_queue_t              queue;
    ngx_chat_record_t        record;
    ngx_chat_socket_id_t     except;
    ngx_str_t                reply;        /* after NGX_OK; of an event none */
    uint64_t                 position;     /* in the ring, behind its event;
                                              0: it was not sent */
    unsigned                 more:1;       /* the next write() is of the same
                                              request: all are committed, or
                                              none */

    /*
     * NGX_OK: committed and sent; NGX_BUSY: the store can't take it now;
     * NGX_ERROR.  Not called when data is NULL, as a client's leaving makes
     * it: the message is stored all the same.
     */
    void                   (*done)(ngx_chat_write_t *w, ngx_int_t rc);
    void                    *data;
};


/* A page to be read.  The store owns it from read() to done(). */

struct ngx_chat_read_s {
    ngx_queue_t              queue;
    ngx_chat_history_t       history;      /* row and data are the store's */
    ngx_str_t                page;         /* a JSON array, from malloc() */
    u_char                   epoch[NGX_CHAT_DB_EPOCH_LEN];

    void                   (*done)(ngx_chat_read_t *rd, ngx_int_t rc);
    void                    *data;         /* NULL: nobody waits */
};


/* Master: fills what workers share.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_store_init_shared(ngx_chat_store_sh_t *sh);

/*
 * In init_process; conf lives as long as the process.  Sends what a dead
 * worker may have left.  NULL: no memory.
 */
ngx_chat_store_t *ngx_chat_store_init(ngx_chat_store_conf_t *conf,
    ngx_cycle_t *cycle);

/* In exit_process, when no thread runs any more. */
void ngx_chat_store_exit(ngx_chat_store_t *st);

/*
 * A write with copies of the record's strings, freed by the store behind
 * done(); NULL: no memory.
 */
ngx_chat_write_t *ngx_chat_store_write_alloc(ngx_chat_record_t *rec,
    ngx_log_t *log);

/*
 * NGX_OK: done() will be called; NGX_BUSY: the queue is full, w is freed.
 * Only the first of a request's can be refused; the others must follow at
 * once.
 */
ngx_int_t ngx_chat_store_write(ngx_chat_store_t *st, ngx_chat_write_t *w);

/*
 * A read with a copy of the channel's name; *page is the receiver's to
 * free() after NGX_OK.
 */
ngx_chat_read_t *ngx_chat_store_read_alloc(ngx_chat_history_t *h,
    ngx_log_t *log);
ngx_int_t ngx_chat_store_read(ngx_chat_store_t *st, ngx_chat_read_t *rd);


#endif /* _NGX_CHAT_STORE_H_INCLUDED_ */
