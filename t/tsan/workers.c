
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
 * Workers as threads on one zone, for ThreadSanitizer.
 */


#include "shared/workers.h"


#define WORKERS  4
#define ROUNDS   3
#define STEPS    10000


static ngx_chat_zone_t  zone;


/*
 * A reader of the ring copies what a writer may be changing, and looks at
 * tail afterwards to learn whether it was so: see ngx_chat_ring.c.  copy()
 * is the copying; look() reads a header, by atomic loads, where the bytes of
 * another record may have come to lie.  Their other side is any writer.
 */

const char *
__tsan_default_suppressions(void)
{
    return "race:ngx_chat_ring_copy\n"
           "race:ngx_chat_ring_look\n"
           /* what a process counts with; these workers are one process */
           "race:ngx_chat_slot_begin\n"
           "race:ngx_chat_slot_release\n";
}


static void *
run(void *data)
{
    ngx_uint_t     i, round;
    bus_worker_t  *w = data;

    for (round = 0; round < ROUNDS && w->error == NULL; round++) {

        bus_start(w, &zone, w->seed);

        for (i = 0; i < STEPS && w->error == NULL; i++) {
            bus_step(w);
        }

        /* the rest is taken back with the slot */

        if (w->slot) {
            bus_read(w);
            ngx_chat_slot_release(&zone, w->slot);
        }
    }

    return NULL;
}


static void
test_threads(void)
{
    size_t         base;
    ngx_uint_t     i, received, overruns;
    pthread_t      threads[WORKERS];
    bus_worker_t  *workers;

    zone.workers = WORKERS;
    zone.handlers = &workers_handlers;

    unit_zone_create(&zone, 384 * 1024);
    unit_zone_apps(&zone, 2);

    base = unit_zone_pieces(zone.sh);
    workers = calloc(WORKERS, sizeof(bus_worker_t));
    received = 0;
    overruns = 0;

    for (i = 0; i < WORKERS; i++) {
        workers[i].seed = (uint32_t) (i + 2 * getpid());
        (void) pthread_create(&threads[i], NULL, run, &workers[i]);
    }

    for (i = 0; i < WORKERS; i++) {
        (void) pthread_join(threads[i], NULL);

        received += workers[i].received;
        overruns += workers[i].overruns;

        if (!CHECK(workers[i].error == NULL)) {
            printf("# %s\n", workers[i].error);
        }
    }

    printf("# received %lu, overruns %lu\n", (unsigned long) received,
           (unsigned long) overruns);

    CHECK(received > STEPS);
    CHECK(overruns > 0);
    (void) bus_is_clean(&zone, base);

    free(workers);
}


int
main(void)
{
    RUN(test_threads);

    return unit_done();
}
