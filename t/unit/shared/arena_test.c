
/* sources: shared/ngx_chat_arena.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_arena.h>
#include <unit.h>


#define MEMORY  (1024 * 1024)


static void                       *memory;
static ngx_chat_arena_owner_sh_t   owner;


static ngx_chat_arena_sh_t *
make(void)
{
    memory = aligned_alloc(4096, MEMORY);
    memset(memory, 0xa5, MEMORY);

    ngx_chat_arena_init(memory, MEMORY);
    memset(&owner, 0, sizeof(ngx_chat_arena_owner_sh_t));

    return memory;
}


/* Every size gets memory of its own, aligned, within the arena. */

static void
test_sizes(void)
{
    u_char               *p[64];
    size_t                size, sizes[64], k;
    ngx_uint_t            i, n;
    ngx_chat_arena_sh_t  *arena;

    arena = make();
    n = 0;

    for (size = 1; size < 20000; size = size * 3 / 2 + 1) {

        p[n] = ngx_chat_arena_alloc(arena, &owner, size);
        sizes[n] = size;

        CHECK(p[n] != NULL);
        CHECK((uintptr_t) p[n] % 64 == 0);
        CHECK(p[n] >= (u_char *) memory + sizeof(ngx_chat_arena_sh_t));
        CHECK(p[n] + size <= (u_char *) memory + MEMORY);

        memset(p[n], (int) n, size);
        n++;
    }

    /* none was written over by another */

    for (i = 0; i < n; i++) {
        for (k = 0; k < sizes[i] && p[i][k] == (u_char) i; k++) {
            /* void */
        }

        CHECK_INT(k, sizes[i]);
    }

    for (i = 0; i < n; i++) {
        ngx_chat_arena_free(arena, &owner, p[i]);
    }

    CHECK_INT(arena->used, 0);

    free(memory);
}


static ngx_uint_t
fill(ngx_chat_arena_sh_t *arena, size_t size, void **held)
{
    void        *p;
    ngx_uint_t   n;

    for (n = 0; ; n++) {
        p = ngx_chat_arena_alloc(arena, &owner, size);

        if (p == NULL) {
            return n;
        }

        *(void **) p = *held;
        *held = p;
    }
}


static void
drop(ngx_chat_arena_sh_t *arena, void **held)
{
    void  *p;

    while (*held) {
        p = *held;
        *held = *(void **) p;
        ngx_chat_arena_free(arena, &owner, p);
    }
}


/* Full is an answer; memory given back serves every size again. */

static void
test_full(void)
{
    size_t                size;
    void                 *held;
    ngx_uint_t            n;
    ngx_chat_arena_sh_t  *arena;

    arena = make();
    held = NULL;

    for (size = 64; size <= 65536; size *= 2) {

        n = fill(arena, size, &held);

        CHECK(n * size <= arena->size);
        CHECK(n * size + 2 * size > arena->size);
        CHECK_INT(arena->used, n * size);
        CHECK_INT(arena->held, ngx_align(n * size, 4096));
        CHECK(ngx_chat_arena_alloc(arena, &owner, size) == NULL);

        drop(arena, &held);

        CHECK_INT(arena->used, 0);
        CHECK_INT(arena->held, 0);
    }

    CHECK_INT(fill(arena, 64, &held), arena->units);

    free(memory);
}


/* More than the largest piece is refused, as is more than there is. */

static void
test_too_large(void)
{
    ngx_chat_arena_sh_t  *arena;

    arena = make();

    CHECK(ngx_chat_arena_alloc(arena, &owner, 2 * MEMORY) == NULL);
    CHECK(ngx_chat_arena_alloc(arena, &owner, (size_t) -1) == NULL);
    CHECK_INT(ngx_chat_arena_piece((size_t) -1), 0);
    CHECK_INT(ngx_chat_arena_piece(1), 64);
    CHECK_INT(ngx_chat_arena_piece(64), 64);
    CHECK_INT(ngx_chat_arena_piece(65), 128);
    CHECK_INT(arena->used, 0);
    CHECK(ngx_chat_arena_alloc(arena, &owner, 100000) != NULL);

    free(memory);
}


/* Made anew, it knows nothing of what was there, whatever that was. */

static void
test_made_anew(void)
{
    void                 *held;
    ngx_uint_t            i;
    ngx_chat_arena_sh_t  *arena;

    arena = make();
    held = NULL;

    (void) fill(arena, 64, &held);

    for (i = 0; i < NGX_CHAT_ARENA_ORDERS; i++) {
        arena->free[i] = (void *) 1;
    }

    arena->base = NULL;
    arena->units = 1;
    held = NULL;

    ngx_chat_arena_init(arena, MEMORY);
    memset(&owner, 0, sizeof(ngx_chat_arena_owner_sh_t));

    CHECK_INT(arena->used, 0);
    CHECK(ngx_chat_arena_alloc(arena, &owner, 512 * 1024) != NULL);

    ngx_chat_arena_init(arena, MEMORY);
    memset(&owner, 0, sizeof(ngx_chat_arena_owner_sh_t));

    CHECK_INT(fill(arena, 64, &held), arena->units);

    free(memory);
}


int
main(void)
{
    RUN(test_sizes);
    RUN(test_full);
    RUN(test_too_large);
    RUN(test_made_anew);

    return unit_done();
}
