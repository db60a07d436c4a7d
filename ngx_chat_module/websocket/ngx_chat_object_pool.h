
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Memory for objects of one size, densely packed, for one process.
 *
 * A delivery looks at 32 bytes of each session.  From malloc() each session
 * would be in another page, and 10,000 pages are more than the processor's
 * cache of addresses holds.
 */


#ifndef _NGX_CHAT_OBJECT_POOL_H_INCLUDED_
#define _NGX_CHAT_OBJECT_POOL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Set up by { size, { NULL, NULL } }; a size is some KB at most. */

typedef struct {
    size_t                   size;         /* of an object */
    ngx_queue_t              open;         /* blocks with room */
} ngx_chat_object_pool_t;


/* An object, zeroed; or NULL. */
void *ngx_chat_object_pool_alloc(ngx_chat_object_pool_t *pool, ngx_log_t *log);

/* Gives an object back; empty blocks are freed, except for one. */
void ngx_chat_object_pool_free(ngx_chat_object_pool_t *pool, void *p);

/* At the process's end: frees the last empty block, too. */
void ngx_chat_object_pool_exit(ngx_chat_object_pool_t *pool);


#endif /* _NGX_CHAT_OBJECT_POOL_H_INCLUDED_ */
