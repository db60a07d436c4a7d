
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * An index of the ring by channel: which of its records are events of a
 * channel, without a look at those of other channels.
 *
 * Each record tells where the record before it was that has the same bucket of
 * channels.  The last record of each bucket is in a table of the zone, even
 * after the ring was written over, so that it can be told that a channel has
 * had no event since a position.
 *
 * Whoever dies in the midst of an append died with the zone's lock.  The record
 * may then be missing in the index, but whoever could ask for it is gone, too:
 * the tokens are wiped, and later ones begin behind that record.
 */


#ifndef _NGX_CHAT_INDEX_H_INCLUDED_
#define _NGX_CHAT_INDEX_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>
#include <wire/ngx_chat_envelope.h>


#define NGX_CHAT_INDEX_NONE  ((uint64_t) -1)   /* no position */


/* Events of a channel in a part of the ring. */

typedef struct {
    uint64_t                 app;
    uint32_t                 hash;         /* of the app's channel */
    ngx_str_t               *channel;
    uint64_t                 from;         /* a position that the ring had */
    uint64_t                 to;           /* a later one, or the same */
    uint64_t                 except;       /* events that are not for a socket
                                              id with this first part are left
                                              out */

    /* the results */
    uint64_t                *positions;    /* of the records, the latest
                                              first */
    ngx_uint_t               max;          /* of them */
    ngx_uint_t               n;
    uint64_t                 reached;      /* after NGX_DECLINED: all events
                                              from here on are in positions */
} ngx_chat_index_query_t;


/*
 * Appends an event to the ring.  The caller has set all of the envelope but
 * previous, and holds the zone's lock.  Returns what ngx_chat_ring_append()
 * does.
 */
ngx_int_t ngx_chat_index_append(ngx_chat_zone_t *zone,
    ngx_chat_envelope_t *e, uint64_t *position);

/*
 * Finds events.  Needs no lock: event loop.  buf is memory for a record, and
 * grows where it has to.  NGX_OK; NGX_DECLINED: older ones were written over;
 * NGX_BUSY: there are more than max, or the channel's bucket has too many
 * others; NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_index_find(ngx_chat_zone_t *zone,
    ngx_chat_index_query_t *q, ngx_str_t *buf, ngx_log_t *log);

/*
 * Copies the record at a position of find(), unpacks it, and moves *position
 * behind it; buf is as there.  NGX_OK; NGX_DECLINED: it was written over;
 * NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_index_read(ngx_chat_zone_t *zone, uint64_t *position,
    ngx_chat_envelope_t *e, ngx_str_t *buf, ngx_log_t *log);

/* 1 where the channel may have had an event since the position. */
ngx_uint_t ngx_chat_index_changed(ngx_chat_zone_t *zone, uint32_t hash,
    uint64_t position);

/* The same of events that are not stored as messages. */
ngx_uint_t ngx_chat_index_unstored(ngx_chat_zone_t *zone, uint32_t hash,
    uint64_t position);


#endif /* _NGX_CHAT_INDEX_H_INCLUDED_ */
