
/* sources: bus/ngx_chat_ring.c wire/ngx_chat_envelope.c */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The ring: order, wrapping, overrun, the mark.
 */


#include "ring.h"


static void
test_empty(void)
{
    size_t               len;
    u_char               buf[8];
    uint64_t             pos, at;
    ngx_chat_ring_sh_t  *ring;

    ring = ring_create(SMALL + 15);

    CHECK_INT(ring->size, 1024 + 15 - (1024 + 15) % 16);
    CHECK_INT(ngx_chat_ring_head(ring), 0);
    CHECK_INT(ngx_chat_ring_mark(ring), 0);

    pos = 0;
    CHECK_INT(ngx_chat_ring_read(ring, &pos, &at, buf, sizeof(buf), &len),
              NGX_DONE);
    CHECK_INT(pos, 0);

    /* a position that never was */
    pos = 4096;
    CHECK_INT(ngx_chat_ring_read(ring, &pos, &at, buf, sizeof(buf), &len),
              NGX_DECLINED);
    CHECK_INT(pos, 0);

    free(ring);
}


static void
test_append_and_read(void)
{
    size_t               len;
    u_char               buf[300];
    uint64_t             pos, at, start;
    ngx_chat_ring_sh_t  *ring;

    ring = ring_create(SMALL);
    pos = 0;

    CHECK(ring_append(ring, "hello", 5, 0));
    CHECK(ring_append(ring, "", 0, 0));
    CHECK(ring_append(ring, "a\0b", 3, 0));

    CHECK_INT(ngx_chat_ring_read(ring, &pos, &at, buf, sizeof(buf), &len),
              NGX_OK);
    CHECK_BYTES(buf, len, "hello");
    CHECK_INT(at, 0);

    start = pos;
    CHECK_INT(ngx_chat_ring_read(ring, &pos, &at, buf, 0, &len), NGX_OK);
    CHECK_INT(len, 0);
    CHECK_INT(at, start);

    /* too small a buffer costs nothing */

    start = pos;
    CHECK_INT(ngx_chat_ring_read(ring, &pos, &at, buf, 2, &len), NGX_AGAIN);
    CHECK_INT(len, 3);
    CHECK_INT(pos, start);

    CHECK_INT(ngx_chat_ring_read(ring, &pos, &at, buf, 3, &len), NGX_OK);
    CHECK_BYTES(buf, len, "a\0b");

    CHECK_INT(ngx_chat_ring_read(ring, &pos, &at, buf, 3, &len), NGX_DONE);
    CHECK_INT(pos, ngx_chat_ring_head(ring));

    free(ring);
}


static void
test_longest(void)
{
    size_t               max, len;
    u_char               data[1024], buf[1024];
    uint64_t             pos, at;
    ngx_uint_t           i;
    ngx_chat_ring_sh_t  *ring;

    ring = ring_create(SMALL);
    max = ngx_chat_ring_record_max(ring);
    pos = 0;

    CHECK_INT(max, 256);
    CHECK(ngx_chat_ring_reserve(ring, max + 1) == NULL);
    CHECK(ngx_chat_ring_reserve(ring, (size_t) -1) == NULL);
    CHECK_INT(ngx_chat_ring_head(ring), 0);

    for (i = 0; i < 50; i++) {
        memset(data, (int) i, max);
        CHECK(ring_append(ring, data, max, 0));

        CHECK_INT(ngx_chat_ring_read(ring, &pos, &at, buf, max, &len),
                  NGX_OK);
        CHECK(len == max && memcmp(buf, data, max) == 0);
    }

    free(ring);
}


/* Every length at every place: a reader in step sees all. */
static void
test_wrap(void)
{
    uint64_t             pos, n;
    ngx_chat_ring_sh_t  *ring;

    ring = ring_create(SMALL);
    pos = 0;

    for (n = 1; n <= 20000; n++) {

        if (!CHECK(ring_append_number(ring, n))
            || !CHECK(ring_read_number(ring, &pos) == n)
            || !CHECK(ring->head - ring->tail <= ring->size))
        {
            break;
        }
    }

    CHECK_INT(pos, ngx_chat_ring_head(ring));
    CHECK(pos > 1000 * ring->size);

    free(ring);
}


static void
test_overrun(void)
{
    size_t               len;
    u_char               buf[1024];
    uint64_t             pos, at, n;
    ngx_chat_ring_sh_t  *ring;

    ring = ring_create(SMALL);
    pos = 0;

    for (n = 1; n <= 100; n++) {
        (void) ring_append_number(ring, n);
    }

    CHECK_INT(ngx_chat_ring_read(ring, &pos, &at, buf, sizeof(buf), &len),
              NGX_DECLINED);
    CHECK_INT(pos, ngx_chat_ring_head(ring));
    CHECK_INT(ngx_chat_ring_read(ring, &pos, &at, buf, sizeof(buf), &len),
              NGX_DONE);

    (void) ring_append_number(ring, n);
    CHECK_INT(ring_read_number(ring, &pos), n);

    /* the oldest that is left can be read, up to the newest */

    for (n = 1; n <= 100; n++) {
        (void) ring_append_number(ring, n);
    }

    pos = ring->tail;
    n = ring_read_number(ring, &pos);
    CHECK(n > 1 && n < 100);

    while (n < 100) {
        n++;

        if (!CHECK(ring_read_number(ring, &pos) == n)) {
            break;
        }
    }

    CHECK_INT(pos, ngx_chat_ring_head(ring));

    free(ring);
}


/* A record that is being overwritten is not read, whatever its bytes are. */
static void
test_overwritten(void)
{
    size_t               len;
    u_char               buf[1024], *p;
    uint64_t             first, second, at, n;
    ngx_chat_ring_sh_t  *ring;

    ring = ring_create(SMALL);

    memset(buf, 'x', sizeof(buf));

    for (n = 0; n < 8; n++) {
        (void) ring_append(ring, buf, 112, 0);
    }

    /* the ring is full: 8 times 128; nothing is committed yet */

    p = ngx_chat_ring_reserve(ring, 112);
    memset(p, 0xff, 112);

    first = 0;
    second = 128;

    CHECK_INT(ngx_chat_ring_read(ring, &first, &at, buf, sizeof(buf), &len),
              NGX_DECLINED);
    CHECK_INT(first, 1024);

    CHECK_INT(ngx_chat_ring_read(ring, &second, &at, buf, sizeof(buf), &len),
              NGX_OK);
    CHECK_INT(second, 256);

    /* a position that is no record's, over garbage */

    first = 1024 - 128 + 32;
    memset(ring->data + first % ring->size, 0xff, 64);
    CHECK_INT(ngx_chat_ring_read(ring, &first, &at, buf, sizeof(buf), &len),
              NGX_DECLINED);

    /* garbage that claims to be the record, longer than all */

    first = 1024 - 128;
    memset(ring->data + first % ring->size, 0xff, 8);
    CHECK_INT(ngx_chat_ring_read(ring, &first, &at, buf, sizeof(buf), &len),
              NGX_DECLINED);

    free(ring);
}


static void
test_mark(void)
{
    uint64_t             n;
    ngx_chat_ring_sh_t  *ring;

    ring = ring_create(SMALL);

    CHECK(ring_append(ring, "a", 1, 5));
    CHECK_INT(ngx_chat_ring_mark(ring), 5);

    CHECK(ring_append(ring, "b", 1, 0));
    CHECK_INT(ngx_chat_ring_mark(ring), 5);

    CHECK(ring_append(ring, "c", 1, 9));
    CHECK(ring_append(ring, "d", 1, 12));
    CHECK_INT(ngx_chat_ring_mark(ring), 12);

    for (n = 0; n < 1000; n++) {
        (void) ring_append(ring, "e", 1, 0);
    }

    CHECK_INT(ngx_chat_ring_mark(ring), 12);

    free(ring);
}


/* Writers that stop between stores, by hand. */
static void
test_interrupted_marks(void)
{
    u_char              *p;
    uint64_t             pos;
    ngx_chat_ring_sh_t  *ring;

    ring = ring_create(SMALL);
    CHECK(ring_append_number(ring, 1));

    /* after reserve() */

    p = ngx_chat_ring_reserve(ring, 200);
    memset(p, 0xff, 200);
    CHECK_INT(ngx_chat_ring_mark(ring), 1);

    /* after mark_next */

    ring->mark_next = 2;
    CHECK_INT(ngx_chat_ring_mark(ring), 1);
    CHECK(ring_append(ring, "a", 1, 0));
    CHECK_INT(ngx_chat_ring_mark(ring), 1);

    /* after mark_head; another's longer record goes beyond it */

    p = ngx_chat_ring_reserve(ring, 8);
    memset(p, 0xff, 8);
    ring->mark_next = 2;
    ring->mark_head = ring->head + 32;
    CHECK_INT(ngx_chat_ring_mark(ring), 1);

    CHECK(ring_append(ring, "a record that is longer than that", 33, 0));
    CHECK_INT(ngx_chat_ring_mark(ring), 1);

    CHECK(ring_append_number(ring, 2));
    CHECK_INT(ngx_chat_ring_mark(ring), 2);

    /* settling, stopped after mark */

    ring->mark = ring->mark_next;
    CHECK_INT(ngx_chat_ring_mark(ring), 2);
    CHECK(ring_append_number(ring, 3));
    CHECK_INT(ngx_chat_ring_mark(ring), 3);

    pos = ring->tail;
    CHECK_INT(ring_read_number(ring, &pos), 1);

    free(ring);
}


int
main(void)
{
    RUN(test_empty);
    RUN(test_append_and_read);
    RUN(test_longest);
    RUN(test_wrap);
    RUN(test_overrun);
    RUN(test_overwritten);
    RUN(test_mark);
    RUN(test_interrupted_marks);

    return unit_done();
}
