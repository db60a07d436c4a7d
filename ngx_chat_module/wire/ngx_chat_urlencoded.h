
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Text of the type application/x-www-form-urlencoded: query strings and
 * posted forms.  Pure.
 *
 * The text is read as the WHATWG's URL standard says.  "&" separates pairs,
 * and empty pairs are skipped.  A name ends at the first "="; without "=" the
 * value is empty.  "+" is a space, "%" with two hexadecimal digits is a byte,
 * and any other "%" stands for itself.
 */


#ifndef _NGX_CHAT_URLENCODED_H_INCLUDED_
#define _NGX_CHAT_URLENCODED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Takes the first pair off rest, not decoded.  NGX_OK; NGX_DONE: no more. */
ngx_int_t ngx_chat_urlencoded_next(ngx_str_t *rest, ngx_str_t *name,
    ngx_str_t *value);

/*
 * Decodes a name or a value into dst and sets text to the result.  dst may be
 * text->data; the result is never longer than the text.  NGX_OK; NGX_DECLINED
 * where it is decoded, too, but some "%" stands for itself: a caller that
 * stores the text refuses it, because the sender meant something else.
 */
ngx_int_t ngx_chat_urlencoded_decode(ngx_str_t *text, u_char *dst);

/* 1 where a decoded name is what. */
ngx_uint_t ngx_chat_urlencoded_is(ngx_str_t *name, const char *what);

/* The byte that "%XX" at p stands for; NGX_ERROR where p has no "%XX". */
ngx_int_t ngx_chat_urlencoded_byte(u_char *p, u_char *last);


#endif /* _NGX_CHAT_URLENCODED_H_INCLUDED_ */
