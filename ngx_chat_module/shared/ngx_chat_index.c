
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The index of the ring by channel.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <bus/ngx_chat_ring.h>
#include <shared/ngx_chat_index.h>


/* records of a bucket, those of other channels included, that find() reads */
#define NGX_CHAT_INDEX_STEPS  4096


static ngx_uint_t ngx_chat_index_is_of(ngx_chat_index_query_t *q,
    ngx_chat_envelope_t *e);
static ngx_uint_t ngx_chat_index_since(uint64_t *last, uint64_t position);


#define ngx_chat_index_last(zone, hash)                                       \
    (&(zone)->sh->last[(hash) & (zone)->sh->last_mask])

#define ngx_chat_index_last_unstored(zone, hash)                              \
    (&(zone)->sh->unstored[(hash) & (zone)->sh->unstored_mask])


ngx_int_t
ngx_chat_index_append(ngx_chat_zone_t *zone, ngx_chat_envelope_t *e,
    uint64_t *position)
{
    uint64_t    at, *last;
    ngx_int_t   rc;

    /* records for webhooks have a chain of their own */

    last = (e->type == NGX_CHAT_ENVELOPE_HOOK_e)
           ? &zone->sh->hooks.last : ngx_chat_index_last(zone, e->hash);

    e->previous = *last;

    at = ngx_chat_ring_next(zone->sh->ring, ngx_chat_envelope_size(e));

    rc = ngx_chat_ring_append(zone->sh->ring, e, position);

    if (rc != NGX_OK) {
        return rc;
    }

    __atomic_store_n(last, at, __ATOMIC_RELEASE);

    if (e->type == NGX_CHAT_ENVELOPE_HOOK_e) {
        zone->sh->hooks.records++;
    }

    if (e->type == NGX_CHAT_ENVELOPE_EVENT_e && e->message == 0) {
        __atomic_store_n(ngx_chat_index_last_unstored(zone, e->hash), at,
                         __ATOMIC_RELEASE);
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_index_find(ngx_chat_zone_t *zone, ngx_chat_index_query_t *q,
    ngx_str_t *buf, ngx_log_t *log)
{
    uint64_t             p, end;
    ngx_int_t            rc;
    ngx_uint_t           steps;
    ngx_chat_envelope_t  e;

    q->n = 0;
    q->reached = q->to;

    steps = 0;
    p = __atomic_load_n(ngx_chat_index_last(zone, q->hash), __ATOMIC_ACQUIRE);

    while (p != NGX_CHAT_INDEX_NONE && p >= q->from) {

        if (++steps > NGX_CHAT_INDEX_STEPS) {
            return NGX_BUSY;
        }

        end = p;
        rc = ngx_chat_index_read(zone, &end, &e, buf, log);

        if (rc != NGX_OK) {
            return rc;
        }

        if (p < q->to && ngx_chat_index_is_of(q, &e)) {

            if (q->n == q->max) {
                return NGX_BUSY;
            }

            q->positions[q->n++] = p;
        }

        q->reached = ngx_min(p, q->to);
        p = e.previous;
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_index_read(ngx_chat_zone_t *zone, uint64_t *position,
    ngx_chat_envelope_t *e, ngx_str_t *buf, ngx_log_t *log)
{
    size_t     len;
    u_char    *p;
    uint64_t   pos, at;
    ngx_int_t  rc;

    for ( ;; ) {

        pos = *position;

        rc = ngx_chat_ring_read(zone->sh->ring, &pos, &at, buf->data,
                                buf->len, &len);

        if (rc != NGX_AGAIN) {
            break;
        }

        p = ngx_alloc(len, log);

        if (p == NULL) {
            return NGX_ERROR;
        }

        if (buf->data) {
            ngx_free(buf->data);
        }

        buf->data = p;
        buf->len = len;
    }

    if (rc != NGX_OK
        || at != *position
        || ngx_chat_envelope_unpack(e, buf->data, len) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    *position = pos;

    return NGX_OK;
}


ngx_uint_t
ngx_chat_index_changed(ngx_chat_zone_t *zone, uint32_t hash,
    uint64_t position)
{
    return ngx_chat_index_since(ngx_chat_index_last(zone, hash), position);
}


ngx_uint_t
ngx_chat_index_unstored(ngx_chat_zone_t *zone, uint32_t hash,
    uint64_t position)
{
    return ngx_chat_index_since(ngx_chat_index_last_unstored(zone, hash),
                                position);
}


/* Whether the record is one that the query asks for. */

static ngx_uint_t
ngx_chat_index_is_of(ngx_chat_index_query_t *q, ngx_chat_envelope_t *e)
{
    return e->type == NGX_CHAT_ENVELOPE_EVENT_e
           && e->hash == q->hash
           && e->app == q->app
           && e->channel.len == q->channel->len
           && ngx_memcmp(e->channel.data, q->channel->data, e->channel.len)
              == 0
           && (e->except.high == 0 || e->except.high != q->except);
}


static ngx_uint_t
ngx_chat_index_since(uint64_t *last, uint64_t position)
{
    uint64_t  p;

    p = __atomic_load_n(last, __ATOMIC_ACQUIRE);

    return p != NGX_CHAT_INDEX_NONE && p >= position;
}
