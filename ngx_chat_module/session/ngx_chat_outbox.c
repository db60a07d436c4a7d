
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A client's queue of shared buffers.  Used by the event loop only.
 *
 * The links of all queues come from a list of free links that the worker
 * keeps, up to a bound.
 *
 * Plain sockets are sent to directly while the queue is empty.  TLS wants a
 * write that it could not finish repeated with the same bytes, so there
 * everything is queued and goes through nginx's TLS buffer.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <session/ngx_chat_outbox.h>
#include <shared/ngx_chat_counter.h>


#define NGX_CHAT_OUTBOX_BUFS   64      /* buffers in one call */
#define NGX_CHAT_OUTBOX_TURN   (1024 * 1024)   /* bytes that one client gets in
                                          a turn of the event loop */
#define NGX_CHAT_OUTBOX_LINKS  65536   /* most free links kept */


#if (NGX_SSL)
#define ngx_chat_outbox_is_tls(c)  ((c)->ssl != NULL)
#else
#define ngx_chat_outbox_is_tls(c)  0
#endif


/* Bytes of events, about: the first buffer may be an answer sent in part. */

#define ngx_chat_outbox_events(ob)                                            \
    (((ob)->queued > (ob)->answers) ? (ob)->queued - (ob)->answers : 0)


/* c->buffered: TLS has taken bytes that it has not sent. */

#define ngx_chat_outbox_waits(ob, c)                                          \
    ((ob)->first != NULL || (ngx_chat_outbox_is_tls(c) && (c)->buffered))


struct ngx_chat_link_s {
    ngx_chat_link_t         *next;
    ngx_chat_buf_t          *buf;
};


static ngx_int_t ngx_chat_outbox_make_room(ngx_chat_outbox_t *ob,
    ngx_connection_t *c, size_t len, size_t limit);
static ngx_int_t ngx_chat_outbox_write(ngx_chat_outbox_t *ob,
    ngx_connection_t *c, size_t max);
static ngx_int_t ngx_chat_outbox_send_chain(ngx_chat_outbox_t *ob,
    ngx_connection_t *c);
static void ngx_chat_outbox_advance(ngx_chat_outbox_t *ob, size_t n);
static ngx_int_t ngx_chat_outbox_queue(ngx_chat_outbox_t *ob,
    ngx_chat_buf_t *b);
static void ngx_chat_outbox_shift(ngx_chat_outbox_t *ob);


static ngx_chat_link_t  *ngx_chat_outbox_free;
static ngx_uint_t        ngx_chat_outbox_nfree;


ngx_chat_buf_t *
ngx_chat_buf_alloc(size_t len, ngx_log_t *log)
{
    ngx_chat_buf_t  *b;

    b = ngx_alloc(sizeof(ngx_chat_buf_t) + len, log);
    if (b == NULL) {
        return NULL;
    }

    b->refs = 1;
    b->is_answer = 0;
    b->len = len;
    b->size = len;

    return b;
}


void
ngx_chat_buf_release(ngx_chat_buf_t *b)
{
    if (--b->refs == 0) {
        ngx_free(b);
    }
}


ngx_int_t
ngx_chat_outbox_try(ngx_chat_outbox_t *ob, ngx_chat_buf_t *b)
{
    ssize_t  n;

    if (!ob->direct) {
        return NGX_DECLINED;
    }

    n = send(ob->fd, b->data, b->len, 0);

    if (n > 0) {
        ob->unsaid += n;
        ngx_chat_count(NGX_CHAT_SENT_e, n);

        if ((size_t) n == b->len) {
            return NGX_OK;
        }

        ob->sent = n;
    }

    ob->direct = 0;

    return NGX_DECLINED;
}


ngx_int_t
ngx_chat_outbox_send(ngx_chat_outbox_t *ob, ngx_connection_t *c,
    ngx_chat_buf_t *b, size_t limit, ngx_uint_t more)
{
    ngx_int_t  rc;

    if (!more && ngx_chat_outbox_try(ob, b) == NGX_OK) {
        return NGX_OK;
    }

    /* a buffer that was sent in part is finished, whatever the limit */

    if ((ob->first || ob->sent == 0)
        && !b->is_answer
        && ngx_chat_outbox_events(ob) + b->len > limit)
    {
        rc = ngx_chat_outbox_make_room(ob, c, b->len, limit);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (ngx_chat_outbox_queue(ob, b) != NGX_OK) {
        return NGX_ERROR;
    }

    return more ? NGX_AGAIN : ngx_chat_outbox_flush(ob, c);
}


ngx_int_t
ngx_chat_outbox_flush(ngx_chat_outbox_t *ob, ngx_connection_t *c)
{
    /* this client has got its bytes of this turn, the event sends the rest */

    if (c->write->posted && ngx_chat_outbox_waits(ob, c)) {
        return NGX_AGAIN;
    }

    return ngx_chat_outbox_write(ob, c, NGX_CHAT_OUTBOX_TURN);
}


void
ngx_chat_outbox_count_sent(ngx_chat_outbox_t *ob, ngx_connection_t *c)
{
    c->sent += ob->unsaid;
    ob->unsaid = 0;
}


void
ngx_chat_outbox_truncate(ngx_chat_outbox_t *ob)
{
    size_t            sent;
    ngx_chat_link_t  *first;

    if (ob->first == NULL || ob->sent == 0) {
        ngx_chat_outbox_clear(ob);
        return;
    }

    first = ob->first;
    sent = ob->sent;

    ob->first = first->next;
    ngx_chat_outbox_clear(ob);

    first->next = NULL;
    ob->first = first;
    ob->last = first;
    ob->sent = sent;
    ob->queued = first->buf->len - sent;
    ob->answers = first->buf->is_answer ? first->buf->len : 0;
}


void
ngx_chat_outbox_clear(ngx_chat_outbox_t *ob)
{
    while (ob->first) {
        ngx_chat_outbox_shift(ob);
    }

    ob->sent = 0;
    ob->queued = 0;
}


void
ngx_chat_outbox_exit(void)
{
    ngx_chat_link_t  *link;

    while (ngx_chat_outbox_free) {
        link = ngx_chat_outbox_free;
        ngx_chat_outbox_free = link->next;
        ngx_free(link);
    }

    ngx_chat_outbox_nfree = 0;
}


/*
 * A queue may be full only because the events of this turn are held back to
 * be sent together.  So first the socket gets what it takes.  A buffer longer
 * than the limit is queued where nothing else is.
 */

static ngx_int_t
ngx_chat_outbox_make_room(ngx_chat_outbox_t *ob, ngx_connection_t *c,
    size_t len, size_t limit)
{
    size_t  max;

    if (c->write->ready) {
        max = ngx_max(ngx_chat_outbox_events(ob) + len - limit,
                      NGX_CHAT_OUTBOX_TURN);

        if (ngx_chat_outbox_write(ob, c, max) == NGX_ERROR) {
            return NGX_ERROR;
        }
    }

    if (ngx_chat_outbox_events(ob) + len <= limit
        || (ob->queued == 0 && c->write->ready))
    {
        return NGX_OK;
    }

    return NGX_BUSY;
}


/*
 * Sends about max bytes.  Where the socket would take more, other clients are
 * served first, and the write event sends the rest.
 */

static ngx_int_t
ngx_chat_outbox_write(ngx_chat_outbox_t *ob, ngx_connection_t *c, size_t max)
{
    size_t  queued;

    queued = ob->queued;

    while (ngx_chat_outbox_waits(ob, c) && c->write->ready) {

        if (queued - ob->queued >= max) {
            ngx_post_event(c->write, &ngx_posted_next_events);
            break;
        }

        if (ngx_chat_outbox_send_chain(ob, c) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_chat_outbox_waits(ob, c)) {
        return NGX_AGAIN;
    }

    ob->fd = c->fd;
    ob->direct = !ngx_chat_outbox_is_tls(c);

    return NGX_OK;
}


/*
 * Sends the first buffers by one call.  How much was sent is read off the
 * chain's positions: with TLS, c->sent does not count the bytes that TLS has
 * taken and not sent.
 */

static ngx_int_t
ngx_chat_outbox_send_chain(ngx_chat_outbox_t *ob, ngx_connection_t *c)
{
    size_t            n;
    ngx_buf_t         bufs[NGX_CHAT_OUTBOX_BUFS];
    ngx_uint_t        i, count;
    ngx_chain_t       chain[NGX_CHAT_OUTBOX_BUFS];
    ngx_chat_link_t  *link;

    count = 0;

    for (link = ob->first;
         link && count < NGX_CHAT_OUTBOX_BUFS;
         link = link->next)
    {
        ngx_memzero(&bufs[count], sizeof(ngx_buf_t));

        bufs[count].start = link->buf->data + (count ? 0 : ob->sent);
        bufs[count].pos = bufs[count].start;
        bufs[count].last = link->buf->data + link->buf->len;
        bufs[count].memory = 1;

        chain[count].buf = &bufs[count];
        chain[count].next = &chain[count + 1];

        count++;
    }

    if (count) {
        chain[count - 1].next = NULL;
        bufs[count - 1].flush = 1;
    }

    if (c->send_chain(c, count ? chain : NULL, NGX_CHAT_OUTBOX_TURN)
        == NGX_CHAIN_ERROR)
    {
        return NGX_ERROR;
    }

    n = 0;

    for (i = 0; i < count; i++) {
        n += bufs[i].pos - bufs[i].start;
    }

    ngx_chat_outbox_advance(ob, n);

    return NGX_OK;
}


/* n more bytes are sent. */

static void
ngx_chat_outbox_advance(ngx_chat_outbox_t *ob, size_t n)
{
    size_t  rest;

    ngx_chat_count(NGX_CHAT_SENT_e, n);

    ob->queued -= n;

    while (ob->first) {
        rest = ob->first->buf->len - ob->sent;

        if (n < rest) {
            ob->sent += n;
            return;
        }

        n -= rest;
        ob->sent = 0;
        ngx_chat_outbox_shift(ob);
    }
}


static ngx_int_t
ngx_chat_outbox_queue(ngx_chat_outbox_t *ob, ngx_chat_buf_t *b)
{
    ngx_chat_link_t  *link;

    link = ngx_chat_outbox_free;

    if (link) {
        ngx_chat_outbox_free = link->next;
        ngx_chat_outbox_nfree--;

    } else {
        link = ngx_alloc(sizeof(ngx_chat_link_t), ngx_cycle->log);

        if (link == NULL) {
            return NGX_ERROR;
        }
    }

    link->next = NULL;
    link->buf = b;
    b->refs++;

    ob->direct = 0;
    ob->queued += b->len;
    ob->answers += b->is_answer ? b->len : 0;

    if (ob->first == NULL) {
        ob->first = link;
        ob->queued -= ob->sent;

    } else {
        ob->last->next = link;
    }

    ob->last = link;

    return NGX_OK;
}


static void
ngx_chat_outbox_shift(ngx_chat_outbox_t *ob)
{
    ngx_chat_link_t  *link;

    link = ob->first;
    ob->first = link->next;
    ob->answers -= link->buf->is_answer ? link->buf->len : 0;

    ngx_chat_buf_release(link->buf);

    if (ngx_chat_outbox_nfree == NGX_CHAT_OUTBOX_LINKS) {
        ngx_free(link);
        return;
    }

    link->next = ngx_chat_outbox_free;
    ngx_chat_outbox_free = link;
    ngx_chat_outbox_nfree++;
}
