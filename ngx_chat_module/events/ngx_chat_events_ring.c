
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The next events for a client, out of the ring.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <events/ngx_chat_events_ring.h>
#include <shared/ngx_chat_index.h>
#include <shared/ngx_chat_turn.h>


#define NGX_CHAT_EVENTS_RING_FOUND  1000       /* most events at a time */
#define NGX_CHAT_EVENTS_RING_READ   256        /* records in one turn */


/* The text that was made last, and of what. */

typedef struct {
    uint64_t                    set;       /* 0: it is for one client only */
    ngx_uint_t                  n;         /* events, 0: there is none */
    uint64_t                    first;     /* their positions */
    uint64_t                    last;
    ngx_chat_events_position_t  end;       /* behind them */
    ngx_chat_events_text_t      text;
} ngx_chat_events_ring_made_t;


static ngx_int_t ngx_chat_events_ring_find(ngx_chat_events_t *ev,
    ngx_chat_ring_place_t *from, ngx_chat_ring_place_t *to, ngx_uint_t *n);
static int ngx_libc_cdecl ngx_chat_events_ring_compare(const void *one,
    const void *two);
static ngx_int_t ngx_chat_events_ring_make(ngx_chat_events_t *ev,
    ngx_uint_t n);
static ngx_int_t ngx_chat_events_ring_scan(ngx_chat_events_t *ev,
    ngx_chat_ring_place_t *to);
static ngx_int_t ngx_chat_events_ring_record(ngx_chat_events_t *ev,
    uint64_t *position, ngx_chat_envelope_t *e);
static ngx_uint_t ngx_chat_events_ring_is_of(ngx_chat_events_t *ev,
    ngx_chat_envelope_t *e);
static ngx_int_t ngx_chat_events_ring_add(ngx_chat_events_t *ev,
    ngx_chat_events_text_t *text, ngx_chat_events_position_t *at,
    ngx_chat_envelope_t *e);


static ngx_chat_ring_place_t        ngx_chat_events_ring_place;
static uint64_t                     ngx_chat_events_ring_positions[
                                        NGX_CHAT_EVENTS_RING_FOUND];
static ngx_str_t                    ngx_chat_events_ring_buf;
static ngx_chat_events_ring_made_t  ngx_chat_events_ring_made;
static ngx_chat_events_text_t       ngx_chat_events_ring_scanned;


/*
 * An append puts a record into the ring first and into the index then, with the
 * lock.  So a position that was read with the lock has both before it.
 */

void
ngx_chat_events_ring_now(ngx_chat_events_t *ev, ngx_chat_ring_place_t *now)
{
    ngx_chat_zone_t  *zone;

    zone = ngx_chat_events_zone(ev);

    if (ngx_chat_events_ring_place.position
        < ev->session.sessions->hub->fanout.position)
    {
        ngx_chat_zone_lock(zone);

        ngx_chat_events_ring_place.position = ngx_chat_ring_head(
                                                               zone->sh->ring);
        ngx_chat_events_ring_place.mark = ngx_chat_ring_mark(zone->sh->ring);

        ngx_chat_zone_unlock(zone);
    }

    *now = ngx_chat_events_ring_place;
}


void
ngx_chat_events_ring_note(ngx_chat_ring_place_t *place)
{
    if (ngx_chat_events_ring_place.position < place->position) {
        ngx_chat_events_ring_place = *place;
    }
}


ngx_int_t
ngx_chat_events_ring_check(ngx_chat_events_t *ev, ngx_chat_ring_place_t *from)
{
    ngx_int_t              rc;
    ngx_uint_t             n;
    ngx_chat_zone_t       *zone;
    ngx_chat_ring_place_t  now;

    ngx_chat_events_ring_now(ev, &now);

    rc = ngx_chat_events_ring_find(ev, from, &now, &n);

    if (rc != NGX_BUSY) {
        return rc;
    }

    zone = ngx_chat_events_zone(ev);

    return (from->position < ngx_chat_ring_tail(zone->sh->ring))
           ? NGX_DECLINED : NGX_OK;
}


ngx_uint_t
ngx_chat_events_ring_has(ngx_chat_events_t *ev, ngx_chat_channel_t *ch,
    ngx_chat_ring_place_t *from)
{
    uint64_t                position;
    ngx_int_t               rc;
    ngx_chat_index_query_t  q;

    ngx_memzero(&q, sizeof(ngx_chat_index_query_t));

    q.app = ch->app;
    q.hash = ch->hash;
    q.channel = &ch->name;
    q.from = from->position;
    q.to = NGX_CHAT_INDEX_NONE;
    q.positions = &position;
    q.max = 1;

    rc = ngx_chat_index_find(ngx_chat_events_zone(ev), &q,
                             &ngx_chat_events_ring_buf,
                             ev->session.connection->log);

    return rc != NGX_OK || q.n;
}


ngx_int_t
ngx_chat_events_ring_next(ngx_chat_events_t *ev, ngx_chat_events_text_t **text)
{
    ngx_int_t                     rc;
    ngx_uint_t                    n;
    ngx_chat_ring_place_t         now;
    ngx_chat_events_ring_made_t  *made;

    ngx_chat_events_ring_now(ev, &now);

    if (ev->at.place.position >= now.position) {
        return NGX_DONE;
    }

    rc = ngx_chat_events_ring_find(ev, &ev->at.place, &now, &n);

    if (rc == NGX_BUSY) {
        *text = &ngx_chat_events_ring_scanned;
        return ngx_chat_events_ring_scan(ev, &now);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (n == 0) {
        ev->at.place.position = now.position;
        ngx_chat_events_position_mark(&ev->at, now.mark);
        return NGX_DONE;
    }

    made = &ngx_chat_events_ring_made;

    if (made->n == 0
        || made->n > n
        || (made->n < n && !ngx_chat_events_text_is_full(&made->text))
        || made->set != ev->set
        || ev->at.behind != ev->at.place.mark
        || made->first != ngx_chat_events_ring_positions[0]
        || made->last != ngx_chat_events_ring_positions[made->n - 1])
    {
        rc = ngx_chat_events_ring_make(ev, n);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    ev->at.place.position = made->end.place.position;

    /* where all of these were skipped, there may be more of them to come */

    if (made->end.place.mark == made->end.behind) {
        ngx_chat_events_position_mark(&ev->at, made->end.behind);
    }

    *text = &made->text;

    return NGX_OK;
}


/*
 * Finds the events of all channels, the oldest first.  Returns what
 * ngx_chat_index_find() does.
 */

static ngx_int_t
ngx_chat_events_ring_find(ngx_chat_events_t *ev, ngx_chat_ring_place_t *from,
    ngx_chat_ring_place_t *to, ngx_uint_t *n)
{
    ngx_int_t                 rc;
    ngx_queue_t              *queue;
    ngx_chat_subscriber_t    *sr;
    ngx_chat_index_query_t    q;
    ngx_chat_subscription_t  *sn;

    ngx_memzero(&q, sizeof(ngx_chat_index_query_t));

    q.from = from->position;
    q.to = to->position;

    *n = 0;
    rc = NGX_OK;
    sr = &ev->session.subscriber;

    for (queue = ngx_queue_head(&sr->subscriptions);
         queue != ngx_queue_sentinel(&sr->subscriptions);
         queue = ngx_queue_next(queue))
    {
        sn = ngx_queue_data(queue, ngx_chat_subscription_t, queue);

        q.app = sn->channel->app;
        q.hash = sn->channel->hash;
        q.channel = &sn->channel->name;
        q.positions = ngx_chat_events_ring_positions + *n;
        q.max = NGX_CHAT_EVENTS_RING_FOUND - *n;

        rc = ngx_chat_index_find(ngx_chat_events_zone(ev), &q,
                                 &ngx_chat_events_ring_buf,
                                 ev->session.connection->log);
        if (rc != NGX_OK) {
            break;
        }

        *n += q.n;
    }

    if (*n > 1) {
        ngx_qsort(ngx_chat_events_ring_positions, *n, sizeof(uint64_t),
                  ngx_chat_events_ring_compare);
    }

    ngx_chat_turn_add(*n / 4);

    return rc;
}


static int ngx_libc_cdecl
ngx_chat_events_ring_compare(const void *one, const void *two)
{
    uint64_t  a, b;

    a = *(uint64_t *) one;
    b = *(uint64_t *) two;

    return (a > b) - (a < b);
}


/*
 * Makes a text of the first of the n events that were found.  A client that
 * skips some has positions of its own.
 */

static ngx_int_t
ngx_chat_events_ring_make(ngx_chat_events_t *ev, ngx_uint_t n)
{
    uint64_t                      position;
    ngx_int_t                     rc;
    ngx_uint_t                    i;
    ngx_chat_envelope_t           e;
    ngx_chat_events_ring_made_t  *made;

    made = &ngx_chat_events_ring_made;
    ngx_chat_events_text_reset(&made->text);

    made->set = (ev->at.behind == ev->at.place.mark) ? ev->set : 0;
    made->first = ngx_chat_events_ring_positions[0];
    made->end = ev->at;
    made->n = 0;

    for (i = 0; i < n && !ngx_chat_events_text_is_full(&made->text); i++) {
        position = ngx_chat_events_ring_positions[i];
        made->last = position;

        rc = ngx_chat_index_read(ngx_chat_events_zone(ev), &position, &e,
                                 &ngx_chat_events_ring_buf,
                                 ev->session.connection->log);
        if (rc == NGX_OK) {
            made->end.place.position = position;
            rc = ngx_chat_events_ring_add(ev, &made->text, &made->end, &e);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    made->n = i;

    ngx_chat_turn_add(i);

    return NGX_OK;
}


/* Reads on in the ring, to a client's next events or to the turn's end. */

static ngx_int_t
ngx_chat_events_ring_scan(ngx_chat_events_t *ev, ngx_chat_ring_place_t *to)
{
    ngx_int_t                    rc;
    ngx_uint_t                   n;
    ngx_chat_envelope_t          e;
    ngx_chat_events_text_t      *text;
    ngx_chat_events_position_t   at;

    text = &ngx_chat_events_ring_scanned;
    ngx_chat_events_text_reset(text);

    at = ev->at;

    for (n = 0;
         n < NGX_CHAT_EVENTS_RING_READ && at.place.position < to->position
         && !ngx_chat_events_text_is_full(text);
         n++)
    {
        rc = ngx_chat_events_ring_record(ev, &at.place.position, &e);

        if (rc == NGX_OK && ngx_chat_events_ring_is_of(ev, &e)) {
            rc = ngx_chat_events_ring_add(ev, text, &at, &e);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        ev->at = at;
    }

    ngx_chat_turn_add(n);

    return text->n ? NGX_OK : NGX_AGAIN;
}


/* Reads the record at the position, or behind it, and moves it behind that. */

static ngx_int_t
ngx_chat_events_ring_record(ngx_chat_events_t *ev, uint64_t *position,
    ngx_chat_envelope_t *e)
{
    size_t      len;
    u_char     *p;
    uint64_t    at;
    ngx_int_t   rc;
    ngx_str_t  *buf;

    buf = &ngx_chat_events_ring_buf;

    for ( ;; ) {
        rc = ngx_chat_ring_read(ngx_chat_events_zone(ev)->sh->ring, position,
                                &at, buf->data, buf->len, &len);

        if (rc != NGX_AGAIN) {
            break;
        }

        p = ngx_alloc(len, ev->session.connection->log);

        if (p == NULL) {
            return NGX_ERROR;
        }

        if (buf->data) {
            ngx_free(buf->data);
        }

        buf->data = p;
        buf->len = len;
    }

    if (rc != NGX_OK || ngx_chat_envelope_unpack(e, buf->data, len) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_chat_events_ring_is_of(ngx_chat_events_t *ev, ngx_chat_envelope_t *e)
{
    ngx_chat_hub_t  *hub;

    hub = ev->session.sessions->hub;

    return e->type == NGX_CHAT_ENVELOPE_EVENT_e
           && ngx_chat_hub_subscription(hub, &ev->session.subscriber, e->app,
                                        &e->channel)
              != NULL;
}


/* Adds the event that ends at the client's position, unless it is skipped. */

static ngx_int_t
ngx_chat_events_ring_add(ngx_chat_events_t *ev, ngx_chat_events_text_t *text,
    ngx_chat_events_position_t *at, ngx_chat_envelope_t *e)
{
    u_char     buf[NGX_CHAT_EVENTS_POSITION_LEN];
    ngx_int_t  rc;
    ngx_str_t  id;

    if (ngx_chat_events_position_skips(at, e->message)) {
        return NGX_OK;
    }

    if (e->message) {
        ngx_chat_events_position_mark(at, e->message);
    }

    id.data = buf;
    id.len = ngx_chat_events_position_write(buf, ngx_chat_events_zone(ev), at)
             - buf;

    rc = ngx_chat_events_text_add_payload(text, ev->form, &id, &e->channel,
                                          &e->payload,
                                          ev->session.sessions->scratch,
                                          ev->session.connection->log);

    ngx_reset_pool(ev->session.sessions->scratch);

    return rc;
}


void
ngx_chat_events_ring_exit(void)
{
    ngx_free(ngx_chat_events_ring_buf.data);
    ngx_free(ngx_chat_events_ring_made.text.data);
    ngx_free(ngx_chat_events_ring_scanned.data);
}
