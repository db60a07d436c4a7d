
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Reads that wait, and what clients hold of a worker's memory.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <store/ngx_chat_read_queue.h>


#define NGX_CHAT_READ_QUEUE_MAX    1024    /* most reads waiting */
#define NGX_CHAT_READ_QUEUE_PAGE   (16 * 1024 * 1024)
#define NGX_CHAT_READ_QUEUE_SMALL  (64 * 1024)         /* a page always may */
#define NGX_CHAT_READ_QUEUE_SHARE  (1024 * 1024)       /* of a client */
#define NGX_CHAT_READ_QUEUE_LARGE  (64 * 1024 * 1024)  /* of larger pages */
#define NGX_CHAT_READ_QUEUE_HELD   (128 * 1024 * 1024) /* of all pages */


static size_t ngx_chat_read_queue_page(ngx_chat_read_queue_t *q);
static ngx_chat_read_t *ngx_chat_read_queue_longest(ngx_chat_read_queue_t *q);


void
ngx_chat_read_queue_init(ngx_chat_read_queue_t *q)
{
    ngx_queue_init(&q->clients);

    q->nwaiting = 0;
    q->held = 0;
}


void
ngx_chat_read_client_init(ngx_chat_read_client_t *client)
{
    ngx_queue_init(&client->waiting);

    client->nwaiting = 0;
    client->held = 0;
}


ngx_int_t
ngx_chat_read_queue_add(ngx_chat_read_queue_t *q, ngx_chat_read_t *rd,
    ngx_chat_read_t **refused)
{
    ngx_chat_read_client_t  *client;

    *refused = NULL;

    if (q->held >= NGX_CHAT_READ_QUEUE_HELD) {
        return NGX_BUSY;
    }

    client = rd->client;

    if (client->nwaiting++ == 0) {
        ngx_queue_insert_tail(&q->clients, &client->queue);
    }

    ngx_queue_insert_tail(&client->waiting, &rd->queue);
    rd->state = NGX_CHAT_READ_WAITING_e;

    if (++q->nwaiting > NGX_CHAT_READ_QUEUE_MAX) {
        *refused = ngx_chat_read_queue_longest(q);
        ngx_chat_read_queue_remove(q, *refused);
    }

    return NGX_OK;
}


/* The last read of the client that has the most of them; some read waits. */

static ngx_chat_read_t *
ngx_chat_read_queue_longest(ngx_chat_read_queue_t *q)
{
    ngx_queue_t             *p;
    ngx_chat_read_client_t  *client, *longest;

    p = ngx_queue_last(&q->clients);
    longest = ngx_queue_data(p, ngx_chat_read_client_t, queue);

    for (p = ngx_queue_prev(p);
         p != ngx_queue_sentinel(&q->clients);
         p = ngx_queue_prev(p))
    {
        client = ngx_queue_data(p, ngx_chat_read_client_t, queue);

        if (client->nwaiting > longest->nwaiting) {
            longest = client;
        }
    }

    return ngx_queue_data(ngx_queue_last(&longest->waiting), ngx_chat_read_t,
                          queue);
}


void
ngx_chat_read_queue_remove(ngx_chat_read_queue_t *q, ngx_chat_read_t *rd)
{
    ngx_chat_read_client_t  *client;

    client = rd->client;

    ngx_queue_remove(&rd->queue);
    q->nwaiting--;

    if (--client->nwaiting == 0) {
        ngx_queue_remove(&client->queue);
    }
}


ngx_chat_read_t *
ngx_chat_read_queue_next(ngx_chat_read_queue_t *q)
{
    size_t                   size;
    ngx_queue_t             *p;
    ngx_chat_read_t         *rd;
    ngx_chat_read_client_t  *client;

    for (p = ngx_queue_head(&q->clients);
         p != ngx_queue_sentinel(&q->clients);
         p = ngx_queue_next(p))
    {
        client = ngx_queue_data(p, ngx_chat_read_client_t, queue);

        if (client->held >= NGX_CHAT_READ_QUEUE_SHARE) {
            continue;
        }

        rd = ngx_queue_data(ngx_queue_head(&client->waiting), ngx_chat_read_t,
                            queue);

        ngx_chat_read_queue_remove(q, rd);

        if (client->nwaiting) {
            ngx_queue_remove(p);
            ngx_queue_insert_tail(&q->clients, p);
        }

        size = ngx_chat_read_queue_page(q);

        if (rd->most) {
            size = ngx_min(size, rd->most);
        }

        rd->state = NGX_CHAT_READ_STARTED_e;
        ngx_chat_read_queue_hold(q, rd, size);

        return rd;
    }

    return NULL;
}


/*
 * The most that the next page may have: half of what is left for large pages.
 * Beyond that many bytes pages are small ones.
 */

static size_t
ngx_chat_read_queue_page(ngx_chat_read_queue_t *q)
{
    size_t  size;

    if (q->held >= NGX_CHAT_READ_QUEUE_LARGE) {
        return NGX_CHAT_READ_QUEUE_SMALL;
    }

    size = (NGX_CHAT_READ_QUEUE_LARGE - q->held) / 2;
    size = ngx_max(size, NGX_CHAT_READ_QUEUE_SMALL);

    return ngx_min(size, NGX_CHAT_READ_QUEUE_PAGE);
}


void
ngx_chat_read_queue_hold(ngx_chat_read_queue_t *q, ngx_chat_read_t *rd,
    size_t size)
{
    q->held += size - rd->held;

    if (rd->client) {
        rd->client->held += size - rd->held;
    }

    rd->held = size;
}


void
ngx_chat_read_queue_leave(ngx_chat_read_t *rd)
{
    rd->client->held -= rd->held;
    rd->client = NULL;
}


void
ngx_chat_read_queue_release(ngx_chat_read_queue_t *q,
    ngx_chat_read_client_t *client, size_t size)
{
    q->held -= size;
    client->held -= size;
}
