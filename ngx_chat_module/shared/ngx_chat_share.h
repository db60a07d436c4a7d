
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The apps' shares of the zone's arena: one app must not starve another.
 *
 * Half of the arena is divided evenly among the apps of the configuration.
 * So much each of them can surely have.  The other half is for who comes first.
 * All that is kept for an app counts: channels, the workers' subscriptions,
 * members, cached events and answers.
 *
 * An app has an entry in a table.  The entry stays after a reload without the
 * app, as long as the app has memory, and has no share then.  Entry 0 is for
 * apps without an entry, such as one that clients of an old worker still use
 * when it has been taken out of the configuration; it has no share either.
 *
 * What is allocated for an app has the index of the app's entry, by which
 * the memory is given back.
 */


#ifndef _NGX_CHAT_SHARE_H_INCLUDED_
#define _NGX_CHAT_SHARE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_app.h>
#include <shared/ngx_chat_zone.h>


/*
 * Divides the arena among the apps of a new configuration.  What others have
 * beyond their shares by then comes back as they free it.  Takes the zone's
 * lock; in the master, when the configuration is in force.
 */
void ngx_chat_share_configure(ngx_chat_zone_t *zone, ngx_chat_app_t *apps,
    ngx_uint_t n);

/* The app's entry, or entry 0.  The caller holds the lock. */
ngx_chat_share_sh_t *ngx_chat_share_find(ngx_chat_zone_sh_t *sh,
    uint64_t app);

#define ngx_chat_share_index(sh, share)                                       \
    ((uint16_t) ((share) - (sh)->shares))

/* Allocate and free memory of the arena for an entry.  The caller holds the
   lock. */
#define ngx_chat_share_alloc(sh, share, size)                                 \
    ngx_chat_arena_alloc((sh)->arena, &(share)->owner, size)

#define ngx_chat_share_free(sh, share, p)                                     \
    ngx_chat_arena_free((sh)->arena, &(share)->owner, p)


#endif /* _NGX_CHAT_SHARE_H_INCLUDED_ */
