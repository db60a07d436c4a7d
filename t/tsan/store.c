
/* sources: shared/ngx_chat_incident.c */
/* sources: wire/ngx_chat_urlencoded.c */
/* sources: store/ngx_chat_store.c store/ngx_chat_writer.c */
/* sources: store/ngx_chat_reader.c store/ngx_chat_read_queue.c */
/* sources: store/ngx_chat_page.c */
/* sources: store/ngx_chat_batch.c store/ngx_chat_keys.c */
/* sources: store/ngx_chat_handle.c store/ngx_chat_write_lock.c */
/* sources: store/ngx_chat_maintenance.c store/ngx_chat_retention.c */
/* sources: store/ngx_chat_store_stats.c store/ngx_chat_store_task.c */
/* sources: store/ngx_chat_db*.c store/ngx_chat_migration.c */
/* sources: store/ngx_chat_history.c bus/ngx_chat_ring.c */
/* sources: wire/ngx_chat_message.c wire/ngx_chat_json*.c */
/* sources: wire/ngx_chat_envelope.c */
/* sources: wire/ngx_chat_utf8.c wire/ngx_chat_failpoint*.c */
/* sources: wire/ngx_chat_clock.c wire/ngx_chat_hash.c */
/* sources: shared/ngx_chat_mutex.c */
/* sources: libs: -lpthread -lsqlite3 -lyajl */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The store's threads, for ThreadSanitizer: several workers, each an event
 * loop with a thread pool of its own, write to one database and read from it;
 * what they commit goes to a ring, and has to be there in order of the ids.
 */


#include "store/store.h"
#include "loop.h"
#include "no_cluster.h"

#include <bus/ngx_chat_ring.h>
#include <store/ngx_chat_store.h>


#define WORKERS   3
#define MESSAGES  600                      /* of each worker */
#define RING      (4 * 1024 * 1024)


typedef struct {
    loop_t                  loop;
    ngx_chat_store_t       *store;
    ngx_chat_store_conf_t   conf;
    ngx_uint_t              number;
    ngx_uint_t              written;
    ngx_uint_t              committed;
    ngx_uint_t              read;
    ngx_uint_t              reading;
    ngx_chat_read_client_t  client;
    uint64_t                last;          /* id of a message of its own */
    uint64_t                position;      /* in the ring, behind that one */
    const char             *error;
} worker_t;


static pthread_mutex_t       ring_lock = PTHREAD_MUTEX_INITIALIZER;
static ngx_chat_ring_sh_t   *ring;
static ngx_chat_store_sh_t   shared;


/* See workers.c. */

const char *
__tsan_default_suppressions(void)
{
    return "race:ngx_chat_ring_copy\n"
           "race:ngx_chat_ring_look\n";
}


static size_t
event_max(ngx_chat_record_t *rec)
{
    return rec->content.len + 256;
}


static ngx_int_t
append(void *data, ngx_chat_record_t *rec, ngx_chat_socket_id_t *except,
    ngx_str_t *reply, uint64_t *position, ngx_log_t *log)
{
    u_char    *p;
    uint64_t   end;

    (void) data;
    (void) except;
    (void) log;

    (void) pthread_mutex_lock(&ring_lock);

    p = ngx_chat_ring_reserve(ring, 8 + rec->content.len);

    if (p) {
        memcpy(p, &rec->id, 8);
        memcpy(p + 8, rec->content.data, rec->content.len);
        end = ngx_chat_ring_commit(ring, 8 + rec->content.len, rec->id);

        if (position) {
            *position = end;
        }
    }

    (void) pthread_mutex_unlock(&ring_lock);

    if (reply) {
        reply->len = 1;
        reply->data = malloc(1);
    }

    return p ? NGX_OK : NGX_ERROR;
}


static uint64_t
sent(void *data)
{
    uint64_t  mark;

    (void) data;

    (void) pthread_mutex_lock(&ring_lock);

    mark = ngx_chat_ring_mark(ring);

    (void) pthread_mutex_unlock(&ring_lock);

    return mark;
}


static void
begun(void *data, uint64_t id, ngx_uint_t another)
{
    (void) data;
    (void) another;

    (void) pthread_mutex_lock(&ring_lock);

    ngx_chat_ring_set_mark(ring, id);

    (void) pthread_mutex_unlock(&ring_lock);
}


/* What chat_status shows of a worker: nobody asks here. */

static void
queued(ngx_uint_t n)
{
    (void) n;
}


static void
reading(ngx_uint_t n, size_t held)
{
    (void) n;
    (void) held;
}


static void
write_done(ngx_chat_write_t *w, ngx_int_t rc)
{
    worker_t  *wk = w->data;

    if (rc != NGX_OK) {
        wk->error = "a message was not stored";

    } else if (w->record.id <= wk->last) {
        wk->error = "ids do not grow";

    } else if (w->reply.len != 1) {
        wk->error = "there is no reply";

    } else if (w->position <= wk->position) {
        wk->error = "positions do not grow";
    }

    wk->last = w->record.id;
    wk->position = w->position;
    wk->committed++;
}


static void
read_done(ngx_chat_read_t *rd, ngx_int_t rc)
{
    worker_t  *wk = rd->data;

    if (rc != NGX_OK || rd->page.len < 2 || rd->page.data[0] != '[') {
        wk->error = "history could not be read";
    }

    wk->read++;
    wk->reading--;
}


static void
write_one(worker_t *wk)
{
    u_char              content[400];
    ngx_chat_write_t   *w;
    ngx_chat_record_t   rec;

    memset(&rec, 0, sizeof(ngx_chat_record_t));
    memset(content, 'a' + (int) wk->number, sizeof(content));

    rec.app = 1;
    ngx_str_set(&rec.channel, "chat");
    ngx_str_set(&rec.event, "new_message");
    rec.content.data = content;
    rec.content.len = 1 + wk->written * 37 % sizeof(content);

    w = ngx_chat_store_write_alloc(&rec, &loop_log);
    w->done = write_done;
    w->data = wk;

    if (ngx_chat_store_write(wk->store, w) != NGX_OK) {
        wk->error = "the queue is full";
    }

    wk->written++;
}


static void
read_one(worker_t *wk)
{
    ngx_chat_read_t     *rd;
    ngx_chat_history_t   h;

    memset(&h, 0, sizeof(ngx_chat_history_t));

    h.app = 1;
    h.limit = 50;
    h.from = NGX_CHAT_HISTORY_AFTER_e;
    h.id = wk->last ? wk->last - 1 : 0;
    ngx_str_set(&h.channel, "chat");

    rd = ngx_chat_store_read_alloc(&h, &loop_log);
    rd->done = read_done;
    rd->data = wk;
    rd->client = &wk->client;

    if (ngx_chat_store_read(wk->store, rd) != NGX_OK) {
        wk->error = "too many reads wait";
    }

    wk->reading++;
}


static void *
run(void *data)
{
    worker_t     *wk = data;
    ngx_cycle_t   cycle;

    memset(&cycle, 0, sizeof(ngx_cycle_t));

    cycle.log = &loop_log;

    loop_start(&wk->loop);

    wk->conf.path.data = (u_char *) store_path;
    wk->conf.path.len = strlen(store_path);
    wk->conf.batch_max = 64 * 1024;
    wk->conf.pool = &wk->loop.pool;
    wk->conf.sh = &shared;
    wk->conf.event_max = event_max;
    wk->conf.append = append;
    wk->conf.sent = sent;
    wk->conf.begun = begun;
    wk->conf.queued = queued;
    wk->conf.reading = reading;

    ngx_chat_read_client_init(&wk->client);

    wk->store = ngx_chat_store_init(&wk->conf, &cycle);

    while (wk->error == NULL
           && (wk->committed < MESSAGES || wk->reading))
    {
        /* some are under way at a time, as many as come in a turn */

        while (wk->written < MESSAGES && wk->written < wk->committed + 20) {
            write_one(wk);
        }

        if (wk->reading < 6 && wk->committed < MESSAGES) {
            read_one(wk);
        }

        loop_turn(&wk->loop);
    }

    loop_stop(&wk->loop);
    ngx_chat_store_exit(wk->store);
    free(wk->store);

    return NULL;
}


/* All messages are in the ring, in order of their ids. */

static void
check_ring(void)
{
    size_t     len;
    u_char     buf[1024];
    uint64_t   pos, at, id, last;

    pos = 0;
    last = 0;

    while (ngx_chat_ring_read(ring, &pos, &at, buf, sizeof(buf), &len)
           == NGX_OK)
    {
        memcpy(&id, buf, 8);

        if (!CHECK_INT(id, last + 1)) {
            return;
        }

        last = id;
    }

    CHECK_INT(last, WORKERS * MESSAGES);
}


static void
test_workers(void)
{
    ngx_uint_t         i, read;
    pthread_t          threads[WORKERS];
    static worker_t    workers[WORKERS];

    store_setup();

    ring = malloc(RING);
    ngx_chat_ring_init(ring, RING);

    CHECK(ngx_chat_store_init_shared(&shared) == NGX_OK);

    for (i = 0; i < WORKERS; i++) {
        workers[i].number = i;
        (void) pthread_create(&threads[i], NULL, run, &workers[i]);
    }

    read = 0;

    for (i = 0; i < WORKERS; i++) {
        (void) pthread_join(threads[i], NULL);
        read += workers[i].read;

        if (!CHECK(workers[i].error == NULL)) {
            printf("# %s\n", workers[i].error);
        }
    }

    printf("# %lu pages of history read\n", (unsigned long) read);

    CHECK(read > WORKERS);
    CHECK(shared.dirty == 0);
    check_ring();

    free(ring);
    store_teardown();
}


int
main(void)
{
    RUN(test_workers);

    return unit_done();
}
