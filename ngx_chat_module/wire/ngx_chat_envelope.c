
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The envelope: pack and checked unpack.  Pure.
 *
 * A record never leaves the machine, so numbers are in its own byte order.
 * It may lie at any address: everything is copied, nothing is cast.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_envelope.h>


/*
 * What a record begins with; the channel and the payload follow.  There is no
 * padding, since unpack() would not see what is in it.
 */
typedef struct {
    uint64_t           app;
    uint64_t           message;
    uint64_t           except_high;
    uint64_t           except_low;
    uint64_t           previous;
    uint32_t           hash;
    uint32_t           payload_len;
    uint32_t           channel_len;
    uint32_t           type;
} ngx_chat_envelope_header_t;


size_t
ngx_chat_envelope_size(ngx_chat_envelope_t *e)
{
    return sizeof(ngx_chat_envelope_header_t) + e->channel.len
           + e->payload.len;
}


u_char *
ngx_chat_envelope_pack(u_char *p, ngx_chat_envelope_t *e)
{
    ngx_chat_envelope_header_t  h;

    ngx_memzero(&h, sizeof(ngx_chat_envelope_header_t));

    h.app = e->app;
    h.message = e->message;
    h.except_high = e->except.high;
    h.except_low = e->except.low;
    h.previous = e->previous;
    h.hash = e->hash;
    h.payload_len = (uint32_t) e->payload.len;
    h.channel_len = (uint32_t) e->channel.len;
    h.type = (uint32_t) e->type;

    p = ngx_cpymem(p, &h, sizeof(ngx_chat_envelope_header_t));
    p = ngx_cpymem(p, e->channel.data, e->channel.len);

    if (e->payload.len) {
        p = ngx_cpymem(p, e->payload.data, e->payload.len);
    }

    return p;
}


ngx_int_t
ngx_chat_envelope_unpack(ngx_chat_envelope_t *e, u_char *p, size_t len)
{
    ngx_chat_envelope_header_t  h;

    if (len < sizeof(ngx_chat_envelope_header_t)) {
        return NGX_ERROR;
    }

    ngx_memcpy(&h, p, sizeof(ngx_chat_envelope_header_t));

    p += sizeof(ngx_chat_envelope_header_t);
    len -= sizeof(ngx_chat_envelope_header_t);

    if (h.type < NGX_CHAT_ENVELOPE_EVENT_e
        || h.type > NGX_CHAT_ENVELOPE_HOOK_e
        || h.channel_len == 0
        || h.channel_len > 255
        || h.channel_len > len
        || h.payload_len != len - h.channel_len)
    {
        return NGX_ERROR;
    }

    e->type = h.type;
    e->app = h.app;
    e->message = h.message;
    e->except.high = h.except_high;
    e->except.low = h.except_low;
    e->previous = h.previous;
    e->hash = h.hash;
    e->channel.data = p;
    e->channel.len = h.channel_len;
    e->payload.data = p + h.channel_len;
    e->payload.len = h.payload_len;

    return NGX_OK;
}
