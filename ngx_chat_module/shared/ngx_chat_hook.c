
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Webhooks: records in the ring.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_hook.h>
#include <shared/ngx_chat_index.h>
#include <shared/ngx_chat_share.h>
#include <wire/ngx_chat_clock.h>


/* What a record without an event and its data fits in. */
#define NGX_CHAT_HOOK_BUF  4096


static void ngx_chat_hook_put(ngx_chat_zone_t *zone,
    ngx_chat_hook_record_t *rec, u_char *buf, size_t len);


void
ngx_chat_hook_append(ngx_chat_zone_t *zone, ngx_chat_hook_record_t *rec)
{
    u_char  buf[NGX_CHAT_HOOK_BUF];
    size_t  len;

    len = ngx_chat_hook_record_size(rec);

    if (len <= NGX_CHAT_HOOK_BUF && ngx_chat_hook_is_wanted(zone, rec->kind)) {
        rec->at = ngx_chat_clock_msec();
        rec->time = ngx_chat_clock_wall();
        rec->seq = (zone->sh->nnodes && ngx_chat_hook_is_state(rec->kind))
                   ? ngx_max(zone->sh->nodes->seq, 1) : 0;

        ngx_chat_hook_put(zone, rec, buf, len);
    }
}


ngx_int_t
ngx_chat_hook_publish(ngx_chat_zone_t *zone, ngx_chat_hook_record_t *rec)
{
    return ngx_chat_hook_replay(zone, rec, 0);
}


ngx_int_t
ngx_chat_hook_replay(ngx_chat_zone_t *zone, ngx_chat_hook_record_t *rec,
    uint64_t seq)
{
    u_char  *p;
    size_t   len;

    if (!ngx_chat_hook_is_wanted(zone, rec->kind)) {
        return NGX_OK;
    }

    len = ngx_chat_hook_record_size(rec);

    p = malloc(len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    rec->at = ngx_chat_clock_msec();
    rec->seq = seq;

    /* what comes by the log has the time at which it happened */

    if (seq == 0) {
        rec->time = ngx_chat_clock_wall();
    }

    ngx_chat_zone_lock(zone);

    ngx_chat_hook_put(zone, rec, p, len);

    ngx_chat_zone_unlock(zone);

    free(p);

    return NGX_OK;
}


ngx_atomic_uint_t
ngx_chat_hook_configured(ngx_chat_zone_t *zone)
{
    return ngx_atomic_fetch_add(&zone->sh->hooks.configured, 1) + 1;
}


void
ngx_chat_hook_added(ngx_chat_zone_t *zone)
{
    (void) ngx_atomic_fetch_add(&zone->sh->hooks.added, 1);
}


/* Appends a record, if its app wants it.  buf has room for len bytes. */

static void
ngx_chat_hook_put(ngx_chat_zone_t *zone, ngx_chat_hook_record_t *rec,
    u_char *buf, size_t len)
{
    ngx_chat_share_sh_t  *share;
    ngx_chat_envelope_t   e;

    share = ngx_chat_share_find(zone->sh, rec->app);

    if (!(share->hooks & ngx_chat_hook_bit(rec->kind))) {
        return;
    }

    (void) ngx_chat_hook_record_pack(buf, rec);

    ngx_memzero(&e, sizeof(ngx_chat_envelope_t));

    e.type = NGX_CHAT_ENVELOPE_HOOK_e;
    ngx_str_set(&e.channel, NGX_CHAT_HOOK_CHANNEL);
    e.payload.data = buf;
    e.payload.len = len;

    (void) ngx_chat_index_append(zone, &e, NULL);
}
