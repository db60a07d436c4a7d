
/* sources: shared/ngx_chat_incident.c */
/* sources: shared/ngx_chat_token.c shared/ngx_chat_index.c */
/* sources: shared/ngx_chat_parked.c */
/* sources: shared/ngx_chat_share.c */
/* sources: shared/ngx_chat_zone.c shared/ngx_chat_slot.c bus/ngx_chat_ring.c */
/* sources: shared/ngx_chat_registry_channel.c shared/ngx_chat_grace.c */
/* sources: shared/ngx_chat_registry.c shared/ngx_chat_presence.c */
/* sources: shared/ngx_chat_node*.c shared/ngx_chat_futex.c */
/* sources: shared/ngx_chat_cache.c */
/* sources: shared/ngx_chat_arena.c bus/ngx_chat_wakeup.c */
/* sources: shared/ngx_chat_mutex.c wire/ngx_chat_clock.c */
/* sources: wire/ngx_chat_envelope.c wire/ngx_chat_hash.c */
/* sources: libs: -lpthread -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Token sessions, and the ring's index, against a model that is as plain as it
 * can be.
 */


#include "shared/workers.h"

#include <shared/ngx_chat_token.h>


#define ZONE      (1024 * 1024)
#define PIECE     128                   /* bytes of a session of a channel */
#define CHANNELS  7
#define ROUNDS    3000


static ngx_chat_zone_t      zone;
static ngx_chat_slot_sh_t  *slot;
static unsigned             seed = 1;


static unsigned
draw(unsigned n)
{
    seed = seed * 1103515245 + 12345;

    return (seed >> 8) % n;
}


static void
make(void)
{
    memset(&zone, 0, sizeof(ngx_chat_zone_t));

    zone.workers = 2;
    zone.handlers = &workers_handlers;

    unit_zone_create(&zone, ZONE);

    slot = ngx_chat_slot_lease(&zone, &unit_log);
    CHECK(slot != NULL);
}


static void
drop(void)
{
    ngx_chat_slot_release(&zone, slot);
    unit_zone_destroy();
}


static ngx_str_t
channel_name(ngx_uint_t n)
{
    ngx_str_t      s;
    static u_char  buf[32];

    s.data = buf;
    s.len = sprintf((char *) buf, "channel-%u", (unsigned) n);

    return s;
}


static uint64_t
digest_of(const char *text)
{
    ngx_str_t  s;

    s = unit_str(text);

    return ngx_chat_token_digest(&zone, 1, &s);
}


static uint64_t
floor_of(uint64_t digest, uint64_t owner, ngx_uint_t channel)
{
    ngx_str_t              name;
    ngx_chat_ring_place_t  floor;

    name = channel_name(channel);

    return (ngx_chat_token_floor(&zone, digest, owner, &name, &floor)
            == NGX_OK)
           ? floor.position : NGX_CHAT_INDEX_NONE;
}


static void
tell(uint64_t digest, uint64_t owner, ngx_uint_t channel, uint64_t position,
    ngx_uint_t recovered)
{
    ngx_str_t              name;
    ngx_chat_ring_place_t  place;

    name = channel_name(channel);
    place.position = position;
    place.mark = position / 2;

    ngx_chat_token_subscribed(&zone, digest, owner, &name, &place, recovered);
}


static void
acknowledge(uint64_t digest, uint64_t owner, uint64_t position)
{
    ngx_chat_ring_place_t  place;

    place.position = position;
    place.mark = position / 2;

    ngx_chat_token_acknowledged(&zone, digest, owner, &place, 0);
}


/* Subscribes anew, and the client has heard so. */

static void
subscribe(uint64_t digest, uint64_t owner, ngx_uint_t channel,
    uint64_t position)
{
    tell(digest, owner, channel, position, 0);

    CHECK_INT(ngx_chat_token_asked(&zone, digest, owner), NGX_OK);
    acknowledge(digest, owner, 0);
}


/* A floor stands until what was sent again has been asked for and answered. */

static void
test_floors(void)
{
    uint64_t  d;

    make();

    d = digest_of("a token of a client");

    CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d, 1, 60), NGX_OK);
    CHECK_INT(floor_of(d, 1, 0), NGX_CHAT_INDEX_NONE);

    subscribe(d, 1, 0, 160);
    subscribe(d, 1, 1, 320);
    CHECK_INT(floor_of(d, 1, 0), 160);

    acknowledge(d, 1, 240);
    CHECK_INT(floor_of(d, 1, 0), 240);
    CHECK_INT(floor_of(d, 1, 1), 320);

    /* another connection: nothing moves before it has subscribed */

    CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d, 2, 60), NGX_OK);
    CHECK_INT(floor_of(d, 1, 0), NGX_CHAT_INDEX_NONE);
    CHECK_INT(ngx_chat_token_asked(&zone, d, 1), NGX_DECLINED);
    CHECK_INT(ngx_chat_token_asked(&zone, d, 2), NGX_OK);

    tell(d, 2, 0, 1600, 1);
    acknowledge(d, 2, 1600);
    CHECK_INT(floor_of(d, 2, 0), 240);

    CHECK_INT(ngx_chat_token_asked(&zone, d, 2), NGX_OK);
    acknowledge(d, 2, 1760);
    CHECK_INT(floor_of(d, 2, 0), 1760);
    CHECK_INT(floor_of(d, 2, 1), 320);

    /* a Close frame that answers ours is behind all */

    tell(d, 2, 1, 1920, 1);
    ngx_chat_token_end(&zone, d, 2, NGX_CHAT_TOKEN_PARK_e);

    {
        ngx_chat_ring_place_t  place = { 2080, 1040 };

        ngx_chat_token_acknowledged(&zone, d, 2, &place, 1);
    }

    CHECK_INT(floor_of(d, 2, 1), 2080);

    drop();
}


/* Many channels, in sessions that grow and shrink, against an array. */

static void
test_channels(void)
{
    uint64_t    d[4], position[4][CHANNELS], owner[4];
    ngx_str_t   name;
    ngx_uint_t  i, n, c, wrong;

    make();

    for (i = 0; i < 4; i++) {
        d[i] = 1000 + i * (zone.sh->mask + 1);     /* one bucket */
        owner[i] = 1;

        CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d[i], 1, 60), NGX_OK);

        for (c = 0; c < CHANNELS; c++) {
            position[i][c] = NGX_CHAT_INDEX_NONE;
        }
    }

    wrong = 0;

    for (n = 1; n < ROUNDS; n++) {
        i = draw(4);
        c = draw(CHANNELS);
        name = channel_name(c);

        switch (draw(4)) {

        case 0:
            ngx_chat_token_unsubscribed(&zone, d[i], owner[i], &name);
            position[i][c] = NGX_CHAT_INDEX_NONE;
            break;

        case 1:
            ngx_chat_token_end(&zone, d[i], owner[i], NGX_CHAT_TOKEN_PARK_e);
            CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d[i], ++owner[i], 60),
                      NGX_OK);
            break;

        default:
            subscribe(d[i], owner[i], c, n * 16);
            position[i][c] = n * 16;
        }

        for (c = 0; c < CHANNELS; c++) {
            wrong += (floor_of(d[i], owner[i], c) != position[i][c]);
        }
    }

    CHECK_INT(wrong, 0);
    CHECK_INT(zone.sh->parked_size, 0);

    for (i = 0; i < 4; i++) {
        ngx_chat_token_end(&zone, d[i], owner[i], NGX_CHAT_TOKEN_FORGET_e);
    }

    CHECK_INT(zone.sh->arena->used, 0);

    drop();
}


/* A session with many channels takes the room of many. */

static void
test_parked_large(void)
{
    uint64_t    d;
    ngx_str_t   name;
    ngx_uint_t  i, n;

    make();

    for (d = 1; d <= 100; d++) {
        CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d, 1, 60), NGX_OK);

        for (i = 0; i < 100; i++) {
            subscribe(d, 1, i, 16);
        }

        /* what it has had once it holds on to */

        for (i = 0; d % 2 && i < 100; i++) {
            name = channel_name(i);
            ngx_chat_token_unsubscribed(&zone, d, 1, &name);
        }

        ngx_chat_token_end(&zone, d, 1, NGX_CHAT_TOKEN_PARK_e);
    }

    n = zone.sh->parked_size;

    CHECK(n <= zone.sh->parked_limit);
    CHECK_INT(n, zone.sh->arena->used);
    CHECK(n > 0);

    drop();
}


static void
test_parked(void)
{
    uint64_t    d;
    ngx_uint_t  i, max;

    make();

    max = zone.sh->parked_limit / PIECE;
    CHECK(max > 10);

    for (i = 0; i < max + 3; i++) {
        CHECK_INT(ngx_chat_token_open(&zone, slot, 1, 5000 + i, 1, 60), NGX_OK);
        subscribe(5000 + i, 1, 0, 16);
        ngx_chat_token_end(&zone, 5000 + i, 1, NGX_CHAT_TOKEN_PARK_e);
    }

    CHECK_INT(zone.sh->parked_size, max * PIECE);

    /* the longest parked are gone */

    for (i = 0; i < 5; i++) {
        CHECK_INT(floor_of(5000 + i, 1, 0),
                  i < 3 ? NGX_CHAT_INDEX_NONE : 16);
    }

    /* a dead worker's are parked, too */

    d = digest_of("of a dead worker");
    CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d, 1, 60), NGX_OK);
    subscribe(d, 1, 0, 32);

    ngx_chat_zone_lock(&zone);
    CHECK_INT(ngx_chat_token_clear(&zone, slot, 10), 1);
    CHECK_INT(ngx_chat_token_clear(&zone, slot, 10), 0);
    ngx_chat_zone_unlock(&zone);

    CHECK_INT(floor_of(d, 1, 0), 32);
    CHECK_INT(zone.sh->parked_size, max * PIECE);

    /* another database */

    zone.sh->renewed++;
    CHECK_INT(floor_of(d, 1, 0), NGX_CHAT_INDEX_NONE);
    CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d, 2, 60), NGX_DONE);
    CHECK_INT(floor_of(d, 2, 0), NGX_CHAT_INDEX_NONE);

    /* expired */

    ngx_chat_token_end(&zone, d, 2, NGX_CHAT_TOKEN_FORGET_e);
    CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d, 3, 0), NGX_OK);
    subscribe(d, 3, 0, 32);
    ngx_chat_token_end(&zone, d, 3, NGX_CHAT_TOKEN_PARK_e);
    CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d, 4, 60), NGX_DONE);
    CHECK_INT(floor_of(d, 4, 0), NGX_CHAT_INDEX_NONE);

    drop();
}


/* A gap stays one until the client has heard of it. */

static void
test_gap(void)
{
    uint64_t  d;

    make();

    d = digest_of("of one that has missed some");

    CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d, 1, 60), NGX_OK);
    tell(d, 1, 0, 16, 0);
    CHECK_INT(floor_of(d, 1, 0), NGX_CHAT_INDEX_NONE);
    subscribe(d, 1, 1, 16);
    CHECK_INT(floor_of(d, 1, 0), 16);

    /* the ping was sent before that */

    CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d, 2, 60), NGX_OK);
    CHECK_INT(ngx_chat_token_asked(&zone, d, 2), NGX_OK);
    tell(d, 2, 0, 160, 0);
    acknowledge(d, 2, 320);
    CHECK_INT(floor_of(d, 2, 0), NGX_CHAT_INDEX_NONE);
    CHECK_INT(floor_of(d, 2, 1), 16);

    CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d, 3, 60), NGX_OK);
    CHECK_INT(floor_of(d, 3, 0), NGX_CHAT_INDEX_NONE);
    tell(d, 3, 0, 480, 0);
    CHECK_INT(ngx_chat_token_asked(&zone, d, 3), NGX_OK);
    acknowledge(d, 3, 640);
    CHECK_INT(floor_of(d, 3, 0), 640);

    drop();
}


static void
test_shared_and_slow(void)
{
    uint64_t          d;
    ngx_str_t              name;
    ngx_chat_ring_place_t  floor;

    make();

    d = digest_of("of two");
    name = channel_name(0);

    CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d, 1, 60), NGX_OK);
    subscribe(d, 1, 0, 32);
    CHECK_INT(ngx_chat_token_used(&zone, d, 1), 0);

    CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d, 2, 60), NGX_OK);
    CHECK_INT(floor_of(d, 2, 0), 32);
    CHECK_INT(ngx_chat_token_used(&zone, d, 1), 1);
    CHECK_INT(ngx_chat_token_used(&zone, d, 1), 0);
    CHECK_INT(ngx_chat_token_floor(&zone, d, 2, &name, &floor), NGX_BUSY);

    d = digest_of("of a slow one");

    CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d, 1, 60), NGX_OK);
    subscribe(d, 1, 0, 32);
    ngx_chat_token_end(&zone, d, 1, NGX_CHAT_TOKEN_SLOW_e);
    CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d, 2, 60), NGX_OK);
    CHECK_INT(floor_of(d, 2, 0), 32);
    ngx_chat_token_end(&zone, d, 2, NGX_CHAT_TOKEN_SLOW_e);
    CHECK_INT(ngx_chat_token_open(&zone, slot, 1, d, 3, 60), NGX_OK);
    CHECK_INT(floor_of(d, 3, 0), NGX_CHAT_INDEX_NONE);

    drop();
}


/*
 * Whether the tables know of the channel c, of hashes, what the events from i
 * to n say.  Channels of one bucket are one for a table.
 */

static ngx_uint_t
tables_are_wrong(uint32_t *hashes, ngx_uint_t *channel, uint64_t *message,
    ngx_uint_t i, ngx_uint_t n, ngx_uint_t c, uint64_t from)
{
    uint32_t    other;
    ngx_uint_t  changed, unstored;

    changed = 0;
    unstored = 0;

    for (/* void */; i <= n; i++) {
        other = hashes[channel[i]] ^ hashes[c];

        changed |= !(other & zone.sh->last_mask);
        unstored |= !(other & zone.sh->unstored_mask) && message[i] == 0;
    }

    return ngx_chat_index_changed(&zone, hashes[c], from) != changed
           || ngx_chat_index_unstored(&zone, hashes[c], from) != unstored;
}


/*
 * The index finds exactly the events of a channel, in any part of the ring, or
 * says that it can't.
 */

static void
test_index(void)
{
    uint32_t                hashes[CHANNELS];
    uint64_t                at[ROUNDS], found[ROUNDS], message[ROUNDS];
    uint64_t                from, tail;
    ngx_str_t               name, buf;
    ngx_uint_t              i, n, c, channel[ROUNDS], wrong, known, expected;
    ngx_chat_index_query_t  q;

    make();

    ngx_str_null(&buf);
    wrong = 0;
    known = 0;

    for (c = 0; c < CHANNELS; c++) {
        name = channel_name(c);
        hashes[c] = ngx_chat_registry_hash(&zone, 1, &name);
    }

    for (n = 0; n < ROUNDS; n++) {

        at[n] = ngx_chat_ring_head(zone.sh->ring);
        channel[n] = draw(CHANNELS);
        message[n] = draw(2) ? n : 0;
        name = channel_name(channel[n]);

        ngx_chat_zone_lock(&zone);
        bus_append(&zone, 1, &name, message[n], draw(600));
        ngx_chat_zone_unlock(&zone);

        c = draw(CHANNELS);
        name = channel_name(c);
        i = draw(n + 1);
        from = at[i];

        wrong += tables_are_wrong(hashes, channel, message, i, n, c, from);

        memset(&q, 0, sizeof(ngx_chat_index_query_t));
        q.app = 1;
        q.hash = hashes[c];
        q.channel = &name;
        q.from = from;
        q.to = ngx_chat_ring_head(zone.sh->ring);
        q.positions = found;
        q.max = ROUNDS;

        expected = 0;
        for (/* void */; i <= n; i++) {
            expected += (channel[i] == c);
        }

        tail = zone.sh->ring->tail;

        switch (ngx_chat_index_find(&zone, &q, &buf, &unit_log)) {

        case NGX_OK:
            wrong += (q.n != expected);
            known++;
            break;

        case NGX_DECLINED:
            wrong += (from >= tail);
            break;

        default:
            wrong++;
        }
    }

    CHECK_INT(wrong, 0);
    CHECK(known > ROUNDS / 10 && known < ROUNDS);

    ngx_free(buf.data);
    drop();
}


int
main(void)
{
    RUN(test_floors);
    RUN(test_channels);
    RUN(test_parked);
    RUN(test_parked_large);
    RUN(test_gap);
    RUN(test_shared_and_slow);
    RUN(test_index);

    return unit_done();
}
