
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Memory for small things in the shared zone: a buddy allocator.  Pure.
 *
 * The sizes of pieces are powers of two.  A piece is split when it is taken and
 * merged with its neighbours when it is freed, so that memory can be used for
 * any size again.  The caller holds the zone's lock.  If a worker dies in one
 * of these functions, the zone makes the arena anew.
 *
 * Each piece has an owner: an app.  An owner takes whole blocks and splits them
 * for itself; what is larger than a block it takes as it is.  So the holes that
 * an owner leaves in its blocks are its own, and count as its own.
 *
 * An owner has a share, so many bytes that it can surely have.  Beyond it, an
 * owner gets what it asks for as long as what stays free is enough for what
 * the others do not hold yet of their shares.  The promise is exact for pieces
 * up to a block, since each block serves everybody.  A larger piece may be
 * refused where that much is free, but not side by side.
 */


#ifndef _NGX_CHAT_ARENA_H_INCLUDED_
#define _NGX_CHAT_ARENA_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_CHAT_ARENA_UNIT    64          /* bytes, the smallest piece */
#define NGX_CHAT_ARENA_BLOCK   6           /* the order of a block: 4 KB */
#define NGX_CHAT_ARENA_ORDERS  40


typedef struct ngx_chat_arena_free_s  ngx_chat_arena_free_t;

/* Zeroed, it has nothing, and no share. */

typedef struct {
    size_t                   held;         /* bytes of its blocks, and of its
                                              pieces larger than a block */
    size_t                   share;        /* bytes that it can surely have */
    ngx_chat_arena_free_t   *free[NGX_CHAT_ARENA_BLOCK];   /* in its blocks */
} ngx_chat_arena_owner_sh_t;


typedef struct {
    u_char                  *base;         /* of the units */
    u_char                  *tags;         /* of each piece's first unit: the
                                              piece's order */
    size_t                   units;
    size_t                   size;         /* bytes in all units */
    size_t                   used;         /* bytes in pieces handed out */
    size_t                   held;         /* bytes that owners hold */
    size_t                   reserved;     /* bytes of shares not held yet */
    ngx_chat_arena_free_t   *free[NGX_CHAT_ARENA_ORDERS];  /* blocks, and
                                              larger pieces */
} ngx_chat_arena_sh_t;


/* Makes an empty arena of all the memory given.  Owners are made anew by the
   caller. */
void ngx_chat_arena_init(ngx_chat_arena_sh_t *arena, size_t size);

/* Gives the owner a share; what it has stays. */
void ngx_chat_arena_share(ngx_chat_arena_sh_t *arena,
    ngx_chat_arena_owner_sh_t *owner, size_t share);

/*
 * Returns memory aligned to 64 bytes, not cleared; NULL: there is no piece
 * of that size, or the others' shares need what is left.
 */
void *ngx_chat_arena_alloc(ngx_chat_arena_sh_t *arena,
    ngx_chat_arena_owner_sh_t *owner, size_t size);

/* The owner is the one that the piece was allocated for. */
void ngx_chat_arena_free(ngx_chat_arena_sh_t *arena,
    ngx_chat_arena_owner_sh_t *owner, void *p);

/* The bytes that a piece of that size takes; 0: more than any piece has. */
size_t ngx_chat_arena_piece(size_t size);

/* The bytes that a piece takes. */
size_t ngx_chat_arena_size(ngx_chat_arena_sh_t *arena, void *p);


#endif /* _NGX_CHAT_ARENA_H_INCLUDED_ */
