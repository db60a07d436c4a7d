
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Linux's futex, between processes.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_futex.h>

#include <linux/futex.h>
#include <sys/syscall.h>


void
ngx_chat_futex_turn(uint32_t *turns)
{
    (void) __atomic_fetch_add(turns, 1, __ATOMIC_RELEASE);

    (void) syscall(SYS_futex, turns, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}


void
ngx_chat_futex_sleep(uint32_t *turns, uint32_t read, ngx_msec_t ms)
{
    struct timespec  ts;

    ts.tv_sec = ms / 1000;
    ts.tv_nsec = (ms % 1000) * 1000000;

    (void) syscall(SYS_futex, turns, FUTEX_WAIT, read, &ts, NULL, 0);
}
