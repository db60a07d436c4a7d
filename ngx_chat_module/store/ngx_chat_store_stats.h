
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the store measures, for all workers.  The numbers are in shared memory.
 * Any thread adds to them, by atomic additions.
 */


#ifndef _NGX_CHAT_STORE_STATS_H_INCLUDED_
#define _NGX_CHAT_STORE_STATS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Commits are counted by the time they took; the last bucket has no bound. */
#define NGX_CHAT_STORE_STATS_BUCKETS  14


typedef struct {
    ngx_atomic_t             commits[NGX_CHAT_STORE_STATS_BUCKETS];
    ngx_atomic_t             usec;         /* of all commits */
    ngx_atomic_t             busy;         /* batches that failed as a lock or
                                              a queue was busy */
    ngx_atomic_t             failed;       /* batches that failed otherwise */

    ngx_atomic_t             reads;        /* pages read */

    /* bytes of the files, looked at about each second */
    ngx_atomic_t             database;
    ngx_atomic_t             wal;
} ngx_chat_store_stats_sh_t;


/* The upper bounds of all buckets but the last, in microseconds. */
extern const ngx_uint_t
    ngx_chat_store_stats_bounds[NGX_CHAT_STORE_STATS_BUCKETS - 1];


/* A batch was committed, which took so long. */
void ngx_chat_store_stats_commit(ngx_chat_store_stats_sh_t *stats,
    uint64_t usec);

/* A batch failed with NGX_BUSY or NGX_ERROR. */
void ngx_chat_store_stats_fail(ngx_chat_store_stats_sh_t *stats, ngx_int_t rc);

/* A page was read. */
void ngx_chat_store_stats_read(ngx_chat_store_stats_sh_t *stats);

/* Looks how large the files are.  On a thread. */
void ngx_chat_store_stats_size(ngx_chat_store_stats_sh_t *stats,
    const char *path);


#endif /* _NGX_CHAT_STORE_STATS_H_INCLUDED_ */
