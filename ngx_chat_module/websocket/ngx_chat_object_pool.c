
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Blocks of 64 KB are cut into items.  An item points to its block, which has
 * the number of items in use, so that both functions take the same time however
 * many items there are.
 *
 * With NGX_CHAT_NO_SLAB each object is from malloc(), for tools that watch it.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <websocket/ngx_chat_object_pool.h>


#define NGX_CHAT_OBJECT_POOL_BLOCK  65536

/* The first 56 bytes of an object are in one line of the cache. */
#define NGX_CHAT_OBJECT_POOL_ALIGN  64


typedef struct ngx_chat_object_pool_block_s  ngx_chat_object_pool_block_t;
typedef struct ngx_chat_object_pool_item_s  ngx_chat_object_pool_item_t;


struct ngx_chat_object_pool_block_s {
    ngx_queue_t                   queue;   /* of blocks with room */
    ngx_chat_object_pool_item_t  *free;    /* items given back */
    u_char                       *fresh;   /* the first item never used */
    ngx_uint_t                    left;    /* number of these */
    ngx_uint_t                    used;
};


struct ngx_chat_object_pool_item_s {
    ngx_chat_object_pool_block_t  *block;
    union {
        ngx_chat_object_pool_item_t  *next; /* of those given back */
        u_char                        data[1];
    } u;
};


#define ngx_chat_object_pool_head  offsetof(ngx_chat_object_pool_item_t, u)


static ngx_chat_object_pool_block_t *ngx_chat_object_pool_block(
    ngx_chat_object_pool_t *pool,
    size_t size, ngx_log_t *log);


void *
ngx_chat_object_pool_alloc(ngx_chat_object_pool_t *pool, ngx_log_t *log)
{
    size_t                         size;
    ngx_chat_object_pool_item_t   *item;
    ngx_chat_object_pool_block_t  *b;

#if (NGX_CHAT_NO_SLAB)
    return ngx_calloc(pool->size, log);
#endif

    size = ngx_align(ngx_chat_object_pool_head + pool->size,
                     NGX_CHAT_OBJECT_POOL_ALIGN);

    if (pool->open.next == NULL) {
        ngx_queue_init(&pool->open);
    }

    b = ngx_queue_empty(&pool->open)
        ? ngx_chat_object_pool_block(pool, size, log)
        : ngx_queue_data(ngx_queue_head(&pool->open),
                         ngx_chat_object_pool_block_t,
                         queue);

    if (b == NULL) {
        return NULL;
    }

    if (b->free) {
        item = b->free;
        b->free = item->u.next;

    } else {
        item = (ngx_chat_object_pool_item_t *) b->fresh;
        item->block = b;
        b->fresh += size;
        b->left--;
    }

    b->used++;

    if (b->free == NULL && b->left == 0) {
        ngx_queue_remove(&b->queue);
    }

    ngx_memzero(item->u.data, pool->size);

    return item->u.data;
}


void
ngx_chat_object_pool_free(ngx_chat_object_pool_t *pool, void *p)
{
    ngx_chat_object_pool_item_t   *item;
    ngx_chat_object_pool_block_t  *b;

#if (NGX_CHAT_NO_SLAB)
    ngx_free(p);
    return;
#endif

    item = (ngx_chat_object_pool_item_t *)
               ((u_char *) p - ngx_chat_object_pool_head);
    b = item->block;

    if (b->free == NULL && b->left == 0) {
        ngx_queue_insert_head(&pool->open, &b->queue);
    }

    item->u.next = b->free;
    b->free = item;
    b->used--;

    /* one empty block is kept for the next client */

    if (b->used == 0
        && ngx_queue_head(&pool->open) != ngx_queue_last(&pool->open))
    {
        ngx_queue_remove(&b->queue);
        ngx_free(b);
    }
}


void
ngx_chat_object_pool_exit(ngx_chat_object_pool_t *pool)
{
    ngx_queue_t                   *q, *next;
    ngx_chat_object_pool_block_t  *b;

    if (pool->open.next == NULL) {
        return;
    }

    for (q = ngx_queue_head(&pool->open);
         q != ngx_queue_sentinel(&pool->open);
         q = next)
    {
        next = ngx_queue_next(q);
        b = ngx_queue_data(q, ngx_chat_object_pool_block_t, queue);

        if (b->used == 0) {
            ngx_queue_remove(q);
            ngx_free(b);
        }
    }
}


static ngx_chat_object_pool_block_t *
ngx_chat_object_pool_block(ngx_chat_object_pool_t *pool, size_t size,
    ngx_log_t *log)
{
    u_char                        *last;
    ngx_chat_object_pool_block_t  *b;

    b = ngx_alloc(NGX_CHAT_OBJECT_POOL_BLOCK, log);
    if (b == NULL) {
        return NULL;
    }

    last = (u_char *) b + NGX_CHAT_OBJECT_POOL_BLOCK;

    b->fresh = ngx_align_ptr(b + 1, NGX_CHAT_OBJECT_POOL_ALIGN);
    b->left = (last - b->fresh) / size;
    b->free = NULL;
    b->used = 0;

    ngx_queue_insert_head(&pool->open, &b->queue);

    return b;
}
