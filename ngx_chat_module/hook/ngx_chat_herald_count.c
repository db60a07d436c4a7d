
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * How many rows there are, and the bounds of that.
 *
 * With a full outbox a count takes some milliseconds.  So rows are counted
 * without a lock, at most once a second, and only where somebody has changed
 * something: the herald itself, another worker's writer, whoever has the
 * sqlite3 shell.  An idle herald writes nothing and locks nothing.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald_work.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>

#include <stdio.h>


#define NGX_CHAT_HERALD_LOOK    1000       /* ms between looks */
#define NGX_CHAT_HERALD_QUEUED  100000     /* rows of a webhook that wait */
#define NGX_CHAT_HERALD_DEAD    10000      /* and that were given up */
#define NGX_CHAT_HERALD_KEEP    ((int64_t) 7 * 24 * 3600 * 1000)   /* ms that
                                              those are kept */
#define NGX_CHAT_HERALD_POOL    4096


/* The rows of a webhook. */

typedef struct {
    int64_t                  key;
    ngx_chat_herald_hook_t  *hook;         /* NULL: it is not configured */
    int64_t                  queued;
    int64_t                  dead;
    int64_t                  oldest;       /* of the dead, ms since 1970 */
} ngx_chat_herald_count_t;


static ngx_int_t ngx_chat_herald_count(ngx_chat_herald_t *h,
    ngx_array_t *counts, ngx_pool_t *pool);
static ngx_chat_herald_count_t *ngx_chat_herald_count_of(ngx_array_t *counts,
    int64_t key);
static void ngx_chat_herald_counted(ngx_chat_herald_t *h,
    ngx_chat_herald_count_t *c);
static ngx_int_t ngx_chat_herald_remove(ngx_chat_herald_t *h,
    ngx_chat_herald_count_t *c);
static ngx_int_t ngx_chat_herald_stranger(ngx_chat_herald_t *h, int64_t key);


void
ngx_chat_herald_look(ngx_chat_herald_t *h)
{
    uint64_t                  now;
    ngx_int_t                 rc;
    ngx_uint_t                i, follows;
    ngx_pool_t               *pool;
    ngx_array_t               counts;
    ngx_chat_herald_count_t  *c;

    now = ngx_chat_clock_msec();

    /* in a cluster a node that does not lead knows nothing but this */

    follows = (h->link_conf && !h->cluster.leads);

    if ((h->fresh && !follows) || now < h->look || now < h->pause) {
        return;
    }

    h->look = now + NGX_CHAT_HERALD_LOOK;
    h->yields = ngx_chat_herald_has_elder(h);

    ngx_chat_failpoint("hook look");

    rc = ngx_chat_hook_db_look(&h->db, h->log);

    if (!follows && (rc == NGX_OK || rc == NGX_DECLINED)
        && ngx_chat_herald_is_replaced(h))
    {
        h->fresh = 1;
        return;
    }

    if (rc == NGX_DECLINED && ngx_chat_clock_wall() < h->expires) {
        return;
    }

    pool = NULL;

    if (rc == NGX_OK || rc == NGX_DECLINED) {
        pool = ngx_create_pool(NGX_CHAT_HERALD_POOL, h->log);
        rc = pool ? ngx_chat_herald_count(h, &counts, pool) : NGX_ERROR;
        ngx_chat_hook_db_done(&h->db);
    }

    if (rc == NGX_OK) {
        h->expires = NGX_CHAT_HERALD_NEVER;
        c = counts.elts;

        for (i = 0; i < counts.nelts; i++) {
            ngx_chat_herald_counted(h, &c[i]);
        }

    } else {
        /* a round tells why, and the next look counts again */
        h->trim = 1;
        ngx_chat_hook_db_forget(&h->db);
    }

    if (pool) {
        ngx_destroy_pool(pool);
    }
}


/* Of the webhooks that are configured, and of others that have rows. */

static ngx_int_t
ngx_chat_herald_count(ngx_chat_herald_t *h, ngx_array_t *counts,
    ngx_pool_t *pool)
{
    ngx_int_t                 rc;
    ngx_uint_t                i;
    sqlite3_stmt             *st;
    ngx_chat_herald_count_t  *c;

    st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_COUNT_e);

    if (st == NULL
        || ngx_array_init(counts, pool, h->conf->n + 1,
                          sizeof(ngx_chat_herald_count_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < h->conf->n; i++) {
        c = ngx_chat_herald_count_of(counts, h->hooks[i].conf->key);
        if (c == NULL) {
            return NGX_ERROR;
        }

        c->hook = &h->hooks[i];
    }

    while ((rc = ngx_chat_hook_db_step(&h->db, NGX_CHAT_HOOK_DB_COUNT_e))
           == NGX_OK)
    {
        c = ngx_chat_herald_count_of(counts, sqlite3_column_int64(st, 0));
        if (c == NULL) {
            return NGX_ERROR;
        }

        if (sqlite3_column_int(st, 1)) {
            c->dead = sqlite3_column_int64(st, 2);
            c->oldest = sqlite3_column_int64(st, 3);

        } else {
            c->queued = sqlite3_column_int64(st, 2);
        }
    }

    return (rc == NGX_DONE) ? NGX_OK : rc;
}


/* NULL: no memory. */

static ngx_chat_herald_count_t *
ngx_chat_herald_count_of(ngx_array_t *counts, int64_t key)
{
    ngx_uint_t                i;
    ngx_chat_herald_count_t  *c;

    c = counts->elts;

    for (i = 0; i < counts->nelts; i++) {
        if (c[i].key == key) {
            return &c[i];
        }
    }

    c = ngx_array_push(counts);

    if (c) {
        ngx_memzero(c, sizeof(ngx_chat_herald_count_t));
        c->key = key;
    }

    return c;
}


static void
ngx_chat_herald_counted(ngx_chat_herald_t *h, ngx_chat_herald_count_t *c)
{
    ngx_chat_herald_hook_t  *hook;

    hook = c->hook;

    if (c->dead) {
        h->expires = ngx_min(h->expires, c->oldest + NGX_CHAT_HERALD_KEEP);
    }

    if (c->dead > NGX_CHAT_HERALD_DEAD
        || h->expires <= ngx_chat_clock_wall()
        || c->queued > NGX_CHAT_HERALD_QUEUED
        || (hook == NULL && c->queued && ngx_chat_herald_is_last(h)))
    {
        h->trim = 1;
    }

    if (hook == NULL) {
        return;
    }

    /* somebody else has put rows there */

    if (c->queued && hook->due == NGX_CHAT_HERALD_NEVER) {
        hook->due = 0;
    }

    if (hook->sh) {
        hook->sh->queued = c->queued;
        hook->sh->dead = c->dead;
    }
}


ngx_int_t
ngx_chat_herald_trim(ngx_chat_herald_t *h)
{
    ngx_int_t                 rc;
    ngx_uint_t                i;
    ngx_pool_t               *pool;
    ngx_array_t               counts;
    ngx_chat_herald_count_t  *c;

    pool = ngx_create_pool(NGX_CHAT_HERALD_POOL, h->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_chat_herald_count(h, &counts, pool);
    c = counts.elts;

    for (i = 0; rc == NGX_OK && i < counts.nelts; i++) {
        rc = ngx_chat_herald_remove(h, &c[i]);
    }

    ngx_destroy_pool(pool);

    h->trim = 0;

    return rc;
}


/* What is given up now is counted by the next look, and removed then if it is
   too much.  A batch that is being tried stays. */

static ngx_int_t
ngx_chat_herald_remove(ngx_chat_herald_t *h, ngx_chat_herald_count_t *c)
{
    int64_t                  now, surplus;
    ngx_int_t                rc;
    ngx_chat_herald_hook_t  *hook;

    hook = c->hook;
    now = ngx_chat_clock_wall();
    rc = NGX_OK;

    if (hook == NULL && c->queued) {
        rc = ngx_chat_herald_stranger(h, c->key);
    }

    surplus = c->queued - NGX_CHAT_HERALD_QUEUED;

    if (hook && surplus > 0) {
        hook->surplus = surplus;

        rc = ngx_chat_hook_db_change(&h->db, NGX_CHAT_HOOK_DB_SURPLUS_e, now,
                                     c->key, surplus);
    }

    surplus = c->dead - NGX_CHAT_HERALD_DEAD;

    if (rc == NGX_OK && surplus > 0) {
        rc = ngx_chat_hook_db_change(&h->db, NGX_CHAT_HOOK_DB_BURY_e, c->key,
                                     surplus, 0);
    }

    if (rc == NGX_OK && c->dead && c->oldest + NGX_CHAT_HERALD_KEEP <= now) {
        rc = ngx_chat_hook_db_change(&h->db, NGX_CHAT_HOOK_DB_EXPIRE_e, c->key,
                                     now - NGX_CHAT_HERALD_KEEP, 0);
    }

    return rc;
}


/* Rows that nobody sends. */

static ngx_int_t
ngx_chat_herald_stranger(ngx_chat_herald_t *h, int64_t key)
{
    char  sql[256];

    if (!ngx_chat_herald_is_last(h)) {
        return NGX_OK;
    }

    (void) snprintf(sql, sizeof(sql),
                    "UPDATE webhook_events SET dead_at = %lld,"
                    " error = 'the webhook is not configured any more'"
                    " WHERE webhook = %lld AND dead_at = 0",
                    (long long) ngx_chat_clock_wall(), (long long) key);

    return ngx_chat_db_exec(&h->db.handle.db, sql);
}


void
ngx_chat_herald_surplus(ngx_chat_herald_t *h, ngx_chat_herald_hook_t *hook)
{
    ngx_chat_zone_lock(h->zone);

    h->zone->sh->counters[NGX_CHAT_WEBHOOK_DEAD_e] += hook->surplus;

    ngx_chat_zone_unlock(h->zone);

    ngx_log_error(NGX_LOG_WARN, h->log, 0,
                  "chat webhook \"%V\" of app \"%V\": too many events wait, "
                  "the oldest %L are given up", &hook->conf->shown,
                  &hook->conf->app->id, hook->surplus);

    hook->surplus = 0;
}
