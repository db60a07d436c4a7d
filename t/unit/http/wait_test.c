
/* sources: shared/ngx_chat_incident.c */
/* sources: http/ngx_chat_wait.c */
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
 * Publishers that wait for their worker, which is behind with its deliveries:
 * when they go on, and when they are refused.  The clock is the test's, and so
 * are the turns of the event loop.
 */


#include "unit.h"
#include "shared/zone.h"

#include <http/ngx_chat_wait.h>


#define REQUESTS  200
#define LIMIT     10000                /* ms, in conf/failures.md */
#define BEHIND    (128 * 1024)         /* bytes, in conf/failures.md */


typedef struct {
    ngx_http_request_t   r;                /* first */
    ngx_connection_t     connection;
    ngx_http_cleanup_t   cleanup;
    u_char               data[256];        /* of the cleanup */
    ngx_uint_t           suspended;
    ngx_uint_t           published;
    ngx_uint_t           refused;
    ngx_int_t            result;
} request_t;


ngx_queue_t              ngx_posted_events;
ngx_queue_t              ngx_posted_next_events;
ngx_rbtree_t             ngx_event_timer_rbtree;
ngx_uint_t               ngx_worker;

static ngx_chat_zone_t   zone;
static ngx_chat_fanout_t fanout;
static request_t         requests[REQUESTS];
static ngx_event_t      *timers[REQUESTS + 1];
static ngx_uint_t        ntimers;


/* Timers are few: those that are set, in no order. */

void
ngx_rbtree_insert(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    timers[ntimers++] = ngx_rbtree_data(node, ngx_event_t, timer);
}


void
ngx_rbtree_delete(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    ngx_uint_t  i;

    for (i = 0; &timers[i]->timer != node; i++) {
        /* void */
    }

    timers[i] = timers[--ntimers];
}


void *
ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    abort();
}


ngx_http_cleanup_t *
ngx_http_cleanup_add(ngx_http_request_t *r, size_t size)
{
    request_t  *rq = (request_t *) r;

    if (size > sizeof(rq->data)) {
        abort();
    }

    rq->cleanup.data = rq->data;

    return &rq->cleanup;
}


ngx_int_t
ngx_chat_request_header(ngx_http_request_t *r, const char *name,
    ngx_str_t *value)
{
    return NGX_DECLINED;
}


void
ngx_chat_request_suspend(ngx_http_request_t *r)
{
    ((request_t *) r)->suspended = 1;
}


void
ngx_chat_request_resume(ngx_http_request_t *r, ngx_chat_request_pt handler,
    void *data)
{
    request_t  *rq = (request_t *) r;

    CHECK_INT(rq->suspended, 1);

    rq->suspended = 0;
    rq->result = handler(r, data);
}


void
ngx_chat_fanout_post(ngx_chat_fanout_t *f)
{
}


/* A ngx_chat_request_pt: what waited to be published is. */

static ngx_int_t
publish(ngx_http_request_t *r, void *data)
{
    CHECK(data == r);

    ((request_t *) r)->published++;

    return NGX_HTTP_CREATED;
}


/* A ngx_chat_reply_pt. */

static ngx_int_t
reply(ngx_http_request_t *r, ngx_uint_t status, const char *text)
{
    CHECK_INT(status, 503);
    CHECK(text != NULL);

    ((request_t *) r)->refused++;

    return status;
}


/* Others put so many bytes into the ring, and a little more. */

static void
append(size_t size)
{
    uint64_t             end;
    ngx_chat_envelope_t  e;

    static u_char  data[1024];

    end = ngx_chat_ring_head(zone.sh->ring) + size;

    ngx_memzero(&e, sizeof(ngx_chat_envelope_t));

    e.type = NGX_CHAT_ENVELOPE_EVENT_e;
    e.app = 1;
    ngx_str_set(&e.channel, "chat");
    e.payload.data = data;
    e.payload.len = sizeof(data);

    while (ngx_chat_ring_head(zone.sh->ring) < end) {
        ngx_chat_zone_lock(&zone);
        CHECK_INT(ngx_chat_ring_append(zone.sh->ring, &e, NULL), NGX_OK);
        ngx_chat_zone_unlock(&zone);
    }
}


/* This worker has delivered up to here. */

static void
delivered(uint64_t position)
{
    fanout.slot->position = position;
}


static uint64_t
head(void)
{
    return ngx_chat_ring_head(zone.sh->ring);
}


static ngx_int_t
request(ngx_uint_t i)
{
    return ngx_chat_wait_before_publish(&requests[i].r, reply, publish,
                                        &requests[i]);
}


/* A turn of the event loop, at a time: timers, then what was posted before. */

static void
turn(ngx_msec_t time)
{
    ngx_uint_t    i;
    ngx_event_t  *ev;
    ngx_queue_t   posted;

    ngx_current_msec = time;

    for (i = 0; i < ntimers; /* void */) {
        ev = timers[i];

        if (ev->timer.key > time) {
            i++;
            continue;
        }

        timers[i] = timers[--ntimers];

        ev->timer_set = 0;
        ev->timedout = 1;
        ev->handler(ev);

        i = 0;
    }

    ngx_queue_init(&posted);

    if (!ngx_queue_empty(&ngx_posted_next_events)) {
        ngx_queue_add(&posted, &ngx_posted_next_events);
        ngx_queue_init(&ngx_posted_next_events);
    }

    while (!ngx_queue_empty(&posted)) {
        ev = ngx_queue_data(ngx_queue_head(&posted), ngx_event_t, queue);

        ngx_delete_posted_event(ev);
        ev->handler(ev);
    }
}


static ngx_uint_t
counted(ngx_uint_t offset)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < REQUESTS; i++) {
        n += *(ngx_uint_t *) ((u_char *) &requests[i] + offset);
    }

    return n;
}


#define published()  counted(offsetof(request_t, published))
#define refused()    counted(offsetof(request_t, refused))
#define waiting()    counted(offsetof(request_t, suspended))


static void
begin(void)
{
    ngx_uint_t   i;
    ngx_cycle_t  cycle;

    ngx_memzero(requests, sizeof(requests));
    ngx_memzero(&fanout, sizeof(fanout));
    ngx_memzero(&cycle, sizeof(cycle));

    for (i = 0; i < REQUESTS; i++) {
        requests[i].r.connection = &requests[i].connection;
    }

    zone.workers = 1;
    unit_zone_create(&zone, 4 * 1024 * 1024);
    unit_cycle.log = &unit_log;

    ngx_queue_init(&ngx_posted_events);
    ngx_queue_init(&ngx_posted_next_events);

    ngx_current_msec = 0;

    fanout.zone = &zone;
    fanout.log = &unit_log;
    fanout.slot = ngx_chat_slot_lease(&zone, &unit_log);
    delivered(head());

    cycle.log = &unit_log;
    ngx_chat_wait_init(&fanout, &cycle);
}


/* Nobody waits, and nothing is left behind. */

static void
end(void)
{
    delivered(head());
    turn(ngx_current_msec + 1000);
    turn(ngx_current_msec + 1000);

    CHECK_INT(waiting(), 0);
    CHECK_INT(ntimers, 0);
    CHECK(ngx_queue_empty(&ngx_posted_next_events));

    ngx_chat_slot_release(&zone, fanout.slot);
    unit_zone_destroy();
}


static void
test_not_behind(void)
{
    begin();

    append(BEHIND / 2);
    CHECK_INT(request(0), NGX_HTTP_CREATED);
    CHECK_INT(published(), 1);
    CHECK_INT(ntimers, 0);

    end();
}


/* Each is refused 10 s after it came, and not sooner. */

static void
test_refused(void)
{
    ngx_msec_t  time;

    begin();
    append(BEHIND);

    CHECK_INT(request(0), NGX_DONE);
    CHECK_INT(request(1), NGX_DONE);

    for (time = 5; time < LIMIT / 2; time += 5) {
        turn(time);
    }

    CHECK_INT(request(2), NGX_DONE);

    for ( /* void */ ; time < LIMIT; time += 5) {
        turn(time);
    }

    turn(LIMIT - 1);
    CHECK_INT(waiting(), 3);

    turn(LIMIT);
    turn(LIMIT);
    CHECK_INT(requests[0].refused, 1);
    CHECK_INT(requests[1].refused, 1);
    CHECK_INT(requests[0].result, 503);
    CHECK_INT(waiting(), 1);

    turn(LIMIT + LIMIT / 2 - 6);
    CHECK_INT(waiting(), 1);
    turn(LIMIT + LIMIT / 2);
    turn(LIMIT + LIMIT / 2);
    CHECK_INT(requests[2].refused, 1);

    CHECK_INT(published(), 0);
    end();
}


/* All that was in the ring is delivered, though others have added more. */

static void
test_its_turn(void)
{
    uint64_t  position;

    begin();
    append(BEHIND);
    position = head();

    CHECK_INT(request(0), NGX_DONE);
    append(BEHIND);
    CHECK_INT(request(1), NGX_DONE);
    append(BEHIND);

    delivered(position - 1);
    turn(1);
    CHECK_INT(waiting(), 2);

    delivered(position);
    turn(LIMIT - 1);
    CHECK_INT(requests[0].published, 1);
    CHECK_INT(requests[1].suspended, 1);

    /* who comes now is behind those that wait */

    CHECK_INT(request(2), NGX_DONE);

    turn(LIMIT);
    turn(LIMIT);
    CHECK_INT(requests[1].refused, 1);
    CHECK_INT(requests[2].suspended, 1);

    end();
    CHECK_INT(requests[2].published, 1);
}


/* This worker is not behind any more: a part of them goes on in each turn. */

static void
test_released(void)
{
    ngx_uint_t  i, n, before;

    begin();
    append(BEHIND);

    for (i = 0; i < REQUESTS; i++) {
        CHECK_INT(request(i), NGX_DONE);
    }

    delivered(head());

    for (n = 1; waiting(); n++) {
        before = published();
        turn(n);
        CHECK(published() > before);
        CHECK(published() - before <= REQUESTS / 2);

        for (i = 1; i < REQUESTS; i++) {
            CHECK(requests[i - 1].published >= requests[i].published);
        }
    }

    CHECK_INT(published(), REQUESTS);
    CHECK_INT(refused(), 0);
    end();
}


/* nginx ends a request by force: it is forgotten. */

static void
test_ended(void)
{
    begin();
    append(BEHIND);

    CHECK_INT(request(0), NGX_DONE);
    CHECK_INT(request(1), NGX_DONE);

    requests[0].cleanup.handler(requests[0].cleanup.data);
    requests[0].suspended = 0;

    turn(LIMIT);
    turn(LIMIT);
    CHECK_INT(requests[0].refused, 0);
    CHECK_INT(requests[1].refused, 1);
    CHECK_INT(published(), 0);

    end();
}


int
main(void)
{
    RUN(test_not_behind);
    RUN(test_refused);
    RUN(test_its_turn);
    RUN(test_released);
    RUN(test_ended);

    return unit_done();
}
