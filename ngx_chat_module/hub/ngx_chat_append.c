
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Into the ring.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hub/ngx_chat_append.h>
#include <wire/ngx_chat_failpoint.h>


ngx_int_t
ngx_chat_append(ngx_chat_zone_t *zone, ngx_chat_envelope_t *e)
{
    u_char  *p;
    size_t   len;

    len = ngx_chat_envelope_size(e);

    ngx_chat_failpoint("append");

    p = ngx_chat_ring_reserve(zone->sh->ring, len);

    if (p == NULL) {
        return NGX_DECLINED;
    }

    ngx_chat_failpoint("append reserved");

    (void) ngx_chat_envelope_pack(p, e);

    ngx_chat_failpoint("append packed");

    (void) ngx_chat_ring_commit(zone->sh->ring, len, e->message);

    ngx_chat_failpoint("appended");

    zone->sh->counters[NGX_CHAT_EVENTS_e]++;
    zone->sh->counters[NGX_CHAT_STORED_e] += (e->message != 0);

    return NGX_OK;
}
