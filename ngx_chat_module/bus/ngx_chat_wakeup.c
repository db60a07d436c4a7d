
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Waking event loops of other processes, by eventfds.
 *
 * No wake-up is lost.  A publisher moves the ring's head, then sets the flag.
 * A worker clears the flag, then reads the head.  If the publisher finds the
 * flag set, the worker has not cleared it yet and will see the new head.  Both
 * have a full barrier between the two steps.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <sys/eventfd.h>

#include <bus/ngx_chat_wakeup.h>
#include <wire/ngx_chat_failpoint.h>


static void ngx_chat_wakeup_cleanup(void *data);
static void ngx_chat_wakeup_close(ngx_chat_wakeups_t *ws);


ngx_chat_wakeups_t *
ngx_chat_wakeup_create(ngx_chat_wakeup_sh_t *sh, ngx_uint_t n,
    ngx_pool_t *pool)
{
    ngx_uint_t           i;
    ngx_chat_wakeups_t  *ws;

    ws = ngx_alloc(sizeof(ngx_chat_wakeups_t)
                   + n * sizeof(ngx_chat_wakeup_t), pool->log);
    if (ws == NULL) {
        return NULL;
    }

    ws->refs = 0;
    ws->n = 0;

    for (i = 0; i < n; i++) {

        ws->wakeups[i].sh = &sh[i];
        ws->wakeups[i].fd = eventfd(0, EFD_NONBLOCK|EFD_CLOEXEC);

        if (ws->wakeups[i].fd == -1) {
            ngx_log_error(NGX_LOG_EMERG, pool->log, ngx_errno,
                          "eventfd() failed");
            ngx_chat_wakeup_close(ws);
            return NULL;
        }

        ws->n++;
    }

    if (ngx_chat_wakeup_share(ws, pool) != NGX_OK) {
        ngx_chat_wakeup_close(ws);
        return NULL;
    }

    return ws;
}


ngx_int_t
ngx_chat_wakeup_share(ngx_chat_wakeups_t *ws, ngx_pool_t *pool)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_chat_wakeup_cleanup;
    cln->data = ws;

    ws->refs++;

    return NGX_OK;
}


static void
ngx_chat_wakeup_cleanup(void *data)
{
    ngx_chat_wakeups_t *ws = data;

    if (--ws->refs == 0) {
        ngx_chat_wakeup_close(ws);
    }
}


static void
ngx_chat_wakeup_close(ngx_chat_wakeups_t *ws)
{
    ngx_uint_t  i;

    for (i = 0; i < ws->n; i++) {
        (void) close(ws->wakeups[i].fd);
    }

    ngx_free(ws);
}


ngx_int_t
ngx_chat_wakeup_add(ngx_chat_wakeup_t *w, ngx_cycle_t *cycle,
    ngx_event_handler_pt handler, void *data)
{
    ngx_connection_t  *c;

    if (!(ngx_event_flags & NGX_USE_CLEAR_EVENT)) {
        return NGX_DECLINED;
    }

    c = ngx_get_connection(w->fd, cycle->log);

    if (c == NULL) {
        return NGX_ERROR;
    }

    c->pool = cycle->pool;
    c->data = data;

    c->read->log = cycle->log;
    c->read->handler = handler;

    /* so that nginx does not take it for a client's socket */
    c->read->channel = 1;
    c->write->channel = 1;

    if (ngx_add_event(c->read, NGX_READ_EVENT, NGX_CLEAR_EVENT) != NGX_OK) {
        ngx_free_connection(c);
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_chat_wakeup_rouse(ngx_chat_wakeup_t *w)
{
    ssize_t   n;
    uint64_t  one;

    if (__atomic_exchange_n(&w->sh->roused, 1, __ATOMIC_SEQ_CST)) {
        return;
    }

    one = 1;

    ngx_chat_failpoint("rouse");

    n = write(w->fd, &one, sizeof(uint64_t));

    if (n != sizeof(uint64_t)) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      "write() to eventfd failed");
    }
}


/*
 * The store needs a barrier behind it: some processors (arm64 with RCpc) let an
 * acquiring load overtake the store, and the ring's head would be read first.
 */

void
ngx_chat_wakeup_clear(ngx_chat_wakeup_t *w)
{
    __atomic_store_n(&w->sh->roused, 0, __ATOMIC_SEQ_CST);

    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
