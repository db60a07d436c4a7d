
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Into the ring: the one place where events enter it.
 */


#ifndef _NGX_CHAT_APPEND_H_INCLUDED_
#define _NGX_CHAT_APPEND_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <bus/ngx_chat_ring.h>
#include <wire/ngx_chat_envelope.h>


/*
 * Appends an event.  The caller holds the lock that serializes writers, and
 * rouses the workers when it has given it back.  NGX_OK, with *position, where
 * that is not NULL, behind the event; NGX_DECLINED: longer than the ring
 * takes.
 */
ngx_int_t ngx_chat_append(ngx_chat_ring_sh_t *ring, ngx_chat_envelope_t *e,
    uint64_t *position);


#endif /* _NGX_CHAT_APPEND_H_INCLUDED_ */
