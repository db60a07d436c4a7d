
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A buddy allocator on shared memory.  Pure.
 *
 * Only the tag of a piece's first unit has a meaning.  A buddy is always the
 * first unit of a piece: a larger piece with the buddy in it would have the
 * unit at hand in it, too.
 *
 * A free piece that is smaller than a block is in the list of the block's
 * owner; so is its buddy, which is in the same block.
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
static ngx_uint_t ngx_chat_arena_is_allowed(ngx_chat_arena_sh_t *arena,
    ngx_chat_arena_owner_sh_t *owner, size_t n);
static void ngx_chat_arena_count(ngx_chat_arena_sh_t *arena,
    ngx_chat_arena_owner_sh_t *owner, size_t held, size_t share);
static void ngx_chat_arena_push(ngx_chat_arena_sh_t *arena,
    ngx_chat_arena_owner_sh_t *owner, size_t i, ngx_uint_t order);
static void ngx_chat_arena_pull(ngx_chat_arena_sh_t *arena,
    ngx_chat_arena_owner_sh_t *owner, size_t i, ngx_uint_t order);


#define ngx_chat_arena_at(arena, i)                                           \
    ((ngx_chat_arena_free_t *) ((arena)->base + (i) * NGX_CHAT_ARENA_UNIT))

#define ngx_chat_arena_unit(arena, p)                                         \
    ((size_t) ((u_char *) (p) - (arena)->base) / NGX_CHAT_ARENA_UNIT)

#define ngx_chat_arena_bytes(order)  ((size_t) NGX_CHAT_ARENA_UNIT << (order))

/* the list of free pieces of that order */
#define ngx_chat_arena_list(arena, owner, order)                              \
    ((order) < NGX_CHAT_ARENA_BLOCK ? &(owner)->free[order]                   \
                                    : &(arena)->free[order])

/* what the owner does not hold yet of its share */
#define ngx_chat_arena_rest(owner)                                            \
    ((owner)->share > (owner)->held ? (owner)->share - (owner)->held : 0)


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
    arena->units -= arena->units % ((size_t) 1 << NGX_CHAT_ARENA_BLOCK);
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

        ngx_chat_arena_push(arena, NULL, i, order);
    }
}


void
ngx_chat_arena_share(ngx_chat_arena_sh_t *arena,
    ngx_chat_arena_owner_sh_t *owner, size_t share)
{
    ngx_chat_arena_count(arena, owner, owner->held, share);
}


void *
ngx_chat_arena_alloc(ngx_chat_arena_sh_t *arena,
    ngx_chat_arena_owner_sh_t *owner, size_t size)
{
    size_t      i, bytes;
    ngx_uint_t  order, n;

    order = ngx_chat_arena_order(size);

    for (n = order; n < NGX_CHAT_ARENA_ORDERS; n++) {
        if (*ngx_chat_arena_list(arena, owner, n)) {
            break;
        }
    }

    if (n >= NGX_CHAT_ARENA_ORDERS) {
        return NULL;
    }

    if (n >= NGX_CHAT_ARENA_BLOCK) {
        bytes = ngx_chat_arena_bytes(ngx_max(order, NGX_CHAT_ARENA_BLOCK));

        if (!ngx_chat_arena_is_allowed(arena, owner, bytes)) {
            return NULL;
        }

        ngx_chat_arena_count(arena, owner, owner->held + bytes, owner->share);
    }

    i = ngx_chat_arena_unit(arena, *ngx_chat_arena_list(arena, owner, n));

    ngx_chat_arena_pull(arena, owner, i, n);

    while (n > order) {
        n--;
        ngx_chat_arena_push(arena, owner, i + ((size_t) 1 << n), n);
    }

    ngx_chat_failpoint("alloc");

    arena->tags[i] = (u_char) order;
    arena->used += ngx_chat_arena_bytes(order);

    return ngx_chat_arena_at(arena, i);
}


void
ngx_chat_arena_free(ngx_chat_arena_sh_t *arena,
    ngx_chat_arena_owner_sh_t *owner, void *p)
{
    size_t      i, buddy, bytes;
    ngx_uint_t  order;

    i = ngx_chat_arena_unit(arena, p);
    order = arena->tags[i];

    arena->used -= ngx_chat_arena_bytes(order);

    /* of a piece in a block, what goes back is the block, or nothing */

    bytes = (order < NGX_CHAT_ARENA_BLOCK) ? 0 : ngx_chat_arena_bytes(order);

    /* joined with its neighbours as far as those are free */

    while (order < NGX_CHAT_ARENA_ORDERS - 1) {

        buddy = i ^ ((size_t) 1 << order);

        if (buddy + ((size_t) 1 << order) > arena->units
            || arena->tags[buddy] != (NGX_CHAT_ARENA_IS_FREE | order))
        {
            break;
        }

        ngx_chat_arena_pull(arena, owner, buddy, order);

        i = ngx_min(i, buddy);
        order++;

        if (order == NGX_CHAT_ARENA_BLOCK) {
            bytes = ngx_chat_arena_bytes(order);
        }
    }

    ngx_chat_failpoint("free");

    ngx_chat_arena_push(arena, owner, i, order);

    ngx_chat_arena_count(arena, owner, owner->held - bytes, owner->share);
}


size_t
ngx_chat_arena_piece(size_t size)
{
    ngx_uint_t  order;

    order = ngx_chat_arena_order(size);

    return (order < NGX_CHAT_ARENA_ORDERS) ? ngx_chat_arena_bytes(order) : 0;
}


size_t
ngx_chat_arena_size(ngx_chat_arena_sh_t *arena, void *p)
{
    return (size_t) NGX_CHAT_ARENA_UNIT
           << arena->tags[ngx_chat_arena_unit(arena, p)];
}


static ngx_uint_t
ngx_chat_arena_order(size_t size)
{
    ngx_uint_t  order;

    for (order = 0; order < NGX_CHAT_ARENA_ORDERS; order++) {
        if (size <= ngx_chat_arena_bytes(order)) {
            break;
        }
    }

    return order;
}


/* Whether the owner may take n bytes more. */

static ngx_uint_t
ngx_chat_arena_is_allowed(ngx_chat_arena_sh_t *arena,
    ngx_chat_arena_owner_sh_t *owner, size_t n)
{
    size_t  left, others;

    if (owner->held + n <= owner->share) {
        return 1;
    }

    left = arena->size - arena->held;
    others = arena->reserved - ngx_chat_arena_rest(owner);

    /* others may be more than left: shares given when others had taken more */

    return n <= left && others <= left - n;
}


static void
ngx_chat_arena_count(ngx_chat_arena_sh_t *arena,
    ngx_chat_arena_owner_sh_t *owner, size_t held, size_t share)
{
    arena->reserved -= ngx_chat_arena_rest(owner);
    arena->held -= owner->held;

    owner->held = held;
    owner->share = share;

    arena->reserved += ngx_chat_arena_rest(owner);
    arena->held += owner->held;
}


static void
ngx_chat_arena_push(ngx_chat_arena_sh_t *arena,
    ngx_chat_arena_owner_sh_t *owner, size_t i, ngx_uint_t order)
{
    ngx_chat_arena_free_t  *f, **list;

    f = ngx_chat_arena_at(arena, i);
    list = ngx_chat_arena_list(arena, owner, order);

    arena->tags[i] = NGX_CHAT_ARENA_IS_FREE | order;

    f->prev = NULL;
    f->next = *list;

    if (f->next) {
        f->next->prev = f;
    }

    *list = f;
}


static void
ngx_chat_arena_pull(ngx_chat_arena_sh_t *arena,
    ngx_chat_arena_owner_sh_t *owner, size_t i, ngx_uint_t order)
{
    ngx_chat_arena_free_t  *f;

    f = ngx_chat_arena_at(arena, i);

    if (f->next) {
        f->next->prev = f->prev;
    }

    if (f->prev) {
        f->prev->next = f->next;

    } else {
        /* cppcheck-suppress arrayIndexOutOfBoundsCond; it is a piece's order */
        *ngx_chat_arena_list(arena, owner, order) = f->next;
    }
}
