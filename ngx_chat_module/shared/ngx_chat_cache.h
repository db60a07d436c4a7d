
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The last event of each cache channel, in the shared zone.  It does not depend
 * on the registry's channel: it is set by the first event and stays without
 * subscribers, until it expires (Pusher protocol, section 3.6).
 *
 * Cached events take at most a quarter of the zone's arena, of which each app
 * has an even part.  An app may have more than its part as long as there is
 * room.  Where there is none, those published longest ago are dropped: the
 * app's own if it has its part, else those of an app that has more.  So
 * nobody loses what is within its part to another app.  The answers of
 * ngx_chat_idempotency.h are kept in the same way, with a limit of their own;
 * one that is dropped before its time, or not kept at all, is counted.
 * The caller of these functions holds the zone's lock.
 */


#ifndef _NGX_CHAT_CACHE_H_INCLUDED_
#define _NGX_CHAT_CACHE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


/* Keeps an event's payload for ttl seconds.  The one before is dropped, even
   where there is no room for the new one. */
void ngx_chat_cache_set(ngx_chat_zone_t *zone, uint64_t app, uint32_t hash,
    ngx_str_t *channel, ngx_str_t *payload, time_t ttl);

/*
 * NGX_OK with *payload in the zone, good while the lock is held, and *ttl, the
 * seconds left; NGX_DECLINED: nothing is cached, or only an event of a former
 * database.
 */
ngx_int_t ngx_chat_cache_get(ngx_chat_zone_t *zone, uint64_t app,
    uint32_t hash, ngx_str_t *channel, ngx_str_t *payload, ngx_uint_t *ttl);

/* Drops what has expired, at most n; for a timer. */
void ngx_chat_cache_expire(ngx_chat_zone_t *zone, ngx_uint_t n);


#endif /* _NGX_CHAT_CACHE_H_INCLUDED_ */
