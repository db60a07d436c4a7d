
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Answers to pipelined requests leave together, those to triggers behind the
 * first deliveries.
 *
 * A segment on its own costs about as much as a delivery, and wakes the
 * client.  So an answer behind which the next request is already here is kept
 * here, and leaves by the same call as the next answer.  If that is not due
 * at once, as the next request is incomplete or has to wait for something,
 * the next turn of the event loop sends what is kept.
 *
 * The answer to a trigger is kept in any case: its event most likely leaves at
 * the end of this turn, and is what is waited for.  The hub has what is kept
 * sent behind the first deliveries.
 *
 * For nginx an answer that is kept is sent: it closes the request.  So
 * nothing is kept unless the kernel has sent all that it got, and has room
 * for much more; whoever does not read gets each answer by itself, and has
 * nginx wait.  If the kernel does not take it nevertheless, as it is short of
 * memory, the connection ends: the client must not take the next answer for
 * this one.
 *
 * What else nginx sends comes behind: while something is kept, the
 * connection's calls for sending are those of this file.  Before it closes a
 * connection it calls ngx_del_conn(), by a pointer, which is each process's
 * own: what is kept is sent there.  Only lingering comes before: for an
 * HTTP/0.9 request that is answered by nothing at all, and where a SIGTERM
 * comes just between an answer and the end of its request.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include <linux/sock_diag.h>
#include <linux/sockios.h>

#include <http/ngx_chat_pipeline.h>


#define NGX_CHAT_PIPELINE_HELD  64         /* connections, at most */
#define NGX_CHAT_PIPELINE_SIZE  4096       /* bytes of each, at most */

/* Memory that the kernel has to have for them: small segments take more. */
#define NGX_CHAT_PIPELINE_ROOM  (4 * NGX_CHAT_PIPELINE_SIZE)


typedef ngx_int_t (*ngx_chat_pipeline_pt)(ngx_connection_t *c,
    ngx_uint_t flags);


typedef struct {
    ngx_connection_t        *connection;
    u_char                  *data;         /* one of the buffers */
    size_t                   len;          /* bytes to be sent from there */
} ngx_chat_pipeline_t;


static ngx_int_t ngx_chat_pipeline_del_conn(ngx_connection_t *c,
    ngx_uint_t flags);
static ngx_uint_t ngx_chat_pipeline_may_hold(ngx_http_request_t *r,
    ngx_uint_t behind);
static ngx_uint_t ngx_chat_pipeline_has_room(ngx_connection_t *c);
static ngx_chain_t *ngx_chat_pipeline_send_chain(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);
static ssize_t ngx_chat_pipeline_send(ngx_connection_t *c, u_char *buf,
    size_t size);
static size_t ngx_chat_pipeline_hold(ngx_connection_t *c,
    ngx_chat_pipeline_t *held, ngx_chain_t *in, off_t limit);
static ngx_chain_t *ngx_chat_pipeline_flush(ngx_chat_pipeline_t *held,
    ngx_chain_t *in, off_t limit);
static ngx_chat_pipeline_t *ngx_chat_pipeline_find(ngx_connection_t *c);
static ngx_chat_pipeline_t *ngx_chat_pipeline_add(ngx_connection_t *c);
static void ngx_chat_pipeline_drop(ngx_chat_pipeline_t *held);
static void ngx_chat_pipeline_push_handler(ngx_event_t *ev);


static ngx_chat_pipeline_pt  ngx_chat_pipeline_next;
static ngx_event_t           ngx_chat_pipeline_event;

/* the answer that is sent just now may be kept */
static ngx_uint_t            ngx_chat_pipeline_more;

/* this worker's connections with something kept; behind them free buffers */
static ngx_chat_pipeline_t   ngx_chat_pipeline_held[NGX_CHAT_PIPELINE_HELD];
static ngx_uint_t            ngx_chat_pipeline_nheld;

static u_char                ngx_chat_pipeline_buffers[NGX_CHAT_PIPELINE_HELD]
                                                     [NGX_CHAT_PIPELINE_SIZE];


void
ngx_chat_pipeline_init(void)
{
    ngx_uint_t  i;

    if (ngx_event_actions.del_conn == NULL
        || ngx_event_actions.del_conn == ngx_chat_pipeline_del_conn)
    {
        return;
    }

    ngx_chat_pipeline_next = ngx_event_actions.del_conn;
    ngx_event_actions.del_conn = ngx_chat_pipeline_del_conn;

    for (i = 0; i < NGX_CHAT_PIPELINE_HELD; i++) {
        ngx_chat_pipeline_held[i].data = ngx_chat_pipeline_buffers[i];
    }

    ngx_chat_pipeline_event.handler = ngx_chat_pipeline_push_handler;
    ngx_chat_pipeline_event.log = ngx_cycle->log;
}


static ngx_int_t
ngx_chat_pipeline_del_conn(ngx_connection_t *c, ngx_uint_t flags)
{
    (void) ngx_chat_pipeline_push(c);

    return ngx_chat_pipeline_next(c, flags);
}


ngx_int_t
ngx_chat_pipeline_output(ngx_http_request_t *r, ngx_chain_t *out,
    ngx_uint_t behind)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = r->connection;

    if (!ngx_chat_pipeline_may_hold(r, behind)) {
        return ngx_http_output_filter(r, out);
    }

    ngx_chat_pipeline_more = 1;
    c->send_chain = ngx_chat_pipeline_send_chain;

    rc = ngx_http_output_filter(r, out);

    ngx_chat_pipeline_more = 0;

    if (c->send != ngx_chat_pipeline_send) {
        c->send_chain = ngx_send_chain;
    }

    return rc;
}


/*
 * Only what goes through a TCP socket as it is, and stays open behind it (the
 * client's address may be another one by now, as realip does it), which a
 * leaving worker's does not.  The next request is in nginx's buffer, or, where
 * that ended in this one's body, still in the socket.
 */

static ngx_uint_t
ngx_chat_pipeline_may_hold(ngx_http_request_t *r, ngx_uint_t behind)
{
    ngx_connection_t  *c;

    c = r->connection;

    if (r != r->main
        || !r->keepalive
        || ngx_exiting
        || ngx_terminate
        || (!behind
            && r->header_in->pos == r->header_in->last
            && !(c->read->ready && c->read->available > 0))
        || ngx_event_actions.del_conn != ngx_chat_pipeline_del_conn)
    {
        return 0;
    }

    return c->send == ngx_chat_pipeline_send
           || (c->send == ngx_send
               && c->send_chain == ngx_send_chain
               && c->listening->sockaddr->sa_family != AF_UNIX);
}


/* There is a place in the table, and all of it would be taken at once; limits
   such as tcp_notsent_lowat are for what is unsent. */

static ngx_uint_t
ngx_chat_pipeline_has_room(ngx_connection_t *c)
{
    int        unsent;
    uint32_t   mem[SK_MEMINFO_VARS];
    socklen_t  len;

    if (ngx_chat_pipeline_nheld == NGX_CHAT_PIPELINE_HELD) {
        return 0;
    }

    len = sizeof(mem);

    if (getsockopt(c->fd, SOL_SOCKET, SO_MEMINFO, mem, &len) == -1
        || len <= SK_MEMINFO_WMEM_QUEUED * sizeof(uint32_t)
        || mem[SK_MEMINFO_SNDBUF]
           < mem[SK_MEMINFO_WMEM_QUEUED] + NGX_CHAT_PIPELINE_ROOM)
    {
        return 0;
    }

    /* what is queued is not acknowledged, at least */

    return mem[SK_MEMINFO_WMEM_QUEUED] == 0
           || (ioctl(c->fd, SIOCOUTQNSD, &unsent) == 0 && unsent == 0);
}


/* A ngx_send_chain_pt. */

static ngx_chain_t *
ngx_chat_pipeline_send_chain(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit)
{
    size_t                size;
    ngx_chat_pipeline_t  *held;

    held = ngx_chat_pipeline_find(c);

    if (ngx_chat_pipeline_more) {
        size = ngx_chat_pipeline_hold(c, held, in, limit);

        if (size) {
            return ngx_chain_update_sent(in, size);
        }
    }

    return held ? ngx_chat_pipeline_flush(held, in, limit)
                : ngx_send_chain(c, in, limit);
}


/* A ngx_send_pt: 100 Continue, and proxied upgrades. */

static ssize_t
ngx_chat_pipeline_send(ngx_connection_t *c, u_char *buf, size_t size)
{
    if (ngx_chat_pipeline_push(c) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_send(c, buf, size);
}


/* Keeps all of an answer's part, or nothing; its bytes, or 0. */

static size_t
ngx_chat_pipeline_hold(ngx_connection_t *c, ngx_chat_pipeline_t *held,
    ngx_chain_t *in, off_t limit)
{
    u_char       *p;
    size_t        size;
    ngx_chain_t  *cl;

    size = 0;

    for (cl = in; cl; cl = cl->next) {

        if (ngx_buf_special(cl->buf)) {
            continue;
        }

        if (!ngx_buf_in_memory_only(cl->buf)) {
            return 0;
        }

        size += cl->buf->last - cl->buf->pos;
    }

    if (size == 0
        || size > NGX_CHAT_PIPELINE_SIZE - (held ? held->len : 0)
        || (limit && (off_t) size > limit))
    {
        return 0;
    }

    if (held == NULL) {

        if (!c->write->ready || !ngx_chat_pipeline_has_room(c)) {
            return 0;
        }

        held = ngx_chat_pipeline_add(c);
    }

    p = held->data + held->len;

    for (cl = in; cl; cl = cl->next) {

        if (!ngx_buf_special(cl->buf)) {
            p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
        }
    }

    held->len += size;
    c->sent += size;

    return size;
}


/*
 * Sends what is kept, and what comes behind it, which may be NULL.  Returns
 * what is left of the latter, as a ngx_send_chain_pt; nothing is kept then.
 */

static ngx_chain_t *
ngx_chat_pipeline_flush(ngx_chat_pipeline_t *held, ngx_chain_t *in,
    off_t limit)
{
    ngx_buf_t          b;
    ngx_chain_t        out, *rest;
    ngx_connection_t  *c;

    ngx_memzero(&b, sizeof(ngx_buf_t));

    b.pos = held->data;
    b.last = held->data + held->len;
    b.memory = 1;
    b.flush = 1;

    out.buf = &b;
    out.next = in;

    c = held->connection;

    /* what is kept has been counted before, for the limit, too */

    rest = ngx_send_chain(c, &out, limit ? limit + (off_t) held->len : 0);

    c->sent -= b.pos - held->data;

    ngx_chat_pipeline_drop(held);

    if (rest != NGX_CHAIN_ERROR && b.pos < b.last) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0,
                      "chat answer could not be sent, the connection ends");
        rest = NGX_CHAIN_ERROR;
    }

    if (rest == NGX_CHAIN_ERROR) {

        /* nginx reads the end, behind what it has read already: at most one
           request of that is done still, without an answer */

        c->error = 1;
        (void) shutdown(c->fd, SHUT_RDWR);
    }

    return rest;
}


/* NULL: nothing of the connection's is kept. */

static ngx_chat_pipeline_t *
ngx_chat_pipeline_find(ngx_connection_t *c)
{
    ngx_uint_t  i;

    /* most connections, without looking at all of the others */

    if (c->send != ngx_chat_pipeline_send) {
        return NULL;
    }

    for (i = 0; i < ngx_chat_pipeline_nheld; i++) {

        if (ngx_chat_pipeline_held[i].connection == c) {
            return &ngx_chat_pipeline_held[i];
        }
    }

    return NULL;
}


/* The caller has seen to it that there is room. */

static ngx_chat_pipeline_t *
ngx_chat_pipeline_add(ngx_connection_t *c)
{
    ngx_chat_pipeline_t  *held;

    held = &ngx_chat_pipeline_held[ngx_chat_pipeline_nheld++];

    held->connection = c;
    held->len = 0;

    c->send_chain = ngx_chat_pipeline_send_chain;
    c->send = ngx_chat_pipeline_send;

    if (!ngx_chat_pipeline_event.posted) {
        ngx_post_event(&ngx_chat_pipeline_event, &ngx_posted_next_events);
    }

    return held;
}


static void
ngx_chat_pipeline_drop(ngx_chat_pipeline_t *held)
{
    ngx_connection_t     *c;
    ngx_chat_pipeline_t  *last;
    ngx_chat_pipeline_t   empty;

    c = held->connection;

    c->send_chain = ngx_send_chain;
    c->send = ngx_send;

    /* each buffer stays in the table once */

    last = &ngx_chat_pipeline_held[--ngx_chat_pipeline_nheld];

    empty = *held;
    *held = *last;
    *last = empty;
}


/* In most turns the last answer has taken all along: nothing is left. */

static void
ngx_chat_pipeline_push_handler(ngx_event_t *ev)
{
    ngx_chat_pipeline_push_all();
}


ngx_int_t
ngx_chat_pipeline_push(ngx_connection_t *c)
{
    ngx_chat_pipeline_t  *held;

    held = ngx_chat_pipeline_find(c);

    if (held && ngx_chat_pipeline_flush(held, NULL, 0) == NGX_CHAIN_ERROR) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_chat_pipeline_push_all(void)
{
    ngx_uint_t  n;

    while (ngx_chat_pipeline_nheld) {
        n = ngx_chat_pipeline_nheld - 1;
        (void) ngx_chat_pipeline_flush(&ngx_chat_pipeline_held[n], NULL, 0);
    }

    if (ngx_chat_pipeline_event.posted) {
        ngx_delete_posted_event(&ngx_chat_pipeline_event);
    }
}
