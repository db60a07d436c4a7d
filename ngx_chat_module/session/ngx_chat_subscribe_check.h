
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Whether a client may subscribe to what it asks for (Pusher protocol,
 * sections 3.3, 3.4 and 5.1).
 */


#ifndef _NGX_CHAT_SUBSCRIBE_CHECK_H_INCLUDED_
#define _NGX_CHAT_SUBSCRIBE_CHECK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_command.h>
#include <pusher/ngx_chat_member.h>
#include <session/ngx_chat_session.h>


/*
 * NGX_OK with *type set, and for a presence channel *m, in memory of the
 * command at hand; NGX_DECLINED: refused, the client has its answer.
 */
ngx_int_t ngx_chat_subscribe_check(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd, ngx_uint_t *type, ngx_chat_member_t *m);

/*
 * Refuses for a reason of NGX_CHAT_SUB_REFUSED_e, and counts that.  The client
 * gets two frames: pusher:error, as Pusher sends it, and
 * pusher:subscription_error, which names the channel for the application.
 * Returns NGX_DECLINED.
 */
ngx_int_t ngx_chat_subscribe_check_refuse(ngx_chat_session_t *s,
    ngx_chat_counter_e reason, ngx_str_t *channel);

/*
 * Refuses a subscription whose auth or channel_data is not a string, with a
 * constant text.
 */
void ngx_chat_subscribe_check_invalid(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd, const char *text);


#endif /* _NGX_CHAT_SUBSCRIBE_CHECK_H_INCLUDED_ */
