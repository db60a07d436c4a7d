
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Positions: what a client of chat_events has got, as a text that it gives
 * back.  The text is opaque for clients.  It is signed with the zone's key, so
 * only this server's own texts are read, and only while they mean something:
 * as long as the ring and the registry's index have not been made anew, and the
 * database is the same.
 */


#ifndef _NGX_CHAT_EVENTS_POSITION_H_INCLUDED_
#define _NGX_CHAT_EVENTS_POSITION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


/* four numbers of 16 digits, and what is between them */
#define NGX_CHAT_EVENTS_POSITION_LEN  67


/*
 * The client has got all stored messages up to behind.
 *
 * place.mark is the same as a rule.  Where it is higher, messages of the
 * history above behind, up to the mark, come before the events of the ring.
 * Where it is lower, which is 0, the history had messages that are in the ring
 * behind the place, too, and that are not for this client any more.
 */

typedef struct {
    ngx_chat_ring_place_t    place;
    uint64_t                 behind;
} ngx_chat_events_position_t;


#define ngx_chat_events_position_is_due(position)                             \
    ((position)->behind < (position)->place.mark)

#define ngx_chat_events_position_skips(position, message)                     \
    ((position)->behind > (position)->place.mark                              \
     && (message) && (message) <= (position)->behind)


/* Has got the stored messages up to an id, but for what it skips. */
void ngx_chat_events_position_mark(ngx_chat_events_position_t *position,
    uint64_t id);


/* Writes at most NGX_CHAT_EVENTS_POSITION_LEN bytes.  Returns the end. */
u_char *ngx_chat_events_position_write(u_char *p, ngx_chat_zone_t *zone,
    ngx_chat_events_position_t *position);

/* NGX_OK; NGX_DECLINED: that means nothing here. */
ngx_int_t ngx_chat_events_position_read(ngx_chat_events_position_t *position,
    ngx_chat_zone_t *zone, ngx_str_t *text);


#endif /* _NGX_CHAT_EVENTS_POSITION_H_INCLUDED_ */
