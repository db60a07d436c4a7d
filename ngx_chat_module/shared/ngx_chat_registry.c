
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The registry of channels in the shared zone: a hash of channels, each
 * with a list of the workers' shares.
 *
 * Lists of channels and of a channel's shares are singly linked, so that
 * every change is one store.  A slot's list is doubly linked for its own
 * worker; after its death only the forward links are used, which are whole
 * at every instant.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <time.h>

#include <bus/ngx_chat_append.h>
#include <bus/ngx_chat_wakeup.h>
#include <shared/ngx_chat_cache.h>
#include <shared/ngx_chat_registry.h>
#include <shared/ngx_chat_repair.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_REGISTRY_SMALL  100       /* told of each subscription */
#define NGX_CHAT_REGISTRY_PAUSE  5000      /* ms between, above that */


static uint64_t ngx_chat_registry_lock(ngx_chat_zone_t *zone);
static void ngx_chat_registry_unlock(ngx_chat_zone_t *zone, uint64_t head);
static ngx_int_t ngx_chat_registry_snapshot(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, ngx_chat_registry_join_t *j);
static ngx_int_t ngx_chat_registry_enter(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_channel_sh_t *ch,
    ngx_chat_registry_join_t *j);
static void ngx_chat_registry_changed(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch, ngx_chat_registry_join_t *j);
static ngx_uint_t ngx_chat_registry_count(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch);
static ngx_chat_share_sh_t *ngx_chat_registry_share(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_chat_registry_join_t *j);
static ngx_chat_channel_sh_t *ngx_chat_registry_create(ngx_chat_zone_t *zone,
    ngx_chat_registry_join_t *j);
static void ngx_chat_registry_end(ngx_chat_zone_t *zone,
    ngx_chat_share_sh_t *sh);
static void ngx_chat_registry_unlink(ngx_chat_share_sh_t *share);
static void ngx_chat_registry_free(ngx_chat_zone_t *zone,
    ngx_chat_share_sh_t *share);
static void ngx_chat_registry_prune(ngx_chat_zone_t *zone,
    ngx_chat_channel_sh_t *ch);


ngx_int_t
ngx_chat_registry_join(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_registry_join_t *j, ngx_chat_share_sh_t **share)
{
    uint64_t                head;
    ngx_int_t               rc;
    ngx_chat_share_sh_t    *sh;
    ngx_chat_channel_sh_t  *ch;

    sh = *share;

    head = ngx_chat_registry_lock(zone);

    ch = sh ? sh->channel
            : ngx_chat_registry_find(zone, j->app, j->hash, j->name);

    rc = ngx_chat_registry_snapshot(zone, ch, j);

    if (rc != NGX_OK) {
        ngx_chat_registry_unlock(zone, head);
        return rc;
    }

    if (sh == NULL) {
        sh = ngx_chat_registry_share(zone, slot, j);

        if (sh == NULL) {
            ngx_chat_registry_unlock(zone, head);
            return NGX_BUSY;
        }
    }

    if (ngx_chat_registry_enter(zone, slot, sh->channel, j) != NGX_OK) {

        if (sh->subscriptions == 0) {
            ngx_chat_registry_end(zone, sh);
        }

        ngx_chat_registry_unlock(zone, head);
        return NGX_BUSY;
    }

    if (ngx_chat_registry_total(sh->channel) == 0) {
        ngx_chat_repair_note(zone, NGX_CHAT_TURN_OCCUPY_e, sh->channel);
    }

    sh->subscriptions++;
    *share = sh;

    j->start = ngx_chat_ring_head(zone->sh->ring);

    ngx_chat_failpoint("subscribed");

    ngx_chat_registry_changed(zone, sh->channel, j);

    ngx_chat_repair_done(zone);
    ngx_chat_registry_unlock(zone, head);

    return NGX_OK;
}


ngx_uint_t
ngx_chat_registry_leave(ngx_chat_zone_t *zone, ngx_chat_share_sh_t **share,
    ngx_chat_part_sh_t *part)
{
    uint64_t              head;
    ngx_uint_t            due;
    ngx_chat_share_sh_t  *sh;

    sh = *share;
    due = 0;

    head = ngx_chat_registry_lock(zone);

    if (part) {
        ngx_chat_presence_leave(zone, part);
    }

    if (--sh->subscriptions == 0) {
        ngx_chat_registry_end(zone, sh);
        *share = NULL;

    } else if (sh->channel->counting) {
        due = ngx_chat_registry_count(zone, sh->channel);
    }

    ngx_chat_registry_unlock(zone, head);

    return due;
}


ngx_uint_t
ngx_chat_registry_tell(ngx_chat_zone_t *zone, ngx_chat_share_sh_t *share)
{
    uint64_t    head;
    ngx_uint_t  due;

    head = ngx_chat_registry_lock(zone);

    due = ngx_chat_registry_count(zone, share->channel);

    ngx_chat_registry_unlock(zone, head);

    return due;
}


ngx_int_t
ngx_chat_registry_clear(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_uint_t n)
{
    uint64_t              head;
    ngx_uint_t            left;
    ngx_chat_share_sh_t  *sh;

    head = ngx_chat_registry_lock(zone);

    while (n && slot->parts) {
        ngx_chat_presence_clear(zone, slot);
        n--;
    }

    while (n && slot->shares) {
        sh = slot->shares;

        ngx_chat_registry_unlink(sh);

        ngx_chat_failpoint("clear");

        slot->shares = sh->slot_next;
        ngx_chat_registry_free(zone, sh);
        n--;
    }

    left = (slot->parts != NULL || slot->shares != NULL);

    ngx_chat_registry_unlock(zone, head);

    return left ? NGX_AGAIN : NGX_OK;
}


static uint64_t
ngx_chat_registry_lock(ngx_chat_zone_t *zone)
{
    ngx_chat_zone_lock(zone);

    return ngx_chat_ring_head(zone->sh->ring);
}


/* Most changes tell nobody anything: workers are roused where one did. */

static void
ngx_chat_registry_unlock(ngx_chat_zone_t *zone, uint64_t head)
{
    ngx_uint_t  appended;

    appended = (ngx_chat_ring_head(zone->sh->ring) != head);

    ngx_chat_zone_unlock(zone);

    if (appended) {
        ngx_chat_wakeup_rouse(&zone->wakeups->wakeups[0]);
    }
}


/*
 * Takes the snapshot, and refuses what can be refused before anything is
 * done.  The members are walked once, for the list that is asked for.
 */

static ngx_int_t
ngx_chat_registry_snapshot(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    ngx_chat_registry_join_t *j)
{
    ngx_str_t   payload;
    ngx_uint_t  ttl;

    j->need = 0;
    j->members_len = 0;
    j->nmembers = 0;
    j->cached_len = 0;

    if (j->user) {

        if (ch) {
            j->members_len = ngx_chat_presence_list(zone, ch, j->buf,
                                                    j->size);
            j->nmembers = ch->nmembers;

            if (j->members_max && j->nmembers >= j->members_max
                && ngx_chat_presence_find(zone, ch, j->user) == NULL)
            {
                return NGX_DONE;
            }
        }

        j->need = j->members_len + ngx_chat_presence_entry_size(j->user,
                                                                j->info);
    }

    if (j->cached
        && ngx_chat_cache_get(zone, j->app, j->hash, j->name, &payload, &ttl)
           == NGX_OK)
    {
        j->cached_len = payload.len;
        j->need += payload.len;

        /* at the very end: the user's own entry may come in between */

        if (j->need <= j->size) {
            ngx_memcpy(j->buf + j->size - payload.len, payload.data,
                       payload.len);
        }
    }

    return (j->need > j->size) ? NGX_AGAIN : NGX_OK;
}


/* The user's presence, and its announcement to those who are there. */

static ngx_int_t
ngx_chat_registry_enter(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_channel_sh_t *ch, ngx_chat_registry_join_t *j)
{
    ngx_uint_t  added;

    j->part = NULL;

    if (j->user == NULL) {
        return NGX_OK;
    }

    j->part = ngx_chat_presence_join(zone, slot, ch, j->user, j->info,
                                     &added);
    if (j->part == NULL) {
        return NGX_ERROR;
    }

    if (added) {
        (void) ngx_chat_presence_entry_write(j->buf + j->members_len,
                                             j->user, j->info);

        j->members_len += ngx_chat_presence_entry_size(j->user, j->info);
        j->nmembers++;

        (void) ngx_chat_append(zone->sh->ring, j->added, NULL);

        ngx_chat_failpoint("member told to join");

        ngx_chat_repair_done(zone);
    }

    return NGX_OK;
}


/* After a subscription: what the others, or this one, are to be told. */

static void
ngx_chat_registry_changed(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch,
    ngx_chat_registry_join_t *j)
{
    j->total = ngx_chat_registry_total(ch);
    j->due = 0;

    if (j->total == 1) {
        zone->handlers->occupied(zone, ch->app, j->name, 1);
    }

    if (ch->counting) {
        j->due = ngx_chat_registry_count(zone, ch);
    }
}


/*
 * Tells the number of subscriptions: at once in small channels, else every
 * few seconds.  1: it has changed, and is to be told later.
 */

static ngx_uint_t
ngx_chat_registry_count(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch)
{
    uint64_t         now;
    ngx_str_t        name;
    ngx_uint_t       n;
    struct timespec  ts;

    n = ngx_chat_registry_total(ch);

    if (n == ch->told) {
        return 0;
    }

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);
    now = (uint64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;

    if (n > NGX_CHAT_REGISTRY_SMALL
        && ch->counted != 0
        && now - ch->counted < NGX_CHAT_REGISTRY_PAUSE)
    {
        return 1;
    }

    ch->counted = now;
    ch->told = n;

    name.data = ch->name;
    name.len = ch->len;

    zone->handlers->counted(zone, ch->app, &name, n);

    return 0;
}


static ngx_chat_share_sh_t *
ngx_chat_registry_share(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_registry_join_t *j)
{
    ngx_chat_share_sh_t    *sh;
    ngx_chat_channel_sh_t  *ch;

    sh = ngx_chat_arena_alloc(zone->sh->arena, sizeof(ngx_chat_share_sh_t));
    if (sh == NULL) {
        return NULL;
    }

    ch = ngx_chat_registry_find(zone, j->app, j->hash, j->name);

    if (ch == NULL) {
        ch = ngx_chat_registry_create(zone, j);
    }

    if (ch == NULL) {
        ngx_chat_arena_free(zone->sh->arena, sh,
                            sizeof(ngx_chat_share_sh_t));
        return NULL;
    }

    sh->channel = ch;
    sh->slot = slot;
    sh->subscriptions = 0;
    sh->slot_prev = NULL;
    sh->slot_next = slot->shares;
    sh->next = ch->shares;

    if (slot->shares) {
        slot->shares->slot_prev = sh;
    }

    ngx_memory_barrier();

    slot->shares = sh;

    ngx_chat_failpoint("share in slot");

    ngx_memory_barrier();

    ch->shares = sh;

    ngx_chat_failpoint("share in channel");

    return sh;
}


static ngx_chat_channel_sh_t *
ngx_chat_registry_create(ngx_chat_zone_t *zone, ngx_chat_registry_join_t *j)
{
    ngx_chat_channel_sh_t  *ch, **bucket;

    ch = ngx_chat_arena_alloc(zone->sh->arena,
                              sizeof(ngx_chat_channel_sh_t) + j->name->len);
    if (ch == NULL) {
        return NULL;
    }

    bucket = &zone->sh->channels[j->hash & zone->sh->mask];

    ngx_memzero(ch, sizeof(ngx_chat_channel_sh_t));

    ch->next = *bucket;
    ch->app = j->app;
    ch->hash = j->hash;
    ch->counting = j->counting;
    ch->len = (u_char) j->name->len;
    ngx_memcpy(ch->name, j->name->data, j->name->len);

    ngx_memory_barrier();

    *bucket = ch;

    ngx_chat_failpoint("channel in bucket");

    zone->sh->nchannels++;

    return ch;
}


/* Ends a share of this worker's. */

static void
ngx_chat_registry_end(ngx_chat_zone_t *zone, ngx_chat_share_sh_t *sh)
{
    ngx_chat_registry_unlink(sh);

    ngx_chat_failpoint("share of none");

    if (sh->slot_next) {
        sh->slot_next->slot_prev = sh->slot_prev;
    }

    if (sh->slot_prev) {
        sh->slot_prev->slot_next = sh->slot_next;

    } else {
        sh->slot->shares = sh->slot_next;
    }

    ngx_chat_registry_free(zone, sh);
}


/*
 * Takes a share from its channel.  Comes before the share leaves its slot's
 * list: a share that is in no slot's list could never be taken back.
 */

static void
ngx_chat_registry_unlink(ngx_chat_share_sh_t *share)
{
    ngx_chat_share_sh_t  **next;

    for (next = &share->channel->shares; *next; next = &(*next)->next) {

        if (*next == share) {
            *next = share->next;
            return;
        }
    }
}


/* Frees a share that is in no list, and the channel with its last share. */

static void
ngx_chat_registry_free(ngx_chat_zone_t *zone, ngx_chat_share_sh_t *share)
{
    ngx_str_t               name;
    ngx_chat_channel_sh_t  *ch;

    ch = share->channel;

    ngx_chat_arena_free(zone->sh->arena, share, sizeof(ngx_chat_share_sh_t));

    if (ch->shares == NULL) {

        name.data = ch->name;
        name.len = ch->len;

        zone->handlers->occupied(zone, ch->app, &name, 0);

        ngx_chat_failpoint("vacated, told");

        ngx_chat_presence_free(zone, ch);
        ngx_chat_registry_prune(zone, ch);

    } else if (ch->counting) {

        /* at once: who would tell it later may be the one that is gone */
        ch->counted = 0;
        (void) ngx_chat_registry_count(zone, ch);
    }
}


static void
ngx_chat_registry_prune(ngx_chat_zone_t *zone, ngx_chat_channel_sh_t *ch)
{
    ngx_chat_channel_sh_t  **next;

    next = &zone->sh->channels[ch->hash & zone->sh->mask];

    for ( /* void */ ; *next; next = &(*next)->next) {

        if (*next == ch) {
            *next = ch->next;

            ngx_chat_failpoint("channel out of bucket");

            zone->sh->nchannels--;

            ngx_chat_arena_free(zone->sh->arena, ch,
                                sizeof(ngx_chat_channel_sh_t) + ch->len);
            return;
        }
    }
}
