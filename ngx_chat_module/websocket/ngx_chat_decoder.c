
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Makes messages of a WebSocket client's bytes.
 *
 * A message that came whole is not copied.  An incomplete one is, into memory
 * that is freed afterwards, so an idle client has no memory here.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_error.h>
#include <websocket/ngx_chat_decoder.h>


#define NGX_CHAT_DECODER_FIRST  512     /* first size of a message */


static ngx_int_t ngx_chat_decoder_header(ngx_chat_decoder_t *in,
    ngx_chat_decoded_t *d, ngx_log_t *log);
static ngx_int_t ngx_chat_decoder_payload(ngx_chat_decoder_t *in,
    ngx_chat_decoded_t *d, u_char *p, size_t n, ngx_log_t *log);
static ngx_int_t ngx_chat_decoder_control(ngx_chat_decoder_t *in,
    ngx_chat_decoded_t *d, u_char *p, size_t n, ngx_log_t *log);
static ngx_int_t ngx_chat_decoder_append(ngx_chat_decoder_t *in, u_char *p,
    size_t n, ngx_log_t *log);


void
ngx_chat_decoder_init(ngx_chat_decoder_t *in, size_t limit)
{
    ngx_memzero(in, sizeof(ngx_chat_decoder_t));

    ngx_chat_frame_init(&in->frame);
    in->limit = limit;
}


ngx_int_t
ngx_chat_decoder_read(ngx_chat_decoder_t *in, ngx_chat_decoded_t *d,
    u_char **pos, u_char *last, ngx_log_t *log)
{
    size_t             n;
    u_char            *p;
    ngx_int_t          rc;
    ngx_chat_frame_t  *f;

    f = &in->frame;

    /* what was handed on before */

    if (!in->in_payload && in->len == 0) {
        ngx_chat_decoder_clear(in);
    }

    for ( ;; ) {

        if (!in->in_payload) {

            rc = ngx_chat_frame_read_header(f, pos, last);

            if (rc == NGX_OK) {
                rc = ngx_chat_decoder_header(in, d, log);

            } else if (rc == NGX_ERROR) {
                d->code = NGX_CHAT_CLOSE_PROTOCOL;
                rc = NGX_DECLINED;
            }

            if (rc != NGX_OK) {
                return rc;
            }

            in->in_payload = 1;
        }

        p = *pos;
        n = ngx_chat_frame_read_payload(f, p, last);
        *pos += n;

        rc = (f->opcode >= NGX_CHAT_FRAME_CLOSE)
             ? ngx_chat_decoder_control(in, d, p, n, log)
             : ngx_chat_decoder_payload(in, d, p, n, log);

        if (f->received == f->length) {
            ngx_chat_frame_next(f);
            in->in_payload = 0;

        } else if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        if (rc != NGX_AGAIN) {
            return rc;
        }
    }
}


void
ngx_chat_decoder_clear(ngx_chat_decoder_t *in)
{
    if (in->message) {
        ngx_free(in->message);
        in->message = NULL;
    }

    if (in->control) {
        ngx_free(in->control);
        in->control = NULL;
    }

    in->len = 0;
    in->size = 0;
}


/* What can be refused before any of the payload is taken. */

static ngx_int_t
ngx_chat_decoder_header(ngx_chat_decoder_t *in, ngx_chat_decoded_t *d,
    ngx_log_t *log)
{
    ngx_chat_frame_t  *f;

    f = &in->frame;

    if (f->opcode == NGX_CHAT_FRAME_BINARY) {
        d->code = NGX_CHAT_CLOSE_UNSUPPORTED;
        return NGX_DECLINED;
    }

    if (f->opcode == NGX_CHAT_FRAME_TEXT) {
        ngx_chat_utf8_init(&in->utf8);
    }

    if (f->opcode < NGX_CHAT_FRAME_CLOSE
        && (f->length > in->limit || in->len + f->length > in->limit))
    {
        ngx_log_error(NGX_LOG_INFO, log, 0,
                      "client sent message of more than %uz bytes",
                      in->limit);

        d->code = NGX_CHAT_CLOSE_TOO_BIG;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


/*
 * n more bytes of a data frame.  NGX_AGAIN: the message is not whole yet;
 * else as ngx_chat_decoder_read().
 */

static ngx_int_t
ngx_chat_decoder_payload(ngx_chat_decoder_t *in, ngx_chat_decoded_t *d,
    u_char *p, size_t n, ngx_log_t *log)
{
    ngx_uint_t         whole;
    ngx_chat_frame_t  *f;

    f = &in->frame;
    whole = (f->fin && f->received == f->length);

    if (ngx_chat_utf8_update(&in->utf8, p, n) != NGX_OK
        || (whole && ngx_chat_utf8_final(&in->utf8) != NGX_OK))
    {
        d->code = NGX_CHAT_CLOSE_NOT_UTF8;
        return NGX_DECLINED;
    }

    if (whole && in->len == 0) {
        d->payload.data = p;
        d->payload.len = n;

    } else {

        if (ngx_chat_decoder_append(in, p, n, log) != NGX_OK) {
            return NGX_ERROR;
        }

        if (!whole) {
            return NGX_AGAIN;
        }

        d->payload.data = in->message;
        d->payload.len = in->len;
        in->len = 0;
    }

    d->opcode = NGX_CHAT_FRAME_TEXT;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_decoder_control(ngx_chat_decoder_t *in, ngx_chat_decoded_t *d,
    u_char *p, size_t n, ngx_log_t *log)
{
    ngx_chat_frame_t  *f;

    f = &in->frame;

    if (n != f->length) {

        if (in->control == NULL) {
            in->control = ngx_alloc(NGX_CHAT_FRAME_CONTROL_MAX, log);

            if (in->control == NULL) {
                return NGX_ERROR;
            }
        }

        ngx_memcpy(in->control + f->received - n, p, n);
        p = in->control;
    }

    if (f->received != f->length) {
        return NGX_AGAIN;
    }

    d->opcode = f->opcode;
    d->payload.data = p;
    d->payload.len = f->length;

    return NGX_OK;
}


/* Memory grows with what has come, not with what was announced. */

static ngx_int_t
ngx_chat_decoder_append(ngx_chat_decoder_t *in, u_char *p, size_t n,
    ngx_log_t *log)
{
    size_t   size;
    u_char  *message;

    if (in->len + n > in->size) {

        size = ngx_max(in->size * 2, NGX_CHAT_DECODER_FIRST);
        size = ngx_max(size, in->len + n);

        message = ngx_alloc(size, log);
        if (message == NULL) {
            return NGX_ERROR;
        }

        if (in->message) {
            ngx_memcpy(message, in->message, in->len);
            ngx_free(in->message);
        }

        in->message = message;
        in->size = size;
    }

    if (n) {
        ngx_memcpy(in->message + in->len, p, n);
        in->len += n;
    }

    return NGX_OK;
}
