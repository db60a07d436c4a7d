
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The table of the apps' shares.
 *
 * Entries are found by a hash table whose buckets are in the entries
 * themselves: entry N has the head of bucket N.  0 ends a chain, so whoever
 * finds no entry has entry 0.  Only the master changes which apps are there.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_share.h>


static void ngx_chat_share_enter(ngx_chat_zone_sh_t *sh,
    ngx_chat_app_t *apps, ngx_uint_t n);
static void ngx_chat_share_link(ngx_chat_zone_sh_t *sh);
static void ngx_chat_share_divide(ngx_chat_zone_sh_t *sh);
static void ngx_chat_share_hook(ngx_chat_zone_sh_t *sh,
    ngx_chat_app_t *apps, ngx_uint_t n);


void
ngx_chat_share_configure(ngx_chat_zone_t *zone, ngx_chat_app_t *apps,
    ngx_uint_t n)
{
    ngx_uint_t            i;
    ngx_chat_share_sh_t  *share;
    ngx_chat_zone_sh_t   *sh;

    sh = zone->sh;

    ngx_chat_zone_lock(zone);

    for (i = 0; i < sh->nshares; i++) {
        sh->shares[i].is_configured = 0;
        sh->shares[i].hooks = 0;
    }

    for (i = 0; i < n; i++) {
        share = ngx_chat_share_find(sh, apps[i].number);
        share->is_configured = (share != sh->shares);
    }

    /* entries that nobody needs any more */

    for (i = 1; i < sh->nshares; i++) {
        share = &sh->shares[i];

        if (!share->is_configured && share->owner.held == 0) {
            share->app = 0;
        }
    }

    ngx_chat_share_enter(sh, apps, n);
    ngx_chat_share_link(sh);

    sh->napps = n;

    ngx_chat_share_divide(sh);
    ngx_chat_share_hook(sh, apps, n);

    ngx_chat_zone_unlock(zone);
}


ngx_chat_share_sh_t *
ngx_chat_share_find(ngx_chat_zone_sh_t *sh, uint64_t app)
{
    ngx_uint_t  i;

    /* there is one for all who have none; the analyzer can't know */

    /* NOLINTNEXTLINE(clang-analyzer-core.DivideZero) */
    for (i = sh->shares[app % sh->nshares].first; i; i = sh->shares[i].next) {
        if (sh->shares[i].app == app) {
            break;
        }
    }

    return &sh->shares[i];
}


/*
 * Gives an entry to each app that has none.  The table has more entries than
 * the configuration may have apps; where those of former apps take all that
 * are left, an app goes without.
 */

static void
ngx_chat_share_enter(ngx_chat_zone_sh_t *sh, ngx_chat_app_t *apps,
    ngx_uint_t n)
{
    ngx_uint_t            i, k;
    ngx_chat_share_sh_t  *share;

    k = 1;

    for (i = 0; i < n; i++) {

        if (ngx_chat_share_find(sh, apps[i].number) != sh->shares) {
            continue;
        }

        while (k < sh->nshares && sh->shares[k].app != 0) {
            k++;
        }

        if (k == sh->nshares) {
            return;
        }

        share = &sh->shares[k];

        share->app = apps[i].number;
        share->refused = 0;
        share->is_configured = 1;
    }
}


static void
ngx_chat_share_link(ngx_chat_zone_sh_t *sh)
{
    ngx_uint_t            i;
    ngx_chat_share_sh_t  *share, *bucket;

    for (i = 0; i < sh->nshares; i++) {
        sh->shares[i].first = 0;
    }

    sh->nused = 1;

    for (i = 1; i < sh->nshares; i++) {
        share = &sh->shares[i];

        if (share->app == 0) {
            continue;
        }

        bucket = &sh->shares[share->app % sh->nshares];

        share->next = bucket->first;
        bucket->first = (uint16_t) i;

        sh->nused = i + 1;
    }
}


static void
ngx_chat_share_divide(ngx_chat_zone_sh_t *sh)
{
    ngx_uint_t            i;
    ngx_chat_share_sh_t  *share;

    for (i = 0; i < sh->nshares; i++) {
        share = &sh->shares[i];

        ngx_chat_arena_share(sh->arena, &share->owner,
                             ngx_chat_zone_share(sh, share));
    }
}


/* Notes which events the apps' webhooks want: old workers know it, too. */

static void
ngx_chat_share_hook(ngx_chat_zone_sh_t *sh, ngx_chat_app_t *apps,
    ngx_uint_t n)
{
    ngx_uint_t            i, kinds;
    ngx_chat_share_sh_t  *share;

    kinds = 0;

    for (i = 0; i < n; i++) {
        share = ngx_chat_share_find(sh, apps[i].number);

        if (share != sh->shares) {
            share->hooks = (uint16_t) apps[i].hooks;
            kinds |= apps[i].hooks;
        }
    }

    sh->hooks.kinds = kinds;
}
