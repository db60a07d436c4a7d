
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A client's queue of shared buffers.  Used by the event loop only.
 *
 * The links of all queues come from a list of free links that the worker
 * keeps, up to a bound.
 *
 * While the queue is empty, buffers are sent without being queued; with TLS,
 * those that one record takes.
 *
 * With TLS, each call gives OpenSSL the bytes of one record: out of the first
 * buffer, or, where they are in several, gathered in memory that the worker
 * has once.  A record that the socket did not take whole is begun, and OpenSSL
 * wants the same bytes given again, at the same place, until all is out.  So
 * these stay in the queue, and are gathered again.
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
#define NGX_CHAT_OUTBOX_RECORD 16384   /* most bytes of a TLS record */


#if (NGX_SSL)
#define ngx_chat_outbox_is_tls(c)       ((c)->ssl != NULL)
#define ngx_chat_outbox_record_size(c)                                        \
    ngx_min((c)->ssl->buffer_size, NGX_CHAT_OUTBOX_RECORD)
#else
#define ngx_chat_outbox_is_tls(c)       0
#define ngx_chat_outbox_record_size(c)  NGX_CHAT_OUTBOX_RECORD
#endif


/* What nginx's TLS buffer has goes first, and that one takes what is behind. */

#define ngx_chat_outbox_send_next(ob, c)                                      \
    ((ngx_chat_outbox_is_tls(c) && ((ob)->begun || !(c)->buffered))           \
     ? ngx_chat_outbox_send_record(ob, c) : ngx_chat_outbox_send_chain(ob, c))


/* Bytes of events, about: the first buffer may be an answer sent in part. */

#define ngx_chat_outbox_events(ob)                                            \
    (((ob)->queued > (ob)->answers) ? (ob)->queued - (ob)->answers : 0)


/* c->buffered: TLS has taken bytes that it has not sent. */

#define ngx_chat_outbox_waits(ob, c)                                          \
    ((ob)->first != NULL || (ngx_chat_outbox_is_tls(c) && (c)->buffered))


struct ngx_chat_outbox_link_s {
    ngx_chat_outbox_link_t         *next;
    ngx_chat_buf_t          *buf;
};


static ngx_int_t ngx_chat_outbox_make_room(ngx_chat_outbox_t *ob,
    ngx_connection_t *c, size_t len, size_t limit);
static ngx_int_t ngx_chat_outbox_write(ngx_chat_outbox_t *ob,
    ngx_connection_t *c, size_t max);
static ngx_int_t ngx_chat_outbox_send_record(ngx_chat_outbox_t *ob,
    ngx_connection_t *c);
#if (NGX_SSL)
static ngx_int_t ngx_chat_outbox_try_record(ngx_chat_outbox_t *ob,
    ngx_chat_buf_t *b);
#endif
static u_char *ngx_chat_outbox_gather(ngx_chat_outbox_t *ob, size_t len);
static ngx_int_t ngx_chat_outbox_send_chain(ngx_chat_outbox_t *ob,
    ngx_connection_t *c);
static void ngx_chat_outbox_advance(ngx_chat_outbox_t *ob, size_t n);
static ngx_int_t ngx_chat_outbox_queue(ngx_chat_outbox_t *ob,
    ngx_chat_buf_t *b);
static void ngx_chat_outbox_shift(ngx_chat_outbox_t *ob);
static void ngx_chat_outbox_drop(ngx_chat_outbox_t *ob,
    ngx_chat_outbox_link_t *link);


static ngx_chat_outbox_link_t  *ngx_chat_outbox_free;
static ngx_uint_t        ngx_chat_outbox_nfree;

/*
 * A record's bytes.  Where the kernel encrypts, OpenSSL has no copy of them,
 * and reads here whenever the write is repeated.
 */
static u_char            ngx_chat_outbox_record[NGX_CHAT_OUTBOX_RECORD];


ngx_int_t
ngx_chat_outbox_try(ngx_chat_outbox_t *ob, ngx_chat_buf_t *b)
{
    ssize_t  n;

    if (!ob->direct) {
        return NGX_DECLINED;
    }

#if (NGX_SSL)
    if (ob->tls) {
        return ngx_chat_outbox_try_record(ob, b);
    }
#endif

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

    if ((ob->first || ob->sent + ob->begun == 0)
        && !b->is_answer
        && ngx_chat_outbox_events(ob) + b->len > limit)
    {
        rc = ngx_chat_outbox_make_room(ob, c, b->len, limit);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    c->buffered |= ob->begun ? NGX_SSL_BUFFERED : 0;

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
    size_t            n;
    ngx_chat_outbox_link_t  *last, *link, *next;

    /* what the client has got, and what the record begun brings it yet */

    n = ob->sent + ob->begun;

    if (ob->first == NULL || n == 0) {
        ngx_chat_outbox_clear(ob);
        return;
    }

    for (last = ob->first; n > last->buf->len; last = last->next) {
        n -= last->buf->len;
    }

    for (link = last->next; link; link = next) {
        next = link->next;
        ob->queued -= link->buf->len;
        ngx_chat_outbox_drop(ob, link);
    }

    last->next = NULL;
    ob->last = last;
}


void
ngx_chat_outbox_clear(ngx_chat_outbox_t *ob)
{
    while (ob->first) {
        ngx_chat_outbox_shift(ob);
    }

    ob->sent = 0;
    ob->queued = 0;
    ob->begun = 0;
}


void
ngx_chat_outbox_exit(void)
{
    ngx_chat_outbox_link_t  *link;

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
    size_t     queued;
    ngx_int_t  rc;

    queued = ob->queued;

    while (ngx_chat_outbox_waits(ob, c) && c->write->ready) {

        if (queued - ob->queued >= max) {
            ngx_post_event(c->write, &ngx_posted_next_events);
            break;
        }

        rc = ngx_chat_outbox_send_next(ob, c);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (rc == NGX_AGAIN) {
            break;
        }
    }

    /* without a socket there is no event: the transport calls flush() */

    if (c->fd == (ngx_socket_t) -1) {
        return ngx_chat_outbox_waits(ob, c) ? NGX_AGAIN : NGX_OK;
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_chat_outbox_waits(ob, c)) {
        return NGX_AGAIN;
    }

    ob->fd = c->fd;

#if (NGX_SSL)
    ob->tls = c->ssl ? c->ssl->connection : NULL;

    /* shorter records, and early data, are nginx's */

    ob->direct = (c->ssl == NULL
                  || (c->ssl->buffer_size >= NGX_CHAT_OUTBOX_RECORD
                      && !c->ssl->in_early));
#else
    ob->direct = 1;
#endif

    return NGX_OK;
}


#if (NGX_SSL)


/*
 * Without nginx, whose part costs a delivery 4 to 8 %.  What is not taken whole
 * is begun: send() gives it again by nginx, which learns what is the matter.
 */

static ngx_int_t
ngx_chat_outbox_try_record(ngx_chat_outbox_t *ob, ngx_chat_buf_t *b)
{
    if (b->len > NGX_CHAT_OUTBOX_RECORD) {
        return NGX_DECLINED;
    }

    if (SSL_write(ob->tls, b->data, (int) b->len) == (int) b->len) {
        ob->unsaid += b->len;
        ngx_chat_count(NGX_CHAT_SENT_e, b->len);
        return NGX_OK;
    }

    ERR_clear_error();

    ob->begun = b->len;
    ob->direct = 0;

    return NGX_DECLINED;
}


#endif


/*
 * Sends one record, as long as nginx's ssl_buffer_size wants it.  NGX_AGAIN:
 * it is begun, an event will come.  c->buffered then keeps nginx from putting
 * a close_notify behind half a record.
 */

static ngx_int_t
ngx_chat_outbox_send_record(ngx_chat_outbox_t *ob, ngx_connection_t *c)
{
    size_t   len;
    u_char  *p;
    ssize_t  n;

    len = ob->begun;

    if (len == 0) {
        len = ngx_min(ob->queued, ngx_chat_outbox_record_size(c));
    }

    /* something waits, or nobody would call; the analyzer can't know */

    /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
    p = (len <= ob->first->buf->len - ob->sent)
        ? ob->first->buf->data + ob->sent
        : ngx_chat_outbox_gather(ob, len);

    n = c->send(c, p, len);

    if (n == NGX_AGAIN) {
        ob->begun = len;
        c->buffered |= NGX_SSL_BUFFERED;

        return NGX_AGAIN;
    }

    if (n <= 0) {
        return NGX_ERROR;
    }

    ob->begun = 0;
    c->buffered &= ~NGX_SSL_BUFFERED;

    ngx_chat_outbox_advance(ob, n);

    return NGX_OK;
}


/* Copies len bytes from the queue's begin. */

static u_char *
ngx_chat_outbox_gather(ngx_chat_outbox_t *ob, size_t len)
{
    size_t            n, from;
    u_char           *p;
    ngx_chat_outbox_link_t  *link;

    p = ngx_chat_outbox_record;
    from = ob->sent;

    for (link = ob->first; len; link = link->next) {
        n = ngx_min(len, link->buf->len - from);
        p = ngx_cpymem(p, link->buf->data + from, n);

        len -= n;
        from = 0;
    }

    return ngx_chat_outbox_record;
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
    ngx_chat_outbox_link_t  *link;

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
    ngx_chat_outbox_link_t  *link;

    link = ngx_chat_outbox_free;

    if (link) {
        ngx_chat_outbox_free = link->next;
        ngx_chat_outbox_nfree--;

    } else {
        link = ngx_alloc(sizeof(ngx_chat_outbox_link_t), ngx_cycle->log);

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
    ngx_chat_outbox_link_t  *link;

    link = ob->first;
    ob->first = link->next;

    ngx_chat_outbox_drop(ob, link);
}


/* A link that is out of the queue. */

static void
ngx_chat_outbox_drop(ngx_chat_outbox_t *ob, ngx_chat_outbox_link_t *link)
{
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
