
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The load of make bench: opens WebSockets, publishes, and checks what it
 * counts.  One thread, one epoll.  t/bench/bench.pl calls it.
 *
 *     load name=value ...
 *
 *     mode=fan       subscribes, publishes for a while, prints the rates
 *     mode=idle      opens connections: handshakes, and their memory
 *     mode=channels  subscribes to count= channels, and in slices to some more
 *     mode=return    waits until all subscribers have been sent away by 4200
 *                    and are back, each at once
 *     mode=memory    how much the server has
 *     mode=spin      how long a fixed amount of work takes
 *
 *     kind=chat|nchan|floor  port=  pids=1,2
 *     tls=           the port for subscribers, with TLS; publishers do without
 *     subs=          subscribers, spread over channels=; each to so many as
 *                    each= says
 *     lanes=         connections that publish, a channel's messages over all
 *                    of them where there is but one channel
 *     token=1        subscribers have a token, and are told of recovery
 *     get=           subscribers ask for that by a plain GET instead, and are
 *                    ready with the answer's first byte
 *     fallback=      subscribers use the HTTP fallback, by "xhr_streaming" or
 *                    "xhr"; for mode=idle
 *     inflight=      messages published, and not yet received by all
 *     rate=          instead: messages per second, come what may
 *     await=1        an answer is part of a message, and none is pipelined
 *     store=1        POST /messages (chat)
 *     shm=           the -shm file of its database, to count the commits
 *     nobody=1       publishes where nobody listens
 *     count=         messages in all: waits for a line on stdin, publishes
 *                    them, and ends when all have arrived; without lanes,
 *                    they come from elsewhere
 *     addr=          the first source address, as a number
 *     slices=        measures in so many pieces of seconds= each, with others
 *                    in turns: a line on stdin begins each, one on stdout
 *                    ends it, when nothing is in flight
 *     warm= seconds= burst=
 *
 * Every message has a number.  A subscriber knows which one is next, on each
 * lane, so what is lost, doubled or out of order ends the run, with status 1.
 */


#define _GNU_SOURCE

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>
#include <signal.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>


#define APP_ID      "1001"
#define APP_KEY     "benchkey"
#define APP_SECRET  "benchsecret"

#define WS_KEY      "dGhlIHNhbXBsZSBub25jZQ=="
#define WS_ACCEPT   "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

#define NOBODY      60000             /* a channel without subscribers */
#define DATA        128               /* bytes of an event's data */
#define RING        65536             /* messages not yet complete */
#define KEEP        1024              /* of an unfinished frame or answer */
#define READ_SIZE   (256 * 1024)
#define OUT_SIZE    (1024 * 1024)
#define FRAME       131               /* the longest that is sent */
#define ROUNDS      8                 /* of all channels, in one order */
#define SLICE_WARM  0.1               /* seconds before each slice */
#define COMMANDS    64                /* of a connection at a time */
#define HOLDERS     100               /* connections that hold channels */
#define VISITORS    10
#define VISITS      2000              /* channels that each comes to */
#define PER_ADDR    10000             /* connections of one source address */
#define STUCK       5.0               /* seconds without any progress */

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT  24
#endif


typedef enum {
    kind_chat = 0,
    kind_nchan,
    kind_floor
} kind_e;


typedef enum {
    state_closed = 0,
    state_tls,                        /* its handshake */
    state_upgrading,                  /* the request is sent */
    state_greeting,                   /* 101; waits for the first frame */
    state_subscribing,
    state_ready
} state_e;


typedef enum {
    type_sub = 0,
    type_lane,
    type_timer,
    type_stdin
} type_e;


typedef struct {
    type_e      type;
    int         fd;
    SSL        *ssl;                  /* NULL: without TLS */
    state_e     state;
    uint32_t    channel;
    uint32_t    offset;               /* of the data in a frame's payload */
    uint32_t    len;                  /* of such a payload; 0: not known yet */
    uint32_t    wait;                 /* answers to commands */
    uint32_t    done;                 /* commands that it has sent; whether it
                                         was sent away */
    uint32_t   *next;                 /* the number that is next, per lane */
    u_char     *keep;
    size_t      kept;
} sub_t;


typedef struct {
    type_e      type;
    int         fd;
    uint32_t    first;                /* answers awaited: a queue of numbers */
    uint32_t    last;
    uint32_t    count;                /* messages it has published */
    uint32_t   *numbers;
    u_char     *out;
    size_t      nout;
    u_char      keep[KEEP];
    size_t      kept;
} lane_t;


typedef struct {
    char        text[9];              /* its number in digits */
    uint32_t    number;
    uint32_t    left;                 /* what it still waits for */
    double      due;
} message_t;


typedef struct {
    double      time;
    double      server;               /* seconds of CPU */
    double      own;
    uint64_t    deliveries;
    uint64_t    complete;
    uint32_t    commits;
} mark_t;


/* What a connection is to do. */

typedef struct {
    int         subscribe;            /* or unsubscribe */
    uint32_t    each;                 /* commands of each connection */
    uint32_t    batch;                /* of them at a time */
    uint32_t    base;                 /* the number of the first channel */
    uint32_t    held;                 /* channels that are there */
} commands_t;


static struct {
    char        mode[16];
    kind_e      kind;
    int         port;
    int         tls;
    uint32_t    subs;
    uint32_t    channels;
    uint32_t    lanes;
    uint32_t    inflight;
    uint32_t    burst;
    uint32_t    count;
    uint32_t    slices;
    uint32_t    addr;
    int         await;
    int         store;
    int         nobody;
    int         token;
    uint32_t    each;
    char        shm[256];
    char        get[128];
    char        fallback[16];
    double      rate;
    double      warm;
    double      seconds;
    int         pids[64];
    int         npids;
} opt;


static int         ep;
static type_e      timer_type = type_timer;
static int         timer = -1;
static type_e      stdin_type = type_stdin;
static int         go;                /* publishing may begin */
static int         commanding;        /* subscribers are sent commands */
static int         returning;         /* subscribers are sent away */
static uint32_t   *away;              /* those who are: a queue of numbers */
static uint32_t    first_away;
static uint32_t    last_away;
static uint32_t    answered;          /* who have answered a ping */
static uint32_t    recovered;         /* who has been told so */
static uint64_t    missed;            /* events, as was said */
static double      sent_away;         /* the first of them */
static uint64_t    pings;
static sub_t      *subs;
static lane_t     *lanes;
static uint32_t   *counts;            /* messages of each channel */
static uint32_t    per_channel;       /* lanes of one channel */
static uint32_t    stride;            /* between messages that are in order */
static message_t   ring[RING];
static uint32_t    published;
static uint32_t    in_flight;
static uint64_t    deliveries;
static uint64_t    complete;
static uint32_t    nready;
static double      base;              /* of the open loop's schedule */
static int         counting;          /* latencies are kept, of messages */
static double      counted_from;      /* due from then on */
static uint64_t    histogram[64 * 128];
static uint64_t    nlatencies;
static u_char      space[KEEP + READ_SIZE];
static SSL_CTX    *tls;
static BIO        *tls_in;            /* bytes of the socket at hand */
static BIO        *tls_out;


static void
fail(const char *fmt, ...)
{
    va_list  args;

    fprintf(stderr, "load: ");
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n");

    exit(1);
}


static double
now(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


static void *
get(size_t n, size_t size)
{
    void  *p;

    p = calloc(n ? n : 1, size);
    if (p == NULL) {
        fail("no memory");
    }

    return p;
}


/* Accounts of the server's processes, and of this one. */


static double
cpu_of(int pid)
{
    DIR                 *dir;
    FILE                *fp;
    char                 path[300];
    double               sum;
    struct dirent       *de;
    unsigned long long   ns;

    sum = 0;

    snprintf(path, sizeof(path), "/proc/%d/task", pid);

    dir = opendir(path);
    if (dir == NULL) {
        fail("process %d of the server is gone", pid);
    }

    while ((de = readdir(dir))) {
        if (de->d_name[0] == '.') {
            continue;
        }

        snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid,
                 de->d_name);

        fp = fopen(path, "r");
        if (fp == NULL) {
            continue;
        }

        if (fscanf(fp, "%llu", &ns) == 1) {
            sum += ns / 1e9;
        }

        fclose(fp);
    }

    closedir(dir);

    return sum;
}


static double
memory(void)
{
    int                  i;
    FILE                *fp;
    char                 line[256];
    double               sum;
    unsigned long long   kb;

    sum = 0;

    for (i = 0; i < opt.npids; i++) {
        snprintf(line, sizeof(line), "/proc/%d/smaps_rollup", opt.pids[i]);

        fp = fopen(line, "r");
        if (fp == NULL) {
            fail("%s: %s", line, strerror(errno));
        }

        while (fgets(line, sizeof(line), fp)) {
            if (sscanf(line, "Pss: %llu", &kb) == 1) {
                sum += kb * 1024.0;
            }
        }

        fclose(fp);
    }

    return sum;
}


/*
 * SQLite's WAL index counts the transactions, at its byte 8.
 */

static uint32_t
commits(void)
{
    FILE      *fp;
    uint32_t   n;

    if (opt.shm[0] == '\0') {
        return 0;
    }

    fp = fopen(opt.shm, "r");

    if (fp == NULL || fseek(fp, 8, SEEK_SET) == -1
        || fread(&n, 4, 1, fp) != 1)
    {
        fail("%s: %s", opt.shm, strerror(errno));
    }

    fclose(fp);

    return n;
}


static mark_t
mark(void)
{
    int              i;
    mark_t           m;
    struct rusage    ru;

    m.server = 0;

    for (i = 0; i < opt.npids; i++) {
        m.server += cpu_of(opt.pids[i]);
    }

    getrusage(RUSAGE_SELF, &ru);

    m.own = ru.ru_utime.tv_sec + ru.ru_utime.tv_usec / 1e6
            + ru.ru_stime.tv_sec + ru.ru_stime.tv_usec / 1e6;
    m.deliveries = deliveries;
    m.complete = complete;
    m.commits = commits();
    m.time = now();

    return m;
}


/*
 * Latencies in microseconds: 128 steps for each power of two, so that no
 * value is off by more than 1 %.
 */


static void
latency_add(double seconds)
{
    uint64_t  us;
    unsigned  shift;

    us = seconds > 0 ? seconds * 1e6 : 0;
    shift = us < 256 ? 0 : 56 - __builtin_clzll(us);

    histogram[shift * 128 + (us >> shift)]++;
    nlatencies++;
}


static uint64_t
latency_at(double part)
{
    double    want, sum;
    unsigned  i, shift;

    want = part * nlatencies;
    sum = 0;

    for (i = 0; i < 64 * 128; i++) {
        sum += histogram[i];

        if (histogram[i] && sum >= want) {
            shift = i < 256 ? 0 : i / 128 - 1;
            return (uint64_t) (i - shift * 128) << shift;
        }
    }

    return 0;
}


/* Sockets. */


static void
watch(int fd, void *data)
{
    struct epoll_event  ev;

    ev.events = EPOLLIN|EPOLLET;
    ev.data.ptr = data;

    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == -1) {
        fail("epoll_ctl(): %s", strerror(errno));
    }
}


/*
 * On loopback, connect() ends at once.  Closing resets, since ports in
 * TIME_WAIT would be missing in the next run.
 */

static int
open_socket(uint32_t n, int port)
{
    int                 fd, on;
    struct linger       linger;
    struct sockaddr_in  sin;

    on = 1;
    linger.l_onoff = 1;
    linger.l_linger = 0;

    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd == -1) {
        fail("socket() %u: %s", n, strerror(errno));
    }

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + opt.addr
                                + n / PER_ADDR);

    if (bind(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        fail("bind(): %s", strerror(errno));
    }

    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sin.sin_port = htons(port);

    if (connect(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        fail("connect() %u: %s", n, strerror(errno));
    }

    return fd;
}


static void
put_raw(int fd, const void *p, size_t len)
{
    if (send(fd, p, len, MSG_NOSIGNAL|MSG_DONTWAIT) != (ssize_t) len) {
        fail("send(): %s", strerror(errno));
    }
}


/* What OpenSSL has to say to the server. */

static void
put_tls(sub_t *s)
{
    char  *p;
    long   len;

    len = BIO_get_mem_data(tls_out, &p);

    if (len > 0) {
        put_raw(s->fd, p, len);
        (void) BIO_reset(tls_out);
    }
}


static void
put(sub_t *s, const void *p, size_t len)
{
    if (s->ssl == NULL) {
        put_raw(s->fd, p, len);
        return;
    }

    if (SSL_write(s->ssl, p, len) != (int) len) {
        fail("SSL_write() failed");
    }

    put_tls(s);
}


/*
 * TLS is between the socket and all else.  OpenSSL reads and writes memory that
 * all connections share, and keeps what it has of an unfinished record, so that
 * a delivery is one recv() here as it is without TLS.
 */

static void
open_tls(sub_t *s)
{
    if (tls == NULL) {
        tls = SSL_CTX_new(TLS_client_method());
        tls_in = BIO_new(BIO_s_mem());
        tls_out = BIO_new(BIO_s_mem());

        if (tls == NULL || tls_in == NULL || tls_out == NULL) {
            fail("no TLS");
        }

        SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
        SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    }

    s->ssl = SSL_new(tls);
    if (s->ssl == NULL) {
        fail("no memory");
    }

    BIO_up_ref(tls_in);
    BIO_up_ref(tls_out);
    SSL_set_bio(s->ssl, tls_in, tls_out);
    SSL_set_connect_state(s->ssl);

    s->state = state_tls;
    SSL_do_handshake(s->ssl);
    put_tls(s);
}


/* A frame of a client, masked; returns its size. */

static size_t
make_frame(u_char *frame, int op, const char *text, size_t len)
{
    size_t               i;
    static const u_char  mask[4] = { 0x37, 0xfa, 0x21, 0x3d };

    if (len > 125) {
        fail("a command is too long");
    }

    frame[0] = 0x80 | op;
    frame[1] = 0x80 | len;
    memcpy(frame + 2, mask, 4);

    for (i = 0; i < len; i++) {
        frame[6 + i] = text[i] ^ mask[i % 4];
    }

    return 6 + len;
}


static void
put_frame(sub_t *s, int op, const char *text, size_t len)
{
    u_char  frame[FRAME];

    put(s, frame, make_frame(frame, op, text, len));
}


/* A request of the HTTP fallback. */

static size_t
make_xhr(sub_t *s, const char *kind, const char *body, char *text, size_t size)
{
    static uint32_t  serial;

    return snprintf(text, size,
                    "POST /pusher/app/" APP_KEY "/0/%08u/%s?protocol=7&n=%u"
                    " HTTP/1.1\r\n"
                    "Host: bench\r\n"
                    "Content-Type: application/json\r\n"
                    "Content-Length: %zu\r\n\r\n%s",
                    (unsigned) (s - subs), kind, (unsigned) ++serial,
                    strlen(body), body);
}


static void
request_xhr(sub_t *s)
{
    char  text[512];

    put(s, text, make_xhr(s, opt.fallback, "", text, sizeof(text)));
}


/* A command of the fallback, by a connection that all of them share. */

static void
command_xhr(sub_t *s)
{
    size_t      n;
    ssize_t     got;
    char        body[128], text[512];
    static int  fd = -1;

    if (fd == -1) {
        fd = open_socket(opt.subs, opt.port);
    }

    snprintf(body, sizeof(body), "[\"{\\\"event\\\":\\\"pusher:subscribe"
             "\\\",\\\"data\\\":{\\\"channel\\\":\\\"c%u\\\"}}\"]",
             s->channel);

    n = make_xhr(s, "xhr_send", body, text, sizeof(text));
    put_raw(fd, text, n);

    got = recv(fd, text, sizeof(text), 0);

    if (got < 12 || memcmp(text, "HTTP/1.1 204", 12) != 0) {
        fail("xhr_send: %.*s", (int) got, text);
    }
}


static void
request_upgrade(sub_t *s)
{
    int   n;
    char  path[96], text[512];

    if (opt.fallback[0]) {
        request_xhr(s);
        s->state = state_upgrading;
        return;
    }

    if (opt.get[0]) {
        n = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\n"
                     "Host: bench\r\n\r\n", opt.get);

        put(s, text, n);
        s->state = state_upgrading;
        return;
    }

    if (opt.token) {
        snprintf(path, sizeof(path), "/app/" APP_KEY ";bench-token-%06u"
                 "?protocol=7&client=js", (unsigned) (s - subs));

    } else if (opt.kind == kind_chat) {
        snprintf(path, sizeof(path), "/app/" APP_KEY "?protocol=7");

    } else if (opt.kind == kind_nchan) {
        snprintf(path, sizeof(path), "/sub?id=c%u", s->channel);

    } else {
        snprintf(path, sizeof(path), "/");
    }

    n = snprintf(text, sizeof(text),
                 "GET %s HTTP/1.1\r\n"
                 "Host: bench\r\n"
                 "Upgrade: websocket\r\n"
                 "Connection: Upgrade\r\n"
                 "Sec-WebSocket-Key: " WS_KEY "\r\n"
                 "Sec-WebSocket-Version: 13\r\n\r\n", path);

    put(s, text, n);
    s->state = state_upgrading;
}


static void
request_channel(sub_t *s)
{
    int       n;
    char      text[128];
    uint32_t  i;

    for (i = 0; i < opt.each; i++) {

        if (opt.kind == kind_chat) {
            n = snprintf(text, sizeof(text), "{\"event\":\"pusher:subscribe\","
                         "\"data\":{\"channel\":\"c%u\"}}", s->channel + i);
        } else {
            n = snprintf(text, sizeof(text), "%u", s->channel);
        }

        put_frame(s, 1, text, n);
    }

    s->wait = opt.each;
    s->state = state_subscribing;
}


static void
got_ready(sub_t *s)
{
    if (s->state == state_subscribing && --s->wait) {
        return;
    }

    s->state = state_ready;
    nready++;
}


/* A part of an answer of the fallback.  Where it ends, another is asked for. */

static void
got_xhr(sub_t *s, u_char *p, size_t n)
{
    if (memcmp(p, "HTTP/", 5) == 0 && memcmp(p, "HTTP/1.1 200", 12) != 0) {
        fail("%s: %.*s", opt.fallback, (int) n, p);
    }

    if (memmem(p, n, "connection_established", 22)) {
        command_xhr(s);
    }

    if (memmem(p, n, "subscription_succeeded", 22)) {
        got_ready(s);
    }

    if (n >= 5 && memcmp(p + n - 5, "0\r\n\r\n", 5) == 0
        && (n == 5 || p[n - 6] == '\n'))
    {
        request_xhr(s);
    }
}


static void
got_upgrade(sub_t *s, u_char *p, size_t len)
{
    if (memcmp(p, "HTTP/1.1 101", 12) != 0
        || memmem(p, len, WS_ACCEPT, sizeof(WS_ACCEPT) - 1) == NULL)
    {
        fail("no upgrade: %.*s", (int) len, p);
    }

    if (opt.kind == kind_chat) {
        s->state = state_greeting;

    } else if (opt.kind == kind_floor) {
        request_channel(s);

    } else {
        got_ready(s);
    }
}


/*
 * What comes to a subscriber with a token, or one who is to be sent away; 0:
 * none of that.  The first ping is answered, which says that it has heard of
 * its subscription, and no other, so that all it gets has to be sent again.
 */

static int
got_news(sub_t *s, int op, u_char *p, size_t len)
{
    u_char             *n;
    static const char   pong[] = "{\"event\":\"pusher:pong\",\"data\":{}}";

    if (op == 0x88) {
        if (sent_away == 0) {
            sent_away = now();
        }

        close(s->fd);
        s->state = state_closed;
        s->done = 1;
        nready--;
        away[last_away++] = s - subs;

        return 1;
    }

    if (op == 0x81 && s->state == state_subscribing && opt.token) {
        if (memmem(p, len, "pusher:recovery", 15)) {
            n = memmem(p, len, "\\\"missed\\\":", 11);

            recovered += n != NULL;
            missed += n ? strtoul((char *) n + 11, NULL, 10) : 0;
            got_ready(s);
        }

        return 1;
    }

    if (op == 0x81 && s->state == state_ready && !s->done && !s->wait
        && memmem(p, len, "pusher:ping", 11))
    {
        put_frame(s, 1, pong, sizeof(pong) - 1);
        s->wait = 1;
        answered++;
        return 1;
    }

    if (op == 0x81 && s->state == state_ready) {
        deliveries += s->done
                      && memmem(p, len, "\"event\":\"pusher:", 16) == NULL;
        return 1;
    }

    return 0;
}


/* Frames that are not messages. */

static void
got_frame(sub_t *s, int op, u_char *p, size_t len)
{
    if (op == 0x89) {
        pings++;
        put_frame(s, 10, (char *) p, len);
        return;
    }

    if ((returning || opt.token) && got_news(s, op, p, len)) {
        return;
    }

    if (op == 0x81 && s->state == state_greeting
        && memmem(p, len, "pusher:connection_established", 29))
    {
        request_channel(s);
        return;
    }

    if (op == 0x81 && s->state == state_subscribing) {
        if (opt.kind == kind_chat
            ? memmem(p, len, "pusher_internal:subscription_succeeded", 38) != 0
            : len == 2 && memcmp(p, "ok", 2) == 0)
        {
            got_ready(s);
            return;
        }
    }

    if (op == 0x81 && commanding
        && (memmem(p, len, "pusher_internal:subscription_succeeded", 38)
            || memmem(p, len, "pusher:pong", 11)))
    {
        s->wait--;
        return;
    }

    fail("unexpected frame %02x: %.*s", op, (int) len, p);
}


static void
got_done(message_t *m)
{
    if (--m->left == 0) {
        in_flight--;
        complete++;
    }
}


/* Where another process publishes, what it has written there. */

static void
expect(message_t *m, uint32_t number)
{
    m->left = number < opt.count;

    if (number != m->number) {
        m->number = number;
        snprintf(m->text, sizeof(m->text), "%08u", number);
    }
}


/* Where the data is in the frames of a channel. */

static void
learn(sub_t *s, u_char *p, size_t len)
{
    u_char  *data;

    data = p;

    if (opt.kind == kind_chat) {
        data = memmem(p, len, "\"data\":\"", 8);
        if (data == NULL) {
            fail("an event without data: %.*s", (int) len, p);
        }

        data += 8;
    }

    s->offset = data - p;
    s->len = len;
}


static void
got_message(sub_t *s, u_char *p, size_t len, double time)
{
    uint32_t    lane, *next;
    message_t  *m;

    if (s->len == 0) {
        learn(s, p, len);
    }

    p += s->offset;

    if (len != s->len || s->offset + DATA > len) {
        fail("a message of %zu bytes, not %u", len, s->len);
    }

    lane = 0;

    if (per_channel > 1) {
        lane = (p[8] - '0') * 100 + (p[9] - '0') * 10 + (p[10] - '0');
        if (lane >= per_channel) {
            fail("a message of lane %u", lane);
        }
    }

    next = &s->next[lane];
    m = &ring[*next % RING];

    if (opt.lanes == 0) {
        expect(m, *next);
    }

    if (m->left == 0
        || memcmp(p, m->text, 8) != 0
        || memcmp(p + DATA - 8, m->text, 8) != 0)
    {
        fail("channel %u: message %.8s, not %08u: lost, doubled or reordered",
             s->channel, p, *next);
    }

    *next += stride;
    deliveries++;

    if (opt.lanes == 0) {
        return;
    }

    if (counting && m->due >= counted_from) {
        latency_add(time - m->due);
    }

    got_done(m);
}


/* Returns what it has used of the bytes. */

static size_t
parse_frames(sub_t *s, u_char *start, size_t n)
{
    double   time;
    size_t   len, head;
    u_char  *p, *end;

    p = start;
    end = start + n;
    time = counting ? now() : 0;

    while (end - p >= 2) {
        head = 2;
        len = p[1];

        if (len == 126) {
            if (end - p < 4) {
                break;
            }

            head = 4;
            len = p[2] << 8 | p[3];

        } else if (len > 126) {
            fail("a frame with mask or of 64 KB");
        }

        if ((size_t) (end - p) < head + len) {
            break;
        }

        if (p[0] == 0x81 && s->state == state_ready && !commanding
            && !returning && !opt.token)
        {
            got_message(s, p + head, len, time);

        } else {
            got_frame(s, p[0], p + head, len);
        }

        p += head + len;
    }

    return p - start;
}


/*
 * One recv(), whose result it returns, to at most READ_SIZE bytes of data,
 * *size of them.
 */

static ssize_t
receive(sub_t *s, u_char *p, size_t *size)
{
    int             n;
    ssize_t         got;
    static u_char   raw[READ_SIZE];

    *size = 0;

    got = recv(s->fd, s->ssl ? raw : p, READ_SIZE, MSG_DONTWAIT);

    if (s->ssl == NULL || got <= 0) {
        *size = got > 0 ? got : 0;
        return got;
    }

    BIO_write(tls_in, raw, got);

    if (s->state == state_tls) {
        SSL_do_handshake(s->ssl);
        put_tls(s);

        if (SSL_is_init_finished(s->ssl)) {
            request_upgrade(s);
        }
    }

    while ((n = SSL_read(s->ssl, p + *size, READ_SIZE - *size)) > 0) {
        *size += n;
    }

    if (SSL_get_error(s->ssl, n) != SSL_ERROR_WANT_READ
        || BIO_pending(tls_in))
    {
        fail("a subscriber of channel %u: TLS failed", s->channel);
    }

    return got;
}


static void
read_sub(sub_t *s)
{
    size_t    n, used;
    u_char   *p, *end;
    ssize_t   got;

    do {
        p = space + KEEP - s->kept;
        memcpy(p, s->keep, s->kept);

        got = receive(s, space + KEEP, &n);

        if (got == -1 && errno == EAGAIN) {
            return;
        }

        if (got <= 0) {
            fail("a subscriber of channel %u was closed: %s", s->channel,
                 got ? strerror(errno) : "end");
        }

        if (opt.get[0]) {
            if (s->state == state_upgrading) {
                got_ready(s);
            }

            continue;
        }

        if (opt.fallback[0]) {
            got_xhr(s, space + KEEP, n);
            continue;
        }

        n += s->kept;
        s->kept = 0;

        if (s->state == state_upgrading) {
            end = memmem(p, n, "\r\n\r\n", 4);

            if (end) {
                got_upgrade(s, p, end + 4 - p);
                n -= end + 4 - p;
                p = end + 4;
            }
        }

        used = s->state <= state_upgrading ? 0 : parse_frames(s, p, n);

        if (used < n) {
            if (n - used > KEEP) {
                fail("an answer of more than %d bytes", KEEP);
            }

            if (s->keep == NULL) {
                s->keep = get(1, KEEP);
            }

            s->kept = n - used;
            memcpy(s->keep, p + used, s->kept);
        }

    } while (got == READ_SIZE);
}


/* One answer to a publish; returns its size, or 0 if there is more to come. */

static size_t
take_answer(lane_t *l, u_char *p, size_t n)
{
    char    *v;
    size_t   head, body;
    u_char  *end;

    end = memmem(p, n, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }

    *end = '\0';
    v = strcasestr((char *) p, "\r\nContent-Length:");

    if (memcmp(p, "HTTP/1.1 20", 11) != 0 || v == NULL) {
        fail("a publish was answered: %s\n%.*s", p,
             (int) (n - (end + 4 - p)), end + 4);
    }

    *end = '\r';
    head = end + 4 - p;
    body = atoi(v + sizeof("\r\nContent-Length:") - 1);

    if (n < head + body) {
        return 0;
    }

    if (l->first == l->last) {
        fail("an answer to nothing");
    }

    if (opt.await) {
        got_done(&ring[l->numbers[l->first % RING] % RING]);
    }

    l->first++;

    return head + body;
}


static void
read_lane(lane_t *l)
{
    size_t    n, used;
    u_char   *p;
    ssize_t   got;

    do {
        p = space + KEEP - l->kept;
        memcpy(p, l->keep, l->kept);

        got = recv(l->fd, space + KEEP, READ_SIZE, MSG_DONTWAIT);

        if (got == -1 && errno == EAGAIN) {
            return;
        }

        if (got <= 0) {
            fail("a publisher was closed: %s", got ? strerror(errno) : "end");
        }

        n = l->kept + got;

        for ( ;; ) {
            used = take_answer(l, p, n);
            if (used == 0) {
                break;
            }

            p += used;
            n -= used;
        }

        if (n > KEEP) {
            fail("an answer of more than %d bytes", KEEP);
        }

        memcpy(l->keep, p, n);
        l->kept = n;

    } while (got == READ_SIZE);
}


/* Publishing. */


static void
hex(char *dst, const u_char *p, size_t n)
{
    size_t             i;
    static const char  digits[] = "0123456789abcdef";

    for (i = 0; i < n; i++) {
        *dst++ = digits[p[i] >> 4];
        *dst++ = digits[p[i] & 0x0f];
    }

    *dst = '\0';
}


/* HMAC-SHA256 and MD5 as the HTTP API wants them; keys are set up once. */

static void
sign(const char *text, size_t len, char *signature)
{
    size_t                 size;
    u_char                 mac[32];
    OSSL_PARAM             params[2];
    static EVP_MAC_CTX    *ctx;

    if (ctx == NULL) {
        ctx = EVP_MAC_CTX_new(EVP_MAC_fetch(NULL, "HMAC", NULL));
        params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                     "SHA256", 0);
        params[1] = OSSL_PARAM_construct_end();

        EVP_MAC_init(ctx, (u_char *) APP_SECRET, sizeof(APP_SECRET) - 1,
                     params);

    } else {
        EVP_MAC_init(ctx, NULL, 0, NULL);
    }

    EVP_MAC_update(ctx, (u_char *) text, len);
    EVP_MAC_final(ctx, mac, &size, sizeof(mac));

    hex(signature, mac, 32);
}


static size_t
write_trigger(char *dst, uint32_t channel, const char *data)
{
    int                   n, len;
    char                  body[512], text[512], md5[33], signature[65];
    u_char                digest[16];
    static EVP_MD        *md;
    static EVP_MD_CTX    *ctx;
    static const char     path[] = "/apps/" APP_ID "/events";

    if (md == NULL) {
        md = EVP_MD_fetch(NULL, "MD5", NULL);
        ctx = EVP_MD_CTX_new();
    }

    len = snprintf(body, sizeof(body),
                   "{\"name\":\"m\",\"channel\":\"c%u\",\"data\":\"%s\"}",
                   channel, data);

    EVP_DigestInit_ex2(ctx, md, NULL);
    EVP_DigestUpdate(ctx, body, len);
    EVP_DigestFinal_ex(ctx, digest, NULL);
    hex(md5, digest, 16);

    n = snprintf(text, sizeof(text), "POST\n%s\nauth_key=" APP_KEY
                 "&auth_timestamp=%ld&auth_version=1.0&body_md5=%s", path,
                 (long) time(NULL), md5);

    sign(text, n, signature);

    return sprintf(dst, "POST %s?%s&auth_signature=%s HTTP/1.1\r\n"
                   "Host: bench\r\nContent-Type: application/json\r\n"
                   "Content-Length: %d\r\n\r\n%s", path,
                   text + 5 + sizeof(path), signature, len, body);
}


static size_t
write_request(char *dst, uint32_t channel, const char *data)
{
    if (opt.store) {
        return sprintf(dst, "POST /messages HTTP/1.1\r\nHost: bench\r\n"
                       "Content-Type: application/json\r\n"
                       "Content-Length: %d\r\n\r\n{\"content\":\"%s\"}",
                       DATA + 14, data);
    }

    if (opt.kind == kind_chat) {
        return write_trigger(dst, channel, data);
    }

    return sprintf(dst, "POST /pub%s%u HTTP/1.1\r\nHost: bench\r\n"
                   "Content-Length: %d\r\n\r\n%s",
                   opt.kind == kind_nchan ? "?id=c" : "/", channel, DATA,
                   data);
}


/*
 * Where answers are awaited, one of those that do not wait for any; where there
 * is a channel for each lane, its own, so that a channel keeps its order.
 */

static lane_t *
choose_lane(uint32_t channel)
{
    lane_t    *l;
    uint32_t  i;

    if (!opt.await) {
        return &lanes[per_channel > 1 ? published % per_channel
                                      : channel % opt.lanes];
    }

    if (opt.channels >= opt.lanes) {
        l = &lanes[channel % opt.lanes];
        return (l->first == l->last) ? l : NULL;
    }

    for (i = 0; i < opt.lanes; i++) {
        if (lanes[i].first == lanes[i].last) {
            return &lanes[i];
        }
    }

    return NULL;
}


/*
 * The channel of the next message: all have ROUNDS turns in a random order,
 * then all again.  A subscriber's messages come as at random then.  At a
 * steady pace, or one that is bound to be within twice the mean, it would
 * depend on the server's speed whether most pauses are longer than TCP's
 * shortest timeout, 200 ms, behind which Linux acknowledges each segment at
 * once, on loopback at the server's cost: a server slower than that would pay
 * a third more for each delivery than one a little faster.
 */

static uint32_t
choose_channel(void)
{
    uint32_t         i, k, n, all;
    static uint32_t  *order;

    if (opt.nobody) {
        return NOBODY;
    }

    if (opt.count || opt.await) {
        return published % opt.channels;
    }

    all = opt.channels * ROUNDS;

    if (order == NULL) {
        order = get(all, sizeof(uint32_t));

        for (i = 0; i < all; i++) {
            order[i] = i % opt.channels;
        }
    }

    if (published % all == 0) {

        for (i = all - 1; i > 0; i--) {
            k = random() % (i + 1);
            n = order[i];
            order[i] = order[k];
            order[k] = n;
        }
    }

    return order[published % all];
}


/*
 * The number of the next message: those of a channel, or of its lanes where
 * there is but one channel, count each by itself.
 */

static uint32_t
choose_number(uint32_t channel, lane_t *l)
{
    if (per_channel > 1) {
        return l->count * per_channel + (l - lanes);
    }

    if (opt.nobody) {
        return published;
    }

    return counts[channel] * opt.channels + channel;
}


/* Returns 0 if there is no place for the message now. */

static int
publish(double due)
{
    char        data[DATA + 1];
    lane_t     *l;
    uint32_t    number, channel;
    message_t  *m;

    channel = choose_channel();

    l = choose_lane(channel);
    if (l == NULL) {
        return 0;
    }

    number = choose_number(channel, l);
    m = &ring[number % RING];

    if (m->left || l->nout + 2048 > OUT_SIZE) {
        return 0;
    }

    m->due = due;
    m->left = opt.await;

    if (!opt.nobody) {
        m->left += opt.subs / opt.channels
                   + (channel < opt.subs % opt.channels);
    }

    snprintf(m->text, sizeof(m->text), "%08u", number);

    if (m->left == 0) {
        fail("a message for nobody");
    }

    memset(data, 'x', DATA);
    memcpy(data, m->text, 8);
    sprintf(data + 8, "%03u", (unsigned) (l - lanes) % 1000);
    data[11] = 'x';
    memcpy(data + DATA - 8, m->text, 8);
    data[DATA] = '\0';

    l->nout += write_request((char *) l->out + l->nout, channel, data);
    l->numbers[l->last++ % RING] = number;
    l->count++;

    if (!opt.nobody) {
        counts[channel]++;
    }

    published++;
    in_flight++;

    return 1;
}


static void
flush_lanes(void)
{
    lane_t    *l;
    ssize_t    n;
    uint32_t   i;

    for (i = 0; i < opt.lanes; i++) {
        l = &lanes[i];

        if (l->nout == 0) {
            continue;
        }

        n = send(l->fd, l->out, l->nout, MSG_NOSIGNAL|MSG_DONTWAIT);

        if (n == -1 && errno != EAGAIN) {
            fail("send(): %s", strerror(errno));
        }

        if (n > 0) {
            l->nout -= n;
            memmove(l->out, l->out + n, l->nout);
        }
    }
}


/* The open loop's clock: one timer for the next message that is due. */

static void
set_timer(double at)
{
    struct itimerspec  its;

    memset(&its, 0, sizeof(its));
    its.it_value.tv_sec = at;
    its.it_value.tv_nsec = (at - (time_t) at) * 1e9;

    timerfd_settime(timer, TFD_TIMER_ABSTIME, &its, NULL);
}


static void
publish_due(void)
{
    double  due;

    if (!opt.rate) {
        while (in_flight < opt.inflight && publish(now())) { /* void */ }
        return;
    }

    for ( ;; ) {
        due = base + published / opt.rate;

        if (opt.count && published >= opt.count) {
            return;
        }

        if (due > now()) {
            set_timer(due);
            return;
        }

        if (!publish(due)) {
            fail("%u messages are not delivered", in_flight);
        }
    }
}


static int
turn(int timeout)
{
    int                 i, n;
    uint64_t            ticks;
    struct epoll_event  events[1024];

    n = epoll_wait(ep, events, 1024, timeout);

    for (i = 0; i < n; i++) {
        switch (*(type_e *) events[i].data.ptr) {

        case type_sub:
            read_sub(events[i].data.ptr);
            break;

        case type_lane:
            read_lane(events[i].data.ptr);
            break;

        case type_stdin:
            (void) !read(STDIN_FILENO, &ticks, sizeof(ticks));
            go = 1;
            break;

        case type_timer:
            (void) !read(timer, &ticks, sizeof(ticks));
            break;
        }
    }

    return n;
}


static void
connect_sub(sub_t *s)
{
    s->fd = open_socket(s - subs, opt.tls ? opt.tls : opt.port);

    watch(s->fd, s);

    if (opt.tls) {
        open_tls(s);

    } else {
        request_upgrade(s);
    }
}


/* Connects all, no more than opt.burst of them at a time in the handshake. */

static void
connect_subs(mark_t *marks)
{
    double    last;
    sub_t    *s;
    uint32_t  n, done, *next;

    subs = get(opt.subs, sizeof(sub_t));
    next = get((size_t) opt.subs * per_channel, sizeof(uint32_t));

    n = 0;
    done = 0;
    last = now();
    marks[0] = mark();

    while (nready < opt.subs) {

        while (n < opt.subs && n - nready < opt.burst) {
            s = &subs[n];
            s->type = type_sub;
            s->channel = n % opt.channels;
            s->next = &next[n * per_channel];
            connect_sub(s);
            n++;
        }

        turn(100);

        if (nready != done) {
            if (done < opt.subs / 10 && nready >= opt.subs / 10) {
                marks[1] = mark();
            }

            if (done < opt.subs * 9 / 10 && nready >= opt.subs * 9 / 10) {
                marks[2] = mark();
            }

            done = nready;
            last = now();
        }

        if (now() - last > STUCK) {
            fail("%u of %u subscribers are ready", nready, opt.subs);
        }
    }

    marks[3] = mark();
}


static void
open_lanes(void)
{
    lane_t    *l;
    uint32_t   i;

    lanes = get(opt.lanes, sizeof(lane_t));
    counts = get(opt.channels, sizeof(uint32_t));

    for (i = 0; i < opt.lanes; i++) {
        l = &lanes[i];
        l->type = type_lane;
        l->numbers = get(RING, sizeof(uint32_t));
        l->out = get(1, OUT_SIZE);
        l->fd = open_socket(0, opt.port);
        watch(l->fd, l);
    }
}


static void
first_numbers(void)
{
    uint32_t  i, k;

    for (i = 0; i < RING; i++) {
        ring[i].number = UINT32_MAX;
    }

    for (i = 0; i < opt.subs; i++) {
        for (k = 0; k < per_channel; k++) {
            subs[i].next[k] = opt.nobody ? UINT32_MAX
                              : per_channel > 1 ? k : subs[i].channel;
        }
    }
}


/* Publishes until the end; what is then in flight must arrive yet. */

static void
run(double until, int publishing)
{
    double    last;
    uint64_t  seen;

    seen = deliveries + complete;
    last = now();

    for ( ;; ) {
        if (publishing) {
            publish_due();
        }

        flush_lanes();
        turn(publishing ? 100 : 10);

        if (deliveries + complete != seen || in_flight == 0) {
            seen = deliveries + complete;
            last = now();
        }

        if (now() - last > STUCK) {
            fail("%u messages were not delivered to all: lost", in_flight);
        }

        if (now() >= until && (publishing || in_flight == 0)) {
            return;
        }
    }
}


static void
print_latencies(void)
{
    if (nlatencies == 0) {
        return;
    }

    printf("p50 %llu\n", (unsigned long long) latency_at(0.5));
    printf("p99 %llu\n", (unsigned long long) latency_at(0.99));
    printf("p999 %llu\n", (unsigned long long) latency_at(0.999));
}


static void
print_rates(mark_t *a, mark_t *b)
{
    double  time, cpu;

    time = b->time - a->time;
    cpu = b->server - a->server;

    printf("seconds %.3f\n", time);
    printf("deliveries %llu\n",
           (unsigned long long) (b->deliveries - a->deliveries));
    printf("rate %.1f\n", (b->deliveries - a->deliveries) / time);
    printf("messages %.1f\n", (b->complete - a->complete) / time);
    printf("server_share %.3f\n", cpu / time);
    printf("load_share %.3f\n", (b->own - a->own) / time);

    if (cpu > 0) {
        printf("per_cpu %.1f\n", (b->deliveries - a->deliveries) / cpu);
        printf("messages_per_cpu %.1f\n", (b->complete - a->complete) / cpu);
    }

    if (b->commits != a->commits) {
        printf("batch %.2f\n", (double) (b->complete - a->complete)
                                / (b->commits - a->commits));
    }

    print_latencies();
}


/* Until it has its turn, among the loads of other servers. */

static void
await_slice(uint32_t i)
{
    printf("ready %u\n", i);
    fflush(stdout);

    while (!go) {
        turn(100);
    }

    go = 0;
}


/* Adds up what slices have seen. */

static void
fan_slices(mark_t *sum)
{
    mark_t    a, b;
    uint32_t  i;

    watch(STDIN_FILENO, &stdin_type);
    run(now(), 0);

    for (i = 0; i < opt.slices; i++) {
        await_slice(i);

        /* an open loop goes on where it was, from now on; half a message
           later, so that the slice does not begin and end with one */

        if (opt.rate) {
            base = now() + (0.5 - published) / opt.rate;
        }

        counted_from = now() + SLICE_WARM;

        run(counted_from, 1);
        a = mark();
        run(a.time + opt.seconds, 1);
        b = mark();
        run(now(), 0);

        sum->time += b.time - a.time;
        sum->server += b.server - a.server;
        sum->own += b.own - a.own;
        sum->deliveries += b.deliveries - a.deliveries;
        sum->complete += b.complete - a.complete;
        sum->commits += b.commits - a.commits;
    }
}


static void
fan(void)
{
    mark_t  marks[4], a, b;

    connect_subs(marks);
    first_numbers();
    open_lanes();

    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    watch(timer, &timer_type);

    base = now() + 0.01;

    run(now() + opt.warm, 1);

    counting = opt.rate > 0;

    if (opt.slices) {
        memset(&a, 0, sizeof(mark_t));
        b = a;
        fan_slices(&b);

    } else {
        a = mark();
        run(a.time + opt.seconds, 1);
        b = mark();
    }

    /* what is doubled comes late */

    run(now() + 0.05, 0);

    print_rates(&a, &b);
}


/*
 * As many messages as opt.count, for the subscribers of this process and of
 * others; those of a process without lanes just listen.
 */

static void
feed(void)
{
    double    last, end;
    mark_t    marks[4];
    uint32_t  i;
    uint64_t  all, seen;

    connect_subs(marks);
    first_numbers();
    open_lanes();

    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    watch(timer, &timer_type);
    watch(STDIN_FILENO, &stdin_type);

    all = 0;

    for (i = 0; i < opt.subs; i++) {
        all += (opt.count - subs[i].channel + opt.channels - 1)
               / opt.channels;
    }

    printf("ready 1\n");
    fflush(stdout);

    while (!go) {
        turn(100);
    }

    base = now() + 0.01;
    last = base;
    counting = opt.lanes != 0;
    end = base + (opt.rate ? opt.count / opt.rate : 0);
    seen = 0;

    while (deliveries < all || now() < end) {
        if (opt.lanes) {
            publish_due();
            flush_lanes();
        }

        turn(100);

        if (deliveries != seen) {
            seen = deliveries;
            last = now();
        }

        if (now() - last > 3 * STUCK) {
            fail("%llu of %llu deliveries: lost", (unsigned long long) seen,
                 (unsigned long long) all);
        }
    }

    run(now() + 0.05, 0);

    printf("deliveries %llu\n", (unsigned long long) deliveries);
    printf("pings %llu\n", (unsigned long long) pings);

    print_latencies();
}


/* A command's text; returns its size. */

static size_t
write_command(char *dst, int subscribing, const char *name, uint32_t n)
{
    return sprintf(dst, "{\"event\":\"pusher:%s\",\"data\":"
                   "{\"channel\":\"%s%u\"}}",
                   subscribing ? "subscribe" : "unsubscribe", name, n);
}


/*
 * The next commands of one connection.  Nothing answers those that
 * unsubscribe, so a pusher:ping follows them.
 */

static void
send_commands(sub_t *s, commands_t *c, uint32_t first)
{
    char               text[126];
    u_char             out[(COMMANDS + 1) * FRAME];
    size_t             len, size;
    uint32_t           i, n;
    static const char  ping[] = "{\"event\":\"pusher:ping\",\"data\":{}}";

    size = 0;

    for (i = 0; i < c->batch && s->done < c->each; i++) {
        n = first + s->done++;

        if (c->held == 0) {
            len = write_command(text, c->subscribe, "held", n);

        } else if (n % 2) {

            /* one that is there; no connection meets one twice */

            n = (uint64_t) (n / 2) * 7919 % c->held;
            len = write_command(text, c->subscribe, "held", n);

        } else {
            len = write_command(text, c->subscribe, "new", n);
        }

        size += make_frame(out + size, 1, text, len);
    }

    s->wait = i;

    if (!c->subscribe) {
        size += make_frame(out + size, 1, ping, sizeof(ping) - 1);
        s->wait = 1;
    }

    put(s, out, size);
}


static void
command(sub_t *from, uint32_t n, commands_t *c)
{
    double    last;
    sub_t    *s;
    uint32_t  left;

    for (s = from; s < from + n; s++) {
        s->done = 0;
    }

    last = now();

    do {
        left = 0;

        for (s = from; s < from + n; s++) {
            if (s->wait == 0 && s->done < c->each) {
                send_commands(s, c, c->base + (s - from) * c->each);
            }

            left += s->wait != 0;
        }

        if (left && turn(100) > 0) {
            last = now();
        }

        if (now() - last > STUCK) {
            fail("%u connections wait for answers to commands", left);
        }

    } while (left);
}


/*
 * So many channels are held; what do some connections pay that come and go,
 * half of them to channels that are there, half to new ones?  A connection
 * has opt.inflight commands on their way.
 */

static void
come_and_go(sub_t *from, uint32_t held, mark_t *marks)
{
    commands_t  cmd;

    memset(&cmd, 0, sizeof(cmd));

    cmd.each = VISITS;
    cmd.batch = opt.inflight < COMMANDS ? opt.inflight : COMMANDS;
    cmd.held = held;

    marks[0] = mark();
    cmd.subscribe = 1;
    command(from, VISITORS, &cmd);

    marks[1] = mark();
    cmd.subscribe = 0;
    command(from, VISITORS, &cmd);

    marks[2] = mark();
}


static void
channels(void)
{
    double      cpu[2], time[2], all;
    mark_t      m[4];
    uint32_t    i, k;
    commands_t  cmd;

    opt.subs = HOLDERS + VISITORS;
    connect_subs(m);
    commanding = 1;

    memset(&cmd, 0, sizeof(cmd));
    cmd.subscribe = 1;
    cmd.batch = COMMANDS;
    cmd.each = opt.count / HOLDERS;
    command(subs, HOLDERS, &cmd);

    /* memory for as many has been there */

    come_and_go(subs + HOLDERS, opt.count, m);

    memset(cpu, 0, sizeof(cpu));
    memset(time, 0, sizeof(time));
    watch(STDIN_FILENO, &stdin_type);

    for (i = 0; i < opt.slices; i++) {
        await_slice(i);
        come_and_go(subs + HOLDERS, opt.count, m);

        for (k = 0; k < 2; k++) {
            cpu[k] += m[k + 1].server - m[k].server;
            time[k] += m[k + 1].time - m[k].time;
        }
    }

    all = (double) VISITORS * VISITS * opt.slices;

    printf("seconds %.3f\n", time[0] + time[1]);
    printf("subscribes %.1f\n", all / time[0]);
    printf("unsubscribes %.1f\n", all / time[1]);
    printf("subscribe_cpu %.3f\n", cpu[0] / all * 1e6);
    printf("unsubscribe_cpu %.3f\n", cpu[1] / all * 1e6);
}


/*
 * All are sent away, and come back as fast as they can, no more than opt.burst
 * of them in the handshake.  Who has a token is there when he has been told of
 * recovery; what he was told must come.
 */

static void
come_back(void)
{
    double    last, told;
    mark_t    m[4];
    uint32_t  ready;
    uint64_t  seen;

    away = get(opt.subs, sizeof(uint32_t));
    returning = 1;

    connect_subs(m);

    while (opt.token && answered < opt.subs) {
        turn(100);
    }

    recovered = 0;
    missed = 0;
    told = 0;
    last = now();
    seen = 0;

    printf("ready 1\n");
    fflush(stdout);

    while (last_away < opt.subs || nready < opt.subs || deliveries < missed) {
        ready = nready;

        while (first_away < last_away
               && opt.subs - nready - (last_away - first_away) < opt.burst)
        {
            connect_sub(&subs[away[first_away++]]);
        }

        turn(100);

        if (nready > ready) {
            told = now();
        }

        if (sent_away == 0 || last_away + nready + deliveries != seen) {
            seen = last_away + nready + deliveries;
            last = now();
        }

        if (now() - last > STUCK) {
            fail("%u were sent away, %u are there, %llu of %llu events came",
                 last_away, nready, (unsigned long long) deliveries,
                 (unsigned long long) missed);
        }
    }

    printf("seconds %.3f\n", told - sent_away);
    printf("recovered %u\n", recovered);
    printf("again %llu\n", (unsigned long long) deliveries);
}


static void
idle(void)
{
    double  before, after, part;
    mark_t  m[4];

    open_lanes();
    turn(100);
    before = memory();

    connect_subs(m);
    run(now() + opt.seconds, 0);
    after = memory();

    part = opt.subs / 10;

    printf("handshakes %.1f\n", opt.subs / (m[3].time - m[0].time));
    printf("handshake_cpu %.3f\n",
           (m[3].server - m[0].server) / opt.subs * 1e6);
    printf("first_cpu %.3f\n", (m[1].server - m[0].server) / part * 1e6);
    printf("last_cpu %.3f\n", (m[3].server - m[2].server) / part * 1e6);
    printf("load_share %.3f\n",
           (m[3].own - m[0].own) / (m[3].time - m[0].time));
    printf("bytes %.1f\n", (after - before) / opt.subs);
}


/* The best of some, so that being interrupted in one does not count. */

static void
spin(void)
{
    int                k;
    double             start, time, best;
    uint64_t           i;
    volatile uint64_t  x;

    x = 1;
    best = 0;

    for (k = 0; k < 5; k++) {
        start = now();

        for (i = 0; i < 5 * 1000 * 1000; i++) {
            x = x * 6364136223846793005ull + 1442695040888963407ull;
        }

        time = now() - start;

        if (best == 0 || time < best) {
            best = time;
        }
    }

    printf("spin %.6f\n", best);
}


static void
set_option(const char *name, char *value)
{
    char  *p;

    if (strcmp(name, "mode") == 0) {
        snprintf(opt.mode, sizeof(opt.mode), "%s", value);

    } else if (strcmp(name, "kind") == 0) {
        opt.kind = strcmp(value, "chat") == 0 ? kind_chat
                   : strcmp(value, "nchan") == 0 ? kind_nchan : kind_floor;

    } else if (strcmp(name, "pids") == 0) {
        for (p = strtok(value, ","); p && opt.npids < 64;
             p = strtok(NULL, ","))
        {
            opt.pids[opt.npids++] = atoi(p);
        }

    } else if (strcmp(name, "port") == 0) {
        opt.port = atoi(value);
    } else if (strcmp(name, "tls") == 0) {
        opt.tls = atoi(value);
    } else if (strcmp(name, "subs") == 0) {
        opt.subs = atoi(value);
    } else if (strcmp(name, "channels") == 0) {
        opt.channels = atoi(value);
    } else if (strcmp(name, "lanes") == 0) {
        opt.lanes = atoi(value);
    } else if (strcmp(name, "inflight") == 0) {
        opt.inflight = atoi(value);
    } else if (strcmp(name, "burst") == 0) {
        opt.burst = atoi(value);
    } else if (strcmp(name, "count") == 0) {
        opt.count = atoi(value);
    } else if (strcmp(name, "addr") == 0) {
        opt.addr = atoi(value);
    } else if (strcmp(name, "nobody") == 0) {
        opt.nobody = atoi(value);
    } else if (strcmp(name, "token") == 0) {
        opt.token = atoi(value);
    } else if (strcmp(name, "each") == 0) {
        opt.each = atoi(value);
    } else if (strcmp(name, "await") == 0) {
        opt.await = atoi(value);
    } else if (strcmp(name, "store") == 0) {
        opt.store = atoi(value);
    } else if (strcmp(name, "shm") == 0) {
        snprintf(opt.shm, sizeof(opt.shm), "%s", value);
    } else if (strcmp(name, "get") == 0) {
        snprintf(opt.get, sizeof(opt.get), "%s", value);
    } else if (strcmp(name, "fallback") == 0) {
        snprintf(opt.fallback, sizeof(opt.fallback), "%s", value);
    } else if (strcmp(name, "rate") == 0) {
        opt.rate = atof(value);
    } else if (strcmp(name, "warm") == 0) {
        opt.warm = atof(value);
    } else if (strcmp(name, "slices") == 0) {
        opt.slices = atoi(value);
    } else if (strcmp(name, "seconds") == 0) {
        opt.seconds = atof(value);
    } else {
        fail("unknown option %s", name);
    }
}


static void
set_options(int argc, char **argv)
{
    int    i;
    char  *value;

    strcpy(opt.mode, "fan");
    opt.channels = 1;
    opt.each = 1;
    opt.lanes = 1;
    opt.inflight = 1;
    opt.burst = 64;
    opt.warm = 0.3;
    opt.seconds = 1.5;

    for (i = 1; i < argc; i++) {
        value = strchr(argv[i], '=');
        if (value == NULL) {
            fail("what is \"%s\"?", argv[i]);
        }

        *value++ = '\0';
        set_option(argv[i], value);
    }

    if (!opt.channels || !opt.inflight || opt.inflight > RING / 2
        || (!opt.lanes && !opt.count) || opt.lanes > 1000
        || (opt.await && opt.channels > 1 && opt.channels < opt.lanes
            && !opt.nobody))
    {
        fail("bad numbers");
    }
}


int
main(int argc, char **argv)
{
    struct rlimit  limit;

    set_options(argc, argv);

    if (strcmp(opt.mode, "spin") == 0) {
        spin();
        return 0;
    }

    if (strcmp(opt.mode, "memory") == 0) {
        printf("memory %.0f\n", memory());
        return 0;
    }

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);

    per_channel = opt.channels == 1 && opt.lanes ? opt.lanes : 1;
    stride = opt.channels == 1 ? per_channel : opt.channels;

    ep = epoll_create1(0);

    if (strcmp(opt.mode, "fan") == 0 && opt.count) {
        feed();

    } else if (strcmp(opt.mode, "fan") == 0) {
        fan();

    } else if (strcmp(opt.mode, "channels") == 0) {
        channels();

    } else if (strcmp(opt.mode, "return") == 0) {
        come_back();

    } else if (strcmp(opt.mode, "idle") == 0) {
        idle();

    } else {
        fail("no mode \"%s\"", opt.mode);
    }

    return 0;
}
