
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The back's thread.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_incident.h>
#include <shared/ngx_chat_node.h>
#include <store/ngx_chat_back.h>
#include <store/ngx_chat_back_work.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_BACK_READ    200          /* ms that a read waits at most: for
                                              so long a worker's end waits */
#define NGX_CHAT_BACK_GIVES   10           /* the same while it gives another
                                              node something */
#define NGX_CHAT_BACK_ENTRIES  64          /* of a read, at most */
#define NGX_CHAT_BACK_LAG     5            /* ms, and how often in a row, that
                                              it waits for workers */
#define NGX_CHAT_BACK_LAGS    200
#define NGX_CHAT_BACK_FIRST   50           /* ms until it tries again, then */
#define NGX_CHAT_BACK_PAUSE   1000         /* twice as long, up to this */
#define NGX_CHAT_BACK_QUICK   10           /* joins in a row with that pause */
#define NGX_CHAT_BACK_TELL    1000         /* ms between two lines of the log */


static void ngx_chat_back_reign(void *data);
static ngx_int_t ngx_chat_back_step(ngx_chat_back_t *b);
static void ngx_chat_back_alive(ngx_chat_back_t *b);
static void ngx_chat_back_lag(ngx_chat_back_t *b);
static void ngx_chat_back_fault(ngx_chat_back_t *b);


ngx_chat_back_t *
ngx_chat_back_start(ngx_chat_store_conf_t *conf, ngx_cycle_t *cycle)
{
    ngx_chat_back_t  *b;

    b = ngx_pcalloc(cycle->pool, sizeof(ngx_chat_back_t));
    if (b == NULL) {
        return NULL;
    }

    b->conf = conf;
    b->link_conf = conf->link;
    b->sh = conf->link->sh;
    b->worker = ngx_chat_link_random();
    b->log = cycle->log;

    ngx_chat_handle_init(&b->handle, conf, NGX_CHAT_STORE_WAIT, 1);

    b->single.lease = &conf->link->sh->lease;
    b->single.reign = ngx_chat_back_reign;
    b->single.data = b;

    if (ngx_chat_single_start(&b->single) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                      "chat could not start the cluster's thread");
        return NULL;
    }

    return b;
}


void
ngx_chat_back_leave(ngx_chat_back_t *b)
{
    if (b) {
        ngx_chat_single_leave(&b->single);
    }
}


void
ngx_chat_back_stop(ngx_chat_back_t *b)
{
    if (b) {
        ngx_chat_single_stop(&b->single);
    }
}


/* On the thread, with the lease. */

static void
ngx_chat_back_reign(void *data)
{
    ngx_chat_back_t *b = data;

    ngx_int_t    rc;
    ngx_uint_t   joined;

    ngx_chat_failpoint("back leased");

    ngx_chat_link_init(&b->link, b->link_conf);

    joined = 0;
    b->pause = NGX_CHAT_BACK_FIRST;

    if (ngx_chat_link_get(&b->sh->alive) == 0) {
        ngx_chat_link_set(&b->sh->alive, ngx_chat_clock_msec());
    }

    while (ngx_chat_single_goes_on(&b->single)) {

        rc = joined ? ngx_chat_back_step(b) : ngx_chat_back_join(b);

        if (rc == NGX_OK) {

            if (joined) {
                b->again = 0;
                b->pause = NGX_CHAT_BACK_FIRST;
            }

            joined = 1;
            continue;
        }

        /* fronts wait until a term is there again, and see whether it is still
           theirs */

        joined = 0;
        ngx_chat_link_set(&b->sh->term, 0);
        ngx_chat_back_cut_off(b);

        if (rc == NGX_AGAIN) {

            if (b->again++) {
                ngx_chat_single_sleep(&b->single,
                                      (b->again < NGX_CHAT_BACK_QUICK)
                                      ? NGX_CHAT_BACK_FIRST
                                      : NGX_CHAT_BACK_PAUSE);
            }

            continue;
        }

        ngx_chat_back_fault(b);
        ngx_chat_link_close(&b->link);

        ngx_chat_single_sleep(&b->single, b->pause + ngx_random() % b->pause);

        b->pause = ngx_min(2 * b->pause, NGX_CHAT_BACK_PAUSE);
    }

    ngx_chat_link_close(&b->link);
    ngx_chat_handle_close(&b->handle);
}


/* Reads and applies what is there.  NGX_OK; NGX_AGAIN: join again;
   NGX_ERROR. */

static ngx_int_t
ngx_chat_back_step(ngx_chat_back_t *b)
{
    uint64_t                  now;
    ngx_int_t                 rc;
    ngx_uint_t                n;
    ngx_chat_link_sh_t       *sh;
    ngx_chat_engine_reply_t  *reply;

    sh = b->sh;
    now = ngx_chat_clock_msec();

    if (now >= b->beat || ngx_chat_link_get(&sh->doubt)) {
        ngx_chat_link_set(&sh->doubt, 0);

        rc = ngx_chat_back_beat(b);
        if (rc != NGX_OK) {
            return rc;
        }

        b->beat = now + b->link_conf->lease / 4;
        ngx_chat_back_alive(b);

        rc = ngx_chat_back_asked(b);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    rc = ngx_chat_back_give(b);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_chat_node_tell(b->conf->zone);
    ngx_chat_back_lag(b);

    rc = ngx_chat_link_read(&b->link, &b->place,
                            b->few ? 1 : NGX_CHAT_BACK_ENTRIES,
                            b->arriving ? 1
                            : b->give.fill.id ? NGX_CHAT_BACK_GIVES
                            : NGX_CHAT_BACK_READ, &reply);

    if (rc != NGX_OK) {
        b->few = NGX_CHAT_BACK_ENTRIES;
        return NGX_ERROR;
    }

    b->few -= (b->few != 0);

    ngx_chat_back_alive(b);

    n = ngx_chat_engine_count(reply);
    rc = n ? ngx_chat_back_apply(b, reply) : NGX_OK;

    ngx_chat_engine_free(reply);

    return (rc == NGX_OK && b->arriving) ? ngx_chat_back_arrive(b, n) : rc;
}


static void
ngx_chat_back_alive(ngx_chat_back_t *b)
{
    if (!b->arriving) {
        ngx_chat_link_set(&b->sh->alive, ngx_chat_clock_msec());
    }
}


/* Workers must keep up with the ring. */

static void
ngx_chat_back_lag(ngx_chat_back_t *b)
{
    ngx_uint_t  n;

    for (n = 0; n < NGX_CHAT_BACK_LAGS && b->conf->behind(b->conf->data); n++)
    {
        ngx_chat_single_sleep(&b->single, NGX_CHAT_BACK_LAG);
    }
}


/* The engine may be away for long: a line a second at most. */

static void
ngx_chat_back_fault(ngx_chat_back_t *b)
{
    uint64_t  now;

    now = ngx_chat_clock_msec();

    if (b->told && now - b->told < NGX_CHAT_BACK_TELL) {
        return;
    }

    b->told = now;

    ngx_log_error(NGX_LOG_CRIT, b->log, 0, "chat cluster: %s%s%s",
                  b->link.engine.host, b->link.engine.host[0] ? ": " : "",
                  b->link.engine.error);

    ngx_chat_incident_note(NGX_CHAT_INCIDENT_CLUSTER_OUT_e, "%s",
                           b->link.engine.error);
}


ngx_int_t
ngx_chat_back_failed(ngx_chat_back_t *b, const char *text)
{
    return ngx_chat_engine_failed(&b->link.engine, text);
}
