
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the store measures of itself.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_store_stats.h>


static void ngx_chat_store_stats_file(ngx_atomic_t *size, const char *path);


const ngx_uint_t  ngx_chat_store_stats_bounds[] = {
    500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,
    1000000, 2500000, 10000000
};


uint64_t
ngx_chat_store_stats_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


void
ngx_chat_store_stats_commit(ngx_chat_store_stats_sh_t *m, uint64_t start)
{
    uint64_t    usec;
    ngx_uint_t  i;

    usec = ngx_chat_store_stats_now() - start;

    for (i = 0; i < NGX_CHAT_STORE_STATS_BUCKETS - 1; i++) {
        if (usec <= ngx_chat_store_stats_bounds[i]) {
            break;
        }
    }

    (void) ngx_atomic_fetch_add(&m->usec, usec);
    (void) ngx_atomic_fetch_add(&m->commits[i], 1);
}


void
ngx_chat_store_stats_fail(ngx_chat_store_stats_sh_t *m, ngx_int_t rc)
{
    (void) ngx_atomic_fetch_add((rc == NGX_BUSY) ? &m->busy : &m->failed, 1);
}


void
ngx_chat_store_stats_size(ngx_chat_store_stats_sh_t *m, const char *path)
{
    char  name[PATH_MAX + sizeof("-wal")];

    /* SQLite has the WAL beside what symbolic links lead to */

    if (realpath(path, name) == NULL) {
        name[0] = '\0';
    }

    ngx_chat_store_stats_file(&m->database, name);

    ngx_memcpy(name + ngx_strlen(name), "-wal", sizeof("-wal"));

    ngx_chat_store_stats_file(&m->wal, name);
}


static void
ngx_chat_store_stats_file(ngx_atomic_t *size, const char *path)
{
    struct stat        st;
    ngx_atomic_uint_t  n;

    n = (stat(path, &st) == 0) ? (ngx_atomic_uint_t) st.st_size : 0;

    /* by several workers at a time, each with the truth of its moment */
    __atomic_store_n(size, n, __ATOMIC_RELAXED);
}
