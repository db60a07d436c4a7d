
/* sources: shared/ngx_chat_incident.c */
/* sources: shared/ngx_chat_zone.c shared/ngx_chat_slot.c bus/ngx_chat_ring.c */
/* sources: shared/ngx_chat_index.c shared/ngx_chat_token.c */
/* sources: shared/ngx_chat_parked.c */
/* sources: shared/ngx_chat_registry_channel.c shared/ngx_chat_grace.c */
/* sources: shared/ngx_chat_registry.c shared/ngx_chat_presence.c */
/* sources: shared/ngx_chat_node*.c shared/ngx_chat_futex.c */
/* sources: shared/ngx_chat_cache.c */
/* sources: shared/ngx_chat_arena.c shared/ngx_chat_share.c */
/* sources: bus/ngx_chat_wakeup.c */
/* sources: shared/ngx_chat_mutex.c wire/ngx_chat_failpoint*.c */
/* sources: wire/ngx_chat_envelope.c wire/ngx_chat_hash.c */
/* sources: wire/ngx_chat_clock.c */
/* sources: libs: -lpthread -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The apps' shares: what each can surely have, whatever the others do.
 */


#include "unit.h"
#include "shared/zone.h"

#include <shared/ngx_chat_cache.h>
#include <shared/ngx_chat_registry.h>


#define BLOCK    4096
#define APPS     8
#define STEPS    200000


/* At the start of each piece. */
typedef struct piece_s  piece_t;

struct piece_s {
    piece_t                *next;
    ngx_chat_share_sh_t    *share;
};


static ngx_chat_zone_t   zone;
static piece_t          *held[APPS + 1];       /* by app */
static ngx_uint_t        nheld[APPS + 1];
static uint32_t          seed = 1;


static ngx_uint_t
random_to(ngx_uint_t n)
{
    seed = seed * 1664525 + 1013904223;

    return (seed >> 8) % n;
}


static void
begin(ngx_uint_t napps)
{
    memset(&zone, 0, sizeof(ngx_chat_zone_t));
    memset(held, 0, sizeof(held));
    memset(nheld, 0, sizeof(nheld));

    zone.workers = 1;

    unit_zone_create(&zone, 1024 * 1024);
    unit_zone_apps(&zone, napps);
}


static ngx_chat_share_sh_t *
share_of(uint64_t app)
{
    return ngx_chat_share_find(zone.sh, app);
}


static size_t
held_by(uint64_t app)
{
    return share_of(app)->owner.held;
}


static ngx_uint_t
take(uint64_t app, size_t size)
{
    piece_t              *p;
    ngx_chat_share_sh_t  *share;

    share = share_of(app);

    p = ngx_chat_share_alloc(zone.sh, share, size);
    if (p == NULL) {
        return 0;
    }

    p->share = share;
    p->next = held[app];
    held[app] = p;
    nheld[app]++;

    return 1;
}


static ngx_uint_t
fill(uint64_t app, size_t size)
{
    ngx_uint_t  n;

    for (n = 0; take(app, size); n++) {
        /* void */
    }

    return n;
}


/* Frees one in every so many, the newest first. */

static void
drop(uint64_t app, ngx_uint_t every)
{
    piece_t     *p, **next;
    ngx_uint_t   n;

    n = 0;
    next = &held[app];

    while (*next) {
        p = *next;

        if (n++ % every) {
            next = &p->next;
            continue;
        }

        *next = p->next;
        nheld[app]--;

        ngx_chat_share_free(zone.sh, p->share, p);
    }
}


static void
end(void)
{
    ngx_uint_t  app;

    for (app = 1; app <= APPS; app++) {
        drop(app, 1);
    }

    CHECK_INT(unit_zone_pieces(zone.sh), 0);
    unit_zone_destroy();
}


/* With one app all is as if there were no shares. */

static void
test_one_app(void)
{
    begin(1);

    CHECK_INT(fill(1, 64), zone.sh->arena->size / 64);
    CHECK_INT(zone.sh->arena->held, zone.sh->arena->size);

    end();
}


/* Without an app that is configured, too. */

static void
test_no_app(void)
{
    begin(0);

    CHECK_INT(fill(1, BLOCK), zone.sh->arena->size / BLOCK);
    CHECK_INT(zone.sh->arena->reserved, 0);

    end();
}


/* One takes all that it gets; the others have what they can surely have. */

static void
test_starving(void)
{
    size_t      share;
    ngx_uint_t  i, app;

    static size_t  sizes[] = { 64, 128, 1000, 2048, BLOCK };

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        begin(3);

        share = share_of(1)->owner.share;
        CHECK_INT(share, zone.sh->arena->size / 2 / 3);

        (void) fill(1, sizes[i]);

        CHECK(held_by(1) <= zone.sh->arena->size - 2 * share);
        CHECK(held_by(1) + BLOCK > zone.sh->arena->size - 2 * share);

        for (app = 2; app <= 3; app++) {
            (void) fill(app, sizes[i]);
            CHECK(held_by(app) + BLOCK > share);
        }

        (void) unit_zone_pieces(zone.sh);

        /* what one gives back is for whoever comes first */

        drop(1, 1);
        CHECK(fill(2, sizes[i]) > 0);
        CHECK(held_by(2) > 2 * share);
        (void) fill(1, sizes[i]);
        CHECK(held_by(1) + BLOCK > share);

        end();
    }
}


/*
 * Holes that one app leaves are its own: with every other of its small pieces
 * freed, the bytes would do for the others, but no larger piece would be there.
 */

static void
test_holes(void)
{
    size_t  share;

    begin(2);

    share = share_of(2)->owner.share;

    (void) fill(1, 128);
    drop(1, 2);
    (void) fill(1, 256);

    CHECK(fill(2, 2048) >= share / BLOCK * 2);
    CHECK(held_by(2) + BLOCK > share);

    end();
}


/* Whether the founder's rule allows n bytes more, by looking at all apps. */

static ngx_uint_t
is_allowed(ngx_uint_t napps, uint64_t app, size_t n)
{
    size_t                      left, others;
    ngx_uint_t                  i;
    ngx_chat_arena_owner_sh_t  *owner;

    owner = &share_of(app)->owner;
    left = zone.sh->arena->size - zone.sh->arena->held;
    others = 0;

    if (owner->held + n <= owner->share) {
        return 1;
    }

    for (i = 1; i <= napps; i++) {
        owner = &share_of(i)->owner;

        if (i != app && owner->held < owner->share) {
            others += owner->share - owner->held;
        }
    }

    return left >= n && left - n >= others;
}


static void
test_rule(void)
{
    size_t      size, before, n;
    ngx_uint_t  i, app, taken, allowed, refused, given;

    begin(APPS);

    refused = 0;
    given = 0;

    for (i = 0; i < STEPS; i++) {
        app = 1 + random_to(APPS);

        /* some take more than others, and all give all back now and then */

        if (random_to(APPS * 60) == 0) {
            drop(app, 1 + random_to(3));
            continue;
        }

        if (random_to(app) > 1) {
            continue;
        }

        size = 64 + random_to(2000);
        before = held_by(app);
        allowed = is_allowed(APPS, app, BLOCK);
        taken = take(app, size);
        n = held_by(app) - before;

        if (!CHECK(n == 0 || (n == BLOCK && taken))
            || !CHECK(n == 0 || allowed)
            || !CHECK(taken || !allowed))
        {
            break;
        }

        refused += !taken;
        given += (n != 0);
    }

    CHECK(refused > 100);
    CHECK(given > 100);

    (void) unit_zone_pieces(zone.sh);
    end();
}


/* An app goes and another comes, while the first has all that it may have. */

static void
test_reload(void)
{
    size_t          share, half;
    ngx_uint_t      i;
    ngx_chat_app_t  apps[2];

    begin(2);

    half = zone.sh->arena->size / 2;
    share = share_of(1)->owner.share;
    CHECK_INT(share, half / 2);

    (void) fill(1, 128);

    memset(apps, 0, sizeof(apps));
    apps[0].number = 2;
    apps[1].number = 3;
    ngx_chat_share_configure(&zone, apps, 2);

    /* what the first had is its own still, but it gets no more */

    CHECK(held_by(1) > half);
    CHECK_INT(share_of(1)->owner.share, 0);
    CHECK_INT(zone.sh->arena->reserved, 2 * share);
    CHECK(!take(1, BLOCK));

    for (i = 2; i <= 3; i++) {
        CHECK_INT(share_of(i)->owner.share, share);
        (void) fill(i, 128);
    }

    /* they get what is left, and wait for the rest */

    CHECK(held_by(2) + held_by(3) > share - BLOCK);
    CHECK(held_by(2) + held_by(3) < 2 * share - BLOCK);

    drop(1, 1);

    for (i = 2; i <= 3; i++) {
        (void) fill(i, 128);
        CHECK(held_by(i) + BLOCK > share);
    }

    /* one more comes when all is taken: it has a share, and waits for it */

    apps[1].number = 4;
    ngx_chat_share_configure(&zone, apps, 2);

    CHECK_INT(share_of(4)->owner.share, share);
    CHECK(share_of(4) != share_of(3));
    CHECK_INT(fill(4, 128), 0);

    drop(3, 1);
    (void) fill(2, 128);
    (void) fill(4, 128);
    CHECK(held_by(4) + BLOCK > share);

    /* the entry of one without memory goes, and comes back */

    share_of(4)->refused = 7;
    drop(4, 1);
    unit_zone_apps(&zone, 3);

    CHECK(share_of(4) == zone.sh->shares);
    CHECK_INT(share_of(1)->owner.share, zone.sh->arena->size / 2 / 3);

    ngx_chat_share_configure(&zone, apps, 2);
    CHECK_INT(share_of(4)->refused, 0);
    CHECK_INT(share_of(4)->owner.share, share);
    CHECK_INT(held_by(4), 0);

    end();
}


/* More apps than entries: those without one share entry 0. */

static void
test_no_entry(void)
{
    ngx_uint_t  n, i, none;

    begin(1);
    CHECK(take(1, 64));

    n = zone.sh->nshares;
    unit_zone_apps(&zone, n + 1);

    none = 0;

    for (i = 1; i <= n + 1; i++) {
        none += (share_of(i) == zone.sh->shares);
    }

    CHECK_INT(none, 2);
    CHECK_INT(share_of(n + 1)->owner.share, 0);
    CHECK(take(1, 64));
    CHECK_INT(unit_zone_pieces(zone.sh), 128);

    end();
}


/* After a wipe all have nothing, and their shares. */

static void
test_wipe(void)
{
    begin(3);

    (void) fill(1, 128);
    (void) fill(2, 1000);

    zone.sh->busy = 1;
    ngx_chat_zone_lock(&zone);
    ngx_chat_zone_unlock(&zone);

    memset(held, 0, sizeof(held));

    CHECK_INT(zone.sh->generation, 1);
    CHECK_INT(unit_zone_pieces(zone.sh), 0);
    CHECK_INT(zone.sh->arena->held, 0);
    CHECK_INT(held_by(1), 0);
    CHECK_INT(zone.sh->arena->reserved, 3 * share_of(3)->owner.share);
    CHECK_INT(share_of(3)->owner.share, zone.sh->arena->size / 2 / 3);

    (void) fill(1, 128);
    (void) fill(3, 128);
    CHECK(held_by(3) + BLOCK > share_of(3)->owner.share);

    end();
}


/* ---- cached events */

static void
keep(uint64_t app, ngx_uint_t n, size_t len)
{
    char       buf[32];
    u_char     text[BLOCK];
    ngx_str_t  name, payload;

    name.data = (u_char *) buf;
    name.len = sprintf(buf, "cache-%lu", (unsigned long) n);
    payload.data = memset(text, 'x', sizeof(text));
    payload.len = len;

    ngx_chat_zone_lock(&zone);
    ngx_chat_cache_set(&zone, app, ngx_chat_registry_hash(&zone, app, &name),
                       &name, &payload, 60);
    ngx_chat_zone_unlock(&zone);
}


static ngx_uint_t
has(uint64_t app, ngx_uint_t n)
{
    char        buf[32];
    ngx_str_t   name, payload;
    ngx_int_t   rc;
    ngx_uint_t  ttl;

    name.data = (u_char *) buf;
    name.len = sprintf(buf, "cache-%lu", (unsigned long) n);

    ngx_chat_zone_lock(&zone);
    rc = ngx_chat_cache_get(&zone, app,
                            ngx_chat_registry_hash(&zone, app, &name), &name,
                            &payload, &ttl);
    ngx_chat_zone_unlock(&zone);

    return rc == NGX_OK;
}


static ngx_uint_t
count(uint64_t app, ngx_uint_t from, ngx_uint_t to)
{
    ngx_uint_t  n;

    for (n = 0; from < to; from++) {
        n += has(app, from);
    }

    return n;
}


static void
forget(void)
{
    ngx_uint_t            app;
    ngx_queue_t          *q;
    ngx_chat_cache_sh_t  *c;

    for (app = 1; app <= 3; app++) {
        q = &share_of(app)->kept[NGX_CHAT_CACHE_EVENTS_e].entries;

        while (!ngx_queue_empty(q)) {
            c = ngx_queue_data(ngx_queue_head(q), ngx_chat_cache_sh_t, queue);
            c->expires = 0;

            ngx_chat_cache_expire(&zone, 1);
        }
    }

    CHECK_INT(zone.sh->kept[0].used, 0);
}


/* One floods the cache: it takes what is free, then its own go. */

static void
test_cache(void)
{
    size_t      limit;
    ngx_uint_t  i, n, part;

    begin(3);

    /* pieces of 1 KB; the first app has a few */

    limit = zone.sh->kept[NGX_CHAT_CACHE_EVENTS_e].limit;
    part = limit / 3 / 1024;
    n = limit / 1024;

    for (i = 0; i < 5; i++) {
        keep(1, i, 900);
    }

    for (i = 0; i < 4 * n; i++) {
        keep(2, i, 900);
    }

    CHECK_INT(count(1, 0, 5), 5);
    CHECK(has(2, 4 * n - 1));
    CHECK(!has(2, 0));
    CHECK_INT(count(2, 0, 4 * n), n - 5);

    /* another app gets its part: the oldest of who has more go */

    for (i = 0; i < part; i++) {
        keep(3, i, 900);
    }

    CHECK_INT(count(1, 0, 5), 5);
    CHECK_INT(count(3, 0, part), part);
    CHECK_INT(count(2, 0, 4 * n), n - 5 - part);
    CHECK(has(2, 4 * n - 1));

    /* and no more than that */

    keep(3, 1000, 900);
    CHECK(has(3, 1000));
    CHECK(!has(3, 0));
    CHECK_INT(count(1, 0, 5), 5);
    CHECK_INT(count(2, 0, 4 * n), n - 5 - part);

    CHECK_INT(zone.sh->kept[0].used,
              share_of(1)->kept[0].used + share_of(2)->kept[0].used
              + share_of(3)->kept[0].used);
    CHECK(zone.sh->kept[0].used <= limit);

    forget();
    end();
}


/* An app whose channels have taken all it may have drops its own, only. */

static void
test_cache_in_a_full_arena(void)
{
    ngx_uint_t  i;

    begin(2);

    keep(2, 1, 100);
    keep(1, 1, 100);
    (void) fill(1, 128);

    for (i = 2; i < 10; i++) {
        keep(1, i, 100);
    }

    CHECK(has(1, 9));
    CHECK(!has(1, 1));
    CHECK(has(2, 1));

    keep(1, 10, 2000);
    CHECK(!has(1, 10));
    CHECK(share_of(1)->refused > 0);
    CHECK(has(2, 1));

    keep(2, 2, 2000);
    CHECK(has(2, 2));
    CHECK_INT(share_of(2)->refused, 0);

    forget();
    end();
}


int
main(void)
{
    RUN(test_one_app);
    RUN(test_no_app);
    RUN(test_starving);
    RUN(test_holes);
    RUN(test_rule);
    RUN(test_reload);
    RUN(test_no_entry);
    RUN(test_wipe);
    RUN(test_cache);
    RUN(test_cache_in_a_full_arena);

    return unit_done();
}
