
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Rousing the workers after an append, by one eventfd for all of them.
 *
 * No rouse is lost: a publisher moves the ring's head, then sets roused; a
 * worker clears roused, then reads the head, at once or in a turn that is
 * posted already.  A publisher that finds it set came before the first worker
 * that clears it, which therefore sees the head; and the write that belongs
 * to the flag reaches every other worker.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <sys/eventfd.h>

#include <hub/ngx_chat_wakeup.h>
#include <wire/ngx_chat_failpoint.h>


static void ngx_chat_wakeup_cleanup(void *data);


ngx_int_t
ngx_chat_wakeup_create(ngx_chat_zone_t *zone, ngx_pool_t *pool)
{
    ngx_chat_wakeup_t  *w;

    w = ngx_alloc(sizeof(ngx_chat_wakeup_t), pool->log);
    if (w == NULL) {
        return NGX_ERROR;
    }

    w->refs = 0;
    w->fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

    if (w->fd == -1) {
        ngx_log_error(NGX_LOG_EMERG, pool->log, ngx_errno,
                      "eventfd() failed");
        ngx_free(w);
        return NGX_ERROR;
    }

    return ngx_chat_wakeup_share(zone, w, pool);
}


ngx_int_t
ngx_chat_wakeup_share(ngx_chat_zone_t *zone, ngx_chat_wakeup_t *w,
    ngx_pool_t *pool)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_chat_wakeup_cleanup;
    cln->data = w;

    w->refs++;
    zone->wakeup = w;

    return NGX_OK;
}


static void
ngx_chat_wakeup_cleanup(void *data)
{
    ngx_chat_wakeup_t *w = data;

    if (--w->refs) {
        return;
    }

    (void) close(w->fd);
    ngx_free(w);
}


ngx_int_t
ngx_chat_wakeup_add(ngx_chat_zone_t *zone, ngx_cycle_t *cycle,
    ngx_event_handler_pt handler, void *data)
{
    ngx_connection_t  *c;

    if (!(ngx_event_flags & NGX_USE_CLEAR_EVENT)) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "chat events are delivered by a timer, "
                      "\"use epoll\" is faster");
        return NGX_DECLINED;
    }

    c = ngx_get_connection(zone->wakeup->fd, cycle->log);

    if (c == NULL) {
        return NGX_ERROR;
    }

    c->pool = cycle->pool;
    c->data = data;

    c->read->log = cycle->log;
    c->read->handler = handler;

    /* keeps nginx from taking it for a client's socket */
    c->read->channel = 1;
    c->write->channel = 1;

    if (ngx_add_event(c->read, NGX_READ_EVENT, NGX_CLEAR_EVENT) != NGX_OK) {
        ngx_free_connection(c);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_chat_wakeup_rouse(ngx_chat_zone_t *zone)
{
    ssize_t   n;
    uint64_t  one;

    if (__atomic_exchange_n(&zone->sh->roused, 1, __ATOMIC_SEQ_CST)) {
        return;
    }

    one = 1;

    ngx_chat_failpoint("rouse");

    n = write(zone->wakeup->fd, &one, sizeof(uint64_t));

    if (n != sizeof(uint64_t)) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "write() to eventfd failed");
    }
}


void
ngx_chat_wakeup_clear(ngx_chat_zone_t *zone)
{
    __atomic_store_n(&zone->sh->roused, 0, __ATOMIC_SEQ_CST);
}
