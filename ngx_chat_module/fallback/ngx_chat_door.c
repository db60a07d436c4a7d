
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Doors: listening, and connecting.  A connect() to a Unix socket never waits:
 * it succeeds at once, or fails.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <fallback/ngx_chat_door.h>
#include <wire/ngx_chat_hash.h>


#define NGX_CHAT_DOOR_BACKLOG  1024
#define NGX_CHAT_DOOR_ACCEPTS  64          /* most in one turn */
#define NGX_CHAT_DOOR_PAUSE    500         /* ms, where there are too many
                                              descriptors */


static int ngx_chat_door_listen(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_log_t *log);
static void ngx_chat_door_accept_handler(ngx_event_t *ev);
static socklen_t ngx_chat_door_address(struct sockaddr_un *sa,
    ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot, ngx_pid_t pid);
static ngx_connection_t *ngx_chat_door_connection(int fd, ngx_log_t *log);
static ngx_int_t ngx_chat_door_check_peer(int fd, ngx_pid_t pid,
    ngx_log_t *log);


/* this worker's */
static ngx_connection_t  *ngx_chat_door;


ngx_int_t
ngx_chat_door_open(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_door_handlers_t *handlers)
{
    int                fd;
    ngx_log_t         *log;
    ngx_connection_t  *c;

    if (ngx_chat_door) {
        return NGX_OK;
    }

    log = ngx_cycle->log;
    fd = ngx_chat_door_listen(zone, slot, log);

    if (fd == -1) {
        return NGX_ERROR;
    }

    c = ngx_chat_door_connection(fd, log);

    if (c == NULL) {
        return NGX_ERROR;
    }

    c->data = handlers;
    c->read->handler = ngx_chat_door_accept_handler;

    /* a timer of it keeps no worker that leaves */

    c->read->cancelable = 1;

    if (ngx_add_event(c->read, NGX_READ_EVENT,
                      (ngx_event_flags & NGX_USE_CLEAR_EVENT)
                      ? NGX_CLEAR_EVENT : NGX_LEVEL_EVENT)
        != NGX_OK)
    {
        ngx_close_connection(c);
        return NGX_ERROR;
    }

    ngx_chat_door = c;

    return NGX_OK;
}


void
ngx_chat_door_exit(void)
{
    if (ngx_chat_door) {
        ngx_close_connection(ngx_chat_door);
        ngx_chat_door = NULL;
    }
}


ngx_connection_t *
ngx_chat_door_connect(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_log_t *log)
{
    int                  fd;
    ngx_pid_t            pid;
    socklen_t            len;
    ngx_connection_t    *c;
    struct sockaddr_un   sa;

    pid = slot->pid;
    len = ngx_chat_door_address(&sa, zone, slot, pid);

    fd = socket(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (fd == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_socket_errno,
                      ngx_socket_n " of a chat door failed");
        return NULL;
    }

    if (connect(fd, (struct sockaddr *) &sa, len) == -1) {
        ngx_log_error(NGX_LOG_ERR, log, ngx_socket_errno,
                      "connect() to the chat door of worker %P failed", pid);
        (void) close(fd);
        return NULL;
    }

    if (ngx_chat_door_check_peer(fd, pid, log) != NGX_OK) {
        (void) close(fd);
        return NULL;
    }

    c = ngx_chat_door_connection(fd, log);

    if (c != NULL) {
        c->write->ready = 1;
    }

    return c;
}


/* Returns the descriptor, or -1 (logged). */

static int
ngx_chat_door_listen(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_log_t *log)
{
    int                 fd;
    socklen_t           len;
    struct sockaddr_un  sa;

    len = ngx_chat_door_address(&sa, zone, slot, ngx_pid);

    fd = socket(AF_UNIX, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (fd == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_socket_errno,
                      ngx_socket_n " of a chat door failed");
        return -1;
    }

    if (bind(fd, (struct sockaddr *) &sa, len) == -1
        || listen(fd, NGX_CHAT_DOOR_BACKLOG) == -1)
    {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_socket_errno,
                      "bind() or listen() of a chat door failed");
        (void) close(fd);
        return -1;
    }

    return fd;
}


static void
ngx_chat_door_accept_handler(ngx_event_t *ev)
{
    int                        fd;
    ngx_uint_t                 i;
    ngx_connection_t          *c, *visitor;
    ngx_chat_door_handlers_t  *handlers;

    c = ev->data;
    handlers = c->data;

    if (c->close) {
        handlers->shut();
        return;
    }

    ev->timedout = 0;

    for (i = 0; i < NGX_CHAT_DOOR_ACCEPTS; i++) {

        fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK|SOCK_CLOEXEC);

        if (fd == -1) {

            if (ngx_socket_errno == NGX_EMFILE
                || ngx_socket_errno == NGX_ENFILE)
            {
                ngx_log_error(NGX_LOG_CRIT, ev->log, ngx_socket_errno,
                              "accept4() at the chat door failed");
                ngx_add_timer(ev, NGX_CHAT_DOOR_PAUSE);
                return;
            }

            if (ngx_socket_errno == NGX_EAGAIN) {
                return;
            }

            continue;
        }

        if (ngx_chat_door_check_peer(fd, 0, ev->log) != NGX_OK) {
            (void) close(fd);
            continue;
        }

        visitor = ngx_chat_door_connection(fd, ev->log);

        if (visitor) {
            visitor->write->ready = 1;
            handlers->visit(visitor);
        }
    }

    ngx_post_event(ev, &ngx_posted_next_events);
}


/* The name has a hash of what only the workers know. */

static socklen_t
ngx_chat_door_address(struct sockaddr_un *sa, ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_pid_t pid)
{
    u_char      *p, buf[NGX_INT64_LEN * 2 + sizeof("door--")];
    uint64_t     hash;

    p = ngx_sprintf(buf, "door-%ui-%P", (ngx_uint_t) (slot - zone->sh->slots),
                    pid);
    hash = ngx_chat_hash(&zone->sh->key, buf, p - buf);

    ngx_memzero(sa, sizeof(struct sockaddr_un));

    sa->sun_family = AF_UNIX;

    /* the first byte is 0 */

    p = ngx_sprintf((u_char *) &sa->sun_path[1], "ngx_chat-%016xL", hash);

    return (socklen_t) (p - (u_char *) sa);
}


/* Takes fd, and closes it where there is no connection for it. */

static ngx_connection_t *
ngx_chat_door_connection(int fd, ngx_log_t *log)
{
    ngx_connection_t  *c;

    c = ngx_get_connection(fd, log);

    if (c == NULL) {
        (void) close(fd);
        return NULL;
    }

    c->recv = ngx_recv;
    c->send = ngx_send;

    c->log = log;
    c->read->log = log;
    c->write->log = log;
    c->log_error = NGX_ERROR_INFO;

    return c;
}


/* Nobody but a worker: the process itself, or with pid 0 one of our user's. */

static ngx_int_t
ngx_chat_door_check_peer(int fd, ngx_pid_t pid, ngx_log_t *log)
{
    socklen_t     len;
    struct ucred  peer;

    static time_t  logged;

    len = sizeof(struct ucred);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1) {
        ngx_log_error(NGX_LOG_ALERT, log, ngx_socket_errno,
                      "getsockopt(SO_PEERCRED) failed");
        return NGX_ERROR;
    }

    if (peer.uid != geteuid() || (pid && peer.pid != pid)) {

        /* whoever knocks all the time does not fill the log */

        if (logged != ngx_time()) {
            logged = ngx_time();
            ngx_log_error(NGX_LOG_WARN, log, 0,
                          "process %P of user %ui is at a chat door, and no "
                          "worker", (ngx_pid_t) peer.pid,
                          (ngx_uint_t) peer.uid);
        }

        return NGX_ERROR;
    }

    return NGX_OK;
}
