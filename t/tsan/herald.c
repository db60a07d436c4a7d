
/* sources: hook/ngx_chat_herald*.c hook/ngx_chat_hook_*.c */
/* sources: shared/ngx_chat_hook.c shared/ngx_chat_registry_query.c */
/* sources: shared/ngx_chat_incident.c */
/* sources: shared/ngx_chat_zone.c shared/ngx_chat_slot.c bus/ngx_chat_ring.c */
/* sources: shared/ngx_chat_index.c shared/ngx_chat_token.c */
/* sources: shared/ngx_chat_parked.c shared/ngx_chat_mutex.c */
/* sources: shared/ngx_chat_single.c */
/* sources: shared/ngx_chat_registry_channel.c shared/ngx_chat_grace.c */
/* sources: shared/ngx_chat_registry.c shared/ngx_chat_presence.c */
/* sources: shared/ngx_chat_node*.c shared/ngx_chat_futex.c */
/* sources: shared/ngx_chat_cache.c bus/ngx_chat_wakeup.c */
/* sources: shared/ngx_chat_arena.c shared/ngx_chat_share.c */
/* sources: pusher/ngx_chat_webhook.c pusher/ngx_chat_app.c */
/* sources: pusher/ngx_chat_name.c */
/* sources: store/ngx_chat_handle.c store/ngx_chat_write_lock.c */
/* sources: store/ngx_chat_db*.c store/ngx_chat_migration.c */
/* sources: store/ngx_chat_batch.c store/ngx_chat_keys.c */
/* sources: store/ngx_chat_books.c store/ngx_chat_patchset.c */
/* sources: link/ngx_chat_log_item.c */
/* sources: wire/ngx_chat_clock.c wire/ngx_chat_hash.c */
/* sources: wire/ngx_chat_envelope.c wire/ngx_chat_hook_record.c */
/* sources: wire/ngx_chat_json_write.c wire/ngx_chat_utf8.c */
/* sources: wire/ngx_chat_failpoint*.c */
/* sources: libs: -lpthread -lsqlite3 -lcrypto -ldl */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The herald's thread beside event loops, for ThreadSanitizer: these append
 * records, give commands, and start and stop it again and again.  In the end
 * the receiver knows that all channels were left.
 */


#include "store/store.h"
#include "shared/zone.h"

#include <hook/ngx_chat_herald.h>
#include <link/ngx_chat_link.h>
#include <pusher/ngx_chat_webhook.h>
#include <shared/ngx_chat_hook.h>
#include <shared/ngx_chat_mutex.h>

#include <arpa/inet.h>


#define WORKERS  2
#define ROUNDS   5
#define STEPS    4000
#define CHANNELS 7


ngx_uint_t                     ngx_test_config;

static ngx_chat_zone_t         zone;
static ngx_chat_app_t          app;
static ngx_chat_webhook_t      hook;
static ngx_array_t             hooks, all;
static ngx_chat_store_sh_t     shared;
static ngx_chat_store_conf_t   store;
static ngx_chat_herald_conf_t  conf;
static ngx_uint_t              requests;


/* See workers.c. */

const char *
__tsan_default_suppressions(void)
{
    return "race:ngx_chat_ring_copy\n"
           "race:ngx_chat_ring_look\n";
}


/* There is no cluster here, and nothing of these is called. */

void
ngx_chat_link_init(ngx_chat_link_t *l, ngx_chat_link_conf_t *link)
{
}


void
ngx_chat_link_close(ngx_chat_link_t *l)
{
}


uint64_t
ngx_chat_link_random(void)
{
    return 1;
}


ngx_int_t
ngx_chat_link_herald(ngx_chat_link_t *l, uint64_t term, uint64_t incarnation,
    ngx_uint_t adopt, ngx_chat_link_books_t *books,
    ngx_chat_link_herald_e *herald)
{
    return NGX_ERROR;
}


ngx_int_t
ngx_chat_link_append(ngx_chat_link_t *l, ngx_chat_link_batch_t *b,
    ngx_msec_t ms)
{
    return NGX_ERROR;
}


ngx_int_t
ngx_chat_link_replicated(ngx_chat_link_t *l, ngx_msec_t ms)
{
    return NGX_ERROR;
}


ngx_int_t
ngx_chat_link_sh_wait(ngx_chat_link_sh_t *sh, uint64_t *number, uint64_t seq,
    uint64_t end)
{
    return NGX_ERROR;
}


u_char *
ngx_cpystrn(u_char *dst, u_char *src, size_t n)
{
    return (u_char *) stpncpy((char *) dst, (char *) src, n - 1);
}


/* The zone has no channels to be listed: little is asked of a pool. */

ngx_pool_t *
ngx_create_pool(size_t size, ngx_log_t *log)
{
    (void) size;
    (void) log;

    return calloc(1, sizeof(ngx_pool_t));
}


void
ngx_destroy_pool(ngx_pool_t *pool)
{
    free(pool);
}


void *
ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    (void) pool;

    return calloc(1, size);
}


void *
ngx_palloc(ngx_pool_t *pool, size_t size)
{
    return ngx_pcalloc(pool, size);
}


void *
ngx_pnalloc(ngx_pool_t *pool, size_t size)
{
    return ngx_pcalloc(pool, size);
}


void *
ngx_array_push(ngx_array_t *a)
{
    CHECK(a->nelts < a->nalloc);

    return (u_char *) a->elts + a->size * a->nelts++;
}


static void
begun(void *data, uint64_t id, ngx_uint_t another)
{
    (void) data;
    (void) id;
    (void) another;
}


/* A receiver, which takes all but the third request. */

static void *
serve(void *data)
{
    int      fd;
    char     buf[65536];
    ssize_t  n;

    for ( ;; ) {
        fd = accept(*(int *) data, NULL, NULL);

        if (fd == -1) {
            return NULL;
        }

        /* a request ends by what ends its body */

        for (n = read(fd, buf, sizeof(buf)); n > 0;
             n = read(fd, buf, sizeof(buf)))
        {
            if (n < 2 || memcmp(buf + n - 2, "]}", 2) != 0) {
                continue;
            }

            n = __atomic_add_fetch(&requests, 1, __ATOMIC_RELAXED);
            n = dprintf(fd, "HTTP/1.1 %d Status\r\nContent-Length: 0\r\n\r\n",
                        n == 3 ? 500 : 200);
        }

        (void) close(fd);
    }
}


/* An event loop; it leaves all channels in the end. */

static void *
run(void *data)
{
    char                     name[8];
    ngx_uint_t               i;
    ngx_chat_hook_record_t   rec;

    (void) data;

    memset(&rec, 0, sizeof(ngx_chat_hook_record_t));

    rec.app = 1;
    rec.event = unit_str("client-x");

    for (i = 0; i < STEPS + CHANNELS; i++) {
        (void) sprintf(name, "room-%d", (int) (i % CHANNELS));

        rec.channel = unit_str(name);
        rec.kind = (i >= STEPS) ? NGX_CHAT_HOOK_VACATED_e
                                : i % 3 ? NGX_CHAT_HOOK_OCCUPIED_e
                                        : NGX_CHAT_HOOK_CLIENT_EVENT_e;

        CHECK(ngx_chat_hook_publish(&zone, &rec) == NGX_OK);
        ngx_chat_hook_added(&zone);
        (void) usleep(200);
    }

    return NULL;
}


static void
setup(int *fd, u_char *url)
{
    socklen_t           len;
    struct sockaddr_in  sin;

    memset(&sin, 0, sizeof(struct sockaddr_in));

    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    len = sizeof(struct sockaddr_in);

    *fd = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(bind(*fd, (struct sockaddr *) &sin, len) == 0);
    CHECK(listen(*fd, 10) == 0);
    CHECK(getsockname(*fd, (struct sockaddr *) &sin, &len) == 0);

    hook.url.data = url;
    hook.url.len = sprintf((char *) url, "http://127.0.0.1:%d/",
                           ntohs(sin.sin_port));
    hook.shown = hook.url;
    hook.key = 1;
    hook.events = NGX_CHAT_WEBHOOK_DEFAULT
                  |ngx_chat_hook_bit(NGX_CHAT_HOOK_CLIENT_EVENT_e);
    hook.retry = 60000;
    hook.batch = 1;
    hook.app = &app;

    hooks.elts = &hook;
    hooks.nelts = 1;

    app.key = unit_str("key");
    app.secret = unit_str("secret");
    app.number = 1;
    app.webhooks = &hooks;
    app.hooks = hook.events;

    all.elts = &app;
    all.nelts = 1;

    zone.workers = WORKERS;

    unit_zone_create(&zone, 4 * 1024 * 1024);
    ngx_chat_share_configure(&zone, &app, 1);

    store_setup();
    store.path = unit_str(store_path);
    store.sh = &shared;
    store.begun = begun;

    CHECK(ngx_chat_mutex_init(&shared.write_lock) == NGX_OK);

    conf.zone = &zone;
    conf.store = &store;
    conf.apps = &all;
    conf.n = 1;
    conf.number = ngx_chat_hook_configured(&zone);
}


/* Starts and stops it while the others go on, then lets it finish. */

static void
test_herald(void)
{
    int            fd;
    u_char         url[64];
    sqlite3       *books;
    ngx_uint_t     i, n;
    ngx_pool_t    *pool;
    pthread_t      server, threads[WORKERS];
    ngx_cycle_t    cycle;

    memset(&cycle, 0, sizeof(ngx_cycle_t));

    setup(&fd, url);

    pool = ngx_create_pool(0, NULL);
    cycle.pool = pool;
    cycle.log = &unit_log;

    (void) pthread_create(&server, NULL, serve, &fd);

    for (i = 0; i < WORKERS; i++) {
        (void) pthread_create(&threads[i], NULL, run, NULL);
    }

    for (i = 0; i < ROUNDS; i++) {
        CHECK(ngx_chat_herald_start(&conf, &cycle) == NGX_OK);
        (void) usleep(300000);

        __atomic_store_n(&zone.sh->hooks.hooks[0].revive, 1, __ATOMIC_RELAXED);
        ngx_chat_herald_leave(i % 3);
        (void) usleep(100000 * (i % 2));
        ngx_chat_herald_stop();
    }

    CHECK(ngx_chat_herald_start(&conf, &cycle) == NGX_OK);

    for (i = 0; i < WORKERS; i++) {
        (void) pthread_join(threads[i], NULL);
    }

    books = store_stranger();
    (void) sqlite3_busy_timeout(books, 10000);

    for (i = 0; i < 1000; i++) {

        if (store_number(books, "SELECT (SELECT count(*) FROM webhook_state)"
                         " + (SELECT count(*) FROM webhook_events)")
            == 0)
        {
            break;
        }

        (void) usleep(20000);
    }

    CHECK(i < 1000);

    ngx_chat_herald_stop();

    n = __atomic_load_n(&requests, __ATOMIC_RELAXED);
    printf("# %lu requests\n", (unsigned long) n);
    CHECK(n > STEPS / 100);

    (void) shutdown(fd, SHUT_RDWR);
    (void) pthread_join(server, NULL);
    (void) close(fd);
    (void) sqlite3_close(books);
    ngx_destroy_pool(pool);
    store_teardown();
}


int
main(void)
{
    RUN(test_herald);

    return unit_done();
}
