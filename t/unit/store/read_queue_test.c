
/* sources: store/ngx_chat_read_queue.c */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Pages of history that wait to be read: whose turn it is, who is refused, how
 * long a page may be, and what reads whose client has left still cost.
 */


#include "unit.h"

#include <store/ngx_chat_read_queue.h>


#define KB       1024
#define MB       (1024 * KB)

#define WAITING  1024                  /* all of these are in conf/limits.md */
#define PAGE     (16 * MB)
#define SMALL    (64 * KB)
#define SHARE    (1 * MB)
#define LARGE    (64 * MB)
#define MOST     (128 * MB)

#define CLIENTS  1200
#define READS    1200


static ngx_chat_read_queue_t   q;
static ngx_chat_read_client_t  clients[CLIENTS];
static ngx_chat_read_t         reads[READS];
static ngx_chat_read_t        *refused;


static void
begin(void)
{
    ngx_uint_t  i;

    ngx_memzero(reads, sizeof(reads));
    ngx_chat_read_queue_init(&q);

    for (i = 0; i < CLIENTS; i++) {
        ngx_chat_read_client_init(&clients[i]);
    }
}


static ngx_int_t
add(ngx_uint_t i, ngx_uint_t client)
{
    reads[i].client = &clients[client];

    return ngx_chat_read_queue_add(&q, &reads[i], &refused);
}


/* The number of the next read, or -1. */

static ngx_int_t
next(void)
{
    ngx_chat_read_t  *rd;

    rd = ngx_chat_read_queue_next(&q);

    return rd ? rd - reads : -1;
}


/* The same, and its page was empty, so that its client has no share. */

static ngx_int_t
next_empty(void)
{
    ngx_int_t  i;

    i = next();

    if (i != -1) {
        ngx_chat_read_queue_hold(&q, &reads[i], 0);
    }

    return i;
}


/* A client that holds pages which count for no read here. */

static void
give(ngx_uint_t client, size_t size)
{
    clients[client].held += size;
    q.held += size;
}


static void
test_order(void)
{
    ngx_uint_t  i;

    /* clients take turns, and each has its reads in their order */

    static const ngx_uint_t  of[] = { 0, 0, 0, 1, 1, 2 };
    static const ngx_int_t  order[] = { 0, 3, 5, 1, 4, 2, -1 };

    begin();

    for (i = 0; i < 6; i++) {
        CHECK_INT(add(i, of[i]), NGX_OK);
        CHECK(refused == NULL);
        CHECK_INT(reads[i].state, NGX_CHAT_READ_WAITING_e);
    }

    for (i = 0; i < 7; i++) {
        CHECK_INT(next_empty(), order[i]);
    }

    CHECK_INT(reads[0].state, NGX_CHAT_READ_STARTED_e);
    CHECK_INT(q.nwaiting, 0);

    /* one that comes later does not wait for those that came before it */

    begin();

    for (i = 0; i < 5; i++) {
        CHECK_INT(add(i, 0), NGX_OK);
    }

    CHECK_INT(next_empty(), 0);
    CHECK_INT(add(5, 1), NGX_OK);
    CHECK_INT(next_empty(), 1);
    CHECK_INT(next_empty(), 5);
    CHECK_INT(next_empty(), 2);
}


/* Too many wait: the last read of the client with the most of them goes. */

static void
test_many(void)
{
    ngx_uint_t  i;

    begin();

    CHECK_INT(add(0, 1), NGX_OK);
    CHECK_INT(add(1, 2), NGX_OK);

    for (i = 2; i < WAITING; i++) {
        CHECK_INT(add(i, 0), NGX_OK);
        CHECK(refused == NULL);
    }

    CHECK_INT(add(WAITING, 1), NGX_OK);
    CHECK(refused == &reads[WAITING - 1]);
    CHECK_INT(q.nwaiting, WAITING);

    /* the one that comes may be it */

    CHECK_INT(add(WAITING - 1, 0), NGX_OK);
    CHECK(refused == &reads[WAITING - 1]);
    CHECK_INT(q.nwaiting, WAITING);

    CHECK_INT(next_empty(), 0);
    CHECK_INT(next_empty(), 1);
    CHECK_INT(next_empty(), 2);
    CHECK_INT(next_empty(), WAITING);

    for (i = 3; i < WAITING - 1; i++) {
        CHECK_INT(next_empty(), i);
    }

    CHECK_INT(next_empty(), -1);
    CHECK_INT(q.nwaiting, 0);
}


/* Who has not taken a page of its share waits, and others go on. */

static void
test_share(void)
{
    begin();

    CHECK_INT(add(0, 0), NGX_OK);
    CHECK_INT(add(1, 0), NGX_OK);
    CHECK_INT(next(), 0);

    /* it has been read, and is a byte short of the share */

    ngx_chat_read_queue_hold(&q, &reads[0], SHARE - 1);
    CHECK_INT(next(), 1);

    ngx_chat_read_queue_hold(&q, &reads[1], 1);
    CHECK_INT(add(2, 0), NGX_OK);
    CHECK_INT(add(3, 1), NGX_OK);
    CHECK_INT(next(), 3);
    CHECK_INT(next(), -1);
    CHECK_INT(q.nwaiting, 1);

    ngx_chat_read_queue_release(&q, &clients[0], 1);
    CHECK_INT(next(), 2);
}


/* Half of what is left for large pages, from 64 KB to 16 MB. */

static void
test_page(void)
{
    ngx_uint_t  i;

    static const struct {
        size_t  held;
        size_t  page;
    } cases[] = {
        { 0,                PAGE },
        { LARGE - 2 * PAGE, PAGE },
        { LARGE - PAGE,     PAGE / 2 },
        { LARGE - 2 * MB,   MB },
        { LARGE - 3 * SMALL, SMALL + SMALL / 2 },
        { LARGE - SMALL,    SMALL },
        { LARGE,            SMALL },
        { MOST - 1,         SMALL },
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        begin();
        give(1, cases[i].held);

        CHECK_INT(add(0, 0), NGX_OK);
        CHECK_INT(next(), 0);
        CHECK_INT(reads[0].held, cases[i].page);
        CHECK_INT(clients[0].held, cases[i].page);
        CHECK_INT(q.held, cases[i].held + cases[i].page);
    }
}


/* Clients that ask for a page each, and take none. */

static void
test_most(void)
{
    ngx_uint_t  n;

    begin();

    for (n = 0; n < READS && add(n, n) == NGX_OK; n++) {
        CHECK_INT(next(), n);
        CHECK(refused == NULL);
    }

    CHECK(n > WAITING && n < READS);
    CHECK(q.held >= MOST);
    CHECK(q.held < MOST + SMALL);
    CHECK_INT(q.nwaiting, 0);

    /* with a page that is given back there is room */

    ngx_chat_read_queue_release(&q, &clients[n - 1], reads[n - 1].held);
    CHECK_INT(add(n, n), NGX_OK);
}


/* Reads whose clients have left. */

static void
test_left(void)
{
    ngx_uint_t  i;

    begin();

    /* one that waits is not done, and those behind it come sooner */

    for (i = 0; i < 4; i++) {
        CHECK_INT(add(i, i / 2), NGX_OK);
    }

    ngx_chat_read_queue_remove(&q, &reads[0]);
    CHECK_INT(q.nwaiting, 3);
    CHECK_INT(next(), 1);
    ngx_chat_read_queue_remove(&q, &reads[2]);
    ngx_chat_read_queue_remove(&q, &reads[3]);
    CHECK_INT(q.nwaiting, 0);
    CHECK_INT(next(), -1);

    /* one that a thread has counts for the worker, until it is done */

    CHECK_INT(reads[1].held, PAGE);
    ngx_chat_read_queue_leave(&reads[1]);
    CHECK_INT(clients[0].held, 0);
    CHECK_INT(q.held, PAGE);

    ngx_chat_read_queue_hold(&q, &reads[1], 5000);
    CHECK_INT(q.held, 5000);
    ngx_chat_read_queue_hold(&q, &reads[1], 0);
    CHECK_INT(q.held, 0);

    /* a client that comes and leaves all the time is none that has reads */

    for (i = 0; i < 10 * WAITING; i++) {
        CHECK_INT(add(4, 2), NGX_OK);
        CHECK(refused == NULL);
        ngx_chat_read_queue_remove(&q, &reads[4]);
    }

    CHECK(ngx_queue_empty(&q.clients));
    CHECK_INT(q.nwaiting, 0);
    CHECK_INT(q.held, 0);
}


int
main(void)
{
    RUN(test_order);
    RUN(test_many);
    RUN(test_share);
    RUN(test_page);
    RUN(test_most);
    RUN(test_left);

    return unit_done();
}
