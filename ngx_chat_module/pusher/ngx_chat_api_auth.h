
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Who may call the HTTP API: the request's signature, checked (Pusher
 * protocol, section 6.5, checks in the order of its table).  Pure.
 */


#ifndef _NGX_CHAT_API_AUTH_H_INCLUDED_
#define _NGX_CHAT_API_AUTH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_api_query.h>
#include <pusher/ngx_chat_app.h>


#define NGX_CHAT_API_AUTH_TEXT  1024   /* most bytes of an error's text */


typedef struct {
    ngx_str_t               method;    /* upper case */
    ngx_str_t               path;      /* as on the request line, without
                                          the query */
    ngx_chat_api_query_t   *query;
    time_t                  now;       /* Unix seconds */
    time_t                  window;    /* seconds; 600 */

    /* for the sorted parameters: the query's length, a byte per parameter */
    u_char                 *scratch;

    /* after NGX_DECLINED */
    ngx_uint_t              status;    /* 401 or 403 */
    ngx_str_t               error;     /* UTF-8 text without a newline, in
                                          text[] */
    u_char                  text[NGX_CHAT_API_AUTH_TEXT];
} ngx_chat_api_auth_t;


/*
 * Both return NGX_OK; NGX_DECLINED with status and error; NGX_ERROR where
 * libcrypto has no memory.  check_body() is called after check() returned
 * NGX_OK and the raw body was read; it uses only the query.
 *
 * The key may be any key of the app (ngx_chat_app_secret()).
 *
 * Signature and body_md5 are compared in constant time.  The error's text
 * never holds the expected signature or a secret.  The client's text is cut in
 * it, and bytes that are not printable ASCII or UTF-8 are replaced.
 */
ngx_int_t ngx_chat_api_auth_check(ngx_chat_api_auth_t *a,
    ngx_chat_app_t *app);
ngx_int_t ngx_chat_api_auth_check_body(ngx_chat_api_auth_t *a,
    ngx_str_t *body);


#endif /* _NGX_CHAT_API_AUTH_H_INCLUDED_ */
