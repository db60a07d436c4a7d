
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Presence: which users are in a channel, on all workers.
 *
 * A member is there as long as some worker has a part in it, which counts
 * the user's sockets of that worker.  A member without parts is gone for
 * everybody; its memory stays for its return up to the next sweep, so that
 * lists need one link and every change is one store.  The caller holds the
 * zone's lock throughout.
 */


#ifndef _NGX_CHAT_PRESENCE_H_INCLUDED_
#define _NGX_CHAT_PRESENCE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_slot.h>


typedef struct {
    uint32_t                len;
    u_char                  data[];
} ngx_chat_info_sh_t;


struct ngx_chat_member_sh_s {
    ngx_chat_member_sh_t   *next;          /* in the bucket */
    ngx_chat_member_sh_t   *sibling;       /* of the same channel */
    ngx_chat_channel_sh_t  *channel;
    ngx_chat_part_sh_t     *parts;         /* NULL: the user is gone */
    ngx_chat_info_sh_t     *info;          /* NULL: none */
    uint32_t                hash;
    uint16_t                len;
    u_char                  id[];
};


/* One worker's part in a member. */

struct ngx_chat_part_sh_s {
    ngx_chat_part_sh_t     *next;          /* of the member's parts */
    ngx_chat_part_sh_t     *slot_next;     /* of the slot's parts */
    ngx_chat_part_sh_t     *slot_prev;     /* void once the worker died */
    ngx_chat_member_sh_t   *member;
    ngx_chat_slot_sh_t     *slot;
    ngx_uint_t              sockets;
};


/* The user's member in a channel, or NULL: not there. */
ngx_chat_member_sh_t *ngx_chat_presence_find(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, ngx_str_t *user);

/*
 * Adds a socket of the user.  *added is set where the user was not there.
 * NULL: the zone is full.
 */
ngx_chat_part_sh_t *ngx_chat_presence_join(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_channel_sh_t *ch, ngx_str_t *user,
    ngx_str_t *info, ngx_uint_t *added);

/* Takes a socket away; with the user's last, removed() is called first. */
void ngx_chat_presence_leave(ngx_chat_zone_t *zone,
    ngx_chat_part_sh_t *part);

/* The id of the part's user, in the zone: good as long as the part. */
void ngx_chat_presence_user(ngx_chat_part_sh_t *part, ngx_str_t *user);

/* Takes the first part of a slot whose worker is gone. */
void ngx_chat_presence_clear(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot);

/* Frees all that is left of a channel nobody is subscribed to. */
void ngx_chat_presence_free(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch);

/* An entry of a list of members: two lengths (uint16_t), id and info. */
#define ngx_chat_presence_entry_size(user, info)                              \
    (2 * sizeof(uint16_t) + (user)->len + (info)->len)

/* Writes an entry, returns the end. */
u_char *ngx_chat_presence_entry_write(u_char *p, ngx_str_t *user,
    ngx_str_t *info);

/*
 * Reads an entry at *pos and moves on; the strings point into it.
 * NGX_DONE: there is none.  For any memory, without the lock.
 */
ngx_int_t ngx_chat_presence_entry_read(u_char **pos, u_char *last,
    ngx_str_t *user, ngx_str_t *info);

/*
 * Copies the members into buf, as entries.  Returns the bytes it takes,
 * which may be more than size: then buf holds nothing of use.  Sets the
 * channel's numbers right.
 */
size_t ngx_chat_presence_list(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, u_char *buf, size_t size);


#endif /* _NGX_CHAT_PRESENCE_H_INCLUDED_ */
