
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A look at all channels of an app.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_scan.h>
#include <shared/ngx_chat_turn.h>
#include <wire/ngx_chat_clock.h>


#define NGX_CHAT_SCAN_PAUSE  1             /* ms, between turns */
#define NGX_CHAT_SCAN_POOL   16384


static ngx_int_t ngx_chat_scan_part(ngx_chat_scan_t *scan);
static ngx_int_t ngx_chat_scan_look(ngx_chat_scan_t *scan);
static void ngx_chat_scan_handler(ngx_event_t *ev);
static void ngx_chat_scan_cleanup(void *data);


ngx_int_t
ngx_chat_scan_start(ngx_chat_scan_t *scan)
{
    ngx_http_request_t  *r;
    ngx_http_cleanup_t  *cln;

    r = scan->request;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    scan->bucket = 0;
    scan->pool = ngx_create_pool(NGX_CHAT_SCAN_POOL, r->connection->log);

    if (scan->pool == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(&scan->timer, sizeof(ngx_event_t));

    scan->timer.handler = ngx_chat_scan_handler;
    scan->timer.data = r->connection;
    scan->timer.log = r->connection->log;

    cln->handler = ngx_chat_scan_cleanup;
    cln->data = scan;

    scan->rc = ngx_chat_scan_part(scan);

    if (scan->rc != NGX_AGAIN) {
        return scan->answer(r, scan);
    }

    ngx_chat_request_suspend(r);
    ngx_add_timer(&scan->timer, NGX_CHAT_SCAN_PAUSE);

    /* nobody needs the answer when the client has left, perhaps already */

    ngx_chat_request_watch(r);

    return NGX_DONE;
}


/*
 * NGX_AGAIN: there is more; NGX_OK; NGX_ERROR.  Several scans share a turn as
 * long as it is short.
 */

static ngx_int_t
ngx_chat_scan_part(ngx_chat_scan_t *scan)
{
    uint64_t   start;
    ngx_int_t  rc;

    if (ngx_chat_turn_is_long()) {
        return NGX_AGAIN;
    }

    start = ngx_chat_clock_usec();
    rc = ngx_chat_scan_look(scan);

    ngx_chat_turn_add(ngx_chat_clock_usec() - start);

    return rc;
}


static ngx_int_t
ngx_chat_scan_look(ngx_chat_scan_t *scan)
{
    ngx_int_t  rc;

    ngx_reset_pool(scan->pool);

    if (ngx_array_init(&scan->found, scan->pool, 64,
                       sizeof(ngx_chat_registry_query_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_chat_registry_query_list(scan->zone, scan->app, &scan->prefix,
                                      &scan->bucket, &scan->found,
                                      scan->pool);

    if (rc == NGX_ERROR) {
        return rc;
    }

    if (scan->found.nelts && scan->part(scan) != NGX_OK) {
        return NGX_ERROR;
    }

    return rc;
}


static void
ngx_chat_scan_handler(ngx_event_t *ev)
{
    ngx_chat_scan_t  *scan;

    scan = (ngx_chat_scan_t *)
               ((u_char *) ev - offsetof(ngx_chat_scan_t, timer));

    scan->rc = ngx_chat_scan_part(scan);

    if (scan->rc == NGX_AGAIN) {
        ngx_add_timer(ev, NGX_CHAT_SCAN_PAUSE);
        return;
    }

    ngx_chat_request_resume(scan->request, scan->answer, scan);
}


static void
ngx_chat_scan_cleanup(void *data)
{
    ngx_chat_scan_t *scan = data;

    if (scan->timer.timer_set) {
        ngx_del_timer(&scan->timer);
    }

    ngx_destroy_pool(scan->pool);
}
