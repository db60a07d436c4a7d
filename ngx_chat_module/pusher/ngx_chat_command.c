
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Client to server messages, decoded.  Pure.
 *
 * Only the form of a message is checked here; its names, its signature and
 * the client's rights are checked by the session.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_command.h>


#define NGX_CHAT_COMMAND_CLIENT  "client-"


typedef struct {
    ngx_str_t                event;
    ngx_chat_command_type_e  type;
} ngx_chat_command_event_t;


static ngx_chat_command_type_e ngx_chat_command_type(ngx_str_t *event);
static ngx_int_t ngx_chat_command_read_data(ngx_chat_command_t *cmd,
    ngx_chat_json_t *j, ngx_chat_json_value_t *data);
static u_char *ngx_chat_command_copy_string(u_char *p, ngx_str_t *to,
    ngx_str_t *from);


static const ngx_chat_command_event_t  ngx_chat_command_events[] = {

    { ngx_string("pusher:subscribe"), NGX_CHAT_COMMAND_SUBSCRIBE_e },
    { ngx_string("pusher:unsubscribe"), NGX_CHAT_COMMAND_UNSUBSCRIBE_e },
    { ngx_string("pusher:signin"), NGX_CHAT_COMMAND_SIGNIN_e },
    { ngx_string("pusher:ping"), NGX_CHAT_COMMAND_PING_e },
    { ngx_string("pusher:pong"), NGX_CHAT_COMMAND_PONG_e },

    { ngx_null_string, NGX_CHAT_COMMAND_UNKNOWN_e }
};


ngx_int_t
ngx_chat_command_read(ngx_chat_command_t *cmd, ngx_chat_json_t *j,
    u_char *text, size_t len)
{
    ngx_int_t               rc;
    ngx_chat_json_value_t  *root, *event, *data;

    ngx_memzero(cmd, sizeof(ngx_chat_command_t));

    rc = ngx_chat_json_parse(j, text, len, &root);

    if (rc != NGX_OK) {
        return rc;
    }

    if (root->type != NGX_CHAT_JSON_OBJECT_e) {
        j->error = "message is not a JSON object";
        return NGX_DECLINED;
    }

    event = ngx_chat_json_member(root, "event");

    if (event == NULL || event->type != NGX_CHAT_JSON_STRING_e) {
        j->error = "event is missing or not a string";
        return NGX_DECLINED;
    }

    cmd->event = event->text;
    cmd->type = ngx_chat_command_type(&cmd->event);

    data = ngx_chat_json_member(root, "data");

    switch (cmd->type) {

    case NGX_CHAT_COMMAND_SUBSCRIBE_e:
    case NGX_CHAT_COMMAND_UNSUBSCRIBE_e:
    case NGX_CHAT_COMMAND_SIGNIN_e:
        return ngx_chat_command_read_data(cmd, j, data);

    case NGX_CHAT_COMMAND_CLIENT_EVENT_e:
        cmd->data = data;

        if (ngx_chat_json_string(root, "channel", &cmd->channel) != NGX_OK) {
            j->error = "channel is not a string";
            return NGX_DECLINED;
        }

        return NGX_OK;

    default: /* the data of a ping or pong is ignored */
        return NGX_OK;
    }
}


static ngx_chat_command_type_e
ngx_chat_command_type(ngx_str_t *event)
{
    const ngx_chat_command_event_t  *known;

    for (known = ngx_chat_command_events; known->event.len; known++) {

        if (known->event.len == event->len
            && ngx_memcmp(known->event.data, event->data, event->len) == 0)
        {
            return known->type;
        }
    }

    if (event->len >= sizeof(NGX_CHAT_COMMAND_CLIENT) - 1
        && ngx_memcmp(event->data, NGX_CHAT_COMMAND_CLIENT,
                      sizeof(NGX_CHAT_COMMAND_CLIENT) - 1) == 0)
    {
        return NGX_CHAT_COMMAND_CLIENT_EVENT_e;
    }

    return NGX_CHAT_COMMAND_UNKNOWN_e;
}


static ngx_int_t
ngx_chat_command_read_data(ngx_chat_command_t *cmd, ngx_chat_json_t *j,
    ngx_chat_json_value_t *data)
{
    ngx_int_t  rc;

    if (data != NULL && data->type == NGX_CHAT_JSON_STRING_e) {

        rc = ngx_chat_json_parse(j, data->text.data, data->text.len, &data);

        if (rc == NGX_DECLINED) {
            j->error = "data is a string but not the text of a JSON object";
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (data != NULL
        && data->type != NGX_CHAT_JSON_OBJECT_e
        && data->type != NGX_CHAT_JSON_NULL_e)
    {
        j->error = "data is not a JSON object";
        return NGX_DECLINED;
    }

    if (ngx_chat_json_string(data, "channel", &cmd->channel) != NGX_OK) {
        j->error = "channel is not a string";
        return NGX_DECLINED;
    }

    if (ngx_chat_json_string(data, "auth", &cmd->auth) != NGX_OK) {
        cmd->bad_auth = 1;
        j->error = "auth is not a string";
        return NGX_DECLINED;
    }

    if (ngx_chat_json_string(data, "channel_data", &cmd->channel_data)
        != NGX_OK)
    {
        j->error = "channel_data is not a string";
        return NGX_DECLINED;
    }

    if (ngx_chat_json_string(data, "user_data", &cmd->user_data) != NGX_OK) {
        j->error = "user_data is not a string";
        return NGX_DECLINED;
    }

    if (cmd->type != NGX_CHAT_COMMAND_SIGNIN_e && cmd->channel.data == NULL) {
        j->error = "data has no channel";
        return NGX_DECLINED;
    }

    return NGX_OK;
}


size_t
ngx_chat_command_size(ngx_chat_command_t *cmd)
{
    return cmd->channel.len + cmd->auth.len + cmd->channel_data.len;
}


u_char *
ngx_chat_command_copy(u_char *p, ngx_chat_command_t *to,
    ngx_chat_command_t *from)
{
    ngx_memzero(to, sizeof(ngx_chat_command_t));

    to->type = from->type;

    p = ngx_chat_command_copy_string(p, &to->channel, &from->channel);
    p = ngx_chat_command_copy_string(p, &to->auth, &from->auth);

    return ngx_chat_command_copy_string(p, &to->channel_data,
                                        &from->channel_data);
}


/* What was not given has no data, and keeps none. */

static u_char *
ngx_chat_command_copy_string(u_char *p, ngx_str_t *to, ngx_str_t *from)
{
    if (from->data == NULL) {
        return p;
    }

    to->data = p;
    to->len = from->len;

    return ngx_cpymem(p, from->data, from->len);
}
