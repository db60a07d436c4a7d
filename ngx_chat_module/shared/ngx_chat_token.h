
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Token sessions in the shared zone: what is known of a client that gave a
 * token with its key, while it is connected and for some time afterwards.
 *
 * A token session has a channel for each subscription, with its floor: the
 * position in the ring from which events have to be sent again if the client
 * comes back.  The floor moves when the client acknowledges.  While the client
 * is connected the session is in the list of its worker's slot; then it is
 * parked, see ngx_chat_parked.h.
 *
 * A connection owns the session as long as no other connection has given the
 * same token.  Functions that are given a digest and an owner do nothing where
 * the session is gone or has another owner, but used(), which looks for that.
 * All but digest() take the zone's lock, unless they say otherwise; event loop.
 */


#ifndef _NGX_CHAT_TOKEN_H_INCLUDED_
#define _NGX_CHAT_TOKEN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


/* A token, as a client may write it: so many of A-Za-z0-9_- */
#define NGX_CHAT_TOKEN_MIN       16
#define NGX_CHAT_TOKEN_MAX       64

/* channels that a session remembers */
#define NGX_CHAT_TOKEN_CHANNELS  1024


typedef enum {
    NGX_CHAT_TOKEN_WAITING_e = 0,  /* not subscribed by this connection */
    NGX_CHAT_TOKEN_REPLAYED_e,     /* told of, and not asked for yet */
    NGX_CHAT_TOKEN_ASKED_e,        /* the ping that is out is behind that */
    NGX_CHAT_TOKEN_COVERED_e       /* each acknowledgement is good for it */
} ngx_chat_token_state_e;


typedef enum {
    NGX_CHAT_TOKEN_PARK_e = 0,
    NGX_CHAT_TOKEN_SLOW_e,             /* the client has read too slowly */
    NGX_CHAT_TOKEN_FORGET_e            /* it must not come back */
} ngx_chat_token_end_e;


/*
 * The hash of a token of an app, by the zone's key: another token can't be made
 * to have the same.
 */
uint64_t ngx_chat_token_digest(ngx_chat_zone_t *zone, uint64_t app,
    ngx_str_t *token);

/*
 * A connection with the app's token begins and owns the session, which is kept
 * for ttl seconds after its end.  NGX_OK; NGX_DONE: it begins anew, since it
 * has expired or is of another database; NGX_BUSY: the zone is full.
 */
ngx_int_t ngx_chat_token_open(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    uint64_t app, uint64_t digest, uint64_t owner, time_t ttl);

/*
 * The connection has sent something.  Where it is not the owner any more, two
 * clients have the token: from now on nothing is sent again to either.  Returns
 * 1 where it has just become so.
 */
ngx_uint_t ngx_chat_token_used(ngx_chat_zone_t *zone, uint64_t digest,
    uint64_t owner);

/*
 * From where a channel has to be sent again.  NGX_OK: *floor is set;
 * NGX_DECLINED: the session has not had the channel, or its client may not have
 * heard that it began anew; NGX_DONE: it is of another database; NGX_BUSY: it
 * is shared; NGX_ABORT: it is gone, or another connection's.
 */
ngx_int_t ngx_chat_token_floor(ngx_chat_zone_t *zone, uint64_t digest,
    uint64_t owner, ngx_str_t *channel, ngx_chat_ring_place_t *floor);

/*
 * The connection has subscribed to a channel, from a place on.  recovered: it
 * was sent all since the floor, else it was told that it begins anew.  Neither
 * may reach the client: until it has acknowledged that, the floor stands, or it
 * begins anew once more.
 */
void ngx_chat_token_subscribed(ngx_chat_zone_t *zone, uint64_t digest,
    uint64_t owner, ngx_str_t *channel, ngx_chat_ring_place_t *start,
    ngx_uint_t recovered);
void ngx_chat_token_unsubscribed(ngx_chat_zone_t *zone, uint64_t digest,
    uint64_t owner, ngx_str_t *channel);

/* The client is asked for an acknowledgement.  NGX_DECLINED: not the owner. */
ngx_int_t ngx_chat_token_asked(ngx_chat_zone_t *zone, uint64_t digest,
    uint64_t owner);

/*
 * The client has all that was sent to it before the place.  all: what was sent
 * again, too, whether it was asked for or not.
 */
void ngx_chat_token_acknowledged(ngx_chat_zone_t *zone, uint64_t digest,
    uint64_t owner, ngx_chat_ring_place_t *place, ngx_uint_t all);

/* The connection has ended, or is about to. */
void ngx_chat_token_end(ngx_chat_zone_t *zone, uint64_t digest,
    uint64_t owner, ngx_chat_token_end_e how);

/*
 * Parks at most n sessions of a slot whose worker is gone.  The caller holds
 * the lock.  Returns their number.
 */
ngx_uint_t ngx_chat_token_clear(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_uint_t n);

/*
 * Looks at n parked sessions of several apps, the longest parked first, and
 * frees those that have expired.
 */
void ngx_chat_token_expire(ngx_chat_zone_t *zone, ngx_uint_t n);


#endif /* _NGX_CHAT_TOKEN_H_INCLUDED_ */
