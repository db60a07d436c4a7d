
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The steps of subscribe and unsubscribe.
 *
 * The answer goes into the outbox in the same call of a handler in which the
 * subscription is made.  The fanout delivers events in calls of its own.  So
 * subscription_succeeded comes before every event of the channel.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_error.h>
#include <pusher/ngx_chat_event.h>
#include <pusher/ngx_chat_name.h>
#include <session/ngx_chat_claim.h>
#include <session/ngx_chat_recall.h>
#include <session/ngx_chat_recovery.h>
#include <session/ngx_chat_signin.h>
#include <session/ngx_chat_subscribe.h>
#include <session/ngx_chat_subscribe_check.h>
#include <shared/ngx_chat_presence.h>
#include <shared/ngx_chat_turn.h>


/* members of a list that are rendered in about a microsecond */
#define NGX_CHAT_SUBSCRIBE_MEMBERS  2


static void ngx_chat_subscribe_claimed(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd);
static void ngx_chat_subscribe_recalled(ngx_chat_recall_t *rc);
static void ngx_chat_subscribe_make(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd, ngx_uint_t type, ngx_chat_member_t *m,
    ngx_chat_replay_history_t *history);
static void ngx_chat_subscribe_own(ngx_chat_session_t *s,
    ngx_str_t *channel);
static ngx_int_t ngx_chat_subscribe_announcement(ngx_chat_session_t *s,
    ngx_str_t *channel, ngx_chat_member_t *m, ngx_chat_envelope_t *e);
static ngx_int_t ngx_chat_subscribe_join(ngx_chat_session_t *s,
    ngx_chat_registry_join_t *j);
static void ngx_chat_subscribe_joined(ngx_chat_session_t *s,
    ngx_chat_registry_join_t *j, ngx_chat_replay_history_t *history);
static void ngx_chat_subscribe_presence(ngx_chat_session_t *s,
    ngx_chat_registry_join_t *j, ngx_chat_replay_t *result);


void
ngx_chat_subscribe(ngx_chat_session_t *s, ngx_chat_command_t *cmd)
{
    ngx_uint_t         type;
    ngx_chat_member_t  m;

    if (ngx_chat_subscribe_check(s, cmd, &type, &m) != NGX_OK) {
        return;
    }

    if (type & NGX_CHAT_CHANNEL_USER) {
        ngx_chat_subscribe_own(s, &cmd->channel);
        return;
    }

    if ((type & NGX_CHAT_CHANNEL_PRESENCE)
        && s->sessions->hub->fanout.zone->sh->nnodes)
    {
        /* missed events are not read from the history: that takes a while, in
           which the member might leave */

        if (ngx_chat_claim(s, cmd, &m, ngx_chat_subscribe_claimed)
            == NGX_DECLINED)
        {
            ngx_chat_subscribe_make(s, cmd, type, &m, NULL);
        }

        return;
    }

    if (ngx_chat_recall(s, cmd, ngx_chat_subscribe_recalled) != NGX_OK) {
        ngx_chat_subscribe_make(s, cmd, type, &m, NULL);
    }
}


/* A ngx_chat_claim_pt.  A command that has waited is checked again: limits may
   be reached by now. */

static void
ngx_chat_subscribe_claimed(ngx_chat_session_t *s, ngx_chat_command_t *cmd)
{
    ngx_uint_t         type;
    ngx_chat_member_t  m;

    if (ngx_chat_subscribe_check(s, cmd, &type, &m) == NGX_OK) {
        ngx_chat_subscribe_make(s, cmd, type, &m, NULL);
    }
}


static void
ngx_chat_subscribe_recalled(ngx_chat_recall_t *rc)
{
    ngx_uint_t         type;
    ngx_chat_member_t  m;

    if (ngx_chat_subscribe_check(rc->session, &rc->command, &type, &m)
        == NGX_OK)
    {
        ngx_chat_subscribe_make(rc->session, &rc->command, type, &m,
                                &rc->history);
    }
}


static void
ngx_chat_subscribe_make(ngx_chat_session_t *s, ngx_chat_command_t *cmd,
    ngx_uint_t type, ngx_chat_member_t *m,
    ngx_chat_replay_history_t *history)
{
    ngx_chat_envelope_t       added;
    ngx_chat_registry_join_t  j;

    ngx_memzero(&j, sizeof(ngx_chat_registry_join_t));

    j.app = s->app->number;
    j.name = &cmd->channel;
    j.cached = ((type & NGX_CHAT_CHANNEL_CACHE) != 0);
    j.counting = s->app->subscription_count
                 && !(type & (NGX_CHAT_CHANNEL_PRESENCE
                              |NGX_CHAT_CHANNEL_ENCRYPTED));

    if (type & NGX_CHAT_CHANNEL_PRESENCE) {

        j.user = &m->id;
        j.info = &m->info;
        j.members_max = s->app->presence_members;

        /* in a cluster the log tells who is new */

        if (s->sessions->hub->fanout.zone->sh->nnodes == 0) {

            if (ngx_chat_subscribe_announcement(s, &cmd->channel, m, &added)
                != NGX_OK)
            {
                (void) ngx_chat_subscribe_check_refuse(s,
                           NGX_CHAT_SUB_REFUSED_CAPACITY_e, &cmd->channel);
                return;
            }

            j.added = &added;
        }
    }

    if (ngx_chat_subscribe_join(s, &j) != NGX_OK) {
        return;
    }

    if (type & NGX_CHAT_CHANNEL_PRIVATE) {
        ngx_chat_session_authorized(s);
    }

    ngx_chat_subscribe_joined(s, &j, history);
}


static void
ngx_chat_subscribe_joined(ngx_chat_session_t *s, ngx_chat_registry_join_t *j,
    ngx_chat_replay_history_t *history)
{
    ngx_chat_replay_t  result;

    s->nchannels++;

    ngx_chat_recovery_subscribed(s, j, history, &result);

    if (j->user) {
        ngx_chat_subscribe_presence(s, j, &result);

    } else {
        ngx_chat_session_render(s, ngx_chat_event_render_succeeded, j->name,
                                ngx_chat_recovery_told(&result));
    }

    if (result.token) {
        ngx_chat_recovery_send(s, j->name, &result);
    }

    /* a client that has missed nothing knows the cached event */

    if (result.recovered) {
        return;
    }

    if (j->cached && j->cached_len) {
        ngx_chat_session_send_text(s, j->buf + j->size - j->cached_len,
                                   j->cached_len);

    } else if (j->cached) {
        ngx_chat_session_render(s, ngx_chat_event_render_cache_miss, j->name);
    }
}


void
ngx_chat_unsubscribe(ngx_chat_session_t *s, ngx_chat_command_t *cmd)
{
    ngx_int_t  rc;

    rc = NGX_DECLINED;

    ngx_chat_claim_cancel(s, &cmd->channel);
    ngx_chat_recall_cancel(s, &cmd->channel);

    if (ngx_chat_name_check(&cmd->channel) == NGX_OK) {

        if (!(ngx_chat_name_type(&cmd->channel) & NGX_CHAT_CHANNEL_USER)) {
            rc = ngx_chat_hub_unsubscribe(s->sessions->hub, &s->subscriber,
                                          s->app->number, &cmd->channel);
            s->nchannels -= (rc == NGX_OK);
            ngx_chat_recovery_unsubscribed(s, &cmd->channel);

        } else if (s->user_channel
                   && ngx_chat_signin_is_own(s, &cmd->channel))
        {
            s->user_channel = 0;
            rc = NGX_OK;
        }
    }

    if (rc != NGX_OK) {
        ngx_chat_session_error(s, 0, NGX_CHAT_ERROR_NOT_SUBSCRIBED,
                               &cmd->channel);
    }
}


/* The sign-in has subscribed the user's own channel already. */

static void
ngx_chat_subscribe_own(ngx_chat_session_t *s, ngx_str_t *channel)
{
    if (s->user_channel) {
        ngx_chat_count(NGX_CHAT_SUB_REFUSED_DUPLICATE_e, 1);
        ngx_chat_session_error(s, 0, NGX_CHAT_ERROR_SUBSCRIBED, channel);
        return;
    }

    s->user_channel = 1;
    ngx_chat_session_render(s, ngx_chat_event_render_succeeded, channel,
                            s->recovery ? (ngx_int_t) s->user_recovered : -1);
}


/* member_added, to be appended under the lock where the user is new. */

static ngx_int_t
ngx_chat_subscribe_announcement(ngx_chat_session_t *s, ngx_str_t *channel,
    ngx_chat_member_t *m, ngx_chat_envelope_t *e)
{
    ssize_t  len;

    len = ngx_chat_event_render_member_added(NULL, 0, channel, &m->id,
                                             &m->info);
    if (ngx_chat_session_envelope(s, e, channel, len) != NGX_OK) {
        return NGX_ERROR;
    }

    e->type = NGX_CHAT_ENVELOPE_NOTICE_e;

    (void) ngx_chat_event_render_member_added(e->payload.data, len, channel,
                                              &m->id, &m->info);

    return NGX_OK;
}


/* NGX_OK; otherwise the client has its answer. */

static ngx_int_t
ngx_chat_subscribe_join(ngx_chat_session_t *s, ngx_chat_registry_join_t *j)
{
    ngx_int_t  rc;

    rc = ngx_chat_hub_subscribe(s->sessions->hub, &s->subscriber, j);

    switch (rc) {

    case NGX_OK:
        return NGX_OK;

    case NGX_ABORT:
        /* the client is told to reconnect */
        return NGX_DECLINED;

    case NGX_DECLINED:
        ngx_chat_count(NGX_CHAT_SUB_REFUSED_DUPLICATE_e, 1);
        ngx_chat_session_error(s, 0, NGX_CHAT_ERROR_SUBSCRIBED, j->name);
        return NGX_DECLINED;

    case NGX_DONE:
        return ngx_chat_subscribe_check_refuse(s,
                                               NGX_CHAT_SUB_REFUSED_MEMBERS_e,
                                               j->name);

    case NGX_BUSY:
        ngx_chat_session_log_full(s, j->name);
        /* fall through */

    default:
        return ngx_chat_subscribe_check_refuse(s,
                                               NGX_CHAT_SUB_REFUSED_CAPACITY_e,
                                               j->name);
    }
}


static void
ngx_chat_subscribe_presence(ngx_chat_session_t *s,
    ngx_chat_registry_join_t *j, ngx_chat_replay_t *result)
{
    u_char                   *p, *last;
    ngx_uint_t                n;
    ngx_chat_event_member_t  *members;

    members = ngx_palloc(s->sessions->scratch,
                         (j->nmembers + 1) * sizeof(ngx_chat_event_member_t));

    if (members == NULL) {
        ngx_chat_session_send(s, NULL);
        return;
    }

    n = 0;
    p = j->buf;
    last = p + j->members_len;

    while (n < j->nmembers
           && ngx_chat_presence_entry_read(&p, last, &members[n].id,
                                           &members[n].info)
              == NGX_OK)
    {
        n++;
    }

    ngx_chat_session_render(s, ngx_chat_event_render_presence_succeeded,
                            j->name, ngx_chat_recovery_told(result),
                            members, n);

    ngx_chat_turn_add(n / NGX_CHAT_SUBSCRIBE_MEMBERS);
}
