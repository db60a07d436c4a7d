
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What is sent again.  It is put into one buffer before the client is told that
 * it will come, so that what the client is told is true.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <session/ngx_chat_replay.h>
#include <shared/ngx_chat_index.h>
#include <shared/ngx_chat_turn.h>
#include <wire/ngx_chat_frame.h>


static ngx_int_t ngx_chat_replay_read(ngx_chat_session_t *s,
    ngx_chat_index_query_t *q, ngx_chat_replay_history_t *history,
    ngx_chat_replay_t *result);
static ngx_int_t ngx_chat_replay_append(ngx_chat_session_t *s,
    ngx_chat_buf_t **b, size_t len);


/* memory for a record of the ring, and for a query's positions */
static ngx_str_t  ngx_chat_replay_record;
static uint64_t   ngx_chat_replay_positions[NGX_CHAT_REPLAY_MAX];


ngx_uint_t
ngx_chat_replay_find(ngx_chat_session_t *s, ngx_chat_registry_join_t *j,
    ngx_chat_replay_history_t *history, ngx_chat_replay_t *result)
{
    ngx_int_t               rc;
    ngx_uint_t              n;
    ngx_chat_zone_t        *zone;
    ngx_chat_index_query_t  q;

    zone = s->sessions->hub->fanout.zone;

    if (!ngx_chat_index_changed(zone, j->hash, result->from.position)) {
        return NGX_CHAT_RECOVERY_RING_e;
    }

    n = history ? history->n : 0;

    if (history
        && (history->failed
            || n > NGX_CHAT_REPLAY_MAX
            || ngx_chat_index_unstored(zone, j->hash, result->from.position)
            || ngx_chat_store_removed(s->sessions->store) > result->from.mark))
    {
        return history->failed || n > NGX_CHAT_REPLAY_MAX
               ? NGX_CHAT_RECOVERY_TOO_MUCH_e : NGX_CHAT_RECOVERY_GONE_e;
    }

    ngx_memzero(&q, sizeof(ngx_chat_index_query_t));

    q.app = j->app;
    q.hash = j->hash;
    q.channel = j->name;
    q.from = history ? history->position : result->from.position;
    q.to = j->start.position;
    q.except = s->subscriber.id.high;
    q.positions = ngx_chat_replay_positions;
    q.max = NGX_CHAT_REPLAY_MAX - n;

    rc = ngx_chat_index_find(zone, &q, &ngx_chat_replay_record,
                             s->connection->log);

    if (rc == NGX_OK) {
        rc = ngx_chat_replay_read(s, &q, history, result);
    }

    ngx_chat_turn_add(q.n);

    switch (rc) {

    case NGX_OK:
        return history ? NGX_CHAT_RECOVERY_HISTORY_e
                       : NGX_CHAT_RECOVERY_RING_e;

    case NGX_BUSY:
        return NGX_CHAT_RECOVERY_TOO_MUCH_e;

    default: /* NGX_DECLINED, NGX_ERROR */
        return NGX_CHAT_RECOVERY_GONE_e;
    }
}


/*
 * Puts the events into a buffer, the oldest first.  NGX_OK; NGX_DECLINED: one
 * has been written over; NGX_BUSY: they are too long; NGX_ERROR: no memory.
 */

static ngx_int_t
ngx_chat_replay_read(ngx_chat_session_t *s, ngx_chat_index_query_t *q,
    ngx_chat_replay_history_t *history, ngx_chat_replay_t *result)
{
    u_char               *p;
    ngx_int_t             rc;
    ngx_uint_t            i, n;
    ngx_chat_buf_t       *b;
    ngx_chat_envelope_t   e;

    b = NULL;
    n = 0;
    rc = NGX_OK;

    if (history && history->n) {

        rc = ngx_chat_replay_append(s, &b, history->events.len);

        if (rc == NGX_OK) {
            ngx_memcpy(b->data, history->events.data, history->events.len);
            n = history->n;
        }
    }

    for (i = q->n; rc == NGX_OK && i-- > 0; /* void */ ) {

        rc = ngx_chat_index_read(s->sessions->hub->fanout.zone,
                                 &q->positions[i], &e,
                                 &ngx_chat_replay_record,
                                 s->connection->log);

        if (rc != NGX_OK) {
            break;
        }

        rc = ngx_chat_replay_append(s, &b,
                                    ngx_chat_frame_header_size(e.payload.len)
                                    + e.payload.len);
        if (rc == NGX_OK) {
            p = b->data + b->len - e.payload.len;

            (void) ngx_chat_frame_write_header(
                             p - ngx_chat_frame_header_size(e.payload.len),
                             NGX_CHAT_FRAME_TEXT, e.payload.len);
            ngx_memcpy(p, e.payload.data, e.payload.len);
            n++;
        }
    }

    if (rc != NGX_OK) {
        if (b != NULL) {
            ngx_chat_buf_release(b);
        }

        return rc;
    }

    result->events = b;
    result->missed = n;

    return NGX_OK;
}


/* Makes *b, which may be NULL, len bytes longer. */

static ngx_int_t
ngx_chat_replay_append(ngx_chat_session_t *s, ngx_chat_buf_t **b, size_t len)
{
    size_t           old;
    ngx_chat_buf_t  *larger;

    old = *b ? (*b)->len : 0;

    if (old + len > s->conf->send_buffer / 2) {
        return NGX_BUSY;
    }

    if (*b == NULL || old + len > (*b)->size) {

        larger = ngx_chat_buf_alloc((old + len) * 2, s->connection->log);

        if (larger == NULL) {
            return NGX_ERROR;
        }

        if (*b != NULL) {
            ngx_memcpy(larger->data, (*b)->data, old);
            ngx_chat_buf_release(*b);
        }

        *b = larger;
    }

    (*b)->len = old + len;

    return NGX_OK;
}


void
ngx_chat_replay_exit(void)
{
    ngx_free(ngx_chat_replay_record.data);
}
