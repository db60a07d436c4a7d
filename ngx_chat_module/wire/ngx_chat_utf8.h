
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * UTF-8 check (RFC 3629), also of text that comes in fragments.  Pure.
 */


#ifndef _NGX_CHAT_UTF8_H_INCLUDED_
#define _NGX_CHAT_UTF8_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef struct {
    u_char             need;           /* continuation bytes still to come */
    u_char             low;            /* bounds of the next one */
    u_char             high;
} ngx_chat_utf8_t;


void ngx_chat_utf8_init(ngx_chat_utf8_t *u);

/*
 * Takes the next bytes.  NGX_ERROR with the first byte that cannot be UTF-8:
 * overlong forms, surrogates, characters above U+10FFFF, stray or missing
 * continuation bytes.
 */
ngx_int_t ngx_chat_utf8_update(ngx_chat_utf8_t *u, u_char *p, size_t len);

/* NGX_OK where the last character is complete. */
ngx_int_t ngx_chat_utf8_final(ngx_chat_utf8_t *u);

/* Checks a whole text: NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_utf8_check(u_char *p, size_t len);

/*
 * The length of the longest beginning that is made of whole characters; len
 * where all of it is UTF-8.
 */
size_t ngx_chat_utf8_prefix(u_char *p, size_t len);

/* The characters of a text that is UTF-8. */
size_t ngx_chat_utf8_count(u_char *p, size_t len);


#endif /* _NGX_CHAT_UTF8_H_INCLUDED_ */
