
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Presence grace: a member whose last connection was cut stays for some seconds
 * in the channel, and a user online, since most come back by then.
 *
 * Two slots that belong to no worker hold them: one has members, the other has
 * the users' own channels.  Each of these holds a subscription of its channel
 * as well, so that the channel stays.
 *
 * The caller holds the zone's lock, and wakes the workers where events were
 * appended.
 */


#ifndef _NGX_CHAT_GRACE_H_INCLUDED_
#define _NGX_CHAT_GRACE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


/*
 * To be called before the last subscription of a worker's member, or a worker's
 * last subscription of a channel, is taken away uncleanly: where nobody else
 * has it, it stays.  Where the zone is full it does not.
 */
void ngx_chat_grace_keep_member(ngx_chat_zone_t *zone,
    ngx_chat_slot_member_sh_t *sm);
void ngx_chat_grace_keep_user(ngx_chat_zone_t *zone,
    ngx_chat_slot_channel_sh_t *sc);

/* The member, or the channel's user, is back: has another subscription. */
void ngx_chat_grace_end_member(ngx_chat_zone_t *zone, ngx_chat_member_sh_t *m);
void ngx_chat_grace_end_user(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch);

/* Looks at n members and n users, and ends those whose time is over. */
void ngx_chat_grace_expire(ngx_chat_zone_t *zone, ngx_uint_t n);


#endif /* _NGX_CHAT_GRACE_H_INCLUDED_ */
