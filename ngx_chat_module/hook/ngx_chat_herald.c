
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The herald's thread: start, lease, end.
 *
 * Until a thread is the herald it touches nothing but the lease, so that it
 * costs nearly nothing: it has no database, no libcurl, no memory of its own.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald.h>
#include <hook/ngx_chat_herald_work.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>

#include <signal.h>


#define NGX_CHAT_HERALD_STACK   (512 * 1024)
#define NGX_CHAT_HERALD_LEASE   200        /* ms between attempts to get it */
#define NGX_CHAT_HERALD_PART    2000       /* the same of a worker that leaves:
                                              if there is another one, that one
                                              has it by then */
#define NGX_CHAT_HERALD_LEAVES  1          /* the worker does */
#define NGX_CHAT_HERALD_EMPTY   2          /* and it has no session any more */
#define NGX_CHAT_HERALD_WAIT    50         /* ms until the ring is looked at */
#define NGX_CHAT_HERALD_LAST    50         /* rounds at the end, at most */
#define NGX_CHAT_HERALD_TURN    10         /* ms between attempts to get it at
                                              the end */
#define NGX_CHAT_HERALD_TURNS   50         /* such attempts */


#define ngx_chat_herald_leaves(h)                                             \
    __atomic_load_n(&(h)->leave, __ATOMIC_RELAXED)

/* Clients that are still there may be served by the worker for hours, but they
   are none of ours. */
#define ngx_chat_herald_is_over(h)                                            \
    (ngx_chat_herald_leaves(h) == NGX_CHAT_HERALD_EMPTY                       \
     && ngx_chat_herald_is_all_read((h)->zone))


static ngx_int_t ngx_chat_herald_create(ngx_chat_herald_t *h);
static void *ngx_chat_herald_thread(void *data);
static void ngx_chat_herald_last(ngx_chat_herald_t *h);
static ngx_uint_t ngx_chat_herald_lease(ngx_chat_herald_t *h);
static void ngx_chat_herald_reign(ngx_chat_herald_t *h);
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

    if (ngx_chat_herald_create(h) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                      "chat could not start the webhooks' thread");
        return NGX_ERROR;
    }

    ngx_chat_herald = h;

    return NGX_OK;
}


/* The thread gets no signals: they are for nginx's own. */

static ngx_int_t
ngx_chat_herald_create(ngx_chat_herald_t *h)
{
    int                  err;
    sigset_t             all, old;
    pthread_attr_t       attr;
    pthread_condattr_t   clock;

    if (pthread_condattr_init(&clock) != 0
        || pthread_condattr_setclock(&clock, CLOCK_MONOTONIC) != 0
        || pthread_cond_init(&h->cond, &clock) != 0
        || pthread_mutex_init(&h->mutex, NULL) != 0
        || pthread_attr_init(&attr) != 0)
    {
        return NGX_ERROR;
    }

    (void) pthread_attr_setstacksize(&attr, NGX_CHAT_HERALD_STACK);

    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &old);

    err = pthread_create(&h->thread, &attr, ngx_chat_herald_thread, h);

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    (void) pthread_attr_destroy(&attr);
    (void) pthread_condattr_destroy(&clock);

    return err ? NGX_ERROR : NGX_OK;
}


void
ngx_chat_herald_leave(ngx_uint_t sessions)
{
    ngx_uint_t          leave;
    ngx_chat_herald_t  *h;

    h = ngx_chat_herald;
    leave = sessions ? NGX_CHAT_HERALD_LEAVES : NGX_CHAT_HERALD_EMPTY;

    if (h == NULL || h->leave >= leave) {
        return;
    }

    (void) pthread_mutex_lock(&h->mutex);

    __atomic_store_n(&h->leave, leave, __ATOMIC_RELAXED);
    ngx_chat_herald_rouse(h);

    (void) pthread_mutex_unlock(&h->mutex);
}


void
ngx_chat_herald_stop(void)
{
    ngx_chat_herald_t  *h;

    h = ngx_chat_herald;

    if (h == NULL) {
        return;
    }

    (void) pthread_mutex_lock(&h->mutex);

    h->stop = 1;
    ngx_chat_herald_rouse(h);

    (void) pthread_mutex_unlock(&h->mutex);

    (void) pthread_join(h->thread, NULL);

    (void) pthread_cond_destroy(&h->cond);
    (void) pthread_mutex_destroy(&h->mutex);

    ngx_chat_herald = NULL;
}


/* From here on all runs on the thread. */

static void *
ngx_chat_herald_thread(void *data)
{
    ngx_chat_herald_t *h = data;

    ngx_msec_t  ms;

    ngx_chat_herald_enroll(h);

    ms = 0;

    while (!ngx_chat_herald_sleep(h, ms) && !ngx_chat_herald_is_over(h)) {

        if (ngx_chat_herald_lease(h)) {
            ngx_chat_herald_reign(h);
        }

        ms = ngx_chat_herald_leaves(h) ? NGX_CHAT_HERALD_PART
                                       : NGX_CHAT_HERALD_LEASE;
    }

    ngx_chat_herald_last(h);
    ngx_chat_herald_retire(h);

    return NULL;
}


/*
 * The worker ends, and others may end with it.  Records that nobody has read
 * are written down: by who is the herald, or by this thread.
 */

static void
ngx_chat_herald_last(ngx_chat_herald_t *h)
{
    ngx_uint_t  n;

    for (n = 0; n < NGX_CHAT_HERALD_TURNS; n++) {

        if (ngx_chat_herald_is_all_read(h->zone)) {
            return;
        }

        if (ngx_chat_herald_lease(h)) {
            ngx_chat_herald_reign(h);
            return;
        }

        /* who came to this nginx was never told of, and has gone */

        if (h->yields) {
            return;
        }

        ngx_msleep(NGX_CHAT_HERALD_TURN);
    }
}


ngx_uint_t
ngx_chat_herald_sleep(ngx_chat_herald_t *h, ngx_msec_t ms)
{
    uint64_t         end;
    ngx_uint_t       stop;
    struct timespec  ts;

    end = ngx_chat_clock_msec() + ms;

    ts.tv_sec = end / 1000;
    ts.tv_nsec = (end % 1000) * 1000000;

    (void) pthread_mutex_lock(&h->mutex);

    if (ms && !h->stop) {
        (void) pthread_cond_timedwait(&h->cond, &h->mutex, &ts);
    }

    stop = h->stop;

    (void) pthread_mutex_unlock(&h->mutex);

    return stop;
}


static ngx_uint_t
ngx_chat_herald_lease(ngx_chat_herald_t *h)
{
    pthread_mutex_t  *lease;

    lease = &h->zone->sh->hooks.lease;

    switch (pthread_mutex_trylock(lease)) {

    case EOWNERDEAD:
        (void) pthread_mutex_consistent(lease);
        /* fall through */

    case 0:
        break;

    default:
        return 0;
    }

    h->yields = ngx_chat_herald_has_elder(h);

    if (h->yields) {
        h->waited = ngx_chat_clock_msec();
        (void) pthread_mutex_unlock(lease);
    }

    return !h->yields;
}


/*
 * The herald, until the worker ends or begins to leave, or an older nginx has
 * workers again.  A leaving worker whose thread gets the lease again is the
 * last one there, and keeps it.
 */

static void
ngx_chat_herald_reign(ngx_chat_herald_t *h)
{
    ngx_uint_t  n, left;

    left = ngx_chat_herald_leaves(h);

    ngx_chat_failpoint("hook leased");

    ngx_chat_herald_begin(h);

    while (!ngx_chat_herald_sleep(h, 0)
           && !ngx_chat_herald_is_over(h)
           && ngx_chat_herald_leaves(h) == left && !h->yields)
    {

        ngx_chat_herald_look(h);

        if (ngx_chat_herald_is_due(h)) {
            ngx_chat_herald_round(h, 0);
        }

        /* also what waits for libcurl, when nothing else is due */
        ngx_chat_herald_send(h);

        ngx_chat_herald_wait(h, ngx_chat_herald_ms(h));
    }

    for (n = 0; n < NGX_CHAT_HERALD_LAST; n++) {

        ngx_chat_herald_round(h, 1);

        if (h->fresh || !ngx_chat_herald_has_records(h)) {
            break;
        }
    }

    ngx_chat_herald_end(h);

    (void) pthread_mutex_unlock(&h->zone->sh->hooks.lease);
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

    ngx_chat_herald_reset(h);
}


static void
ngx_chat_herald_end(ngx_chat_herald_t *h)
{
    ngx_chat_herald_send_exit(h);
    ngx_chat_herald_reset(h);

    ngx_chat_hook_db_close(&h->db);

    free(h->records);
    free(h->json);

    if (h->buf.data) {
        ngx_free(h->buf.data);
    }

    h->records = NULL;
    h->nalloc = 0;
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

    if (h->nrecords || h->newcomers
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
