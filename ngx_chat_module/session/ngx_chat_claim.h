
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * In a cluster a client becomes a member of a presence channel when the log has
 * said so: on all nodes at the same place in the order.
 *
 * The subscribe command waits until then.  Meanwhile the worker's slot has the
 * member, so that this node announces it.  Used by the event loop only.
 */


#ifndef _NGX_CHAT_CLAIM_H_INCLUDED_
#define _NGX_CHAT_CLAIM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_command.h>
#include <pusher/ngx_chat_member.h>
#include <session/ngx_chat_session.h>


/* The member is there: goes on with the command, whose memory is the
   claim's. */
typedef void (*ngx_chat_claim_pt)(ngx_chat_session_t *s,
    ngx_chat_command_t *cmd);


/*
 * In a cluster only.  NGX_DECLINED: there is nothing to wait for; NGX_OK: the
 * command is copied, and done() will be called; NGX_ERROR: refused, the client
 * has its answer.
 */
ngx_int_t ngx_chat_claim(ngx_chat_session_t *s, ngx_chat_command_t *cmd,
    ngx_chat_member_t *m, ngx_chat_claim_pt done);

/* Gives up the channel's claims, or all where channel is NULL. */
void ngx_chat_claim_cancel(ngx_chat_session_t *s, ngx_str_t *channel);

/* A pass of the fanout is over: looks soon, if there are claims. */
void ngx_chat_claim_post(ngx_chat_sessions_t *w);

/* The registry is another one: nothing of it is to be given back. */
void ngx_chat_claim_wiped(ngx_chat_sessions_t *w);


#endif /* _NGX_CHAT_CLAIM_H_INCLUDED_ */
