
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Which part of a history a request asks for, by the arguments of its query
 * string: after or after_id, before or before_id, limit.  Pure.
 */


#ifndef _NGX_CHAT_HISTORY_QUERY_H_INCLUDED_
#define _NGX_CHAT_HISTORY_QUERY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_CHAT_HISTORY_QUERY_ID_MAX  0x7fffffffffffffffULL


typedef struct {
    uint64_t           id;             /* value of after or before */
    uint64_t           limit;

    unsigned           after:1;
    unsigned           before:1;
    unsigned           limited:1;      /* limit was given */
} ngx_chat_history_query_t;


/*
 * Reads a query string, without its "?".  Names and numbers may not be
 * escaped; other arguments are ignored.  max is the highest limit.  Returns
 * NULL, or an error: a sentence for the client.
 */
const char *ngx_chat_history_query_read(ngx_chat_history_query_t *range,
    ngx_str_t *args, uint64_t max);

/*
 * Writes all arguments except after, after_id, before and before_id, each
 * followed by "&": at most args->len + 1 bytes.  Returns the end.
 */
u_char *ngx_chat_history_query_write_rest(u_char *p, ngx_str_t *args);


#endif /* _NGX_CHAT_HISTORY_QUERY_H_INCLUDED_ */
