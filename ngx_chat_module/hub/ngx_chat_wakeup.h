
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Rousing the workers after an append.
 *
 * One eventfd, made by the master, is in every worker's epoll, edge
 * triggered: one write rouses them all, of this and of the previous
 * configuration, and nobody reads it.  Between that write and the first
 * worker that looks, further appends need no write: zone->sh->roused.
 * A rouse is a hint; each worker looks by a timer, too.
 */


#ifndef _NGX_CHAT_WAKEUP_H_INCLUDED_
#define _NGX_CHAT_WAKEUP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <hub/ngx_chat_zone.h>


/*
 * Master: makes zone->wakeup, or shares that of the previous configuration;
 * it is closed with the last configuration that has it.  NGX_OK, NGX_ERROR
 * (logged).
 */
ngx_int_t ngx_chat_wakeup_create(ngx_chat_zone_t *zone, ngx_pool_t *pool);
ngx_int_t ngx_chat_wakeup_share(ngx_chat_zone_t *zone, ngx_chat_wakeup_t *w,
    ngx_pool_t *pool);

/*
 * Worker: has handler(ev) called with ev->data->data == data.  NGX_OK;
 * NGX_DECLINED: the event method has no edges, only the timer will look;
 * NGX_ERROR.
 */
ngx_int_t ngx_chat_wakeup_add(ngx_chat_zone_t *zone, ngx_cycle_t *cycle,
    ngx_event_handler_pt handler, void *data);

/* After an append, without the zone's lock.  Any thread. */
void ngx_chat_wakeup_rouse(ngx_chat_zone_t *zone);

/* Before looking at the ring. */
void ngx_chat_wakeup_clear(ngx_chat_zone_t *zone);


#endif /* _NGX_CHAT_WAKEUP_H_INCLUDED_ */
