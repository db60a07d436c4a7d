
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The front.
 *
 * A batch that was sent and not answered is sent again with the same nonce, by
 * which the engine knows it.  So it is in the log once, whatever happens to
 * connections.  Where no answer comes in time, nobody can say what came of it.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <bus/ngx_chat_ring.h>
#include <link/ngx_chat_log_item.h>
#include <shared/ngx_chat_futex.h>
#include <store/ngx_chat_front.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_FRONT_PAUSE  100          /* ms between attempts */


static ngx_int_t ngx_chat_front_wait(ngx_chat_front_t *f,
    ngx_chat_link_batch_t *b, uint64_t end, ngx_log_t *log);
static u_char *ngx_chat_front_pack(ngx_queue_t *batch,
    ngx_chat_link_batch_t *b);
static void ngx_chat_front_item(ngx_chat_write_t *w,
    ngx_chat_log_item_t *item);
static ngx_int_t ngx_chat_front_append(ngx_chat_front_t *f,
    ngx_chat_link_batch_t *b, uint64_t end, ngx_log_t *log);
static ngx_int_t ngx_chat_front_attempt(ngx_chat_front_t *f,
    ngx_chat_link_batch_t *b, uint64_t end);
static void ngx_chat_front_results(ngx_chat_front_t *f, ngx_queue_t *batch,
    ngx_chat_link_batch_t *b);


void
ngx_chat_front_init(ngx_chat_front_t *f, ngx_chat_store_conf_t *conf)
{
    f->conf = conf;
    f->link_conf = conf->link;

    if (f->link_conf) {
        f->worker = ngx_chat_link_random();
        ngx_chat_link_init(&f->link, f->link_conf);
    }
}


void
ngx_chat_front_exit(ngx_chat_front_t *f)
{
    if (f->link_conf) {
        ngx_chat_link_close(&f->link);
    }
}


ngx_int_t
ngx_chat_front_take(ngx_chat_front_t *f, ngx_queue_t *batch, ngx_log_t *log)
{
    u_char                 *memory;
    uint64_t                end;
    ngx_int_t               rc;
    ngx_chat_link_batch_t   b;

    end = ngx_chat_clock_msec() + f->link_conf->timeout;

    ngx_memzero(&b, sizeof(ngx_chat_link_batch_t));

    memory = ngx_chat_front_pack(batch, &b);
    if (memory == NULL) {
        return NGX_ERROR;
    }

    b.worker = f->worker;
    b.nonce = ngx_chat_link_random();

    rc = ngx_chat_front_append(f, &b, end, log);

    if (rc == NGX_OK) {
        ngx_chat_failpoint("front appended");

        rc = ngx_chat_front_wait(f, &b, end, log);
    }

    if (rc == NGX_OK) {
        ngx_chat_front_results(f, batch, &b);
    }

    free(memory);

    return rc;
}


/*
 * Waits until the batch has come back by the log.  While the node joins again
 * its term is not known, and then it may be another one, in which the numbers
 * are other messages'.  NGX_OK, NGX_ABORT.
 */

static ngx_int_t
ngx_chat_front_wait(ngx_chat_front_t *f, ngx_chat_link_batch_t *b,
    uint64_t end, ngx_log_t *log)
{
    uint32_t             turns;
    uint64_t             now, term;
    ngx_chat_link_sh_t  *sh;

    sh = f->link_conf->sh;

    for ( ;; ) {
        turns = ngx_chat_link_get(&sh->turns);
        now = ngx_chat_clock_msec();

        if (now >= end
            || ngx_chat_link_sh_wait(sh, &sh->applied, b->last, end) != NGX_OK)
        {
            ngx_log_error(NGX_LOG_ERR, log, 0,
                          "chat cluster: this node is behind the log, what it "
                          "was given is not answered in time");
            return NGX_ABORT;
        }

        term = ngx_chat_link_get(&sh->term);

        if (term == b->term) {
            return NGX_OK;
        }

        if (term) {
            ngx_log_error(NGX_LOG_ERR, log, 0,
                          "chat cluster: the engine may have lost what this "
                          "node was given, a new term has begun");
            return NGX_ABORT;
        }

        ngx_chat_futex_sleep(&sh->turns, turns,
                             ngx_min(NGX_CHAT_FRONT_PAUSE, end - now));
    }
}


/* NULL: no memory, or an item is too long.  What is returned holds all that b
   points to. */

static u_char *
ngx_chat_front_pack(ngx_queue_t *batch, ngx_chat_link_batch_t *b)
{
    size_t                 size;
    u_char                *memory, *p;
    ngx_uint_t             i, n;
    ngx_queue_t           *q;
    ngx_chat_write_t      *w;
    ngx_chat_log_item_t    item;
    ngx_chat_link_item_t  *it;

    size = 0;
    n = 0;

    for (q = ngx_queue_head(batch);
         q != ngx_queue_sentinel(batch);
         q = ngx_queue_next(q))
    {
        ngx_chat_front_item(ngx_queue_data(q, ngx_chat_write_t, queue), &item);

        /* no node could read it */

        if (!ngx_chat_log_item_fits(&item)) {
            return NULL;
        }

        size += ngx_chat_log_item_size(&item) + NGX_CHAT_LINK_KEY_LEN;
        n++;
    }

    memory = malloc(n * sizeof(ngx_chat_link_item_t) + size);
    if (memory == NULL) {
        return NULL;
    }

    ngx_memzero(memory, n * sizeof(ngx_chat_link_item_t));

    b->items = (ngx_chat_link_item_t *) memory;
    b->n = n;

    p = memory + n * sizeof(ngx_chat_link_item_t);

    for (q = ngx_queue_head(batch), i = 0; i < n; q = ngx_queue_next(q), i++) {
        w = ngx_queue_data(q, ngx_chat_write_t, queue);
        it = &b->items[i];

        ngx_chat_front_item(w, &item);

        it->more = w->more;
        it->bytes.data = p;
        p = ngx_chat_log_item_pack(p, &item);
        it->bytes.len = p - it->bytes.data;

        if (w->record.keyed) {
            it->key = p;
            p = ngx_hex_dump(p, w->record.key, NGX_CHAT_KEYS_LEN);
        }
    }

    return memory;
}


static void
ngx_chat_front_item(ngx_chat_write_t *w, ngx_chat_log_item_t *item)
{
    item->kind = w->record.kind;
    item->app = w->record.app;
    item->except = w->except;
    item->channel = w->record.channel;
    item->event = w->record.event;
    item->content = w->record.content;
    item->author = w->record.author;
}


/* NGX_OK, NGX_BUSY, NGX_ABORT. */

static ngx_int_t
ngx_chat_front_append(ngx_chat_front_t *f, ngx_chat_link_batch_t *b,
    uint64_t end, ngx_log_t *log)
{
    uint32_t    turns;
    uint64_t    now;
    ngx_int_t   rc, sent;

    sent = NGX_BUSY;
    f->link.engine.error[0] = '\0';

    for ( ;; ) {
        turns = ngx_chat_link_get(&f->link_conf->sh->turns);

        rc = ngx_chat_front_attempt(f, b, end);

        if (rc == NGX_OK) {
            return NGX_OK;
        }

        if (rc == NGX_ERROR) {
            sent = NGX_ABORT;
        }

        now = ngx_chat_clock_msec();

        if (rc == NGX_DECLINED || now >= end) {
            break;
        }

        /* only the incarnation that has sent it can ask what came of it */

        if (sent == NGX_BUSY) {
            b->incarnation = 0;

        } else if (b->incarnation
                   != ngx_chat_link_get(&f->link_conf->sh->incarnation))
        {
            break;
        }

        ngx_chat_futex_sleep(&f->link_conf->sh->turns, turns,
                             ngx_min(NGX_CHAT_FRONT_PAUSE, end - now));
    }

    ngx_log_error(NGX_LOG_ERR, log, 0, "chat cluster: %s: %s",
                  (sent == NGX_BUSY) ? "the engine takes nothing"
                  : "the engine has not answered, nobody knows what it has",
                  f->link.engine.error[0] ? f->link.engine.error
                                          : "this node is not in the cluster");

    return sent;
}


/* NGX_AGAIN: not now; the rest as in ngx_chat_link.h. */

static ngx_int_t
ngx_chat_front_attempt(ngx_chat_front_t *f, ngx_chat_link_batch_t *b,
    uint64_t end)
{
    uint64_t   now;
    ngx_int_t  rc;

    now = ngx_chat_clock_msec();
    b->term = ngx_chat_link_get(&f->link_conf->sh->term);

    if (now >= end || b->term == 0) {
        return NGX_AGAIN;
    }

    if (b->incarnation == 0) {
        b->incarnation = ngx_chat_link_get(&f->link_conf->sh->incarnation);
    }

    rc = ngx_chat_link_append(&f->link, b, ngx_min(end - now,
                                                   NGX_CHAT_LINK_CALL));

    if (rc == NGX_AGAIN) {
        ngx_chat_link_set(&f->link_conf->sh->doubt, 1);
        return rc;
    }

    if (rc != NGX_OK || f->link_conf->replicas == 0) {
        return rc;
    }

    now = ngx_chat_clock_msec();

    return ngx_chat_link_replicated(&f->link, (now < end) ? end - now : 1);
}


static void
ngx_chat_front_results(ngx_chat_front_t *f, ngx_queue_t *batch,
    ngx_chat_link_batch_t *b)
{
    uint64_t               head;
    ngx_uint_t             i;
    ngx_queue_t           *q;
    ngx_chat_write_t      *w;
    ngx_chat_link_item_t  *it;

    head = ngx_chat_ring_head(f->conf->zone->sh->ring);

    for (q = ngx_queue_head(batch), i = 0;
         i < b->n;
         q = ngx_queue_next(q), i++)
    {
        w = ngx_queue_data(q, ngx_chat_write_t, queue);
        it = &b->items[i];

        w->record.id = it->seq;
        w->record.created = it->created;
        w->record.updated = it->created;
        w->record.repeated = it->repeated;
        w->position = head;

        if (w->record.kind == NGX_CHAT_MESSAGE_POSTED_e && !it->repeated) {
            (void) f->conf->render(&w->record, &w->reply);
        }
    }
}
