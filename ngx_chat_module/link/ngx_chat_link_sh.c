
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What all workers of a node know of the cluster.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_link_sh.h>
#include <shared/ngx_chat_futex.h>
#include <shared/ngx_chat_mutex.h>
#include <wire/ngx_chat_clock.h>


ngx_int_t
ngx_chat_link_sh_init(ngx_chat_link_sh_t *sh)
{
    ngx_memzero(sh, sizeof(ngx_chat_link_sh_t));

    return (ngx_chat_mutex_init(&sh->announcer) == NGX_OK)
           ? ngx_chat_mutex_init(&sh->lease) : NGX_ERROR;
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

        ngx_chat_futex_sleep(&sh->turns, turns, end - now);
    }
}
