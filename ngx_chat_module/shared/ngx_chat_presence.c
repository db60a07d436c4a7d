
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Presence members in the shared zone.
 *
 * A worker may be killed between a link and its telling to others.  Both are
 * noted before, see ngx_chat_repair_note(): a coming that was not told is
 * taken back, a going that was told is finished.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_presence.h>
#include <shared/ngx_chat_registry.h>
#include <shared/ngx_chat_repair.h>
#include <wire/ngx_chat_failpoint.h>


/* so many of the gone are kept without a sweep, beside as many as are there */
#define NGX_CHAT_PRESENCE_GONE  16


static ngx_chat_member_sh_t *ngx_chat_presence_member(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, ngx_str_t *user);
static ngx_chat_member_sh_t *ngx_chat_presence_create(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, ngx_str_t *user);
static ngx_int_t ngx_chat_presence_set_info(ngx_chat_zone_t *zone,
    ngx_chat_member_sh_t *m, ngx_str_t *info);
static ngx_chat_part_sh_t *ngx_chat_presence_part(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_member_sh_t *m);
static void ngx_chat_presence_drop(ngx_chat_zone_t *zone,
    ngx_chat_part_sh_t *part, ngx_uint_t in_slot);
static void ngx_chat_presence_sweep(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch);
static void ngx_chat_presence_delete(ngx_chat_zone_t *zone,
    ngx_chat_member_sh_t *m);
static uint32_t ngx_chat_presence_hash(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, ngx_str_t *user);


ngx_chat_member_sh_t *
ngx_chat_presence_find(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    ngx_str_t *user)
{
    ngx_chat_member_sh_t  *m;

    m = ngx_chat_presence_member(zone, ch, user);

    return (m && m->parts) ? m : NULL;
}


ngx_chat_part_sh_t *
ngx_chat_presence_join(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_channel_sh_t *ch, ngx_str_t *user, ngx_str_t *info,
    ngx_uint_t *added)
{
    ngx_chat_part_sh_t    *part;
    ngx_chat_member_sh_t  *m;

    m = ngx_chat_presence_member(zone, ch, user);

    if (m == NULL) {
        m = ngx_chat_presence_create(zone, ch, user);

        if (m == NULL) {
            return NULL;
        }
    }

    *added = (m->parts == NULL);

    /* what the first socket said of the user holds until it has left */

    if (*added && ngx_chat_presence_set_info(zone, m, info) != NGX_OK) {
        return NULL;
    }

    if (*added) {
        ngx_chat_repair_note(zone, NGX_CHAT_TURN_JOIN_e, m);
    }

    part = ngx_chat_presence_part(zone, slot, m);

    if (part == NULL) {
        ngx_chat_repair_done(zone);
        return NULL;
    }

    part->sockets++;

    ngx_chat_failpoint("member joined");

    if (*added) {
        ch->nmembers++;
        zone->sh->nmembers++;
    }

    return part;
}


void
ngx_chat_presence_leave(ngx_chat_zone_t *zone, ngx_chat_part_sh_t *part)
{
    if (part->sockets > 1) {
        part->sockets--;
        return;
    }

    ngx_chat_presence_drop(zone, part, 1);
}


void
ngx_chat_presence_user(ngx_chat_part_sh_t *part, ngx_str_t *user)
{
    user->data = part->member->id;
    user->len = part->member->len;
}


void
ngx_chat_presence_clear(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot)
{
    ngx_chat_presence_drop(zone, slot->parts, 0);
}


void
ngx_chat_presence_free(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch)
{
    ngx_chat_member_sh_t  *m;

    while (ch->members) {
        m = ch->members;
        ch->members = m->sibling;

        ngx_chat_failpoint("member of none");

        ngx_chat_presence_delete(zone, m);
    }
}


u_char *
ngx_chat_presence_entry_write(u_char *p, ngx_str_t *user, ngx_str_t *info)
{
    uint16_t  lens[2];

    lens[0] = (uint16_t) user->len;
    lens[1] = (uint16_t) info->len;

    p = ngx_cpymem(p, lens, sizeof(lens));
    p = ngx_cpymem(p, user->data, user->len);

    return info->len ? ngx_cpymem(p, info->data, info->len) : p;
}


ngx_int_t
ngx_chat_presence_entry_read(u_char **pos, u_char *last, ngx_str_t *user,
    ngx_str_t *info)
{
    uint16_t  lens[2];

    if ((size_t) (last - *pos) < sizeof(lens)) {
        return NGX_DONE;
    }

    ngx_memcpy(lens, *pos, sizeof(lens));

    user->len = lens[0];
    user->data = *pos + sizeof(lens);
    info->len = lens[1];
    info->data = user->data + user->len;

    *pos = info->data + info->len;

    return NGX_OK;
}


size_t
ngx_chat_presence_list(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    u_char *buf, size_t size)
{
    size_t                 n, len;
    ngx_str_t              user, info;
    ngx_uint_t             count;
    ngx_chat_member_sh_t  *m;

    n = 0;
    count = 0;

    for (m = ch->members; m; m = m->sibling) {

        if (m->parts == NULL) {
            continue;
        }

        user.data = m->id;
        user.len = m->len;
        ngx_str_null(&info);

        if (m->info) {
            info.data = m->info->data;
            info.len = m->info->len;
        }

        len = ngx_chat_presence_entry_size(&user, &info);

        if (n + len <= size) {
            (void) ngx_chat_presence_entry_write(buf + n, &user, &info);
        }

        n += len;
        count++;
    }

    /* a worker that was killed may have left them wrong */

    zone->sh->nmembers += count - ch->nmembers;
    ch->nmembers = count;

    return n;
}


static ngx_chat_member_sh_t *
ngx_chat_presence_member(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    ngx_str_t *user)
{
    uint32_t               hash;
    ngx_chat_member_sh_t  *m;

    hash = ngx_chat_presence_hash(zone, ch, user);

    for (m = zone->sh->members[hash & zone->sh->mask]; m; m = m->next) {

        if (m->hash == hash
            && m->channel == ch
            && m->len == user->len
            && ngx_memcmp(m->id, user->data, user->len) == 0)
        {
            return m;
        }
    }

    return NULL;
}


static ngx_chat_member_sh_t *
ngx_chat_presence_create(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    ngx_str_t *user)
{
    ngx_chat_member_sh_t  *m, **bucket;

    m = ngx_chat_arena_alloc(zone->sh->arena,
                             sizeof(ngx_chat_member_sh_t) + user->len);
    if (m == NULL) {
        return NULL;
    }

    m->hash = ngx_chat_presence_hash(zone, ch, user);

    bucket = &zone->sh->members[m->hash & zone->sh->mask];

    m->next = *bucket;
    m->sibling = ch->members;
    m->channel = ch;
    m->parts = NULL;
    m->info = NULL;
    m->len = (uint16_t) user->len;
    ngx_memcpy(m->id, user->data, user->len);

    ngx_memory_barrier();

    ch->members = m;
    ch->ngone++;

    ngx_chat_failpoint("member created");

    ngx_memory_barrier();

    *bucket = m;

    return m;
}


static ngx_int_t
ngx_chat_presence_set_info(ngx_chat_zone_t *zone, ngx_chat_member_sh_t *m,
    ngx_str_t *info)
{
    ngx_chat_info_sh_t  *old, *new;

    old = m->info;
    new = NULL;

    if (info->len) {
        new = ngx_chat_arena_alloc(zone->sh->arena,
                                   sizeof(ngx_chat_info_sh_t) + info->len);
        if (new == NULL) {
            return NGX_ERROR;
        }

        new->len = info->len;
        ngx_memcpy(new->data, info->data, info->len);
    }

    ngx_memory_barrier();

    m->info = new;

    ngx_chat_failpoint("member info");

    if (old) {
        ngx_chat_arena_free(zone->sh->arena, old,
                            sizeof(ngx_chat_info_sh_t) + old->len);
    }

    return NGX_OK;
}


static ngx_chat_part_sh_t *
ngx_chat_presence_part(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_member_sh_t *m)
{
    ngx_chat_part_sh_t  *part;

    for (part = m->parts; part; part = part->next) {
        if (part->slot == slot) {
            return part;
        }
    }

    part = ngx_chat_arena_alloc(zone->sh->arena, sizeof(ngx_chat_part_sh_t));
    if (part == NULL) {
        return NULL;
    }

    part->next = m->parts;
    part->slot_next = slot->parts;
    part->slot_prev = NULL;
    part->member = m;
    part->slot = slot;
    part->sockets = 0;

    if (slot->parts) {
        slot->parts->slot_prev = part;
    }

    ngx_memory_barrier();

    slot->parts = part;

    ngx_chat_failpoint("part in slot");

    ngx_memory_barrier();

    if (m->parts == NULL) {
        m->channel->ngone--;
    }

    m->parts = part;

    return part;
}


/* Ends a part; with in_slot set its worker lives and the links are good. */

static void
ngx_chat_presence_drop(ngx_chat_zone_t *zone, ngx_chat_part_sh_t *part,
    ngx_uint_t in_slot)
{
    ngx_str_t               user, channel;
    ngx_chat_part_sh_t    **next;
    ngx_chat_member_sh_t   *m;
    ngx_chat_channel_sh_t  *ch;

    m = part->member;
    ch = m->channel;

    if (m->parts == part && part->next == NULL) {

        user.data = m->id;
        user.len = m->len;
        channel.data = ch->name;
        channel.len = ch->len;

        ngx_chat_repair_note(zone, NGX_CHAT_TURN_LEAVE_e, m);

        zone->handlers->removed(zone, ch->app, &channel, &user);

        ngx_chat_failpoint("member told to leave");
    }

    for (next = &m->parts; *next; next = &(*next)->next) {

        if (*next == part) {
            *next = part->next;

            if (m->parts == NULL) {
                ch->nmembers--;
                zone->sh->nmembers--;
                ch->ngone++;
            }

            break;
        }
    }

    ngx_chat_failpoint("part of none");

    ngx_chat_repair_done(zone);

    if (in_slot && part->slot_next) {
        part->slot_next->slot_prev = part->slot_prev;
    }

    if (in_slot && part->slot_prev) {
        part->slot_prev->slot_next = part->slot_next;

    } else {
        part->slot->parts = part->slot_next;
    }

    ngx_chat_arena_free(zone->sh->arena, part, sizeof(ngx_chat_part_sh_t));

    if (ch->ngone > ch->nmembers + NGX_CHAT_PRESENCE_GONE) {
        ngx_chat_presence_sweep(zone, ch);
    }
}


static void
ngx_chat_presence_sweep(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch)
{
    ngx_chat_member_sh_t  *m, **next;

    next = &ch->members;

    while (*next) {
        m = *next;

        if (m->parts) {
            next = &m->sibling;
            continue;
        }

        *next = m->sibling;

        ngx_chat_failpoint("member swept");

        ngx_chat_presence_delete(zone, m);
    }

    ch->ngone = 0;
}


/* Frees a member that is in no channel's list any more. */

static void
ngx_chat_presence_delete(ngx_chat_zone_t *zone, ngx_chat_member_sh_t *m)
{
    ngx_chat_member_sh_t  **next;

    next = &zone->sh->members[m->hash & zone->sh->mask];

    for ( /* void */ ; *next; next = &(*next)->next) {

        if (*next == m) {
            *next = m->next;
            break;
        }
    }

    if (m->info) {
        ngx_chat_arena_free(zone->sh->arena, m->info,
                            sizeof(ngx_chat_info_sh_t) + m->info->len);
    }

    ngx_chat_arena_free(zone->sh->arena, m,
                        sizeof(ngx_chat_member_sh_t) + m->len);
}


static uint32_t
ngx_chat_presence_hash(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    ngx_str_t *user)
{
    return (uint32_t) ngx_chat_hash(&zone->sh->key, user->data, user->len)
           ^ ch->hash;
}
