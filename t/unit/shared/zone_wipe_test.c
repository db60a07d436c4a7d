
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
/* sources: shared/ngx_chat_mutex.c wire/ngx_chat_clock.c */
/* sources: wire/ngx_chat_envelope.c wire/ngx_chat_hash.c */
/* sources: libs: -lpthread -lcrypto -DNGX_CHAT_FAILPOINTS=1 */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A worker dies with the zone's lock: the next one who takes it wipes.  A
 * child dies, at a failpoint or of a bad pointer; the parent goes on.
 */


#include "shared/workers.h"

#include <sys/wait.h>


/* Where to die with the lock, and of what. */
typedef struct {
    const char                  *name;     /* of the failpoint, or NULL */
    void                       (*change)(void);
} place_t;


void ngx_chat_failpoint(const char *name);
ngx_uint_t ngx_chat_failpoint_spoils(const char *name);


static ngx_chat_zone_t              zone;
static const char                  *die_at;

/* this process's: the parent's, or the child's own */
static ngx_chat_slot_sh_t          *slot;
static ngx_chat_slot_channel_sh_t  *room;      /* with a member */
static ngx_chat_slot_member_sh_t   *member;


/* The children die of it, and of nothing else. */

const char *
__asan_default_options(void)
{
    return "handle_segv=0";
}


void
ngx_chat_failpoint(const char *name)
{
    if (die_at && strcmp(name, die_at) == 0) {
        (void) kill(getpid(), SIGKILL);
    }
}


ngx_uint_t
ngx_chat_failpoint_spoils(const char *name)
{
    return 0;
}


static ngx_int_t
join_as(const char *id)
{
    u_char                     buf[1024];
    ngx_str_t                  channel, user, info;
    ngx_int_t                  rc;
    ngx_chat_envelope_t        added;
    ngx_chat_registry_join_t   j;

    ngx_str_set(&channel, "presence-room");
    ngx_str_set(&info, "{}");
    user.data = (u_char *) id;
    user.len = strlen(id);

    memset(&j, 0, sizeof(ngx_chat_registry_join_t));
    memset(&added, 0, sizeof(ngx_chat_envelope_t));

    added.type = NGX_CHAT_ENVELOPE_EVENT_e;
    added.channel = channel;

    j.app = 1;
    j.name = &channel;
    j.hash = ngx_chat_registry_hash(&zone, 1, &channel);
    j.user = &user;
    j.info = &info;
    j.added = &added;
    j.buf = buf;
    j.size = sizeof(buf);

    rc = ngx_chat_registry_join(&zone, slot, &j, &room);

    if (rc == NGX_OK) {
        member = j.slot_member;
    }

    return rc;
}


static void
join(void)
{
    slot = ngx_chat_slot_lease(&zone, &unit_log);
    room = NULL;

    if (join_as("child") != NGX_OK) {
        _exit(3);
    }
}


static void
leave(void)
{
    (void) ngx_chat_registry_leave(&zone, slot, &room, member, 0);
}


static void
come_and_go(void)
{
    join();
    leave();
}


static void
keep(void)
{
    ngx_str_t  channel, payload;

    ngx_str_set(&channel, "cache-room");
    ngx_str_set(&payload, "{\"event\":\"e\"}");

    ngx_chat_zone_lock(&zone);

    ngx_chat_cache_set(&zone, 1, ngx_chat_registry_hash(&zone, 1, &channel),
                       &channel, &payload, 60);

    ngx_chat_zone_unlock(&zone);
}


static void
publish(void)
{
    ngx_str_t  channel;

    ngx_str_set(&channel, "room");

    ngx_chat_zone_lock(&zone);

    bus_append(&zone, 1, &channel, ngx_chat_ring_mark(zone.sh->ring) + 1, 100);

    ngx_chat_zone_unlock(&zone);
}


static void
take_lock(void)
{
    ngx_chat_zone_lock(&zone);
    (void) kill(getpid(), SIGKILL);
}


static void
lock_only(void)
{
    ngx_chat_zone_lock(&zone);
    ngx_chat_zone_unlock(&zone);
}


static void
reap(void)
{
    (void) ngx_chat_slot_reap(&zone, &unit_log);
}


/* Runs a change in a child that dies of it, by that signal. */

static ngx_uint_t
die(const char *name, void (*change)(void), int signal)
{
    int    status;
    pid_t  pid;

    pid = fork();

    if (pid == 0) {
        ngx_pid = getpid();

        die_at = name;
        change();

        (void) kill(getpid(), SIGTERM);
    }

    return CHECK(waitpid(pid, &status, 0) == pid)
           && CHECK(WIFSIGNALED(status))
           && CHECK_INT(WTERMSIG(status), signal);
}


/* A zone in which this process has a member, a cached event and a message. */

static void
begin(void)
{
    zone.workers = 2;
    zone.handlers = &workers_handlers;

    unit_zone_create(&zone, 384 * 1024);
    unit_zone_apps(&zone, 1);

    die_at = NULL;
    room = NULL;
    slot = ngx_chat_slot_lease(&zone, &unit_log);

    CHECK_INT(join_as("parent"), NGX_OK);

    keep();
    publish();
}


static void
end(void)
{
    ngx_chat_slot_release(&zone, slot);

    CHECK_INT(zone.sh->busy, 0);
    unit_zone_destroy();
}


static ngx_uint_t
is_empty(void)
{
    ngx_uint_t            i;
    ngx_chat_zone_sh_t   *sh;
    ngx_chat_share_sh_t  *share;

    sh = zone.sh;

    for (i = 0; i < sh->nshares; i++) {
        share = &sh->shares[i];

        if (!CHECK_INT(share->owner.held, 0)
            || !CHECK_INT(share->owner.share,
                          share->app ? sh->arena->size / 2 : 0)
            || !CHECK_INT(share->kept[NGX_CHAT_CACHE_EVENTS_e].used, 0)
            || !CHECK(ngx_queue_empty(
                              &share->kept[NGX_CHAT_CACHE_EVENTS_e].entries))
            || !CHECK(ngx_queue_empty(
                              &share->kept[NGX_CHAT_CACHE_ANSWERS_e].entries)))
        {
            return 0;
        }
    }

    return bus_is_clean(&zone, 0)
           && CHECK_INT(sh->nchannels, 0)
           && CHECK_INT(sh->nmembers, 0)
           && CHECK_INT(sh->arena->used, 0)
           && CHECK_INT(sh->kept[NGX_CHAT_CACHE_EVENTS_e].used, 0);
}


/* The holder died: the lock is taken, and all is gone but the ring. */

static void
wipe(void)
{
    ngx_uint_t            i;
    ngx_chat_zone_sh_t   *sh;
    ngx_chat_ring_sh_t    before;

    sh = zone.sh;

    CHECK_INT(sh->busy, 1);
    CHECK_INT(sh->generation, 0);

    before = *sh->ring;

    lock_only();

    CHECK_INT(sh->busy, 0);
    CHECK_INT(sh->generation, 1);
    CHECK(is_empty());

    for (i = 0; i <= sh->mask; i++) {
        CHECK(sh->caches[i] == NULL);
    }

    CHECK(memcmp(&before, sh->ring, sizeof(ngx_chat_ring_sh_t)) == 0);
    CHECK(ngx_chat_ring_mark(sh->ring) >= 1);
}


/* What this process still has touches nothing, up to the renewal. */

static void
go_on(void)
{
    u_char      buf[16];
    u_char     *copy;
    ngx_str_t   user;

    user.data = buf;
    user.len = sizeof(buf);

    copy = malloc(zone.sh->arena_size);
    memcpy(copy, zone.sh->arena, zone.sh->arena_size);

    CHECK(ngx_chat_zone_is_wiped(&zone, slot));
    CHECK_INT(ngx_chat_registry_tell(&zone, slot, room), 0);
    CHECK_INT(ngx_chat_registry_user(&zone, slot, member, &user), NGX_ABORT);
    CHECK_INT(join_as("parent"), NGX_ABORT);

    /* two subscriptions of one channel: what the first leave() does to the
       pointer must be good for the second */

    leave();
    CHECK(room == NULL);
    leave();
    CHECK(room == NULL);
    CHECK_INT(join_as("parent"), NGX_ABORT);

    CHECK(memcmp(copy, zone.sh->arena, zone.sh->arena_size) == 0);
    CHECK(is_empty());
    free(copy);

    ngx_chat_slot_renew(&zone, slot);

    CHECK(!ngx_chat_zone_is_wiped(&zone, slot));
    CHECK_INT(join_as("parent"), NGX_OK);
    CHECK_INT(ngx_chat_registry_user(&zone, slot, member, &user), NGX_OK);
    CHECK_STR(user, "parent");
    CHECK_INT(zone.sh->nmembers, 1);

    leave();

    CHECK(is_empty());
    CHECK_INT(zone.sh->generation, 1);
}


static void
test_died_with_the_lock(void)
{
    ngx_uint_t  i;

    static place_t  places[] = {
        { NULL, take_lock },
        { "alloc", join },
        { "member joined", join },
        { "append packed", join },
        { "subscribed", join },
        { "member told to leave", come_and_go },
        { "free", come_and_go },
        { "cached", keep },
        { "ring commit", publish },
        { "appended", publish }
    };

    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        begin();

        if (die(places[i].name, places[i].change, SIGKILL)) {
            wipe();

            reap();
            go_on();
        }

        end();
    }
}


/* Whoever follows a bad pointer dies; the next one does not. */

static void
test_bad_pointer(void)
{
    ngx_uint_t  i;

    begin();

    for (i = 0; i <= zone.sh->mask; i++) {
        zone.sh->channels[i] = (void *) 4096;
    }

    if (die(NULL, join, SIGSEGV)) {
        wipe();
        reap();
        go_on();
    }

    end();
    begin();

    /* the lists of the arena, its own pointers, and the apps' lists */

    memset(zone.sh->arena, 0x10, sizeof(ngx_chat_arena_sh_t));
    memset(&ngx_chat_share_find(zone.sh, 1)->owner, 0x10,
           sizeof(ngx_chat_arena_owner_sh_t));

    if (die(NULL, join, SIGSEGV)) {
        wipe();
        reap();
        go_on();
    }

    end();
}


static void
test_wiper_died(void)
{
    begin();

    if (die("subscribed", join, SIGKILL)
        && die("wipe", lock_only, SIGKILL)
        && die("wipe", lock_only, SIGKILL))
    {
        wipe();
        go_on();
    }

    end();
}


/* Without the lock nothing is wiped: the slot says what the dead one had. */

static void
test_died_without_the_lock(void)
{
    begin();

    if (die(NULL, join, SIGTERM)) {
        CHECK_INT(zone.sh->busy, 0);
        CHECK_INT(zone.sh->nmembers, 2);

        CHECK_INT(ngx_chat_slot_reap(&zone, &unit_log), 1);

        CHECK_INT(zone.sh->nmembers, 1);
        CHECK_INT(zone.sh->generation, 0);
        CHECK(!ngx_chat_zone_is_wiped(&zone, slot));
    }

    end();
}


/* Who clears up after the dead dies, too: of what is left, it may be. */

static void
test_died_clearing_up(void)
{
    begin();

    if (die(NULL, join, SIGTERM) && die("clear", reap, SIGKILL)) {
        wipe();

        /* the slot was the reaper's when it died */
        CHECK_INT(ngx_chat_slot_reap(&zone, &unit_log), 1);
        CHECK_INT(ngx_chat_slot_reap(&zone, &unit_log), 0);
        CHECK_INT(zone.sh->generation, 1);

        go_on();
    }

    end();
}


/* The smallest zone that the configuration lets pass is large enough. */

static void
test_smallest(void)
{
    ngx_uint_t  i;

    static ngx_uint_t  pages[] = { 4096, 16384, 65536 };

    for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        ngx_pagesize = pages[i];

        unit_zone_create(&zone, NGX_CHAT_ZONE_MIN);

        CHECK(zone.sh->arena->size > 128 * 1024);
        unit_zone_destroy();
    }

    ngx_pagesize = 4096;
}


int
main(void)
{
    RUN(test_died_with_the_lock);
    RUN(test_bad_pointer);
    RUN(test_wiper_died);
    RUN(test_died_without_the_lock);
    RUN(test_died_clearing_up);
    RUN(test_smallest);

    return unit_done();
}
