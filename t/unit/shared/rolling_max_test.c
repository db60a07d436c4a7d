
/* sources: shared/ngx_chat_rolling_max.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <shared/ngx_chat_rolling_max.h>


#define WINDOW  NGX_CHAT_ROLLING_MAX_WINDOW
#define START   1000000


static void
test_largest(void)
{
    ngx_chat_rolling_max_t  peak;

    ngx_chat_rolling_max_init(&peak, START);

    CHECK_INT(peak.worst, 0);
    CHECK_INT(ngx_chat_rolling_max_recent(&peak, START), 0);

    ngx_chat_rolling_max_add(&peak, 5, START);
    ngx_chat_rolling_max_add(&peak, 9, START + 1);
    ngx_chat_rolling_max_add(&peak, 7, START + 2);

    CHECK_INT(peak.worst, 9);
    CHECK_INT(ngx_chat_rolling_max_recent(&peak, START + 2), 9);
}


/* A value is recent for one window at least, and for two at most. */

static void
test_forgets(void)
{
    uint64_t                at, now;
    ngx_chat_rolling_max_t  peak;

    for (at = 0; at < WINDOW; at += WINDOW / 8) {

        ngx_chat_rolling_max_init(&peak, START);

        for (now = START; now < START + 4 * WINDOW; now += WINDOW / 8) {

            ngx_chat_rolling_max_add(&peak, (now == START + at) ? 100 : 1, now);

            if (now < START + at) {
                CHECK_INT(ngx_chat_rolling_max_recent(&peak, now), 1);

            } else if (now <= START + at + WINDOW) {
                CHECK_INT(ngx_chat_rolling_max_recent(&peak, now), 100);

            } else if (now >= START + at + 2 * WINDOW) {
                CHECK_INT(ngx_chat_rolling_max_recent(&peak, now), 1);
            }
        }

        CHECK_INT(peak.worst, 100);
    }
}


/* Nothing is added, as by a worker that hangs. */

static void
test_silence(void)
{
    ngx_chat_rolling_max_t  peak;

    ngx_chat_rolling_max_init(&peak, START);
    ngx_chat_rolling_max_add(&peak, 100, START);

    CHECK_INT(ngx_chat_rolling_max_recent(&peak, START + WINDOW), 100);
    CHECK_INT(ngx_chat_rolling_max_recent(&peak, START + 2 * WINDOW - 1), 100);
    CHECK_INT(ngx_chat_rolling_max_recent(&peak, START + 2 * WINDOW), 0);

    /* what comes then is not mixed up with what was before */

    ngx_chat_rolling_max_add(&peak, 3, START + 2 * WINDOW);

    CHECK_INT(ngx_chat_rolling_max_recent(&peak, START + 2 * WINDOW), 3);
    CHECK_INT(peak.worst, 100);
}


/* A reader's clock is a little behind the owner's. */

static void
test_behind(void)
{
    ngx_chat_rolling_max_t  peak;

    ngx_chat_rolling_max_init(&peak, START);
    ngx_chat_rolling_max_add(&peak, 8, START + WINDOW);

    CHECK_INT(ngx_chat_rolling_max_recent(&peak, START + WINDOW - 1), 8);
}


int
main(void)
{
    RUN(test_largest);
    RUN(test_forgets);
    RUN(test_silence);
    RUN(test_behind);

    return unit_done();
}
