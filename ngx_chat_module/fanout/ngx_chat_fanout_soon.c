
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What a worker has published itself leaves in the same turn of its event
 * loop, and the publishers' answers behind it.
 *
 * To be roused would take until the next turn.  A turn can be long: nginx
 * does all pipelined requests that it can read in one.  By this it becomes
 * longer by about two drains at most.
 *
 * That answers come behind deliveries saves wakeups, and is no promise: where
 * a drain stops in an event for many subscribers, they leave before its rest.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <fanout/ngx_chat_fanout.h>
#include <fanout/ngx_chat_loop.h>


#define NGX_CHAT_FANOUT_FRESH  128          /* events that wait for more */


void
ngx_chat_fanout_soon(ngx_chat_hub_t *hub, ngx_uint_t n)
{
    hub->fresh += n;

    if (!hub->soon.posted) {
        ngx_post_event(&hub->soon, &ngx_posted_events);
    }
}


/*
 * Pipelined requests come one after the other in this turn, too: as long as
 * they publish, all of it leaves together.  Where this turn has done enough
 * for others, or is to go on in the next one, all waits for that: the worker
 * has roused itself, too.
 */

void
ngx_chat_fanout_soon_handler(ngx_event_t *ev)
{
    ngx_chat_hub_t    *hub;
    ngx_connection_t  *c;

    c = ev->data;
    hub = c->data;

    if (hub->fresh != hub->seen
        && hub->fresh < NGX_CHAT_FANOUT_FRESH
        && !ngx_queue_empty(&ngx_posted_events))
    {
        hub->seen = hub->fresh;
        ngx_post_event(ev, &ngx_posted_events);
        return;
    }

    hub->fresh = 0;
    hub->seen = 0;

    if (hub->drain.posted || ngx_chat_loop_is_long()) {
        return;
    }

    ngx_chat_fanout(hub);

    if (hub->answer) {
        hub->answer();
    }
}
