
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Publishers go no faster than their worker's deliveries.
 *
 * nginx does all requests that it can read in one turn of the event loop,
 * and of deliveries a turn has so many and no more.  A few connections that
 * pipeline would have the worker fall a whole ring behind itself: all of its
 * subscribers would be sent away.  So while it has much of its own still to
 * deliver, requests that publish wait, as if their bodies were not whole yet.
 *
 * Each worker looks at itself only: nobody waits for another one that is
 * slow, or stopped.  What others have published before is delivered before
 * its own, so for that publishers wait, too; what comes later is nothing to
 * them.  What the store has not committed yet is not known to be owed.
 *
 * They go on by a posted event; the timer keeps a worker that leaves, which
 * posted events do not.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <fanout/ngx_chat_fanout.h>
#include <http/ngx_chat_throttle.h>


#define NGX_CHAT_THROTTLE_TURN   64            /* requests, of one turn */
#define NGX_CHAT_THROTTLE_GUARD  1000          /* ms */


typedef struct {
    ngx_queue_t                queue;
    ngx_http_request_t        *request;    /* NULL: it does not wait */
    ngx_chat_throttle_pt       handler;
    void                      *data;
} ngx_chat_throttle_t;


static ngx_int_t ngx_chat_throttle_wait(ngx_http_request_t *r,
    ngx_chat_throttle_pt  handler, void *data);
static void ngx_chat_throttle_cleanup(void *data);
static void ngx_chat_throttle_handler(ngx_event_t *ev);
static void ngx_chat_throttle_keep_on(void);
static void ngx_chat_throttle_go_on(ngx_chat_throttle_t *p);


/* this worker's */
static ngx_chat_hub_t  *ngx_chat_throttle_hub;
static ngx_queue_t      ngx_chat_throttle_waiting;
static ngx_event_t      ngx_chat_throttle_event;


void
ngx_chat_throttle_init(ngx_chat_hub_t *hub)
{
    ngx_queue_init(&ngx_chat_throttle_waiting);

    ngx_chat_throttle_event.handler = ngx_chat_throttle_handler;
    ngx_chat_throttle_event.data = &hub->dummy;
    ngx_chat_throttle_event.log = ngx_cycle->log;

    ngx_chat_throttle_hub = hub;
}


ngx_int_t
ngx_chat_throttle(ngx_http_request_t *r, ngx_chat_throttle_pt handler,
    void *data)
{
    /* NULL: a single process, which had no chat before it was reloaded */

    if (ngx_chat_throttle_hub == NULL
        || (ngx_queue_empty(&ngx_chat_throttle_waiting)
            && !ngx_chat_fanout_is_behind(ngx_chat_throttle_hub)))
    {
        return handler(r, data);
    }

    return ngx_chat_throttle_wait(r, handler, data);
}


static ngx_int_t
ngx_chat_throttle_wait(ngx_http_request_t *r, ngx_chat_throttle_pt handler,
    void *data)
{
    ngx_http_cleanup_t   *cln;
    ngx_chat_throttle_t  *p;

    p = ngx_palloc(r->pool, sizeof(ngx_chat_throttle_t));
    cln = ngx_http_cleanup_add(r, 0);

    if (p == NULL || cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p->request = r;
    p->handler = handler;
    p->data = data;

    cln->handler = ngx_chat_throttle_cleanup;
    cln->data = p;

    ngx_queue_insert_tail(&ngx_chat_throttle_waiting, &p->queue);

    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    r->main->count++;

    ngx_chat_throttle_keep_on();

    return NGX_DONE;
}


static void
ngx_chat_throttle_cleanup(void *data)
{
    ngx_chat_throttle_t  *p = data;

    if (p->request) {
        ngx_queue_remove(&p->queue);
        p->request = NULL;
    }
}


/* As many as make the worker be behind again; those that publish nothing have
   a bound of their own. */

static void
ngx_chat_throttle_handler(ngx_event_t *ev)
{
    ngx_uint_t            n;
    ngx_queue_t          *q;
    ngx_chat_throttle_t  *p;

    for (n = 0; n < NGX_CHAT_THROTTLE_TURN; n++) {

        if (ngx_queue_empty(&ngx_chat_throttle_waiting)) {

            if (ev->timer_set) {
                ngx_del_timer(ev);
            }

            return;
        }

        if (ngx_chat_fanout_is_behind(ngx_chat_throttle_hub)) {
            break;
        }

        q = ngx_queue_head(&ngx_chat_throttle_waiting);
        p = ngx_queue_data(q, ngx_chat_throttle_t, queue);

        ngx_chat_throttle_go_on(p);
    }

    ngx_chat_throttle_keep_on();
}


static void
ngx_chat_throttle_keep_on(void)
{
    if (!ngx_chat_throttle_event.timer_set) {
        ngx_add_timer(&ngx_chat_throttle_event, NGX_CHAT_THROTTLE_GUARD);
    }

    if (!ngx_chat_throttle_event.posted) {
        ngx_post_event(&ngx_chat_throttle_event, &ngx_posted_next_events);
    }
}


static void
ngx_chat_throttle_go_on(ngx_chat_throttle_t *p)
{
    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = p->request;
    c = r->connection;

    ngx_chat_throttle_cleanup(p);

    ngx_http_set_log_request(c->log, r);

    rc = p->handler(r, p->data);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}
