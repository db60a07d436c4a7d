
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the store measures.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_store_stats.h>


static void ngx_chat_store_stats_file(ngx_atomic_t *size, const char *path);


const ngx_uint_t  ngx_chat_store_stats_bounds[] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,
    1000000, 2500000, 10000000
};


void
ngx_chat_store_stats_commit(ngx_chat_store_stats_sh_t *stats, uint64_t usec)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_CHAT_STORE_STATS_BUCKETS - 1; i++) {
        if (usec <= ngx_chat_store_stats_bounds[i]) {
            break;
        }
    }

    (void) ngx_atomic_fetch_add(&stats->usec, usec);
    (void) ngx_atomic_fetch_add(&stats->commits[i], 1);
}


void
ngx_chat_store_stats_fail(ngx_chat_store_stats_sh_t *stats, ngx_int_t rc)
{
    ngx_atomic_t  *n;

    n = (rc == NGX_BUSY) ? &stats->busy : &stats->failed;

    (void) ngx_atomic_fetch_add(n, 1);
}


void
ngx_chat_store_stats_read(ngx_chat_store_stats_sh_t *stats)
{
    (void) ngx_atomic_fetch_add(&stats->reads, 1);
}


void
ngx_chat_store_stats_size(ngx_chat_store_stats_sh_t *stats, const char *path)
{
    char  name[PATH_MAX + sizeof("-wal")];

    /* SQLite has the WAL beside what symbolic links lead to */

    if (realpath(path, name) == NULL) {
        name[0] = '\0';
    }

    ngx_chat_store_stats_file(&stats->database, name);

    ngx_memcpy(name + ngx_strlen(name), "-wal", sizeof("-wal"));

    ngx_chat_store_stats_file(&stats->wal, name);
}


static void
ngx_chat_store_stats_file(ngx_atomic_t *size, const char *path)
{
    struct stat        st;
    ngx_atomic_uint_t  n;

    n = (stat(path, &st) == 0) ? (ngx_atomic_uint_t) st.st_size : 0;

    /* several workers may write here at a time */
    __atomic_store_n(size, n, __ATOMIC_RELAXED);
}
