
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

#include <store/ngx_chat_store.h>


typedef struct {
    uint64_t                   id;
    ngx_str_t                  reply;      /* in the request's pool */
} ngx_chat_commit_result_t;


typedef struct ngx_chat_commit_s  ngx_chat_commit_t;

/*
 * rc is NGX_OK, or what ngx_chat_write_t's done() gets.  Returns what
 * ngx_http_finalize_request() takes.
 */
typedef ngx_int_t (*ngx_chat_commit_pt)(ngx_http_request_t *r,
    ngx_chat_commit_t *c, ngx_int_t rc);

struct ngx_chat_commit_s {
    ngx_http_request_t        *request;
    ngx_chat_commit_result_t  *results;    /* n of them, in order */
    ngx_chat_write_t         **writes;
    ngx_uint_t                 n;
    ngx_uint_t                 ndone;
    uint64_t                  *slots;      /* with subscribers of the channels,
                                              see ngx_chat_wait.h */
    uint64_t                   position;   /* in the ring, behind all events */
    ngx_int_t                  rc;
    ngx_chat_commit_pt         handler;
    void                      *data;
};


/*
 * Hands n records (1..) over to the store, as one.  For a body's handler to
 * return: NGX_DONE, and handler() will be called once, unless nginx ends the
 * request by force; NGX_BUSY: the store takes no more, nothing was done;
 * NGX_ERROR: no memory, nothing was done.
 *
 * That the client leaves does not end the request: what it asked for is done,
 * and what was answered is known if it asks again.
 */
ngx_int_t ngx_chat_commit(ngx_http_request_t *r, ngx_chat_store_t *st,
    ngx_chat_record_t *recs, ngx_chat_socket_id_t *excepts, ngx_uint_t n,
    ngx_chat_commit_pt handler, void *data);


#endif /* _NGX_CHAT_COMMIT_H_INCLUDED_ */
