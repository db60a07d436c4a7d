
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * JSON writer.  Pure.
 *
 * yajl's generator is not used: it escapes once, and would need a second
 * buffer for JSON inside a string.  A list of presence members may take
 * megabytes.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>

#include <wire/ngx_chat_json_write.h>
#include <wire/ngx_chat_utf8.h>


#define NGX_CHAT_JSON_WRITE_REPLACEMENT  "\xef\xbf\xbd"


static void ngx_chat_json_write_open(ngx_chat_json_write_t *w,
    const char *mark);
static void ngx_chat_json_write_close(ngx_chat_json_write_t *w,
    const char *mark);
static void ngx_chat_json_write_token(ngx_chat_json_write_t *w,
    const char *token);
static void ngx_chat_json_write_mark(ngx_chat_json_write_t *w,
    const char *mark);
static void ngx_chat_json_write_next(ngx_chat_json_write_t *w);
static void ngx_chat_json_write_bytes(ngx_chat_json_write_t *w, u_char *p,
    size_t len, ngx_uint_t times);
static void ngx_chat_json_write_escape(ngx_chat_json_write_t *w, u_char *p,
    size_t len, ngx_uint_t times);
static size_t ngx_chat_json_write_sequence(u_char *p, u_char ch);
static void ngx_chat_json_write_put(ngx_chat_json_write_t *w, const void *p,
    size_t len);


void
ngx_chat_json_write_init(ngx_chat_json_write_t *w, u_char *buf, size_t size)
{
    ngx_memzero(w, sizeof(ngx_chat_json_write_t));

    w->buf = buf;
    w->size = size;
}


ssize_t
ngx_chat_json_write_done(ngx_chat_json_write_t *w)
{
    return (w->failed || w->depth || w->len == 0) ? NGX_ERROR
                                                  : (ssize_t) w->len;
}


void
ngx_chat_json_write_object(ngx_chat_json_write_t *w)
{
    ngx_chat_json_write_open(w, "{");
}


void
ngx_chat_json_write_object_end(ngx_chat_json_write_t *w)
{
    ngx_chat_json_write_close(w, "}");
}


void
ngx_chat_json_write_array(ngx_chat_json_write_t *w)
{
    ngx_chat_json_write_open(w, "[");
}


void
ngx_chat_json_write_array_end(ngx_chat_json_write_t *w)
{
    ngx_chat_json_write_close(w, "]");
}


void
ngx_chat_json_write_text(ngx_chat_json_write_t *w)
{
    ngx_chat_json_write_open(w, "\"");
    w->in_text = 1;
}


void
ngx_chat_json_write_text_end(ngx_chat_json_write_t *w)
{
    w->in_text = 0;
    ngx_chat_json_write_close(w, "\"");
}


void
ngx_chat_json_write_key(ngx_chat_json_write_t *w, const char *name)
{
    ngx_chat_json_write_cstring(w, name);
    ngx_chat_json_write_mark(w, ":");
    w->comma = 0;
}


void
ngx_chat_json_write_name(ngx_chat_json_write_t *w, ngx_str_t *name)
{
    ngx_chat_json_write_string(w, name);
    ngx_chat_json_write_mark(w, ":");
    w->comma = 0;
}


void
ngx_chat_json_write_string(ngx_chat_json_write_t *w, ngx_str_t *s)
{
    ngx_chat_json_write_next(w);
    ngx_chat_json_write_mark(w, "\"");
    ngx_chat_json_write_bytes(w, s->data, s->len, w->in_text + 1);
    ngx_chat_json_write_mark(w, "\"");
}


void
ngx_chat_json_write_cstring(ngx_chat_json_write_t *w, const char *s)
{
    ngx_str_t  text;

    text.data = (u_char *) s;
    text.len = ngx_strlen(s);

    ngx_chat_json_write_string(w, &text);
}


void
ngx_chat_json_write_uint(ngx_chat_json_write_t *w, uint64_t n)
{
    char  text[NGX_INT64_LEN + 1];

    (void) snprintf(text, sizeof(text), "%lu", (unsigned long) n);

    ngx_chat_json_write_token(w, text);
}


void
ngx_chat_json_write_key_uint(ngx_chat_json_write_t *w, const char *name,
    uint64_t n)
{
    ngx_chat_json_write_key(w, name);
    ngx_chat_json_write_uint(w, n);
}


void
ngx_chat_json_write_bool(ngx_chat_json_write_t *w, ngx_uint_t value)
{
    ngx_chat_json_write_token(w, value ? "true" : "false");
}


void
ngx_chat_json_write_null(ngx_chat_json_write_t *w)
{
    ngx_chat_json_write_token(w, "null");
}


void
ngx_chat_json_write_json(ngx_chat_json_write_t *w, ngx_str_t *json)
{
    ngx_chat_json_write_next(w);
    ngx_chat_json_write_bytes(w, json->data, json->len, w->in_text);
}


/* Recursion ends: the reader takes no more than NGX_CHAT_JSON_DEPTH. */

void
ngx_chat_json_write_value(ngx_chat_json_write_t *w, ngx_chat_json_value_t *v)
{
    ngx_uint_t              object;
    ngx_chat_json_value_t  *child;

    switch (v->type) {

    case NGX_CHAT_JSON_NULL_e:
        ngx_chat_json_write_null(w);
        return;

    case NGX_CHAT_JSON_FALSE_e:
    case NGX_CHAT_JSON_TRUE_e:
        ngx_chat_json_write_bool(w, v->type == NGX_CHAT_JSON_TRUE_e);
        return;

    case NGX_CHAT_JSON_NUMBER_e:
        ngx_chat_json_write_json(w, &v->text);
        return;

    case NGX_CHAT_JSON_STRING_e:
        ngx_chat_json_write_string(w, &v->text);
        return;

    case NGX_CHAT_JSON_ARRAY_e:
    case NGX_CHAT_JSON_OBJECT_e:
        break;
    }

    object = (v->type == NGX_CHAT_JSON_OBJECT_e);

    ngx_chat_json_write_open(w, object ? "{" : "[");

    for (child = v->first; child; child = child->next) {

        if (object) {
            ngx_chat_json_write_name(w, &child->name);
        }

        ngx_chat_json_write_value(w, child);
    }

    ngx_chat_json_write_close(w, object ? "}" : "]");
}


static void
ngx_chat_json_write_open(ngx_chat_json_write_t *w, const char *mark)
{
    ngx_chat_json_write_token(w, mark);

    w->depth++;
    w->comma = 0;
}


static void
ngx_chat_json_write_close(ngx_chat_json_write_t *w, const char *mark)
{
    if (w->depth == 0) {
        w->failed = 1;
        return;
    }

    ngx_chat_json_write_mark(w, mark);

    w->depth--;
    w->comma = 1;
}


static void
ngx_chat_json_write_token(ngx_chat_json_write_t *w, const char *token)
{
    ngx_chat_json_write_next(w);
    ngx_chat_json_write_mark(w, token);
}


static void
ngx_chat_json_write_mark(ngx_chat_json_write_t *w, const char *mark)
{
    ngx_chat_json_write_escape(w, (u_char *) mark, ngx_strlen(mark),
                               w->in_text);
}


static void
ngx_chat_json_write_next(ngx_chat_json_write_t *w)
{
    if (w->comma) {
        ngx_chat_json_write_mark(w, ",");
    }

    w->comma = 1;
}


static void
ngx_chat_json_write_bytes(ngx_chat_json_write_t *w, u_char *p, size_t len,
    ngx_uint_t times)
{
    size_t  n;

    while (len) {
        n = ngx_chat_utf8_prefix(p, len);
        ngx_chat_json_write_escape(w, p, n, times);

        if (n == len) {
            return;
        }

        ngx_chat_json_write_put(w, NGX_CHAT_JSON_WRITE_REPLACEMENT,
                                sizeof(NGX_CHAT_JSON_WRITE_REPLACEMENT) - 1);
        p += n + 1;
        len -= n + 1;
    }
}


/* A string in a text is escaped twice. */

static void
ngx_chat_json_write_escape(ngx_chat_json_write_t *w, u_char *p, size_t len,
    ngx_uint_t times)
{
    size_t   n;
    u_char  *last, *plain, sequence[sizeof("\\u0000")];

    if (times == 0) {
        ngx_chat_json_write_put(w, p, len);
        return;
    }

    last = p + len;

    for ( ;; ) {
        plain = p;

        while (p < last && *p >= 0x20 && *p != '"' && *p != '\\') {
            p++;
        }

        ngx_chat_json_write_put(w, plain, p - plain);

        if (p == last) {
            return;
        }

        n = ngx_chat_json_write_sequence(sequence, *p++);
        ngx_chat_json_write_escape(w, sequence, n, times - 1);
    }
}


static size_t
ngx_chat_json_write_sequence(u_char *p, u_char ch)
{
    const char  *pair;

    for (pair = "\"\"\\\\\nn\tt\rr\bb\ff"; *pair; pair += 2) {

        if ((u_char) *pair == ch) {
            p[0] = '\\';
            p[1] = (u_char) pair[1];
            return 2;
        }
    }

    return sprintf((char *) p, "\\u%04X", ch);
}


static void
ngx_chat_json_write_put(ngx_chat_json_write_t *w, const void *p, size_t len)
{
    if (len == 0 || w->failed) {
        return;
    }

    if (w->buf != NULL) {

        if (len > w->size - w->len) {
            w->failed = 1;
            return;
        }

        ngx_memcpy(w->buf + w->len, p, len);
    }

    w->len += len;
}
