
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Sign-in.
 *
 * The sign-in subscribes the session to the user's own channel, whether or not
 * the client asks for that channel.  So events to the user go to each of the
 * user's connections once, and the user is online as long as that channel has
 * subscribers.  To watch a user, a session is subscribed to a channel that no
 * client can name.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_error.h>
#include <pusher/ngx_chat_event.h>
#include <pusher/ngx_chat_member.h>
#include <pusher/ngx_chat_name.h>
#include <pusher/ngx_chat_signature.h>
#include <session/ngx_chat_notice.h>
#include <session/ngx_chat_recovery.h>
#include <session/ngx_chat_signin.h>
#include <shared/ngx_chat_registry.h>


#define NGX_CHAT_SIGNIN_WATCHED  100       /* most users in a watchlist */


static ngx_int_t ngx_chat_signin_check(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd, ngx_chat_member_t *m);
static void ngx_chat_signin_invalid(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd, ngx_int_t rc);
static ngx_int_t ngx_chat_signin_enter(ngx_chat_session_t *s,
    ngx_chat_member_t *m, ngx_chat_replay_t *missed);
static ngx_int_t ngx_chat_signin_join(ngx_chat_session_t *s,
    const char *prefix, ngx_str_t *user, ngx_chat_replay_t *missed);
static void ngx_chat_signin_replay(ngx_chat_session_t *s,
    ngx_chat_replay_t *missed);
static void ngx_chat_signin_unwatch(ngx_chat_session_t *s,
    ngx_chat_json_value_t *list);
static ngx_uint_t ngx_chat_signin_is_listed(ngx_chat_json_value_t *list,
    ngx_chat_json_value_t *end, ngx_str_t *user);
static void ngx_chat_signin_watch(ngx_chat_session_t *s,
    ngx_chat_json_value_t *list);
static ngx_uint_t ngx_chat_signin_is_online(ngx_chat_session_t *s,
    ngx_str_t *user);


void
ngx_chat_signin(ngx_chat_session_t *s, ngx_chat_command_t *cmd)
{
    ngx_int_t          rc;
    ngx_chat_member_t  m;
    ngx_chat_replay_t  missed;

    ngx_memzero(&missed, sizeof(ngx_chat_replay_t));

    rc = ngx_chat_signin_check(s, cmd, &m);

    if (rc == NGX_OK) {
        rc = ngx_chat_signin_enter(s, &m, &missed);
    }

    if (rc == NGX_ABORT) {
        /* the client is told to reconnect */
        return;
    }

    if (rc != NGX_OK) {
        ngx_chat_count(NGX_CHAT_SIGNINS_REFUSED_e, 1);
        return;
    }

    ngx_chat_session_authorized(s);

    ngx_chat_session_render(s, ngx_chat_event_render_signin_success,
                            &cmd->user_data);

    if (missed.token) {
        ngx_chat_signin_replay(s, &missed);
    }

    ngx_chat_signin_unwatch(s, m.watchlist);

    if (m.watchlist && s->app->watchlist) {
        ngx_chat_signin_watch(s, m.watchlist);
    }
}


ngx_uint_t
ngx_chat_signin_is_own(ngx_chat_session_t *s, ngx_str_t *channel)
{
    size_t  len;

    len = sizeof(NGX_CHAT_NAME_USER) - 1;

    return s->user != NULL
           && channel->len == len + s->user->id.len
           && ngx_memcmp(channel->data + len, s->user->id.data,
                         s->user->id.len)
              == 0;
}


static ngx_int_t
ngx_chat_signin_check(ngx_chat_session_t *s, ngx_chat_command_t *cmd,
    ngx_chat_member_t *m)
{
    ngx_int_t        rc;
    ngx_chat_json_t  json;

    if (cmd->user_data.data == NULL) {
        ngx_chat_session_error(s, 0, NGX_CHAT_ERROR_SIGNIN_DATA, NULL);
        return NGX_DECLINED;
    }

    rc = NGX_ERROR;

    if (cmd->auth.data != NULL) {
        rc = ngx_chat_signature_check(s->app, &cmd->auth,
                                      &s->subscriber.id, NULL,
                                      &cmd->user_data);
    }

    if (rc != NGX_OK) {
        ngx_chat_signin_invalid(s, cmd, rc);
        return NGX_DECLINED;
    }

    ngx_chat_session_json(s, &json);

    rc = ngx_chat_member_read_user_data(m, &json, &cmd->user_data);

    if (rc != NGX_OK) {
        ngx_chat_session_error(s, 0, json.error ? json.error
                                                : "Server is out of memory",
                               NULL);
        return NGX_DECLINED;
    }

    if (s->user
        && (s->user->id.len != m->id.len
            || ngx_memcmp(s->user->id.data, m->id.data, m->id.len) != 0))
    {
        ngx_chat_session_error(s, 0, "Connection is signed in as another "
                               "user", NULL);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static void
ngx_chat_signin_invalid(ngx_chat_session_t *s, ngx_chat_command_t *cmd,
    ngx_int_t rc)
{
    u_char     buf[NGX_CHAT_ERROR_TEXT_MAX];
    ngx_str_t  text, key, signature;

    if (rc == NGX_DECLINED) {
        (void) ngx_chat_signature_split(&cmd->auth, &key, &signature);
        ngx_chat_session_error(s, 0, NGX_CHAT_ERROR_AUTH_KEY, &key);
        return;
    }

    text.data = buf;
    text.len = ngx_chat_signature_text(buf, sizeof(buf) / 2,
                                       &s->subscriber.id, NULL,
                                       &cmd->user_data);
    text.len = ngx_chat_signature_text_got(buf, text.len, sizeof(buf),
                                           &cmd->auth);

    ngx_chat_session_error(s, 0, NGX_CHAT_ERROR_SIGNATURE, &text);
}


/*
 * Keeps the user's id and info, and subscribes the user's own channel.  Of
 * several sign-ins of the user the last one counts.
 */

static ngx_int_t
ngx_chat_signin_enter(ngx_chat_session_t *s, ngx_chat_member_t *m,
    ngx_chat_replay_t *missed)
{
    u_char                   *p;
    ngx_int_t                 rc;
    ngx_chat_session_user_t  *user;

    rc = NGX_ERROR;

    user = ngx_alloc(sizeof(ngx_chat_session_user_t) + m->id.len
                     + m->info.len, s->connection->log);
    if (user == NULL) {
        goto failed;
    }

    p = (u_char *) user + sizeof(ngx_chat_session_user_t);

    user->id.data = p;
    user->id.len = m->id.len;
    p = ngx_cpymem(p, m->id.data, m->id.len);

    user->info.data = p;
    user->info.len = m->info.len;

    if (m->info.len) {
        ngx_memcpy(p, m->info.data, m->info.len);
    }

    if (s->user == NULL) {
        rc = ngx_chat_signin_join(s, NGX_CHAT_NAME_USER, &user->id,
                                  missed);

        if (rc != NGX_OK) {
            ngx_free(user);
            goto failed;
        }

    } else {
        ngx_free(s->user);
    }

    s->user = user;

    return NGX_OK;

failed:

    ngx_chat_session_error(s, 0, "Server is over capacity", NULL);

    return rc;
}


/* *missed, which may be NULL, becomes what the session has missed. */

static ngx_int_t
ngx_chat_signin_join(ngx_chat_session_t *s, const char *prefix,
    ngx_str_t *user, ngx_chat_replay_t *missed)
{
    u_char                    buf[NGX_CHAT_NOTICE_NAME];
    ngx_int_t                 rc;
    ngx_str_t                 name;
    ngx_chat_registry_join_t  j;

    ngx_chat_notice_name(&name, buf, prefix, user);

    ngx_memzero(&j, sizeof(ngx_chat_registry_join_t));

    j.app = s->app->number;
    j.name = &name;

    rc = ngx_chat_hub_subscribe(s->sessions->hub, &s->subscriber, &j);

    if (rc == NGX_BUSY) {
        ngx_chat_session_log_full(s, &name);
    }

    if (rc == NGX_OK && missed) {
        ngx_chat_recovery_subscribed(s, &j, NULL, missed);
    }

    return rc;
}


/*
 * The events of the user's own channel follow the sign-in, since live ones do
 * so, too.  The client may subscribe to that channel later.
 */

static void
ngx_chat_signin_replay(ngx_chat_session_t *s, ngx_chat_replay_t *missed)
{
    u_char     buf[NGX_CHAT_NOTICE_NAME];
    ngx_str_t  name;

    s->user_recovered = missed->recovered;

    ngx_chat_notice_name(&name, buf, NGX_CHAT_NAME_USER, &s->user->id);
    ngx_chat_recovery_send(s, &name, missed);
}


/* Ends the watch of users of an earlier sign-in that are not in the list. */

static void
ngx_chat_signin_unwatch(ngx_chat_session_t *s, ngx_chat_json_value_t *list)
{
    size_t                    len;
    u_char                    buf[NGX_CHAT_NOTICE_NAME];
    ngx_str_t                 name, user;
    ngx_queue_t              *q, *next;
    ngx_chat_subscription_t  *sn;

    len = sizeof(NGX_CHAT_NAME_WATCH) - 1;

    for (q = ngx_queue_head(&s->subscriber.subscriptions);
         q != ngx_queue_sentinel(&s->subscriber.subscriptions);
         q = next)
    {
        next = ngx_queue_next(q);
        sn = ngx_queue_data(q, ngx_chat_subscription_t, queue);
        name = sn->channel->name;

        if (name.len < len
            || ngx_memcmp(name.data, NGX_CHAT_NAME_WATCH, len) != 0)
        {
            continue;
        }

        user.data = name.data + len;
        user.len = name.len - len;

        if (ngx_chat_signin_is_listed(list, NULL, &user)) {
            continue;
        }

        /* the channel's own name may go with the channel */

        ngx_memcpy(buf, name.data, name.len);
        name.data = buf;

        (void) ngx_chat_hub_unsubscribe(s->sessions->hub, &s->subscriber,
                                        s->app->number, &name);
    }
}


/* 1 where the user is one of those used, before end. */

static ngx_uint_t
ngx_chat_signin_is_listed(ngx_chat_json_value_t *list,
    ngx_chat_json_value_t *end, ngx_str_t *user)
{
    ngx_uint_t              n;
    ngx_chat_json_value_t  *v;

    n = 0;

    for (v = list ? list->first : NULL; v != end; v = v->next) {

        if (n++ == NGX_CHAT_SIGNIN_WATCHED) {
            break;
        }

        if (v->text.len == user->len
            && ngx_memcmp(v->text.data, user->data, user->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/*
 * Each user is watched first and looked up then, so that no change is missed.
 * A change in between is told twice, which does no harm.
 */

static void
ngx_chat_signin_watch(ngx_chat_session_t *s, ngx_chat_json_value_t *list)
{
    ngx_str_t               online[NGX_CHAT_SIGNIN_WATCHED];
    ngx_str_t               offline[NGX_CHAT_SIGNIN_WATCHED];
    ngx_int_t               rc;
    ngx_uint_t              n, nonline, noffline;
    ngx_chat_json_value_t  *v;

    n = 0;
    nonline = 0;
    noffline = 0;

    for (v = list->first; v; v = v->next) {

        if (n++ == NGX_CHAT_SIGNIN_WATCHED) {
            ngx_chat_session_error(s, NGX_CHAT_ERROR_WATCHLIST,
                                   "Watchlist has more than 100 users, the "
                                   "first 100 are used", NULL);
            break;
        }

        if (v->text.len == 0
            || v->text.len > NGX_CHAT_MEMBER_ID_MAX
            || ngx_chat_signin_is_listed(list, v, &v->text))
        {
            continue;
        }

        rc = ngx_chat_signin_join(s, NGX_CHAT_NAME_WATCH, &v->text, NULL);

        /* NGX_DECLINED: watched already, by an earlier sign-in */

        if (rc != NGX_OK && rc != NGX_DECLINED) {
            continue;
        }

        if (ngx_chat_signin_is_online(s, &v->text)) {
            online[nonline++] = v->text;

        } else {
            offline[noffline++] = v->text;
        }
    }

    if (nonline || noffline) {
        ngx_chat_session_render(s, ngx_chat_event_render_watchlist, online,
                                nonline, offline, noffline);
    }
}


static ngx_uint_t
ngx_chat_signin_is_online(ngx_chat_session_t *s, ngx_str_t *user)
{
    u_char            buf[NGX_CHAT_NOTICE_NAME];
    ngx_str_t         name;
    ngx_uint_t        online;
    ngx_chat_zone_t  *zone;

    ngx_chat_notice_name(&name, buf, NGX_CHAT_NAME_USER, user);

    zone = s->sessions->hub->fanout.zone;

    ngx_chat_zone_lock(zone);

    online = ngx_chat_registry_has(zone, s->app->number, &name);

    ngx_chat_zone_unlock(zone);

    return online;
}
