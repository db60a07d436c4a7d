
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * JSON writer over yajl's generator.  Pure.
 *
 * yajl hands out its text in pieces, cut only before and behind escapes,
 * which are ASCII; so a piece of a valid string never begins or ends inside
 * a character, and each can be checked and mended alone.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <yajl/yajl_gen.h>

#include <wire/ngx_chat_json_write.h>
#include <wire/ngx_chat_utf8.h>


#define NGX_CHAT_JSON_WRITE_REPLACEMENT  "\xef\xbf\xbd"


static void *ngx_chat_json_write_alloc(void *ctx, size_t size);
static void *ngx_chat_json_write_realloc(void *ctx, void *p, size_t size);
static void ngx_chat_json_write_free(void *ctx, void *p);
static void ngx_chat_json_write_print(void *ctx, const char *p, size_t len);
static void ngx_chat_json_write_put(ngx_chat_json_write_t *w, const void *p,
    size_t len);
static void ngx_chat_json_write_bytes(ngx_chat_json_write_t *w, u_char *p,
    size_t len);
static void ngx_chat_json_write_test(ngx_chat_json_write_t *w,
    yajl_gen_status status);
static void ngx_chat_json_write_open(ngx_chat_json_write_t *w,
    ngx_chat_json_type_e type);
static void ngx_chat_json_write_close(ngx_chat_json_write_t *w,
    ngx_chat_json_type_e type);


ngx_int_t
ngx_chat_json_write_init(ngx_chat_json_write_t *w, u_char *buf, size_t size)
{
    yajl_alloc_funcs  funcs;

    w->buf = buf;
    w->len = 0;
    w->size = size;
    w->used = 0;
    w->depth = 0;
    w->failed = 0;
    w->repair = 0;

    funcs.malloc = ngx_chat_json_write_alloc;
    funcs.realloc = ngx_chat_json_write_realloc;
    funcs.free = ngx_chat_json_write_free;
    funcs.ctx = w;

    w->gen = yajl_gen_alloc(&funcs);

    if (w->gen == NULL
        || !yajl_gen_config(w->gen, yajl_gen_print_callback,
                            ngx_chat_json_write_print, w))
    {
        w->failed = 1;
        return NGX_ERROR;
    }

    return NGX_OK;
}


ssize_t
ngx_chat_json_write_done(ngx_chat_json_write_t *w)
{
    if (w->gen != NULL) {
        yajl_gen_free(w->gen);
        w->gen = NULL;
    }

    if (w->failed || w->depth || w->len == 0) {
        return NGX_ERROR;
    }

    return w->len;
}


void
ngx_chat_json_write_object(ngx_chat_json_write_t *w)
{
    ngx_chat_json_write_open(w, NGX_CHAT_JSON_OBJECT_e);
}


void
ngx_chat_json_write_object_end(ngx_chat_json_write_t *w)
{
    ngx_chat_json_write_close(w, NGX_CHAT_JSON_OBJECT_e);
}


void
ngx_chat_json_write_array(ngx_chat_json_write_t *w)
{
    ngx_chat_json_write_open(w, NGX_CHAT_JSON_ARRAY_e);
}


void
ngx_chat_json_write_array_end(ngx_chat_json_write_t *w)
{
    ngx_chat_json_write_close(w, NGX_CHAT_JSON_ARRAY_e);
}


void
ngx_chat_json_write_key(ngx_chat_json_write_t *w, const char *name)
{
    ngx_chat_json_write_cstring(w, name);
}


void
ngx_chat_json_write_string(ngx_chat_json_write_t *w, ngx_str_t *s)
{
    ngx_chat_json_write_bytes(w, s->data, s->len);
}


void
ngx_chat_json_write_cstring(ngx_chat_json_write_t *w, const char *s)
{
    ngx_chat_json_write_bytes(w, (u_char *) s, ngx_strlen(s));
}


void
ngx_chat_json_write_uint(ngx_chat_json_write_t *w, uint64_t n)
{
    char  *p, text[NGX_INT64_LEN];

    p = text + sizeof(text);

    do {
        *--p = (char) (n % 10 + '0');
        n /= 10;
    } while (n);

    if (w->failed) {
        return;
    }

    ngx_chat_json_write_test(w, yajl_gen_number(w->gen, p,
                                                text + sizeof(text) - p));
}


void
ngx_chat_json_write_bool(ngx_chat_json_write_t *w, ngx_uint_t value)
{
    if (w->failed) {
        return;
    }

    ngx_chat_json_write_test(w, yajl_gen_bool(w->gen, value != 0));
}


void
ngx_chat_json_write_null(ngx_chat_json_write_t *w)
{
    if (w->failed) {
        return;
    }

    ngx_chat_json_write_test(w, yajl_gen_null(w->gen));
}


/* Recursion ends: the reader takes no more than NGX_CHAT_JSON_DEPTH. */

void
ngx_chat_json_write_value(ngx_chat_json_write_t *w, ngx_chat_json_value_t *v)
{
    ngx_chat_json_value_t  *child;

    if (w->failed) {
        return;
    }

    switch (v->type) {

    case NGX_CHAT_JSON_NULL_e:
        ngx_chat_json_write_test(w, yajl_gen_null(w->gen));
        return;

    case NGX_CHAT_JSON_FALSE_e:
    case NGX_CHAT_JSON_TRUE_e:
        ngx_chat_json_write_test(w, yajl_gen_bool(w->gen,
                                             v->type == NGX_CHAT_JSON_TRUE_e));
        return;

    case NGX_CHAT_JSON_NUMBER_e:
        ngx_chat_json_write_test(w, yajl_gen_number(w->gen,
                                                    (char *) v->text.data,
                                                    v->text.len));
        return;

    case NGX_CHAT_JSON_STRING_e:
        ngx_chat_json_write_string(w, &v->text);
        return;

    case NGX_CHAT_JSON_ARRAY_e:
    case NGX_CHAT_JSON_OBJECT_e:
        break;
    }

    ngx_chat_json_write_open(w, v->type);

    for (child = v->first; child; child = child->next) {

        if (v->type == NGX_CHAT_JSON_OBJECT_e) {
            ngx_chat_json_write_string(w, &child->name);
        }

        ngx_chat_json_write_value(w, child);
    }

    ngx_chat_json_write_close(w, v->type);
}


static void *
ngx_chat_json_write_alloc(void *ctx, size_t size)
{
    ngx_chat_json_write_t *w = ctx;

    u_char  *p;

    size = ngx_align(size, sizeof(uint64_t));

    if (size > sizeof(w->memory) - w->used) {
        return NULL;
    }

    p = (u_char *) w->memory + w->used;
    w->used += size;

    return p;
}


/* The generator grows nothing where it has a print callback. */

static void *
ngx_chat_json_write_realloc(void *ctx, void *p, size_t size)
{
    (void) ctx;
    (void) p;
    (void) size;

    return NULL;
}


static void
ngx_chat_json_write_free(void *ctx, void *p)
{
    (void) ctx;
    (void) p;
}


static void
ngx_chat_json_write_print(void *ctx, const char *p, size_t len)
{
    ngx_chat_json_write_t *w = ctx;

    size_t  n;

    if (!w->repair) {
        ngx_chat_json_write_put(w, p, len);
        return;
    }

    for ( ;; ) {
        n = ngx_chat_utf8_prefix((u_char *) p, len);
        ngx_chat_json_write_put(w, p, n);

        if (n == len) {
            return;
        }

        ngx_chat_json_write_put(w, NGX_CHAT_JSON_WRITE_REPLACEMENT,
                              sizeof(NGX_CHAT_JSON_WRITE_REPLACEMENT) - 1);
        p += n + 1;
        len -= n + 1;
    }
}


static void
ngx_chat_json_write_put(ngx_chat_json_write_t *w, const void *p, size_t len)
{
    if (len == 0) {
        return;
    }

    if (w->buf != NULL && !w->failed) {

        if (len > w->size - w->len) {
            w->failed = 1;
            return;
        }

        ngx_memcpy(w->buf + w->len, p, len);
    }

    w->len += len;
}


static void
ngx_chat_json_write_bytes(ngx_chat_json_write_t *w, u_char *p, size_t len)
{
    if (w->failed) {
        return;
    }

    w->repair = (ngx_chat_utf8_check(p, len) != NGX_OK);

    ngx_chat_json_write_test(w, yajl_gen_string(w->gen, p, len));

    w->repair = 0;
}


static void
ngx_chat_json_write_test(ngx_chat_json_write_t *w, yajl_gen_status status)
{
    if (status != yajl_gen_status_ok) {
        w->failed = 1;
    }
}


static void
ngx_chat_json_write_open(ngx_chat_json_write_t *w, ngx_chat_json_type_e type)
{
    if (w->failed) {
        return;
    }

    w->depth++;

    ngx_chat_json_write_test(w, type == NGX_CHAT_JSON_OBJECT_e
                                ? yajl_gen_map_open(w->gen)
                                : yajl_gen_array_open(w->gen));
}


static void
ngx_chat_json_write_close(ngx_chat_json_write_t *w, ngx_chat_json_type_e type)
{
    if (w->failed) {
        return;
    }

    if (w->depth == 0) {
        w->failed = 1;
        return;
    }

    w->depth--;

    ngx_chat_json_write_test(w, type == NGX_CHAT_JSON_OBJECT_e
                                ? yajl_gen_map_close(w->gen)
                                : yajl_gen_array_close(w->gen));
}
