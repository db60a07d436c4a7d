
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What webhooks are told of sessions: client events, and connections that
 * ended.
 */


#ifndef _NGX_CHAT_HOOK_NOTICE_H_INCLUDED_
#define _NGX_CHAT_HOOK_NOTICE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_command.h>
#include <shared/ngx_chat_zone.h>
#include <wire/ngx_chat_envelope.h>


/* Who it is about; user NULL: a user is not known. */

typedef struct {
    ngx_chat_zone_t       *zone;
    uint64_t               app;        /* its number */
    ngx_chat_socket_id_t  *id;
    ngx_str_t             *user;
} ngx_chat_hook_notice_t;


/* A client event that was sent to the others. */
void ngx_chat_hook_notice_client_event(ngx_chat_hook_notice_t *n,
    ngx_chat_command_t *cmd, ngx_str_t *data);

/* The session has ended, with a code; 0: the connection was lost. */
void ngx_chat_hook_notice_closed(ngx_chat_hook_notice_t *n, ngx_uint_t code);


#endif /* _NGX_CHAT_HOOK_NOTICE_H_INCLUDED_ */
