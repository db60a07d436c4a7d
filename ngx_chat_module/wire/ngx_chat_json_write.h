
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * JSON writer over yajl's generator.  Pure.
 *
 * A writer without a buffer only counts, so a renderer can be run twice: once
 * to learn the exact size, once into a buffer of that size.  Text comes out
 * compact, members in the order of the calls.
 *
 * Whatever it is given, what comes out is UTF-8: a byte that is none becomes
 * U+FFFD.  Nothing is allocated; the generator lives in the writer, so a
 * writer must stay where init() found it.
 */


#ifndef _NGX_CHAT_JSON_WRITE_H_INCLUDED_
#define _NGX_CHAT_JSON_WRITE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_json.h>


/* What yajl's generator takes is about 700 bytes. */
#define NGX_CHAT_JSON_WRITE_MEMORY  1024


typedef struct {
    void              *gen;            /* yajl_gen, in memory[] */
    u_char            *buf;            /* NULL: only count */
    size_t             len;            /* written or counted so far */
    size_t             size;           /* of buf */
    size_t             used;           /* of memory[] */
    ngx_uint_t         depth;          /* of arrays and objects open */

    unsigned           failed:1;       /* buffer too small or calls out of
                                          order */
    unsigned           repair:1;       /* what comes may not be UTF-8 */

    uint64_t           memory[NGX_CHAT_JSON_WRITE_MEMORY / 8];
} ngx_chat_json_write_t;


/* NGX_OK or NGX_ERROR (no memory); done() must be called in either case. */
ngx_int_t ngx_chat_json_write_init(ngx_chat_json_write_t *w, u_char *buf,
    size_t size);

/*
 * The length of the text; NGX_ERROR where a call failed or something is
 * still open.
 */
ssize_t ngx_chat_json_write_done(ngx_chat_json_write_t *w);

void ngx_chat_json_write_object(ngx_chat_json_write_t *w);
void ngx_chat_json_write_object_end(ngx_chat_json_write_t *w);
void ngx_chat_json_write_array(ngx_chat_json_write_t *w);
void ngx_chat_json_write_array_end(ngx_chat_json_write_t *w);
void ngx_chat_json_write_key(ngx_chat_json_write_t *w, const char *name);
void ngx_chat_json_write_string(ngx_chat_json_write_t *w, ngx_str_t *s);
void ngx_chat_json_write_cstring(ngx_chat_json_write_t *w, const char *s);
void ngx_chat_json_write_uint(ngx_chat_json_write_t *w, uint64_t n);
void ngx_chat_json_write_bool(ngx_chat_json_write_t *w, ngx_uint_t value);
void ngx_chat_json_write_null(ngx_chat_json_write_t *w);

/* A parsed value, whole: compact text of what was read. */
void ngx_chat_json_write_value(ngx_chat_json_write_t *w,
    ngx_chat_json_value_t *v);


#endif /* _NGX_CHAT_JSON_WRITE_H_INCLUDED_ */
