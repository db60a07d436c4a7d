
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the store measures of itself, for all workers.
 *
 * It is in shared memory and counted by atomic additions, from any thread: a
 * commit takes a thousand times longer than they do.
 */


#ifndef _NGX_CHAT_STORE_STATS_H_INCLUDED_
#define _NGX_CHAT_STORE_STATS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* the buckets of commit times; the last has all that is longer */
#define NGX_CHAT_STORE_STATS_BUCKETS  14


typedef struct {
    ngx_atomic_t             commits[NGX_CHAT_STORE_STATS_BUCKETS];
    ngx_atomic_t             usec;         /* of all commits */
    ngx_atomic_t             busy;         /* batches: a lock, the queue */
    ngx_atomic_t             failed;       /* batches: all else */

    /* bytes of the files, looked at about each second */
    ngx_atomic_t             database;
    ngx_atomic_t             wal;
} ngx_chat_store_stats_sh_t;


/* The upper bounds of all buckets but the last, in microseconds. */
extern const ngx_uint_t
    ngx_chat_store_stats_bounds[NGX_CHAT_STORE_STATS_BUCKETS - 1];


/* A batch has been committed, which took so long. */
void ngx_chat_store_stats_commit(ngx_chat_store_stats_sh_t *stats,
    uint64_t usec);

/* A batch has been refused with NGX_BUSY or NGX_ERROR. */
void ngx_chat_store_stats_fail(ngx_chat_store_stats_sh_t *stats, ngx_int_t rc);

/* Looks how large the files are; on a thread. */
void ngx_chat_store_stats_size(ngx_chat_store_stats_sh_t *stats,
    const char *path);


#endif /* _NGX_CHAT_STORE_STATS_H_INCLUDED_ */
