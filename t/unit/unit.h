
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What all unit tests share: checks, TAP output that prove reads, and an
 * allocator that can be made to fail.
 *
 * A test is a function without arguments; main() runs each by RUN() and
 * returns unit_done().  A failed CHECK() prints its place and the test goes
 * on; the test is "not ok" then, and the program's exit status is 1.
 */


#ifndef _NGX_CHAT_UNIT_H_INCLUDED_
#define _NGX_CHAT_UNIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define RUN(test)  unit_run(#test, test)

#define CHECK(cond)                                                           \
    unit_check((cond) ? 1 : 0, #cond, __FILE__, __LINE__)

/* Equal numbers; both are printed where they differ. */
#define CHECK_INT(got, expected)                                              \
    unit_check_int((int64_t) (got), (int64_t) (expected), #got, __FILE__,     \
                   __LINE__)

/* Bytes against a literal, which may hold NUL. */
#define CHECK_BYTES(p, len, literal)                                          \
    unit_check_bytes((u_char *) (p), (size_t) (len), (u_char *) literal,      \
                     sizeof(literal) - 1, #p, __FILE__, __LINE__)

/* An ngx_str_t against a literal. */
#define CHECK_STR(str, literal)                                               \
    CHECK_BYTES((str).data, (str).len, literal)


typedef struct unit_chunk_s  unit_chunk_t;

struct unit_chunk_s {
    unit_chunk_t      *next;
    uint64_t           align;
};


/* Zeroed is ready to use; unit_pool_free() makes it so again. */
typedef struct {
    unit_chunk_t      *chunks;
    ngx_uint_t         count;          /* calls of unit_alloc() */
    size_t             bytes;          /* handed out */
    ngx_uint_t         fail_at;        /* this call, and those after it,
                                          fail; 0: none does */
} unit_pool_t;


typedef struct {
    ngx_uint_t         tests;
    ngx_uint_t         failed_tests;
    ngx_uint_t         failed_checks;  /* in the test that runs */
} unit_state_t;


static unit_state_t  unit;


static ngx_inline ngx_uint_t
unit_check(ngx_uint_t ok, const char *text, const char *file, int line)
{
    if (!ok) {
        unit.failed_checks++;
        printf("# %s:%d: failed: %s\n", file, line, text);
        fflush(stdout);
    }

    return ok;
}


static ngx_inline ngx_uint_t
unit_check_int(int64_t got, int64_t expected, const char *text,
    const char *file, int line)
{
    if (got == expected) {
        return 1;
    }

    unit_check(0, text, file, line);

    printf("#      got: %lld\n# expected: %lld\n", (long long) got,
           (long long) expected);

    return 0;
}


static ngx_inline void
unit_dump(const char *title, u_char *p, size_t len)
{
    size_t  i;

    printf("# %s (%lu): ", title, (unsigned long) len);

    for (i = 0; i < len && i < 400; i++) {
        if (p[i] >= 0x20 && p[i] < 0x7f) {
            putchar(p[i]);

        } else {
            printf("\\x%02x", p[i]);
        }
    }

    printf("\n");
}


static ngx_inline ngx_uint_t
unit_check_bytes(u_char *p, size_t len, u_char *expected, size_t expected_len,
    const char *text, const char *file, int line)
{
    if (len == expected_len
        && (len == 0 || memcmp(p, expected, len) == 0))
    {
        return 1;
    }

    unit_check(0, text, file, line);

    if (p != NULL) {
        unit_dump("     got", p, len);
    }

    unit_dump("expected", expected, expected_len);

    return 0;
}


static ngx_inline void
unit_run(const char *name, void (*test)(void))
{
    unit.tests++;
    unit.failed_checks = 0;

    test();

    if (unit.failed_checks) {
        unit.failed_tests++;
    }

    printf("%sok %lu - %s\n", unit.failed_checks ? "not " : "",
           (unsigned long) unit.tests, name);
    fflush(stdout);
}


/* Prints the plan, returns the exit status. */
static ngx_inline int
unit_done(void)
{
    printf("1..%lu\n", (unsigned long) unit.tests);

    return (unit.failed_tests || unit.tests == 0) ? 1 : 0;
}


static ngx_inline ngx_str_t
unit_str(const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = strlen(text);

    return s;
}


/* Of the form of ngx_chat_json_alloc_pt, with a unit_pool_t as ctx. */
static ngx_inline void *
unit_alloc(void *ctx, size_t size)
{
    unit_pool_t  *pool = ctx;

    unit_chunk_t  *chunk;

    pool->count++;

    if (pool->fail_at && pool->count >= pool->fail_at) {
        return NULL;
    }

    chunk = malloc(sizeof(unit_chunk_t) + size);
    if (chunk == NULL) {
        return NULL;
    }

    chunk->next = pool->chunks;
    pool->chunks = chunk;
    pool->bytes += size;

    return (u_char *) chunk + sizeof(unit_chunk_t);
}


static ngx_inline void
unit_pool_free(unit_pool_t *pool)
{
    unit_chunk_t  *chunk, *next;

    for (chunk = pool->chunks; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }

    memset(pool, 0, sizeof(unit_pool_t));
}


/*
 * A copy of exactly len bytes in memory of its own, so that the address
 * sanitizer sees a read or write beyond it.
 */
static ngx_inline u_char *
unit_copy(unit_pool_t *pool, const void *p, size_t len)
{
    u_char  *copy;

    copy = unit_alloc(pool, len);

    if (copy != NULL && len) {
        memcpy(copy, p, len);
    }

    return copy;
}


#endif /* _NGX_CHAT_UNIT_H_INCLUDED_ */
