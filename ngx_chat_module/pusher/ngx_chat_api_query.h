
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The query string of an HTTP API request, and the part of it that is signed
 * (Pusher protocol, section 6.5).  Pure.
 */


#ifndef _NGX_CHAT_API_QUERY_H_INCLUDED_
#define _NGX_CHAT_API_QUERY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_CHAT_API_QUERY_PARAMS  256     /* most parameters accepted: 100
                                          channels[] fit */


typedef struct {
    ngx_str_t               name;      /* decoded, in lower case */
    ngx_str_t               value;     /* decoded */
} ngx_chat_api_query_param_t;


typedef struct {
    ngx_uint_t                   n;
    ngx_chat_api_query_param_t  *params;   /* sorted by name bytewise, equal
                                              names as sent; in the reader's
                                              buf */
} ngx_chat_api_query_t;


/* The bytes that ngx_chat_api_query_read() needs for that text. */
size_t ngx_chat_api_query_size(u_char *text, size_t len);

/*
 * Reads a query string (without its "?"), as wire/ngx_chat_urlencoded.h says.
 * buf has room for ngx_chat_api_query_size() bytes, is aligned for pointers,
 * and takes the parameters and their decoded text.  NGX_OK; NGX_DECLINED: more
 * than NGX_CHAT_API_QUERY_PARAMS.
 */
ngx_int_t ngx_chat_api_query_read(ngx_chat_api_query_t *q, u_char *text,
    size_t len, u_char *buf);

/* The last parameter of that (lower-case) name, or NULL. */
ngx_str_t *ngx_chat_api_query_get(ngx_chat_api_query_t *q, const char *name);

/*
 * Writes the part that is signed: every parameter but auth_signature, in the
 * order of params, joined as name=value with "&", unescaped.  buf has room
 * for the query string's len bytes + n (each parameter has one "=" and one
 * "&" at most).  Returns the end.
 */
u_char *ngx_chat_api_query_write_signed(u_char *p, ngx_chat_api_query_t *q);


#endif /* _NGX_CHAT_API_QUERY_H_INCLUDED_ */
