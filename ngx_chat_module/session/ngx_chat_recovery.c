
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Recovery: asking clients what they have, and telling them what they missed.
 *
 * A client is asked by a pusher:ping, which the code of the page answers behind
 * its handlers of all events before it.  One ping is out at a time, and one in
 * a second is enough.  Clients that are not pusher-js are asked by the Ping of
 * WebSocket.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <pusher/ngx_chat_error.h>
#include <pusher/ngx_chat_event.h>
#include <session/ngx_chat_recovery.h>
#include <shared/ngx_chat_incident.h>
#include <shared/ngx_chat_turn.h>


#define NGX_CHAT_RECOVERY_PAUSE   1000     /* ms from a pong to the next ping */
#define NGX_CHAT_RECOVERY_LOST    30000    /* ms until an answer is lost */
#define NGX_CHAT_RECOVERY_BYTES   65536    /* delivered, to ask without the
                                              pause */
#define NGX_CHAT_RECOVERY_ASKS    128      /* clients asked in one turn */
#define NGX_CHAT_RECOVERY_PINGS   31       /* most that are out */
#define NGX_CHAT_RECOVERY_PLACE   16       /* bytes of a place's text */


static void ngx_chat_recovery_due(ngx_chat_recovery_t *r);
static void ngx_chat_recovery_ask(ngx_chat_recovery_t *r);
static void ngx_chat_recovery_render_place(ngx_str_t *text, u_char *buf,
    ngx_chat_ring_place_t *place);


/* the worker's, since a session's part may outlive the session */
static ngx_chat_zone_t  *ngx_chat_recovery_zone;


void
ngx_chat_recovery_open(ngx_chat_session_t *s, ngx_str_t *token)
{
    ngx_int_t             rc;
    ngx_chat_hub_t       *hub;
    ngx_chat_recovery_t  *r;

    if (token == NULL || s->conf->recovery == 0) {
        return;
    }

    hub = s->sessions->hub;
    ngx_chat_recovery_zone = hub->fanout.zone;

    r = ngx_calloc(sizeof(ngx_chat_recovery_t), s->connection->log);

    if (r == NULL) {
        return;
    }

    r->session = s;
    r->owner = s->subscriber.id.low;
    r->since = (uint32_t) ngx_current_msec - NGX_CHAT_RECOVERY_PAUSE;
    r->digest = ngx_chat_token_digest(hub->fanout.zone, s->app->number,
                                      token);

    s->subscriber.id.high = r->digest % NGX_CHAT_SESSION_IDS + 1;

    rc = ngx_chat_token_open(hub->fanout.zone, hub->fanout.slot,
                             s->app->number, r->digest, r->owner,
                             s->conf->recovery);

    if (rc == NGX_BUSY) {
        /* it is told so: nothing is known of its token */

        ngx_log_error(NGX_LOG_WARN, s->connection->log, 0,
                      "chat_zone is full, a client can't recover what it "
                      "misses");

        ngx_chat_incident_note(NGX_CHAT_INCIDENT_ZONE_FULL_e, "app %V",
                               &s->app->id);
    }

    r->is_expired = (rc == NGX_DONE);

    s->recovery = r;
    s->has_token = 1;
    s->subscriber.shares_high = 1;
}


ngx_int_t
ngx_chat_recovery_floor(ngx_chat_session_t *s, ngx_str_t *channel,
    ngx_chat_ring_place_t *from)
{
    return ngx_chat_token_floor(ngx_chat_recovery_zone, s->recovery->digest,
                                s->recovery->owner, channel, from);
}


void
ngx_chat_recovery_subscribed(ngx_chat_session_t *s,
    ngx_chat_registry_join_t *j, ngx_chat_replay_history_t *history,
    ngx_chat_replay_t *result)
{
    ngx_uint_t            counter;
    ngx_chat_recovery_t  *r;

    ngx_memzero(result, sizeof(ngx_chat_replay_t));

    r = s->recovery;

    if (r == NULL) {
        return;
    }

    switch (ngx_chat_recovery_floor(s, j->name, &result->from)) {

    case NGX_OK:
        counter = ngx_chat_replay_find(s, j, history, result);
        break;

    case NGX_DECLINED:
        counter = r->is_expired ? NGX_CHAT_RECOVERY_EXPIRED_e
                                : NGX_CHAT_RECOVERY_NEW_e;
        break;

    case NGX_BUSY:
        counter = NGX_CHAT_RECOVERY_SHARED_e;
        break;

    default: /* NGX_DONE, NGX_ABORT */
        counter = NGX_CHAT_RECOVERY_GONE_e;
        break;
    }

    ngx_chat_count(counter, 1);

    result->token = 1;
    result->recovered = (counter == NGX_CHAT_RECOVERY_RING_e
                         || counter == NGX_CHAT_RECOVERY_HISTORY_e);

    /*
     * The floor stands even where nothing was missed: the client may not hear
     * of it, and would not know the place that is named next time.
     */

    ngx_chat_token_subscribed(ngx_chat_recovery_zone, r->digest, r->owner,
                              j->name, &j->start, result->recovered);
}


void
ngx_chat_recovery_send(ngx_chat_session_t *s, ngx_str_t *channel,
    ngx_chat_replay_t *result)
{
    u_char     buf[NGX_CHAT_RECOVERY_PLACE];
    ngx_str_t  from;

    ngx_chat_recovery_render_place(&from, buf, &result->from);

    ngx_chat_session_render(s, ngx_chat_event_render_recovery, channel,
                            result->recovered ? &from : NULL,
                            result->missed);

    if (result->events) {
        ngx_chat_count(NGX_CHAT_RECOVERED_EVENTS_e, result->missed);
        ngx_chat_recovery_delivered(s, result->events->len);
        ngx_chat_session_send(s, result->events);
    }

    /* the client is asked whether it has heard that */

    if (!result->recovered) {
        ngx_chat_recovery_delivered(s, 1);
    }
}


void
ngx_chat_recovery_unsubscribed(ngx_chat_session_t *s, ngx_str_t *channel)
{
    if (s->recovery) {
        ngx_chat_token_unsubscribed(ngx_chat_recovery_zone,
                                    s->recovery->digest, s->recovery->owner,
                                    channel);
    }
}


void
ngx_chat_recovery_delivered(ngx_chat_session_t *s, size_t len)
{
    ngx_chat_recovery_t  *r;

    r = s->recovery;

    r->bytes = ngx_min(r->bytes + len, NGX_CHAT_RECOVERY_BYTES);

    if (!r->pings) {
        ngx_chat_recovery_due(r);
        return;
    }

    /*
     * An answer may be late, and is then the answer to a ping behind it as
     * well, as far as one can see.  So the client is not asked again, it has to
     * come back.
     */

    if (s->transport->is_lossy && !r->is_parting && !s->is_ending
        && s->outbox.queued <= r->bytes        /* the ping has left */
        && (uint32_t) ngx_current_msec - r->since > NGX_CHAT_RECOVERY_LOST)
    {
        ngx_log_error(NGX_LOG_INFO, s->connection->log, 0,
                      "client's answer to pusher:ping was lost, it is told to "
                      "come back");

        ngx_chat_count(NGX_CHAT_CLOSED_SILENT_e, 1);
        s->close_code = NGX_CHAT_ERROR_RECONNECT;
        ngx_chat_session_end_later(s);
    }
}


void
ngx_chat_recovery_used(ngx_chat_session_t *s)
{
    if (s->recovery == NULL) {
        return;
    }

    if (ngx_chat_token_used(ngx_chat_recovery_zone,
                            s->recovery->digest, s->recovery->owner))
    {
        ngx_chat_count(NGX_CHAT_TOKENS_SHARED_e, 1);

        ngx_log_error(NGX_LOG_INFO, s->connection->log, 0,
                      "two clients use the same chat token at a time, neither "
                      "gets what it misses");
    }
}


void
ngx_chat_recovery_pong(ngx_chat_session_t *s, ngx_str_t *text)
{
    u_char                buf[NGX_CHAT_RECOVERY_PLACE];
    ngx_str_t             at;
    ngx_chat_recovery_t  *r;

    r = s->recovery;

    if (r == NULL || r->pings == 0) {
        return;
    }

    if (text) {

        /* not a Pong that the client has sent of its own accord */

        ngx_chat_recovery_render_place(&at, buf, &r->asked);

        if (text->len != at.len
            || ngx_memcmp(text->data, at.data, at.len) != 0)
        {
            return;
        }

        r->pings = 1;
    }

    /* of several pings, the last one is behind all */

    if (--r->pings) {
        return;
    }

    r->since = (uint32_t) ngx_current_msec;

    ngx_chat_count(NGX_CHAT_ACKNOWLEDGED_e, 1);

    ngx_chat_token_acknowledged(ngx_chat_recovery_zone, r->digest,
                                r->owner, &r->asked, 0);

    if (r->is_parting) {
        s->close_code = NGX_CHAT_ERROR_RECONNECT;
        ngx_chat_session_end_later(s);

    } else if (r->bytes) {
        ngx_chat_recovery_due(r);
    }
}


ngx_int_t
ngx_chat_recovery_part(ngx_chat_session_t *s)
{
    ngx_chat_recovery_t  *r;

    r = s->recovery;

    if (r == NULL || (r->bytes == 0 && r->pings == 0)) {
        return NGX_DECLINED;
    }

    r->is_parting = 1;
    s->is_withheld = 1;

    ngx_chat_recovery_ask(r);

    /* not to be asked again: it is due when its time is over */

    ngx_chat_recovery_due(r);

    return NGX_OK;
}


void
ngx_chat_recovery_end(ngx_chat_session_t *s)
{
    ngx_chat_recovery_t   *r;
    ngx_chat_token_end_e   how;

    r = s->recovery;

    if (r == NULL || r->session == NULL) {
        return;
    }

    how = (s->forget || s->terminated) ? NGX_CHAT_TOKEN_FORGET_e
                    : s->slow ? NGX_CHAT_TOKEN_SLOW_e
                              : NGX_CHAT_TOKEN_PARK_e;

    ngx_chat_token_end(ngx_chat_recovery_zone, r->digest, r->owner, how);

    if (r->is_due) {
        r->is_due = 0;
        ngx_queue_remove(&r->queue);
        s->sessions->nasking--;
    }

    r->session = NULL;
    s->has_token = 0;
}


ngx_chat_recovery_t *
ngx_chat_recovery_detach(ngx_chat_session_t *s)
{
    ngx_chat_recovery_t  *r;

    r = s->recovery;
    s->recovery = NULL;

    if (r != NULL && !(r->is_parting && r->pings)) {
        ngx_chat_recovery_free(r);
        return NULL;
    }

    return r;
}


void
ngx_chat_recovery_closed(ngx_chat_recovery_t *r)
{
    ngx_chat_token_acknowledged(ngx_chat_recovery_zone, r->digest, r->owner,
                                &r->asked, 1);
}


void
ngx_chat_recovery_free(ngx_chat_recovery_t *r)
{
    ngx_free(r);
}


void
ngx_chat_recovery_tick(ngx_chat_sessions_t *w)
{
    uint32_t              passed;
    ngx_uint_t            n, asks;
    ngx_queue_t          *q;
    ngx_chat_recovery_t  *r;

    asks = NGX_CHAT_RECOVERY_ASKS;

    for (n = w->nasking; n && asks; n--) {

        q = ngx_queue_head(&w->asking);
        r = ngx_queue_data(q, ngx_chat_recovery_t, queue);

        /* of a queue that is not empty; the analyzer thinks it may be */

        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        ngx_queue_remove(q);

        passed = (uint32_t) ngx_current_msec - r->since;

        if (passed < NGX_CHAT_RECOVERY_PAUSE
            && (r->is_parting || r->bytes < NGX_CHAT_RECOVERY_BYTES))
        {
            ngx_queue_insert_tail(&w->asking, q);
            continue;
        }

        r->is_due = 0;
        w->nasking--;
        asks--;

        if (r->is_parting) {
            r->session->close_code = NGX_CHAT_ERROR_RECONNECT;
            ngx_chat_session_end_later(r->session);

        } else {
            ngx_chat_recovery_ask(r);
        }
    }

    ngx_chat_turn_add(0);

    if (n) {
        ngx_post_event(&w->ask, &ngx_posted_next_events);
    }
}


static void
ngx_chat_recovery_due(ngx_chat_recovery_t *r)
{
    if (!r->is_due) {
        r->is_due = 1;
        ngx_queue_insert_tail(&r->session->sessions->asking, &r->queue);
        r->session->sessions->nasking++;
    }
}


static void
ngx_chat_recovery_ask(ngx_chat_recovery_t *r)
{
    u_char               buf[NGX_CHAT_RECOVERY_PLACE];
    ngx_str_t            at;
    ngx_chat_hub_t      *hub;
    ngx_chat_session_t  *s;

    s = r->session;
    hub = s->sessions->hub;

    /* the worker's place has the mark of another database for a moment */

    if (r->pings == NGX_CHAT_RECOVERY_PINGS
        || hub->renewed != hub->fanout.zone->sh->renewed
        || ngx_chat_token_asked(hub->fanout.zone, r->digest,
                                r->owner)
           != NGX_OK)
    {
        r->since = (uint32_t) ngx_current_msec;
        return;
    }

    ngx_chat_fanout_place(&hub->fanout, &s->subscriber, &r->asked);
    ngx_chat_recovery_render_place(&at, buf, &r->asked);

    r->bytes = 0;
    r->pings++;
    r->since = (uint32_t) ngx_current_msec;

    if (s->is_js) {
        ngx_chat_session_render(s, ngx_chat_event_render_ping, &at);

    } else {
        s->transport->ping(s, &at);
    }
}


/* Opaque for clients: the position in hexadecimal. */

static void
ngx_chat_recovery_render_place(ngx_str_t *text, u_char *buf,
    ngx_chat_ring_place_t *place)
{
    text->data = buf;
    text->len = ngx_sprintf(buf, "%xL", place->position) - buf;
}
