
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The herald's thread: its beginning, its reign and its end.
 *
 * Until a thread is the herald it costs nearly nothing: besides the lease it
 * has a lock on the database's folder, and no handle on the database, no
 * libcurl, no memory of its own.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald.h>
#include <hook/ngx_chat_herald_work.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_HERALD_WAIT    50         /* ms until the ring is looked at */
#define NGX_CHAT_HERALD_LAST    50         /* rounds at the end, at most */
#define NGX_CHAT_HERALD_TURN    10         /* ms between attempts to get the
                                              lease at the end */
#define NGX_CHAT_HERALD_TURNS   50         /* such attempts */


static ngx_uint_t ngx_chat_herald_is_over(void *data);
static void ngx_chat_herald_last(void *data);
static void ngx_chat_herald_reign(void *data);
static void ngx_chat_herald_begin(ngx_chat_herald_t *h);
static void ngx_chat_herald_end(ngx_chat_herald_t *h);
static ngx_uint_t ngx_chat_herald_ms(ngx_chat_herald_t *h);


/* this worker's; NULL: it has none */
static ngx_chat_herald_t  *ngx_chat_herald;


ngx_int_t
ngx_chat_herald_start(ngx_chat_herald_conf_t *conf, ngx_cycle_t *cycle)
{
    ngx_uint_t           i, k, n;
    ngx_chat_app_t      *apps;
    ngx_chat_herald_t   *h;
    ngx_chat_webhook_t  *hooks;

    h = ngx_pcalloc(cycle->pool, sizeof(ngx_chat_herald_t)
                                 + conf->n * sizeof(ngx_chat_herald_hook_t));
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->conf = conf;
    h->link_conf = conf->store->link;
    h->zone = conf->zone;
    h->log = cycle->log;
    h->hooks = (ngx_chat_herald_hook_t *) (h + 1);

    apps = conf->apps->elts;
    n = 0;

    for (i = 0; i < conf->apps->nelts; i++) {

        if (apps[i].webhooks == NULL) {
            continue;
        }

        hooks = apps[i].webhooks->elts;

        for (k = 0; k < apps[i].webhooks->nelts; k++) {
            h->hooks[n].conf = &hooks[k];

            if (n < h->zone->sh->hooks.nhooks) {
                h->hooks[n].sh = &h->zone->sh->hooks.hooks[n];
            }

            n++;
        }
    }

    ngx_chat_hook_held_init(&h->held);
    ngx_chat_hook_db_init(&h->db, conf->store);
    ngx_chat_herald_enroll(h);

    h->single.lease = &h->zone->sh->hooks.lease;
    h->single.data = h;
    h->single.reign = ngx_chat_herald_reign;
    h->single.over = ngx_chat_herald_is_over;
    h->single.end = ngx_chat_herald_last;
    h->single.wake = ngx_chat_herald_wake;

    if (ngx_chat_single_start(&h->single) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                      "chat could not start the webhooks' thread");
        return NGX_ERROR;
    }

    ngx_chat_herald = h;

    return NGX_OK;
}


void
ngx_chat_herald_leave(ngx_uint_t sessions)
{
    ngx_chat_herald_t  *h;

    h = ngx_chat_herald;

    if (h == NULL) {
        return;
    }

    ngx_chat_single_leave(&h->single);

    if (sessions == 0 && !h->empty) {
        __atomic_store_n(&h->empty, 1, __ATOMIC_RELAXED);
        ngx_chat_single_rouse(&h->single);
    }
}


void
ngx_chat_herald_stop(void)
{
    if (ngx_chat_herald) {
        ngx_chat_single_stop(&ngx_chat_herald->single);
        ngx_chat_herald = NULL;
    }
}


/*
 * From here on all runs on the thread.
 *
 * Clients that are still there may be served by the worker for hours, but they
 * are none of ours.
 */

static ngx_uint_t
ngx_chat_herald_is_over(void *data)
{
    ngx_chat_herald_t *h = data;

    return __atomic_load_n(&h->empty, __ATOMIC_RELAXED)
           && ngx_chat_herald_is_all_read(h->zone);
}


/*
 * The worker ends, and others may end with it.  Records that nobody has read
 * are written down: by who is the herald, or by this thread.  Where there is an
 * older nginx, who came to this one was never told of, and has gone.
 */

static void
ngx_chat_herald_last(void *data)
{
    ngx_chat_herald_t *h = data;

    ngx_uint_t  n;

    for (n = 0; n < NGX_CHAT_HERALD_TURNS; n++) {

        if (ngx_chat_herald_is_all_read(h->zone)
            || ngx_chat_single_try(&h->single))
        {
            break;
        }

        ngx_msleep(NGX_CHAT_HERALD_TURN);
    }

    ngx_chat_herald_retire(h);
}


/*
 * The herald, until the worker ends or begins to leave, or an older nginx has
 * workers again.  A leaving worker whose thread gets the lease again is the
 * last one there, and keeps it.
 */

static void
ngx_chat_herald_reign(void *data)
{
    ngx_chat_herald_t *h = data;

    ngx_uint_t  n;

    h->yields = ngx_chat_herald_has_elder(h);

    if (h->yields) {
        h->waited = ngx_chat_clock_msec();
        return;
    }

    ngx_chat_failpoint("hook leased");

    ngx_chat_herald_begin(h);

    while (ngx_chat_single_goes_on(&h->single) && !h->yields) {

        ngx_chat_herald_look(h);
        ngx_chat_herald_forward(h, 0);

        if (!ngx_chat_herald_leads(h)) {
            ngx_chat_herald_revive_for_others(h);
            ngx_chat_herald_wait(h, NGX_CHAT_HERALD_WAIT);
            continue;
        }

        if (ngx_chat_herald_is_due(h)) {
            ngx_chat_herald_round(h, 0);
        }

        /* also what waits for libcurl, when nothing else is due; a round may
           have taken long */
        if (ngx_chat_herald_leads(h)) {
            ngx_chat_herald_send(h);
        }

        ngx_chat_herald_wait(h, ngx_chat_herald_ms(h));
    }

    ngx_chat_herald_forward(h, 1);

    for (n = 0; n < NGX_CHAT_HERALD_LAST && ngx_chat_herald_leads(h); n++) {

        ngx_chat_herald_round(h, 1);

        if (h->fresh || !ngx_chat_herald_has_records(h)) {
            break;
        }
    }

    ngx_chat_herald_end(h);
}


static void
ngx_chat_herald_begin(ngx_chat_herald_t *h)
{
    ngx_uint_t               i;
    ngx_chat_herald_hook_t  *hook;

    for (i = 0; i < h->conf->n; i++) {
        hook = &h->hooks[i];

        if (hook->sh && hook->sh->key != (uint64_t) hook->conf->key) {
            ngx_memzero(hook->sh, sizeof(ngx_chat_hook_sh_t));
            hook->sh->key = hook->conf->key;
        }
    }

    for ( /* void */ ; i < h->zone->sh->hooks.nhooks; i++) {
        h->zone->sh->hooks.hooks[i].key = 0;
    }

    ngx_chat_herald_cluster_init(h);
    ngx_chat_herald_reset(h);
}


static void
ngx_chat_herald_end(ngx_chat_herald_t *h)
{
    ngx_chat_herald_send_exit(h);
    ngx_chat_herald_reset(h);

    ngx_chat_hook_db_close(&h->db);

    ngx_chat_herald_cluster_exit(h);

    free(h->records.positions);
    free(h->json);

    if (h->buf.data) {
        ngx_free(h->buf.data);
    }

    ngx_memzero(&h->records, sizeof(ngx_chat_herald_chain_t));
    h->json = NULL;
    h->json_size = 0;
    ngx_str_null(&h->buf);
}


/* How long there is nothing to do, as far as is known. */

static ngx_uint_t
ngx_chat_herald_ms(ngx_chat_herald_t *h)
{
    int64_t      now, ms;
    ngx_uint_t   i;

    now = (int64_t) ngx_chat_clock_msec();
    ms = NGX_CHAT_HERALD_WAIT;

    if (h->pause > (uint64_t) now) {
        return ms;
    }

    if (h->records.n || h->newcomers || h->cluster.more
        || h->census == NGX_CHAT_HERALD_CENSUS_TAKEN_e)
    {
        return 0;
    }

    for (i = 0; i < h->conf->n; i++) {

        if (h->hooks[i].state == NGX_CHAT_HERALD_IDLE_e) {
            ms = ngx_min(ms, h->hooks[i].due - now);
        }
    }

    return ngx_max(ms, 0);
}
