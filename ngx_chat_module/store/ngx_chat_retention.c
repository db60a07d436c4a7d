
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Which messages are to be removed.
 *
 * Size: the oldest go, until no more bytes are in use than may be.
 *
 * Age: messages are read in the order of ids, which is the order of storing,
 * until one is young enough.  A time that is still to come means that the
 * clock was ahead: such a message goes with what follows it.
 *
 * Number: the channels are visited in the order of their names.  The first
 * round visits all channels.  Each further round visits those that got one of
 * the next few messages.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_batch.h>
#include <store/ngx_chat_retention.h>
#include <wire/ngx_chat_clock.h>


#define NGX_CHAT_RETENTION_ROUND  128      /* ids in each further round */


static ngx_int_t ngx_chat_retention_size(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db);
static ngx_int_t ngx_chat_retention_age(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db, int64_t now,
    uint64_t until);
static ngx_int_t ngx_chat_retention_expired(ngx_chat_retention_t *rt,
    ngx_chat_db_t *db, int64_t cutoff, int64_t now, uint64_t until);
static ngx_int_t ngx_chat_retention_count(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db, uint64_t until);
static ngx_int_t ngx_chat_retention_round(ngx_chat_retention_t *rt,
    ngx_chat_db_t *db);
static ngx_int_t ngx_chat_retention_channel(ngx_chat_retention_t *rt,
    ngx_chat_db_t *db);
static ngx_int_t ngx_chat_retention_ids(ngx_chat_retention_t *rt,
    ngx_chat_db_t *db, ngx_chat_db_statement_e n, int64_t value);
static ngx_int_t ngx_chat_retention_number(ngx_chat_db_t *db,
    ngx_chat_db_statement_e n, int64_t *value);


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
    int64_t    used;
    ngx_int_t  rc;

    *removed = 0;
    used = INT64_MAX;

    rc = ngx_chat_batch_begin(db);
    if (rc != NGX_OK) {
        return rc;
    }

    do {
        (void) sqlite3_bind_int64(db->statements[NGX_CHAT_DB_DELETE_e], 1,
                                  rt->ids[(*removed)++]);

        rc = ngx_chat_db_run(db, NGX_CHAT_DB_DELETE_e);

        if (rc == NGX_OK && rt->used) {
            rc = ngx_chat_retention_number(db, NGX_CHAT_DB_USED_e, &used);
        }

        if (rc != NGX_OK) {
            *removed = 0;
            ngx_chat_batch_rollback(db);
            return rc;
        }

    } while (*removed < rt->n
             && used > rt->used
             && ngx_chat_clock_msec() < until);

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

    return ngx_chat_retention_ids(rt, db, NGX_CHAT_DB_OLDEST_e, INT64_MAX);
}


static ngx_int_t
ngx_chat_retention_age(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db, int64_t now,
    uint64_t until)
{
    ngx_int_t  rc;

    for ( ;; ) {

        if (rt->expired) {
            rc = ngx_chat_retention_ids(rt, db, NGX_CHAT_DB_OLDEST_e,
                                        rt->expired);
            if (rc != NGX_DONE) {
                return rc;
            }

            rt->expired = 0;
        }

        rc = ngx_chat_retention_expired(rt, db, now - limits->age, now, until);

        if (rt->expired == 0 || rc == NGX_BUSY || rc == NGX_ERROR) {
            return rc;
        }
    }
}


/*
 * Reads on, and sets expired to the last id that is too old.  NGX_AGAIN: the
 * time is over; NGX_DONE: what follows is young enough.
 */

static ngx_int_t
ngx_chat_retention_expired(ngx_chat_retention_t *rt, ngx_chat_db_t *db,
    int64_t cutoff, int64_t now, uint64_t until)
{
    int            rc;
    int64_t        created;
    ngx_int_t      result;
    sqlite3_stmt  *st;

    (void) ngx_chat_db_bind(db, NGX_CHAT_DB_TIMES_e, 0, &rt->channel, rt->read,
                            INT64_MAX);

    st = db->statements[NGX_CHAT_DB_TIMES_e];

    result = NGX_AGAIN;

    do {
        rc = sqlite3_step(st);

        if (rc != SQLITE_ROW) {
            result = NGX_DONE;
            break;
        }

        created = sqlite3_column_int64(st, 1);

        if (created >= cutoff && created <= now) {
            result = NGX_DONE;
            break;
        }

        rt->read = sqlite3_column_int64(st, 0);

        if (created < cutoff) {
            rt->expired = rt->read;
        }

    } while (ngx_chat_clock_msec() < until);

    /* those with a time still to come may be too old the next time */

    if (result == NGX_DONE && rt->expired == 0) {
        rt->read = 0;
    }

    rc = (int) ngx_chat_db_end(db, NGX_CHAT_DB_TIMES_e, rc);

    return (rc == NGX_OK) ? result : rc;
}


static ngx_int_t
ngx_chat_retention_count(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db, uint64_t until)
{
    ngx_int_t  rc;

    for ( ;; ) {

        /* a channel is left when it has no more than it may have */

        rc = ngx_chat_retention_ids(rt, db, NGX_CHAT_DB_SURPLUS_e,
                                    limits->count);
        if (rc != NGX_DONE) {
            return rc;
        }

        rc = ngx_chat_retention_channel(rt, db);

        if (rc == NGX_DONE) {
            rc = ngx_chat_retention_round(rt, db);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        if (ngx_chat_clock_msec() >= until) {
            return NGX_AGAIN;
        }
    }
}


/* Begins a round.  NGX_DONE: there are no new messages. */

static ngx_int_t
ngx_chat_retention_round(ngx_chat_retention_t *rt, ngx_chat_db_t *db)
{
    int64_t    last;
    ngx_int_t  rc;

    rc = ngx_chat_retention_number(db, NGX_CHAT_DB_MAX_e, &last);
    if (rc != NGX_OK) {
        return rc;
    }

    rt->above = rt->upto;
    rt->upto = rt->upto ? ngx_min(rt->upto + NGX_CHAT_RETENTION_ROUND, last)
                        : last;

    rt->app = INT64_MIN;
    rt->channel.len = 0;

    return (rt->upto > rt->above) ? NGX_OK : NGX_DONE;
}


/* Goes on to the next channel.  NGX_DONE: the round is over. */

static ngx_int_t
ngx_chat_retention_channel(ngx_chat_retention_t *rt, ngx_chat_db_t *db)
{
    int                       rc;
    size_t                    len;
    ngx_int_t                 result;
    sqlite3_stmt             *st;
    const u_char             *p;
    ngx_chat_db_statement_e   n;

    if (rt->upto == 0) {
        return NGX_DONE;
    }

    n = rt->above ? NGX_CHAT_DB_RECENT_e : NGX_CHAT_DB_CHANNEL_e;
    st = db->statements[n];

    (void) ngx_chat_db_bind(db, n, rt->app, &rt->channel, rt->above, rt->upto);

    result = NGX_DONE;

    rc = sqlite3_step(st);

    if (rc == SQLITE_ROW) {
        result = NGX_OK;

        rt->app = sqlite3_column_int64(st, 0);

        p = sqlite3_column_text(st, 1);
        len = p ? sqlite3_column_bytes(st, 1) : 0;

        /* the module stores no name that is longer */

        rt->channel.len = ngx_min(len, NGX_CHAT_RETENTION_CHANNEL);
        rt->channel.data = rt->name;

        if (len) {
            ngx_memcpy(rt->name, p, rt->channel.len);
        }
    }

    rc = (int) ngx_chat_db_end(db, n, rc);

    return (rc == NGX_OK) ? result : rc;
}


/* Takes the ids that a statement finds.  NGX_DONE: it finds none. */

static ngx_int_t
ngx_chat_retention_ids(ngx_chat_retention_t *rt, ngx_chat_db_t *db,
    ngx_chat_db_statement_e n, int64_t value)
{
    int            rc;
    ngx_int_t      result;
    sqlite3_stmt  *st;

    st = db->statements[n];

    (void) ngx_chat_db_bind(db, n, rt->app, &rt->channel, value,
                            NGX_CHAT_RETENTION_STEP);

    for (rt->n = 0; /* void */ ; rt->n++) {

        rc = sqlite3_step(st);
        if (rc != SQLITE_ROW) {
            break;
        }

        rt->ids[rt->n] = sqlite3_column_int64(st, 0);
    }

    result = ngx_chat_db_end(db, n, rc);

    return (result == NGX_OK && rt->n == 0) ? NGX_DONE : result;
}


static ngx_int_t
ngx_chat_retention_number(ngx_chat_db_t *db, ngx_chat_db_statement_e n,
    int64_t *value)
{
    int  rc;

    rc = sqlite3_step(db->statements[n]);

    /* an aggregate has always a row */

    *value = (rc == SQLITE_ROW) ? sqlite3_column_int64(db->statements[n], 0)
                                : 0;

    return ngx_chat_db_end(db, n, rc);
}
