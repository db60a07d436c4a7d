
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A client of chat_events: its start, its turns and its end.
 *
 * The answer begins when it is known from where the client can go on, since its
 * headers say so.  Until then, and in a poll all the time, the request is
 * suspended.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <events/ngx_chat_events.h>
#include <events/ngx_chat_events_answer.h>
#include <events/ngx_chat_events_history.h>
#include <events/ngx_chat_events_queue.h>
#include <events/ngx_chat_events_ring.h>
#include <http/ngx_chat_handlers.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_variable.h>
#include <pusher/ngx_chat_error.h>
#include <pusher/ngx_chat_name.h>


static ngx_int_t ngx_chat_events_open(ngx_http_request_t *r,
    ngx_chat_events_query_t *q);
static ngx_int_t ngx_chat_events_session(ngx_chat_events_t *ev,
    ngx_chat_events_query_t *q);
static ngx_int_t ngx_chat_events_subscribe(ngx_chat_events_t *ev,
    ngx_chat_events_query_t *q);
static ngx_int_t ngx_chat_events_join(ngx_chat_events_t *ev, ngx_str_t *name,
    ngx_chat_events_query_t *q);
static ngx_int_t ngx_chat_events_join_cached(ngx_chat_events_t *ev,
    ngx_chat_registry_join_t *j);
static void ngx_chat_events_hash(ngx_chat_events_t *ev,
    ngx_chat_events_query_t *q);
static ngx_int_t ngx_chat_events_place(ngx_chat_events_t *ev,
    ngx_chat_events_query_t *q);
static ngx_int_t ngx_chat_events_place_gone(ngx_chat_events_t *ev,
    ngx_chat_ring_place_t *now);
static void ngx_chat_events_lose(ngx_chat_events_t *ev,
    ngx_chat_ring_place_t *now);
static void ngx_chat_events_recalled(ngx_chat_events_t *ev, ngx_int_t rc);
static ngx_int_t ngx_chat_events_begin(ngx_http_request_t *r, void *data);
static void ngx_chat_events_cleanup(void *data);
static void ngx_chat_events_close(ngx_chat_session_t *s, ngx_uint_t code,
    ngx_str_t *reason);
static void ngx_chat_events_abort(ngx_chat_session_t *s);
static void ngx_chat_events_wake(ngx_chat_session_t *s);


static ngx_chat_transport_t  ngx_chat_events_transport = {
    ngx_chat_events_close,
    ngx_chat_events_abort,
    NULL,                                  /* ping: it has no token */
    ngx_chat_events_wake,
    0                                      /* is_lossy: it says nothing */
};


ngx_int_t
ngx_chat_events_handler(ngx_http_request_t *r)
{
    return ngx_chat_events_serve(r, NULL);
}


ngx_int_t
ngx_chat_events_serve(ngx_http_request_t *r, ngx_chat_app_t *app)
{
    ngx_int_t                rc;
    ngx_chat_events_query_t  q;

    if (r != r->main) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_chat_reply_not_allowed(r, "GET, HEAD, OPTIONS");
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_chat_events_query_read(&q, r, app, &rc) != NGX_OK) {
        return rc;
    }

    ngx_chat_variable_note(r, &q.app->id, (q.n == 1) ? &q.channels[0] : NULL,
                           NULL, NULL, NULL);

    return ngx_chat_events_open(r, &q);
}


/* Returns what the content handler returns. */

static ngx_int_t
ngx_chat_events_open(ngx_http_request_t *r, ngx_chat_events_query_t *q)
{
    ngx_int_t            rc;
    ngx_http_cleanup_t  *cln;
    ngx_chat_events_t   *ev;

    ev = ngx_pcalloc(r->pool, sizeof(ngx_chat_events_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (ev == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_chat_events_cleanup;
    cln->data = ev;

    ev->request = r;
    ev->kind = q->is_poll ? &ngx_chat_events_poll : &ngx_chat_events_stream;
    ev->timeout = q->timeout;

    ev->form = q->is_poll ? NGX_CHAT_EVENTS_POLL_e
               : (q->n == 1 || q->is_raw) ? NGX_CHAT_EVENTS_DATA_e
                                          : NGX_CHAT_EVENTS_OBJECT_e;

    rc = ngx_chat_events_session(ev, q);

    if (rc == NGX_OK) {
        rc = ngx_chat_events_subscribe(ev, q);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_events_place(ev, q);
    }

    switch (rc) {

    case NGX_OK:
        rc = ngx_chat_events_begin(r, ev);
        break;

    case NGX_AGAIN:
        rc = ngx_chat_events_answer_wait(ev);
        break;

    case NGX_BUSY:
        rc = ngx_chat_reply_line(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                 "No room for this client now");
        break;

    default:
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* the cleanup handler may be long in coming, where bytes are left */

    if (rc != NGX_DONE) {
        ngx_chat_events_end(ev);
    }

    return rc;
}


/*
 * NGX_OK; NGX_BUSY: the app has too many connections, or the worker has no
 * slot; NGX_ERROR.
 */

static ngx_int_t
ngx_chat_events_session(ngx_chat_events_t *ev, ngx_chat_events_query_t *q)
{
    ngx_int_t              rc;
    ngx_http_request_t    *r;
    ngx_chat_session_t    *s;
    ngx_chat_loc_conf_t   *clcf;
    ngx_chat_main_conf_t  *cmcf;

    r = ev->request;
    s = &ev->session;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);
    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    if (cmcf->hub.fanout.slot == NULL) {
        return NGX_BUSY;
    }

    s->is_reader = 1;
    s->is_operator = q->is_operator;
    s->connection = r->connection;
    s->conf = &clcf->session;
    s->transport = &ngx_chat_events_transport;

    rc = ngx_chat_session_open(&cmcf->sessions, s, q->app);

    if (rc == NGX_OK) {
        ev->opened = 1;
        ngx_chat_count(NGX_CHAT_READERS_e, 1);
    }

    return (rc == NGX_DONE) ? NGX_BUSY : rc;
}


/* NGX_OK; NGX_BUSY: there is no room, or the zone was wiped; NGX_ERROR. */

static ngx_int_t
ngx_chat_events_subscribe(ngx_chat_events_t *ev, ngx_chat_events_query_t *q)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    ngx_chat_events_text_reset(&ngx_chat_events_answer_begun);

    for (i = 0; i < q->n; i++) {

        rc = ngx_chat_events_join(ev, &q->channels[i], q);

        switch (rc) {

        case NGX_OK:
            break;

        case NGX_BUSY:
            ngx_chat_session_log_full(&ev->session, &q->channels[i]);
            return NGX_BUSY;

        case NGX_ABORT:
            return NGX_BUSY;

        default:
            return NGX_ERROR;
        }
    }

    ngx_chat_events_hash(ev, q);

    return NGX_OK;
}


/* The client's first place is where it has subscribed first. */

static ngx_int_t
ngx_chat_events_join(ngx_chat_events_t *ev, ngx_str_t *name,
    ngx_chat_events_query_t *q)
{
    ngx_int_t                 rc;
    ngx_uint_t                type;
    ngx_chat_session_t       *s;
    ngx_chat_registry_join_t  j;

    s = &ev->session;
    type = ngx_chat_name_type(name);

    ngx_memzero(&j, sizeof(ngx_chat_registry_join_t));

    j.app = s->app->number;
    j.name = name;
    j.cached = ((type & NGX_CHAT_CHANNEL_CACHE) && q->position.len == 0);
    j.counting = s->app->subscription_count
                 && !(type & (NGX_CHAT_CHANNEL_PRESENCE
                              |NGX_CHAT_CHANNEL_ENCRYPTED));

    rc = ngx_chat_hub_subscribe(s->sessions->hub, &s->subscriber, &j);

    if (rc != NGX_OK) {
        return rc;
    }

    s->nchannels++;

    if (!ev->has_place) {
        ev->has_place = 1;
        ev->at.place = j.start;
        ev->at.behind = j.start.mark;
    }

    ngx_chat_events_ring_note(&j.start);

    return j.cached_len ? ngx_chat_events_join_cached(ev, &j) : NGX_OK;
}


/*
 * The cached event of a channel comes first.  It is left out where the ring has
 * it, or a newer one, behind the client's place.
 */

static ngx_int_t
ngx_chat_events_join_cached(ngx_chat_events_t *ev, ngx_chat_registry_join_t *j)
{
    ngx_str_t                 payload;
    ngx_chat_subscription_t  *sn;

    sn = ngx_chat_hub_subscription(ev->session.sessions->hub,
                                   &ev->session.subscriber, j->app, j->name);

    if (sn == NULL
        || ngx_chat_events_ring_has(ev, sn->channel, &ev->at.place))
    {
        return NGX_OK;
    }

    payload.data = j->buf + j->size - j->cached_len;
    payload.len = j->cached_len;

    return ngx_chat_events_answer_add(ev, j->name, &payload);
}


/* Of the form, the app and the channels. */

static void
ngx_chat_events_hash(ngx_chat_events_t *ev, ngx_chat_events_query_t *q)
{
    uint64_t              parts[3];
    ngx_uint_t            i;
    ngx_chat_hash_key_t  *key;

    key = &ngx_chat_events_zone(ev)->sh->key;

    parts[0] = ev->form;
    parts[1] = q->app->number;

    for (i = 0; i < q->n; i++) {
        parts[2] = ngx_chat_hash(key, q->channels[i].data, q->channels[i].len);
        parts[0] = ngx_chat_hash(key, (u_char *) parts, sizeof(parts));
    }

    ev->set = parts[0];
}


/*
 * Decides from where the client goes on.  NGX_OK: ev->at is set; NGX_AGAIN: the
 * history is being read; NGX_BUSY: it can't be read.
 */

static ngx_int_t
ngx_chat_events_place(ngx_chat_events_t *ev, ngx_chat_events_query_t *q)
{
    ngx_int_t                   rc;
    ngx_chat_zone_t            *zone;
    ngx_chat_ring_place_t       now;
    ngx_chat_events_position_t  position;

    if (q->position.len == 0) {
        return NGX_OK;
    }

    now = ev->at.place;

    if (q->earliest) {

        if (ev->session.sessions->store == NULL) {
            return NGX_OK;
        }

        ev->at.behind = 0;
        ev->at.place.mark = NGX_CHAT_EVENTS_HISTORY_ALL;

    } else {
        zone = ngx_chat_events_zone(ev);
        ev->resumes = 1;

        if (ngx_chat_events_position_read(&position, zone, &q->position)
            != NGX_OK
            || position.place.position > now.position)
        {
            ev->is_gone = 1;
            return NGX_OK;
        }

        ev->at = position;

        rc = ngx_chat_events_ring_check(ev, &position.place);

        if (rc != NGX_OK) {
            return ngx_chat_events_place_gone(ev, &now);
        }
    }

    if (!ngx_chat_events_history_is_due(ev)
        || ev->request->method == NGX_HTTP_HEAD)
    {
        return NGX_OK;
    }

    return (ngx_chat_events_history_read(ev, 0, ngx_chat_events_recalled)
            == NGX_OK)
           ? NGX_AGAIN : NGX_BUSY;
}


/* The ring has been written over since the client's position. */

static ngx_int_t
ngx_chat_events_place_gone(ngx_chat_events_t *ev, ngx_chat_ring_place_t *now)
{
    ngx_uint_t  whole;

    /* one that is still getting all goes on to do so */

    whole = !ngx_chat_events_history_is_due(ev);

    if (ngx_chat_events_history_has_all(ev)) {

        ev->at.place = *now;
        ev->recalled = 1;

        if (!whole) {
            ev->at.place.mark = NGX_CHAT_EVENTS_HISTORY_ALL;
        }

        if (!ngx_chat_events_history_is_due(ev)) {
            ev->counted = 1;
            return NGX_OK;
        }

        if (ngx_chat_events_history_read(ev, whole, ngx_chat_events_recalled)
            == NGX_OK)
        {
            ev->counted = whole;
            return NGX_AGAIN;
        }
    }

    ngx_chat_events_lose(ev, now);

    return NGX_OK;
}


/* The client can't go on from its position. */

static void
ngx_chat_events_lose(ngx_chat_events_t *ev, ngx_chat_ring_place_t *now)
{
    ev->is_gone = 1;
    ev->recalled = 0;

    ev->at.place = *now;
    ev->at.behind = now->mark;
}


/* The first round of the history was read, before the answer. */

static void
ngx_chat_events_recalled(ngx_chat_events_t *ev, ngx_int_t rc)
{
    ngx_chat_ring_place_t  now;

    if (rc == NGX_OK) {
        ev->missed = ngx_chat_events_history_count(ev);

    } else {
        ngx_chat_events_history_free(ev);
        ngx_chat_events_ring_now(ev, &now);
        ngx_chat_events_lose(ev, &now);
    }

    ev->is_waiting = 0;
    ngx_chat_events_text_reset(&ngx_chat_events_answer_begun);

    ngx_chat_request_resume(ev->request, ngx_chat_events_begin, ev);
}


/* A ngx_chat_request_pt. */

static ngx_int_t
ngx_chat_events_begin(ngx_http_request_t *r, void *data)
{
    ngx_chat_events_t *ev = data;

    if (ev->resumes) {
        ngx_chat_count(ev->is_gone ? NGX_CHAT_RESUMED_GONE_e
                       : (ev->recalled || ngx_chat_events_history_is_due(ev))
                         ? NGX_CHAT_RESUMED_HISTORY_e
                         : NGX_CHAT_RESUMED_RING_e, 1);
    }

    return ev->kind->begin(ev);
}


void
ngx_chat_events_part(ngx_chat_events_t *ev, ngx_uint_t broken)
{
    if (ev->ended) {
        return;
    }

    if (ev->is_waiting) {
        ngx_chat_request_resume(ev->request, ev->kind->part, ev);
        return;
    }

    ngx_chat_events_end(ev);
    ngx_chat_stream_end(&ev->stream, broken);
}


void
ngx_chat_events_end(ngx_chat_events_t *ev)
{
    if (ev->ended) {
        return;
    }

    ev->ended = 1;

    if (ev->timer && ev->timer->timer_set) {
        ngx_del_timer(ev->timer);
    }

    if (ev->opened) {
        ngx_chat_count(NGX_CHAT_READERS_e, -1);
    }

    ngx_chat_events_queue_remove(ev);
    ngx_chat_events_history_free(ev);

    ngx_chat_session_end(&ev->session);
}


/* A cleanup handler of the request, whoever ended it. */

static void
ngx_chat_events_cleanup(void *data)
{
    ngx_chat_events_end(data);
}


/* A ngx_chat_transport_t close(); may free ev. */

static void
ngx_chat_events_close(ngx_chat_session_t *s, ngx_uint_t code,
    ngx_str_t *reason)
{
    ngx_chat_events_t  *ev;

    ev = (ngx_chat_events_t *) s;

    if (ev->has_place) {
        ngx_chat_events_part(ev, 0);
        return;
    }

    /* it was refused, and its content handler answers */

    ngx_chat_session_leave(s);
}


/* A ngx_chat_transport_t abort(); may free ev. */

static void
ngx_chat_events_abort(ngx_chat_session_t *s)
{
    ngx_chat_events_part((ngx_chat_events_t *) s, 1);
}


/* A ngx_chat_transport_t wake(). */

static void
ngx_chat_events_wake(ngx_chat_session_t *s)
{
    ngx_chat_events_t  *ev;

    ev = (ngx_chat_events_t *) s;

    ev->kind->wake(ev);
}


void
ngx_chat_events_exit(void)
{
    ngx_chat_events_ring_exit();
    ngx_chat_events_history_exit();

    ngx_free(ngx_chat_events_answer_begun.data);
}
