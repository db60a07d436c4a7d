
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The outer side of the door: a request goes to the worker where its session
 * lives, says what it wants, and waits for the first byte of the answer.
 */


#ifndef _NGX_CHAT_VISIT_H_INCLUDED_
#define _NGX_CHAT_VISIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <fallback/ngx_chat_door.h>
#include <http/ngx_chat_request.h>


/* In the request's pool, cleared. */

typedef struct {
    ngx_http_request_t      *request;
    ngx_connection_t        *connection;   /* NULL: there is none */
    u_char                  *pos;          /* to be said */
    u_char                  *last;
    ngx_uint_t               answer;       /* the first byte; 0: none came */
    ngx_chat_request_pt      handler;      /* called with data then */
    void                    *data;
} ngx_chat_visit_t;


/* Has the visit end with the request.  NGX_OK, or NGX_ERROR: no memory. */
ngx_int_t ngx_chat_visit_init(ngx_chat_visit_t *v, ngx_http_request_t *r);

/*
 * Goes to the slot's worker; pos, last, handler and data are set.  NGX_OK: the
 * request is suspended, see ngx_chat_request_suspend(), and handler() will go
 * on, with the connection, which says nothing until it is read; NGX_ERROR
 * (logged).
 */
ngx_int_t ngx_chat_visit(ngx_chat_visit_t *v, ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_msec_t timeout);

/* Closes the connection; may be called twice. */
void ngx_chat_visit_end(ngx_chat_visit_t *v);


#endif /* _NGX_CHAT_VISIT_H_INCLUDED_ */
