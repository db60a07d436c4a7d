
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A task of the store.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include <shared/ngx_chat_incident.h>
#include <store/ngx_chat_store_task.h>


#define NGX_CHAT_STORE_TASK_GUARD  60000   /* ms */


static void ngx_chat_store_task_thread(void *data, ngx_log_t *log);
static void ngx_chat_store_task_done(ngx_event_t *ev);
static void ngx_chat_store_task_guard(ngx_event_t *ev);


ngx_int_t
ngx_chat_store_task_init(ngx_chat_store_task_t *t, ngx_thread_pool_t *pool,
    ngx_cycle_t *cycle)
{
    t->pool = pool;

    t->guard.handler = ngx_chat_store_task_guard;
    t->guard.data = t;
    t->guard.log = cycle->log;

    t->task = ngx_thread_task_alloc(cycle->pool, 0);
    if (t->task == NULL) {
        return NGX_ERROR;
    }

    t->task->ctx = t;
    t->task->handler = ngx_chat_store_task_thread;
    t->task->event.handler = ngx_chat_store_task_done;
    t->task->event.data = t;

    /* nginx with debugging writes to it when the event is posted */
    t->task->event.log = cycle->log;

    return NGX_OK;
}


void
ngx_chat_store_task_start(ngx_chat_store_task_t *t)
{
    t->active = 1;

    ngx_add_timer(&t->guard, NGX_CHAT_STORE_TASK_GUARD);

    if (ngx_thread_task_post(t->pool, t->task) != NGX_OK) {
        ngx_chat_incident_note(NGX_CHAT_INCIDENT_THREAD_POOL_e, NULL);

        t->rc = NGX_BUSY;
        ngx_post_event(&t->task->event, &ngx_posted_events);
    }
}


static void
ngx_chat_store_task_thread(void *data, ngx_log_t *log)
{
    ngx_chat_store_task_t *t = data;

    t->rc = t->thread(t->data, log);
}


static void
ngx_chat_store_task_done(ngx_event_t *ev)
{
    ngx_chat_store_task_t  *t;

    t = ev->data;

    t->active = 0;

    ngx_del_timer(&t->guard);

    t->done(t->data, t->rc);
}


static void
ngx_chat_store_task_guard(ngx_event_t *ev)
{
    ngx_log_error(NGX_LOG_ALERT, ev->log, 0,
                  "chat store has been at work for %d ms",
                  NGX_CHAT_STORE_TASK_GUARD);

    ngx_add_timer(ev, NGX_CHAT_STORE_TASK_GUARD);
}
