
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Ends of states that are held back: channels that were vacated and members
 * that were removed, who may be back soon.  In the herald's memory only; a
 * successor reads their records again.
 *
 * Used by one thread.  There are as many as the zone has had channels and
 * members in the last seconds.
 */


#ifndef _NGX_CHAT_HOOK_HELD_H_INCLUDED_
#define _NGX_CHAT_HOOK_HELD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_CHAT_HOOK_HELD_BUCKETS  4096


typedef struct ngx_chat_hook_held_s  ngx_chat_hook_held_t;

struct ngx_chat_hook_held_s {
    ngx_queue_t            queue;      /* first; in the order of time */
    ngx_chat_hook_held_t  *next;       /* in the bucket */
    uint64_t               app;
    uint64_t               due;        /* ms, by the monotonic clock */
    uint64_t               position;   /* of its record */
    ngx_str_t              channel;    /* these two follow the struct */
    ngx_str_t              user;       /* len 0: the channel itself */
};


typedef struct {
    ngx_queue_t            queue;
    ngx_uint_t             n;
    ngx_chat_hook_held_t  *buckets[NGX_CHAT_HOOK_HELD_BUCKETS];
} ngx_chat_hook_held_list_t;


void ngx_chat_hook_held_init(ngx_chat_hook_held_list_t *l);

/* NGX_OK, also where it is held already; NGX_ERROR: no memory. */
ngx_int_t ngx_chat_hook_held_add(ngx_chat_hook_held_list_t *l, uint64_t app,
    ngx_str_t *channel, ngx_str_t *user, uint64_t due, uint64_t position);

/* 1 where it was held, and is not any more. */
ngx_uint_t ngx_chat_hook_held_drop(ngx_chat_hook_held_list_t *l, uint64_t app,
    ngx_str_t *channel, ngx_str_t *user);

/* The one that was added first, or NULL. */
ngx_chat_hook_held_t *ngx_chat_hook_held_first(ngx_chat_hook_held_list_t *l);

void ngx_chat_hook_held_clear(ngx_chat_hook_held_list_t *l);


#endif /* _NGX_CHAT_HOOK_HELD_H_INCLUDED_ */
