
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A request that waits for the store: its messages are committed, all or
 * none, and then it is answered.
 */


#ifndef _NGX_CHAT_COMMIT_H_INCLUDED_
#define _NGX_CHAT_COMMIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_request.h>
#include <store/ngx_chat_store.h>


typedef struct {
    uint64_t                   id;
    ngx_str_t                  reply;      /* in the request's pool */
    ngx_uint_t                 repeated;   /* it was stored and sent before */
} ngx_chat_commit_result_t;


typedef struct {
    ngx_http_request_t        *request;
    ngx_chat_commit_result_t  *results;    /* n of them, in order */
    ngx_chat_write_t         **writes;
    ngx_uint_t                 n;
    ngx_uint_t                 ndone;
    uint64_t                  *slots;      /* with subscribers of the channels,
                                              see ngx_chat_wait.h */
    uint64_t                   position;   /* in the ring, behind all events */
    ngx_int_t                  rc;         /* NGX_OK, or what done() of a
                                              ngx_chat_write_t got */
    ngx_chat_request_pt        handler;
    void                      *data;
} ngx_chat_commit_t;


/*
 * Hands n records (1 or more) over to the store, to be committed together.
 * NGX_DONE: the handler will be called once with the ngx_chat_commit_t, unless
 * nginx ends the request by force; NGX_BUSY: the store takes no more, nothing
 * was done; NGX_ERROR: no memory, nothing was done.
 *
 * That the client leaves does not end the request: what it asked for is done,
 * and the answer is known when it asks again.
 */
ngx_int_t ngx_chat_commit(ngx_http_request_t *r, ngx_chat_record_t *recs,
    ngx_chat_socket_id_t *excepts, ngx_uint_t n, ngx_chat_request_pt handler,
    void *data);


#endif /* _NGX_CHAT_COMMIT_H_INCLUDED_ */
