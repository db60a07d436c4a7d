
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Memory of things of one size, densely packed, for one process.
 *
 * A delivery looks at 32 bytes of each session.  Where sessions lie among all
 * else that a connection has, each is in another page, and 10,000 of them are
 * more than the processor keeps addresses of.
 */


#ifndef _NGX_CHAT_OBJECT_POOL_H_INCLUDED_
#define _NGX_CHAT_OBJECT_POOL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Set up by { size, { NULL, NULL } }; some KB at most. */

typedef struct {
    size_t                   size;         /* of a thing, without overhead */
    ngx_queue_t              open;         /* blocks with room */
} ngx_chat_object_pool_t;


/* A thing, zeroed; or NULL. */
void *ngx_chat_object_pool_alloc(ngx_chat_object_pool_t *slab, ngx_log_t *log);

/* Gives it back; blocks that are empty are freed, but one. */
void ngx_chat_object_pool_free(ngx_chat_object_pool_t *slab, void *p);

/* At the process's end: frees the block that was kept, too. */
void ngx_chat_object_pool_exit(ngx_chat_object_pool_t *slab);


#endif /* _NGX_CHAT_OBJECT_POOL_H_INCLUDED_ */
