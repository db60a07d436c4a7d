
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A buddy allocator on shared memory.  Pure.
 *
 * Only the tag of a piece's first unit has a meaning.  A buddy is always the
 * first unit of a piece: a larger piece with the buddy in it would have the
 * unit at hand in it, too.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_arena.h>
#include <wire/ngx_chat_failpoint.h>


/* of a tag; the rest is the piece's order */
#define NGX_CHAT_ARENA_IS_FREE  0x80


struct ngx_chat_arena_free_s {
    ngx_chat_arena_free_t   *next;
    ngx_chat_arena_free_t   *prev;
};


static ngx_uint_t ngx_chat_arena_order(size_t size);
static void ngx_chat_arena_push(ngx_chat_arena_sh_t *arena, size_t i,
    ngx_uint_t order);
static void ngx_chat_arena_pull(ngx_chat_arena_sh_t *arena, size_t i,
    ngx_uint_t order);


#define ngx_chat_arena_at(arena, i)                                           \
    ((ngx_chat_arena_free_t *) ((arena)->base + (i) * NGX_CHAT_ARENA_UNIT))

#define ngx_chat_arena_unit(arena, p)                                         \
    ((size_t) ((u_char *) (p) - (arena)->base) / NGX_CHAT_ARENA_UNIT)


void
ngx_chat_arena_init(ngx_chat_arena_sh_t *arena, size_t size)
{
    size_t       i;
    u_char      *p;
    ngx_uint_t   order;

    ngx_memzero(arena, sizeof(ngx_chat_arena_sh_t));

    p = (u_char *) arena;

    arena->tags = p + sizeof(ngx_chat_arena_sh_t);
    arena->units = (size - sizeof(ngx_chat_arena_sh_t) - NGX_CHAT_ARENA_UNIT)
                   / (NGX_CHAT_ARENA_UNIT + 1);
    arena->base = ngx_align_ptr(arena->tags + arena->units,
                                NGX_CHAT_ARENA_UNIT);
    arena->size = arena->units * NGX_CHAT_ARENA_UNIT;

    /* the largest pieces that are aligned to their own size */

    for (i = 0; i < arena->units; i += (size_t) 1 << order) {

        order = 0;

        while (order < NGX_CHAT_ARENA_ORDERS - 1
               && i % ((size_t) 2 << order) == 0
               && i + ((size_t) 2 << order) <= arena->units)
        {
            order++;
        }

        ngx_chat_arena_push(arena, i, order);
    }
}


void *
ngx_chat_arena_alloc(ngx_chat_arena_sh_t *arena, size_t size)
{
    size_t      i;
    ngx_uint_t  order, n;

    order = ngx_chat_arena_order(size);

    for (n = order; n < NGX_CHAT_ARENA_ORDERS; n++) {
        if (arena->free[n]) {
            break;
        }
    }

    if (n >= NGX_CHAT_ARENA_ORDERS) {
        return NULL;
    }

    i = ngx_chat_arena_unit(arena, arena->free[n]);

    ngx_chat_arena_pull(arena, i, n);

    while (n > order) {
        n--;
        ngx_chat_arena_push(arena, i + ((size_t) 1 << n), n);
    }

    ngx_chat_failpoint("alloc");

    arena->tags[i] = (u_char) order;
    arena->used += (size_t) NGX_CHAT_ARENA_UNIT << order;

    return ngx_chat_arena_at(arena, i);
}


void
ngx_chat_arena_free(ngx_chat_arena_sh_t *arena, void *p)
{
    size_t      i, buddy;
    ngx_uint_t  order;

    i = ngx_chat_arena_unit(arena, p);
    order = arena->tags[i];

    arena->used -= (size_t) NGX_CHAT_ARENA_UNIT << order;

    /* joined with its neighbours as far as those are free */

    while (order < NGX_CHAT_ARENA_ORDERS - 1) {

        buddy = i ^ ((size_t) 1 << order);

        if (buddy + ((size_t) 1 << order) > arena->units
            || arena->tags[buddy] != (NGX_CHAT_ARENA_IS_FREE | order))
        {
            break;
        }

        ngx_chat_arena_pull(arena, buddy, order);

        i = ngx_min(i, buddy);
        order++;
    }

    ngx_chat_failpoint("free");

    ngx_chat_arena_push(arena, i, order);
}


size_t
ngx_chat_arena_piece(size_t size)
{
    ngx_uint_t  order;

    order = ngx_chat_arena_order(size);

    return (order < NGX_CHAT_ARENA_ORDERS)
           ? (size_t) NGX_CHAT_ARENA_UNIT << order : 0;
}


static ngx_uint_t
ngx_chat_arena_order(size_t size)
{
    ngx_uint_t  order;

    for (order = 0; order < NGX_CHAT_ARENA_ORDERS; order++) {
        if (size <= (size_t) NGX_CHAT_ARENA_UNIT << order) {
            break;
        }
    }

    return order;
}


static void
ngx_chat_arena_push(ngx_chat_arena_sh_t *arena, size_t i, ngx_uint_t order)
{
    ngx_chat_arena_free_t  *f;

    f = ngx_chat_arena_at(arena, i);

    arena->tags[i] = NGX_CHAT_ARENA_IS_FREE | order;

    f->prev = NULL;
    f->next = arena->free[order];

    if (f->next) {
        f->next->prev = f;
    }

    arena->free[order] = f;
}


static void
ngx_chat_arena_pull(ngx_chat_arena_sh_t *arena, size_t i, ngx_uint_t order)
{
    ngx_chat_arena_free_t  *f;

    f = ngx_chat_arena_at(arena, i);

    if (f->next) {
        f->next->prev = f->prev;
    }

    if (f->prev) {
        f->prev->next = f->next;

    } else {
        arena->free[order] = f->next;
    }
}
