
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * One client's session: greeting, errors, the end.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <openssl/rand.h>

#include <pusher/ngx_chat_error.h>
#include <pusher/ngx_chat_event.h>
#include <pusher/ngx_chat_name.h>
#include <session/ngx_chat_hook_notice.h>
#include <session/ngx_chat_session.h>
#include <shared/ngx_chat_incident.h>


#define NGX_CHAT_SESSION_ENDS  64          /* sessions ended in one turn */


static ngx_int_t ngx_chat_session_begin(ngx_chat_sessions_t *w,
    ngx_chat_session_t *s);
static ngx_uint_t ngx_chat_session_quota(ngx_chat_session_t *s);
static ngx_int_t ngx_chat_session_random(ngx_chat_socket_id_t *id);
static void *ngx_chat_session_alloc(void *ctx, size_t size);


ngx_int_t
ngx_chat_session_open(ngx_chat_sessions_t *w, ngx_chat_session_t *s,
    ngx_chat_app_t *app)
{
    ngx_uint_t  code;

    s->app = app;

    if (ngx_chat_session_begin(w, s) != NGX_OK) {
        return NGX_ERROR;
    }

    if (app->authorization_timeout && !s->is_reader) {
        s->is_anonymous = 1;
        s->opened = ngx_current_msec;
        ngx_queue_insert_tail(&w->anonymous, &s->anonymous);

    } else {
        code = ngx_chat_session_quota(s);

        if (code) {
            ngx_chat_session_count_refused(code);
            ngx_chat_session_fail(s, code, NULL);
            return NGX_DONE;
        }
    }

    ngx_chat_count(NGX_CHAT_CONNECTIONS_TOTAL_e, 1);

    s->is_told = !s->is_reader;

    return NGX_OK;
}


void
ngx_chat_session_greet(ngx_chat_session_t *s)
{
    ngx_chat_session_render(s, ngx_chat_event_render_established,
                            &s->subscriber.id,
                            s->conf->activity_timeout / 1000,
                            s->recovery ? s->conf->recovery : 0);
}


void
ngx_chat_session_refuse(ngx_chat_sessions_t *w, ngx_chat_session_t *s,
    ngx_uint_t code, const char *text, ngx_str_t *arg)
{
    if (ngx_chat_session_begin(w, s) != NGX_OK) {
        s->transport->abort(s);
        return;
    }

    ngx_chat_session_count_refused(code);

    ngx_chat_session_fail_text(s, code,
                               text ? text : ngx_chat_error_text(code), arg);
}


void
ngx_chat_session_count_refused(ngx_uint_t code)
{
    ngx_uint_t  i;

    /* codes in the order of the counters; any other code is a lack of room */

    static ngx_uint_t  codes[] = {
        NGX_CHAT_ERROR_TLS_ONLY, NGX_CHAT_ERROR_UNKNOWN_KEY,
        NGX_CHAT_ERROR_DISABLED, NGX_CHAT_ERROR_QUOTA,
        NGX_CHAT_ERROR_PATH, NGX_CHAT_ERROR_PROTOCOL
    };

    for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (codes[i] == code) {
            break;
        }
    }

    ngx_chat_count(NGX_CHAT_CONN_REFUSED_e + i, 1);
}


void
ngx_chat_session_fail(ngx_chat_session_t *s, ngx_uint_t code, ngx_str_t *arg)
{
    ngx_chat_session_fail_text(s, code, ngx_chat_error_text(code), arg);
}


void
ngx_chat_session_fail_text(ngx_chat_session_t *s, ngx_uint_t code,
    const char *text, ngx_str_t *arg)
{
    u_char     buf[NGX_CHAT_ERROR_TEXT_MAX];
    ngx_str_t  reason;

    s->forget = (code >= 4000 && code < 4100);

    ngx_chat_session_error(s, code, text, arg);

    reason.data = buf;
    reason.len = ngx_chat_error_format(buf, sizeof(buf), text, arg);

    s->transport->close(s, code, &reason);
}


void
ngx_chat_session_send(ngx_chat_session_t *s, ngx_chat_buf_t *b)
{
    ngx_int_t  rc;

    rc = NGX_OK;

    if (b != NULL) {
        b->is_answer = 1;
    }

    if (!s->closed && !s->is_ending && !s->is_reader) {
        rc = (b == NULL) ? NGX_ERROR
                         : ngx_chat_outbox_send(&s->outbox, s->connection, b,
                                                s->conf->send_buffer, 0);
    }

    if (b != NULL) {
        ngx_chat_buf_release(b);
    }

    ngx_chat_session_check_rc(s, rc);
}


void
ngx_chat_session_send_text(ngx_chat_session_t *s, u_char *text, size_t len)
{
    ngx_chat_session_send(s, ngx_chat_session_frame_text(text, len,
                                                       s->connection->log));
}


void
ngx_chat_session_check_rc(ngx_chat_session_t *s, ngx_int_t rc)
{
    if (rc == NGX_OK || rc == NGX_AGAIN) {
        return;
    }

    if (rc == NGX_BUSY) {
        s->slow = 1;

    } else {
        s->broken = 1;
    }

    ngx_chat_session_end_later(s);
}


void
ngx_chat_session_end_later(ngx_chat_session_t *s)
{
    if (s->is_ending || s->closed) {
        return;
    }

    s->is_ending = 1;
    ngx_queue_insert_tail(&s->sessions->ending, &s->ending);

    ngx_post_event(&s->sessions->end, &ngx_posted_events);
}


void
ngx_chat_session_end_handler(ngx_event_t *ev)
{
    ngx_uint_t            n;
    ngx_queue_t          *q;
    ngx_connection_t     *c;
    ngx_chat_sessions_t  *w;
    ngx_chat_session_t   *s;

    c = ev->data;
    w = c->data;

    for (n = 0; !ngx_queue_empty(&w->ending); n++) {

        if (n == NGX_CHAT_SESSION_ENDS) {
            /* all sessions may have to end: others are served in between */

            if (ev->posted) {
                ngx_delete_posted_event(ev);
            }

            ngx_post_event(ev, &ngx_posted_next_events);
            return;
        }

        q = ngx_queue_head(&w->ending);
        s = ngx_queue_data(q, ngx_chat_session_t, ending);

        /* of a queue that is not empty; the analyzer thinks it may be */

        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        ngx_queue_remove(q);
        s->is_ending = 0;

        if (s->broken) {
            ngx_chat_count(NGX_CHAT_CLOSED_BROKEN_e, 1);
            s->transport->abort(s);
            continue;
        }

        if (s->closed) {
            continue;
        }

        if (s->slow) {
            ngx_log_error(NGX_LOG_INFO, s->connection->log, 0,
                          "client reads too slowly, more than %uz bytes wait "
                          "for it", s->conf->send_buffer);

            ngx_chat_count(NGX_CHAT_CLOSED_SLOW_e, 1);
            ngx_chat_incident_note(NGX_CHAT_INCIDENT_SLOW_CLIENT_e,
                                   "app %V, %V", &s->app->id,
                                   &s->connection->addr_text);
            ngx_chat_outbox_truncate(&s->outbox);

        } else if (!s->terminated && !s->close_code) {
            ngx_chat_count(NGX_CHAT_CLOSED_OVERRUN_e, 1);
        }

        if (s->terminated) {
            ngx_chat_count(NGX_CHAT_CLOSED_TERMINATED_e, !s->slow);
            ngx_chat_session_fail_text(s, NGX_CHAT_ERROR_TERMINATED,
                                       NGX_CHAT_ERROR_TERMINATED_TEXT, NULL);
            continue;
        }

        ngx_chat_session_fail(s, s->close_code ? s->close_code
                                               : NGX_CHAT_ERROR_RECONNECT,
                              NULL);
    }
}


void
ngx_chat_session_leave(ngx_chat_session_t *s)
{
    if (s->closed) {
        return;
    }

    s->closed = 1;

    ngx_chat_session_unlist(s);

    ngx_chat_hub_unsubscribe_all(s->sessions->hub, &s->subscriber,
                                 !s->was_closed && !s->forget);

    if (s->in_quota) {
        s->in_quota = 0;
        ngx_chat_hub_connection_remove(s->sessions->hub,
                                       &s->sessions->quotas[s->app->index]);
    }

    ngx_chat_session_tell_end(s, s->end_code);

    ngx_chat_count(NGX_CHAT_CONNECTIONS_e, -1);

    ngx_queue_remove(&s->queue);
    s->sessions->nsessions--;
}


void
ngx_chat_session_tell_end(ngx_chat_session_t *s, ngx_uint_t code)
{
    ngx_chat_hook_notice_t  hook;

    if (!s->is_told) {
        return;
    }

    s->is_told = 0;

    hook.zone = s->sessions->hub->fanout.zone;
    hook.app = s->app->number;
    hook.id = &s->subscriber.id;
    hook.user = s->user ? &s->user->id : NULL;

    ngx_chat_hook_notice_closed(&hook, code);
}


void
ngx_chat_session_end(ngx_chat_session_t *s)
{
    if (s->sessions == NULL) {
        return;
    }

    ngx_chat_session_leave(s);

    if (s->is_dirty) {
        ngx_queue_remove(&s->dirty);
        s->is_dirty = 0;
    }

    if (s->is_ending) {
        ngx_queue_remove(&s->ending);
        s->is_ending = 0;
    }

    if (s->user) {
        ngx_free(s->user);
        s->user = NULL;
    }

    ngx_chat_outbox_count_sent(&s->outbox, s->connection);
    ngx_chat_outbox_clear(&s->outbox);
    s->sessions = NULL;
}


void
ngx_chat_session_authorized(ngx_chat_session_t *s)
{
    if (!s->is_anonymous) {
        return;
    }

    ngx_chat_session_unlist(s);

    s->close_code = ngx_chat_session_quota(s);

    if (s->close_code) {
        ngx_chat_session_count_refused(s->close_code);
        ngx_chat_session_end_later(s);
    }
}


void
ngx_chat_session_unlist(ngx_chat_session_t *s)
{
    if (s->is_anonymous) {
        s->is_anonymous = 0;
        ngx_queue_remove(&s->anonymous);
    }
}


void
ngx_chat_session_json(ngx_chat_session_t *s, ngx_chat_json_t *j)
{
    j->alloc = ngx_chat_session_alloc;
    j->ctx = s->sessions->scratch;
    j->error = NULL;
}


ngx_chat_buf_t *
ngx_chat_session_frame(ngx_uint_t opcode, ssize_t len, u_char **payload,
    ngx_log_t *log)
{
    ngx_chat_buf_t  *b;

    if (len == NGX_ERROR) {
        return NULL;
    }

    b = ngx_chat_buf_alloc(ngx_chat_frame_header_size(len) + len, log);

    if (b != NULL) {
        *payload = ngx_chat_frame_write_header(b->data, opcode, len);
    }

    return b;
}


ngx_chat_buf_t *
ngx_chat_session_frame_text(u_char *text, size_t len, ngx_log_t *log)
{
    u_char          *p;
    ngx_chat_buf_t  *b;

    b = ngx_chat_session_frame(NGX_CHAT_FRAME_TEXT, len, &p, log);

    if (b != NULL) {
        ngx_memcpy(p, text, len);
    }

    return b;
}


ngx_chat_buf_t *
ngx_chat_session_frame_close(ngx_uint_t code, ngx_str_t *reason,
    ngx_log_t *log)
{
    u_char          *p;
    size_t           len;
    ngx_chat_buf_t  *b;

    len = 0;

    if (code != NGX_CHAT_CLOSE_NO_STATUS) {
        len = 2 + ngx_chat_error_reason_len(reason->data, reason->len);
    }

    b = ngx_chat_session_frame(NGX_CHAT_FRAME_CLOSE, len, &p, log);

    if (b == NULL || len == 0) {
        return b;
    }

    *p++ = (u_char) (code >> 8);
    *p++ = (u_char) code;

    if (reason->len) {
        ngx_memcpy(p, reason->data, len - 2);
    }

    return b;
}


void
ngx_chat_session_error(ngx_chat_session_t *s, ngx_uint_t code,
    const char *text, ngx_str_t *arg)
{
    u_char     buf[NGX_CHAT_ERROR_TEXT_MAX];
    ngx_str_t  message;

    message.data = buf;
    message.len = ngx_chat_error_format(buf, sizeof(buf), text, arg);

    ngx_chat_session_render(s, ngx_chat_event_render_error, code, &message);
}


void
ngx_chat_session_log_full(ngx_chat_session_t *s, ngx_str_t *channel)
{
    ngx_uint_t  level;

    level = (s->sessions->alerted == ngx_time()) ? NGX_LOG_INFO
                                                 : NGX_LOG_ALERT;
    s->sessions->alerted = ngx_time();

    ngx_chat_incident_note(NGX_CHAT_INCIDENT_ZONE_FULL_e, "app %V",
                           &s->app->id);

    ngx_log_error(level, s->connection->log, 0,
                  "chat can't subscribe to \"%V\": chat_zone is full for app "
                  "\"%V\"", channel, &s->app->id);
}


ngx_int_t
ngx_chat_session_envelope(ngx_chat_session_t *s, ngx_chat_envelope_t *e,
    ngx_str_t *channel, ssize_t len)
{
    if (len == NGX_ERROR) {
        return NGX_ERROR;
    }

    ngx_memzero(e, sizeof(ngx_chat_envelope_t));

    e->type = NGX_CHAT_ENVELOPE_EVENT_e;
    e->app = s->app->number;
    e->except = s->subscriber.id;
    e->channel = *channel;
    e->payload.len = len;
    e->payload.data = ngx_pnalloc(s->sessions->scratch, len);

    return e->payload.data ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_chat_session_begin(ngx_chat_sessions_t *w, ngx_chat_session_t *s)
{
    ngx_queue_init(&s->subscriber.subscriptions);

    s->sessions = w;
    ngx_queue_insert_tail(&w->sessions, &s->queue);
    w->nsessions++;

    ngx_chat_count(NGX_CHAT_CONNECTIONS_e, 1);

    return ngx_chat_session_random(&s->subscriber.id);
}


/* Counts the session for max_connections: 0, or the code to refuse it with. */

static ngx_uint_t
ngx_chat_session_quota(ngx_chat_session_t *s)
{
    ngx_uint_t                   max, total, others;
    ngx_chat_sessions_t         *w;
    ngx_chat_slot_channel_sh_t **quota;

    static ngx_str_t  name = ngx_string(NGX_CHAT_NAME_CONNECTIONS);

    w = s->sessions;
    max = s->app->max_connections;

    if (w->store && ngx_chat_store_is_isolated(w->store) && !s->is_operator) {
        return NGX_CHAT_ERROR_CAPACITY;
    }

    if (max == 0 || s->is_operator) {
        return 0;
    }

    quota = &w->quotas[s->app->index];

    if (ngx_chat_hub_connection_add(w->hub, s->app->number, quota, &total,
                                    &others)
        != NGX_OK)
    {
        ngx_chat_session_log_full(s, &name);
        return NGX_CHAT_ERROR_CAPACITY;
    }

    if (total + others <= max) {
        s->in_quota = 1;
        return 0;
    }

    ngx_chat_hub_connection_remove(w->hub, quota);

    /* those of other nodes may be gone, and clients try that again */
    return (total > max) ? NGX_CHAT_ERROR_QUOTA : NGX_CHAT_ERROR_CAPACITY;
}


/*
 * Two numbers of 1..9999999999: 66 bits that nobody can guess, since a
 * signature for a socket id stays good for whoever has that id later.
 */

static ngx_int_t
ngx_chat_session_random(ngx_chat_socket_id_t *id)
{
    if (RAND_bytes((u_char *) id, sizeof(ngx_chat_socket_id_t)) != 1) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "RAND_bytes() failed");
        return NGX_ERROR;
    }

    id->high = id->high % NGX_CHAT_SESSION_IDS + 1;
    id->low = id->low % NGX_CHAT_SESSION_IDS + 1;

    return NGX_OK;
}


static void *
ngx_chat_session_alloc(void *ctx, size_t size)
{
    return ngx_palloc(ctx, size);
}
