
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Text of the type application/x-www-form-urlencoded: query strings, and
 * forms that are posted.  Pure.
 *
 * It is read as the WHATWG's URL standard says.  Pairs are separated by "&",
 * and empty ones are skipped.  A name ends at the first "="; without one the
 * value is empty.  "+" is a space, "%" with two hexadecimal digits a byte, and
 * any other "%" stands for itself.
 */


#ifndef _NGX_CHAT_URLENCODED_H_INCLUDED_
#define _NGX_CHAT_URLENCODED_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Takes the first pair off rest, not decoded.  NGX_OK; NGX_DONE: no more. */
ngx_int_t ngx_chat_urlencoded_next(ngx_str_t *rest, ngx_str_t *name,
    ngx_str_t *value);

/*
 * Decodes a name or a value into dst, which may be where the text is, and
 * needs no more bytes than that has; text is the decoded one then.  NGX_OK;
 * NGX_DECLINED: the same, and some "%" stands for itself.  Who stores what he
 * is sent refuses that: it is not what the sender means.
 */
ngx_int_t ngx_chat_urlencoded_decode(ngx_str_t *text, u_char *dst);

/* 1 where a decoded name is what. */
ngx_uint_t ngx_chat_urlencoded_is(ngx_str_t *name, const char *what);

/* The byte that "%XX" at p is; NGX_ERROR: that is not at p. */
ngx_int_t ngx_chat_urlencoded_byte(u_char *p, u_char *last);


#endif /* _NGX_CHAT_URLENCODED_H_INCLUDED_ */
