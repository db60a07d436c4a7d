
/* sources: bus/ngx_chat_ring.c wire/ngx_chat_envelope.c */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Writers of the ring that are killed, at any instruction.
 */


#include "ring.h"

#include <sys/ptrace.h>
#include <sys/wait.h>


/*
 * The ring as a dead writer left it, n or n + 1 records written: all from
 * tail to head is whole, the mark belongs to the last of them, and a next
 * writer goes on from there.
 */
static ngx_uint_t
check_left(ngx_chat_ring_sh_t *left, size_t size, uint64_t n)
{
    uint64_t             pos, next, number, mark;
    ngx_uint_t           ok;
    ngx_chat_ring_sh_t  *ring;

    ring = malloc(size);
    memcpy(ring, left, size);

    mark = ngx_chat_ring_mark(ring);
    ok = CHECK(mark == n || mark == n + 1);

    next = 0;

    for (pos = ring->tail; ok && pos != ring->head; /* void */ ) {
        number = ring_read_number(ring, &pos);
        ok = CHECK(number && (next == 0 || number == next));
        next = number + 1;
    }

    ok = ok && CHECK(next == 0 || next == mark + 1);

    /* an append without a mark: it must not make the dead one's hold */

    ok = ok
         && CHECK(ring_append(ring, "x", 1, 0))
         && CHECK(ngx_chat_ring_mark(ring) == mark);

    pos = ring->head;

    ok = ok
         && CHECK(ring_append_number(ring, mark + 1))
         && CHECK(ngx_chat_ring_mark(ring) == mark + 1)
         && CHECK(ring_read_number(ring, &pos) == mark + 1);

    free(ring);

    return ok;
}


/*
 * Lets a child append record n + 1 instruction by instruction and looks at
 * the ring whenever it has changed, as if the child had been killed there.
 * How many states were seen; 0: failed; -1: there is no ptrace() here.
 */
static int
step_through(ngx_chat_ring_sh_t *ring, size_t size, uint64_t n)
{
    int      status, states;
    pid_t    pid;
    size_t   len;
    u_char  *before, record[1024];

    len = ring_record_len(n + 1, ngx_chat_ring_record_max(ring));
    ring_record_fill(record, n + 1, len);

    pid = fork();

    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1) {
            _exit(3);
        }

        (void) raise(SIGSTOP);
        _exit(!ring_append(ring, record, len, n + 1));
    }

    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) {
        return -1;
    }

    before = malloc(size);
    memcpy(before, ring, size);
    states = 0;

    for ( ;; ) {
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == -1
            || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        {
            break;
        }

        if (memcmp(before, ring, size) == 0) {
            continue;
        }

        memcpy(before, ring, size);
        states++;

        if (!check_left(ring, size, n)) {
            states = 0;
            break;
        }

        if (ngx_chat_ring_mark(ring) == n + 1) {
            break;
        }
    }

    free(before);

    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, &status, 0);

    return states;
}


/* The next record needs padding, over the oldest record's first byte. */
static ngx_uint_t
is_tight(ngx_chat_ring_sh_t *ring, uint64_t n)
{
    size_t  len;

    len = ring_record_len(n, ngx_chat_ring_record_max(ring));

    return ring->head - ring->tail == ring->size
           && ring->size - ring->head % ring->size < 16 + len;
}


/* The first records, round the ring, and later the tight ones. */
static void
test_killed_at_any_instruction(void)
{
    int                  states;
    uint64_t             n;
    ngx_uint_t           tight;
    ngx_chat_ring_sh_t  *ring;

    ring = mmap(NULL, SMALL, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS,
                -1, 0);
    ngx_chat_ring_init(ring, SMALL);

    tight = 0;

    for (n = 0; n < 100000 && tight < 10; n++) {

        if (n > 25 && !is_tight(ring, n + 1)) {
            (void) ring_append_number(ring, n + 1);
            continue;
        }

        states = step_through(ring, SMALL, n);

        if (states == -1) {
            printf("# skipped: ptrace() is not permitted\n");
            goto done;
        }

        if (!CHECK(states > 5) || !CHECK(ngx_chat_ring_mark(ring) == n + 1)) {
            goto done;
        }

        if (n > 25) {
            tight++;
        }
    }

    CHECK_INT(tight, 10);

done:

    (void) munmap(ring, SMALL);
}


int
main(void)
{
    RUN(test_killed_at_any_instruction);

    return unit_done();
}
