
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Questions of the HTTP endpoints about channels: counts, lists, members,
 * cached events.  The functions take the zone's lock themselves, for a few
 * channels or for one channel's members at a time.
 */


#ifndef _NGX_CHAT_REGISTRY_QUERY_H_INCLUDED_
#define _NGX_CHAT_REGISTRY_QUERY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


typedef struct {
    ngx_str_t               name;      /* of a list: in its memory */
    ngx_uint_t              subscriptions;     /* 0: not occupied */
    ngx_uint_t              users;     /* of a presence channel */
} ngx_chat_registry_query_t;


/* Counts one channel.  c->name is the caller's. */
void ngx_chat_registry_query_count(ngx_chat_zone_t *zone, uint64_t app,
    ngx_chat_registry_query_t  *c);

/*
 * Sets the bits of the slots whose workers have subscribers of the channel, in
 * an array with a bit for each slot of the zone.
 */
void ngx_chat_registry_query_slots(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *name, uint64_t *slots);

/*
 * Pushes occupied channels whose names begin with prefix to list, an array of
 * ngx_chat_registry_query_t, with their names in the pool.  Each call looks at
 * a part of all channels, as one turn of the event loop may: *bucket tells
 * where it goes on, and is 0 at first.  Channels that no client can name are
 * left out.  A channel that is occupied all the time comes once.  NGX_OK: that
 * was all; NGX_AGAIN; NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_registry_query_list(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *prefix, ngx_uint_t *bucket, ngx_array_t *list,
    ngx_pool_t *pool);

/*
 * The members of a presence channel, as entries to be read by
 * ngx_chat_presence_entry_read(), in the pool.  NGX_OK, or NGX_ERROR: no
 * memory.
 */
ngx_int_t ngx_chat_registry_query_members(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *name, ngx_str_t *members, ngx_pool_t *pool);

/*
 * The cached event of a channel: the text that clients get, in the pool, and
 * the seconds it has left.  NGX_OK, NGX_DECLINED: nothing is cached,
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_registry_query_cached(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *name, ngx_str_t *event, ngx_uint_t *ttl, ngx_pool_t *pool);


#endif /* _NGX_CHAT_REGISTRY_QUERY_H_INCLUDED_ */
