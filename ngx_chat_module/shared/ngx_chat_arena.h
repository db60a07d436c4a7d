
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Memory for small things in the shared zone: a buddy allocator.  Pure.
 *
 * Pieces are powers of two, split when taken and merged again when freed, so
 * that memory serves any size again, whatever it was used for before.  A tag
 * for each unit is the truth of what is free: it changes by one store.  Free
 * lists are derived from the tags, and made anew when a worker was killed
 * while it changed them.  The caller holds the zone's lock.
 *
 * A worker that is killed between alloc() and the link to what it got, or
 * between the cut of a link and free(), leaves a piece that nobody knows:
 * mark what is known, and sweep.
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
    u_char                  *tags;         /* one for each unit */
    size_t                   units;
    size_t                   size;         /* bytes in all units */
    size_t                   used;         /* bytes in pieces handed out */
    ngx_chat_arena_free_t   *free[NGX_CHAT_ARENA_ORDERS];
    ngx_uint_t               busy;         /* the lists are being changed */
} ngx_chat_arena_sh_t;


/* Makes an empty arena of all the memory given. */
void ngx_chat_arena_init(ngx_chat_arena_sh_t *arena, size_t size);

/*
 * Returns memory aligned to 64 bytes, not cleared; NULL: there is no piece
 * of that size.
 */
void *ngx_chat_arena_alloc(ngx_chat_arena_sh_t *arena, size_t size);

/* size is what alloc() was asked for. */
void ngx_chat_arena_free(ngx_chat_arena_sh_t *arena, void *p, size_t size);

/*
 * Finds what is lost: begin() takes all marks away, mark() marks a piece and
 * returns 1 where it was marked before, sweep() frees what has no mark and
 * returns the number of such pieces.  Both walk all of the arena.
 */
void ngx_chat_arena_begin(ngx_chat_arena_sh_t *arena);
ngx_uint_t ngx_chat_arena_mark(ngx_chat_arena_sh_t *arena, void *p);
ngx_uint_t ngx_chat_arena_sweep(ngx_chat_arena_sh_t *arena);

/* 1 where it has a mark. */
ngx_uint_t ngx_chat_arena_is_marked(ngx_chat_arena_sh_t *arena, void *p);

/* The bytes that a piece of that size takes; 0: more than any piece has. */
size_t ngx_chat_arena_piece(size_t size);


#endif /* _NGX_CHAT_ARENA_H_INCLUDED_ */
