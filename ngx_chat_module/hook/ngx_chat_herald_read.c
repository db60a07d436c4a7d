
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The ring's records.
 *
 * Beginnings and ends of states are compared to what the receivers believe, so
 * it does no harm to read a record again.  Ends are held back for some seconds.
 * Whether one was back in time is told by the records' own times: the herald
 * may be late.
 *
 * All other events are told once: the position up to which they were is in the
 * database, in the same transaction.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald_work.h>
#include <shared/ngx_chat_hook.h>
#include <shared/ngx_chat_incident.h>
#include <shared/ngx_chat_index.h>
#include <wire/ngx_chat_clock.h>


static ngx_int_t ngx_chat_herald_read_one(ngx_chat_herald_t *h, ngx_uint_t *n,
    size_t *size);
static ngx_int_t ngx_chat_herald_push(ngx_chat_herald_chain_t *chain,
    uint64_t position);
static ngx_int_t ngx_chat_herald_record(ngx_chat_herald_t *h,
    ngx_chat_hook_record_t *rec, uint64_t position);
static ngx_int_t ngx_chat_herald_release(ngx_chat_herald_t *h, ngx_uint_t *n);
static ngx_int_t ngx_chat_herald_forget(ngx_chat_herald_t *h,
    ngx_chat_hook_record_t *rec);
static ngx_int_t ngx_chat_herald_forget_members(ngx_chat_herald_t *h,
    ngx_chat_hook_record_t *channel);


ngx_uint_t
ngx_chat_herald_has_records(ngx_chat_herald_t *h)
{
    uint64_t  last;

    last = ngx_chat_herald_newest(h->zone);

    return h->records.n
           || (last != NGX_CHAT_INDEX_NONE && last >= h->position);
}


ngx_uint_t
ngx_chat_herald_is_all_read(ngx_chat_zone_t *zone)
{
    uint64_t  last, read;

    last = ngx_chat_herald_newest(zone);
    read = __atomic_load_n(&zone->sh->hooks.read, __ATOMIC_RELAXED);

    /* in a cluster: what is of this node goes to the others first */

    if (zone->sh->nnodes) {
        read = ngx_min(read, __atomic_load_n(&zone->sh->hooks.forwarded,
                                             __ATOMIC_RELAXED));
    }

    return last == NGX_CHAT_INDEX_NONE || last < read;
}


uint64_t
ngx_chat_herald_position(ngx_chat_herald_t *h)
{
    ngx_chat_hook_held_t  *held;

    held = ngx_chat_hook_held_first(&h->held);

    return held ? ngx_min(held->position, h->position) : h->position;
}


ngx_int_t
ngx_chat_herald_read(ngx_chat_herald_t *h, ngx_uint_t *n)
{
    size_t      size;
    uint64_t    now;
    ngx_int_t   rc;

    now = 0;
    size = 0;

    if (h->records.n == 0) {
        /* before the look: who is back later than that is not found */
        now = ngx_chat_clock_msec();
        h->found = ngx_chat_herald_applied(h);

        rc = ngx_chat_herald_find(h, &h->records, h->position);

        if (rc == NGX_DECLINED) {
            ngx_chat_herald_overrun(h);
            return NGX_OK;
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    for ( /* void */ ; *n && h->records.n; (*n)--) {

        rc = ngx_chat_herald_read_one(h, n, &size);

        if (rc != NGX_OK) {
            return (rc == NGX_DONE) ? NGX_OK : rc;
        }
    }

    if (h->records.n == 0) {
        h->at = ngx_max(h->at, now);
        h->seq = ngx_max(h->seq, h->found);

        return ngx_chat_herald_release(h, n);
    }

    return NGX_OK;
}


/* The next record.  NGX_OK; NGX_DONE: none more in this round. */

static ngx_int_t
ngx_chat_herald_read_one(ngx_chat_herald_t *h, ngx_uint_t *n, size_t *size)
{
    uint64_t                 at;
    ngx_int_t                rc;
    ngx_chat_hook_record_t   rec;

    at = h->records.positions[h->records.n - 1];
    rc = ngx_chat_herald_next(h, &h->records, &rec);

    if (rc == NGX_ERROR) {
        return rc;
    }

    if (rc == NGX_DECLINED) {
        ngx_chat_herald_overrun(h);
        return NGX_DONE;
    }

    h->position = at + 1;

    if (rc == NGX_DONE) {
        return NGX_OK;
    }

    h->at = ngx_max(h->at, rec.at);

    rc = ngx_chat_herald_release(h, n);

    if (rc == NGX_OK && *n == 0) {
        /* held ones that come before it are left: next time */
        h->records.positions[h->records.n++] = at;
        h->position = at;
        return NGX_DONE;
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_herald_record(h, &rec, at);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    /* of states others may have come with the same item */

    if (rec.seq) {
        h->seq = ngx_max(h->seq, ngx_chat_hook_is_state(rec.kind)
                                 ? rec.seq - 1 : rec.seq);
    }

    *size += rec.data.len;

    return (h->link_conf && *size > NGX_CHAT_HERALD_BYTES) ? NGX_DONE : NGX_OK;
}


ngx_int_t
ngx_chat_herald_find(ngx_chat_herald_t *h, ngx_chat_herald_chain_t *chain,
    uint64_t from)
{
    uint64_t             p, position;
    ngx_int_t            rc;
    ngx_chat_envelope_t  e;

    p = ngx_chat_herald_newest(h->zone);

    while (p != NGX_CHAT_INDEX_NONE && p >= from) {

        position = p;
        rc = ngx_chat_index_read(h->zone, &position, &e, &h->buf, h->log);

        if (rc == NGX_DECLINED) {
            return rc;
        }

        if (rc != NGX_OK || ngx_chat_herald_push(chain, p) != NGX_OK) {
            return NGX_ERROR;
        }

        p = e.previous;
    }

    return NGX_OK;
}


/* The memory has a bound: that of the records in the ring. */

static ngx_int_t
ngx_chat_herald_push(ngx_chat_herald_chain_t *chain, uint64_t position)
{
    uint64_t    *p;
    ngx_uint_t   n;

    if (chain->n == chain->nalloc) {
        n = chain->nalloc ? chain->nalloc * 2 : 1024;

        p = realloc(chain->positions, n * sizeof(uint64_t));
        if (p == NULL) {
            return NGX_ERROR;
        }

        chain->positions = p;
        chain->nalloc = n;
    }

    chain->positions[chain->n++] = position;

    return NGX_OK;
}


ngx_int_t
ngx_chat_herald_next(ngx_chat_herald_t *h, ngx_chat_herald_chain_t *chain,
    ngx_chat_hook_record_t *rec)
{
    uint64_t             position;
    ngx_int_t            rc;
    ngx_chat_envelope_t  e;

    position = chain->positions[--chain->n];

    rc = ngx_chat_index_read(h->zone, &position, &e, &h->buf, h->log);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_chat_hook_record_unpack(rec, e.payload.data, e.payload.len)
        != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ALERT, h->log, 0,
                      "chat ring has a broken record for webhooks");
        return NGX_DONE;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_herald_record(ngx_chat_herald_t *h, ngx_chat_hook_record_t *rec,
    uint64_t position)
{
    /* in a cluster it comes again, by the log */

    if (h->link_conf && rec->seq == 0) {
        return NGX_OK;
    }

    switch (rec->kind) {

    case NGX_CHAT_HOOK_OCCUPIED_e:
    case NGX_CHAT_HOOK_ADDED_e:

        (void) ngx_chat_hook_held_drop(&h->held, rec->app, &rec->channel,
                                       &rec->user);

        /* a held end may be one that nobody was told the beginning of */

        return ngx_chat_herald_believe(h, rec);

    case NGX_CHAT_HOOK_VACATED_e:
    case NGX_CHAT_HOOK_REMOVED_e:

        if (!ngx_chat_herald_wants(h, rec->app,
                     ngx_chat_webhook_needs(ngx_chat_hook_bit(rec->kind)),
                     &rec->channel))
        {
            return NGX_OK;
        }

        return ngx_chat_hook_held_add(&h->held, rec->app, &rec->channel,
                                      &rec->user,
                                      rec->at + NGX_CHAT_HERALD_GRACE,
                                      position);

    default:
        return (position < h->stateless) ? NGX_OK : ngx_chat_herald_add(h, rec);
    }
}


/* Ends that were held back, and nobody was back by now. */

static ngx_int_t
ngx_chat_herald_release(ngx_chat_herald_t *h, ngx_uint_t *n)
{
    ngx_int_t                rc;
    ngx_chat_hook_held_t    *held;
    ngx_chat_hook_record_t   rec;

    for ( /* void */ ; *n; (*n)--) {

        held = ngx_chat_hook_held_first(&h->held);

        if (held == NULL || held->due > h->at) {
            return NGX_OK;
        }

        ngx_memzero(&rec, sizeof(ngx_chat_hook_record_t));

        rec.kind = held->user.len ? NGX_CHAT_HOOK_REMOVED_e
                                  : NGX_CHAT_HOOK_VACATED_e;
        rec.app = held->app;
        rec.channel = held->channel;
        rec.user = held->user;
        rec.time = ngx_chat_clock_wall();

        rc = ngx_chat_herald_forget(h, &rec);

        if (rc != NGX_OK) {
            return rc;
        }

        (void) ngx_chat_hook_held_drop(&h->held, held->app, &held->channel,
                                       &held->user);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_chat_herald_wants(ngx_chat_herald_t *h, uint64_t app, ngx_uint_t kinds,
    ngx_str_t *channel)
{
    ngx_uint_t           i;
    ngx_chat_webhook_t  *conf;

    for (i = 0; i < h->conf->n; i++) {
        conf = h->hooks[i].conf;

        if (conf->app->number == app
            && ngx_chat_webhook_wants(conf, kinds, channel))
        {
            return 1;
        }
    }

    return 0;
}


ngx_int_t
ngx_chat_herald_believe(ngx_chat_herald_t *h, ngx_chat_hook_record_t *rec)
{
    ngx_int_t      rc;
    ngx_uint_t     new;
    sqlite3_stmt  *st;

    if (!ngx_chat_herald_wants(h, rec->app,
                     ngx_chat_webhook_needs(ngx_chat_hook_bit(rec->kind)),
                     &rec->channel))
    {
        return NGX_OK;
    }

    st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_BELIEVE_e);
    if (st == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(st, 1, (int64_t) rec->app);
    (void) ngx_chat_db_bind_text(st, 2, &rec->channel);
    (void) ngx_chat_db_bind_text(st, 3, &rec->user);

    rc = ngx_chat_hook_db_run(&h->db, NGX_CHAT_HOOK_DB_BELIEVE_e, &new);

    return (rc == NGX_OK && new) ? ngx_chat_herald_add(h, rec) : rc;
}


static ngx_int_t
ngx_chat_herald_forget(ngx_chat_herald_t *h, ngx_chat_hook_record_t *rec)
{
    ngx_int_t      rc;
    ngx_uint_t     known;
    sqlite3_stmt  *st;

    st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_FORGET_e);
    if (st == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(st, 1, (int64_t) rec->app);
    (void) ngx_chat_db_bind_text(st, 2, &rec->channel);
    (void) ngx_chat_db_bind_text(st, 3, &rec->user);

    rc = ngx_chat_hook_db_run(&h->db, NGX_CHAT_HOOK_DB_FORGET_e, &known);

    if (rc == NGX_OK && known && rec->kind == NGX_CHAT_HOOK_VACATED_e) {
        rc = ngx_chat_herald_forget_members(h, rec);
    }

    return (rc == NGX_OK && known) ? ngx_chat_herald_add(h, rec) : rc;
}


/*
 * A channel that is vacated has no members.  Where nginx was killed the
 * receivers may still know some, and are told before.
 */

static ngx_int_t
ngx_chat_herald_forget_members(ngx_chat_herald_t *h,
    ngx_chat_hook_record_t *channel)
{
    ngx_int_t                rc;
    sqlite3_stmt            *st;
    ngx_chat_hook_record_t   rec;

    st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_EMPTY_e);
    if (st == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(st, 1, (int64_t) channel->app);
    (void) ngx_chat_db_bind_text(st, 2, &channel->channel);

    rec = *channel;
    rec.kind = NGX_CHAT_HOOK_REMOVED_e;

    while ((rc = ngx_chat_hook_db_step(&h->db, NGX_CHAT_HOOK_DB_EMPTY_e))
           == NGX_OK)
    {
        rec.user.data = (u_char *) sqlite3_column_text(st, 0);
        rec.user.len = sqlite3_column_bytes(st, 0);

        rc = ngx_chat_herald_add(h, &rec);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return (rc == NGX_DONE) ? NGX_OK : rc;
}


/*
 * Records were written over before they were read: the database was locked or
 * full for long.  Who is there can be asked, the other events are lost.
 */

void
ngx_chat_herald_overrun(ngx_chat_herald_t *h)
{
    ngx_log_error(NGX_LOG_ERR, h->log, 0,
                  "chat webhooks were overrun by events: channels and members "
                  "are compared anew, other events are lost; a larger "
                  "chat_zone gives more time");

    ngx_chat_incident_note(NGX_CHAT_INCIDENT_RING_OVERRUN_e, "webhooks");

    h->position = ngx_chat_herald_newest(h->zone) + 1;
    h->records.n = 0;

    ngx_chat_hook_held_clear(&h->held);

    h->census = NGX_CHAT_HERALD_CENSUS_DUE_e;
    h->census_due = ngx_chat_clock_msec();
}
