
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Reads the ring, hands each event to its channel's subscribers.
 *
 * The work done for one rouse is capped; what is left is posted behind the
 * sockets' events, so that a flood of events does not keep clients waiting.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <hub/ngx_chat_drain.h>
#include <hub/ngx_chat_wakeup.h>


#define NGX_CHAT_DRAIN_RECORDS     256     /* most records in one turn */
#define NGX_CHAT_DRAIN_DELIVERIES  20000   /* and most deliveries, about */


static ngx_uint_t ngx_chat_drain_deliver(ngx_chat_hub_t *hub, uint64_t at,
    size_t len, ngx_uint_t more);
static void ngx_chat_drain_terminate(ngx_chat_hub_t *hub,
    ngx_chat_channel_t *ch, uint64_t at);
static ngx_uint_t ngx_chat_drain_fan_out(ngx_chat_hub_t *hub,
    ngx_chat_channel_t *ch, ngx_chat_envelope_t *e, uint64_t at,
    ngx_uint_t more);
static ngx_int_t ngx_chat_drain_grow(ngx_chat_hub_t *hub, size_t size);
static void ngx_chat_drain_overrun(ngx_chat_hub_t *hub);


void
ngx_chat_drain(ngx_chat_hub_t *hub)
{
    size_t      len;
    uint64_t    at;
    ngx_int_t   rc;
    ngx_uint_t  n, sent;

    if (hub->slot == NULL) {
        return;
    }

    ngx_chat_wakeup_clear(hub->zone);

    rc = NGX_OK;
    sent = 0;

    for (n = 0;
         n < NGX_CHAT_DRAIN_RECORDS && sent < NGX_CHAT_DRAIN_DELIVERIES;
         n++)
    {
        rc = ngx_chat_ring_read(hub->zone->sh->ring, &hub->position, &at,
                                hub->record, hub->size, &len);

        if (rc == NGX_AGAIN) {

            if (ngx_chat_drain_grow(hub, len) != NGX_OK) {
                /* the events can't be read: as bad as overrun */
                hub->position = ngx_chat_ring_head(hub->zone->sh->ring);
                ngx_chat_drain_overrun(hub);
            }

            continue;
        }

        if (rc == NGX_DECLINED) {
            ngx_chat_drain_overrun(hub);
            continue;
        }

        if (rc != NGX_OK) {
            break;
        }

        sent += ngx_chat_drain_deliver(hub, at, len,
                   n || hub->position
                        != ngx_chat_ring_head(hub->zone->sh->ring));
    }

    if (n) {
        hub->handlers->flush();
        hub->slot->position = hub->position;
    }

    if (rc != NGX_DONE) {
        ngx_post_event(&hub->drain, &ngx_posted_next_events);
    }
}


/* Returns the number of subscribers that got the event. */

static ngx_uint_t
ngx_chat_drain_deliver(ngx_chat_hub_t *hub, uint64_t at, size_t len,
    ngx_uint_t more)
{
    uint32_t              hash;
    ngx_chat_channel_t   *ch;
    ngx_chat_envelope_t   e;

    if (ngx_chat_envelope_unpack(&e, hub->record, len) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, hub->log, 0,
                      "chat ring has a broken record of %uz bytes", len);
        ngx_chat_drain_overrun(hub);
        return 0;
    }

    hash = ngx_chat_registry_hash(hub->zone, e.app, &e.channel);

    ch = ngx_chat_channel_find(&hub->channels, e.app, hash, &e.channel);
    if (ch == NULL) {
        return 0;
    }

    if (e.type == NGX_CHAT_ENVELOPE_TERMINATE_e) {
        ngx_chat_drain_terminate(hub, ch, at);
        return 0;
    }

    return ngx_chat_drain_fan_out(hub, ch, &e, at, more);
}


/* Those who came later have come again, and may stay. */

static void
ngx_chat_drain_terminate(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch,
    uint64_t at)
{
    ngx_uint_t  i;

    for (i = 0; i < ch->n; i++) {
        if (at >= ch->start || at >= ch->subscriptions[i]->start) {
            hub->handlers->terminate(ch->subscriptions[i]->subscriber);
        }
    }
}


static ngx_uint_t
ngx_chat_drain_fan_out(ngx_chat_hub_t *hub, ngx_chat_channel_t *ch,
    ngx_chat_envelope_t *e, uint64_t at, ngx_uint_t more)
{
    void                     *event;
    ngx_uint_t                i, n;
    ngx_chat_subscription_t  *sn;

    event = hub->handlers->render(e, hub->log);

    if (event == NULL) {
        /* each of them would miss an event */
        for (i = 0; i < ch->n; i++) {
            hub->handlers->overrun(ch->subscriptions[i]->subscriber);
        }

        return 0;
    }

    n = 0;

    for (i = 0; i < ch->n; i++) {
        sn = ch->subscriptions[i];

        /* published before this one had subscribed */

        if (at < ch->start && at < sn->start) {
            continue;
        }

        if (sn->subscriber->id.high == e->except.high
            && sn->subscriber->id.low == e->except.low)
        {
            continue;
        }

        hub->handlers->deliver(sn->subscriber, event, more);
        n++;
    }

    hub->handlers->release(event);

    ngx_chat_hub_count(hub, NGX_CHAT_DELIVERIES_e, n);

    return n;
}


static ngx_int_t
ngx_chat_drain_grow(ngx_chat_hub_t *hub, size_t size)
{
    u_char  *p;

    p = ngx_alloc(size, hub->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (hub->record) {
        ngx_free(hub->record);
    }

    hub->record = p;
    hub->size = size;

    return NGX_OK;
}


/* Nobody waits for a slow worker; its subscribers are told that they missed. */

static void
ngx_chat_drain_overrun(ngx_chat_hub_t *hub)
{
    ngx_uint_t           i, n;
    ngx_chat_channel_t  *ch;

    ngx_log_error(NGX_LOG_ERR, hub->log, 0,
                  "chat worker was overrun by events, its subscribers are "
                  "told to reconnect; a larger chat_zone gives more time");

    ngx_chat_hub_count(hub, NGX_CHAT_OVERRUNS_e, 1);

    for (n = 0; n < hub->channels.nbuckets; n++) {

        ch = hub->channels.segments[n / NGX_CHAT_CHANNEL_SEGMENT]
                                   [n % NGX_CHAT_CHANNEL_SEGMENT];

        for ( /* void */ ; ch; ch = ch->next) {
            for (i = 0; i < ch->n; i++) {
                hub->handlers->overrun(ch->subscriptions[i]->subscriber);
            }
        }
    }
}


void
ngx_chat_drain_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_chat_drain(c->data);
}
