
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * How many rows there are, and the bounds of that.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald_work.h>
#include <wire/ngx_chat_clock.h>

#include <stdio.h>


#define NGX_CHAT_HERALD_QUEUED  100000     /* rows of a webhook that wait */
#define NGX_CHAT_HERALD_DEAD    10000      /* and that were given up */
#define NGX_CHAT_HERALD_KEEP    ((int64_t) 7 * 24 * 3600 * 1000)   /* ms that
                                              those are kept */
#define NGX_CHAT_HERALD_STRANGERS  16      /* webhooks that are not configured
                                              any more, in one round */


static ngx_int_t ngx_chat_herald_counted(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook, uint64_t queued, uint64_t dead);
static ngx_int_t ngx_chat_herald_strangers(ngx_chat_herald_t *h,
    int64_t *keys, ngx_uint_t n);


ngx_int_t
ngx_chat_herald_count(ngx_chat_herald_t *h)
{
    int64_t        key, strangers[NGX_CHAT_HERALD_STRANGERS];
    uint64_t      *counts;
    ngx_int_t      rc;
    ngx_uint_t     i, n;
    sqlite3_stmt  *st;

    counts = calloc(h->conf->n * 2, sizeof(uint64_t));
    if (counts == NULL) {
        return NGX_ERROR;
    }

    st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_COUNT_e);
    if (st == NULL) {
        free(counts);
        return NGX_ERROR;
    }

    n = 0;

    while ((rc = ngx_chat_hook_db_step(&h->db, NGX_CHAT_HOOK_DB_COUNT_e))
           == NGX_OK)
    {
        key = sqlite3_column_int64(st, 0);

        for (i = 0; i < h->conf->n && h->hooks[i].conf->key != key; i++) {
            /* void */
        }

        if (i < h->conf->n) {
            counts[i * 2 + sqlite3_column_int(st, 1)] =
                                                  sqlite3_column_int64(st, 2);

        } else if (sqlite3_column_int(st, 1) == 0
                   && n < NGX_CHAT_HERALD_STRANGERS)
        {
            strangers[n++] = key;
        }
    }

    rc = (rc == NGX_DONE) ? ngx_chat_herald_strangers(h, strangers, n) : rc;

    for (i = 0; rc == NGX_OK && i < h->conf->n; i++) {
        rc = ngx_chat_herald_counted(h, &h->hooks[i], counts[i * 2],
                                     counts[i * 2 + 1]);
    }

    free(counts);

    return rc;
}


/* The bounds of a webhook.  A batch stays together. */

static ngx_int_t
ngx_chat_herald_counted(ngx_chat_herald_t *h, ngx_chat_herald_hook_t *hook,
    uint64_t queued, uint64_t dead)
{
    int64_t    now, surplus;
    ngx_int_t  rc;

    now = ngx_chat_clock_wall();
    surplus = (int64_t) queued - NGX_CHAT_HERALD_QUEUED;
    rc = NGX_OK;

    if (surplus > 0) {
        ngx_log_error(NGX_LOG_WARN, h->log, 0,
                      "chat webhook \"%V\" of app \"%V\": too many events "
                      "wait, the oldest %L are given up",
                      &hook->conf->shown, &hook->conf->app->id, surplus);

        rc = ngx_chat_hook_db_change(&h->db, NGX_CHAT_HOOK_DB_SURPLUS_e, now,
                                     hook->conf->key, surplus);
        queued -= surplus;
        dead += surplus;

        ngx_chat_zone_lock(h->zone);
        h->zone->sh->counters[NGX_CHAT_WEBHOOK_DEAD_e] += surplus;
        ngx_chat_zone_unlock(h->zone);
    }

    surplus = (int64_t) dead - NGX_CHAT_HERALD_DEAD;

    if (rc == NGX_OK && surplus > 0) {
        rc = ngx_chat_hook_db_change(&h->db, NGX_CHAT_HOOK_DB_BURY_e,
                                     hook->conf->key, surplus, 0);
        dead -= surplus;
    }

    if (rc == NGX_OK && dead) {
        rc = ngx_chat_hook_db_change(&h->db, NGX_CHAT_HOOK_DB_EXPIRE_e,
                                     hook->conf->key,
                                     now - NGX_CHAT_HERALD_KEEP, 0);
    }

    if (hook->sh) {
        hook->sh->queued = queued;
        hook->sh->dead = dead;
    }

    return rc;
}


/* Rows that nobody sends.  A worker that leaves does not know who will. */

static ngx_int_t
ngx_chat_herald_strangers(ngx_chat_herald_t *h, int64_t *keys, ngx_uint_t n)
{
    char        sql[256];
    ngx_int_t   rc;
    ngx_uint_t  i;

    rc = NGX_OK;

    if (__atomic_load_n(&h->leave, __ATOMIC_RELAXED)) {
        return NGX_OK;
    }

    for (i = 0; rc == NGX_OK && i < n; i++) {
        (void) snprintf(sql, sizeof(sql),
                        "UPDATE webhook_events SET dead_at = %lld,"
                        " error = 'the webhook is not configured any more'"
                        " WHERE webhook = %lld AND dead_at = 0",
                        (long long) ngx_chat_clock_wall(),
                        (long long) keys[i]);

        rc = ngx_chat_db_exec(&h->db.handle.db, sql);
    }

    return rc;
}
