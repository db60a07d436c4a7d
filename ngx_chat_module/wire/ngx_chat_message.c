
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The message: parse, validate, render.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>
#include <time.h>

#include <wire/ngx_chat_message.h>
#include <wire/ngx_chat_json_write.h>
#include <wire/ngx_chat_urlencoded.h>
#include <wire/ngx_chat_utf8.h>


/* 0000-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z */
#define NGX_CHAT_MESSAGE_TIME_MIN  (-62167219200000LL)
#define NGX_CHAT_MESSAGE_TIME_MAX  253402300799999LL


static const char *ngx_chat_message_read_field(ngx_chat_message_post_t *post,
    ngx_str_t *name, ngx_str_t *value, u_char *dst);
static ngx_uint_t ngx_chat_message_is_space(ngx_uint_t ch);


ngx_int_t
ngx_chat_message_read_json(ngx_chat_message_post_t *post, ngx_chat_json_t *j,
    u_char *body, size_t len)
{
    ngx_int_t               rc;
    ngx_chat_json_value_t  *root, *v;

    ngx_memzero(post, sizeof(ngx_chat_message_post_t));

    post->blank = 1;

    rc = ngx_chat_json_parse(j, body, len, &root);

    if (rc == NGX_DECLINED) {
        post->error = j->error;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    if (root->type != NGX_CHAT_JSON_OBJECT_e) {
        post->error = "body is not a JSON object";
        return NGX_DECLINED;
    }

    /* another type leaves it not given */

    (void) ngx_chat_json_string(root, "socket_id", &post->socket_id);

    v = ngx_chat_json_member(root, "content");

    if (v != NULL && v->type == NGX_CHAT_JSON_STRING_e) {
        post->content = v->text;
        post->blank = ngx_chat_message_is_blank(v->text.data, v->text.len);
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_message_read_form(ngx_chat_message_post_t *post, ngx_chat_json_t *j,
    u_char *body, size_t len)
{
    u_char     *dst;
    ngx_str_t   rest, name, value;

    ngx_memzero(post, sizeof(ngx_chat_message_post_t));

    post->blank = 1;

    if (len == 0) {
        return NGX_OK;
    }

    /* decoded text is never longer than the body */

    dst = j->alloc(j->ctx, len);
    if (dst == NULL) {
        return NGX_ERROR;
    }

    rest.data = body;
    rest.len = len;

    while (ngx_chat_urlencoded_next(&rest, &name, &value) == NGX_OK) {

        post->error = ngx_chat_message_read_field(post, &name, &value, dst);

        if (post->error != NULL) {
            return NGX_DECLINED;
        }

        dst = value.data + value.len;
    }

    post->blank = ngx_chat_message_is_blank(post->content.data,
                                            post->content.len);

    return NGX_OK;
}


/* Decodes the field to dst.  Returns NULL, or an error's text. */

static const char *
ngx_chat_message_read_field(ngx_chat_message_post_t *post, ngx_str_t *name,
    ngx_str_t *value, u_char *dst)
{
    if (ngx_chat_urlencoded_decode(name, dst) != NGX_OK
        || ngx_chat_urlencoded_decode(value, dst + name->len) != NGX_OK)
    {
        return "body has a broken %-escape";
    }

    if (ngx_chat_utf8_check(name->data, name->len) != NGX_OK
        || ngx_chat_utf8_check(value->data, value->len) != NGX_OK)
    {
        return "body is not valid UTF-8";
    }

    if (ngx_chat_urlencoded_is(name, "content")) {
        post->content = *value;

    } else if (ngx_chat_urlencoded_is(name, "socket_id")) {
        post->socket_id = *value;
    }

    return NULL;
}


ngx_uint_t
ngx_chat_message_is_blank(u_char *p, size_t len)
{
    u_char      *last;
    ngx_uint_t   ch;

    if (len == 0) {
        return 1;
    }

    last = p + len;

    while (p < last) {

        if (*p < 0x80) {
            ch = *p++;

        } else if (*p < 0xe0 && last - p >= 2) {
            ch = (p[0] & 0x1f) << 6 | (p[1] & 0x3f);
            p += 2;

        } else if (*p < 0xf0 && last - p >= 3) {
            ch = (p[0] & 0x0f) << 12 | (p[1] & 0x3f) << 6 | (p[2] & 0x3f);
            p += 3;

        } else {
            return 0;
        }

        if (!ngx_chat_message_is_space(ch)) {
            return 0;
        }
    }

    return 1;
}


/* Unicode's property White_Space; no character above U+3000 has it. */

static ngx_uint_t
ngx_chat_message_is_space(ngx_uint_t ch)
{
    switch (ch) {

    case ' ':
    case 0x85:
    case 0xa0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202f:
    case 0x205f:
    case 0x3000:
        return 1;

    default:
        return (ch >= 0x09 && ch <= 0x0d) || (ch >= 0x2000 && ch <= 0x200a);
    }
}


ssize_t
ngx_chat_message_render(ngx_chat_message_t *m, u_char *buf, size_t size)
{
    u_char                 text[NGX_CHAT_MESSAGE_TIME_LEN];
    ngx_str_t              time;
    ngx_chat_json_write_t  w;

    time.len = NGX_CHAT_MESSAGE_TIME_LEN;
    time.data = text;

    ngx_chat_json_write_init(&w, buf, size);

    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "id");
    ngx_chat_json_write_uint(&w, m->id);

    if (m->kind == NGX_CHAT_MESSAGE_EVENT_e) {
        ngx_chat_json_write_key(&w, "event");
        ngx_chat_json_write_string(&w, &m->event);
        ngx_chat_json_write_key(&w, "data");

    } else {
        ngx_chat_json_write_key(&w, "content");
    }

    ngx_chat_json_write_string(&w, &m->content);

    if (m->author.len) {
        ngx_chat_json_write_key(&w, "author");
        ngx_chat_json_write_string(&w, &m->author);
    }

    (void) ngx_chat_message_write_time(text, m->created);

    ngx_chat_json_write_key(&w, "created_at");
    ngx_chat_json_write_string(&w, &time);

    if (m->kind != NGX_CHAT_MESSAGE_EVENT_e) {
        (void) ngx_chat_message_write_time(text, m->updated);

        ngx_chat_json_write_key(&w, "updated_at");
        ngx_chat_json_write_string(&w, &time);
    }

    ngx_chat_json_write_object_end(&w);

    return ngx_chat_json_write_done(&w);
}


u_char *
ngx_chat_message_write_time(u_char *p, int64_t ms)
{
    char       text[NGX_CHAT_MESSAGE_TIME_LEN + 1];
    time_t     sec;
    struct tm  tm;

    ms = ngx_max(ms, NGX_CHAT_MESSAGE_TIME_MIN);
    ms = ngx_min(ms, NGX_CHAT_MESSAGE_TIME_MAX);

    /* rounded down, also before 1970 */

    ms -= NGX_CHAT_MESSAGE_TIME_MIN;
    sec = ms / 1000 + NGX_CHAT_MESSAGE_TIME_MIN / 1000;

    (void) gmtime_r(&sec, &tm);
    (void) snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
                    (unsigned) (tm.tm_year + 1900) % 10000,
                    (unsigned) (tm.tm_mon + 1) % 100,
                    (unsigned) tm.tm_mday % 100,
                    (unsigned) tm.tm_hour % 100,
                    (unsigned) tm.tm_min % 100,
                    (unsigned) tm.tm_sec % 100,
                    (unsigned) (ms % 1000));

    return ngx_cpymem(p, text, NGX_CHAT_MESSAGE_TIME_LEN);
}
