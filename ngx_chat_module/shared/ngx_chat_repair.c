
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Mending of the shared zone.
 *
 * All of it can be done again from its start, for the mender may be killed,
 * too.  It takes time in proportion to what is in the zone, and is needed
 * only where a kill hit one of the few moments at which the lock is held.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <bus/ngx_chat_append.h>
#include <shared/ngx_chat_cache.h>
#include <shared/ngx_chat_repair.h>
#include <wire/ngx_chat_failpoint.h>


static void ngx_chat_repair_turn(ngx_chat_zone_t *zone);
static void ngx_chat_repair_slot(ngx_chat_slot_sh_t *slot);
static ngx_uint_t ngx_chat_repair_has_share(ngx_chat_share_sh_t *share);
static ngx_uint_t ngx_chat_repair_has_part(ngx_chat_part_sh_t *part);
static void ngx_chat_repair_channels(ngx_chat_zone_t *zone);
static void ngx_chat_repair_channel(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch);
static void ngx_chat_repair_members(ngx_chat_zone_t *zone);


void
ngx_chat_repair_note(ngx_chat_zone_t *zone, ngx_chat_turn_e turn, void *what)
{
    zone->sh->turn_head = ngx_chat_ring_head(zone->sh->ring);
    zone->sh->turn_what = what;

    ngx_memory_barrier();

    zone->sh->turn = turn;

    ngx_memory_barrier();
}


void
ngx_chat_repair_done(ngx_chat_zone_t *zone)
{
    ngx_memory_barrier();

    zone->sh->turn = NGX_CHAT_TURN_NONE_e;
}


void
ngx_chat_repair(ngx_chat_zone_t *zone)
{
    ngx_uint_t           i;
    ngx_chat_zone_sh_t  *sh;

    sh = zone->sh;

    ngx_chat_repair_turn(zone);

    for (i = 0; i < sh->nslots; i++) {
        ngx_chat_repair_slot(&sh->slots[i]);
    }

    ngx_chat_failpoint("repair");

    ngx_chat_arena_begin(sh->arena);

    ngx_chat_repair_channels(zone);
    ngx_chat_repair_members(zone);
    ngx_chat_cache_repair(zone);

    (void) ngx_chat_arena_sweep(sh->arena);

    sh->repairs++;
}


/* A change that was told is finished, one that was not is taken back. */

static void
ngx_chat_repair_turn(ngx_chat_zone_t *zone)
{
    ngx_str_t               name;
    ngx_uint_t              told;
    ngx_chat_zone_sh_t     *sh;
    ngx_chat_member_sh_t   *m;
    ngx_chat_channel_sh_t  *ch;

    sh = zone->sh;
    told = (ngx_chat_ring_head(sh->ring) != sh->turn_head);

    switch (sh->turn) {

    case NGX_CHAT_TURN_JOIN_e:

        m = sh->turn_what;

        if (!told) {
            m->parts = NULL;
        }

        break;

    case NGX_CHAT_TURN_LEAVE_e:

        m = sh->turn_what;

        if (told) {
            m->parts = NULL;
        }

        break;

    case NGX_CHAT_TURN_OCCUPY_e:

        ch = sh->turn_what;

        if (!told && ngx_chat_registry_total(ch)) {
            name.data = ch->name;
            name.len = ch->len;

            zone->handlers->occupied(zone, ch->app, &name, 1);
        }

        break;

    default: /* NGX_CHAT_TURN_NONE_e */
        break;
    }

    ngx_chat_repair_done(zone);
}


/*
 * A share or part is in its slot's list before, and longer than, it is in
 * that of its channel or member.  One that is in the former only is nothing;
 * and its channel or member may be gone soon.
 */

static void
ngx_chat_repair_slot(ngx_chat_slot_sh_t *slot)
{
    ngx_chat_part_sh_t   *part, **next_part;
    ngx_chat_share_sh_t  *share, **next_share, *prev_share;

    prev_share = NULL;
    next_share = &slot->shares;

    while (*next_share) {
        share = *next_share;

        if (!ngx_chat_repair_has_share(share)) {
            *next_share = share->slot_next;
            continue;
        }

        share->slot_prev = prev_share;
        prev_share = share;
        next_share = &share->slot_next;
    }

    part = NULL;
    next_part = &slot->parts;

    while (*next_part) {

        if (!ngx_chat_repair_has_part(*next_part)) {
            *next_part = (*next_part)->slot_next;
            continue;
        }

        (*next_part)->slot_prev = part;
        part = *next_part;
        next_part = &part->slot_next;
    }
}


static ngx_uint_t
ngx_chat_repair_has_share(ngx_chat_share_sh_t *share)
{
    ngx_chat_share_sh_t  *sh;

    for (sh = share->channel->shares; sh; sh = sh->next) {
        if (sh == share) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_chat_repair_has_part(ngx_chat_part_sh_t *part)
{
    ngx_chat_part_sh_t  *p;

    for (p = part->member->parts; p; p = p->next) {
        if (p == part) {
            return 1;
        }
    }

    return 0;
}


/* Marks and counts all that is reached by the channels. */

static void
ngx_chat_repair_channels(ngx_chat_zone_t *zone)
{
    ngx_str_t               name;
    ngx_uint_t              i;
    ngx_chat_zone_sh_t     *sh;
    ngx_chat_channel_sh_t  *ch, **next;

    sh = zone->sh;

    sh->nchannels = 0;
    sh->nmembers = 0;

    for (i = 0; i <= sh->mask; i++) {
        next = &sh->channels[i];

        while (*next) {
            ch = *next;

            if (ch->shares) {
                ngx_chat_repair_channel(zone, ch);
                next = &ch->next;
                continue;
            }

            /* its last share is gone, or its first has not come */

            name.data = ch->name;
            name.len = ch->len;

            zone->handlers->occupied(zone, ch->app, &name, 0);

            *next = ch->next;
        }
    }
}


static void
ngx_chat_repair_channel(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch)
{
    ngx_chat_part_sh_t    *part;
    ngx_chat_arena_sh_t   *arena;
    ngx_chat_share_sh_t   *share;
    ngx_chat_member_sh_t  *m;

    arena = zone->sh->arena;

    (void) ngx_chat_arena_mark(arena, ch);

    for (share = ch->shares; share; share = share->next) {
        (void) ngx_chat_arena_mark(arena, share);
    }

    ch->nmembers = 0;
    ch->ngone = 0;

    for (m = ch->members; m; m = m->sibling) {
        (void) ngx_chat_arena_mark(arena, m);

        if (m->info) {
            (void) ngx_chat_arena_mark(arena, m->info);
        }

        for (part = m->parts; part; part = part->next) {
            (void) ngx_chat_arena_mark(arena, part);
        }

        if (m->parts) {
            ch->nmembers++;

        } else {
            ch->ngone++;
        }
    }

    zone->sh->nchannels++;
    zone->sh->nmembers += ch->nmembers;
}


/*
 * Members that no channel reaches are taken out of their buckets.  One that
 * is in none is left alone: nobody finds it, and it goes with its channel.
 */

static void
ngx_chat_repair_members(ngx_chat_zone_t *zone)
{
    ngx_uint_t             i;
    ngx_chat_zone_sh_t    *sh;
    ngx_chat_member_sh_t  *m, **next;

    sh = zone->sh;

    for (i = 0; i <= sh->mask; i++) {
        next = &sh->members[i];

        while (*next) {
            m = *next;

            if (ngx_chat_arena_is_marked(sh->arena, m)) {
                next = &m->next;

            } else {
                *next = m->next;
            }
        }
    }
}
