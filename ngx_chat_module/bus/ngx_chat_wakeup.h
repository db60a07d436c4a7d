
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Waking event loops of other processes.
 *
 * A wake-up is an eventfd.  The master makes it before it forks, so that the
 * workers of this configuration and of later ones inherit it.  Each worker that
 * waits has it in its epoll, edge-triggered, and nobody reads it: one write()
 * wakes all of them.
 *
 * A flag in shared memory says whether a write is needed.  A worker that waits
 * clears the flag and then looks at what it waits for.  A process that has
 * changed that sets the flag, and writes if the flag was clear.
 */


#ifndef _NGX_CHAT_WAKEUP_H_INCLUDED_
#define _NGX_CHAT_WAKEUP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>


/* In shared memory. */

typedef struct {
    uint32_t                 roused;
} ngx_chat_wakeup_sh_t;


typedef struct {
    ngx_fd_t                 fd;
    ngx_chat_wakeup_sh_t    *sh;
} ngx_chat_wakeup_t;


/* All wake-ups of a zone, and how many configurations have them. */

typedef struct {
    ngx_uint_t               refs;
    ngx_uint_t               n;
    ngx_chat_wakeup_t        wakeups[];
} ngx_chat_wakeups_t;


/*
 * Master: makes n wake-ups with the flags sh, an array; they are closed with
 * the last configuration that shares them.  NULL, logged: it failed.
 */
ngx_chat_wakeups_t *ngx_chat_wakeup_create(ngx_chat_wakeup_sh_t *sh,
    ngx_uint_t n, ngx_pool_t *pool);

/* Master: one more configuration has them; pool is its pool. */
ngx_int_t ngx_chat_wakeup_share(ngx_chat_wakeups_t *ws, ngx_pool_t *pool);

/*
 * Worker: handler(ev) will be called, with ev->data->data == data.  NGX_OK;
 * NGX_DECLINED: the event method has no edges, nobody is woken; NGX_ERROR.
 */
ngx_int_t ngx_chat_wakeup_add(ngx_chat_wakeup_t *w, ngx_cycle_t *cycle,
    ngx_event_handler_pt handler, void *data);

/* Any thread: wakes the workers, if one has cleared the flag. */
void ngx_chat_wakeup_rouse(ngx_chat_wakeup_t *w);

/* To be called before a worker looks at what it waits for. */
void ngx_chat_wakeup_clear(ngx_chat_wakeup_t *w);

/* 1 where rouse() would write.  Behind a full barrier of the caller's. */
#define ngx_chat_wakeup_is_clear(w)                                           \
    (__atomic_load_n(&(w)->sh->roused, __ATOMIC_RELAXED) == 0)


#endif /* _NGX_CHAT_WAKEUP_H_INCLUDED_ */
