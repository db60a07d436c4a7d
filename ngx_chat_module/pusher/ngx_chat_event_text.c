
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * An event whose data is text in a string, most often JSON, written at once.
 * Pure.
 *
 * Escapes what yajl's generator escapes, in the same way.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_json_plain.h>
#include <wire/ngx_chat_utf8.h>
#include <pusher/ngx_chat_event_text.h>


#define NGX_CHAT_EVENT_TEXT_REPLACEMENT  "\xef\xbf\xbd"


static void ngx_chat_event_text_bytes(ngx_chat_event_text_t *t, ngx_str_t *s,
    ngx_uint_t times);
static void ngx_chat_event_text_escape(ngx_chat_event_text_t *t, u_char *p,
    size_t len, ngx_uint_t times);
static size_t ngx_chat_event_text_sequence(u_char *p, u_char ch);
static void ngx_chat_event_text_put(ngx_chat_event_text_t *t, const void *p,
    size_t len);


void
ngx_chat_event_text_begin(ngx_chat_event_text_t *t, u_char *buf, size_t size,
    const char *event, ngx_str_t *channel)
{
    ngx_str_t  name;

    name.data = (u_char *) event;
    name.len = ngx_strlen(event);

    ngx_chat_event_text_begin_event(t, buf, size, &name, channel);
}


void
ngx_chat_event_text_begin_event(ngx_chat_event_text_t *t, u_char *buf,
    size_t size, ngx_str_t *event, ngx_str_t *channel)
{
    t->buf = buf;
    t->len = 0;
    t->size = size;
    t->failed = 0;

    ngx_chat_event_text_put(t, "{\"event\":\"", sizeof("{\"event\":\"") - 1);
    ngx_chat_event_text_bytes(t, event, 1);

    if (channel != NULL) {
        ngx_chat_event_text_put(t, "\",\"channel\":\"",
                                sizeof("\",\"channel\":\"") - 1);
        ngx_chat_event_text_bytes(t, channel, 1);
    }

    ngx_chat_event_text_put(t, "\",\"data\":\"",
                            sizeof("\",\"data\":\"") - 1);
}


ssize_t
ngx_chat_event_text_end(ngx_chat_event_text_t *t)
{
    ngx_chat_event_text_put(t, "\"}", 2);

    return t->failed ? NGX_ERROR : (ssize_t) t->len;
}


void
ngx_chat_event_text_cstring(ngx_chat_event_text_t *t, const char *json)
{
    ngx_chat_event_text_escape(t, (u_char *) json, ngx_strlen(json), 1);
}


void
ngx_chat_event_text_uint(ngx_chat_event_text_t *t, ngx_uint_t n)
{
    u_char  *p, text[NGX_INT64_LEN];

    p = text + sizeof(text);

    do {
        *--p = (u_char) (n % 10 + '0');
        n /= 10;
    } while (n);

    ngx_chat_event_text_put(t, p, text + sizeof(text) - p);
}


void
ngx_chat_event_text_string(ngx_chat_event_text_t *t, ngx_str_t *s)
{
    ngx_chat_event_text_put(t, "\\\"", 2);
    ngx_chat_event_text_bytes(t, s, 2);
    ngx_chat_event_text_put(t, "\\\"", 2);
}


void
ngx_chat_event_text_json(ngx_chat_event_text_t *t, ngx_str_t *json)
{
    ngx_chat_event_text_bytes(t, json, 1);
}


static void
ngx_chat_event_text_bytes(ngx_chat_event_text_t *t, ngx_str_t *s,
    ngx_uint_t times)
{
    u_char  *p;
    size_t   n, len;

    p = s->data;
    len = s->len;

    if (ngx_chat_utf8_check(p, len) == NGX_OK) {
        ngx_chat_event_text_escape(t, p, len, times);
        return;
    }

    for ( ;; ) {
        n = ngx_chat_utf8_prefix(p, len);
        ngx_chat_event_text_escape(t, p, n, times);

        if (n == len) {
            return;
        }

        ngx_chat_event_text_put(t, NGX_CHAT_EVENT_TEXT_REPLACEMENT,
                             sizeof(NGX_CHAT_EVENT_TEXT_REPLACEMENT) - 1);
        p += n + 1;
        len -= n + 1;
    }
}


/* As part of a string in a string, where it is escaped twice. */

static void
ngx_chat_event_text_escape(ngx_chat_event_text_t *t, u_char *p, size_t len,
    ngx_uint_t times)
{
    size_t   n;
    u_char  *last, *plain, sequence[6];

    last = p + len;

    for ( ;; ) {
        plain = p;
        p = ngx_chat_json_plain(p, last);

        ngx_chat_event_text_put(t, plain, p - plain);

        if (p == last) {
            return;
        }

        n = ngx_chat_event_text_sequence(sequence, *p++);

        if (times == 1) {
            ngx_chat_event_text_put(t, sequence, n);

        } else {
            ngx_chat_event_text_escape(t, sequence, n, times - 1);
        }
    }
}


/* As yajl's generator writes it. */

static size_t
ngx_chat_event_text_sequence(u_char *p, u_char ch)
{
    static u_char  hex[] = "0123456789ABCDEF";

    p[0] = '\\';

    switch (ch) {

    case '"':
    case '\\':
        p[1] = ch;
        return 2;

    case '\b':
        p[1] = 'b';
        return 2;

    case '\f':
        p[1] = 'f';
        return 2;

    case '\n':
        p[1] = 'n';
        return 2;

    case '\r':
        p[1] = 'r';
        return 2;

    case '\t':
        p[1] = 't';
        return 2;
    }

    p[1] = 'u';
    p[2] = '0';
    p[3] = '0';
    p[4] = hex[ch >> 4];
    p[5] = hex[ch & 0xf];

    return 6;
}


static void
ngx_chat_event_text_put(ngx_chat_event_text_t *t, const void *p, size_t len)
{
    if (len == 0 || t->failed) {
        return;
    }

    if (t->buf != NULL) {

        if (len > t->size - t->len) {
            t->failed = 1;
            return;
        }

        ngx_memcpy(t->buf + t->len, p, len);
    }

    t->len += len;
}
