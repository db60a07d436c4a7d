
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Memory for small things in the shared zone: a buddy allocator.  Pure.
 *
 * The sizes of pieces are powers of two.  A piece is split when it is taken and
 * merged with its neighbours when it is freed, so that memory can be used for
 * any size again.  The caller holds the zone's lock.  If a worker dies in one
 * of these functions, the zone makes the arena anew.
 */


#ifndef _NGX_CHAT_ARENA_H_INCLUDED_
#define _NGX_CHAT_ARENA_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_CHAT_ARENA_UNIT    64          /* bytes, the smallest piece */
#define NGX_CHAT_ARENA_ORDERS  40


typedef struct ngx_chat_arena_free_s  ngx_chat_arena_free_t;

typedef struct {
    u_char                  *base;         /* of the units */
    u_char                  *tags;         /* of each piece's first unit: the
                                              piece's order */
    size_t                   units;
    size_t                   size;         /* bytes in all units */
    size_t                   used;         /* bytes in pieces handed out */
    ngx_chat_arena_free_t   *free[NGX_CHAT_ARENA_ORDERS];
} ngx_chat_arena_sh_t;


/* Makes an empty arena of all the memory given. */
void ngx_chat_arena_init(ngx_chat_arena_sh_t *arena, size_t size);

/*
 * Returns memory aligned to 64 bytes, not cleared; NULL: there is no piece
 * of that size.
 */
void *ngx_chat_arena_alloc(ngx_chat_arena_sh_t *arena, size_t size);

void ngx_chat_arena_free(ngx_chat_arena_sh_t *arena, void *p);

/* The bytes that a piece of that size takes; 0: more than any piece has. */
size_t ngx_chat_arena_piece(size_t size);


#endif /* _NGX_CHAT_ARENA_H_INCLUDED_ */
