
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * How the frames of a session become lines, and leave by its carrier.
 *
 * To its session, the transport is a connection without a socket: its
 * send_chain() takes whole frames out of the outbox and makes a batch of lines
 * of them.  It takes none while the carrier has not sent the batch before,
 * while there is no carrier, and behind the end of an answer that has grown too
 * long (see ngx_chat_line.h).
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <fallback/ngx_chat_fallback.h>
#include <wire/ngx_chat_line.h>


#define NGX_CHAT_FALLBACK_BATCH  16384     /* about the bytes of a batch */


static size_t ngx_chat_fallback_render(ngx_chat_fallback_t *f,
    ngx_chain_t *in, u_char *buf);
static ngx_int_t ngx_chat_fallback_write(ngx_chat_fallback_t *f);
static void ngx_chat_fallback_drop(ngx_chat_fallback_t *f);
static void ngx_chat_fallback_carrier_read_handler(ngx_event_t *rev);
static void ngx_chat_fallback_carrier_write_handler(ngx_event_t *wev);


ngx_uint_t
ngx_chat_fallback_is_lost(ngx_chat_fallback_t *f, uint64_t attempt)
{
    return attempt && attempt == f->attempt && f->units;
}


void
ngx_chat_fallback_carry(ngx_chat_fallback_t *f, ngx_connection_t *c,
    ngx_uint_t polling, uint64_t attempt)
{
    if (f->carrier) {
        ngx_chat_fallback_drop(f);
    }

    f->carrier = c;
    f->polling = polling;
    f->attempt = attempt;
    f->units = 0;
    f->asked = 0;

    c->data = f;
    c->log = &f->log;
    c->read->log = &f->log;
    c->write->log = &f->log;

    c->read->handler = ngx_chat_fallback_carrier_read_handler;
    c->write->handler = ngx_chat_fallback_carrier_write_handler;

    ngx_add_timer(&f->timer, f->leaving ? NGX_CHAT_FALLBACK_CLOSE
                                        : NGX_CHAT_FALLBACK_BEAT);

    /* the other side may have gone already */

    ngx_post_event(c->read, &ngx_posted_events);

    /* what had gone in part by the one before is lost, and so the rest */

    if (f->lines) {
        ngx_chat_fallback_finish(f);
        return;
    }

    ngx_chat_fallback_flush(f);
}


void
ngx_chat_fallback_flush(ngx_chat_fallback_t *f)
{
    ngx_chat_session_t  *s;

    s = &f->session;

    f->write.ready = (f->carrier != NULL
                      && f->lines == NULL
                      && !ngx_chat_fallback_is_full(f));

    if (ngx_chat_outbox_flush(&s->outbox, s->connection) == NGX_ERROR) {
        ngx_chat_fallback_finish(f);
        return;
    }

    if (f->leaving && s->outbox.first == NULL && f->lines == NULL) {
        ngx_chat_fallback_finish(f);
        return;
    }

    if (!ngx_chat_fallback_owes(f)) {
        ngx_chat_fallback_resume(f);
    }
}


/* The carrier has got its bytes of a turn of the event loop, and may go on. */

void
ngx_chat_fallback_flush_handler(ngx_event_t *ev)
{
    ngx_connection_t  *c;

    c = ev->data;

    ngx_chat_fallback_flush(c->data);
}


ngx_chain_t *
ngx_chat_fallback_send_chain(ngx_connection_t *c, ngx_chain_t *in, off_t limit)
{
    size_t                len;
    ngx_chat_fallback_t  *f;

    f = c->data;

    len = ngx_chat_fallback_render(f, in, NULL);

    f->lines = ngx_alloc(len, c->log);

    if (f->lines == NULL) {
        return NGX_CHAIN_ERROR;
    }

    f->len = ngx_chat_fallback_render(f, in, f->lines);
    f->sent = 0;

    f->opened = 1;
    f->units += f->len;

    return (ngx_chat_fallback_write(f) == NGX_ERROR) ? NGX_CHAIN_ERROR : in;
}


/*
 * Makes a batch of lines, with buf, and takes their frames; or only counts.
 * The first poll of a session gets its first line alone, unless it ends.
 */

static size_t
ngx_chat_fallback_render(ngx_chat_fallback_t *f, ngx_chain_t *in, u_char *buf)
{
    size_t      len;
    u_char     *p;
    ngx_buf_t  *b;

    len = 0;

    if (!f->opened) {
        len = sizeof(NGX_CHAT_LINE_OPEN) - 1;

        if (buf) {
            ngx_memcpy(buf, NGX_CHAT_LINE_OPEN, len);
        }

        if (f->polling && !f->leaving) {
            return len;
        }
    }

    for (/* void */ ; in; in = in->next) {

        b = in->buf;
        p = b->pos;

        while (p < b->last) {

            if (len >= NGX_CHAT_FALLBACK_BATCH
                || f->units + len > NGX_CHAT_LINE_UNITS)
            {
                return len;
            }

            len += ngx_chat_line_render(buf ? buf + len : NULL, &p);

            if (buf) {
                b->pos = p;
            }
        }
    }

    return len;
}


/* NGX_OK: the lines are with the carrier; NGX_AGAIN; NGX_ERROR. */

static ngx_int_t
ngx_chat_fallback_write(ngx_chat_fallback_t *f)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = f->carrier;

    f->write.ready = 0;

    while (f->sent < f->len) {

        n = c->send(c, f->lines + f->sent, f->len - f->sent);

        if (n == NGX_AGAIN) {
            return (ngx_handle_write_event(c->write, 0) == NGX_OK)
                   ? NGX_AGAIN : NGX_ERROR;
        }

        if (n <= 0) {
            return NGX_ERROR;
        }

        f->sent += n;
    }

    ngx_free(f->lines);
    f->lines = NULL;

    if (f->polling) {
        ngx_chat_fallback_drop(f);

    } else if (ngx_chat_fallback_is_full(f)) {
        ngx_add_timer(&f->timer, NGX_CHAT_FALLBACK_AWAY);

    } else {
        f->write.ready = 1;
    }

    return NGX_OK;
}


/* Ends the carrier's answer; the next one has to come in time. */

static void
ngx_chat_fallback_drop(ngx_chat_fallback_t *f)
{
    ngx_close_connection(f->carrier);

    f->carrier = NULL;
    f->write.ready = 0;

    ngx_add_timer(&f->timer, NGX_CHAT_FALLBACK_AWAY);
}


/* The other side says nothing: its request has ended. */

static void
ngx_chat_fallback_carrier_read_handler(ngx_event_t *rev)
{
    u_char                buf[1];
    ngx_connection_t     *c;
    ngx_chat_fallback_t  *f;

    c = rev->data;
    f = c->data;

    if (c->recv(c, buf, 1) == NGX_AGAIN) {

        if (ngx_handle_read_event(rev, 0) != NGX_OK) {
            ngx_chat_fallback_finish(f);
        }

        return;
    }

    /*
     * A poll that has nothing yet may be followed by another one, and so may a
     * stream whose client has all.  Others have lost something.
     */

    if (f->lines == NULL && (f->polling || ngx_chat_fallback_is_full(f))) {
        ngx_chat_fallback_drop(f);
        return;
    }

    ngx_chat_fallback_finish(f);
}


static void
ngx_chat_fallback_carrier_write_handler(ngx_event_t *wev)
{
    ngx_int_t             rc;
    ngx_connection_t     *c;
    ngx_chat_fallback_t  *f;

    c = wev->data;
    f = c->data;

    if (f->lines == NULL) {
        return;
    }

    rc = ngx_chat_fallback_write(f);

    if (rc == NGX_ERROR) {
        ngx_chat_fallback_finish(f);
        return;
    }

    /* the client reads: it is there */

    f->heard = 1;

    if (rc == NGX_OK) {
        ngx_chat_fallback_flush(f);
    }
}
