
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
ngx_chat_link_sh_set_place(ngx_chat_link_sh_t *sh,
    ngx_chat_link_place_t *place)
{
    sh->places[(sh->nplaces + 1) % 2] = *place;

    ngx_chat_link_set(&sh->nplaces, sh->nplaces == UINT32_MAX
                                    ? 2 : sh->nplaces + 1);
}


ngx_int_t
ngx_chat_link_sh_get_place(ngx_chat_link_sh_t *sh,
    ngx_chat_link_place_t *place)
{
    if (sh->nplaces == 0) {
        return NGX_DECLINED;
    }

    *place = sh->places[sh->nplaces % 2];

    return NGX_OK;
}


/* The incarnation is 0 meanwhile, and no node has one that was another's. */

void
ngx_chat_link_sh_set_node(ngx_chat_link_sh_t *sh, ngx_uint_t i,
    ngx_chat_link_node_t *node)
{
    ngx_chat_link_node_t  *shown;

    shown = &sh->nodes[i];

    if (shown->incarnation != node->incarnation) {
        __atomic_store_n(&shown->incarnation, 0, __ATOMIC_SEQ_CST);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);

        shown->len = node->len;
        ngx_memcpy(shown->name, node->name, NGX_CHAT_LINK_NAMED);
    }

    ngx_chat_link_set(&shown->until, node->until);
    ngx_chat_link_set(&shown->incarnation, node->incarnation);
}


ngx_int_t
ngx_chat_link_sh_get_node(ngx_chat_link_sh_t *sh, ngx_uint_t i,
    ngx_chat_link_node_t *node)
{
    uint64_t  incarnation;

    incarnation = ngx_chat_link_get(&sh->nodes[i].incarnation);

    *node = sh->nodes[i];

    __atomic_thread_fence(__ATOMIC_SEQ_CST);

    return (incarnation != 0 && node->len <= NGX_CHAT_LINK_NAMED
            && ngx_chat_link_get(&sh->nodes[i].incarnation) == incarnation)
           ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_chat_link_sh_wait(ngx_chat_link_sh_t *sh, uint64_t *number, uint64_t seq,
    uint64_t end)
{
    uint32_t  turns;
    uint64_t  now;

    for ( ;; ) {
        turns = ngx_chat_link_get(&sh->turns);

        if (ngx_chat_link_get(number) >= seq) {
            return NGX_OK;
        }

        now = ngx_chat_clock_msec();

        if (now >= end) {
            return NGX_AGAIN;
        }

        ngx_chat_futex_sleep(&sh->turns, turns, end - now);
    }
}
