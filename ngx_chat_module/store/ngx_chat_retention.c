
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What is to be removed.
 *
 * Age goes by the order of ids, which is the order of storing: the oldest
 * are looked at until one is young enough.  A message with a time that is
 * still to come was stored while the clock was ahead; it tells nothing, and
 * goes with what follows it.
 *
 * A channel is looked at once when the looking begins, and then each time it
 * has got messages: one seek in its index, past as many entries as it may
 * keep.  The table of channels seen saves that for every further message of
 * a busy channel.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_batch.h>
#include <store/ngx_chat_retention.h>
#include <wire/ngx_chat_clock.h>


#define NGX_CHAT_RETENTION_ROWS  1000      /* between looks at the clock */


static ngx_int_t ngx_chat_retention_size(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db);
static ngx_int_t ngx_chat_retention_age(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db, int64_t now,
    uint64_t until);
static ngx_int_t ngx_chat_retention_expired(ngx_chat_retention_t *rt,
    ngx_chat_db_t *db, int64_t cutoff, int64_t now);
static ngx_int_t ngx_chat_retention_oldest(ngx_chat_retention_t *rt,
    ngx_chat_db_t *db, int64_t last);

static ngx_int_t ngx_chat_retention_count(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db, uint64_t until);
static ngx_int_t ngx_chat_retention_next(ngx_chat_retention_t *rt,
    ngx_chat_db_t *db);
static ngx_int_t ngx_chat_retention_recent(ngx_chat_retention_t *rt,
    ngx_chat_db_t *db);
static ngx_int_t ngx_chat_retention_channel(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db);
static ngx_int_t ngx_chat_retention_upto(ngx_chat_retention_t *rt,
    ngx_chat_db_t *db);
static ngx_int_t ngx_chat_retention_take(ngx_chat_retention_t *rt,
    sqlite3_stmt *st, int n);
static void ngx_chat_retention_name(ngx_chat_retention_t *rt,
    sqlite3_stmt *st, int n);
static ngx_chat_retention_seen_t *ngx_chat_retention_seen(
    ngx_chat_retention_t *rt, uint64_t *hash);

static ngx_int_t ngx_chat_retention_number(ngx_chat_db_t *db,
    ngx_chat_db_statement_e n, int64_t *value);
static ngx_int_t ngx_chat_retention_end(ngx_chat_db_t *db, sqlite3_stmt *st,
    int rc);


ngx_int_t
ngx_chat_retention_look(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db, int64_t now,
    uint64_t until)
{
    ngx_int_t  rc;

    rt->n = 0;
    rt->used = 0;

    rc = NGX_DONE;

    if (limits->size) {
        rc = ngx_chat_retention_size(rt, limits, db);
    }

    if (rc == NGX_DONE && limits->age) {
        rc = ngx_chat_retention_age(rt, limits, db, now, until);
    }

    if (rc == NGX_DONE && limits->count) {
        rc = ngx_chat_retention_count(rt, limits, db, until);
    }

    return rc;
}


ngx_int_t
ngx_chat_retention_remove(ngx_chat_retention_t *rt, ngx_chat_db_t *db,
    uint64_t until, ngx_uint_t *removed)
{
    int64_t        used;
    ngx_int_t      rc;
    ngx_uint_t     i;
    sqlite3_stmt  *st;

    *removed = 0;
    used = 0;

    rc = ngx_chat_batch_begin(db);
    if (rc != NGX_OK) {
        return rc;
    }

    st = db->statements[NGX_CHAT_DB_DELETE_e];

    for (i = 0; i < rt->n; i++) {

        if (sqlite3_bind_int64(st, 1, rt->ids[i]) != SQLITE_OK) {
            rc = ngx_chat_db_failed(db, "sqlite3_bind()");
            break;
        }

        rc = ngx_chat_db_run(db, NGX_CHAT_DB_DELETE_e);
        if (rc != NGX_OK) {
            break;
        }

        if (rt->used) {
            rc = ngx_chat_retention_number(db, NGX_CHAT_DB_USED_e, &used);

            if (rc != NGX_OK || used <= rt->used) {
                i++;
                break;
            }
        }

        if (ngx_chat_clock_msec() >= until) {
            i++;
            break;
        }
    }

    if (rc != NGX_OK) {
        ngx_chat_batch_rollback(db);
        return rc;
    }

    *removed = i;

    return ngx_chat_batch_commit(db);
}


static ngx_int_t
ngx_chat_retention_size(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db)
{
    int64_t    used;
    ngx_int_t  rc;

    rc = ngx_chat_retention_number(db, NGX_CHAT_DB_USED_e, &used);
    if (rc != NGX_OK) {
        return rc;
    }

    if (used <= limits->size) {
        return NGX_DONE;
    }

    rt->used = limits->size;

    return ngx_chat_retention_oldest(rt, db, INT64_MAX);
}


static ngx_int_t
ngx_chat_retention_age(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db, int64_t now,
    uint64_t until)
{
    ngx_int_t  rc;

    for ( ;; ) {

        if (rt->expired) {
            rc = ngx_chat_retention_oldest(rt, db, rt->expired);

            if (rc != NGX_DONE) {
                return rc;
            }

            rt->expired = 0;
        }

        rc = ngx_chat_retention_expired(rt, db, now - limits->age, now);

        if (rc == NGX_DONE && rt->expired == 0) {
            rt->read = 0;
        }

        if (rt->expired == 0) {

            if (rc != NGX_AGAIN) {
                return rc;
            }

            if (ngx_chat_clock_msec() >= until) {
                return NGX_AGAIN;
            }
        }
    }
}


/*
 * Reads on, and sets expired to the highest id behind which nothing is
 * known to be young enough.  NGX_AGAIN: there is more to read, NGX_DONE.
 */

static ngx_int_t
ngx_chat_retention_expired(ngx_chat_retention_t *rt, ngx_chat_db_t *db,
    int64_t cutoff, int64_t now)
{
    int            rc;
    int64_t        created;
    ngx_int_t      result;
    ngx_uint_t     n;
    sqlite3_stmt  *st;

    st = db->statements[NGX_CHAT_DB_OLDEST_e];

    (void) sqlite3_bind_int64(st, 1, rt->read);
    (void) sqlite3_bind_int64(st, 2, NGX_CHAT_RETENTION_ROWS);

    result = NGX_DONE;

    for (n = 1; /* void */ ; n++) {

        rc = sqlite3_step(st);
        if (rc != SQLITE_ROW) {
            break;
        }

        created = sqlite3_column_int64(st, 1);

        if (created >= cutoff && created <= now) {
            break;
        }

        rt->read = sqlite3_column_int64(st, 0);

        if (created < cutoff) {
            rt->expired = rt->read;
        }

        if (n == NGX_CHAT_RETENTION_ROWS) {
            result = NGX_AGAIN;
            break;
        }
    }

    rc = (int) ngx_chat_retention_end(db, st, rc);

    return (rc == NGX_OK) ? result : rc;
}


/* The ids of the oldest, up to last.  NGX_DONE: there is none. */

static ngx_int_t
ngx_chat_retention_oldest(ngx_chat_retention_t *rt, ngx_chat_db_t *db,
    int64_t last)
{
    ngx_int_t      rc;
    sqlite3_stmt  *st;

    st = db->statements[NGX_CHAT_DB_OLDEST_e];

    (void) sqlite3_bind_int64(st, 1, INT64_MIN);
    (void) sqlite3_bind_int64(st, 2, NGX_CHAT_RETENTION_STEP);

    rc = ngx_chat_retention_end(db, st, ngx_chat_retention_take(rt, st, 0));

    while (rt->n && rt->ids[rt->n - 1] > last) {
        rt->n--;
    }

    return (rc == NGX_OK && rt->n == 0) ? NGX_DONE : rc;
}


static ngx_int_t
ngx_chat_retention_count(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db, uint64_t until)
{
    ngx_int_t  rc;

    if (!rt->started) {
        rc = ngx_chat_retention_number(db, NGX_CHAT_DB_MAX_e, &rt->counted);
        if (rc != NGX_OK) {
            return rc;
        }

        sqlite3_randomness(sizeof(ngx_chat_hash_key_t), &rt->key);

        rt->app = INT64_MIN;
        rt->started = 1;
    }

    for ( ;; ) {

        if (rt->surplus) {
            rc = ngx_chat_retention_upto(rt, db);

            if (rc != NGX_DONE) {
                return rc;
            }

            rt->surplus = 0;
        }

        rc = rt->passed ? ngx_chat_retention_recent(rt, db)
                        : ngx_chat_retention_next(rt, db);

        if (rc == NGX_OK) {
            rc = ngx_chat_retention_channel(rt, limits, db);

        } else if (rc == NGX_DONE && !rt->passed) {
            rt->passed = 1;
            rc = NGX_OK;
        }

        if (rc != NGX_OK && rc != NGX_AGAIN) {
            return rc;
        }

        if (rt->surplus == 0 && ngx_chat_clock_msec() >= until) {
            return NGX_AGAIN;
        }
    }
}


/* The channel behind the last one.  NGX_OK, NGX_DONE: that was all. */

static ngx_int_t
ngx_chat_retention_next(ngx_chat_retention_t *rt, ngx_chat_db_t *db)
{
    int            rc;
    ngx_int_t      result;
    sqlite3_stmt  *st;

    st = db->statements[NGX_CHAT_DB_CHANNEL_e];

    (void) sqlite3_bind_int64(st, 1, rt->app);
    (void) sqlite3_bind_text(st, 2, (char *) rt->channel, (int) rt->len,
                             SQLITE_TRANSIENT);

    result = NGX_DONE;

    rc = sqlite3_step(st);

    if (rc == SQLITE_ROW) {
        ngx_chat_retention_name(rt, st, 0);
        result = NGX_OK;
    }

    rc = (int) ngx_chat_retention_end(db, st, rc);

    return (rc == NGX_OK) ? result : rc;
}


/*
 * The channel of the next message that was stored since, and that was not
 * seen later than that.  NGX_AGAIN: more is to be read; NGX_DONE.
 */

static ngx_int_t
ngx_chat_retention_recent(ngx_chat_retention_t *rt, ngx_chat_db_t *db)
{
    int                         rc;
    int64_t                     id;
    uint64_t                    hash;
    ngx_int_t                   result;
    ngx_uint_t                  n;
    sqlite3_stmt               *st;
    ngx_chat_retention_seen_t  *seen;

    st = db->statements[NGX_CHAT_DB_RECENT_e];

    (void) sqlite3_bind_int64(st, 1, rt->counted);
    (void) sqlite3_bind_int64(st, 2, NGX_CHAT_RETENTION_ROWS);

    result = NGX_DONE;

    for (n = 1; /* void */ ; n++) {

        rc = sqlite3_step(st);
        if (rc != SQLITE_ROW) {
            break;
        }

        id = sqlite3_column_int64(st, 0);

        ngx_chat_retention_name(rt, st, 1);

        seen = ngx_chat_retention_seen(rt, &hash);

        if (seen->hash != hash || seen->id < id) {
            result = NGX_OK;
            break;
        }

        rt->counted = id;

        if (n == NGX_CHAT_RETENTION_ROWS) {
            result = NGX_AGAIN;
            break;
        }
    }

    rc = (int) ngx_chat_retention_end(db, st, rc);

    return (rc == NGX_OK) ? result : rc;
}


/* Sets surplus where the channel has too many, or notes that it has not. */

static ngx_int_t
ngx_chat_retention_channel(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db)
{
    int                         rc;
    int64_t                     last;
    uint64_t                    hash;
    ngx_int_t                   result;
    sqlite3_stmt               *st;
    ngx_chat_retention_seen_t  *seen;

    /* what comes from here on is not seen */

    result = ngx_chat_retention_number(db, NGX_CHAT_DB_MAX_e, &last);
    if (result != NGX_OK) {
        return result;
    }

    st = db->statements[NGX_CHAT_DB_SURPLUS_e];

    (void) sqlite3_bind_int64(st, 1, rt->app);
    (void) sqlite3_bind_text(st, 2, (char *) rt->channel, (int) rt->len,
                             SQLITE_TRANSIENT);
    (void) sqlite3_bind_int64(st, 3, limits->count);

    rc = sqlite3_step(st);

    rt->surplus = (rc == SQLITE_ROW) ? sqlite3_column_int64(st, 0) : 0;

    result = ngx_chat_retention_end(db, st, rc);

    /* with what is too many it is looked at again, when that has gone */

    if (result == NGX_OK && rt->surplus == 0) {
        seen = ngx_chat_retention_seen(rt, &hash);

        seen->hash = hash;
        seen->id = last;
    }

    return result;
}


/* The ids of the channel's surplus.  NGX_DONE: it has gone. */

static ngx_int_t
ngx_chat_retention_upto(ngx_chat_retention_t *rt, ngx_chat_db_t *db)
{
    ngx_int_t      rc;
    sqlite3_stmt  *st;

    st = db->statements[NGX_CHAT_DB_UPTO_e];

    (void) sqlite3_bind_int64(st, 1, rt->app);
    (void) sqlite3_bind_text(st, 2, (char *) rt->channel, (int) rt->len,
                             SQLITE_TRANSIENT);
    (void) sqlite3_bind_int64(st, 3, rt->surplus);
    (void) sqlite3_bind_int64(st, 4, NGX_CHAT_RETENTION_STEP);

    rc = ngx_chat_retention_end(db, st, ngx_chat_retention_take(rt, st, 0));

    return (rc == NGX_OK && rt->n == 0) ? NGX_DONE : rc;
}


/* A column of all rows into ids. */

static ngx_int_t
ngx_chat_retention_take(ngx_chat_retention_t *rt, sqlite3_stmt *st, int n)
{
    int  rc;

    for (rt->n = 0; rt->n < NGX_CHAT_RETENTION_STEP; rt->n++) {

        rc = sqlite3_step(st);
        if (rc != SQLITE_ROW) {
            return rc;
        }

        rt->ids[rt->n] = sqlite3_column_int64(st, n);
    }

    return SQLITE_ROW;
}


/* Takes a channel from two columns.  The module stores none that is longer. */

static void
ngx_chat_retention_name(ngx_chat_retention_t *rt, sqlite3_stmt *st, int n)
{
    size_t         len;
    const u_char  *p;

    rt->app = sqlite3_column_int64(st, n);

    p = sqlite3_column_text(st, n + 1);
    len = p ? sqlite3_column_bytes(st, n + 1) : 0;

    rt->len = ngx_min(len, NGX_CHAT_RETENTION_CHANNEL);

    if (rt->len) {
        ngx_memcpy(rt->channel, p, rt->len);
    }
}


static ngx_chat_retention_seen_t *
ngx_chat_retention_seen(ngx_chat_retention_t *rt, uint64_t *hash)
{
    ngx_chat_hash_key_t  key;

    key.k[0] = rt->key.k[0] ^ (uint64_t) rt->app;
    key.k[1] = rt->key.k[1];

    *hash = ngx_chat_hash(&key, rt->channel, rt->len);

    return &rt->seen[*hash % NGX_CHAT_RETENTION_SEEN];
}


static ngx_int_t
ngx_chat_retention_number(ngx_chat_db_t *db, ngx_chat_db_statement_e n,
    int64_t *value)
{
    int            rc;
    sqlite3_stmt  *st;

    st = db->statements[n];

    rc = sqlite3_step(st);

    /* an aggregate has always a row */

    *value = (rc == SQLITE_ROW) ? sqlite3_column_int64(st, 0) : 0;

    return ngx_chat_retention_end(db, st, rc);
}


/* Ends a statement whose last step gave rc. */

static ngx_int_t
ngx_chat_retention_end(ngx_chat_db_t *db, sqlite3_stmt *st, int rc)
{
    ngx_int_t  result;

    result = NGX_OK;

    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        result = ngx_chat_db_failed(db, "sqlite3_step()");
    }

    (void) sqlite3_reset(st);
    (void) sqlite3_clear_bindings(st);

    return result;
}
