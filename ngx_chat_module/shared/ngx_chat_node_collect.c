
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What this node has to announce.
 *
 * Whoever changes a channel or a member sets the bit of its bucket.  Here the
 * bits are cleared, and all of such a bucket is compared: what the node's
 * workers have, and what its own node slot has, which is what was announced.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_futex.h>
#include <shared/ngx_chat_node.h>
#include <shared/ngx_chat_presence.h>
#include <shared/ngx_chat_registry_channel.h>


static ngx_uint_t ngx_chat_node_look(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *self, ngx_uint_t bucket, ngx_uint_t members,
    ngx_chat_node_facts_t *list);
static ngx_uint_t ngx_chat_node_look_channels(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *self, ngx_uint_t bucket, ngx_chat_node_facts_t *list);
static ngx_uint_t ngx_chat_node_look_members(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *self, ngx_uint_t bucket, ngx_chat_node_facts_t *list);
static ngx_uint_t ngx_chat_node_is_here(ngx_chat_zone_t *zone,
    ngx_chat_member_sh_t *m);
static ngx_chat_node_fact_t *ngx_chat_node_note(ngx_chat_node_facts_t *list,
    ngx_chat_channel_sh_t *ch, ngx_chat_entry_t *entry);
static void ngx_chat_node_text(ngx_chat_node_facts_t *list, ngx_str_t *to,
    u_char *data, size_t len);


void
ngx_chat_node_again(ngx_chat_zone_t *zone)
{
    ngx_chat_zone_lock(zone);

    ngx_memset(zone->sh->nodes->channels, 0xff,
               ngx_chat_zone_words(zone->sh) * sizeof(uint64_t));
    ngx_memset(zone->sh->nodes->members, 0xff,
               ngx_chat_zone_words(zone->sh) * sizeof(uint64_t));

    ngx_chat_zone_unlock(zone);

    ngx_chat_futex_turn(&zone->sh->nodes->turns);
}


/* Words are looked at in turns, so that none waits for ever. */

void
ngx_chat_node_collect(ngx_chat_zone_t *zone, ngx_chat_node_facts_t *list)
{
    uint64_t              bits, *word;
    ngx_uint_t            i, n, full, members, bucket;
    ngx_chat_slot_sh_t   *self;
    ngx_chat_nodes_sh_t  *nodes;

    nodes = zone->sh->nodes;
    n = ngx_chat_zone_words(zone->sh);
    full = 0;

    list->n = 0;
    list->used = 0;

    for (i = 0; i < 2 * n && !full; i++) {
        list->word = (list->word + 1) % (2 * n);
        members = (list->word >= n);

        word = members ? &nodes->members[list->word - n]
                       : &nodes->channels[list->word];

        /* a single load: what comes meanwhile is found the next time */

        if (__atomic_load_n(word, __ATOMIC_RELAXED) == 0) {
            continue;
        }

        ngx_chat_zone_lock(zone);

        self = ngx_chat_node_self(zone);

        for (bits = *word; bits && !full; bits &= bits - 1) {
            bucket = (list->word % n) * 64 + __builtin_ctzll(bits);

            full = ngx_chat_node_look(zone, self, bucket, members, list);

            if (!full) {
                *word &= ~(bits & -bits);
            }
        }

        ngx_chat_zone_unlock(zone);
    }

    if (full) {
        list->word--;
    }
}


/* 1: the list is full, and the bucket is to be looked at again. */

static ngx_uint_t
ngx_chat_node_look(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *self,
    ngx_uint_t bucket, ngx_uint_t members, ngx_chat_node_facts_t *list)
{
    return members ? ngx_chat_node_look_members(zone, self, bucket, list)
                   : ngx_chat_node_look_channels(zone, self, bucket, list);
}


static ngx_uint_t
ngx_chat_node_look_channels(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *self,
    ngx_uint_t bucket, ngx_chat_node_facts_t *list)
{
    ngx_uint_t                   n;
    ngx_chat_node_fact_t        *fact;
    ngx_chat_channel_sh_t       *ch;
    ngx_chat_slot_channel_sh_t  *sc;

    for (ch = zone->sh->channels[bucket]; ch; ch = ch->next) {

        if (!ch->is_shared) {
            continue;
        }

        n = ngx_chat_registry_channel_local(zone, ch);

        sc = ngx_chat_registry_channel_of(ch, self);

        /* as the nodes take it while it has members */

        if (n == 0 && sc && sc->members) {
            n = 1;
        }

        if (n == (sc ? sc->subscriptions : 0)) {
            continue;
        }

        fact = ngx_chat_node_note(list, ch, NULL);

        if (fact == NULL) {
            return 1;
        }

        fact->n = n;
        fact->counting = ch->counting;
    }

    return 0;
}


static ngx_uint_t
ngx_chat_node_look_members(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *self,
    ngx_uint_t bucket, ngx_chat_node_facts_t *list)
{
    ngx_uint_t             here, announced;
    ngx_chat_member_sh_t  *m;
    ngx_chat_node_fact_t  *fact;

    for (m = zone->sh->members[bucket]; m; m = m->next) {

        if (!m->channel->is_shared) {
            continue;
        }

        here = ngx_chat_node_is_here(zone, m);
        announced = (self && ngx_chat_presence_of(m, self) != NULL);

        if (here == announced) {
            continue;
        }

        fact = ngx_chat_node_note(list, m->channel, &m->entry);

        if (fact == NULL) {
            return 1;
        }

        fact->n = here;
    }

    return 0;
}


static ngx_uint_t
ngx_chat_node_is_here(ngx_chat_zone_t *zone, ngx_chat_member_sh_t *m)
{
    ngx_chat_slot_member_sh_t  *sm;

    for (sm = m->slots; sm; sm = sm->next) {

        if (!ngx_chat_zone_is_node(zone->sh, sm->slot)) {
            return 1;
        }
    }

    return 0;
}


/* NULL: the list is full. */

static ngx_chat_node_fact_t *
ngx_chat_node_note(ngx_chat_node_facts_t *list, ngx_chat_channel_sh_t *ch,
    ngx_chat_entry_t *entry)
{
    size_t                 len;
    ngx_chat_node_fact_t  *fact;

    len = ch->len + (entry ? entry->id_len + entry->info_len : 0);

    if (list->n == NGX_CHAT_NODE_FACTS
        || list->used + len > NGX_CHAT_NODE_TEXT)
    {
        return NULL;
    }

    fact = &list->facts[list->n++];
    ngx_memzero(fact, sizeof(ngx_chat_node_fact_t));

    fact->app = ch->app;
    ngx_chat_node_text(list, &fact->channel, ch->name, ch->len);

    if (entry) {
        ngx_chat_node_text(list, &fact->user, entry->data, entry->id_len);
        ngx_chat_node_text(list, &fact->info, entry->data + entry->id_len,
                           entry->info_len);
    }

    return fact;
}


static void
ngx_chat_node_text(ngx_chat_node_facts_t *list, ngx_str_t *to, u_char *data,
    size_t len)
{
    to->data = list->text + list->used;
    to->len = len;

    ngx_memcpy(to->data, data, len);

    list->used += len;
}
