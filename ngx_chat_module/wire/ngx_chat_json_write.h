
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * JSON writer.  Pure.
 *
 * A writer without a buffer only counts, so that a renderer can run twice:
 * first to learn the exact size, then into a buffer of that size.  The text is
 * compact, and its members stand in the order of the calls.  The caller must
 * call in an order that makes JSON.
 *
 * The output is always UTF-8: a byte that is not part of a UTF-8 character
 * becomes U+FFFD.
 */


#ifndef _NGX_CHAT_JSON_WRITE_H_INCLUDED_
#define _NGX_CHAT_JSON_WRITE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_json.h>


typedef struct {
    u_char            *buf;            /* NULL: only count */
    size_t             len;            /* written or counted so far */
    size_t             size;           /* of buf */
    ngx_uint_t         depth;          /* of arrays, objects, texts open */

    unsigned           failed:1;       /* buffer too small, or something
                                          ended that was not open */
    unsigned           comma:1;        /* stands before the next value */
    unsigned           in_text:1;      /* a text is open */
} ngx_chat_json_write_t;


void ngx_chat_json_write_init(ngx_chat_json_write_t *w, u_char *buf,
    size_t size);

/*
 * The length of the JSON; NGX_ERROR where it failed, is empty, or something
 * is still open.
 */
ssize_t ngx_chat_json_write_done(ngx_chat_json_write_t *w);

void ngx_chat_json_write_object(ngx_chat_json_write_t *w);
void ngx_chat_json_write_object_end(ngx_chat_json_write_t *w);
void ngx_chat_json_write_array(ngx_chat_json_write_t *w);
void ngx_chat_json_write_array_end(ngx_chat_json_write_t *w);

/*
 * A string that holds JSON: the values from text to text_end are escaped as
 * they come.  Texts do not nest.
 */
void ngx_chat_json_write_text(ngx_chat_json_write_t *w);
void ngx_chat_json_write_text_end(ngx_chat_json_write_t *w);

void ngx_chat_json_write_key(ngx_chat_json_write_t *w, const char *name);
void ngx_chat_json_write_name(ngx_chat_json_write_t *w, ngx_str_t *name);
void ngx_chat_json_write_string(ngx_chat_json_write_t *w, ngx_str_t *s);
void ngx_chat_json_write_cstring(ngx_chat_json_write_t *w, const char *s);
void ngx_chat_json_write_uint(ngx_chat_json_write_t *w, uint64_t n);
void ngx_chat_json_write_key_uint(ngx_chat_json_write_t *w, const char *name,
    uint64_t n);
void ngx_chat_json_write_bool(ngx_chat_json_write_t *w, ngx_uint_t value);
void ngx_chat_json_write_null(ngx_chat_json_write_t *w);

/* A value that is JSON already, copied. */
void ngx_chat_json_write_json(ngx_chat_json_write_t *w, ngx_str_t *json);

/* A value that was parsed, with all that is in it. */
void ngx_chat_json_write_value(ngx_chat_json_write_t *w,
    ngx_chat_json_value_t *v);


#endif /* _NGX_CHAT_JSON_WRITE_H_INCLUDED_ */
