
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A round: all that there is to do, in one transaction.
 *
 * What the transaction changes in memory counts only once it is committed.
 * Where it fails, all that is known is forgotten, and the next round begins as
 * a successor would: from the position that the database has.  So a failure
 * needs no other care than a death.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald_work.h>
#include <shared/ngx_chat_incident.h>
#include <store/ngx_chat_migration.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>

#include <stdio.h>


#define NGX_CHAT_HERALD_PAUSE   500        /* ms after a failure */
#define NGX_CHAT_HERALD_RETURN  10000      /* ms until clients are back */


#define ngx_chat_herald_added(h)                                              \
    __atomic_load_n(&(h)->zone->sh->hooks.added, __ATOMIC_ACQUIRE)


static ngx_int_t ngx_chat_herald_round_all(ngx_chat_herald_t *h,
    ngx_uint_t last);
static ngx_int_t ngx_chat_herald_note(ngx_chat_herald_t *h);
static void ngx_chat_herald_look_zone(ngx_chat_herald_t *h);
static void ngx_chat_herald_committed(ngx_chat_herald_t *h);
static void ngx_chat_herald_answered(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook);


void
ngx_chat_herald_reset(ngx_chat_herald_t *h)
{
    ngx_uint_t               i;
    ngx_chat_herald_hook_t  *hook;

    h->fresh = 1;
    h->trim = 0;
    h->newcomers = 0;
    h->cluster.more = 0;
    h->cluster.lacks = 0;
    h->records.n = 0;
    h->census = NGX_CHAT_HERALD_CENSUS_NONE_e;

    ngx_chat_hook_held_clear(&h->held);
    ngx_chat_hook_db_forget(&h->db);

    /* an answer is kept: it stays true */

    for (i = 0; i < h->conf->n; i++) {
        hook = &h->hooks[i];

        if (hook->state == NGX_CHAT_HERALD_READY_e) {
            hook->state = NGX_CHAT_HERALD_IDLE_e;
        }

        hook->due = 0;
        hook->given_up = 0;
        hook->surplus = 0;
    }
}


ngx_uint_t
ngx_chat_herald_is_due(ngx_chat_herald_t *h)
{
    uint64_t                 now;
    ngx_uint_t               i;
    ngx_chat_herald_hook_t  *hook;
    ngx_chat_hook_held_t    *held;

    now = ngx_chat_clock_msec();

    if (now < h->pause) {
        return 0;
    }

    held = ngx_chat_hook_held_first(&h->held);

    if (h->fresh
        || h->trim
        || h->newcomers
        || h->added != ngx_chat_herald_added(h)
        || h->cluster.more
        || h->cluster.lacks
        || h->generation != h->zone->sh->generation
        || (held && held->due <= now)
        || h->census == NGX_CHAT_HERALD_CENSUS_TAKEN_e
        || (h->census == NGX_CHAT_HERALD_CENSUS_DUE_e && h->census_due <= now)
        || ngx_chat_herald_has_records(h))
    {
        return 1;
    }

    for (i = 0; i < h->conf->n; i++) {
        hook = &h->hooks[i];

        if (hook->state == NGX_CHAT_HERALD_ANSWERED_e
            || (hook->state == NGX_CHAT_HERALD_IDLE_e
                && hook->due <= (int64_t) now)
            || (hook->sh && hook->sh->revive))
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_chat_herald_round(ngx_chat_herald_t *h, ngx_uint_t last)
{
    ngx_int_t  rc;

    if (h->cluster.lacks && !last) {
        ngx_chat_herald_publish_all(h);
    }

    /* who is there is asked before, without a lock */

    if (!last && !h->fresh && h->newcomers == 0
        && h->census == NGX_CHAT_HERALD_CENSUS_DUE_e
        && h->census_due <= ngx_chat_clock_msec()
        && ngx_chat_herald_census_take(h) != NGX_OK)
    {
        goto failed;
    }

    rc = ngx_chat_hook_db_begin(&h->db, h->log);

    if (rc != NGX_OK) {
        goto failed;
    }

    rc = ngx_chat_herald_round_all(h, last);

    rc = h->link_conf ? ngx_chat_herald_publish(h, rc, last)
                      : ngx_chat_hook_db_end(&h->db, rc, h->log);

    if (rc == NGX_OK) {
        ngx_chat_herald_committed(h);
        return;
    }

failed:

    ngx_chat_herald_reset(h);
    h->pause = ngx_chat_clock_msec() + NGX_CHAT_HERALD_PAUSE;
}


static ngx_int_t
ngx_chat_herald_round_all(ngx_chat_herald_t *h, ngx_uint_t last)
{
    ngx_int_t                rc;
    ngx_uint_t               i, n;
    ngx_chat_herald_hook_t  *hook;

    rc = ngx_chat_herald_skip_ids(h);

    /* in a cluster another term has another one */

    if (rc == NGX_OK && h->link_conf) {
        rc = ngx_chat_migration_epoch(&h->db.handle.db);
    }

    if (rc == NGX_OK && (h->fresh || ngx_chat_herald_is_replaced(h))) {
        rc = ngx_chat_herald_learn(h);
    }

    ngx_chat_herald_look_zone(h);

    if (rc == NGX_OK) {
        rc = ngx_chat_herald_tell_stored(h);
    }

    for (i = 0; rc == NGX_OK && i < h->conf->n; i++) {
        hook = &h->hooks[i];

        if (hook->state == NGX_CHAT_HERALD_ANSWERED_e) {
            rc = ngx_chat_herald_settle(h, hook);
        }

        if (rc == NGX_OK && hook->sh && hook->sh->revive) {
            rc = ngx_chat_herald_revive(h, hook);
        }
    }

    /* who was listed as being there may have left by the next record */

    n = h->link_conf ? NGX_CHAT_HERALD_ITEMS : NGX_CHAT_HERALD_RECORDS;

    if (rc == NGX_OK && h->newcomers) {
        rc = ngx_chat_herald_newcomers_tell(h, n);

    } else if (rc == NGX_OK && h->census == NGX_CHAT_HERALD_CENSUS_TAKEN_e) {
        rc = ngx_chat_herald_census_compare(h, &n);

    } else if (rc == NGX_OK) {
        rc = ngx_chat_herald_read(h, &n);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_herald_note(h);
    }

    for (i = 0; rc == NGX_OK && !last && i < h->conf->n; i++) {
        rc = ngx_chat_herald_choose(h, &h->hooks[i]);
    }

    if (rc == NGX_OK && h->trim) {
        rc = ngx_chat_herald_trim(h);
    }

    return rc;
}


/* The position goes into the transaction of what was read before it. */

static ngx_int_t
ngx_chat_herald_note(ngx_chat_herald_t *h)
{
    char            text[100];
    uint64_t        position;
    ngx_str_t       value;
    sqlite3_stmt   *st;

    position = ngx_chat_herald_position(h);

    if (position == h->noted && h->position == h->noted_read) {
        return NGX_OK;
    }

    st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_SET_e);
    if (st == NULL) {
        return NGX_ERROR;
    }

    value.data = (u_char *) text;
    value.len = snprintf(text, sizeof(text), "%llx %llu %llu %llu",
                         (unsigned long long) h->zone->sh->hooks.id,
                         (unsigned long long) position,
                         (unsigned long long) h->position,
                         (unsigned long long) h->seq);

    (void) ngx_chat_db_bind_text(st, 1, &value);

    h->noted = position;
    h->noted_read = h->position;

    return ngx_chat_hook_db_run(&h->db, NGX_CHAT_HOOK_DB_SET_e, NULL);
}


ngx_int_t
ngx_chat_herald_revive(ngx_chat_herald_t *h, ngx_chat_herald_hook_t *hook)
{
    sqlite3_stmt  *st;

    st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_REVIVE_e);
    if (st == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(st, 1, hook->conf->key);

    hook->revived = 1;
    hook->due = 0;
    h->look = 0;

    return ngx_chat_hook_db_run(&h->db, NGX_CHAT_HOOK_DB_REVIVE_e, NULL);
}


/* Whether there was a wipe, or another worker's writer has added rows. */

static void
ngx_chat_herald_look_zone(ngx_chat_herald_t *h)
{
    ngx_uint_t          i;
    ngx_atomic_uint_t   added;

    added = ngx_chat_herald_added(h);

    if (h->generation != h->zone->sh->generation) {
        h->generation = h->zone->sh->generation;
        h->census = NGX_CHAT_HERALD_CENSUS_DUE_e;
        h->census_due = ngx_chat_clock_msec() + NGX_CHAT_HERALD_RETURN;
    }

    if (added == h->added) {
        return;
    }

    h->added = added;

    for (i = 0; i < h->conf->n; i++) {
        if (h->hooks[i].due == NGX_CHAT_HERALD_NEVER) {
            h->hooks[i].due = 0;
        }
    }
}


/* What was done is in the database. */

static void
ngx_chat_herald_committed(ngx_chat_herald_t *h)
{
    ngx_uint_t               i;
    ngx_chat_herald_hook_t  *hook;

    __atomic_store_n(&h->zone->sh->hooks.read, h->position, __ATOMIC_RELAXED);

    if (h->census_over) {
        h->census_over = 0;
        (void) ngx_chat_db_exec(&h->db.handle.db, "DROP TABLE IF EXISTS"
                                " temp.webhook_census");
    }

    ngx_chat_failpoint("hook noted");

    for (i = 0; i < h->conf->n; i++) {
        hook = &h->hooks[i];

        if (hook->state == NGX_CHAT_HERALD_ANSWERED_e) {
            ngx_chat_herald_answered(h, hook);
        }

        if (hook->surplus) {
            ngx_chat_herald_surplus(h, hook);
        }

        if (hook->revived) {
            hook->revived = 0;
            hook->sh->revive = 0;
        }
    }
}


/* Counts and logs an answer. */

static void
ngx_chat_herald_answered(ngx_chat_herald_t *h, ngx_chat_herald_hook_t *hook)
{
    uint64_t             *counters;
    ngx_uint_t            level;
    ngx_chat_webhook_t   *conf;

    conf = hook->conf;
    level = hook->failing ? NGX_LOG_INFO : NGX_LOG_WARN;
    counters = h->zone->sh->counters;

    ngx_chat_zone_lock(h->zone);

    counters[hook->result]++;
    counters[NGX_CHAT_WEBHOOK_EVENTS_e] += hook->delivered ? hook->n : 0;
    counters[NGX_CHAT_WEBHOOK_DEAD_e] += hook->given_up ? hook->n : 0;

    ngx_chat_zone_unlock(h->zone);

    if (hook->delivered && hook->failing) {
        ngx_log_error(NGX_LOG_NOTICE, h->log, 0,
                      "chat webhook \"%V\" of app \"%V\" answers again",
                      &conf->shown, &conf->app->id);
    }

    if (!hook->delivered) {
        ngx_log_error(level, h->log, 0,
                      "chat webhook \"%V\" of app \"%V\" failed: %s",
                      &conf->shown, &conf->app->id, hook->error);

        ngx_chat_incident_note(NGX_CHAT_INCIDENT_WEBHOOK_FAILED_e,
                               "app %V: %s", &conf->app->id, hook->error);
    }

    if (hook->given_up) {
        ngx_log_error(NGX_LOG_WARN, h->log, 0,
                      "chat webhook \"%V\" of app \"%V\": %ui events are given "
                      "up: %s", &conf->shown, &conf->app->id, hook->n,
                      hook->error);

        ngx_chat_incident_note(NGX_CHAT_INCIDENT_WEBHOOK_DEAD_e,
                               "app %V: %ui event%s", &conf->app->id, hook->n,
                               (hook->n == 1) ? "" : "s");
    }

    hook->failing = !hook->delivered;
    hook->given_up = 0;
    hook->state = NGX_CHAT_HERALD_IDLE_e;
}
