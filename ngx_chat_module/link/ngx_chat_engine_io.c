
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Sockets and TLS, with deadlines.  Sockets don't block; where they would,
 * poll() waits for as long as there is time.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_engine_io.h>
#include <wire/ngx_chat_clock.h>

#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/un.h>


static ngx_int_t ngx_chat_engine_dial_host(ngx_chat_engine_t *e,
    const char *host, ngx_uint_t port);
static ngx_int_t ngx_chat_engine_dial_unix(ngx_chat_engine_t *e,
    const char *path);
static ngx_int_t ngx_chat_engine_dial_addr(ngx_chat_engine_t *e,
    struct sockaddr *addr, socklen_t len);
static ngx_int_t ngx_chat_engine_handshake(ngx_chat_engine_t *e,
    const char *host);
static ngx_int_t ngx_chat_engine_wait(ngx_chat_engine_t *e, short events);
static ngx_int_t ngx_chat_engine_wait_ssl(ngx_chat_engine_t *e, int rc,
    const char *call);


ngx_int_t
ngx_chat_engine_dial(ngx_chat_engine_t *e, const char *host, ngx_uint_t port,
    ngx_uint_t tls)
{
    ngx_int_t  rc;

    ngx_chat_engine_hang_up(e);

    rc = port ? ngx_chat_engine_dial_host(e, host, port)
              : ngx_chat_engine_dial_unix(e, host);

    if (rc == NGX_OK && tls) {
        rc = ngx_chat_engine_handshake(e, host);
    }

    if (rc != NGX_OK) {
        ngx_chat_engine_hang_up(e);
    }

    return rc;
}


static ngx_int_t
ngx_chat_engine_dial_host(ngx_chat_engine_t *e, const char *host,
    ngx_uint_t port)
{
    int               rc, on;
    char              service[sizeof("65535")];
    struct addrinfo   hints, *list, *a;

    memset(&hints, 0, sizeof(struct addrinfo));
    hints.ai_socktype = SOCK_STREAM;

    (void) snprintf(service, sizeof(service), "%u", (unsigned) port);

    rc = getaddrinfo(host, service, &hints, &list);

    if (rc != 0) {
        return ngx_chat_engine_failed(e, gai_strerror(rc));
    }

    rc = NGX_ERROR;

    for (a = list; a && rc != NGX_OK; a = a->ai_next) {
        rc = (int) ngx_chat_engine_dial_addr(e, a->ai_addr, a->ai_addrlen);
    }

    freeaddrinfo(list);

    if (rc == NGX_OK) {
        on = 1;
        (void) setsockopt(e->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(int));
    }

    return rc;
}


static ngx_int_t
ngx_chat_engine_dial_unix(ngx_chat_engine_t *e, const char *path)
{
    struct sockaddr_un  addr;

    memset(&addr, 0, sizeof(struct sockaddr_un));
    addr.sun_family = AF_UNIX;

    (void) snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);

    return ngx_chat_engine_dial_addr(e, (struct sockaddr *) &addr,
                                     sizeof(struct sockaddr_un));
}


static ngx_int_t
ngx_chat_engine_dial_addr(ngx_chat_engine_t *e, struct sockaddr *addr,
    socklen_t len)
{
    int        err;
    socklen_t  size;

    ngx_chat_engine_hang_up(e);

    e->fd = socket(addr->sa_family, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (e->fd == -1) {
        return ngx_chat_engine_failed(e, strerror(errno));
    }

    if (connect(e->fd, addr, len) == 0) {
        return NGX_OK;
    }

    if (errno != EINPROGRESS && errno != EAGAIN) {
        return ngx_chat_engine_failed(e, strerror(errno));
    }

    if (ngx_chat_engine_wait(e, POLLOUT) != NGX_OK) {
        return NGX_ERROR;
    }

    err = 0;
    size = sizeof(int);

    if (getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &err, &size) == -1 || err) {
        return ngx_chat_engine_failed(e, strerror(err ? err : errno));
    }

    return NGX_OK;
}


/* The name that the certificate must have is the URL's. */

static ngx_int_t
ngx_chat_engine_handshake(ngx_chat_engine_t *e, const char *host)
{
    int                 rc;
    unsigned char       ip[16];
    X509_VERIFY_PARAM  *param;

    e->ssl = SSL_new(e->conf->ssl);

    if (e->ssl == NULL || SSL_set_fd(e->ssl, e->fd) != 1) {
        return ngx_chat_engine_failed(e, "SSL_new() failed");
    }

    param = SSL_get0_param(e->ssl);

    if (inet_pton(AF_INET, host, ip) == 1 || inet_pton(AF_INET6, host, ip) == 1)
    {
        rc = X509_VERIFY_PARAM_set1_ip_asc(param, host);

    } else {
        rc = SSL_set1_host(e->ssl, host)
             && SSL_set_tlsext_host_name(e->ssl, host);
    }

    if (rc != 1) {
        return ngx_chat_engine_failed(e, "SSL_set1_host() failed");
    }

    for ( ;; ) {
        ERR_clear_error();

        rc = SSL_connect(e->ssl);

        if (rc == 1) {
            return NGX_OK;
        }

        if (ngx_chat_engine_wait_ssl(e, rc, "SSL_connect()") != NGX_OK) {
            return NGX_ERROR;
        }
    }
}


ngx_int_t
ngx_chat_engine_write(ngx_chat_engine_t *e, u_char *p, size_t len)
{
    ssize_t    n;
    ngx_int_t  rc;

    while (len) {

        if (e->ssl) {
            ERR_clear_error();
            n = SSL_write(e->ssl, p, (int) ngx_min(len, 16384));
            rc = (n > 0) ? NGX_OK
                         : ngx_chat_engine_wait_ssl(e, (int) n, "SSL_write()");

        } else {
            n = send(e->fd, p, len, MSG_NOSIGNAL);

            if (n >= 0 || errno == EINTR) {
                rc = NGX_OK;

            } else {
                rc = (errno == EAGAIN)
                     ? ngx_chat_engine_wait(e, POLLOUT)
                     : ngx_chat_engine_failed(e, strerror(errno));
            }
        }

        if (rc != NGX_OK) {
            return rc;
        }

        if (n > 0) {
            p += n;
            len -= n;
        }
    }

    return NGX_OK;
}


ssize_t
ngx_chat_engine_read(ngx_chat_engine_t *e, u_char *p, size_t size)
{
    ssize_t    n;
    ngx_int_t  rc;

    for ( ;; ) {

        if (e->ssl) {
            ERR_clear_error();
            n = SSL_read(e->ssl, p, (int) size);

            if (n > 0) {
                return n;
            }

            rc = ngx_chat_engine_wait_ssl(e, (int) n, "SSL_read()");

        } else {
            n = recv(e->fd, p, size, 0);

            if (n > 0) {
                return n;
            }

            if (n == 0) {
                return ngx_chat_engine_failed(e, "it has closed the "
                                              "connection");
            }

            if (errno == EINTR) {
                continue;
            }

            rc = (errno == EAGAIN) ? ngx_chat_engine_wait(e, POLLIN)
                                   : ngx_chat_engine_failed(e, strerror(errno));
        }

        if (rc != NGX_OK) {
            return NGX_ERROR;
        }
    }
}


static ngx_int_t
ngx_chat_engine_wait(ngx_chat_engine_t *e, short events)
{
    int            n;
    uint64_t       now;
    struct pollfd  pfd;

    for ( ;; ) {
        now = ngx_chat_clock_msec();

        pfd.fd = e->fd;
        pfd.events = events;

        n = (now < e->deadline) ? poll(&pfd, 1, (int) (e->deadline - now)) : 0;

        if (n > 0) {
            return NGX_OK;
        }

        if (n == 0) {
            return ngx_chat_engine_failed(e, "no answer in time");
        }

        if (errno != EINTR) {
            return ngx_chat_engine_failed(e, strerror(errno));
        }
    }
}


static ngx_int_t
ngx_chat_engine_wait_ssl(ngx_chat_engine_t *e, int rc, const char *call)
{
    long         verify;
    const char  *reason;

    switch (SSL_get_error(e->ssl, rc)) {

    case SSL_ERROR_WANT_READ:
        return ngx_chat_engine_wait(e, POLLIN);

    case SSL_ERROR_WANT_WRITE:
        return ngx_chat_engine_wait(e, POLLOUT);

    default:
        break;
    }

    verify = SSL_get_verify_result(e->ssl);
    reason = ERR_reason_error_string(ERR_peek_last_error());

    if (verify != X509_V_OK) {
        reason = X509_verify_cert_error_string(verify);
    }

    (void) snprintf(e->error, sizeof(e->error), "%s failed: %s", call,
                    reason ? reason : "the connection was closed");

    ERR_clear_error();

    return NGX_ERROR;
}


ngx_int_t
ngx_chat_engine_failed(ngx_chat_engine_t *e, const char *text)
{
    (void) snprintf(e->error, sizeof(e->error), "%s", text);

    return NGX_ERROR;
}


void
ngx_chat_engine_hang_up(ngx_chat_engine_t *e)
{
    if (e->ssl) {
        SSL_free(e->ssl);
        e->ssl = NULL;
    }

    if (e->fd != -1) {
        (void) close(e->fd);
        e->fd = -1;
    }
}
