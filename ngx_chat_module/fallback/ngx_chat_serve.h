
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The inner side of the door: what the worker does for visitors.
 */


#ifndef _NGX_CHAT_SERVE_H_INCLUDED_
#define _NGX_CHAT_SERVE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <fallback/ngx_chat_door.h>


/* For ngx_chat_door_open(). */
extern ngx_chat_door_handlers_t  ngx_chat_serve_handlers;


#endif /* _NGX_CHAT_SERVE_H_INCLUDED_ */
