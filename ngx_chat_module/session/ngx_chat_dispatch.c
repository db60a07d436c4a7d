
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Decodes a client's message and calls the function that does the command.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <pusher/ngx_chat_command.h>
#include <pusher/ngx_chat_error.h>
#include <session/ngx_chat_client_event.h>
#include <session/ngx_chat_dispatch.h>
#include <session/ngx_chat_recovery.h>
#include <session/ngx_chat_signin.h>
#include <session/ngx_chat_subscribe.h>
#include <session/ngx_chat_subscribe_check.h>


static void ngx_chat_dispatch_invalid(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd, const char *error);
static void ngx_chat_dispatch_command(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd);


void
ngx_chat_dispatch(ngx_chat_session_t *s, u_char *text, size_t len)
{
    ngx_int_t           rc;
    ngx_chat_json_t     json;
    ngx_chat_command_t  cmd;

    /* a session that is about to end takes no commands */

    if (s->is_ending) {
        return;
    }

    ngx_chat_count(NGX_CHAT_COMMANDS_e, 1);

    ngx_chat_session_json(s, &json);

    rc = ngx_chat_command_read(&cmd, &json, text, len);

    switch (rc) {

    case NGX_OK:
        ngx_chat_dispatch_command(s, &cmd);
        break;

    case NGX_DECLINED:
        ngx_chat_dispatch_invalid(s, &cmd, json.error);
        break;

    default: /* NGX_ERROR */
        ngx_chat_session_check_rc(s, rc);
        break;
    }

    ngx_reset_pool(s->sessions->scratch);
}


/* Where the channel of a subscribe is known, it is told that it is refused. */

static void
ngx_chat_dispatch_invalid(ngx_chat_session_t *s, ngx_chat_command_t *cmd,
    const char *error)
{
    ngx_log_error(NGX_LOG_INFO, s->connection->log, 0,
                  "client sent invalid chat message: %s", error);

    if (cmd->type == NGX_CHAT_COMMAND_SUBSCRIBE_e && cmd->channel.data) {
        ngx_chat_subscribe_check_invalid(s, cmd, error);
        return;
    }

    ngx_chat_count(NGX_CHAT_INVALID_e, 1);
    ngx_chat_session_error(s, 0, error, NULL);
}


static void
ngx_chat_dispatch_command(ngx_chat_session_t *s, ngx_chat_command_t *cmd)
{
    static u_char  pong[] = "{\"event\":\"pusher:pong\",\"data\":\"{}\"}";

    switch (cmd->type) {

    case NGX_CHAT_COMMAND_SUBSCRIBE_e:
        ngx_chat_subscribe(s, cmd);
        return;

    case NGX_CHAT_COMMAND_UNSUBSCRIBE_e:
        ngx_chat_unsubscribe(s, cmd);
        return;

    case NGX_CHAT_COMMAND_PING_e:
        ngx_chat_session_send_text(s, pong, sizeof(pong) - 1);
        return;

    case NGX_CHAT_COMMAND_PONG_e:
        if (s->is_js) {
            ngx_chat_recovery_pong(s, NULL);
        }

        return;

    case NGX_CHAT_COMMAND_SIGNIN_e:
        ngx_chat_signin(s, cmd);
        return;

    case NGX_CHAT_COMMAND_CLIENT_EVENT_e:
        ngx_chat_client_event(s, cmd);
        return;

    default: /* NGX_CHAT_COMMAND_UNKNOWN_e */
        ngx_chat_count(NGX_CHAT_INVALID_e, 1);
        ngx_chat_session_error(s, 0, NGX_CHAT_ERROR_UNSUPPORTED, &cmd->event);
    }
}
