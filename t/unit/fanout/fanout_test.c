
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
/* sources: fanout/ngx_chat_fanout*.c fanout/ngx_chat_channel.c */
/* sources: shared/ngx_chat_mutex.c wire/ngx_chat_failpoint*.c */
/* sources: wire/ngx_chat_envelope.c wire/ngx_chat_hash.c */
/* sources: wire/ngx_chat_clock.c */
/* sources: libs: -lpthread -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * One worker's reading of the ring: the turns that a large channel takes,
 * and what may happen between them.
 */


#include "fanout.h"


/* Each listener is where its subscription says. */

static void
check_indexes(ngx_str_t *name)
{
    ngx_uint_t           i, wrong;
    ngx_chat_channel_t  *ch;

    ch = channel(name);
    wrong = 0;

    for (i = 0; i < ch->n; i++) {
        wrong += (ch->listeners[i].subscription->index != i);
    }

    CHECK_INT(wrong, 0);
}


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


/* 20 events of two channels with the same subscribers: far less than 20 calls
   for each of these, also where they are more than one turn can send to. */

static void
gathers(ngx_uint_t n, ngx_uint_t most)
{
    ngx_uint_t  i;

    begin(n);

    for (i = 0; i < n; i++) {
        subscribe(&subscribers[i], &small);
    }

    for (i = 1; i <= 20; i++) {
        event((i % 2) ? &small : &large, i);
    }

    turns();
    CHECK(calls >= n);
    CHECK(calls <= most);
    got(0, n, 20, 20);

    end();
}


static void
test_gathers(void)
{
    gathers(300, 3 * 300);
    gathers(600, 6 * 600);
    gathers(2000, 14 * 2000);
}


/* Events that are not for all can't be put together, but leave together. */

static void
test_gathers_except(void)
{
    ngx_uint_t  i;

    begin(600);

    for (i = 1; i <= 20; i++) {
        publish(&large, i, NGX_CHAT_ENVELOPE_EVENT_e, &subscribers[599]);
    }

    turns();
    CHECK(calls <= 6 * 599);
    got(0, 599, 20, 20);
    got(599, 600, 0, 0);

    end();
}


/* One that is not for all, and those around it that are. */

static void
test_except_between(void)
{
    begin(10);

    event(&large, 1);
    publish(&large, 2, NGX_CHAT_ENVELOPE_EVENT_e, &subscribers[3]);
    event(&large, 3);
    turns();

    got(0, 3, 3, 3);
    got(3, 4, 2, 3);
    got(4, 10, 3, 3);

    end();
}


/* More than one turn reads, of a channel that is small. */

static void
test_many_records(void)
{
    ngx_uint_t  i;

    begin(2);

    for (i = 1; i <= 1000; i++) {
        event(&large, i);
    }

    CHECK(turns() > 3);
    got(0, 2, 1000, 1000);

    end();
}


/* More sends than a turn has, in small channels: nothing is held back. */

static void
test_many_small(void)
{
    u_char      names[100][4];
    ngx_str_t   name[100];
    ngx_uint_t  i;

    begin(0);

    for (i = 0; i < 100; i++) {
        name[i].data = names[i];
        name[i].len = sprintf((char *) names[i], "c%u", (unsigned) i);
    }

    for (i = 0; i < 1000; i++) {
        subscribe(&subscribers[i], &name[i / 10]);
    }

    for (i = 0; i < 100; i++) {
        event(&name[i], i + 1);
    }

    CHECK(turns() > 1);
    CHECK_INT(calls, 1000);
    CHECK_INT(holds, 0);

    for (i = 0; i < 100; i++) {
        got(i * 10, i * 10 + 10, 1, i + 1);
    }

    end();
}


/* Turns that are all full: the others learn how far this worker is. */

static void
test_position_while_full(void)
{
    u_char      names[100][4];
    uint64_t    position;
    ngx_str_t   name[100];
    ngx_uint_t  i, n, stood, most;

    begin(0);

    for (i = 0; i < 100; i++) {
        name[i].data = names[i];
        name[i].len = sprintf((char *) names[i], "c%u", (unsigned) i);
    }

    for (i = 0; i < 3000; i++) {
        subscribe(&subscribers[i], &name[i / 30]);
    }

    for (i = 0; i < 3000; i++) {
        event(&name[i % 100], i + 1);
    }

    stood = 0;
    most = 0;

    do {
        position = fanout.slot->position;
        n = turn();
        stood = (fanout.slot->position == position) ? stood + 1 : 0;
        most = ngx_max(most, stood);
    } while (n && CHECK(most < 1000));

    CHECK(most < 5);
    turns();

    end();
}


/* Who comes between two events that wait gets the second one only. */

static void
test_come_between_events(void)
{
    begin(10);

    event(&large, 1);
    subscribe(&subscribers[10], &large);
    event(&large, 2);
    turns();

    got(0, 10, 2, 2);
    got(10, 11, 1, 2);

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
    CHECK_INT(fanout.slot->position, head);

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


/* All who do not have it yet leave, and some of the others behind them. */

static void
test_rest_leaves_between_turns(void)
{
    ngx_uint_t  i, n;

    begin(SUBSCRIBERS);

    event(&large, 1);
    CHECK(turn());

    for (n = 0; subscribers[n].got; n++) {
        /* void */
    }

    CHECK(n > 100);

    for (i = n; i < SUBSCRIBERS; i++) {
        unsubscribe(&subscribers[i], &large);
    }

    for (i = 0; i < 100; i += 2) {
        unsubscribe(&subscribers[i], &large);
        unsubscribe(&subscribers[n - 1 - i], &large);
        check_indexes(&large);
    }

    event(&large, 2);
    turns();

    for (i = 1; i < 100; i += 2) {
        got(i, i + 1, 2, 2);
        got(n - 1 - i, n - i, 2, 2);
    }

    got(100, n - 100, 2, 2);

    end();
}


/* The first who does not have it, and the last who has. */

static void
test_edge_leaves_between_turns(void)
{
    ngx_uint_t  n;

    begin(SUBSCRIBERS);

    event(&large, 1);
    CHECK(turn());

    for (n = 0; subscribers[n].got; n++) {
        /* void */
    }

    unsubscribe(&subscribers[n], &large);
    unsubscribe(&subscribers[n - 1], &large);
    check_indexes(&large);
    turns();

    got(0, n, 1, 1);
    got(n, n + 1, 0, 0);
    got(n + 1, SUBSCRIBERS, 1, 1);

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
    CHECK_INT(fanout.channels.nchannels, 0);

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
    CHECK(turn());
    publish(&large, 0, NGX_CHAT_ENVELOPE_TERMINATE_e, NULL);

    /* comes again behind it, and may stay */

    CHECK_INT(subscribers[7].got, 1);
    unsubscribe(&subscribers[7], &large);
    subscribe(&subscribers[7], &large);

    CHECK(turn());
    CHECK_INT(subscribers[0].ended, 0);

    turns();
    got(0, SUBSCRIBERS, 1, 1);

    for (i = 0, ended = 0; i < SUBSCRIBERS; i++) {
        ended += subscribers[i].ended;
    }

    CHECK_INT(ended, SUBSCRIBERS - 1);
    CHECK_INT(subscribers[7].ended, 0);

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
        told += (subscribers[i].missed == 1);
    }

    CHECK_INT(told, SUBSCRIBERS);

    end();
}


/* Those who wait for this worker are roused when it has moved. */

static void
test_rouses(void)
{
    uint64_t            position;
    ngx_chat_wakeup_t  *own, *other;

    own = &zone.wakeups->wakeups[1];
    other = &zone.wakeups->wakeups[2];

    begin(10);
    position = fanout.slot->position;

    ngx_chat_wakeup_clear(own);
    ngx_chat_wakeup_clear(other);

    turns();
    CHECK_INT(fanout.slot->position, position);
    CHECK(ngx_chat_wakeup_is_clear(other));

    event(&large, 1);
    turns();
    CHECK(fanout.slot->position > position);
    CHECK(!ngx_chat_wakeup_is_clear(other));

    /* another worker may wait by the same */
    CHECK(!ngx_chat_wakeup_is_clear(own));

    end();
}


/* What is held back is not delivered yet: see turn(). */

static void
test_position_behind_held(void)
{
    ngx_uint_t  i;

    begin(SUBSCRIBERS);

    for (i = 0; i < SUBSCRIBERS; i++) {
        subscribe(&subscribers[i], &small);
    }

    event(&small, 1);
    event(&large, 2);

    CHECK(turn());
    CHECK(nheld > 0);

    turns();
    got(0, SUBSCRIBERS, 2, 2);
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
    CHECK_INT(subscribers[0].missed, 1);
    CHECK_INT(subscribers[9].missed, 1);

    end();
}


int
main(void)
{
    setup();

    RUN(test_small);
    RUN(test_gathers);
    RUN(test_gathers_except);
    RUN(test_except_between);
    RUN(test_many_records);
    RUN(test_many_small);
    RUN(test_position_while_full);
    RUN(test_come_between_events);
    RUN(test_large_takes_turns);
    RUN(test_others_follow);
    RUN(test_position_between_turns);
    RUN(test_leave_between_turns);
    RUN(test_rest_leaves_between_turns);
    RUN(test_edge_leaves_between_turns);
    RUN(test_come_between_turns);
    RUN(test_channel_goes_between_turns);
    RUN(test_terminate_waits);
    RUN(test_overrun_between_turns);
    RUN(test_rouses);
    RUN(test_position_behind_held);
    RUN(test_no_memory);

    ngx_chat_channel_table_free(&fanout.channels);
    free(fanout.record);

    return unit_done();
}
