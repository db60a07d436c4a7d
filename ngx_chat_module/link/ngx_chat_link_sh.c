
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Waiting for another process, without a lock that it could die with: a futex
 * in shared memory.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_link_sh.h>
#include <shared/ngx_chat_mutex.h>
#include <wire/ngx_chat_clock.h>

#include <linux/futex.h>
#include <sys/syscall.h>


ngx_int_t
ngx_chat_link_sh_init(ngx_chat_link_sh_t *sh)
{
    ngx_memzero(sh, sizeof(ngx_chat_link_sh_t));

    return ngx_chat_mutex_init(&sh->lease);
}


void
ngx_chat_link_sh_turn(ngx_chat_link_sh_t *sh)
{
    (void) __atomic_fetch_add(&sh->turns, 1, __ATOMIC_RELEASE);

    (void) syscall(SYS_futex, &sh->turns, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}


void
ngx_chat_link_sh_sleep(ngx_chat_link_sh_t *sh, uint32_t turns, ngx_msec_t ms)
{
    struct timespec  ts;

    ts.tv_sec = ms / 1000;
    ts.tv_nsec = (ms % 1000) * 1000000;

    (void) syscall(SYS_futex, &sh->turns, FUTEX_WAIT, turns, &ts, NULL, 0);
}


void
ngx_chat_link_sh_epoch(ngx_chat_link_sh_t *sh, u_char *epoch)
{
    uint32_t  epochs;

    do {
        epochs = __atomic_load_n(&sh->epochs, __ATOMIC_SEQ_CST);
        ngx_memcpy(epoch, sh->epoch, NGX_CHAT_LINK_EPOCH);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);

    } while (epochs % 2
             || epochs != __atomic_load_n(&sh->epochs, __ATOMIC_SEQ_CST));
}


ngx_int_t
ngx_chat_link_sh_wait(ngx_chat_link_sh_t *sh, uint64_t seq, uint64_t end)
{
    uint32_t  turns;
    uint64_t  now;

    for ( ;; ) {
        turns = ngx_chat_link_get(&sh->turns);

        if (ngx_chat_link_get(&sh->applied) >= seq) {
            return NGX_OK;
        }

        now = ngx_chat_clock_msec();

        if (now >= end) {
            return NGX_AGAIN;
        }

        ngx_chat_link_sh_sleep(sh, turns, end - now);
    }
}
