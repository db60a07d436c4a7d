
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Into the ring.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <bus/ngx_chat_append.h>
#include <wire/ngx_chat_failpoint.h>


ngx_int_t
ngx_chat_append(ngx_chat_ring_sh_t *ring, ngx_chat_envelope_t *e,
    uint64_t *position)
{
    u_char    *p;
    size_t     len;
    uint64_t   end;

    len = ngx_chat_envelope_size(e);

    ngx_chat_failpoint("append");

    p = ngx_chat_ring_reserve(ring, len);

    if (p == NULL) {
        return NGX_DECLINED;
    }

    ngx_chat_failpoint("append reserved");

    (void) ngx_chat_envelope_pack(p, e);

    ngx_chat_failpoint("append packed");

    end = ngx_chat_ring_commit(ring, len, e->message);

    ngx_chat_failpoint("appended");

    if (position) {
        *position = end;
    }

    return NGX_OK;
}
