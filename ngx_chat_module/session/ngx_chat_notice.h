
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Events that changes of the registry cause: members that left, the number of
 * subscriptions, users that became online or offline.
 */


#ifndef _NGX_CHAT_NOTICE_H_INCLUDED_
#define _NGX_CHAT_NOTICE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


extern ngx_chat_zone_handlers_t  ngx_chat_notice_handlers;


/* The name of a prefix and a user id, in buf of NGX_CHAT_NOTICE_NAME. */
#define NGX_CHAT_NOTICE_NAME  256

void ngx_chat_notice_name(ngx_str_t *name, u_char *buf, const char *prefix,
    ngx_str_t *user);


#endif /* _NGX_CHAT_NOTICE_H_INCLUDED_ */
