
/* sources: websocket/ngx_chat_object_pool.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <websocket/ngx_chat_object_pool.h>


#define SIZE   500
#define ITEMS  2000


static ngx_log_t               unit_log;
static ngx_uint_t              blocks;     /* taken so far */
static ngx_uint_t              no_memory;
static u_char                 *items[ITEMS];
static ngx_chat_object_pool_t  pool = { SIZE, { NULL, NULL } };


void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    if (no_memory) {
        return NULL;
    }

    blocks++;

    return malloc(size);
}


static void
take(ngx_uint_t i)
{
    ngx_uint_t  k, set;

    items[i] = ngx_chat_object_pool_alloc(&pool, &unit_log);

    if (!CHECK(items[i] != NULL)) {
        exit(1);
    }

    set = 0;

    for (k = 0; k < SIZE; k++) {
        set += (items[i][k] != 0);
    }

    CHECK_INT(set, 0);

    /* what a delivery looks at is within a line */
    CHECK((uintptr_t) items[i] % 64 + 56 <= 64);

    ngx_memset(items[i], 1 + i % 255, SIZE);
}


/* Nobody else has written into it. */

static void
give(ngx_uint_t i)
{
    ngx_uint_t  k, other;

    other = 0;

    for (k = 0; k < SIZE; k++) {
        other += (items[i][k] != 1 + i % 255);
    }

    CHECK_INT(other, 0);

    ngx_chat_object_pool_free(&pool, items[i]);
    items[i] = NULL;
}


static void
test_all_and_back(void)
{
    ngx_uint_t  i, n;

    for (i = 0; i < ITEMS; i++) {
        take(i);
    }

    n = blocks;

    /* hardly more than they need */
    CHECK(n >= ITEMS * SIZE / 65536);
    CHECK(n <= ITEMS * (SIZE + 72) / 65536 + 1);

    for (i = 0; i < ITEMS; i++) {
        give(i);
    }

    /* all blocks but one are gone */

    for (i = 0; i < ITEMS; i++) {
        take(ITEMS - 1 - i);
    }

    CHECK_INT(blocks, 2 * n - 1);

    /* what is given back while its block is in use is taken again */

    for (i = 0; i < ITEMS; i += 2) {
        give(i);
    }

    for (i = 0; i < ITEMS; i += 2) {
        take(i);
    }

    CHECK_INT(blocks, 2 * n - 1);

    for (i = 0; i < ITEMS; i++) {
        give(i);
    }
}


/* A walk that the seed makes the same each time. */

static void
test_in_any_order(void)
{
    ngx_uint_t  i, n;

    srandom(7);

    for (n = 0; n < 200000; n++) {
        i = random() % ITEMS;

        if (items[i]) {
            give(i);

        } else {
            take(i);
        }
    }

    for (i = 0; i < ITEMS; i++) {
        if (items[i]) {
            give(i);
        }
    }
}


static void
test_no_memory(void)
{
    ngx_uint_t  i, n;

    no_memory = 1;

    /* one empty block is kept */

    for (n = 0; n < ITEMS; n++) {
        items[n] = ngx_chat_object_pool_alloc(&pool, &unit_log);

        if (items[n] == NULL) {
            break;
        }
    }

    CHECK(n >= 100);
    CHECK(n < 140);

    no_memory = 0;
    take(n);

    for (i = 0; i < n; i++) {
        ngx_chat_object_pool_free(&pool, items[i]);
        items[i] = NULL;
    }

    give(n);
}


/* What is in use stays; the sanitizer sees a block that is not freed. */

static void
test_exit(void)
{
    ngx_uint_t  before;

    take(0);
    ngx_chat_object_pool_exit(&pool);
    give(0);

    before = blocks;
    ngx_chat_object_pool_exit(&pool);
    CHECK(ngx_queue_empty(&pool.open));

    take(0);
    CHECK_INT(blocks, before + 1);
    give(0);
    ngx_chat_object_pool_exit(&pool);
    CHECK(ngx_queue_empty(&pool.open));
}


int
main(void)
{
    RUN(test_all_and_back);
    RUN(test_in_any_order);
    RUN(test_no_memory);
    RUN(test_exit);

    return unit_done();
}
