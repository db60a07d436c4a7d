
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * JSON reader (RFC 8259) over yajl's parser: text to a tree of values.  Pure.
 *
 * The reader is strict: one value, then only white space, no comments, valid
 * UTF-8.  A lone surrogate escape becomes U+FFFD.  All memory comes from the
 * caller's allocator and is never freed here, so the caller can use a pool.
 */


#ifndef _NGX_CHAT_JSON_H_INCLUDED_
#define _NGX_CHAT_JSON_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_CHAT_JSON_DEPTH   64       /* deepest nesting accepted */
#define NGX_CHAT_JSON_VALUES  65536    /* most values accepted: a value takes
                                          many times its text's memory */


typedef enum {
    NGX_CHAT_JSON_NULL_e = 0,
    NGX_CHAT_JSON_FALSE_e,
    NGX_CHAT_JSON_TRUE_e,
    NGX_CHAT_JSON_NUMBER_e,
    NGX_CHAT_JSON_STRING_e,
    NGX_CHAT_JSON_ARRAY_e,
    NGX_CHAT_JSON_OBJECT_e
} ngx_chat_json_type_e;


typedef struct ngx_chat_json_value_s  ngx_chat_json_value_t;

struct ngx_chat_json_value_s {
    ngx_chat_json_type_e    type;
    ngx_str_t               name;      /* of a member of an object */
    ngx_str_t               text;      /* string: decoded, may hold NUL;
                                          number: as written */
    ngx_chat_json_value_t  *first;     /* of an array or object, in order */
    ngx_chat_json_value_t  *next;      /* sibling */
};


typedef void *(*ngx_chat_json_alloc_pt)(void *ctx, size_t size);

typedef struct {
    ngx_chat_json_alloc_pt  alloc;     /* NULL when out of memory */
    void                   *ctx;
    const char             *error;     /* after NGX_DECLINED: what is wrong,
                                          a constant without the input */
    ngx_uint_t              nlone;     /* after NGX_OK: lone surrogates that
                                          became U+FFFD */
} ngx_chat_json_t;


/*
 * NGX_OK with *value set; NGX_DECLINED with j->error set where the text is
 * wrong; NGX_ERROR where alloc() failed.  Strings point into memory from
 * alloc(), not into the text.
 */
ngx_int_t ngx_chat_json_parse(ngx_chat_json_t *j, u_char *text, size_t len,
    ngx_chat_json_value_t **value);

/*
 * The member of an object by its name; the last one of several, as
 * JSON.parse() takes it.  NULL where there is none, or v is not an object.
 */
ngx_chat_json_value_t *ngx_chat_json_member(ngx_chat_json_value_t *v,
    const char *name);

/* The same; NULL also where the member is null. */
ngx_chat_json_value_t *ngx_chat_json_given(ngx_chat_json_value_t *v,
    const char *name);

/*
 * The text of such a member.  NGX_OK, and text->data is NULL only where the
 * member is not given; NGX_DECLINED where it is not a string.
 */
ngx_int_t ngx_chat_json_string(ngx_chat_json_value_t *v, const char *name,
    ngx_str_t *text);

/*
 * 1 where no lone surrogate can have become a part of the text, of the value
 * that was parsed last.  For names: two that were different must not become
 * one.
 */
ngx_uint_t ngx_chat_json_is_exact(ngx_chat_json_t *j, ngx_str_t *text);


#endif /* _NGX_CHAT_JSON_H_INCLUDED_ */
