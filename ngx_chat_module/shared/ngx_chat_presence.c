
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Presence members in the shared zone.
 *
 * A member has a short list of the workers that have sockets of the user.  The
 * members of a channel and of a slot are long lists, doubly linked, so that
 * removing one takes the same time for each.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_presence.h>
#include <shared/ngx_chat_registry_channel.h>
#include <shared/ngx_chat_share.h>
#include <wire/ngx_chat_failpoint.h>


static ngx_chat_member_sh_t *ngx_chat_presence_create(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, ngx_str_t *user, ngx_str_t *info);
static void ngx_chat_presence_gone(ngx_chat_zone_t *zone,
    ngx_chat_member_sh_t *m);
static void ngx_chat_presence_delete(ngx_chat_zone_t *zone,
    ngx_chat_member_sh_t *m);
static uint32_t ngx_chat_presence_hash(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, ngx_str_t *user);


ngx_chat_member_sh_t *
ngx_chat_presence_find(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    ngx_str_t *user)
{
    uint32_t               hash;
    ngx_chat_member_sh_t  *m;

    hash = ngx_chat_presence_hash(zone, ch, user);

    for (m = zone->sh->members[hash & zone->sh->mask]; m; m = m->next) {

        if (m->hash == hash
            && m->channel == ch
            && m->entry.id_len == user->len
            && ngx_memcmp(m->entry.data, user->data, user->len) == 0)
        {
            return m;
        }
    }

    return NULL;
}


ngx_chat_slot_member_sh_t *
ngx_chat_presence_join(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_channel_sh_t *ch, ngx_str_t *user, ngx_str_t *info,
    ngx_uint_t *added)
{
    ngx_uint_t                  seen;
    ngx_chat_share_sh_t        *share;
    ngx_chat_member_sh_t       *m;
    ngx_chat_slot_member_sh_t  *sm;

    m = ngx_chat_presence_find(zone, ch, user);

    seen = ngx_chat_registry_sees(zone, ch, slot);
    *added = seen && (m == NULL || !ngx_chat_presence_is_seen(zone, m));

    sm = m ? ngx_chat_presence_of(m, slot) : NULL;

    if (sm != NULL) {
        sm->sockets++;
        return sm;
    }

    share = &zone->sh->shares[ch->share];

    sm = ngx_chat_share_alloc(zone->sh, share,
                              sizeof(ngx_chat_slot_member_sh_t));
    if (sm == NULL) {
        return NULL;
    }

    if (m == NULL) {
        m = ngx_chat_presence_create(zone, ch, user, info);

        if (m == NULL) {
            ngx_chat_share_free(zone->sh, share, sm);
            return NULL;
        }
    }

    sm->member = m;
    sm->slot = slot;
    sm->sockets = 1;

    sm->next = m->slots;
    m->slots = sm;

    ngx_queue_insert_head(&slot->members, &sm->queue);

    if (*added) {
        ch->nmembers++;
    }

    if (!seen) {
        ngx_chat_registry_member_changed(zone, m);
    }

    ngx_chat_failpoint("member joined");

    return sm;
}


void
ngx_chat_presence_leave(ngx_chat_zone_t *zone, ngx_chat_slot_member_sh_t *sm)
{
    if (--sm->sockets == 0) {
        ngx_chat_presence_remove(zone, sm);
    }
}


void
ngx_chat_presence_remove(ngx_chat_zone_t *zone, ngx_chat_slot_member_sh_t *sm)
{
    ngx_uint_t                   seen;
    ngx_chat_member_sh_t        *m;
    ngx_chat_slot_member_sh_t  **next;

    m = sm->member;
    seen = ngx_chat_registry_sees(zone, m->channel, sm->slot);
    next = &m->slots;

    while (*next != sm) {
        next = &(*next)->next;
    }

    *next = sm->next;

    ngx_queue_remove(&sm->queue);

    ngx_chat_share_free(zone->sh, &zone->sh->shares[m->channel->share], sm);

    if (!seen) {
        ngx_chat_registry_member_changed(zone, m);

    } else if (!ngx_chat_presence_is_seen(zone, m)) {
        ngx_chat_presence_gone(zone, m);
    }

    if (m->slots == NULL) {
        ngx_chat_presence_delete(zone, m);
    }
}


ngx_uint_t
ngx_chat_presence_is_seen(ngx_chat_zone_t *zone, ngx_chat_member_sh_t *m)
{
    ngx_chat_slot_member_sh_t  *sm;

    for (sm = m->slots; sm; sm = sm->next) {

        if (ngx_chat_registry_sees(zone, m->channel, sm->slot)) {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_chat_presence_has(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    ngx_str_t *user)
{
    ngx_chat_member_sh_t  *m;

    m = ngx_chat_presence_find(zone, ch, user);

    return m && ngx_chat_presence_is_seen(zone, m);
}


ngx_chat_slot_member_sh_t *
ngx_chat_presence_of(ngx_chat_member_sh_t *m, ngx_chat_slot_sh_t *slot)
{
    ngx_chat_slot_member_sh_t  *sm;

    for (sm = m->slots; sm; sm = sm->next) {

        if (sm->slot == slot) {
            return sm;
        }
    }

    return NULL;
}


/* The last that clients have seen of the member has left. */

static void
ngx_chat_presence_gone(ngx_chat_zone_t *zone, ngx_chat_member_sh_t *m)
{
    ngx_str_t  user, channel;

    user.data = m->entry.data;
    user.len = m->entry.id_len;
    channel.data = m->channel->name;
    channel.len = m->channel->len;

    zone->handlers->removed(zone, m->channel->app, &channel, &user);

    ngx_chat_failpoint("member told to leave");

    m->channel->nmembers--;
}


ngx_int_t
ngx_chat_presence_entry_read(u_char **pos, u_char *last, ngx_str_t *user,
    ngx_str_t *info)
{
    ngx_chat_entry_t  entry;

    if ((size_t) (last - *pos) < sizeof(ngx_chat_entry_t)) {
        return NGX_DONE;
    }

    ngx_memcpy(&entry, *pos, sizeof(ngx_chat_entry_t));

    user->len = entry.id_len;
    user->data = *pos + sizeof(ngx_chat_entry_t);
    info->len = entry.info_len;
    info->data = user->data + user->len;

    *pos = info->data + info->len;

    return NGX_OK;
}


size_t
ngx_chat_presence_list(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    u_char *buf, size_t size)
{
    size_t                 n, len;
    ngx_queue_t           *q;
    ngx_chat_member_sh_t  *m;

    n = 0;

    for (q = ngx_queue_head(&ch->members);
         q != ngx_queue_sentinel(&ch->members);
         q = ngx_queue_next(q))
    {
        m = ngx_queue_data(q, ngx_chat_member_sh_t, queue);

        if (ch->is_shared && !ngx_chat_presence_is_seen(zone, m)) {
            continue;
        }

        len = sizeof(ngx_chat_entry_t) + m->entry.id_len + m->entry.info_len;

        if (n + len <= size) {
            ngx_memcpy(buf + n, &m->entry, len);
        }

        n += len;
    }

    return n;
}


static ngx_chat_member_sh_t *
ngx_chat_presence_create(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    ngx_str_t *user, ngx_str_t *info)
{
    u_char                *p;
    ngx_chat_member_sh_t  *m, **bucket;

    m = ngx_chat_share_alloc(zone->sh, &zone->sh->shares[ch->share],
                             offsetof(ngx_chat_member_sh_t, entry)
                             + ngx_chat_presence_entry_size(user, info));
    if (m == NULL) {
        return NULL;
    }

    m->channel = ch;
    m->slots = NULL;
    m->hash = ngx_chat_presence_hash(zone, ch, user);
    m->entry.id_len = (uint16_t) user->len;
    m->entry.info_len = (uint16_t) info->len;

    p = ngx_cpymem(m->entry.data, user->data, user->len);

    if (info->len) {
        ngx_memcpy(p, info->data, info->len);
    }

    bucket = &zone->sh->members[m->hash & zone->sh->mask];

    m->next = *bucket;
    *bucket = m;

    ngx_queue_insert_head(&ch->members, &m->queue);

    zone->sh->nmembers++;

    return m;
}


static void
ngx_chat_presence_delete(ngx_chat_zone_t *zone, ngx_chat_member_sh_t *m)
{
    ngx_chat_member_sh_t  **next;

    next = &zone->sh->members[m->hash & zone->sh->mask];

    while (*next != m) {
        next = &(*next)->next;
    }

    *next = m->next;

    ngx_queue_remove(&m->queue);

    zone->sh->nmembers--;

    ngx_chat_share_free(zone->sh, &zone->sh->shares[m->channel->share], m);
}


static uint32_t
ngx_chat_presence_hash(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    ngx_str_t *user)
{
    return (uint32_t) ngx_chat_hash(&zone->sh->key, user->data, user->len)
           ^ ch->hash;
}
