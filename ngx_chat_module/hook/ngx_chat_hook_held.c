
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Ends of states that are held back: a queue, and a hash table to find one.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_hook_held.h>


static ngx_chat_hook_held_t **ngx_chat_hook_held_find(
    ngx_chat_hook_held_list_t *l, uint64_t app, ngx_str_t *channel,
    ngx_str_t *user);
static ngx_uint_t ngx_chat_hook_held_hash(uint64_t app, ngx_str_t *channel,
    ngx_str_t *user);
static ngx_uint_t ngx_chat_hook_held_equal(ngx_str_t *a, ngx_str_t *b);


void
ngx_chat_hook_held_init(ngx_chat_hook_held_list_t *l)
{
    ngx_memzero(l, sizeof(ngx_chat_hook_held_list_t));

    ngx_queue_init(&l->queue);
}


ngx_int_t
ngx_chat_hook_held_add(ngx_chat_hook_held_list_t *l, uint64_t app,
    ngx_str_t *channel, ngx_str_t *user, uint64_t due, uint64_t position)
{
    u_char                 *p;
    ngx_chat_hook_held_t   *h, **place;

    place = ngx_chat_hook_held_find(l, app, channel, user);

    if (*place) {
        return NGX_OK;
    }

    h = malloc(sizeof(ngx_chat_hook_held_t) + channel->len + user->len);

    if (h == NULL) {
        return NGX_ERROR;
    }

    h->next = NULL;
    h->app = app;
    h->due = due;
    h->position = position;

    p = (u_char *) h + sizeof(ngx_chat_hook_held_t);

    h->channel.data = p;
    h->channel.len = channel->len;
    p = ngx_cpymem(p, channel->data, channel->len);

    h->user.data = p;
    h->user.len = user->len;

    if (user->len) {
        ngx_memcpy(p, user->data, user->len);
    }

    *place = h;
    ngx_queue_insert_tail(&l->queue, &h->queue);
    l->n++;

    return NGX_OK;
}


ngx_uint_t
ngx_chat_hook_held_drop(ngx_chat_hook_held_list_t *l, uint64_t app,
    ngx_str_t *channel, ngx_str_t *user)
{
    ngx_chat_hook_held_t  *h, **place;

    place = ngx_chat_hook_held_find(l, app, channel, user);
    h = *place;

    if (h == NULL) {
        return 0;
    }

    *place = h->next;
    ngx_queue_remove(&h->queue);
    l->n--;

    free(h);

    return 1;
}


ngx_chat_hook_held_t *
ngx_chat_hook_held_first(ngx_chat_hook_held_list_t *l)
{
    return ngx_queue_empty(&l->queue)
           ? NULL : ngx_queue_data(ngx_queue_head(&l->queue),
                                   ngx_chat_hook_held_t, queue);
}


void
ngx_chat_hook_held_clear(ngx_chat_hook_held_list_t *l)
{
    ngx_queue_t  *q, *next;

    for (q = ngx_queue_head(&l->queue);
         q != ngx_queue_sentinel(&l->queue);
         q = next)
    {
        next = ngx_queue_next(q);
        free(ngx_queue_data(q, ngx_chat_hook_held_t, queue));
    }

    ngx_chat_hook_held_init(l);
}


/* The place of the pointer to it, or of the NULL at the bucket's end. */

static ngx_chat_hook_held_t **
ngx_chat_hook_held_find(ngx_chat_hook_held_list_t *l, uint64_t app,
    ngx_str_t *channel, ngx_str_t *user)
{
    ngx_chat_hook_held_t  *h, **place;

    place = &l->buckets[ngx_chat_hook_held_hash(app, channel, user)
                        % NGX_CHAT_HOOK_HELD_BUCKETS];

    for (h = *place; h; h = *place) {

        if (h->app == app
            && ngx_chat_hook_held_equal(&h->channel, channel)
            && ngx_chat_hook_held_equal(&h->user, user))
        {
            break;
        }

        place = &h->next;
    }

    return place;
}


/* FNV-1a.  Clients choose names, but can't make many collide for longer than
   the few seconds that they are held. */

static ngx_uint_t
ngx_chat_hook_held_hash(uint64_t app, ngx_str_t *channel, ngx_str_t *user)
{
    size_t    i;
    uint64_t  hash;

    hash = 14695981039346656037u ^ app;

    for (i = 0; i < channel->len; i++) {
        hash = (hash ^ channel->data[i]) * 1099511628211u;
    }

    hash = (hash ^ '\n') * 1099511628211u;

    for (i = 0; i < user->len; i++) {
        hash = (hash ^ user->data[i]) * 1099511628211u;
    }

    return hash ^ hash >> 32;
}


static ngx_uint_t
ngx_chat_hook_held_equal(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len
           && (a->len == 0 || ngx_memcmp(a->data, b->data, a->len) == 0);
}
