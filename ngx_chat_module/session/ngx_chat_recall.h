
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What a client with a token has missed is read from the history, where the
 * ring has been written over.
 *
 * The subscribe command waits meanwhile and is done when the messages are
 * there, so that the client is told the truth in the answer.  Used by the
 * event loop only.
 */


#ifndef _NGX_CHAT_RECALL_H_INCLUDED_
#define _NGX_CHAT_RECALL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_command.h>
#include <session/ngx_chat_recovery.h>
#include <store/ngx_chat_store.h>


/* A subscribe command that waits, in memory of its own. */

struct ngx_chat_recall_s {
    ngx_chat_recall_t       *next;         /* of the session */
    ngx_chat_session_t      *session;
    ngx_chat_read_t         *read;
    ngx_chat_read_client_t   client;
    ngx_chat_command_t       command;      /* its strings are here, too */
    ngx_chat_replay_history_t  history;

    void                   (*done)(ngx_chat_recall_t *rc);
};


/*
 * Begins to read what was missed of the command's channel.  NGX_OK: the command
 * is copied, and done() will be called; NGX_DECLINED: the history has nothing
 * that the ring has not.
 */
ngx_int_t ngx_chat_recall(ngx_chat_session_t *s, ngx_chat_command_t *cmd,
    void (*done)(ngx_chat_recall_t *rc));

/* Gives up the channel's recall, or all where channel is NULL. */
void ngx_chat_recall_cancel(ngx_chat_session_t *s, ngx_str_t *channel);


#endif /* _NGX_CHAT_RECALL_H_INCLUDED_ */
