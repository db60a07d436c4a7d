
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The floors: as little as a server can do to send a message to all who
 * listen to a channel.  No parser worth the name, no limits, no timers; what
 * it is sent is what load.c sends.
 *
 *     floor send|writev|tls PORT [WORKERS [TLS_PORT CERTIFICATE KEY]]
 *
 *     send      a send() per delivery, at once
 *     writev    all that a turn of the loop has for a socket in one writev()
 *     tls       an SSL_write() per delivery, at once, for who came by TLS_PORT
 *
 * GET with Sec-WebSocket-Key makes a WebSocket; its one message is the number
 * of a channel, which is answered by "ok".  POST /pub/N sends the body to
 * channel N, and is answered by an empty 200.
 */


#define _GNU_SOURCE

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <signal.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>


#define MAX_FDS       20000
#define MAX_CHANNELS  65536
#define MAX_WORKERS   16
#define MAX_BODY      4096
#define MAX_PENDING   1024            /* frames of a channel in a turn */
#define READ_SIZE     65536


typedef struct {
    uint32_t   channel;
    uint32_t   len;
    u_char     data[MAX_BODY];
} record_t;


typedef struct {
    size_t     len;
    u_char     data[4 + MAX_BODY];
} frame_t;


typedef struct {
    size_t     len;
    u_char     data[];
} rest_t;


typedef struct {
    SSL       *ssl;                   /* or NULL */
    rest_t    *in;                    /* of an unfinished request */
    rest_t    *out;                   /* what the socket did not take */
    uint32_t   channel;
    unsigned   websocket:1;
    unsigned   subscribed:1;
} conn_t;


typedef struct {
    int       *fds;
    uint32_t   n;
    uint32_t   size;
    frame_t  **pending;
    uint32_t   npending;
} channel_t;


static int        ep;
static int        gather;
static int        nworkers = 1;
static int        worker;
static pid_t      children[MAX_WORKERS];
static int        links[MAX_WORKERS][2];
static int        tls_lfd = -1;
static SSL_CTX   *tls;
static conn_t    *conns;
static channel_t *channels;
static uint32_t   dirty[MAX_CHANNELS];
static uint32_t   ndirty;
static u_char     input[READ_SIZE * 2];
static u_char     answers[READ_SIZE];
static size_t     nanswers;


static void
die(const char *what)
{
    fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
    exit(1);
}


static void
watch(int fd, uint32_t what, int op)
{
    struct epoll_event  ev;

    ev.events = what;
    ev.data.fd = fd;

    if (epoll_ctl(ep, op, fd, &ev) == -1) {
        die("epoll_ctl()");
    }
}


static rest_t *
keep(rest_t *rest, const u_char *p, size_t len)
{
    size_t   old;
    rest_t  *r;

    old = rest ? rest->len : 0;

    r = realloc(rest, sizeof(rest_t) + old + len);
    if (r == NULL) {
        die("realloc()");
    }

    memcpy(r->data + old, p, len);
    r->len = old + len;

    return r;
}


static void
forget(int fd)
{
    uint32_t    i;
    conn_t     *c;
    channel_t  *ch;

    c = &conns[fd];

    if (c->subscribed) {
        ch = &channels[c->channel];

        for (i = 0; i < ch->n; i++) {
            if (ch->fds[i] == fd) {
                ch->fds[i] = ch->fds[--ch->n];
                break;
            }
        }
    }

    SSL_free(c->ssl);
    free(c->in);
    free(c->out);
    memset(c, 0, sizeof(conn_t));
    close(fd);
}


/* As send() and recv(); these two also go on with the handshake. */

static ssize_t
tls_failed(SSL *ssl, int n)
{
    n = SSL_get_error(ssl, n);
    errno = (n == SSL_ERROR_WANT_READ || n == SSL_ERROR_WANT_WRITE) ? EAGAIN
                                                                    : EIO;
    ERR_clear_error();

    return -1;
}


static ssize_t
send_bytes(int fd, const void *p, size_t len)
{
    int   n;
    SSL  *ssl;

    ssl = conns[fd].ssl;

    if (ssl == NULL) {
        return send(fd, p, len, MSG_NOSIGNAL);
    }

    n = SSL_write(ssl, p, len);

    return n > 0 ? n : tls_failed(ssl, n);
}


static ssize_t
recv_bytes(int fd, u_char *p, size_t size)
{
    int      n;
    SSL     *ssl;
    size_t   got;

    ssl = conns[fd].ssl;

    if (ssl == NULL) {
        return recv(fd, p, size, 0);
    }

    for (got = 0; got < size; got += n) {
        n = SSL_read(ssl, p + got, size - got);

        if (n <= 0) {
            return got ? (ssize_t) got : tls_failed(ssl, n);
        }
    }

    return got;
}


/* What is left over waits for the socket; a broken one is found by reading. */

static void
leave(int fd, struct iovec *iov, int n, size_t sent)
{
    int      i;
    size_t   len;
    conn_t  *c;

    c = &conns[fd];

    if (c->out == NULL) {
        watch(fd, EPOLLIN|EPOLLOUT|EPOLLET, EPOLL_CTL_MOD);
    }

    for (i = 0; i < n; i++) {
        len = iov[i].iov_len;

        if (sent >= len) {
            sent -= len;
            continue;
        }

        c->out = keep(c->out, (u_char *) iov[i].iov_base + sent, len - sent);
        sent = 0;
    }
}


static void
put(int fd, struct iovec *iov, int n, size_t len)
{
    ssize_t  sent;

    if (conns[fd].out) {
        leave(fd, iov, n, 0);
        return;
    }

    if (n == 1) {
        sent = send_bytes(fd, iov->iov_base, iov->iov_len);

    } else {
        sent = writev(fd, iov, n);
    }

    if (sent == (ssize_t) len) {
        return;
    }

    if (sent == -1) {
        if (errno != EAGAIN) {
            return;
        }

        sent = 0;
    }

    leave(fd, iov, n, sent);
}


static void
put_bytes(int fd, const void *p, size_t len)
{
    struct iovec  iov;

    iov.iov_base = (void *) p;
    iov.iov_len = len;

    put(fd, &iov, 1, len);
}


static void
flush_rest(int fd)
{
    ssize_t  n;
    conn_t  *c;

    c = &conns[fd];

    n = send_bytes(fd, c->out->data, c->out->len);
    if (n <= 0) {
        return;
    }

    c->out->len -= n;
    memmove(c->out->data, c->out->data + n, c->out->len);

    if (c->out->len == 0) {
        free(c->out);
        c->out = NULL;
        watch(fd, EPOLLIN|EPOLLET, EPOLL_CTL_MOD);
    }
}


static size_t
make_frame(u_char *dst, const u_char *data, size_t len)
{
    dst[0] = 0x81;

    if (len < 126) {
        dst[1] = len;
        memcpy(dst + 2, data, len);
        return len + 2;
    }

    dst[1] = 126;
    dst[2] = len >> 8;
    dst[3] = len & 0xff;
    memcpy(dst + 4, data, len);

    return len + 4;
}


static void
flush_channel(channel_t *ch)
{
    size_t        len;
    uint32_t      i;
    struct iovec  iov[MAX_PENDING];

    len = 0;

    for (i = 0; i < ch->npending; i++) {
        iov[i].iov_base = ch->pending[i]->data;
        iov[i].iov_len = ch->pending[i]->len;
        len += ch->pending[i]->len;
    }

    for (i = 0; i < ch->n; i++) {
        put(ch->fds[i], iov, ch->npending, len);
    }

    for (i = 0; i < ch->npending; i++) {
        free(ch->pending[i]);
    }

    ch->npending = 0;
}


static void
deliver(uint32_t channel, const u_char *data, size_t len)
{
    uint32_t         i;
    frame_t         *f;
    channel_t       *ch;
    static frame_t   now;

    ch = &channels[channel];

    if (!gather) {
        now.len = make_frame(now.data, data, len);

        for (i = 0; i < ch->n; i++) {
            put_bytes(ch->fds[i], now.data, now.len);
        }

        return;
    }

    f = malloc(sizeof(size_t) + 4 + len);

    if (ch->pending == NULL) {
        ch->pending = malloc(MAX_PENDING * sizeof(frame_t *));
    }

    if (f == NULL || ch->pending == NULL) {
        die("malloc()");
    }

    f->len = make_frame(f->data, data, len);

    if (ch->npending == 0) {
        dirty[ndirty++] = channel;
    }

    ch->pending[ch->npending++] = f;

    if (ch->npending == MAX_PENDING) {
        flush_channel(ch);
    }
}


static void
publish(uint32_t channel, const u_char *data, size_t len)
{
    int       i;
    record_t  r;

    deliver(channel, data, len);

    if (nworkers == 1) {
        return;
    }

    r.channel = channel;
    r.len = len;
    memcpy(r.data, data, len);

    for (i = 0; i < nworkers; i++) {
        if (i != worker
            && send(links[i][1], &r, offsetof(record_t, data) + len, 0) == -1)
        {
            die("send() to a worker");
        }
    }
}


static void
read_link(void)
{
    ssize_t   n;
    record_t  r;

    for ( ;; ) {
        n = recv(links[worker][0], &r, sizeof(r), MSG_DONTWAIT);
        if (n <= 0) {
            return;
        }

        deliver(r.channel, r.data, r.len);
    }
}


static void
upgrade(int fd, const u_char *key, size_t len)
{
    int            n;
    u_char         text[128], digest[20], base64[32], answer[256];
    unsigned int   size;
    static char    guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

    if (len > 64) {
        return;
    }

    memcpy(text, key, len);
    memcpy(text + len, guid, sizeof(guid) - 1);

    EVP_Digest(text, len + sizeof(guid) - 1, digest, &size, EVP_sha1(), NULL);
    EVP_EncodeBlock(base64, digest, 20);

    n = snprintf((char *) answer, sizeof(answer),
                 "HTTP/1.1 101 Switching Protocols\r\n"
                 "Upgrade: websocket\r\n"
                 "Connection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: %s\r\n\r\n", base64);

    conns[fd].websocket = 1;

    put_bytes(fd, answer, n);
}


static void
subscribe(int fd, uint32_t channel)
{
    conn_t     *c;
    channel_t  *ch;

    c = &conns[fd];

    if (channel >= MAX_CHANNELS || c->subscribed) {
        return;
    }

    ch = &channels[channel];

    if (ch->n == ch->size) {
        ch->size = ch->size ? ch->size * 2 : 8;
        ch->fds = realloc(ch->fds, ch->size * sizeof(int));
        if (ch->fds == NULL) {
            die("realloc()");
        }
    }

    ch->fds[ch->n++] = fd;
    c->channel = channel;
    c->subscribed = 1;

    put_bytes(fd, "\x81\x02ok", 4);
}


/* How much of the bytes is a whole frame. */

static size_t
take_frame(int fd, u_char *p, size_t len)
{
    size_t  i, size;
    char    text[126];

    if (len < 6) {
        return 0;
    }

    size = p[1] & 0x7f;

    if (size > 125 || len < 6 + size) {
        return 0;
    }

    if ((p[0] & 0x0f) == 1) {
        for (i = 0; i < size; i++) {
            text[i] = p[6 + i] ^ p[2 + i % 4];
        }

        text[size] = '\0';
        subscribe(fd, atoi(text));
    }

    return 6 + size;
}


/* The same for a request. */

static size_t
take_request(int fd, u_char *p, size_t len)
{
    char    *v;
    size_t   head, body;
    u_char  *end;

    static char  ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    end = memmem(p, len, "\r\n\r\n", 4);
    if (end == NULL) {
        return 0;
    }

    head = end + 4 - p;
    *end = '\0';

    if (p[0] == 'G') {
        v = strcasestr((char *) p, "\r\nSec-WebSocket-Key: ");

        if (v) {
            v += sizeof("\r\nSec-WebSocket-Key: ") - 1;
            upgrade(fd, (u_char *) v, strcspn(v, "\r"));
        }

        return head;
    }

    v = strcasestr((char *) p, "\r\nContent-Length: ");
    body = v ? (size_t) atoi(v + sizeof("\r\nContent-Length: ") - 1) : 0;

    if (len < head + body) {
        *end = '\r';
        return 0;
    }

    if (body <= MAX_BODY && strncmp((char *) p, "POST /pub/", 10) == 0) {
        publish(atoi((char *) p + 10) % MAX_CHANNELS, p + head, body);
    }

    if (nanswers + sizeof(ok) > sizeof(answers)) {
        put_bytes(fd, answers, nanswers);
        nanswers = 0;
    }

    memcpy(answers + nanswers, ok, sizeof(ok) - 1);
    nanswers += sizeof(ok) - 1;

    return head + body;
}


/* Returns 0 once the socket has no more. */

static int
read_some(int fd)
{
    size_t    kept, n, used;
    conn_t   *c;
    u_char   *p, *end;
    ssize_t   got;

    c = &conns[fd];
    kept = 0;

    if (c->in) {
        kept = c->in->len;
        memcpy(input, c->in->data, kept);
        free(c->in);
        c->in = NULL;
    }

    got = recv_bytes(fd, input + kept, READ_SIZE);

    if (got == 0 || (got == -1 && errno != EAGAIN)) {
        forget(fd);
        return 0;
    }

    n = kept + (got > 0 ? got : 0);
    p = input;
    end = input + n;
    nanswers = 0;

    while (p < end) {
        used = c->websocket ? take_frame(fd, p, end - p)
                            : take_request(fd, p, end - p);
        if (used == 0) {
            break;
        }

        p += used;
    }

    if (nanswers) {
        put_bytes(fd, answers, nanswers);
        nanswers = 0;
    }

    if (p < end) {
        if (end - p > READ_SIZE) {
            forget(fd);
            return 0;
        }

        c->in = keep(NULL, p, end - p);
    }

    return got == READ_SIZE;
}


static void
accept_all(int lfd)
{
    int  fd, on;

    on = 1;

    for ( ;; ) {
        fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK);
        if (fd == -1) {
            return;
        }

        if (fd >= MAX_FDS) {
            close(fd);
            continue;
        }

        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

        if (lfd == tls_lfd) {
            conns[fd].ssl = SSL_new(tls);
            SSL_set_fd(conns[fd].ssl, fd);
            SSL_set_accept_state(conns[fd].ssl);
        }

        watch(fd, EPOLLIN|EPOLLET, EPOLL_CTL_ADD);
    }
}


static int
listen_on(int port)
{
    int                 fd, on;
    struct sockaddr_in  sin;

    fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK, 0);
    on = 1;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    if (fd == -1
        || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1
        || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) == -1
        || bind(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1
        || listen(fd, 511) == -1)
    {
        die("listen()");
    }

    return fd;
}


/* As nginx sets it up; and what could not be written may move and grow. */

static void
init_tls(const char *cert, const char *key)
{
    tls = SSL_CTX_new(TLS_server_method());

    if (tls == NULL
        || SSL_CTX_use_certificate_file(tls, cert, SSL_FILETYPE_PEM) != 1
        || SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
    {
        fprintf(stderr, "floor: no TLS by %s, %s\n", cert, key);
        exit(1);
    }

    SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS
                          |SSL_MODE_ENABLE_PARTIAL_WRITE
                          |SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(tls, 1);
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
}


static void
serve(int lfd)
{
    int                 fd, i, n;
    uint32_t            what;
    struct epoll_event  events[512];

    ep = epoll_create1(0);
    watch(lfd, EPOLLIN, EPOLL_CTL_ADD);

    if (tls_lfd != -1) {
        watch(tls_lfd, EPOLLIN, EPOLL_CTL_ADD);
    }

    if (nworkers > 1) {
        watch(links[worker][0], EPOLLIN, EPOLL_CTL_ADD);
    }

    for ( ;; ) {
        n = epoll_wait(ep, events, 512, -1);

        for (i = 0; i < n; i++) {
            fd = events[i].data.fd;
            what = events[i].events;

            if (fd == lfd || fd == tls_lfd) {
                accept_all(fd);
                continue;
            }

            if (nworkers > 1 && fd == links[worker][0]) {
                read_link();
                continue;
            }

            if ((what & EPOLLOUT) && conns[fd].out) {
                flush_rest(fd);
            }

            if (what & (EPOLLIN|EPOLLHUP|EPOLLERR)) {
                while (read_some(fd)) { /* void */ }
            }
        }

        while (ndirty) {
            flush_channel(&channels[dirty[--ndirty]]);
        }
    }
}


/* Waits for its children, so that their CPU time is on somebody's account. */

static void
stop(int signo)
{
    int  i;

    (void) signo;

    for (i = 1; worker == 0 && i < nworkers; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }

    _exit(0);
}


int
main(int argc, char **argv)
{
    int            i, lfd[MAX_WORKERS];
    struct rlimit  limit;

    if (argc < 3) {
        fprintf(stderr, "usage: floor send|writev|tls PORT [WORKERS "
                        "[TLS_PORT CERTIFICATE KEY]]\n");
        return 2;
    }

    gather = strcmp(argv[1], "writev") == 0;
    nworkers = argc > 3 ? atoi(argv[3]) : 1;

    if (nworkers < 1 || nworkers > MAX_WORKERS) {
        return 2;
    }

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    signal(SIGPIPE, SIG_IGN);

    if (argc > 6) {
        init_tls(argv[5], argv[6]);
        tls_lfd = listen_on(atoi(argv[4]));
    }

    for (i = 0; i < nworkers; i++) {
        lfd[i] = listen_on(atoi(argv[2]));

        if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, links[i]) == -1) {
            die("socketpair()");
        }
    }

    conns = calloc(MAX_FDS, sizeof(conn_t));
    channels = calloc(MAX_CHANNELS, sizeof(channel_t));

    if (conns == NULL || channels == NULL) {
        die("calloc()");
    }

    for (i = 1; i < nworkers; i++) {
        children[i] = fork();

        if (children[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            worker = i;
            break;
        }
    }

    signal(SIGTERM, stop);

    /* a listening socket that nobody accepts from would get its share */

    for (i = 0; i < nworkers; i++) {
        if (i != worker) {
            close(lfd[i]);
        }
    }

    serve(lfd[worker]);

    return 0;
}
