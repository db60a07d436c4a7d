
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Parked token sessions.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_parked.h>
#include <wire/ngx_chat_clock.h>


#define ngx_chat_parked_is_over(sh, share)                                    \
    ((share)->parked_size                                                     \
     > ngx_chat_zone_part(sh, share, (sh)->parked_limit))


void
ngx_chat_parked_add(ngx_chat_zone_t *zone, ngx_chat_token_sh_t *t)
{
    size_t                size;
    ngx_chat_zone_sh_t   *sh;
    ngx_chat_share_sh_t  *share;

    sh = zone->sh;
    share = &sh->shares[t->share];
    size = ngx_chat_arena_size(sh->arena, t);

    ngx_queue_remove(&t->queue);
    ngx_queue_insert_tail(&share->parked, &t->queue);

    t->is_parked = 1;
    t->expires += (uint32_t) (ngx_chat_clock_msec() / 1000);

    ngx_chat_count(NGX_CHAT_PARKED_e, 1);

    share->parked_size += size;
    sh->parked_size += size;
}


void
ngx_chat_parked_unlist(ngx_chat_zone_t *zone, ngx_chat_token_sh_t *t)
{
    size_t  size;

    ngx_queue_remove(&t->queue);

    if (t->is_parked) {
        size = ngx_chat_arena_size(zone->sh->arena, t);

        zone->sh->shares[t->share].parked_size -= size;
        zone->sh->parked_size -= size;
    }
}


/* An app within its part loses none to others. */

ngx_chat_token_sh_t *
ngx_chat_parked_excess(ngx_chat_zone_sh_t *sh, ngx_chat_share_sh_t *share)
{
    ngx_uint_t  i;

    if (sh->parked_size <= sh->parked_limit) {
        return NULL;
    }

    for (i = 0; i < sh->nused && !ngx_chat_parked_is_over(sh, share); i++) {
        share = &sh->shares[i];
    }

    if (ngx_queue_empty(&share->parked)) {
        return NULL;
    }

    return ngx_queue_data(ngx_queue_head(&share->parked), ngx_chat_token_sh_t,
                          queue);
}
