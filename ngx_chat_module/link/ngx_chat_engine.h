
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A connection to the engine of a cluster, Redis or Valkey.
 *
 * A thread owns each connection and may wait: no function here is for an event
 * loop.  Nothing waits longer than it is told to, but for the look-up of a
 * host's name, which takes as long as the resolver does.
 *
 * hiredis writes commands and reads replies; sockets, TLS and deadlines are
 * here.
 */


#ifndef _NGX_CHAT_ENGINE_H_INCLUDED_
#define _NGX_CHAT_ENGINE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_engine_io.h>


/* A reply, or a part of one. */

typedef void  ngx_chat_engine_reply_t;


/* NULL: the module can talk to an engine; else why not.  In the master, before
   all others. */
const char *ngx_chat_engine_check(void);

void ngx_chat_engine_init(ngx_chat_engine_t *e, ngx_chat_engine_conf_t *conf);

/*
 * Connects to the primary, whichever of the URLs leads to it; nothing is done
 * where there is a connection.  NGX_OK; NGX_ERROR, with e->error.
 */
ngx_int_t ngx_chat_engine_connect(ngx_chat_engine_t *e, ngx_msec_t ms);

void ngx_chat_engine_close(ngx_chat_engine_t *e);

/*
 * Sends a command of n words and waits for its reply.  NGX_OK: *reply, which
 * free() takes, is no error; NGX_DECLINED: the engine has refused the command,
 * e->error tells why; NGX_AGAIN: the same, for now: this is no primary, or not
 * for these keys (any more, or not yet); NGX_ERROR: the connection is closed,
 * and nobody knows what came of the command.
 */
ngx_int_t ngx_chat_engine_call(ngx_chat_engine_t *e, ngx_str_t *words,
    ngx_uint_t n, ngx_msec_t ms, ngx_chat_engine_reply_t **reply);

void ngx_chat_engine_free(ngx_chat_engine_reply_t *reply);

/* A list's length; 0 where it is none. */
ngx_uint_t ngx_chat_engine_count(ngx_chat_engine_reply_t *reply);

ngx_uint_t ngx_chat_engine_is_nil(ngx_chat_engine_reply_t *reply);

/* NULL: it has none of that number. */
ngx_chat_engine_reply_t *ngx_chat_engine_item(ngx_chat_engine_reply_t *reply,
    ngx_uint_t n);

/* A number, or 0. */
int64_t ngx_chat_engine_number(ngx_chat_engine_reply_t *reply);

/* A string's text, which is the reply's.  Of what is no string: len 0. */
ngx_str_t ngx_chat_engine_text(ngx_chat_engine_reply_t *reply);


#endif /* _NGX_CHAT_ENGINE_H_INCLUDED_ */
