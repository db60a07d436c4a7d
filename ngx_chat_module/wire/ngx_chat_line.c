
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Lines of the HTTP fallback.  Pure.
 *
 * Each writer counts where it has no buffer, so that both ways are one.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_frame.h>
#include <wire/ngx_chat_line.h>


#define NGX_CHAT_LINE_REPLACEMENT  0xfffd

#define ngx_chat_line_is_plain(ch)                                            \
    ((ch) >= 0x20 && (ch) < 0x7f && (ch) != '"' && (ch) != '\\')


static u_char *ngx_chat_line_frame(u_char *p, ngx_uint_t *opcode,
    ngx_str_t *payload);
static size_t ngx_chat_line_event(u_char *buf, ngx_str_t *payload);
static size_t ngx_chat_line_close(u_char *buf, ngx_str_t *payload);
static size_t ngx_chat_line_string(u_char *buf, u_char *p, u_char *last);
static u_char *ngx_chat_line_escape(u_char *out, uint32_t code);
static u_char *ngx_chat_line_unit(u_char *out, uint32_t unit);
static uint32_t ngx_chat_line_decode(u_char **pos, u_char *last);
static size_t ngx_chat_line_put(u_char *buf, size_t n, const char *text,
    size_t len);


size_t
ngx_chat_line_render(u_char *buf, u_char **pos)
{
    ngx_str_t   payload;
    ngx_uint_t  opcode;

    *pos = ngx_chat_line_frame(*pos, &opcode, &payload);

    switch (opcode) {

    case NGX_CHAT_FRAME_TEXT:
        return ngx_chat_line_event(buf, &payload);

    case NGX_CHAT_FRAME_CLOSE:
        return ngx_chat_line_close(buf, &payload);

    case NGX_CHAT_FRAME_PING:
        return ngx_chat_line_put(buf, 0, "h\n", 2);

    default:
        return 0;
    }
}


/* Reads a frame of ours, which has no mask.  Returns its end. */

static u_char *
ngx_chat_line_frame(u_char *p, ngx_uint_t *opcode, ngx_str_t *payload)
{
    size_t  i, n, len;

    *opcode = *p++ & 0x0f;

    len = *p++;
    n = (len < 126) ? 0 : (len == 126) ? 2 : 8;

    if (n) {
        len = 0;
    }

    for (i = 0; i < n; i++) {
        len = (len << 8) | *p++;
    }

    payload->data = p;
    payload->len = len;

    return p + len;
}


static size_t
ngx_chat_line_event(u_char *buf, ngx_str_t *payload)
{
    size_t  n;

    n = ngx_chat_line_put(buf, 0, "a[", 2);
    n += ngx_chat_line_string(buf ? buf + n : NULL, payload->data,
                              payload->data + payload->len);

    return ngx_chat_line_put(buf, n, "]\n", 2);
}


static size_t
ngx_chat_line_close(u_char *buf, ngx_str_t *payload)
{
    char        digits[5];
    size_t      i, n;
    u_char     *p;
    ngx_uint_t  code;

    p = payload->data;
    code = 1000;

    if (payload->len >= 2) {
        code = (p[0] << 8) | p[1];
        p += 2;
    }

    i = sizeof(digits);

    do {
        digits[--i] = (char) ('0' + code % 10);
        code /= 10;
    } while (code);

    n = ngx_chat_line_put(buf, 0, "c[", 2);
    n = ngx_chat_line_put(buf, n, &digits[i], sizeof(digits) - i);
    n = ngx_chat_line_put(buf, n, ",", 1);
    n += ngx_chat_line_string(buf ? buf + n : NULL, p,
                              payload->data + payload->len);

    return ngx_chat_line_put(buf, n, "]\n", 2);
}


static size_t
ngx_chat_line_string(u_char *buf, u_char *p, u_char *last)
{
    size_t   n;
    u_char  *start, *end, out[12];

    n = ngx_chat_line_put(buf, 0, "\"", 1);

    while (p < last) {

        for (start = p; p < last && ngx_chat_line_is_plain(*p); p++) {
            /* void */
        }

        n = ngx_chat_line_put(buf, n, (char *) start, p - start);

        if (p < last) {
            end = ngx_chat_line_escape(out, ngx_chat_line_decode(&p, last));
            n = ngx_chat_line_put(buf, n, (char *) out, end - out);
        }
    }

    return ngx_chat_line_put(buf, n, "\"", 1);
}


static u_char *
ngx_chat_line_escape(u_char *out, uint32_t code)
{
    if (code == '"' || code == '\\') {
        *out++ = '\\';
        *out++ = (u_char) code;
        return out;
    }

    if (code > 0xffff) {
        code -= 0x10000;
        out = ngx_chat_line_unit(out, 0xd800 + (code >> 10));
        code = 0xdc00 + (code & 0x3ff);
    }

    return ngx_chat_line_unit(out, code);
}


static u_char *
ngx_chat_line_unit(u_char *out, uint32_t unit)
{
    int  shift;

    static u_char  hex[] = "0123456789abcdef";

    *out++ = '\\';
    *out++ = 'u';

    for (shift = 12; shift >= 0; shift -= 4) {
        *out++ = hex[(unit >> shift) & 0xf];
    }

    return out;
}


/*
 * The next character.  All texts are UTF-8; what is not would be U+FFFD, a byte
 * at a time.
 */

static uint32_t
ngx_chat_line_decode(u_char **pos, u_char *last)
{
    u_char      *p;
    uint32_t     code, least;
    ngx_uint_t   i, n;

    p = *pos;
    code = *p;

    *pos = p + 1;

    if (code < 0x80) {
        return code;
    }

    n = (code >= 0xf0) ? 3 : (code >= 0xe0) ? 2 : 1;
    least = (n == 3) ? 0x10000 : (n == 2) ? 0x800 : 0x80;

    if (code < 0xc0 || code > 0xf7 || (size_t) (last - p) <= n) {
        return NGX_CHAT_LINE_REPLACEMENT;
    }

    code &= 0x3f >> n;

    for (i = 1; i <= n; i++) {

        if ((p[i] & 0xc0) != 0x80) {
            return NGX_CHAT_LINE_REPLACEMENT;
        }

        code = (code << 6) | (p[i] & 0x3f);
    }

    if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
        return NGX_CHAT_LINE_REPLACEMENT;
    }

    *pos = p + n + 1;

    return code;
}


/* Writes behind the first n bytes, or only counts; returns the new n. */

static size_t
ngx_chat_line_put(u_char *buf, size_t n, const char *text, size_t len)
{
    if (buf) {
        ngx_memcpy(buf + n, text, len);
    }

    return n + len;
}
