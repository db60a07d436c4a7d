
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * How much of what a worker has published itself, at the requests of
 * publishers, it still has to deliver to its own subscribers.
 *
 * Client events do not count: they do not wait, and those who do would have
 * to wait for as long as there are many of them.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <fanout/ngx_chat_fanout.h>


#define NGX_CHAT_FANOUT_OWED    131072      /* bytes before others wait */
#define NGX_CHAT_FANOUT_RECORD  64          /* of an event, beside its data */


void
ngx_chat_fanout_owe(ngx_chat_hub_t *hub, ngx_uint_t n, size_t size)
{
    hub->owed[1] += size + n * NGX_CHAT_FANOUT_RECORD;
    hub->owed_to[1] = ngx_chat_ring_head(hub->zone->sh->ring);
}


/*
 * Two sums instead of one for each event: what was published before a mark
 * counts until the worker has delivered all up to there.  So more may count
 * than is owed, but never what was owed long ago.
 */

void
ngx_chat_fanout_settle(ngx_chat_hub_t *hub)
{
    uint64_t  at;

    at = hub->slot->position;

    if (at >= hub->owed_to[0]) {
        hub->owed[0] = (at >= hub->owed_to[1]) ? 0 : hub->owed[1];
        hub->owed_to[0] = hub->owed_to[1];
        hub->owed[1] = 0;
    }
}


ngx_uint_t
ngx_chat_fanout_is_behind(ngx_chat_hub_t *hub)
{
    if (hub->slot == NULL) {
        return 0;
    }

    /* what was stored may be delivered before it is owed */

    ngx_chat_fanout_settle(hub);

    return hub->owed[0] + hub->owed[1] > NGX_CHAT_FANOUT_OWED;
}
