
/* sources: wire/ngx_chat_clock.c */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The two clocks are the ones they are said to be.
 */


#include "unit.h"

#include <wire/ngx_chat_clock.h>


/* By the system's own clock, in units of so many nanoseconds. */

static uint64_t
reading(clockid_t id, uint64_t unit)
{
    struct timespec  ts;

    (void) clock_gettime(id, &ts);

    return ((uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec) / unit;
}


/* Each reading lies between two of the clock that it is to be of. */

static void
test_monotonic(void)
{
    uint64_t  before, usec, msec, after;

    before = reading(CLOCK_MONOTONIC, 1000);

    usec = ngx_chat_clock_usec();
    msec = ngx_chat_clock_msec();

    after = reading(CLOCK_MONOTONIC, 1000);

    CHECK(before <= usec && usec <= after);
    CHECK(usec / 1000 <= msec && msec <= after / 1000);
}


static void
test_wall(void)
{
    uint64_t  before, wall, after;

    before = reading(CLOCK_REALTIME, 1000000);

    wall = ngx_chat_clock_wall();

    after = reading(CLOCK_REALTIME, 1000000);

    CHECK(before <= wall && wall <= after);
}


int
main(void)
{
    RUN(test_monotonic);
    RUN(test_wall);

    return unit_done();
}
