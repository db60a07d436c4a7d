
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The two clocks.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <time.h>

#include <wire/ngx_chat_clock.h>


uint64_t
ngx_chat_clock_msec(void)
{
    return ngx_chat_clock_usec() / 1000;
}


uint64_t
ngx_chat_clock_usec(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


int64_t
ngx_chat_clock_wall(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
