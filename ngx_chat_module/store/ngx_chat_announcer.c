
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The announcer.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_log_item.h>
#include <shared/ngx_chat_futex.h>
#include <shared/ngx_chat_node.h>
#include <shared/ngx_chat_single.h>
#include <store/ngx_chat_announcer.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_ANNOUNCER_IDLE   200      /* ms without a change */
#define NGX_CHAT_ANNOUNCER_PAUSE  100      /* ms behind a failure */
#define NGX_CHAT_ANNOUNCER_FULL   1000     /* ms while chat_zone is full */
#define NGX_CHAT_ANNOUNCER_FIELD  (1 + 1 + 16 + 2 + 255 + 512)   /* bytes */


struct ngx_chat_announcer_s {
    ngx_chat_store_conf_t   *conf;
    ngx_chat_link_sh_t      *sh;
    ngx_chat_single_t        single;
    ngx_log_t               *log;

    /* the thread's, while it works */
    ngx_chat_link_t          link;
    uint64_t                 worker;
    ngx_chat_node_facts_t   *facts;
    ngx_chat_link_item_t     items[NGX_CHAT_NODE_FACTS];
};


static void ngx_chat_announcer_reign(void *data);
static void ngx_chat_announcer_step(ngx_chat_announcer_t *a);
static ngx_int_t ngx_chat_announcer_send(ngx_chat_announcer_t *a);
static void ngx_chat_announcer_refused(ngx_chat_announcer_t *a);
static u_char *ngx_chat_announcer_pack(ngx_chat_announcer_t *a);
static void ngx_chat_announcer_item(ngx_chat_node_fact_t *fact,
    ngx_chat_log_item_t *item);
static u_char *ngx_chat_announcer_field(ngx_chat_node_fact_t *fact, u_char *p);


ngx_chat_announcer_t *
ngx_chat_announcer_start(ngx_chat_store_conf_t *conf, ngx_cycle_t *cycle)
{
    ngx_chat_announcer_t  *a;

    a = ngx_pcalloc(cycle->pool, sizeof(ngx_chat_announcer_t));
    if (a == NULL) {
        return NULL;
    }

    a->conf = conf;
    a->sh = conf->link->sh;
    a->log = cycle->log;
    a->worker = ngx_chat_link_random();

    a->single.lease = &a->sh->announcer;
    a->single.reign = ngx_chat_announcer_reign;
    a->single.data = a;

    if (ngx_chat_single_start(&a->single) != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, 0,
                      "chat could not start the cluster's thread");
        return NULL;
    }

    return a;
}


void
ngx_chat_announcer_leave(ngx_chat_announcer_t *a)
{
    if (a) {
        ngx_chat_single_leave(&a->single);
    }
}


void
ngx_chat_announcer_stop(ngx_chat_announcer_t *a)
{
    if (a) {
        ngx_chat_single_stop(&a->single);
    }
}


/* On the thread, with the lease.  What the one before has found and not said
   is found again. */

static void
ngx_chat_announcer_reign(void *data)
{
    ngx_chat_announcer_t *a = data;

    a->facts = malloc(sizeof(ngx_chat_node_facts_t));
    if (a->facts == NULL) {
        return;
    }

    a->facts->word = 0;

    ngx_chat_link_init(&a->link, a->conf->link);
    ngx_chat_node_again(a->conf->zone);

    while (ngx_chat_single_goes_on(&a->single)) {
        ngx_chat_announcer_step(a);
    }

    ngx_chat_link_close(&a->link);
    free(a->facts);
}


static void
ngx_chat_announcer_step(ngx_chat_announcer_t *a)
{
    uint32_t   turns;
    ngx_int_t  rc;

    if (ngx_chat_link_get(&a->sh->term) == 0) {
        turns = ngx_chat_link_get(&a->sh->turns);
        ngx_chat_futex_sleep(&a->sh->turns, turns, NGX_CHAT_ANNOUNCER_PAUSE);
        return;
    }

    turns = ngx_chat_link_get(&a->conf->zone->sh->nodes->turns);

    ngx_chat_node_collect(a->conf->zone, a->facts);

    if (a->facts->n == 0) {
        ngx_chat_futex_sleep(&a->conf->zone->sh->nodes->turns, turns,
                             NGX_CHAT_ANNOUNCER_IDLE);
        return;
    }

    rc = ngx_chat_announcer_send(a);

    if (rc == NGX_OK) {
        ngx_chat_announcer_refused(a);

        if (a->facts->n) {
            rc = ngx_chat_announcer_send(a);

            /* collect() finds them again */

            ngx_chat_single_sleep(&a->single, NGX_CHAT_ANNOUNCER_FULL);
        }
    }

    if (rc != NGX_OK) {
        ngx_chat_link_set(&a->sh->doubt, 1);
        ngx_chat_node_again(a->conf->zone);
        ngx_chat_single_sleep(&a->single, NGX_CHAT_ANNOUNCER_PAUSE);
    }
}


/* NGX_OK: it came back by the log. */

static ngx_int_t
ngx_chat_announcer_send(ngx_chat_announcer_t *a)
{
    u_char                 *memory;
    ngx_int_t               rc;
    ngx_chat_link_batch_t   batch;

    memory = ngx_chat_announcer_pack(a);
    if (memory == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&batch, sizeof(ngx_chat_link_batch_t));

    batch.items = a->items;
    batch.n = a->facts->n;
    batch.worker = a->worker;
    batch.term = ngx_chat_link_get(&a->sh->term);
    batch.incarnation = ngx_chat_link_get(&a->conf->zone->sh->nodes->self);
    batch.nonce = ngx_chat_link_random();

    rc = ngx_chat_link_append(&a->link, &batch, NGX_CHAT_LINK_CALL);

    free(memory);

    ngx_chat_failpoint("announced");

    if (rc == NGX_OK) {
        rc = ngx_chat_link_sh_wait(a->sh, &a->sh->applied, batch.last,
                                   ngx_chat_clock_msec() + NGX_CHAT_LINK_CALL);
    }

    return rc;
}


/*
 * Leaves only what this node's own zone had no room for, so that the others
 * drop it as well.
 */

static void
ngx_chat_announcer_refused(ngx_chat_announcer_t *a)
{
    ngx_uint_t             i, n;
    ngx_chat_node_fact_t  *fact;

    n = 0;

    for (i = 0; i < a->facts->n; i++) {
        fact = &a->facts->facts[i];

        if (fact->n && !ngx_chat_node_has(a->conf->zone, fact->app,
                                          &fact->channel, &fact->user))
        {
            fact->n = 0;
            a->facts->facts[n++] = *fact;
        }
    }

    a->facts->n = n;
}


/* What is returned holds all that the items point to.  NULL: no memory. */

static u_char *
ngx_chat_announcer_pack(ngx_chat_announcer_t *a)
{
    size_t                 size;
    u_char                *memory, *p;
    ngx_uint_t             i;
    ngx_chat_log_item_t    item;
    ngx_chat_link_item_t  *it;

    size = a->facts->n * (NGX_CHAT_LOG_ITEM_HEADER + NGX_CHAT_ANNOUNCER_FIELD)
           + a->facts->used;

    memory = malloc(size);
    if (memory == NULL) {
        return NULL;
    }

    p = memory;

    for (i = 0; i < a->facts->n; i++) {
        it = &a->items[i];
        ngx_memzero(it, sizeof(ngx_chat_link_item_t));

        ngx_chat_announcer_item(&a->facts->facts[i], &item);

        it->bytes.data = p;
        p = ngx_chat_log_item_pack(p, &item);
        it->bytes.len = p - it->bytes.data;

        /* behind a byte for the flag */

        it->field.data = ++p;
        p = ngx_chat_announcer_field(&a->facts->facts[i], p);
        it->field.len = p - it->field.data;
        it->drop = (a->facts->facts[i].n == 0);
    }

    return memory;
}


static void
ngx_chat_announcer_item(ngx_chat_node_fact_t *fact, ngx_chat_log_item_t *item)
{
    ngx_memzero(item, sizeof(ngx_chat_log_item_t));

    item->kind = fact->user.len ? NGX_CHAT_MESSAGE_MEMBER_e
                                : NGX_CHAT_MESSAGE_CHANNEL_e;
    item->app = fact->app;
    item->channel = fact->channel;
    item->author = fact->user;
    item->content = fact->info;
    item->except.high = fact->counting;
    item->except.low = fact->n;
}


/* A member's id has 128 characters at most, which may be 512 bytes. */

static u_char *
ngx_chat_announcer_field(ngx_chat_node_fact_t *fact, u_char *p)
{
    *p++ = fact->user.len ? 'm' : 'c';

    p = ngx_sprintf(p, "%016xL%02xd", fact->app, (int) fact->channel.len);
    p = ngx_cpymem(p, fact->channel.data, fact->channel.len);

    return fact->user.len ? ngx_cpymem(p, fact->user.data, fact->user.len) : p;
}
