
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The webhooks' record: pack and checked unpack.  Pure.
 *
 * Numbers are in the machine's own byte order: nodes of a cluster, which give
 * each other records, are of one.  A record may lie at any address: everything
 * is copied, nothing is cast.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_hook_record.h>


#define NGX_CHAT_HOOK_RECORD_STRINGS  5


/* What a record begins with; the strings follow.  There is no padding. */

typedef struct {
    uint64_t           app;
    uint64_t           at;
    int64_t            time;
    uint64_t           number;
    uint64_t           seq;
    uint32_t           kind;
    uint32_t           lens[NGX_CHAT_HOOK_RECORD_STRINGS];
} ngx_chat_hook_record_header_t;


static void ngx_chat_hook_record_strings(ngx_chat_hook_record_t *rec,
    ngx_str_t **strings);


size_t
ngx_chat_hook_record_size(ngx_chat_hook_record_t *rec)
{
    return sizeof(ngx_chat_hook_record_header_t) + rec->channel.len
           + rec->user.len + rec->socket_id.len + rec->event.len
           + rec->data.len;
}


u_char *
ngx_chat_hook_record_pack(u_char *p, ngx_chat_hook_record_t *rec)
{
    ngx_uint_t                      i;
    ngx_str_t                      *strings[NGX_CHAT_HOOK_RECORD_STRINGS];
    ngx_chat_hook_record_header_t   h;

    ngx_chat_hook_record_strings(rec, strings);

    ngx_memzero(&h, sizeof(ngx_chat_hook_record_header_t));

    h.app = rec->app;
    h.at = rec->at;
    h.time = rec->time;
    h.number = rec->number;
    h.seq = rec->seq;
    h.kind = (uint32_t) rec->kind;

    for (i = 0; i < NGX_CHAT_HOOK_RECORD_STRINGS; i++) {
        h.lens[i] = (uint32_t) strings[i]->len;
    }

    p = ngx_cpymem(p, &h, sizeof(ngx_chat_hook_record_header_t));

    for (i = 0; i < NGX_CHAT_HOOK_RECORD_STRINGS; i++) {
        if (strings[i]->len) {
            p = ngx_cpymem(p, strings[i]->data, strings[i]->len);
        }
    }

    return p;
}


ngx_int_t
ngx_chat_hook_record_unpack(ngx_chat_hook_record_t *rec, u_char *p,
    size_t len)
{
    ngx_uint_t                      i;
    ngx_str_t                      *strings[NGX_CHAT_HOOK_RECORD_STRINGS];
    ngx_chat_hook_record_header_t   h;

    if (len < sizeof(ngx_chat_hook_record_header_t)) {
        return NGX_ERROR;
    }

    ngx_memcpy(&h, p, sizeof(ngx_chat_hook_record_header_t));

    p += sizeof(ngx_chat_hook_record_header_t);
    len -= sizeof(ngx_chat_hook_record_header_t);

    if (h.kind >= NGX_CHAT_HOOK_KINDS_e) {
        return NGX_ERROR;
    }

    rec->kind = h.kind;
    rec->app = h.app;
    rec->at = h.at;
    rec->time = h.time;
    rec->number = h.number;
    rec->seq = h.seq;

    ngx_chat_hook_record_strings(rec, strings);

    for (i = 0; i < NGX_CHAT_HOOK_RECORD_STRINGS; i++) {

        if (h.lens[i] > len) {
            return NGX_ERROR;
        }

        strings[i]->len = h.lens[i];
        strings[i]->data = p;

        p += h.lens[i];
        len -= h.lens[i];
    }

    return len ? NGX_ERROR : NGX_OK;
}


static void
ngx_chat_hook_record_strings(ngx_chat_hook_record_t *rec, ngx_str_t **strings)
{
    strings[0] = &rec->channel;
    strings[1] = &rec->user;
    strings[2] = &rec->socket_id;
    strings[3] = &rec->event;
    strings[4] = &rec->data;
}
