
/* sources: bus/ngx_chat_ring.c wire/ngx_chat_envelope.c libs: -lpthread */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Many processes on one ring: writers, killed ones among them, and readers.
 */


#include "shared/lock.h"
#include "ring.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>


#define WRITERS  3
#define READERS  3
#define KILLS    200


/* What the processes of a test share. */
typedef struct {
    pthread_mutex_t      lock;         /* robust */
    uint64_t             size;         /* of the ring's memory */
    uint64_t             total;        /* records to be written */
    uint64_t             finished;     /* all are */
    uint64_t             overruns;
    uint64_t             killed;       /* lock holders found dead */
    ngx_chat_ring_sh_t  *ring;
} shared_t;


static void
shared_lock(shared_t *sh)
{
    sh->killed += unit_lock(&sh->lock);
}


/* Goes on where the mark says, so the mark must be right. */
static void
writer(shared_t *sh)
{
    uint64_t             n;
    ngx_uint_t           last;
    ngx_chat_ring_sh_t  *ring;

    ring = sh->ring;

    do {
        shared_lock(sh);

        n = ngx_chat_ring_mark(ring) + 1;
        last = (n > sh->total);

        if (!last && !ring_append_number(ring, n)) {
            _exit(1);
        }

        (void) pthread_mutex_unlock(&sh->lock);

    } while (!last);

    _exit(0);
}


/* Each record once and in order; with an overrun between, later. */
static void
reader_check(uint64_t n, uint64_t last, ngx_uint_t overrun)
{
    if (n == 0 || (overrun ? n <= last : n != last + 1)) {
        printf("# read %lu after %lu\n", (unsigned long) n,
               (unsigned long) last);
        fflush(stdout);
        _exit(3);
    }
}


static void
reader(shared_t *sh)
{
    size_t               len, max, size;
    u_char              *buf;
    uint64_t             pos, at, n, last, finished;
    ngx_int_t            rc;
    ngx_uint_t           overrun;
    ngx_chat_ring_sh_t  *ring;

    ring = sh->ring;
    max = ngx_chat_ring_record_max(ring);
    size = 1;
    buf = malloc(size);
    pos = 0;
    last = 0;
    overrun = 0;

    for ( ;; ) {
        finished = __atomic_load_n(&sh->finished, __ATOMIC_ACQUIRE);

        rc = ngx_chat_ring_read(ring, &pos, &at, buf, size, &len);

        switch (rc) {

        case NGX_DONE:

            if (finished) {
                /* without an overrun at the end, the last was seen */
                _exit((overrun || last == sh->total) ? 0 : 1);
            }

            (void) sched_yield();
            break;

        case NGX_AGAIN:

            /* exactly as long as asked for: the sanitizer guards it */

            if (len <= size || len > max) {
                _exit(2);
            }

            size = len;
            free(buf);
            buf = malloc(size);
            break;

        case NGX_DECLINED:
            overrun = 1;
            (void) __atomic_fetch_add(&sh->overruns, 1, __ATOMIC_RELAXED);
            break;

        default:
            n = ring_record_number(buf, len, max);
            reader_check(n, last, overrun);

            last = n;
            overrun = 0;
            break;
        }
    }
}


static shared_t *
shared_create(size_t size, uint64_t total)
{
    shared_t             *sh;
    pthread_mutexattr_t   attr;

    sh = mmap(NULL, 4096 + size, PROT_READ|PROT_WRITE,
              MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    if (sh == MAP_FAILED) {
        exit(2);
    }

    sh->size = 4096 + size;
    sh->total = total;
    sh->ring = (ngx_chat_ring_sh_t *) ((u_char *) sh + 4096);

    ngx_chat_ring_init(sh->ring, size);

    (void) pthread_mutexattr_init(&attr);
    (void) pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    (void) pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    (void) pthread_mutex_init(&sh->lock, &attr);
    (void) pthread_mutexattr_destroy(&attr);

    return sh;
}


static pid_t
spawn(void (*process)(shared_t *sh), shared_t *sh)
{
    pid_t  pid;

    pid = fork();

    if (pid == 0) {
        process(sh);
    }

    return pid;
}


static void
check_exit(pid_t pid)
{
    int  status;

    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status));
    CHECK_INT(WEXITSTATUS(status), 0);
}


static void
run_processes(shared_t *sh)
{
    pid_t       writers[WRITERS], readers[READERS];
    ngx_uint_t  i;

    for (i = 0; i < READERS; i++) {
        readers[i] = spawn(reader, sh);
    }

    for (i = 0; i < WRITERS; i++) {
        writers[i] = spawn(writer, sh);
    }

    for (i = 0; i < WRITERS; i++) {
        check_exit(writers[i]);
    }

    __atomic_store_n(&sh->finished, 1, __ATOMIC_RELEASE);

    for (i = 0; i < READERS; i++) {
        check_exit(readers[i]);
    }

    CHECK_INT(ngx_chat_ring_mark(sh->ring), sh->total);
}


/* The ring is larger than all that is written: nobody may lose a record. */
static void
test_processes_without_overrun(void)
{
    shared_t  *sh;

    sh = shared_create(32 * 1024 * 1024, 10000);

    run_processes(sh);

    CHECK_INT(sh->ring->tail, 0);
    CHECK_INT(sh->overruns, 0);

    (void) munmap(sh, sh->size);
}


/* The ring is small: readers are overrun all the time. */
static void
test_processes_with_overruns(void)
{
    shared_t  *sh;

    sh = shared_create(8192, 100000);

    run_processes(sh);

    CHECK(sh->overruns > 0);

    (void) munmap(sh, sh->size);
}


/* Writers are killed, others go on: no number is lost or doubled. */
static void
test_processes_killed(void)
{
    int         status;
    pid_t       readers[READERS], writers[WRITERS];
    uint64_t    head;
    shared_t   *sh;
    ngx_uint_t  i, n;

    sh = shared_create(8192, UINT64_MAX - 1);

    for (i = 0; i < READERS; i++) {
        readers[i] = spawn(reader, sh);
    }

    for (i = 0; i < WRITERS; i++) {
        writers[i] = spawn(writer, sh);
    }

    for (n = 0; n < KILLS; n++) {

        /* let some work be done between the kills */

        head = ngx_chat_ring_head(sh->ring);

        while (ngx_chat_ring_head(sh->ring) < head + 5000 + n * 16) {
            (void) sched_yield();
        }

        i = n % WRITERS;
        (void) kill(writers[i], SIGKILL);
        CHECK(waitpid(writers[i], &status, 0) == writers[i]);
        CHECK(WIFSIGNALED(status));

        writers[i] = spawn(writer, sh);
    }

    shared_lock(sh);
    sh->total = ngx_chat_ring_mark(sh->ring);
    (void) pthread_mutex_unlock(&sh->lock);

    for (i = 0; i < WRITERS; i++) {
        check_exit(writers[i]);
    }

    __atomic_store_n(&sh->finished, 1, __ATOMIC_RELEASE);

    for (i = 0; i < READERS; i++) {
        check_exit(readers[i]);
    }

    CHECK_INT(ngx_chat_ring_mark(sh->ring), sh->total);

    printf("# %lu records, %lu writers died in the lock, %lu overruns\n",
           (unsigned long) sh->total, (unsigned long) sh->killed,
           (unsigned long) sh->overruns);

    (void) munmap(sh, sh->size);
}


int
main(void)
{
    RUN(test_processes_without_overrun);
    RUN(test_processes_with_overruns);
    RUN(test_processes_killed);

    return unit_done();
}
