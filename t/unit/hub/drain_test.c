
/* sources: hub/ngx_chat_zone.c hub/ngx_chat_slot.c hub/ngx_chat_ring.c */
/* sources: hub/ngx_chat_registry*.c hub/ngx_chat_presence.c */
/* sources: hub/ngx_chat_cache.c hub/ngx_chat_append.c */
/* sources: hub/ngx_chat_arena.c hub/ngx_chat_wakeup.c */
/* sources: hub/ngx_chat_drain.c hub/ngx_chat_channel.c */
/* sources: hub/ngx_chat_repair*.c wire/ngx_chat_failpoint*.c */
/* sources: wire/ngx_chat_envelope.c wire/ngx_chat_hash.c */
/* sources: libs: -lpthread -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * One worker's reading of the ring: the turns that a large channel takes,
 * and what may happen between them.
 */


#include "drain.h"


static void
test_small(void)
{
    begin(10);

    event(&large, 1);
    CHECK_INT(turns(), 1);
    got(0, 10, 1, 1);
    got(10, 20, 0, 0);

    event(&large, 2);
    event(&large, 3);
    publish(&large, 4, NGX_CHAT_ENVELOPE_EVENT_e, &subscribers[3]);
    CHECK_INT(turns(), 1);

    got(0, 3, 4, 4);
    got(3, 4, 3, 3);
    got(4, 10, 4, 4);

    end();
}


/* Of several channels of the same subscribers: one call for each of these. */

static void
test_gathers(void)
{
    ngx_uint_t  i;

    begin(300);

    for (i = 0; i < 300; i++) {
        subscribe(&subscribers[i], &small);
    }

    for (i = 1; i <= 20; i++) {
        event((i % 2) ? &small : &large, i);
    }

    CHECK_INT(turns(), 1);
    CHECK_INT(calls, 300);
    got(0, 300, 20, 20);

    end();
}


static void
test_large_takes_turns(void)
{
    begin(SUBSCRIBERS);

    event(&large, 1);
    CHECK(turns() > 2);
    got(0, SUBSCRIBERS, 1, 1);

    end();
}


/* Events of others wait for the large one's, and go on behind it, in order. */

static void
test_others_follow(void)
{
    ngx_uint_t  i;

    begin(SUBSCRIBERS);

    for (i = 0; i < 10; i++) {
        subscribe(&subscribers[i], &small);
    }

    event(&small, 1);

    for (i = 2; i < 42; i++) {
        event(&large, i);
    }

    event(&small, 42);
    event(&large, 43);

    CHECK(turns() > 3);
    got(0, 10, 43, 43);
    got(10, SUBSCRIBERS, 41, 43);

    end();
}


/* The lag that chat_status tells does not leave out who is still to come. */

static void
test_position_between_turns(void)
{
    uint64_t  head;

    begin(SUBSCRIBERS);

    head = ngx_chat_ring_head(zone.sh->ring);
    event(&large, 1);

    CHECK(turn());
    CHECK_INT(hub.slot->position, head);

    turns();
    end();
}


static void
test_leave_between_turns(void)
{
    ngx_uint_t  i, left;

    begin(SUBSCRIBERS);

    event(&large, 1);
    CHECK(turn());

    /* every second one: of those who have it, and of those who have not */

    left = 0;

    for (i = 0; i < SUBSCRIBERS; i += 2) {
        left += subscribers[i].got;
        unsubscribe(&subscribers[i], &large);
    }

    CHECK(left > 0);
    CHECK(left < SUBSCRIBERS / 2);

    event(&large, 2);
    turns();

    for (i = 0; i < SUBSCRIBERS; i += 2) {
        left -= subscribers[i].got;
    }

    CHECK_INT(left, 0);

    for (i = 1; i < SUBSCRIBERS; i += 2) {
        got(i, i + 1, 2, 2);
    }

    end();
}


static void
test_come_between_turns(void)
{
    ngx_uint_t  i;

    begin(SUBSCRIBERS - 100);

    event(&large, 1);
    CHECK(turn());

    for (i = SUBSCRIBERS - 100; i < SUBSCRIBERS; i++) {
        subscribe(&subscribers[i], &large);
    }

    /* one that had it, and one that had not */

    CHECK_INT(subscribers[0].got, 1);
    CHECK_INT(subscribers[4000].got, 0);
    unsubscribe(&subscribers[0], &large);
    subscribe(&subscribers[0], &large);
    unsubscribe(&subscribers[4000], &large);
    subscribe(&subscribers[4000], &large);

    event(&large, 2);
    turns();

    got(0, 4000, 2, 2);
    got(4000, 4001, 1, 2);
    got(4001, SUBSCRIBERS - 100, 2, 2);
    got(SUBSCRIBERS - 100, SUBSCRIBERS, 1, 2);

    end();
}


static void
test_channel_goes_between_turns(void)
{
    ngx_uint_t  i;

    begin(SUBSCRIBERS);

    event(&large, 1);
    CHECK(turn());

    for (i = 0; i < SUBSCRIBERS; i++) {
        unsubscribe(&subscribers[i], &large);
    }

    CHECK_INT(rendered, 0);
    CHECK_INT(hub.channels.nchannels, 0);

    subscribe(&subscribers[0], &large);
    event(&large, 2);
    turns();

    CHECK_INT(subscribers[0].got, 2);
    CHECK_INT(subscribers[4999].got, 0);

    end();
}


/* It ends those who are there when its turn comes, behind what was before. */

static void
test_terminate_waits(void)
{
    ngx_uint_t  i, ended;

    begin(SUBSCRIBERS);

    event(&large, 1);
    publish(&large, 0, NGX_CHAT_ENVELOPE_TERMINATE_e, NULL);
    CHECK(turn());

    CHECK_INT(subscribers[SUBSCRIBERS - 1].ended, 0);

    turns();
    got(0, SUBSCRIBERS, 1, 1);

    for (i = 0, ended = 0; i < SUBSCRIBERS; i++) {
        ended += subscribers[i].ended;
    }

    CHECK_INT(ended, SUBSCRIBERS);

    end();
}


/* The ring goes round while a run is given out. */

static void
test_overrun_between_turns(void)
{
    uint64_t    head, n;
    ngx_uint_t  i, told;

    begin(SUBSCRIBERS);

    head = ngx_chat_ring_head(zone.sh->ring);
    event(&large, 1);
    event(&small, 2);
    CHECK(turn());

    for (n = 3; ngx_chat_ring_head(zone.sh->ring) - head
                < 2 * zone.sh->ring->size; n++)
    {
        event(&small, n);
    }

    while (turn()) {
        /* void */
    }

    got(0, SUBSCRIBERS, 1, 1);

    for (i = 0, told = 0; i < SUBSCRIBERS; i++) {
        told += (subscribers[i].overruns == 1);
    }

    CHECK_INT(told, SUBSCRIBERS);

    end();
}


static void
test_no_memory(void)
{
    begin(10);

    no_memory = 1;
    event(&large, 1);
    turns();

    CHECK_INT(subscribers[0].got, 0);
    CHECK_INT(subscribers[0].overruns, 1);
    CHECK_INT(subscribers[9].overruns, 1);

    end();
}


int
main(void)
{
    setup();

    RUN(test_small);
    RUN(test_gathers);
    RUN(test_large_takes_turns);
    RUN(test_others_follow);
    RUN(test_position_between_turns);
    RUN(test_leave_between_turns);
    RUN(test_come_between_turns);
    RUN(test_channel_goes_between_turns);
    RUN(test_terminate_waits);
    RUN(test_overrun_between_turns);
    RUN(test_no_memory);

    ngx_chat_channel_table_free(&hub.channels);
    free(hub.record);

    return unit_done();
}
