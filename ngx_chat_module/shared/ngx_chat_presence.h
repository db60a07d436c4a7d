
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Presence: which users are in a channel, on all workers.
 *
 * A member is there as long as some worker has sockets of the user in the
 * channel.  The caller holds the zone's lock throughout.
 */


#ifndef _NGX_CHAT_PRESENCE_H_INCLUDED_
#define _NGX_CHAT_PRESENCE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


/* The user's member in a channel, or NULL: not there.  In a cluster it may be
   one that this node has not announced yet. */
ngx_chat_member_sh_t *ngx_chat_presence_find(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, ngx_str_t *user);

/* Whether clients see a member; and whether they see a user in a channel. */
ngx_uint_t ngx_chat_presence_is_seen(ngx_chat_zone_t *zone,
    ngx_chat_member_sh_t *m);
ngx_uint_t ngx_chat_presence_has(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, ngx_str_t *user);

/* The slot's sockets of a member, or NULL. */
ngx_chat_slot_member_sh_t *ngx_chat_presence_of(ngx_chat_member_sh_t *m,
    ngx_chat_slot_sh_t *slot);

/*
 * Adds a socket of the user.  *added is set where the user was not there; the
 * info of the first socket holds until the last has left.  NULL: the zone
 * has no room for the app.
 */
ngx_chat_slot_member_sh_t *ngx_chat_presence_join(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_channel_sh_t *ch, ngx_str_t *user,
    ngx_str_t *info, ngx_uint_t *added);

/* Takes a socket away, or all that the worker has; with the user's last,
   removed() is called. */
void ngx_chat_presence_leave(ngx_chat_zone_t *zone,
    ngx_chat_slot_member_sh_t *sm);
void ngx_chat_presence_remove(ngx_chat_zone_t *zone,
    ngx_chat_slot_member_sh_t *sm);

/* Bytes of an entry of a list of members: a ngx_chat_entry_t. */
#define ngx_chat_presence_entry_size(user, info)                              \
    (sizeof(ngx_chat_entry_t) + (user)->len + (info)->len)

/*
 * Reads an entry at *pos and moves on; the strings point into it.
 * NGX_DONE: there is none.  For any memory, without the lock.
 */
ngx_int_t ngx_chat_presence_entry_read(u_char **pos, u_char *last,
    ngx_str_t *user, ngx_str_t *info);

/*
 * Copies the members that are seen into buf, as entries.  Returns the bytes it
 * takes, which may be more than size: then buf holds nothing of use.
 */
size_t ngx_chat_presence_list(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    u_char *buf, size_t size);


#endif /* _NGX_CHAT_PRESENCE_H_INCLUDED_ */
