
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A buddy allocator on shared memory.  Pure.
 *
 * Tags of units inside a piece have no meaning, so a piece is split by
 * writing the tags of its parts from the inside out, and merged by writing
 * one tag: whoever dies in between has changed nothing or all.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_arena.h>
#include <wire/ngx_chat_failpoint.h>


/* of a tag; the rest is the piece's order */
#define NGX_CHAT_ARENA_IS_FREE    0x80
#define NGX_CHAT_ARENA_IS_MARKED  0x40
#define NGX_CHAT_ARENA_ORDER      0x3f


struct ngx_chat_arena_free_s {
    ngx_chat_arena_free_t   *next;
    ngx_chat_arena_free_t   *prev;
};


static ngx_uint_t ngx_chat_arena_order(size_t size);
static void ngx_chat_arena_enter(ngx_chat_arena_sh_t *arena);
static void ngx_chat_arena_leave(ngx_chat_arena_sh_t *arena);
static void ngx_chat_arena_push(ngx_chat_arena_sh_t *arena, size_t i,
    ngx_uint_t order);
static void ngx_chat_arena_pull(ngx_chat_arena_sh_t *arena, size_t i,
    ngx_uint_t order);
static void ngx_chat_arena_merge(ngx_chat_arena_sh_t *arena, size_t i,
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

        arena->tags[i] = NGX_CHAT_ARENA_IS_FREE | order;
        ngx_chat_arena_push(arena, i, order);
    }
}


void *
ngx_chat_arena_alloc(ngx_chat_arena_sh_t *arena, size_t size)
{
    size_t      i;
    ngx_uint_t  order, n;

    order = ngx_chat_arena_order(size);

    ngx_chat_arena_enter(arena);

    for (n = order; n < NGX_CHAT_ARENA_ORDERS; n++) {
        if (arena->free[n]) {
            break;
        }
    }

    if (n >= NGX_CHAT_ARENA_ORDERS) {
        ngx_chat_arena_leave(arena);
        return NULL;
    }

    i = ngx_chat_arena_unit(arena, arena->free[n]);

    ngx_chat_arena_pull(arena, i, n);

    while (n > order) {
        n--;
        arena->tags[i + ((size_t) 1 << n)] = NGX_CHAT_ARENA_IS_FREE | n;
        ngx_chat_arena_push(arena, i + ((size_t) 1 << n), n);
    }

    ngx_chat_failpoint("alloc");

    ngx_memory_barrier();

    arena->tags[i] = (u_char) order;
    arena->used += (size_t) NGX_CHAT_ARENA_UNIT << order;

    ngx_chat_arena_leave(arena);

    ngx_chat_failpoint("allocated");

    return ngx_chat_arena_at(arena, i);
}


void
ngx_chat_arena_free(ngx_chat_arena_sh_t *arena, void *p, size_t size)
{
    ngx_uint_t  order;

    order = ngx_chat_arena_order(size);

    ngx_chat_failpoint("free");

    ngx_chat_arena_enter(arena);

    arena->used -= (size_t) NGX_CHAT_ARENA_UNIT << order;

    ngx_chat_arena_merge(arena, ngx_chat_arena_unit(arena, p), order);

    ngx_chat_arena_leave(arena);

    ngx_chat_failpoint("freed");
}


void
ngx_chat_arena_begin(ngx_chat_arena_sh_t *arena)
{
    size_t  i;

    /* lists that a dead worker left in disorder, too */
    ngx_chat_arena_enter(arena);
    ngx_chat_arena_leave(arena);

    for (i = 0;
         i < arena->units;
         i += (size_t) 1 << (arena->tags[i] & NGX_CHAT_ARENA_ORDER))
    {
        arena->tags[i] &= ~NGX_CHAT_ARENA_IS_MARKED;
    }
}


ngx_uint_t
ngx_chat_arena_mark(ngx_chat_arena_sh_t *arena, void *p)
{
    u_char  *tag;

    tag = &arena->tags[ngx_chat_arena_unit(arena, p)];

    if (*tag & NGX_CHAT_ARENA_IS_MARKED) {
        return 1;
    }

    *tag |= NGX_CHAT_ARENA_IS_MARKED;

    return 0;
}


ngx_uint_t
ngx_chat_arena_is_marked(ngx_chat_arena_sh_t *arena, void *p)
{
    return (arena->tags[ngx_chat_arena_unit(arena, p)]
            & NGX_CHAT_ARENA_IS_MARKED)
           ? 1 : 0;
}


/*
 * Inside of what has been merged, tags are those of before: the walk goes on
 * where the piece ended that it has freed.
 */

ngx_uint_t
ngx_chat_arena_sweep(ngx_chat_arena_sh_t *arena)
{
    u_char      tag;
    size_t      i, used;
    ngx_uint_t  order, n;

    n = 0;
    used = 0;

    ngx_chat_arena_enter(arena);

    for (i = 0; i < arena->units; i += (size_t) 1 << order) {
        tag = arena->tags[i];
        order = tag & NGX_CHAT_ARENA_ORDER;

        if (tag & NGX_CHAT_ARENA_IS_FREE) {
            continue;
        }

        if (tag & NGX_CHAT_ARENA_IS_MARKED) {
            used += (size_t) NGX_CHAT_ARENA_UNIT << order;
            continue;
        }

        ngx_chat_arena_merge(arena, i, order);
        n++;
    }

    arena->used = used;

    ngx_chat_arena_leave(arena);

    return n;
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


/* Makes the free lists anew where their last user died while changing them. */

static void
ngx_chat_arena_enter(ngx_chat_arena_sh_t *arena)
{
    size_t      i;
    ngx_uint_t  order;

    if (arena->busy) {

        ngx_memzero(arena->free, sizeof(arena->free));
        arena->used = 0;

        for (i = 0; i < arena->units; i += (size_t) 1 << order) {
            order = arena->tags[i] & NGX_CHAT_ARENA_ORDER;

            if (arena->tags[i] & NGX_CHAT_ARENA_IS_FREE) {
                ngx_chat_arena_push(arena, i, order);

            } else {
                arena->used += (size_t) NGX_CHAT_ARENA_UNIT << order;
            }
        }
    }

    arena->busy = 1;

    ngx_memory_barrier();
}


static void
ngx_chat_arena_leave(ngx_chat_arena_sh_t *arena)
{
    ngx_memory_barrier();

    arena->busy = 0;
}


static void
ngx_chat_arena_push(ngx_chat_arena_sh_t *arena, size_t i, ngx_uint_t order)
{
    ngx_chat_arena_free_t  *f;

    f = ngx_chat_arena_at(arena, i);

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


/* Frees a piece, joined with its neighbours as far as those are free. */

static void
ngx_chat_arena_merge(ngx_chat_arena_sh_t *arena, size_t i, ngx_uint_t order)
{
    size_t  buddy;

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

    ngx_chat_failpoint("merge");

    ngx_chat_arena_push(arena, i, order);

    ngx_memory_barrier();

    arena->tags[i] = NGX_CHAT_ARENA_IS_FREE | order;
}
