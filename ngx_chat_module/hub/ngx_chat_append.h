
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Into the ring: the one place where events enter it.
 */


#ifndef _NGX_CHAT_APPEND_H_INCLUDED_
#define _NGX_CHAT_APPEND_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <hub/ngx_chat_zone.h>
#include <wire/ngx_chat_envelope.h>


/*
 * Appends an event.  The caller holds the zone's lock, and rouses the
 * workers when it has given it back.  NGX_OK; NGX_DECLINED: longer than the
 * ring takes.
 */
ngx_int_t ngx_chat_append(ngx_chat_zone_t *zone, ngx_chat_envelope_t *e);


#endif /* _NGX_CHAT_APPEND_H_INCLUDED_ */
