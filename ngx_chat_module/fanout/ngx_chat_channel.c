
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * This worker's channels and subscriptions.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <fanout/ngx_chat_channel.h>


static void ngx_chat_channel_move(ngx_chat_channel_t *ch, ngx_uint_t from,
    ngx_uint_t to);
static ngx_int_t ngx_chat_channel_resize(ngx_chat_channel_t *ch,
    ngx_uint_t nalloc, ngx_log_t *log);


ngx_int_t
ngx_chat_channel_table_init(ngx_chat_channel_table_t *t, ngx_uint_t nbuckets,
    ngx_log_t *log)
{
    t->nchannels = 0;
    t->mask = nbuckets - 1;

    t->buckets = ngx_calloc(nbuckets * sizeof(ngx_chat_channel_t *), log);

    return t->buckets ? NGX_OK : NGX_ERROR;
}


void
ngx_chat_channel_table_free(ngx_chat_channel_table_t *t)
{
    if (t->buckets) {
        ngx_free(t->buckets);
        t->buckets = NULL;
    }
}


ngx_chat_channel_t *
ngx_chat_channel_find(ngx_chat_channel_table_t *t, uint64_t app,
    uint32_t hash, ngx_str_t *name)
{
    ngx_chat_channel_t  *ch;

    for (ch = t->buckets[hash & t->mask]; ch; ch = ch->next) {

        if (ch->hash == hash
            && ch->app == app
            && ch->name.len == name->len
            && ngx_memcmp(ch->name.data, name->data, name->len) == 0)
        {
            return ch;
        }
    }

    return NULL;
}


ngx_chat_subscription_t *
ngx_chat_channel_subscription(ngx_chat_channel_t *ch,
    ngx_chat_subscriber_t *sr)
{
    ngx_uint_t                i;
    ngx_queue_t              *q;
    ngx_chat_subscription_t  *sn;

    /* whichever list is shorter */

    if (ch->n < sr->nsubscriptions) {

        for (i = 0; i < ch->n; i++) {
            if (ch->listeners[i].subscriber == sr) {
                return ch->listeners[i].subscription;
            }
        }

        return NULL;
    }

    for (q = ngx_queue_head(&sr->subscriptions);
         q != ngx_queue_sentinel(&sr->subscriptions);
         q = ngx_queue_next(q))
    {
        sn = ngx_queue_data(q, ngx_chat_subscription_t, queue);

        if (sn->channel == ch) {
            return sn;
        }
    }

    return NULL;
}


ngx_chat_channel_t *
ngx_chat_channel_get(ngx_chat_channel_table_t *t, uint64_t app,
    uint32_t hash, ngx_str_t *name, ngx_log_t *log)
{
    ngx_chat_channel_t  *ch, **bucket;

    ch = ngx_chat_channel_find(t, app, hash, name);

    if (ch != NULL) {
        return ch;
    }

    ch = ngx_calloc(sizeof(ngx_chat_channel_t) + name->len, log);
    if (ch == NULL) {
        return NULL;
    }

    ch->app = app;
    ch->hash = hash;
    ch->name.len = name->len;
    ch->name.data = (u_char *) ch + sizeof(ngx_chat_channel_t);
    ngx_memcpy(ch->name.data, name->data, name->len);

    bucket = &t->buckets[hash & t->mask];

    ch->next = *bucket;
    *bucket = ch;
    t->nchannels++;

    return ch;
}


ngx_chat_subscription_t *
ngx_chat_channel_add(ngx_chat_channel_t *ch, ngx_chat_subscriber_t *sr,
    ngx_log_t *log)
{
    ngx_chat_subscription_t  *sn;

    if (ch->n == ch->nalloc
        && ngx_chat_channel_resize(ch, ch->n ? ch->n * 2 : 2, log) != NGX_OK)
    {
        return NULL;
    }

    sn = ngx_alloc(sizeof(ngx_chat_subscription_t), log);
    if (sn == NULL) {
        return NULL;
    }

    sn->channel = ch;
    sn->slot_member = NULL;
    sn->start = 0;
    sn->index = ch->n;

    ch->listeners[ch->n].subscriber = sr;
    ch->listeners[ch->n].subscription = sn;
    ch->n++;

    ngx_queue_insert_tail(&sr->subscriptions, &sn->queue);
    sr->nsubscriptions++;

    return sn;
}


void
ngx_chat_channel_remove(ngx_chat_subscription_t *sn)
{
    ngx_uint_t           i;
    ngx_chat_channel_t  *ch;

    ch = sn->channel;
    i = sn->index;

    ch->listeners[i].subscriber->nsubscriptions--;
    ngx_queue_remove(&sn->queue);

    /*
     * the last listener that has got the run fills the gap, and the last one
     * of all fills the gap of that
     */

    if (i < ch->given) {
        ngx_chat_channel_move(ch, --ch->given, i);
        i = ch->given;
    }

    ngx_chat_channel_move(ch, --ch->n, i);

    ngx_free(sn);

    if (ch->nalloc > 16 && ch->n < ch->nalloc / 4) {
        (void) ngx_chat_channel_resize(ch, ch->nalloc / 2, ngx_cycle->log);
    }
}


void
ngx_chat_channel_free(ngx_chat_channel_table_t *t, ngx_chat_channel_t *ch)
{
    ngx_chat_channel_t  **next;

    next = &t->buckets[ch->hash & t->mask];

    for ( /* void */ ; *next; next = &(*next)->next) {

        if (*next == ch) {
            *next = ch->next;
            t->nchannels--;
            break;
        }
    }

    if (ch->is_due) {
        ngx_queue_remove(&ch->due);
    }

    if (ch->listeners) {
        ngx_free(ch->listeners);
    }

    ngx_free(ch);
}


static void
ngx_chat_channel_move(ngx_chat_channel_t *ch, ngx_uint_t from, ngx_uint_t to)
{
    if (from != to) {
        ch->listeners[to] = ch->listeners[from];
        ch->listeners[to].subscription->index = to;
    }
}


static ngx_int_t
ngx_chat_channel_resize(ngx_chat_channel_t *ch, ngx_uint_t nalloc,
    ngx_log_t *log)
{
    ngx_chat_listener_t  *p;

    p = ngx_alloc(nalloc * sizeof(ngx_chat_listener_t), log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (ch->listeners) {
        ngx_memcpy(p, ch->listeners, ch->n * sizeof(ngx_chat_listener_t));
        ngx_free(ch->listeners);
    }

    ch->listeners = p;
    ch->nalloc = nalloc;

    return NGX_OK;
}
