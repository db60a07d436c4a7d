
/* sources: shared/ngx_chat_incident.c */
/* sources: shared/ngx_chat_zone.c shared/ngx_chat_slot.c bus/ngx_chat_ring.c */
/* sources: shared/ngx_chat_index.c shared/ngx_chat_token.c */
/* sources: shared/ngx_chat_parked.c */
/* sources: shared/ngx_chat_registry_channel.c shared/ngx_chat_grace.c */
/* sources: shared/ngx_chat_registry.c shared/ngx_chat_presence.c */
/* sources: shared/ngx_chat_node*.c shared/ngx_chat_futex.c */
/* sources: shared/ngx_chat_cache.c */
/* sources: shared/ngx_chat_arena.c shared/ngx_chat_share.c */
/* sources: bus/ngx_chat_wakeup.c */
/* sources: shared/ngx_chat_mutex.c wire/ngx_chat_failpoint*.c */
/* sources: wire/ngx_chat_envelope.c wire/ngx_chat_hash.c */
/* sources: wire/ngx_chat_clock.c */
/* sources: libs: -lpthread -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Workers as processes on one zone, killed at any moment: those who are left
 * see every message once and in order, and what the dead had is taken back.
 */


#include "shared/workers.h"

#include <sys/wait.h>


#define WORKERS  4
#define KILLS    150


static ngx_chat_zone_t  zone;
static uint32_t        *finished;          /* shared */


static void
child(uint32_t seed)
{
    bus_worker_t  w;

    memset(&w, 0, sizeof(bus_worker_t));

    ngx_pid = getpid();
    bus_start(&w, &zone, seed);

    while (w.error == NULL
           && !__atomic_load_n(finished, __ATOMIC_ACQUIRE))
    {
        bus_step(&w);
    }

    if (w.error) {
        printf("# %s\n", w.error);
        fflush(stdout);
        _exit(1);
    }

    ngx_chat_slot_release(&zone, w.slot);

    _exit(0);
}


static pid_t
start(uint32_t seed)
{
    pid_t  pid;

    pid = fork();

    if (pid == 0) {
        child(seed);
    }

    return pid;
}


/* At a random moment; 1 where it was alive until then. */

static ngx_uint_t
kill_one(pid_t *pid, uint32_t seed)
{
    int              status;
    struct timespec  ts;

    ts.tv_sec = 0;
    ts.tv_nsec = random() % 5000000;
    (void) nanosleep(&ts, NULL);

    (void) kill(*pid, SIGKILL);

    if (!CHECK(waitpid(*pid, &status, 0) == *pid)
        || !CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
    {
        return 0;
    }

    *pid = start(seed);

    return CHECK(*pid != -1);
}


static void
test_killed_workers(void)
{
    int         status;
    pid_t       pids[WORKERS];
    size_t      base;
    uint64_t    mark;
    ngx_uint_t  i;

    zone.workers = WORKERS;
    zone.handlers = &workers_handlers;

    unit_zone_create(&zone, 384 * 1024);
    unit_zone_apps(&zone, 2);

    finished = mmap(NULL, 4096, PROT_READ|PROT_WRITE,
                    MAP_SHARED|MAP_ANONYMOUS, -1, 0);
    base = unit_zone_pieces(zone.sh);
    srandom((unsigned) getpid());

    for (i = 0; i < WORKERS; i++) {
        pids[i] = start((uint32_t) (i + 2 * getpid()));
    }

    for (i = 0; i < KILLS; i++) {
        if (!kill_one(&pids[random() % WORKERS], (uint32_t) random())) {
            break;
        }
    }

    __atomic_store_n(finished, 1, __ATOMIC_RELEASE);

    for (i = 0; i < WORKERS; i++) {
        CHECK(waitpid(pids[i], &status, 0) == pids[i]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }

    (void) ngx_chat_slot_reap(&zone, &unit_log);

    mark = ngx_chat_ring_mark(zone.sh->ring);

    printf("# %lu messages, lock holders found dead: %lu\n",
           (unsigned long) mark, (unsigned long) unit_memory->found_dead);

    CHECK(mark > KILLS);
    (void) bus_is_clean(&zone, base);
}


int
main(void)
{
    RUN(test_killed_workers);

    return unit_done();
}
