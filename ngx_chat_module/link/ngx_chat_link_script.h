
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The scripts that run in the engine.  For the functions of ngx_chat_link.h.
 */


#ifndef _NGX_CHAT_LINK_SCRIPT_H_INCLUDED_
#define _NGX_CHAT_LINK_SCRIPT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_engine.h>


typedef enum {
    NGX_CHAT_LINK_APPEND_e = 0,
    NGX_CHAT_LINK_HELLO_e,
    NGX_CHAT_LINK_TERM_e,
    NGX_CHAT_LINK_GONE_e,
    NGX_CHAT_LINK_OFFERED_e,
    NGX_CHAT_LINK_HERALD_e,
    NGX_CHAT_LINK_ASK_e,
    NGX_CHAT_LINK_GIVE_e
} ngx_chat_link_script_e;


#define NGX_CHAT_LINK_SCRIPT_WORDS  3  /* before the keys, for run() to set */


/*
 * Runs a script.  Its keys and then its other arguments are in words, behind
 * room for run()'s own; n counts all.  What the script answers is a list that
 * begins with a word.  NGX_OK: "OK", and *reply is the list, unless reply is
 * NULL; NGX_AGAIN: another one of its words; NGX_DECLINED, NGX_ERROR: as in
 * ngx_chat_link.h.
 */
ngx_int_t ngx_chat_link_script_run(ngx_chat_engine_t *e,
    ngx_chat_link_script_e script, ngx_str_t *words, ngx_uint_t nkeys,
    ngx_uint_t n, ngx_msec_t ms, ngx_chat_engine_reply_t **reply);


/* What a script has answered is nonsense: sets the error, and closes. */
void ngx_chat_link_script_failed(ngx_chat_engine_t *e);


#endif /* _NGX_CHAT_LINK_SCRIPT_H_INCLUDED_ */
