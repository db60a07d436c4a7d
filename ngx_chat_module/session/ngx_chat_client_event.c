
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Client events: from one subscriber to the others.  They go through the ring,
 * so that they are in one order with all other events.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <fanout/ngx_chat_fanout.h>
#include <pusher/ngx_chat_error.h>
#include <pusher/ngx_chat_event.h>
#include <pusher/ngx_chat_member.h>
#include <pusher/ngx_chat_name.h>
#include <session/ngx_chat_client_event.h>
#include <session/ngx_chat_hook_notice.h>
#include <shared/ngx_chat_registry.h>


static ngx_chat_subscription_t *ngx_chat_client_event_check(
    ngx_chat_session_t *s, ngx_chat_command_t *cmd);
static ngx_int_t ngx_chat_client_event_rate(ngx_chat_session_t *s);
static void ngx_chat_client_event_send(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd, ngx_str_t *data, ngx_str_t *user);
static ngx_int_t ngx_chat_client_event_log(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd, ngx_str_t *data, ngx_str_t *user);
static void ngx_chat_client_event_refuse(ngx_chat_session_t *s,
    ngx_chat_counter_e counter, const char *text, ngx_str_t *arg);


void
ngx_chat_client_event(ngx_chat_session_t *s, ngx_chat_command_t *cmd)
{
    u_char                    buf[NGX_CHAT_MEMBER_SIZE_MAX];
    ngx_str_t                 data, user;
    ngx_chat_json_t           json;
    ngx_chat_fanout_t        *f;
    ngx_chat_subscription_t  *sn;

    sn = ngx_chat_client_event_check(s, cmd);

    if (sn == NULL) {
        return;
    }

    ngx_chat_session_json(s, &json);

    if (ngx_chat_event_data_text(&json, cmd->data, &data) != NGX_OK) {
        ngx_chat_client_event_refuse(s, NGX_CHAT_EVENT_REFUSED_CAPACITY_e,
                                     "Server is out of memory", NULL);
        return;
    }

    if (cmd->event.len > NGX_CHAT_EVENT_NAME_MAX) {
        ngx_chat_client_event_refuse(s, NGX_CHAT_EVENT_REFUSED_SIZE_e,
                                     "Client event rejected - event name is "
                                     "too long", NULL);
        return;
    }

    if (data.len > s->conf->data_max) {
        ngx_chat_client_event_refuse(s, NGX_CHAT_EVENT_REFUSED_SIZE_e,
                                     "Client event rejected - data is too "
                                     "large", NULL);
        return;
    }

    if (ngx_chat_client_event_rate(s) != NGX_OK) {
        ngx_chat_client_event_refuse(s, NGX_CHAT_EVENT_REFUSED_RATE_e,
                                     "Client event rejected - more than 10 "
                                     "in a second", NULL);
        return;
    }

    f = &s->sessions->hub->fanout;

    /* the sender's id is the member's, never what the client says */

    user.data = buf;
    user.len = sizeof(buf);

    if (sn->slot_member
        && ngx_chat_registry_user(f->zone, f->slot,
                                  sn->slot_member, &user)
           != NGX_OK)
    {
        /* it is about to be told to reconnect */
        return;
    }

    ngx_chat_client_event_send(s, cmd, &data, sn->slot_member ? &user : NULL);
}


/* The sender's subscription; NULL: refused and answered. */

static ngx_chat_subscription_t *
ngx_chat_client_event_check(ngx_chat_session_t *s, ngx_chat_command_t *cmd)
{
    ngx_chat_subscription_t  *sn;

    if (!s->app->client_events) {
        ngx_chat_client_event_refuse(s, NGX_CHAT_EVENT_REFUSED_DISABLED_e,
                                     NGX_CHAT_ERROR_CLIENT_EVENTS_OFF, NULL);
        return NULL;
    }

    if (cmd->channel.data == NULL || cmd->data == NULL) {
        ngx_chat_client_event_refuse(s, NGX_CHAT_EVENT_REFUSED_INVALID_e,
                                     NGX_CHAT_ERROR_CLIENT_EVENT, NULL);
        return NULL;
    }

    if (ngx_chat_name_check(&cmd->channel) != NGX_OK
        || !(ngx_chat_name_type(&cmd->channel) & NGX_CHAT_CHANNEL_PRIVATE))
    {
        ngx_chat_client_event_refuse(s, NGX_CHAT_EVENT_REFUSED_CHANNEL_e,
                                     "Client event rejected - only supported "
                                     "on private and presence channels",
                                     NULL);
        return NULL;
    }

    sn = ngx_chat_hub_subscription(s->sessions->hub, &s->subscriber,
                                   s->app->number, &cmd->channel);
    if (sn == NULL) {
        ngx_chat_client_event_refuse(s, NGX_CHAT_EVENT_REFUSED_NOT_SUBSCRIBED_e,
                                     NGX_CHAT_ERROR_CLIENT_EVENT_CHANNEL,
                                     &cmd->channel);
    }

    return sn;
}


/* events[] has the times of the last events; the oldest is overwritten. */

static ngx_int_t
ngx_chat_client_event_rate(ngx_chat_session_t *s)
{
    uint32_t  now, *last;

    now = (uint32_t) ngx_current_msec;
    last = &s->events[s->nevents % NGX_CHAT_SESSION_EVENTS];

    if (s->nevents >= NGX_CHAT_SESSION_EVENTS && now - *last < 1000) {
        return NGX_BUSY;
    }

    *last = now;
    s->nevents++;

    return NGX_OK;
}


static void
ngx_chat_client_event_send(ngx_chat_session_t *s, ngx_chat_command_t *cmd,
    ngx_str_t *data, ngx_str_t *user)
{
    ssize_t                  len;
    ngx_chat_fanout_t       *f;
    ngx_chat_envelope_t      e;
    ngx_chat_hook_notice_t   hook;

    f = &s->sessions->hub->fanout;

    if (s->sessions->store && ngx_chat_store_link(s->sessions->store)) {

        if (ngx_chat_client_event_log(s, cmd, data, user) != NGX_OK) {
            ngx_chat_client_event_refuse(s, NGX_CHAT_EVENT_REFUSED_CAPACITY_e,
                                         "Client event rejected - the cluster "
                                         "can't be reached now", NULL);
            return;
        }

        goto sent;
    }

    len = ngx_chat_event_render_client_event(NULL, 0, &cmd->event,
                                             &cmd->channel, data, user);
    if (ngx_chat_session_envelope(s, &e, &cmd->channel, len) != NGX_OK) {
        return;
    }

    (void) ngx_chat_event_render_client_event(e.payload.data, len,
                                              &cmd->event, &cmd->channel,
                                              data, user);

    if (ngx_chat_hub_publish(f->zone, &e, 0, NULL) != NGX_OK) {
        ngx_chat_client_event_refuse(s, NGX_CHAT_EVENT_REFUSED_SIZE_e,
                                     "Client event rejected - data is too "
                                     "large", NULL);
        return;
    }

    ngx_chat_fanout_post(f);

sent:

    hook.zone = f->zone;
    hook.app = s->app->number;
    hook.id = &s->subscriber.id;
    hook.user = user;

    ngx_chat_hook_notice_client_event(&hook, cmd, data);

    ngx_chat_count(NGX_CHAT_CLIENT_EVENTS_e, 1);
}


/* In a cluster: by the log, like all events. */

static ngx_int_t
ngx_chat_client_event_log(ngx_chat_session_t *s, ngx_chat_command_t *cmd,
    ngx_str_t *data, ngx_str_t *user)
{
    ngx_chat_write_t       *w;
    ngx_chat_record_t       rec;
    ngx_chat_link_conf_t   *link;

    link = ngx_chat_store_link(s->sessions->store);

    if (ngx_chat_link_get(&link->sh->term) == 0) {
        return NGX_BUSY;
    }

    ngx_memzero(&rec, sizeof(ngx_chat_record_t));

    rec.kind = NGX_CHAT_MESSAGE_CLIENT_e;
    rec.app = s->app->number;
    rec.channel = cmd->channel;
    rec.event = cmd->event;
    rec.content = *data;

    if (user) {
        rec.author = *user;
    }

    w = ngx_chat_store_write_alloc(&rec, s->connection->log);
    if (w == NULL) {
        return NGX_ERROR;
    }

    /* nobody waits for it: done() is not called */

    w->except = s->subscriber.id;

    return ngx_chat_store_write(s->sessions->store, w);
}


static void
ngx_chat_client_event_refuse(ngx_chat_session_t *s,
    ngx_chat_counter_e counter, const char *text, ngx_str_t *arg)
{
    ngx_chat_count(counter, 1);

    ngx_chat_session_error(s, (counter == NGX_CHAT_EVENT_REFUSED_RATE_e)
                              ? NGX_CHAT_ERROR_EVENT_RATE : 0, text, arg);
}
