
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * WebSocket frames (RFC 6455, section 5): incremental decoder, unmasking,
 * header writer.  Pure.
 *
 * An error is reported with the first byte that shows it, so that nobody
 * waits for the rest of a frame that is wrong.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_frame.h>
#include <wire/ngx_chat_utf8.h>


#define NGX_CHAT_FRAME_FIN     0x80
#define NGX_CHAT_FRAME_RSV     0x70
#define NGX_CHAT_FRAME_OPCODE  0x0f
#define NGX_CHAT_FRAME_MASKED  0x80
#define NGX_CHAT_FRAME_LENGTH  0x7f

#define NGX_CHAT_FRAME_LEN16   126     /* two bytes of length follow */
#define NGX_CHAT_FRAME_LEN64   127     /* eight bytes of length follow */


static size_t ngx_chat_frame_extended(ngx_chat_frame_t *f);
static ngx_int_t ngx_chat_frame_check_opcode(ngx_chat_frame_t *f);
static ngx_int_t ngx_chat_frame_check_length(ngx_chat_frame_t *f);


void
ngx_chat_frame_init(ngx_chat_frame_t *f)
{
    ngx_memzero(f, sizeof(ngx_chat_frame_t));
}


ngx_int_t
ngx_chat_frame_read_header(ngx_chat_frame_t *f, u_char **pos, u_char *last)
{
    size_t  mask;

    while (*pos < last) {

        f->header[f->header_len] = *(*pos)++;
        f->header_len++;

        if (f->header_len == 1 && ngx_chat_frame_check_opcode(f) != NGX_OK) {
            return NGX_ERROR;
        }

        if (f->header_len < 2) {
            continue;
        }

        mask = 2 + ngx_chat_frame_extended(f);

        if ((f->header_len == 2 || f->header_len == mask)
            && ngx_chat_frame_check_length(f) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (f->header_len < mask + 4) {
            continue;
        }

        ngx_memcpy(f->mask, &f->header[mask], 4);

        f->opcode = f->header[0] & NGX_CHAT_FRAME_OPCODE;
        f->fin = (f->header[0] & NGX_CHAT_FRAME_FIN) ? 1 : 0;
        f->received = 0;

        if (f->opcode == NGX_CHAT_FRAME_TEXT
            || f->opcode == NGX_CHAT_FRAME_BINARY)
        {
            f->in_message = 1;
            f->binary = (f->opcode == NGX_CHAT_FRAME_BINARY) ? 1 : 0;
        }

        return NGX_OK;
    }

    return NGX_AGAIN;
}


/* The bytes of length behind the first two bytes. */

static size_t
ngx_chat_frame_extended(ngx_chat_frame_t *f)
{
    switch (f->header[1] & NGX_CHAT_FRAME_LENGTH) {

    case NGX_CHAT_FRAME_LEN16:
        return 2;

    case NGX_CHAT_FRAME_LEN64:
        return 8;

    default:
        return 0;
    }
}


static ngx_int_t
ngx_chat_frame_check_opcode(ngx_chat_frame_t *f)
{
    u_char  ch;

    ch = f->header[0];

    if (ch & NGX_CHAT_FRAME_RSV) {
        return NGX_ERROR;
    }

    switch (ch & NGX_CHAT_FRAME_OPCODE) {

    case NGX_CHAT_FRAME_CONTINUATION:
        return f->in_message ? NGX_OK : NGX_ERROR;

    case NGX_CHAT_FRAME_TEXT:
    case NGX_CHAT_FRAME_BINARY:
        return f->in_message ? NGX_ERROR : NGX_OK;

    case NGX_CHAT_FRAME_CLOSE:
    case NGX_CHAT_FRAME_PING:
    case NGX_CHAT_FRAME_PONG:
        return (ch & NGX_CHAT_FRAME_FIN) ? NGX_OK : NGX_ERROR;

    default:
        return NGX_ERROR;
    }
}


/*
 * Called twice: with two bytes of header, to find an error early, and when
 * the length is complete, to set it.
 */

static ngx_int_t
ngx_chat_frame_check_length(ngx_chat_frame_t *f)
{
    size_t      i, extended;
    uint64_t    length;
    ngx_uint_t  control;

    control = (f->header[0] & NGX_CHAT_FRAME_OPCODE) >= NGX_CHAT_FRAME_CLOSE;
    length = f->header[1] & NGX_CHAT_FRAME_LENGTH;

    if (!(f->header[1] & NGX_CHAT_FRAME_MASKED)
        || (control && length > NGX_CHAT_FRAME_CONTROL_MAX))
    {
        return NGX_ERROR;
    }

    extended = ngx_chat_frame_extended(f);

    if (f->header_len < 2 + extended) {
        return NGX_OK;
    }

    if (extended) {
        length = 0;

        for (i = 0; i < extended; i++) {
            length = (length << 8) | f->header[2 + i];
        }

        if (length < NGX_CHAT_FRAME_LEN16
            || (extended == 8 && (length <= 0xffff || length >> 63)))
        {
            return NGX_ERROR;
        }
    }

    f->length = length;

    return NGX_OK;
}


size_t
ngx_chat_frame_read_payload(ngx_chat_frame_t *f, u_char *pos, u_char *last)
{
    size_t  i, n;

    n = last - pos;

    if (n > f->length - f->received) {
        n = (size_t) (f->length - f->received);
    }

    for (i = 0; i < n; i++) {
        pos[i] ^= f->mask[(f->received + i) & 3];
    }

    f->received += n;

    return n;
}


void
ngx_chat_frame_next(ngx_chat_frame_t *f)
{
    if (f->fin && f->opcode < NGX_CHAT_FRAME_CLOSE) {
        f->in_message = 0;
    }

    f->header_len = 0;
    f->length = 0;
    f->received = 0;
}


u_char *
ngx_chat_frame_write_header(u_char *p, ngx_uint_t opcode, size_t len)
{
    ngx_uint_t  i;

    *p++ = (u_char) (NGX_CHAT_FRAME_FIN | opcode);

    if (len < NGX_CHAT_FRAME_LEN16) {
        *p++ = (u_char) len;
        return p;
    }

    if (len <= 0xffff) {
        *p++ = NGX_CHAT_FRAME_LEN16;
        *p++ = (u_char) (len >> 8);
        *p++ = (u_char) len;
        return p;
    }

    *p++ = NGX_CHAT_FRAME_LEN64;

    for (i = 8; i > 0; i--) {
        *p++ = (u_char) ((uint64_t) len >> ((i - 1) * 8));
    }

    return p;
}


size_t
ngx_chat_frame_header_size(size_t len)
{
    if (len < NGX_CHAT_FRAME_LEN16) {
        return 2;
    }

    return (len <= 0xffff) ? 4 : NGX_CHAT_FRAME_HEADER_OUT;
}


ngx_int_t
ngx_chat_frame_read_close(u_char *payload, size_t len, ngx_uint_t *code)
{
    ngx_uint_t  n;

    if (len == 0) {
        *code = 1005;
        return NGX_OK;
    }

    if (len < 2) {
        *code = 1002;
        return NGX_ERROR;
    }

    n = (payload[0] << 8) | payload[1];

    /*
     * 1004, 1005, 1006 and 1015 are reserved; 1012 to 1014 came to the
     * registry later; 3000 and above belong to libraries and applications
     */

    if (n < 1000 || n > 4999 || (n >= 1004 && n <= 1006)
        || (n >= 1015 && n <= 2999))
    {
        *code = 1002;
        return NGX_ERROR;
    }

    if (ngx_chat_utf8_check(payload + 2, len - 2) != NGX_OK) {
        *code = 1007;
        return NGX_ERROR;
    }

    *code = n;

    return NGX_OK;
}
