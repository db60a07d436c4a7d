
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * One client's life: greeting, commands, errors, the end.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <openssl/rand.h>

#include <pusher/ngx_chat_command.h>
#include <pusher/ngx_chat_error.h>
#include <pusher/ngx_chat_event.h>
#include <pusher/ngx_chat_name.h>
#include <session/ngx_chat_client_event.h>
#include <session/ngx_chat_session.h>
#include <session/ngx_chat_signin.h>
#include <session/ngx_chat_subscribe.h>
#include <session/ngx_chat_worker.h>


#define NGX_CHAT_SESSION_IDS   9999999999
#define NGX_CHAT_SESSION_DRAW  128         /* random numbers, an even one */


static ngx_int_t ngx_chat_session_begin(ngx_chat_worker_t *w,
    ngx_chat_session_t *s);
static ngx_uint_t ngx_chat_session_quota(ngx_chat_session_t *s);
static void ngx_chat_session_count_refused(ngx_uint_t code);
static ngx_int_t ngx_chat_session_random(ngx_chat_socket_id_t *id);
static void ngx_chat_session_command(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd);
static void ngx_chat_session_pong(ngx_chat_session_t *s);
static void *ngx_chat_session_alloc(void *ctx, size_t size);


ngx_int_t
ngx_chat_session_open(ngx_chat_worker_t *w, ngx_chat_session_t *s,
    ngx_chat_app_t *app)
{
    ngx_uint_t  code;

    s->app = app;

    if (ngx_chat_session_begin(w, s) != NGX_OK) {
        return NGX_ERROR;
    }

    if (app->authorization_timeout) {
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

    ngx_chat_session_render(s, ngx_chat_event_render_established,
                            &s->subscriber.id,
                            s->conf->activity_timeout / 1000);

    return NGX_OK;
}


void
ngx_chat_session_refuse(ngx_chat_worker_t *w, ngx_chat_session_t *s,
    ngx_uint_t code, ngx_str_t *arg)
{
    if (ngx_chat_session_begin(w, s) != NGX_OK) {
        s->transport->abort(s);
        return;
    }

    ngx_chat_session_count_refused(code);

    ngx_chat_session_fail(s, code, arg);
}


void
ngx_chat_session_message(ngx_chat_session_t *s, u_char *text, size_t len)
{
    ngx_int_t           rc;
    ngx_chat_json_t     json;
    ngx_chat_command_t  cmd;

    /* whoever is about to be told to go has no say any more */

    if (s->is_doomed) {
        return;
    }

    ngx_chat_count(NGX_CHAT_COMMANDS_e, 1);

    /* whatever happens below, the session lives on up to a posted event */

    ngx_chat_session_json(s, &json);

    rc = ngx_chat_command_read(&cmd, &json, text, len);

    switch (rc) {

    case NGX_OK:
        ngx_chat_session_command(s, &cmd);
        break;

    case NGX_DECLINED:
        ngx_log_error(NGX_LOG_INFO, s->connection->log, 0,
                      "client sent invalid chat message: %s", json.error);

        ngx_chat_count(NGX_CHAT_INVALID_e, 1);
        ngx_chat_session_error(s, 0, json.error, NULL);
        break;

    default:
        s->broken = 1;
        ngx_chat_worker_doom(s);
        break;
    }

    ngx_reset_pool(s->worker->scratch);
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

    ngx_chat_session_error(s, code, text, arg);

    reason.data = buf;
    reason.len = ngx_chat_error_format(buf, sizeof(buf), text, arg);

    s->transport->close(s, code, &reason);
}


void
ngx_chat_session_send(ngx_chat_session_t *s, ngx_chat_buf_t *b)
{
    ngx_int_t  rc;

    if (s->closed || s->is_doomed) {

        if (b != NULL) {
            ngx_chat_buf_release(b);
        }

        return;
    }

    rc = NGX_ERROR;

    if (b != NULL) {
        rc = ngx_chat_outbox_send(&s->outbox, s->connection, b,
                                  s->conf->send_buffer, 0);
        ngx_chat_buf_release(b);
    }

    if (rc == NGX_OK || rc == NGX_AGAIN) {
        return;
    }

    if (rc == NGX_BUSY) {
        s->slow = 1;

    } else {
        s->broken = 1;
    }

    ngx_chat_worker_doom(s);
}


void
ngx_chat_session_leave(ngx_chat_session_t *s)
{
    if (s->closed) {
        return;
    }

    s->closed = 1;

    ngx_chat_session_unlist(s);

    ngx_chat_hub_leave(s->worker->hub, &s->subscriber);

    if (s->in_quota) {
        s->in_quota = 0;
        ngx_chat_hub_release(s->worker->hub,
                             &s->worker->quotas[s->app->index]);
    }

    ngx_chat_count(NGX_CHAT_CONNECTIONS_e, -1);

    ngx_queue_remove(&s->queue);
    s->worker->nsessions--;
}


void
ngx_chat_session_end(ngx_chat_session_t *s)
{
    if (s->worker == NULL) {
        return;
    }

    ngx_chat_session_leave(s);

    if (s->is_dirty) {
        ngx_queue_remove(&s->dirty);
        s->is_dirty = 0;
    }

    if (s->is_doomed) {
        ngx_queue_remove(&s->doomed);
        s->is_doomed = 0;
    }

    if (s->user) {
        ngx_free(s->user);
        s->user = NULL;
    }

    ngx_chat_outbox_settle(&s->outbox, s->connection);
    ngx_chat_outbox_clear(&s->outbox);
    s->worker = NULL;
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
        ngx_chat_worker_doom(s);
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
    j->ctx = s->worker->scratch;
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


static ngx_int_t
ngx_chat_session_begin(ngx_chat_worker_t *w, ngx_chat_session_t *s)
{
    ngx_queue_init(&s->subscriber.subscriptions);

    s->worker = w;
    ngx_queue_insert_tail(&w->sessions, &s->queue);
    w->nsessions++;

    ngx_chat_count(NGX_CHAT_CONNECTIONS_e, 1);

    return ngx_chat_session_random(&s->subscriber.id);
}


/* Counts for max_connections: 0, or the code of why it may not. */

static ngx_uint_t
ngx_chat_session_quota(ngx_chat_session_t *s)
{
    ngx_uint_t                    total;
    ngx_chat_worker_t            *w;
    ngx_chat_slot_channel_sh_t  **quota;

    if (s->app->max_connections == 0) {
        return 0;
    }

    w = s->worker;
    quota = &w->quotas[s->app->index];

    if (ngx_chat_hub_acquire(w->hub, s->app->number, quota, &total)
        != NGX_OK)
    {
        return NGX_CHAT_ERROR_CAPACITY;
    }

    if (total > (ngx_uint_t) s->app->max_connections) {
        ngx_chat_hub_release(w->hub, quota);
        return NGX_CHAT_ERROR_QUOTA;
    }

    s->in_quota = 1;

    return 0;
}


static void
ngx_chat_session_count_refused(ngx_uint_t code)
{
    ngx_chat_counter_e  counter;

    switch (code) {

    case NGX_CHAT_ERROR_TLS_ONLY:
        counter = NGX_CHAT_REFUSED_TLS_ONLY_e;
        break;

    case NGX_CHAT_ERROR_UNKNOWN_KEY:
        counter = NGX_CHAT_REFUSED_UNKNOWN_KEY_e;
        break;

    case NGX_CHAT_ERROR_DISABLED:
        counter = NGX_CHAT_REFUSED_DISABLED_e;
        break;

    case NGX_CHAT_ERROR_QUOTA:
        counter = NGX_CHAT_REFUSED_QUOTA_e;
        break;

    case NGX_CHAT_ERROR_PATH:
        counter = NGX_CHAT_REFUSED_PATH_e;
        break;

    case NGX_CHAT_ERROR_PROTOCOL:
        counter = NGX_CHAT_REFUSED_PROTOCOL_e;
        break;

    default: /* NGX_CHAT_ERROR_CAPACITY */
        counter = NGX_CHAT_REFUSED_CAPACITY_e;
    }

    ngx_chat_count(counter, 1);
}


/*
 * Two numbers of 1..9999999999: 66 bits that nobody can guess, since a
 * signature for a socket id stays good for whoever has that id later.  Many
 * are drawn at a time, which is as good and much cheaper.
 */

static ngx_int_t
ngx_chat_session_random(ngx_chat_socket_id_t *id)
{
    uint64_t  *n;

    static uint64_t    numbers[NGX_CHAT_SESSION_DRAW];
    static ngx_uint_t  left;

    if (left == 0) {

        if (RAND_bytes((u_char *) numbers, sizeof(numbers)) != 1) {
            ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                          "RAND_bytes() failed");
            return NGX_ERROR;
        }

        left = NGX_CHAT_SESSION_DRAW;
    }

    left -= 2;
    n = &numbers[left];

    id->high = n[0] % NGX_CHAT_SESSION_IDS + 1;
    id->low = n[1] % NGX_CHAT_SESSION_IDS + 1;

    /* used once */
    ngx_memzero(n, 2 * sizeof(uint64_t));

    return NGX_OK;
}


static void
ngx_chat_session_command(ngx_chat_session_t *s, ngx_chat_command_t *cmd)
{
    switch (cmd->type) {

    case NGX_CHAT_COMMAND_SUBSCRIBE_e:
        ngx_chat_subscribe(s, cmd);
        return;

    case NGX_CHAT_COMMAND_UNSUBSCRIBE_e:
        ngx_chat_unsubscribe(s, cmd);
        return;

    case NGX_CHAT_COMMAND_PING_e:
        ngx_chat_session_pong(s);
        return;

    case NGX_CHAT_COMMAND_PONG_e:
        return;

    case NGX_CHAT_COMMAND_SIGNIN_e:
        ngx_chat_signin(s, cmd);
        return;

    case NGX_CHAT_COMMAND_CLIENT_EVENT_e:
        ngx_chat_client_event(s, cmd);
        return;

    default:
        ngx_chat_count(NGX_CHAT_INVALID_e, 1);
        ngx_chat_session_error(s, 0, NGX_CHAT_ERROR_UNSUPPORTED, &cmd->event);
    }
}


static void
ngx_chat_session_pong(ngx_chat_session_t *s)
{
    u_char          *p;
    ngx_chat_buf_t  *b;

    static u_char  pong[] = "{\"event\":\"pusher:pong\",\"data\":\"{}\"}";

    b = ngx_chat_session_frame(NGX_CHAT_FRAME_TEXT, sizeof(pong) - 1, &p,
                               s->connection->log);
    if (b != NULL) {
        ngx_memcpy(p, pong, sizeof(pong) - 1);
    }

    ngx_chat_session_send(s, b);
}


static void *
ngx_chat_session_alloc(void *ctx, size_t size)
{
    return ngx_palloc(ctx, size);
}
