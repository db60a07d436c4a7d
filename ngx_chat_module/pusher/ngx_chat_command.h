
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Client to server messages, decoded (Pusher protocol, section 2.3).  Pure.
 */


#ifndef _NGX_CHAT_COMMAND_H_INCLUDED_
#define _NGX_CHAT_COMMAND_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_json.h>


typedef enum {
    NGX_CHAT_COMMAND_UNKNOWN_e = 0,    /* event holds its name */
    NGX_CHAT_COMMAND_SUBSCRIBE_e,
    NGX_CHAT_COMMAND_UNSUBSCRIBE_e,
    NGX_CHAT_COMMAND_SIGNIN_e,
    NGX_CHAT_COMMAND_PING_e,
    NGX_CHAT_COMMAND_PONG_e,
    NGX_CHAT_COMMAND_CLIENT_EVENT_e
} ngx_chat_command_type_e;


/* A member that was not given, or null, has data == NULL. */
typedef struct {
    ngx_chat_command_type_e   type;
    ngx_str_t                 event;
    ngx_str_t                 channel;
    ngx_str_t                 auth;
    ngx_str_t                 channel_data;
    ngx_str_t                 user_data;
    ngx_chat_json_value_t    *data;    /* of a client event, as sent; NULL
                                          where not given */
    unsigned                  bad_auth:1;  /* auth is not a string */
} ngx_chat_command_t;


/*
 * Reads one text message.  The data of pusher: commands may be an object, or
 * a string that holds the JSON text of an object (P22).
 *
 * NGX_OK; NGX_ERROR where j->alloc() failed; NGX_DECLINED where the command is
 * not valid, with j->error set to a sentence for the client.  The message must
 * be a JSON object, event a string, data an object, its members must have the
 * right types, and subscribe and unsubscribe need a channel.  The type and
 * the channel are set as soon as they are known, also after NGX_DECLINED.
 */
ngx_int_t ngx_chat_command_read(ngx_chat_command_t *cmd, ngx_chat_json_t *j,
    u_char *text, size_t len);

/*
 * For a subscribe that waits: the bytes of its strings, and a copy of it with
 * the strings at p.  Returns the end of what was written.
 */
size_t ngx_chat_command_size(ngx_chat_command_t *cmd);
u_char *ngx_chat_command_copy(u_char *p, ngx_chat_command_t *to,
    ngx_chat_command_t *from);


#endif /* _NGX_CHAT_COMMAND_H_INCLUDED_ */
