
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * An item of the cluster's log: one event, as bytes that all nodes read.
 * Pure.
 *
 * An item has a length of its own, so items that follow one another are a
 * batch.  Numbers are big-endian: nodes may be of different machines.  Ids and
 * times are not in it, for these are the log's.
 */


#ifndef _NGX_CHAT_LOG_ITEM_H_INCLUDED_
#define _NGX_CHAT_LOG_ITEM_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_envelope.h>
#include <wire/ngx_chat_message.h>


#define NGX_CHAT_LOG_ITEM_HEADER  38       /* bytes before the strings */


typedef struct {
    ngx_uint_t            kind;        /* ngx_chat_message_kind_e */
    uint64_t              app;
    ngx_chat_socket_id_t  except;      /* gets no copy */
    ngx_str_t             channel;     /* 1..255 bytes */
    ngx_str_t             event;
    ngx_str_t             content;
    ngx_str_t             author;      /* len 0: none */
} ngx_chat_log_item_t;


/* Whether an item has the lengths that pack() can write. */
ngx_uint_t ngx_chat_log_item_fits(ngx_chat_log_item_t *item);

/* Bytes that pack() writes. */
size_t ngx_chat_log_item_size(ngx_chat_log_item_t *item);

/* Returns the end. */
u_char *ngx_chat_log_item_pack(u_char *p, ngx_chat_log_item_t *item);

/*
 * Reads an item at *p and moves on; its strings point into the batch.
 * NGX_OK; NGX_DONE: *p is at the end; NGX_ERROR: no node has written this.
 */
ngx_int_t ngx_chat_log_item_unpack(ngx_chat_log_item_t *item, u_char **p,
    u_char *last);


#endif /* _NGX_CHAT_LOG_ITEM_H_INCLUDED_ */
