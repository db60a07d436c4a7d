
/* sources: shared/ngx_chat_zone.c shared/ngx_chat_slot.c bus/ngx_chat_ring.c */
/* sources: shared/ngx_chat_registry*.c shared/ngx_chat_presence.c */
/* sources: shared/ngx_chat_cache.c bus/ngx_chat_append.c */
/* sources: shared/ngx_chat_arena.c bus/ngx_chat_wakeup.c */
/* sources: fanout/ngx_chat_fanout*.c fanout/ngx_chat_channel.c */
/* sources: shared/ngx_chat_repair*.c wire/ngx_chat_failpoint*.c */
/* sources: wire/ngx_chat_envelope.c wire/ngx_chat_hash.c */
/* sources: libs: -lpthread -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What a worker publishes itself: when in a turn of the event loop it leaves,
 * beside connections that have more and more to do in that turn.
 */


#include "fanout.h"


/* A connection that has pipelined requests: one is done each time. */

typedef struct {
    ngx_event_t   event;
    ngx_uint_t    left;                    /* requests */
    ngx_str_t    *channel;                 /* they publish on; NULL: none */
    ngx_uint_t    each;                    /* so many for one that publishes */
} requests_t;


static uint64_t    number;                 /* of the last event */
static ngx_uint_t  requests;               /* done */
static ngx_uint_t  answers;
static ngx_uint_t  answered_calls;         /* as there were, at an answer */
static ngx_uint_t  answered_requests;


static void
answer(void)
{
    answers++;
    answered_calls = calls;
    answered_requests = requests;
}


static void
request(ngx_event_t *ev)
{
    requests_t *r = ev->data;

    requests++;

    if (r->channel && r->left % r->each == 0) {
        event(r->channel, ++number);
        ngx_chat_fanout_soon(&hub, 1);
    }

    if (--r->left) {
        ngx_post_event(ev, &ngx_posted_events);
    }
}


static void
pipeline(requests_t *r, ngx_uint_t n, ngx_str_t *channel)
{
    ngx_memzero(r, sizeof(requests_t));

    r->event.handler = request;
    r->event.data = r;
    r->event.log = &unit_log;
    r->left = n;
    r->channel = channel;
    r->each = 1;

    ngx_post_event(&r->event, &ngx_posted_events);
}


/* As ngx_event_process_posted() does it. */

static void
loop_once(void)
{
    ngx_event_t  *ev;
    ngx_queue_t  *q;

    q = ngx_queue_head(&ngx_posted_events);
    ev = ngx_queue_data(q, ngx_event_t, queue);

    ngx_delete_posted_event(ev);
    ev->handler(ev);
}


/* Until nothing is posted. */

static void
loop(void)
{
    while (!ngx_queue_empty(&ngx_posted_events)) {
        loop_once();
    }
}


static void
begin_loop(ngx_uint_t subs)
{
    begin(subs);

    number = 0;
    requests = 0;
    answers = 0;
    calls = 0;
    turn_work = 0;
}


static void
end_loop(void)
{
    CHECK_INT(hub.fresh, 0);
    CHECK_INT(hub.drain.posted, 0);
    end();
}


static void
test_same_turn(void)
{
    requests_t  one;

    begin_loop(10);
    pipeline(&one, 1, &large);
    loop();

    got(0, 10, 1, 1);
    CHECK_INT(calls, 10);
    CHECK_INT(answers, 1);
    CHECK_INT(answered_calls, 10);

    /* and once more: nothing is left of the turn before */

    pipeline(&one, 1, &large);
    loop();

    got(0, 10, 2, 2);
    CHECK_INT(answers, 2);

    end_loop();
}


/* All that connections publish in one turn goes to each by one call. */

static void
test_together(void)
{
    requests_t  a, b;
    ngx_uint_t  i;

    begin_loop(10);

    for (i = 0; i < 10; i++) {
        subscribe(&subscribers[i], &small);
    }

    pipeline(&a, 8, &large);
    pipeline(&b, 8, &small);
    loop();

    got(0, 10, 16, 16);
    CHECK_INT(calls, 10);
    CHECK_INT(answers, 1);

    end_loop();
}


/* Others' requests that publish nothing are not waited for. */

static void
test_beside_others(void)
{
    requests_t  one, others;

    begin_loop(10);
    pipeline(&one, 1, &large);
    pipeline(&others, 1000, NULL);
    loop();

    got(0, 10, 1, 1);
    CHECK_INT(requests, 1001);
    CHECK_INT(answers, 1);
    CHECK_INT(answered_calls, 10);
    CHECK(answered_requests < 5);

    end_loop();
}


/* Nor does who publishes on and on keep all of it. */

static void
test_bound(void)
{
    requests_t  one;

    begin_loop(1);
    pipeline(&one, 1000, &large);

    while (answers == 0 && requests < 1000) {
        loop_once();
    }

    CHECK_INT(requests, 128);
    CHECK_INT(subscribers[0].got, 128);

    loop();
    got(0, 1, 1000, 1000);

    end_loop();
}


/* A large channel's rest is the next turn's, and so are the answers. */

static void
test_behind_rest(void)
{
    requests_t  one;

    begin_loop(SUBSCRIBERS);
    event(&large, ++number);
    ngx_chat_fanout(&hub);

    CHECK(hub.drain.posted);
    answers = 0;
    calls = 0;

    pipeline(&one, 1, &large);
    loop();

    CHECK_INT(calls, 0);
    CHECK_INT(answers, 0);

    ngx_delete_posted_event(&hub.drain);
    turns();

    got(0, SUBSCRIBERS, 2, 2);
    CHECK(answers > 0);

    end_loop();
}


/* Who publishes with every third request does not make a turn much longer:
   the rest is roused for, and leaves together. */

static void
test_long_turn(void)
{
    requests_t  one;

    begin_loop(400);
    pipeline(&one, 300, &large);
    one.each = 3;
    loop();

    CHECK_INT(requests, 300);
    CHECK(calls >= 400);
    CHECK(calls <= 2 * TURN_MAX);
    CHECK_INT(hub.fresh, 0);

    turns();
    got(0, 400, 100, 100);
    CHECK(calls <= 400 * (100 / RUN_MAX + 1));

    end_loop();
}


/* Without a slot nothing is read; the answers leave nevertheless. */

static void
test_no_slot(void)
{
    requests_t           one;
    ngx_chat_slot_sh_t  *slot;

    begin_loop(10);

    slot = hub.slot;
    hub.slot = NULL;

    pipeline(&one, 1, &large);
    loop();

    CHECK_INT(calls, 0);
    CHECK_INT(answers, 1);

    hub.slot = slot;
    turns();
    got(0, 10, 1, 1);

    end_loop();
}


/* Others wait where more than 128 KB of this worker's own are to be delivered,
   until all of it is. */

static void
test_behind(void)
{
    uint64_t             own;
    ngx_uint_t           i;
    ngx_chat_slot_sh_t  *slot;

    begin_loop(2000);

    /* others' events */

    event(&large, ++number);
    CHECK_INT(ngx_chat_fanout_is_behind(&hub), 0);

    event(&large, ++number);
    ngx_chat_fanout_owe(&hub, 1, 128 * 1024 - 64);
    CHECK_INT(ngx_chat_fanout_is_behind(&hub), 0);

    event(&large, ++number);
    ngx_chat_fanout_owe(&hub, 1, 0);
    CHECK_INT(ngx_chat_fanout_is_behind(&hub), 1);

    slot = hub.slot;
    hub.slot = NULL;
    CHECK_INT(ngx_chat_fanout_is_behind(&hub), 0);
    hub.slot = slot;

    /* all is read, and not given to all */

    CHECK(turn());
    CHECK(hub.position == ngx_chat_ring_head(zone.sh->ring));
    CHECK_INT(ngx_chat_fanout_is_behind(&hub), 1);

    /* others' behind it don't count */

    own = ngx_chat_ring_head(zone.sh->ring);
    event(&small, ++number);

    while (turn() && hub.slot->position < own) {
        CHECK_INT(ngx_chat_fanout_is_behind(&hub), 1);
    }

    CHECK_INT(ngx_chat_fanout_is_behind(&hub), 0);

    turns();

    /* nor what is delivered before it is owed, as what was stored may be */

    event(&large, ++number);
    turns();
    ngx_chat_fanout_owe(&hub, 1, 200 * 1024);
    CHECK_INT(ngx_chat_fanout_is_behind(&hub), 0);

    /* nor what is long delivered */

    for (i = 0; i < 100; i++) {
        event(&large, ++number);
        ngx_chat_fanout_owe(&hub, 1, 100 * 1024);
        turns();
    }

    event(&large, ++number);
    ngx_chat_fanout_owe(&hub, 1, 100 * 1024);
    CHECK_INT(ngx_chat_fanout_is_behind(&hub), 0);
    turns();

    end_loop();
}


/* A worker that never catches up with others has its own delivered all the
   same. */

static void
test_lag_of_others(void)
{
    ngx_uint_t  i, k, behind;

    begin_loop(2);

    for (i = 0; i < 1000; i++) {
        event(&large, ++number);
    }

    behind = 0;

    for (i = 0; i < 100; i++) {

        for (k = 0; k < 256; k++) {
            event(&large, ++number);
        }

        ngx_chat_fanout_owe(&hub, 1, 8 * 1024);
        CHECK(turn());
        behind += ngx_chat_fanout_is_behind(&hub);
    }

    CHECK_INT(behind, 0);
    CHECK_INT(subscribers[0].overruns, 0);
    turns();

    end_loop();
}


int
main(void)
{
    setup();

    hub.answer = answer;
    hub.soon.handler = ngx_chat_fanout_soon_handler;
    hub.soon.data = &hub.dummy;
    hub.soon.log = &unit_log;
    hub.dummy.data = &hub;

    RUN(test_same_turn);
    RUN(test_together);
    RUN(test_beside_others);
    RUN(test_bound);
    RUN(test_behind_rest);
    RUN(test_long_turn);
    RUN(test_no_slot);
    RUN(test_behind);
    RUN(test_lag_of_others);

    ngx_chat_channel_table_free(&hub.channels);
    free(hub.record);

    return unit_done();
}
