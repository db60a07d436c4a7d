
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Answers to pipelined requests leave together.
 *
 * A segment on its own costs about as much as a delivery, and wakes the
 * client.  So an answer behind which the next request is already here is sent
 * with MSG_MORE, and the kernel sends it together with the next answer.  If
 * that is not due at once, as the next request is incomplete or has to wait
 * for something, the next turn of the event loop pushes what is held back.
 *
 * A connection that is closed with bytes unread takes along what it has not
 * sent.  So it is pushed before, too: nginx calls ngx_del_conn() first,
 * whoever closes it, and by a pointer, which is each process's own.  Only a
 * worker that is killed takes them along.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>

#include <endpoint/ngx_chat_pipeline.h>


#define NGX_CHAT_PIPELINE_HELD  64         /* connections, at most */
#define NGX_CHAT_PIPELINE_BUFS  8          /* of an answer, at most */


typedef ngx_int_t (*ngx_chat_pipeline_pt)(ngx_connection_t *c,
    ngx_uint_t flags);


static ngx_int_t ngx_chat_pipeline_del_conn(ngx_connection_t *c,
    ngx_uint_t flags);
static ngx_uint_t ngx_chat_pipeline_may_hold(ngx_http_request_t *r);
static ngx_chain_t *ngx_chat_pipeline_send_chain(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);
static void ngx_chat_pipeline_hold(ngx_connection_t *c);
static ngx_uint_t ngx_chat_pipeline_find(ngx_connection_t *c);
static void ngx_chat_pipeline_push_handler(ngx_event_t *ev);
static void ngx_chat_pipeline_push(ngx_connection_t *c);


static ngx_chat_pipeline_pt   ngx_chat_pipeline_next;
static ngx_event_t            ngx_chat_pipeline_event;

/* this worker's connections with something held back in the kernel */
static ngx_connection_t      *ngx_chat_pipeline_held[NGX_CHAT_PIPELINE_HELD];
static ngx_uint_t             ngx_chat_pipeline_nheld;


void
ngx_chat_pipeline_init(void)
{
    if (ngx_event_actions.del_conn == NULL
        || ngx_event_actions.del_conn == ngx_chat_pipeline_del_conn)
    {
        return;
    }

    ngx_chat_pipeline_next = ngx_event_actions.del_conn;
    ngx_event_actions.del_conn = ngx_chat_pipeline_del_conn;
}


static ngx_int_t
ngx_chat_pipeline_del_conn(ngx_connection_t *c, ngx_uint_t flags)
{
    ngx_uint_t  i;

    i = ngx_chat_pipeline_find(c);

    if (i < ngx_chat_pipeline_nheld) {
        ngx_chat_pipeline_held[i] =
                          ngx_chat_pipeline_held[--ngx_chat_pipeline_nheld];
        ngx_chat_pipeline_push(c);
    }

    return ngx_chat_pipeline_next(c, flags);
}


ngx_int_t
ngx_chat_pipeline_output(ngx_http_request_t *r, ngx_chain_t *out)
{
    ngx_int_t          rc;
    ngx_connection_t  *c;

    if (!ngx_chat_pipeline_may_hold(r)) {
        return ngx_http_output_filter(r, out);
    }

    c = r->connection;

    c->send_chain = ngx_chat_pipeline_send_chain;
    rc = ngx_http_output_filter(r, out);
    c->send_chain = ngx_send_chain;

    return rc;
}


/*
 * Only what goes through a TCP socket as it is, and stays open behind it (the
 * client's address may be another one by now, as realip does it).  The next
 * request is in nginx's buffer, or, where that ended in this one's body, still
 * in the socket.
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
           && c->listening->sockaddr->sa_family != AF_UNIX
           && ngx_event_actions.del_conn == ngx_chat_pipeline_del_conn
           && ngx_chat_pipeline_nheld < NGX_CHAT_PIPELINE_HELD;
}


/* A ngx_send_chain_pt; what is not as simple as usual is left to nginx's. */

static ngx_chain_t *
ngx_chat_pipeline_send_chain(ngx_connection_t *c, ngx_chain_t *in,
    off_t limit)
{
    ssize_t        n;
    ngx_iovec_t    vec;
    struct iovec   iovs[NGX_CHAT_PIPELINE_BUFS];
    struct msghdr  msg;

    vec.iovs = iovs;
    vec.nalloc = NGX_CHAT_PIPELINE_BUFS;

    if (ngx_output_chain_to_iovec(&vec, in, NGX_MAX_SIZE_T_VALUE, c->log)
        != NULL
        || vec.size == 0
        || (limit && (off_t) vec.size > limit))
    {
        return ngx_send_chain(c, in, limit);
    }

    ngx_memzero(&msg, sizeof(struct msghdr));
    msg.msg_iov = vec.iovs;
    msg.msg_iovlen = vec.count;

    n = sendmsg(c->fd, &msg, MSG_MORE);

    if (n <= 0) {
        return ngx_send_chain(c, in, limit);
    }

    ngx_chat_pipeline_hold(c);

    c->sent += n;

    if ((size_t) n < vec.size) {
        c->write->ready = 0;
    }

    return ngx_chain_update_sent(in, n);
}


static void
ngx_chat_pipeline_hold(ngx_connection_t *c)
{
    ngx_event_t  *ev;

    if (ngx_chat_pipeline_find(c) < ngx_chat_pipeline_nheld) {
        return;
    }

    ngx_chat_pipeline_held[ngx_chat_pipeline_nheld++] = c;

    ev = &ngx_chat_pipeline_event;

    if (!ev->posted) {
        ev->handler = ngx_chat_pipeline_push_handler;
        ev->log = ngx_cycle->log;

        ngx_post_event(ev, &ngx_posted_next_events);
    }
}


/* Its place among those held; nheld: it is none of them. */

static ngx_uint_t
ngx_chat_pipeline_find(ngx_connection_t *c)
{
    ngx_uint_t  i;

    for (i = 0; i < ngx_chat_pipeline_nheld; i++) {

        if (ngx_chat_pipeline_held[i] == c) {
            break;
        }
    }

    return i;
}


/* In most turns the last answer has pushed all: then this does nothing. */

static void
ngx_chat_pipeline_push_handler(ngx_event_t *ev)
{
    ngx_chat_pipeline_push_all();
}


void
ngx_chat_pipeline_push_all(void)
{
    while (ngx_chat_pipeline_nheld) {
        ngx_chat_pipeline_push(
                          ngx_chat_pipeline_held[--ngx_chat_pipeline_nheld]);
    }
}


/* The end of TCP_CORK sends what there is, also without its begin; where nginx
   has not set TCP_NODELAY yet, Nagle's algorithm has a say, as ever. */

static void
ngx_chat_pipeline_push(ngx_connection_t *c)
{
    if (ngx_tcp_push(c->fd) == -1) {
        ngx_log_error(NGX_LOG_ALERT, c->log, ngx_socket_errno,
                      ngx_tcp_push_n " failed");
    }
}
