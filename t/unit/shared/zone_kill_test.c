/*
 * sources: shared/ngx_chat_registry*.c shared/ngx_chat_presence.c
 * shared/ngx_chat_cache.c shared/ngx_chat_arena.c bus/ngx_chat_ring.c
 * bus/ngx_chat_append.c shared/ngx_chat_repair.c shared/ngx_chat_slot.c
 * wire/ngx_chat_hash.c wire/ngx_chat_envelope.c libs: -lpthread
 */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Workers that are killed at any instruction of a change of the registry.
 *
 * A child makes the change step by step.  Whenever the zone has changed, a
 * copy of it is looked at as the next worker would find it: the survivor
 * takes the lock, goes on, clears up after the dead, and leaves; what was
 * told through the ring agrees with what is there all the time, and nothing
 * is left in the end.  The mending itself is killed everywhere, too.
 */


#include "../unit.h"

#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <bus/ngx_chat_append.h>
#include <bus/ngx_chat_wakeup.h>
#include <shared/ngx_chat_cache.h>
#include <shared/ngx_chat_repair.h>


#define SLOTS    3
#define BUCKETS  8
#define RING     16384
#define ARENA    24576
#define USERS    40

#define APP      7


/* All that the workers share, in one mapping. */
typedef struct {
    ngx_chat_zone_sh_t      sh;
    ngx_chat_slot_sh_t      slots[SLOTS];
    ngx_chat_channel_sh_t  *channels[BUCKETS];
    ngx_chat_member_sh_t   *members[BUCKETS];
    ngx_chat_cache_sh_t    *caches[BUCKETS];
    uint64_t                start;          /* of the ring, for observers */
    u_char                  ring[RING];
    u_char                  arena[ARENA];
} world_t;


typedef struct {
    const char             *name;
    void                  (*setup)(void);
    void                  (*change)(void);
} scene_t;


typedef struct {
    pid_t                   pid;
    int                     to;
    int                     from;
    world_t                *copy;
} checker_t;


/* What one who reads the ring believes. */
typedef struct {
    u_char                  present[USERS];
    ngx_uint_t              occupied;
    ngx_uint_t              faults;
} book_t;


static ngx_uint_t check_all(world_t *copy, ngx_uint_t (*checks[])(void));


ngx_pid_t                 ngx_pid;
volatile ngx_cycle_t     *ngx_cycle;

static world_t           *world;
static ngx_chat_zone_t    zone;
static ngx_chat_wakeups_t wakeups;

/* a worker's own pointers, the channel "presence-a" */
static ngx_chat_share_sh_t  *shares[SLOTS][2];
static ngx_chat_part_sh_t   *parts[SLOTS][USERS];


const char *
__asan_default_options(void)
{
    /* not under ptrace() */
    return "detect_leaks=0";
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
}


void
ngx_chat_wakeup_rouse(ngx_chat_wakeup_t *w)
{
}


void
ngx_chat_zone_lock(ngx_chat_zone_t *z)
{
    if (z->sh->busy) {
        ngx_chat_repair(z);
    }

    z->sh->busy = 1;
    ngx_memory_barrier();
}


void
ngx_chat_zone_unlock(ngx_chat_zone_t *z)
{
    ngx_memory_barrier();
    z->sh->busy = 0;
}


static void
tell(u_char what, ngx_str_t *channel, u_char who)
{
    u_char               payload[2];
    ngx_chat_envelope_t  e;

    payload[0] = what;
    payload[1] = who;

    memset(&e, 0, sizeof(e));
    e.type = NGX_CHAT_ENVELOPE_EVENT_e;
    e.app = APP;
    e.channel = *channel;
    e.payload.data = payload;
    e.payload.len = 2;

    (void) ngx_chat_append(zone.sh->ring, &e, NULL);
}


static void
removed(ngx_chat_zone_t *z, uint64_t app, ngx_str_t *channel, ngx_str_t *user)
{
    tell('-', channel, user->data[0]);
}


static void
occupied(ngx_chat_zone_t *z, uint64_t app, ngx_str_t *channel, ngx_uint_t on)
{
    tell(on ? 'O' : 'o', channel, 0);
}


static void
counted(ngx_chat_zone_t *z, uint64_t app, ngx_str_t *channel, ngx_uint_t n)
{
    tell('#', channel, (u_char) n);
}


static ngx_chat_zone_handlers_t  handlers = { removed, occupied, counted };


static ngx_str_t  room = ngx_string("presence-a");
static ngx_str_t  hall = ngx_string("hall");


/* A user's socket of a worker comes to the room; user 0: to the hall. */
static void
join(ngx_uint_t slot, u_char user)
{
    u_char                     id, payload[2], buf[4096];
    ngx_str_t                  name, info;
    ngx_chat_envelope_t        e;
    ngx_chat_registry_join_t   j;

    id = user;
    name.data = &id;
    name.len = 1;
    ngx_str_set(&info, "{\"name\":\"somebody\"}");

    payload[0] = '+';
    payload[1] = user;

    memset(&e, 0, sizeof(e));
    e.type = NGX_CHAT_ENVELOPE_EVENT_e;
    e.app = APP;
    e.channel = room;
    e.payload.data = payload;
    e.payload.len = 2;

    memset(&j, 0, sizeof(j));
    j.app = APP;
    j.name = user ? &room : &hall;
    j.hash = ngx_chat_registry_hash(&zone, APP, j.name);
    j.counting = !user;
    j.buf = buf;
    j.size = sizeof(buf);

    if (user) {
        j.user = &name;
        j.info = &info;
        j.added = &e;
    }

    if (ngx_chat_registry_join(&zone, &world->slots[slot], &j,
                               &shares[slot][!user])
        != NGX_OK)
    {
        abort();
    }

    parts[slot][user] = j.part;
}


static void
leave(ngx_uint_t slot, u_char user)
{
    (void) ngx_chat_registry_leave(&zone, &shares[slot][!user],
                                   user ? parts[slot][user] : NULL);
}


static void
clear_slot(ngx_uint_t slot)
{
    while (ngx_chat_registry_clear(&zone, &world->slots[slot], 1)
           == NGX_AGAIN)
    {
        /* void */
    }
}


static void
keep(const char *name, size_t len)
{
    u_char     text[4096];
    ngx_str_t  channel, payload;

    memset(text, 'x', sizeof(text));

    channel.data = (u_char *) name;
    channel.len = strlen(name);
    payload.data = text;
    payload.len = len;

    ngx_chat_zone_lock(&zone);

    ngx_chat_cache_set(&zone, APP,
                       ngx_chat_registry_hash(&zone, APP, &channel),
                       &channel, &payload, 1000);

    ngx_chat_zone_unlock(&zone);
}


static void
build_world(void *at)
{
    ngx_uint_t           i;
    ngx_chat_zone_sh_t  *sh;

    world = at;
    memset(world, 0, sizeof(world_t));

    sh = &world->sh;
    sh->ring = (ngx_chat_ring_sh_t *) world->ring;
    sh->arena = (ngx_chat_arena_sh_t *) world->arena;
    sh->slots = world->slots;
    sh->nslots = SLOTS;
    sh->channels = world->channels;
    sh->members = world->members;
    sh->caches = world->caches;
    sh->mask = BUCKETS - 1;
    sh->cached.limit = 4096;
    sh->answers.limit = 4096;

    ngx_chat_ring_init(sh->ring, RING);
    ngx_chat_arena_init(sh->arena, ARENA);

    for (i = 0; i < SLOTS; i++) {
        (void) ngx_chat_slot_init(&sh->slots[i]);
    }

    memset(shares, 0, sizeof(shares));
    memset(parts, 0, sizeof(parts));

    zone.wakeups = &wakeups;
    zone.sh = sh;
    zone.handlers = &handlers;
}


/* Reads all that was told since the world's beginning. */
static void
read_book(book_t *b)
{
    size_t                len;
    u_char               *p, buf[4096];
    uint64_t              pos, at;
    ngx_chat_envelope_t   e;

    memset(b, 0, sizeof(book_t));
    pos = world->start;

    while (ngx_chat_ring_read(zone.sh->ring, &pos, &at, buf, sizeof(buf),
                              &len)
           == NGX_OK)
    {
        if (ngx_chat_envelope_unpack(&e, buf, len) != NGX_OK) {
            b->faults++;
            continue;
        }

        p = e.payload.data;

        switch (p[0]) {

        case '+':
            b->faults += b->present[p[1]];
            b->present[p[1]] = 1;
            break;

        case '-':
            b->faults += !b->present[p[1]];
            b->present[p[1]] = 0;
            break;

        case 'O':
        case 'o':
            if (e.channel.len == hall.len) {
                b->occupied = (p[0] == 'O');
            }
        }
    }
}


/* What is told agrees with what is there. */
static ngx_uint_t
check_book(void)
{
    u_char                 id;
    book_t                 b;
    ngx_str_t              user;
    ngx_uint_t             i, ok, n;
    ngx_chat_channel_sh_t *ch;

    read_book(&b);
    ok = CHECK_INT(b.faults, 0);

    ngx_chat_zone_lock(&zone);

    ch = ngx_chat_registry_find(&zone, APP,
                                ngx_chat_registry_hash(&zone, APP, &room),
                                &room);
    n = 0;

    for (i = 1; i < USERS; i++) {
        id = i;
        user.data = &id;
        user.len = 1;

        if (ch && ngx_chat_presence_find(&zone, ch, &user)) {
            n++;
            ok &= CHECK(b.present[i]);

        } else {
            ok &= CHECK(!b.present[i]);
        }
    }

    if (ch) {
        ok &= CHECK_INT(ch->nmembers, n);
    }

    ok &= CHECK_INT(zone.sh->nmembers, n);

    ch = ngx_chat_registry_find(&zone, APP,
                                ngx_chat_registry_hash(&zone, APP, &hall),
                                &hall);

    /* of an empty share of the dead one it is told when that is cleared */

    ok &= CHECK(b.occupied == (ch != NULL)
                || (ch && ngx_chat_registry_total(ch) == 0));

    ngx_chat_zone_unlock(&zone);

    return ok;
}


/* Another mending finds nothing to do. */
static ngx_uint_t
check_whole(void)
{
    size_t      used, cached, answers;
    ngx_uint_t  ok, nchannels;

    used = zone.sh->arena->used;
    cached = zone.sh->cached.used;
    answers = zone.sh->answers.used;
    nchannels = zone.sh->nchannels;

    zone.sh->busy = 1;
    ngx_chat_zone_lock(&zone);
    ngx_chat_zone_unlock(&zone);

    ok = CHECK_INT(zone.sh->arena->used, used);
    ok &= CHECK_INT(zone.sh->cached.used, cached);
    ok &= CHECK_INT(zone.sh->answers.used, answers);
    ok &= CHECK_INT(zone.sh->nchannels, nchannels);

    return ok;
}


/*
 * Slot 0 is dead.  Slot 1 goes on, with or without the dead one's users on
 * it before it clears up.
 */
static ngx_uint_t
go_on(ngx_uint_t meet)
{
    ngx_uint_t  ok;

    if (meet) {
        join(1, 1);
        join(1, 2);
        join(1, 0);
        keep("cache-next", 100);
    }

    ngx_chat_zone_lock(&zone);
    ngx_chat_zone_unlock(&zone);

    ok = CHECK_INT(zone.sh->turn, NGX_CHAT_TURN_NONE_e);
    ok &= check_book();

    clear_slot(0);
    clear_slot(2);

    ok &= check_book();
    ok &= check_whole();

    clear_slot(1);

    ok &= check_book();
    ok &= CHECK_INT(zone.sh->nchannels, 0);
    ok &= check_whole();
    ok &= CHECK_INT(zone.sh->arena->used,
                    zone.sh->cached.used + zone.sh->answers.used);

    /* all caches out by one that takes their whole share */

    keep("cache-x", 1500);
    keep("cache-y", 1500);
    keep("cache-z", 1500);
    ok &= check_whole();

    return ok;
}


static ngx_uint_t
survives(void)
{
    return go_on(0);
}


static ngx_uint_t
survives_and_meets(void)
{
    return go_on(1);
}


static void
mend(void)
{
    ngx_chat_zone_lock(&zone);
    ngx_chat_zone_unlock(&zone);
}


/*
 * A process that runs the checks on copies of the world, at the same place in
 * memory: one byte tells it to, one tells what it found.
 */
static ngx_uint_t
checker_start(checker_t *c, ngx_uint_t (*checks[])(void))
{
    int   to[2], from[2];
    char  ok;

    if (pipe(to) == -1 || pipe(from) == -1) {
        return 0;
    }

    c->copy = mmap(NULL, sizeof(world_t), PROT_READ|PROT_WRITE,
                   MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    fflush(stdout);
    c->pid = fork();

    if (c->pid != 0) {
        (void) close(to[0]);
        (void) close(from[1]);
        c->to = to[1];
        c->from = from[0];

        return 1;
    }

    (void) close(to[1]);
    (void) close(from[0]);

    if (mmap(world, sizeof(world_t), PROT_READ|PROT_WRITE,
             MAP_SHARED|MAP_ANONYMOUS|MAP_FIXED, -1, 0)
        == MAP_FAILED)
    {
        _exit(2);
    }

    while (read(to[0], &ok, 1) == 1) {
        ok = check_all(c->copy, checks);

        fflush(stdout);

        if (write(from[1], &ok, 1) != 1) {
            break;
        }
    }

    _exit(0);
}


static ngx_uint_t
check_all(world_t *copy, ngx_uint_t (*checks[])(void))
{
    ngx_uint_t            i, ok;
    ngx_chat_part_sh_t   *my_parts[SLOTS][USERS];
    ngx_chat_share_sh_t  *my_shares[SLOTS][2];

    memcpy(my_shares, shares, sizeof(shares));
    memcpy(my_parts, parts, sizeof(parts));

    ok = 1;

    for (i = 0; ok && checks[i]; i++) {
        memcpy(world, copy, sizeof(world_t));

        ok = checks[i]();

        memcpy(shares, my_shares, sizeof(shares));
        memcpy(parts, my_parts, sizeof(parts));
    }

    return ok;
}


static ngx_uint_t
checker_run(checker_t *c)
{
    char  ok;

    ok = 0;
    memcpy(c->copy, world, sizeof(world_t));

    return CHECK(write(c->to, &ok, 1) == 1)
           && CHECK(read(c->from, &ok, 1) == 1)
           && CHECK(ok);
}


static void
checker_stop(checker_t *c)
{
    int  status;

    (void) close(c->to);
    (void) close(c->from);
    (void) waitpid(c->pid, &status, 0);
    (void) munmap(c->copy, sizeof(world_t));
}


/*
 * Looks at every so many of the states of a change.  How many there were; 0:
 * failed; -1: there is no ptrace() here.
 */
static int
step_through(void (*change)(void), ngx_uint_t (*checks[])(void),
    ngx_uint_t every)
{
    int         status, states;
    pid_t       pid;
    void       *before;
    checker_t   checker;
    ngx_uint_t  ok;

    if (!CHECK(checker_start(&checker, checks))) {
        return 0;
    }

    pid = fork();

    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == -1) {
            _exit(3);
        }

        (void) raise(SIGSTOP);
        change();
        _exit(0);
    }

    if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) {
        checker_stop(&checker);
        return -1;
    }

    before = malloc(sizeof(world_t));
    memcpy(before, world, sizeof(world_t));
    states = 0;
    ok = 1;

    while (ok) {
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == -1
            || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
        {
            ok = CHECK(WIFEXITED(status)) && CHECK_INT(status, 0);
            break;
        }

        if (!CHECK_INT(WSTOPSIG(status), SIGTRAP)) {
            ok = 0;
            break;
        }

        if (memcmp(before, world, sizeof(world_t)) == 0) {
            continue;
        }

        memcpy(before, world, sizeof(world_t));
        states++;

        if (states % every == 0) {
            ok = checker_run(&checker);
        }
    }

    free(before);

    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, &status, 0);

    checker_stop(&checker);

    return ok ? states : 0;
}


/* The dead one's mess is mended by one who is killed while he does it. */
static ngx_uint_t
survives_mending(void)
{
    static ngx_uint_t  (*checks[])(void) = { survives_and_meets, NULL };

    return !zone.sh->busy || step_through(mend, checks, 4) != 0;
}


static void
setup_empty(void)
{
}


static void
setup_observer(void)
{
    join(1, 9);
}


static void
setup_shared(void)
{
    join(1, 9);
    join(1, 1);
}


static void
setup_mine(void)
{
    join(1, 9);
    join(0, 1);
    join(0, 2);
    join(0, 0);
}


static void
setup_alone(void)
{
    join(0, 1);
    join(0, 0);
}


static void
setup_both(void)
{
    join(1, 9);
    join(1, 1);
    join(0, 1);
}


static void
setup_gone(void)
{
    u_char  i;

    join(1, 9);

    for (i = 10; i < 10 + 18; i++) {
        join(1, i);
    }

    join(0, 1);

    /* the one that goes next finds too many gone */

    for (i = 10; i < 10 + 18; i++) {
        leave(1, i);
    }
}


static void
setup_dead(void)
{
    join(1, 9);
    join(2, 9);
    join(2, 1);
    join(2, 2);
    join(2, 0);
}


static void
setup_caches(void)
{
    keep("cache-a", 900);
    keep("cache-b", 900);
    keep("!once", 10);
}


static void
change_join_hall(void)
{
    join(0, 0);
}


static void
change_join(void)
{
    join(0, 1);
}


static void
change_leave_hall(void)
{
    leave(0, 0);
}


static void
change_leave(void)
{
    leave(0, 1);
}


static void
change_clear(void)
{
    clear_slot(2);
}


static void
change_release(void)
{
    clear_slot(0);
}


static void
change_cache(void)
{
    keep("cache-c", 100);
}


static void
change_cache_again(void)
{
    keep("cache-a", 200);
    keep("!once", 100);
}


static void
change_cache_evict(void)
{
    keep("cache-a", 900);
    keep("cache-d", 2000);
}


static scene_t  scenes[] = {
    { "first subscription", setup_empty, change_join_hall },
    { "first member", setup_empty, change_join },
    { "another member", setup_observer, change_join },
    { "another worker's member", setup_shared, change_join },
    { "a member's second socket", setup_mine, change_join },
    { "unsubscription", setup_mine, change_leave_hall },
    { "a member leaves", setup_mine, change_leave },
    { "the last member leaves", setup_alone, change_leave },
    { "a member's last here leaves", setup_both, change_leave },
    { "a leave that sweeps", setup_gone, change_leave },
    { "a dead worker's slot", setup_dead, change_clear },
    { "its own slot", setup_mine, change_release },
    { "cached", setup_empty, change_cache },
    { "cached anew", setup_caches, change_cache_again },
    { "cached, others go", setup_caches, change_cache_evict },
    { NULL, NULL, NULL }
};


static void
run_scenes(ngx_uint_t (*checks[])(void), ngx_uint_t every)
{
    int       states;
    void     *at;
    scene_t  *s;

    at = mmap(NULL, sizeof(world_t), PROT_READ|PROT_WRITE,
              MAP_SHARED|MAP_ANONYMOUS, -1, 0);

    for (s = scenes; s->name; s++) {
        build_world(at);
        world->start = ngx_chat_ring_head(zone.sh->ring);
        s->setup();

        states = step_through(s->change, checks, every);

        if (states == -1) {
            printf("# skipped: ptrace() is not permitted\n");
            break;
        }

        printf("# %s: %d states\n", s->name, states);
        CHECK(states > 3);
    }

    (void) munmap(at, sizeof(world_t));
}


static void
test_killed_at_any_instruction(void)
{
    static ngx_uint_t  (*checks[])(void) = { survives, survives_and_meets,
                                             NULL };

    run_scenes(checks, 1);
}


static void
test_killed_while_mending(void)
{
    static ngx_uint_t  (*checks[])(void) = { survives_mending, NULL };

    /* some of all states, they are many */
    run_scenes(checks, 61);
}


int
main(void)
{
    RUN(test_killed_at_any_instruction);
    RUN(test_killed_while_mending);

    return unit_done();
}
