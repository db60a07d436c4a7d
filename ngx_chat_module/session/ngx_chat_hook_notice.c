
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What webhooks are told of sessions.  It costs a look at the zone where no
 * webhook wants it.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_name.h>
#include <session/ngx_chat_hook_notice.h>
#include <shared/ngx_chat_hook.h>


/* RFC 6455's code, never on the wire: the connection ended without a close */
#define NGX_CHAT_HOOK_NOTICE_LOST  1006


static void ngx_chat_hook_notice(ngx_chat_hook_notice_t *n,
    ngx_chat_hook_record_t *rec);


void
ngx_chat_hook_notice_client_event(ngx_chat_hook_notice_t *n,
    ngx_chat_command_t *cmd, ngx_str_t *data)
{
    ngx_chat_hook_record_t  rec;

    ngx_memzero(&rec, sizeof(ngx_chat_hook_record_t));

    rec.kind = NGX_CHAT_HOOK_CLIENT_EVENT_e;
    rec.channel = cmd->channel;
    rec.event = cmd->event;
    rec.data = *data;

    ngx_chat_hook_notice(n, &rec);
}


void
ngx_chat_hook_notice_closed(ngx_chat_hook_notice_t *n, ngx_uint_t code)
{
    ngx_chat_hook_record_t  rec;

    ngx_memzero(&rec, sizeof(ngx_chat_hook_record_t));

    rec.kind = NGX_CHAT_HOOK_CLOSED_e;
    rec.number = code ? code : NGX_CHAT_HOOK_NOTICE_LOST;

    ngx_chat_hook_notice(n, &rec);
}


static void
ngx_chat_hook_notice(ngx_chat_hook_notice_t *n, ngx_chat_hook_record_t *rec)
{
    u_char  id[NGX_CHAT_SOCKET_ID_LEN];

    rec->app = n->app;
    rec->socket_id.data = id;
    rec->socket_id.len = ngx_chat_name_write_socket_id(id, n->id) - id;

    if (n->user) {
        rec->user = *n->user;
    }

    if (ngx_chat_hook_publish(n->zone, rec) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "chat has no memory for an event of a webhook");
    }
}
