
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What nodes have announced, in the registry.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_node.h>
#include <shared/ngx_chat_presence.h>
#include <shared/ngx_chat_registry.h>


#define NGX_CHAT_NODE_STEP  64             /* members or channels of a node that
                                              is gone, for one lock */


static ngx_chat_slot_sh_t *ngx_chat_node_slot(ngx_chat_zone_t *zone,
    uint64_t incarnation, ngx_uint_t create);
static void ngx_chat_node_compare(ngx_chat_zone_t *zone,
    ngx_chat_node_fact_t *fact);
static ngx_int_t ngx_chat_node_channel(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_node_fact_t *fact);
static ngx_int_t ngx_chat_node_member(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_node_fact_t *fact);
static void ngx_chat_node_set(ngx_chat_zone_t *zone,
    ngx_chat_slot_channel_sh_t *sc, uint64_t n);
static void ngx_chat_node_release(ngx_chat_zone_t *zone,
    ngx_chat_slot_channel_sh_t *sc);
static ngx_uint_t ngx_chat_node_clear(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_uint_t n);


void
ngx_chat_node_begin(ngx_chat_zone_t *zone, uint64_t incarnation)
{
    ngx_chat_zone_lock(zone);

    __atomic_store_n(&zone->sh->nodes->self, incarnation, __ATOMIC_RELEASE);

    ngx_chat_zone_unlock(zone);

    ngx_chat_node_again(zone);
}


ngx_int_t
ngx_chat_node_apply(ngx_chat_zone_t *zone, uint64_t incarnation,
    ngx_chat_node_fact_t *fact)
{
    uint64_t             head;
    ngx_int_t            rc;
    ngx_chat_slot_sh_t  *slot;

    head = ngx_chat_registry_lock(zone);
    slot = ngx_chat_node_slot(zone, incarnation, 1);

    if (slot == NULL) {
        rc = NGX_BUSY;

    } else {
        rc = fact->user.len ? ngx_chat_node_member(zone, slot, fact)
                            : ngx_chat_node_channel(zone, slot, fact);

        if (incarnation == zone->sh->nodes->self) {
            ngx_chat_node_compare(zone, fact);
        }
    }

    ngx_chat_registry_unlock(zone, head);

    return rc;
}


/*
 * What this node has announced has come back, perhaps long after: it is
 * compared once more with what is true by now.
 */

static void
ngx_chat_node_compare(ngx_chat_zone_t *zone, ngx_chat_node_fact_t *fact)
{
    ngx_chat_member_sh_t   *m;
    ngx_chat_channel_sh_t  *ch;

    ch = ngx_chat_registry_find(zone, fact->app,
                                ngx_chat_registry_hash(zone, fact->app,
                                                       &fact->channel),
                                &fact->channel);
    if (ch == NULL) {
        return;
    }

    ngx_chat_registry_channel_changed(zone, ch);

    if (fact->user.len == 0) {
        return;
    }

    m = ngx_chat_presence_find(zone, ch, &fact->user);

    if (m != NULL) {
        ngx_chat_registry_member_changed(zone, m);
    }
}


void
ngx_chat_node_gone(ngx_chat_zone_t *zone, uint64_t incarnation)
{
    uint64_t             head;
    ngx_uint_t           left;
    ngx_chat_slot_sh_t  *slot;

    do {
        head = ngx_chat_registry_lock(zone);
        slot = ngx_chat_node_slot(zone, incarnation, 0);
        left = 0;

        if (slot != NULL) {
            left = ngx_chat_node_clear(zone, slot, NGX_CHAT_NODE_STEP);

            if (left == 0) {
                zone->sh->nodes->incarnations[slot
                                              - ngx_chat_zone_node(zone->sh, 0)]
                    = 0;
            }
        }

        ngx_chat_registry_unlock(zone, head);

    } while (left);
}


void
ngx_chat_node_tell(ngx_chat_zone_t *zone)
{
    uint64_t                head, bits, *due;
    ngx_uint_t              i, bucket;
    ngx_chat_channel_sh_t  *ch;

    for (i = 0; i < ngx_chat_zone_words(zone->sh); i++) {
        due = &zone->sh->nodes->due[i];

        if (__atomic_load_n(due, __ATOMIC_RELAXED) == 0) {
            continue;
        }

        head = ngx_chat_registry_lock(zone);

        for (bits = *due; bits; bits &= bits - 1) {
            bucket = i * 64 + __builtin_ctzll(bits);
            *due &= ~((uint64_t) 1 << (bucket % 64));

            for (ch = zone->sh->channels[bucket]; ch; ch = ch->next) {

                if (ch->is_shared && ch->counting
                    && ngx_chat_registry_channel_tell(zone, ch))
                {
                    *due |= (uint64_t) 1 << (bucket % 64);
                }
            }
        }

        ngx_chat_registry_unlock(zone, head);
    }
}


ngx_uint_t
ngx_chat_node_has(ngx_chat_zone_t *zone, uint64_t app, ngx_str_t *channel,
    ngx_str_t *user)
{
    uint32_t                hash;
    ngx_uint_t              has;
    ngx_chat_slot_sh_t     *self;
    ngx_chat_member_sh_t   *m;
    ngx_chat_channel_sh_t  *ch;

    hash = ngx_chat_registry_hash(zone, app, channel);
    has = 0;

    ngx_chat_zone_lock(zone);

    self = ngx_chat_node_self(zone);
    ch = self ? ngx_chat_registry_find(zone, app, hash, channel) : NULL;

    if (ch && user->len == 0) {
        has = (ngx_chat_registry_channel_of(ch, self) != NULL);

    } else if (ch) {
        m = ngx_chat_presence_find(zone, ch, user);
        has = (m && ngx_chat_presence_of(m, self) != NULL);
    }

    ngx_chat_zone_unlock(zone);

    return has;
}


ngx_chat_slot_sh_t *
ngx_chat_node_self(ngx_chat_zone_t *zone)
{
    return ngx_chat_node_slot(zone, zone->sh->nodes->self, 0);
}


/* Under the lock.  NULL: there is none, or no room for one more. */

static ngx_chat_slot_sh_t *
ngx_chat_node_slot(ngx_chat_zone_t *zone, uint64_t incarnation,
    ngx_uint_t create)
{
    ngx_uint_t             i, spare;
    ngx_chat_nodes_sh_t   *nodes;

    nodes = zone->sh->nodes;
    spare = zone->sh->nnodes;

    if (incarnation == 0) {
        return NULL;
    }

    for (i = 0; i < zone->sh->nnodes; i++) {

        if (nodes->incarnations[i] == incarnation) {
            return ngx_chat_zone_node(zone->sh, i);
        }

        if (nodes->incarnations[i] == 0 && spare == zone->sh->nnodes) {
            spare = i;
        }
    }

    if (!create || spare == zone->sh->nnodes) {
        return NULL;
    }

    nodes->incarnations[spare] = incarnation;

    return ngx_chat_zone_node(zone->sh, spare);
}


static ngx_int_t
ngx_chat_node_channel(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_node_fact_t *fact)
{
    uint32_t                     hash;
    uint64_t                     n;
    ngx_chat_channel_sh_t       *ch;
    ngx_chat_slot_channel_sh_t  *sc;

    hash = ngx_chat_registry_hash(zone, fact->app, &fact->channel);
    ch = ngx_chat_registry_find(zone, fact->app, hash, &fact->channel);
    sc = ch ? ngx_chat_registry_channel_of(ch, slot) : NULL;
    n = fact->n;

    if (sc == NULL) {

        if (n == 0) {
            return NGX_OK;
        }

        sc = ngx_chat_registry_channel_add(zone, slot, ch, fact->app, hash,
                                           &fact->channel, fact->counting);
        if (sc == NULL) {
            return NGX_BUSY;
        }
    }

    /* the members go first; then the node says so once more */

    if (n == 0 && sc->members) {
        n = 1;
    }

    ngx_chat_node_set(zone, sc, n);
    ngx_chat_node_release(zone, sc);

    return NGX_OK;
}


/* The channel's number as clients see it. */

static void
ngx_chat_node_set(ngx_chat_zone_t *zone, ngx_chat_slot_channel_sh_t *sc,
    uint64_t n)
{
    ngx_str_t               name;
    ngx_uint_t              before, bucket;
    ngx_chat_channel_sh_t  *ch;

    ch = sc->channel;
    before = ch->subscriptions;

    ch->subscriptions += n - sc->subscriptions;
    sc->subscriptions = n;

    name.data = ch->name;
    name.len = ch->len;

    if ((before == 0) != (ch->subscriptions == 0)) {
        zone->handlers->occupied(zone, ch->app, &name, before == 0);
    }

    if (ch->counting && ch->subscriptions
        && ngx_chat_registry_channel_tell(zone, ch))
    {
        bucket = ch->hash & zone->sh->mask;
        zone->sh->nodes->due[bucket / 64] |= (uint64_t) 1 << (bucket % 64);
    }
}


/* A node keeps a channel as long as it has subscriptions or members there. */

static void
ngx_chat_node_release(ngx_chat_zone_t *zone, ngx_chat_slot_channel_sh_t *sc)
{
    if (sc->subscriptions == 0 && sc->members == 0) {
        ngx_chat_registry_channel_remove(zone, sc);
    }
}


static ngx_int_t
ngx_chat_node_member(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_node_fact_t *fact)
{
    uint32_t                     hash;
    uint64_t                     n;
    ngx_uint_t                   added;
    ngx_chat_member_sh_t        *m;
    ngx_chat_channel_sh_t       *ch;
    ngx_chat_slot_member_sh_t   *sm;
    ngx_chat_slot_channel_sh_t  *sc;

    hash = ngx_chat_registry_hash(zone, fact->app, &fact->channel);
    ch = ngx_chat_registry_find(zone, fact->app, hash, &fact->channel);
    sc = ch ? ngx_chat_registry_channel_of(ch, slot) : NULL;
    m = ch ? ngx_chat_presence_find(zone, ch, &fact->user) : NULL;
    sm = m ? ngx_chat_presence_of(m, slot) : NULL;

    if ((sm != NULL) == (fact->n != 0)) {
        return NGX_OK;
    }

    if (fact->n == 0) {
        ngx_chat_presence_remove(zone, sm);
        sc->members--;
        ngx_chat_node_release(zone, sc);

        return NGX_OK;
    }

    if (sc == NULL) {
        sc = ngx_chat_registry_channel_add(zone, slot, ch, fact->app, hash,
                                           &fact->channel, 0);
        if (sc == NULL) {
            return NGX_BUSY;
        }
    }

    /* channels and members are announced apart: whoever is the first member has
       a subscription, whether or not that was told yet */

    n = sc->subscriptions;

    if (n == 0) {
        ngx_chat_node_set(zone, sc, 1);
    }

    sm = ngx_chat_presence_join(zone, slot, sc->channel, &fact->user,
                                &fact->info, &added);

    if (sm == NULL) {
        ngx_chat_node_set(zone, sc, n);
        ngx_chat_node_release(zone, sc);
        return NGX_BUSY;
    }

    sc->members++;

    if (added) {
        zone->handlers->added(zone, fact->app, &fact->channel, &fact->user,
                              &fact->info);
        zone->handlers->joined(zone, fact->app, &fact->channel, &fact->user);
    }

    return NGX_OK;
}


/* At most n members and channels.  1 where some are left. */

static ngx_uint_t
ngx_chat_node_clear(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_uint_t n)
{
    ngx_queue_t                 *q;
    ngx_chat_slot_member_sh_t   *sm;
    ngx_chat_slot_channel_sh_t  *sc;

    while (n && !ngx_queue_empty(&slot->members)) {
        q = ngx_queue_head(&slot->members);
        sm = ngx_queue_data(q, ngx_chat_slot_member_sh_t, queue);
        sc = ngx_chat_registry_channel_of(sm->member->channel, slot);

        ngx_chat_presence_remove(zone, sm);

        if (sc) {
            sc->members--;
        }

        n--;
    }

    while (n && !ngx_queue_empty(&slot->channels)) {
        q = ngx_queue_head(&slot->channels);
        sc = ngx_queue_data(q, ngx_chat_slot_channel_sh_t, queue);

        ngx_chat_node_set(zone, sc, 0);
        ngx_chat_registry_channel_remove(zone, sc);
        n--;
    }

    return !ngx_queue_empty(&slot->members)
           || !ngx_queue_empty(&slot->channels);
}
