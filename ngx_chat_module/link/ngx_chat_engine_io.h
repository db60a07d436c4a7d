
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Bytes to and from the engine: sockets, TLS, deadlines.  For the functions of
 * ngx_chat_engine.h.
 */


#ifndef _NGX_CHAT_ENGINE_IO_H_INCLUDED_
#define _NGX_CHAT_ENGINE_IO_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_link_url.h>


#define NGX_CHAT_ENGINE_ERROR  192     /* bytes of its last error */
#define NGX_CHAT_ENGINE_HOST   256


/* Of all connections of a process. */

typedef struct {
    ngx_array_t       *urls;           /* of ngx_chat_link_url_t */
    ngx_str_t          password;       /* len 0: none */
    SSL_CTX           *ssl;            /* NULL: no URL wants TLS */
    ngx_str_t          key;            /* one of the keys that are used */
} ngx_chat_engine_conf_t;


typedef struct {
    ngx_chat_engine_conf_t  *conf;
    int                      fd;       /* -1: not connected */
    SSL                     *ssl;
    void                    *reader;
    ngx_uint_t               items;    /* of lists in its answer */
    uint64_t                 deadline; /* ms, by the monotonic clock */
    ngx_uint_t               port;
    char                     host[NGX_CHAT_ENGINE_HOST];   /* of the primary */
    ngx_uint_t               moved_port;    /* 0: ask the URLs */
    char                     moved[NGX_CHAT_ENGINE_HOST];
    char                     error[NGX_CHAT_ENGINE_ERROR];
} ngx_chat_engine_t;


/*
 * Connects to a host, or to a socket's path where port is 0; with TLS where tls
 * is set.  Waits until e->deadline.  NGX_OK, NGX_ERROR with e->error.
 */
ngx_int_t ngx_chat_engine_dial(ngx_chat_engine_t *e, const char *host,
    ngx_uint_t port, ngx_uint_t tls);

/* Writes all, until e->deadline.  NGX_OK, NGX_ERROR with e->error. */
ngx_int_t ngx_chat_engine_write(ngx_chat_engine_t *e, u_char *p, size_t len);

/* Reads something, until e->deadline.  The number of bytes, or NGX_ERROR with
   e->error. */
ssize_t ngx_chat_engine_read(ngx_chat_engine_t *e, u_char *p, size_t size);

/* Notes an error, and returns NGX_ERROR. */
ngx_int_t ngx_chat_engine_failed(ngx_chat_engine_t *e, const char *text);

/* Closes the socket, if there is one. */
void ngx_chat_engine_hang_up(ngx_chat_engine_t *e);


#endif /* _NGX_CHAT_ENGINE_IO_H_INCLUDED_ */
