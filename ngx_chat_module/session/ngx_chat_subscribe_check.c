
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Whether a client may subscribe to what it asks for.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_error.h>
#include <pusher/ngx_chat_event.h>
#include <pusher/ngx_chat_name.h>
#include <pusher/ngx_chat_signature.h>
#include <session/ngx_chat_signin.h>
#include <session/ngx_chat_subscribe_check.h>


typedef struct {
    const char  *type;
    ngx_uint_t   status;
    const char  *text;
} ngx_chat_subscribe_check_reason_t;


static ngx_int_t ngx_chat_subscribe_check_signature(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd);
static ngx_int_t ngx_chat_subscribe_check_member(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd, ngx_chat_member_t *m);
static ngx_int_t ngx_chat_subscribe_check_answer(ngx_chat_session_t *s,
    ngx_chat_counter_e reason, ngx_str_t *channel, const char *text,
    ngx_str_t *arg);


/* What a client is told, by reason, in the order of the counters. */

static ngx_chat_subscribe_check_reason_t  ngx_chat_subscribe_check_reasons[] = {
    { "InvalidChannel", 400, NGX_CHAT_ERROR_CHANNEL_NAME },
    { "AuthError", 401, NGX_CHAT_ERROR_SIGNATURE },
    { "AuthError", 401, NGX_CHAT_ERROR_NOT_OWN },
    { "InvalidMember", 400, NULL },
    { "LimitReached", 403, NGX_CHAT_ERROR_CHANNELS },
    { "LimitReached", 403, NGX_CHAT_ERROR_MEMBERS },
    { NULL, 0, NULL },                     /* a duplicate: an error frame */
    { "ServerError", 503, NGX_CHAT_ERROR_OVER_CAPACITY }
};


ngx_int_t
ngx_chat_subscribe_check(ngx_chat_session_t *s, ngx_chat_command_t *cmd,
    ngx_uint_t *type, ngx_chat_member_t *m)
{
    if (ngx_chat_name_check(&cmd->channel) != NGX_OK) {
        return ngx_chat_subscribe_check_refuse(s, NGX_CHAT_SUB_REFUSED_NAME_e,
                                               &cmd->channel);
    }

    *type = ngx_chat_name_type(&cmd->channel);

    if (*type & NGX_CHAT_CHANNEL_USER) {

        if (!ngx_chat_signin_is_own(s, &cmd->channel)) {
            return ngx_chat_subscribe_check_refuse(s,
                                                   NGX_CHAT_SUB_REFUSED_USER_e,
                                                   &cmd->channel);
        }

        return NGX_OK;
    }

    if (s->app->channels_per_connection
        && s->nchannels >= (ngx_uint_t) s->app->channels_per_connection
        && ngx_chat_hub_subscription(s->sessions->hub, &s->subscriber,
                                     s->app->number, &cmd->channel)
           == NULL)
    {
        return ngx_chat_subscribe_check_refuse(s,
                                               NGX_CHAT_SUB_REFUSED_CHANNELS_e,
                                               &cmd->channel);
    }

    if ((*type & NGX_CHAT_CHANNEL_PRIVATE)
        && ngx_chat_subscribe_check_signature(s, cmd) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (*type & NGX_CHAT_CHANNEL_PRESENCE) {
        return ngx_chat_subscribe_check_member(s, cmd, m);
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_subscribe_check_refuse(ngx_chat_session_t *s,
    ngx_chat_counter_e reason, ngx_str_t *channel)
{
    const char  *text;

    text = ngx_chat_subscribe_check_reasons[reason - NGX_CHAT_SUB_REFUSED_e]
               .text;

    return ngx_chat_subscribe_check_answer(s, reason, channel, text, channel);
}


void
ngx_chat_subscribe_check_invalid(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd, const char *text)
{
    ngx_chat_counter_e  reason;

    reason = cmd->bad_auth ? NGX_CHAT_SUB_REFUSED_SIGNATURE_e
                           : NGX_CHAT_SUB_REFUSED_MEMBER_e;

    (void) ngx_chat_subscribe_check_answer(s, reason, &cmd->channel, text,
                                           &cmd->channel);
}


static ngx_int_t
ngx_chat_subscribe_check_signature(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd)
{
    u_char      buf[NGX_CHAT_ERROR_TEXT_MAX];
    ngx_int_t   rc;
    ngx_str_t   text, key, signature;

    rc = NGX_ERROR;

    if (cmd->auth.data != NULL) {
        rc = ngx_chat_signature_check(s->app, &cmd->auth,
                                      &s->subscriber.id,
                                      &cmd->channel,
                                      &cmd->channel_data);
    }

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    if (rc == NGX_DECLINED) {
        (void) ngx_chat_signature_split(&cmd->auth, &key, &signature);

        return ngx_chat_subscribe_check_answer(s,
                                               NGX_CHAT_SUB_REFUSED_SIGNATURE_e,
                                               &cmd->channel,
                                               NGX_CHAT_ERROR_AUTH_KEY, &key);
    }

    /* the error has the text to be signed, never the expected signature */

    text.data = buf;
    text.len = ngx_chat_signature_text(buf, sizeof(buf) / 2,
                                       &s->subscriber.id,
                                       &cmd->channel,
                                       &cmd->channel_data);
    text.len = ngx_chat_signature_text_got(buf, text.len, sizeof(buf),
                                           &cmd->auth);

    return ngx_chat_subscribe_check_answer(s, NGX_CHAT_SUB_REFUSED_SIGNATURE_e,
                                           &cmd->channel,
                                           NGX_CHAT_ERROR_SIGNATURE, &text);
}


/* The member is who channel_data names, else the signed-in user. */

static ngx_int_t
ngx_chat_subscribe_check_member(ngx_chat_session_t *s, ngx_chat_command_t *cmd,
    ngx_chat_member_t *m)
{
    ngx_int_t        rc;
    ngx_chat_json_t  json;

    ngx_chat_session_json(s, &json);

    if (cmd->channel_data.data == NULL && s->user) {
        ngx_memzero(m, sizeof(ngx_chat_member_t));

        m->id = s->user->id;
        m->info = s->user->info;

        rc = ngx_chat_member_check_size(m, &json);

    } else {
        rc = ngx_chat_member_read_channel_data(m, &json, &cmd->channel_data);
    }

    if (rc == NGX_ERROR) {
        return ngx_chat_subscribe_check_refuse(s,
                                               NGX_CHAT_SUB_REFUSED_CAPACITY_e,
                                               &cmd->channel);
    }

    if (rc == NGX_DECLINED) {
        return ngx_chat_subscribe_check_answer(s, NGX_CHAT_SUB_REFUSED_MEMBER_e,
                                               &cmd->channel, json.error,
                                               &cmd->channel);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_subscribe_check_answer(ngx_chat_session_t *s,
    ngx_chat_counter_e reason, ngx_str_t *channel, const char *text,
    ngx_str_t *arg)
{
    u_char      buf[NGX_CHAT_ERROR_TEXT_MAX];
    ngx_str_t   error;
    ngx_uint_t  i;

    ngx_chat_count(reason, 1);

    ngx_chat_session_error(s, 0, text, arg);

    error.data = buf;
    error.len = ngx_chat_error_format(buf, sizeof(buf), text, arg);

    i = reason - NGX_CHAT_SUB_REFUSED_e;

    ngx_chat_session_render(s, ngx_chat_event_render_subscription_error,
                            channel, ngx_chat_subscribe_check_reasons[i].type,
                            &error, ngx_chat_subscribe_check_reasons[i].status);

    return NGX_DECLINED;
}
