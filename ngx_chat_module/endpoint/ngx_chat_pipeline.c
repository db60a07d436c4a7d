
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Answers to pipelined requests leave together.
 *
 * A segment on its own costs about as much as a delivery, and wakes the
 * client.  So an answer behind which the next request is already here is sent
 * with MSG_MORE: the kernel has it, whatever becomes of the connection, and
 * sends it together with the next answer.  If that is not due at once, as the
 * next request is incomplete or has to wait for the disk, the next turn of
 * the event loop pushes what is held back.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <endpoint/ngx_chat_pipeline.h>


#define NGX_CHAT_PIPELINE_HELD  64         /* connections, at most */
#define NGX_CHAT_PIPELINE_BUFS  8          /* of an answer, at most */


/* This worker's connections with something held back in the kernel. */

typedef struct {
    ngx_connection_t     *connection;
    ngx_atomic_uint_t     number;          /* another one: it is closed */
} ngx_chat_pipeline_held_t;


static ngx_uint_t ngx_chat_pipeline_may_hold(ngx_http_request_t *r);
static ngx_chain_t *ngx_chat_pipeline_send_chain(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);
static void ngx_chat_pipeline_hold(ngx_connection_t *c);
static void ngx_chat_pipeline_forget(ngx_connection_t *c);
static void ngx_chat_pipeline_push(ngx_event_t *ev);


static ngx_chat_pipeline_held_t
                    ngx_chat_pipeline_held[NGX_CHAT_PIPELINE_HELD];
static ngx_uint_t   ngx_chat_pipeline_nheld;
static ngx_event_t  ngx_chat_pipeline_event;


ngx_int_t
ngx_chat_pipeline_output(ngx_http_request_t *r, ngx_chain_t *out)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    c = r->connection;

    if (!ngx_chat_pipeline_may_hold(r)) {
        rc = ngx_http_output_filter(r, out);

        /* without MSG_MORE all has left */
        ngx_chat_pipeline_forget(c);

        return rc;
    }

    c->send_chain = ngx_chat_pipeline_send_chain;
    rc = ngx_http_output_filter(r, out);
    c->send_chain = ngx_send_chain;

    return rc;
}


/*
 * Only what goes through the socket as it is, and stays open behind it.  The
 * next request is in nginx's buffer, or, where that ended in this one's body,
 * still in the socket.
 */

static ngx_uint_t
ngx_chat_pipeline_may_hold(ngx_http_request_t *r)
{
    ngx_connection_t  *c;

    c = r->connection;

    return r == r->main
           && r->keepalive
           && r->http_version == NGX_HTTP_VERSION_11
           && (r->header_in->pos < r->header_in->last
               || (c->read->ready && c->read->available > 0))
           && c->send_chain == ngx_send_chain
           && ngx_chat_pipeline_nheld < NGX_CHAT_PIPELINE_HELD;
}


/* A ngx_send_chain_pt; what is not as simple as usual is left to nginx's. */

static ngx_chain_t *
ngx_chat_pipeline_send_chain(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit)
{
    off_t          size;
    ssize_t        n;
    ngx_uint_t     i;
    ngx_chain_t   *cl;
    struct iovec   iov[NGX_CHAT_PIPELINE_BUFS];
    struct msghdr  msg;

    size = 0;
    i = 0;

    for (cl = in; cl; cl = cl->next) {

        if (ngx_buf_special(cl->buf)) {
            continue;
        }

        if (i == NGX_CHAT_PIPELINE_BUFS || !ngx_buf_in_memory(cl->buf)) {
            return ngx_send_chain(c, in, limit);
        }

        iov[i].iov_base = cl->buf->pos;
        iov[i].iov_len = cl->buf->last - cl->buf->pos;
        size += iov[i++].iov_len;
    }

    if (size == 0 || (limit && size > limit)) {
        return ngx_send_chain(c, in, limit);
    }

    ngx_memzero(&msg, sizeof(struct msghdr));
    msg.msg_iov = iov;
    msg.msg_iovlen = i;

    n = sendmsg(c->fd, &msg, MSG_MORE);

    if (n <= 0) {
        return ngx_send_chain(c, in, limit);
    }

    ngx_chat_pipeline_hold(c);

    c->sent += n;

    if (n < size) {
        c->write->ready = 0;
    }

    return ngx_chain_update_sent(in, n);
}


static void
ngx_chat_pipeline_hold(ngx_connection_t *c)
{
    ngx_event_t               *ev;
    ngx_chat_pipeline_held_t  *held;

    ngx_chat_pipeline_forget(c);

    held = &ngx_chat_pipeline_held[ngx_chat_pipeline_nheld++];

    held->connection = c;
    held->number = c->number;

    ev = &ngx_chat_pipeline_event;

    if (!ev->posted) {
        ev->handler = ngx_chat_pipeline_push;
        ev->log = ngx_cycle->log;

        ngx_post_event(ev, &ngx_posted_next_events);
    }
}


static void
ngx_chat_pipeline_forget(ngx_connection_t *c)
{
    ngx_uint_t  i;

    for (i = 0; i < ngx_chat_pipeline_nheld; i++) {

        if (ngx_chat_pipeline_held[i].connection == c) {
            ngx_chat_pipeline_held[i] =
                          ngx_chat_pipeline_held[--ngx_chat_pipeline_nheld];
            return;
        }
    }
}


static void
ngx_chat_pipeline_push(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_chat_pipeline_held_t  *held;

    while (ngx_chat_pipeline_nheld) {
        held = &ngx_chat_pipeline_held[--ngx_chat_pipeline_nheld];
        c = held->connection;

        if (c->fd == (ngx_socket_t) -1 || c->number != held->number) {
            continue;
        }

        /* the end of TCP_CORK sends what there is, also without its begin */

        if (ngx_tcp_push(c->fd) == -1) {
            ngx_log_error(NGX_LOG_ALERT, c->log, ngx_socket_errno,
                          ngx_tcp_push_n " failed");
        }
    }
}
