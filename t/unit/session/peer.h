
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Clients over TLS, by OpenSSL itself but without sockets: what takes the
 * server's records takes as many bytes as the test wants, so that records are
 * begun, and finished later.  What a client decrypts must be what was sent,
 * byte by byte.
 */


#ifndef _NGX_CHAT_UNIT_PEER_H_INCLUDED_
#define _NGX_CHAT_UNIT_PEER_H_INCLUDED_


#include "unit.h"

#include <ngx_event.h>
#include <session/ngx_chat_outbox.h>
#include <shared/ngx_chat_counter.h>


#define STREAM   (4 * 1024 * 1024)
#define BUFS     4096
#define RECORD   16384
#define TURN     (1024 * 1024)
#define NO_LIMIT NGX_MAX_SIZE_T_VALUE


typedef struct {
    ngx_chat_outbox_t      ob;
    ngx_connection_t       c;
    ngx_event_t            read;
    ngx_event_t            write;
    ngx_ssl_connection_t   ssl;

    SSL                   *client;
    BIO                   *in;             /* bytes for the client */
    size_t                 room;           /* bytes that the pipe takes */
    size_t                 left;           /* of the record on the wire */
    u_char                 head[5];
    size_t                 nhead;
    ngx_uint_t             records;        /* of application data */
    size_t                 longest;        /* of these, without overhead */

    size_t                 ends[BUFS];     /* of each buffer in the stream */
    ngx_uint_t             nbufs;
    size_t                 nwant;
    size_t                 ngot;
    u_char                 want[STREAM];   /* sent by the outbox's user */
    u_char                 got[STREAM];
} peer_t;


ngx_queue_t              ngx_posted_events;
ngx_queue_t              ngx_posted_next_events;
ngx_uint_t               ngx_event_flags = NGX_USE_CLEAR_EVENT;
volatile ngx_cycle_t    *ngx_cycle;
uint64_t                *ngx_chat_counters;

static ngx_log_t         unit_log;
static ngx_cycle_t       cycle;
static uint64_t          counters[NGX_CHAT_COUNTERS_e];
static SSL_CTX          *server_ctx;
static SSL_CTX          *client_ctx;
static BIO_METHOD       *pipe_method;
static ngx_uint_t        allocs;
static ngx_uint_t        chains;           /* calls of nginx's send_chain */
static ngx_uint_t        wants_read;       /* the next writes do */
static peer_t           *peers[2];


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    /* void */
}


void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    allocs++;

    return malloc(size);
}


ngx_int_t
ngx_handle_write_event(ngx_event_t *wev, size_t lowat)
{
    return NGX_OK;
}


/* The headers of the records that have passed. */

static void
count_records(peer_t *peer, const u_char *p, size_t len)
{
    size_t  n;

    while (len) {

        if (peer->left == 0) {
            peer->head[peer->nhead++] = *p++;
            len--;

            if (peer->nhead == 5) {
                peer->nhead = 0;
                peer->left = peer->head[3] << 8 | peer->head[4];

                if (peer->head[0] == SSL3_RT_APPLICATION_DATA) {
                    peer->records++;

                    /* the record's type, and the tag of AES-GCM */
                    peer->longest = ngx_max(peer->longest, peer->left - 17);
                }
            }

            continue;
        }

        n = ngx_min(peer->left, len);
        peer->left -= n;
        p += n;
        len -= n;
    }
}


/* The way to the client takes as many bytes as there is room for. */

static int
pipe_write(BIO *b, const char *p, int len)
{
    peer_t  *peer = BIO_get_data(b);

    BIO_clear_retry_flags(b);

    len = ngx_min(len, (int) ngx_min(peer->room, NGX_MAX_INT32_VALUE));

    if (len == 0) {
        BIO_set_retry_write(b);
        return -1;
    }

    peer->room -= len;
    count_records(peer, (u_char *) p, len);

    return BIO_write(peer->in, p, len);
}


static long
pipe_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    return cmd == BIO_CTRL_FLUSH;
}


/* What ngx_ssl_write() does, as far as the outbox is concerned. */

static ssize_t
send_tls(ngx_connection_t *c, u_char *data, size_t size)
{
    int  n, err;

    if (wants_read) {
        wants_read--;
        return NGX_AGAIN;
    }

    ERR_clear_error();

    n = SSL_write(c->ssl->connection, data, size);

    if (n > 0) {
        c->sent += n;
        return n;
    }

    err = SSL_get_error(c->ssl->connection, n);

    if (err != SSL_ERROR_WANT_WRITE) {
        printf("# SSL_write(): %d, %s\n", err,
               ERR_reason_error_string(ERR_peek_error()));
        return NGX_ERROR;
    }

    c->write->ready = 0;

    return NGX_AGAIN;
}


/* nginx's way, which takes all. */

static ngx_chain_t *
send_chain(ngx_connection_t *c, ngx_chain_t *in, off_t limit)
{
    chains++;
    c->buffered &= ~NGX_SSL_BUFFERED;

    for ( /* void */ ; in; in = in->next) {
        in->buf->pos = in->buf->last;
    }

    return NULL;
}


/* A key and a certificate, signed by itself. */

static void
use_certificate(SSL_CTX *ctx)
{
    X509      *cert;
    EVP_PKEY  *key;

    key = EVP_EC_gen("P-256");
    cert = X509_new();

    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_sign(cert, key, EVP_sha256());

    if (SSL_CTX_use_certificate(ctx, cert) != 1
        || SSL_CTX_use_PrivateKey(ctx, key) != 1)
    {
        exit(1);
    }

    X509_free(cert);
    EVP_PKEY_free(key);
}


/* Takes what has arrived; it must be what was sent. */

static void
take(peer_t *peer)
{
    int  n;

    do {
        n = SSL_read(peer->client, peer->got + peer->ngot,
                     STREAM - peer->ngot);
        if (n > 0) {
            peer->ngot += n;
        }

    } while (n > 0);

    CHECK_INT(SSL_get_error(peer->client, n), SSL_ERROR_WANT_READ);
    CHECK(peer->ngot <= peer->nwant);
    CHECK(memcmp(peer->got, peer->want, peer->ngot) == 0);
}


static peer_t *
begin(void)
{
    int      n, k;
    BIO     *out, *back;
    peer_t  *peer;

    peer = calloc(1, sizeof(peer_t));
    if (peer == NULL) {
        exit(1);
    }

    peer->c.read = &peer->read;
    peer->c.write = &peer->write;
    peer->c.ssl = &peer->ssl;
    peer->c.send = send_tls;
    peer->c.send_chain = send_chain;
    peer->read.data = &peer->c;
    peer->write.data = &peer->c;
    peer->read.log = &unit_log;
    peer->write.log = &unit_log;
    peer->write.write = 1;
    peer->write.ready = 1;
    peer->room = NGX_MAX_INT32_VALUE;

    peer->ssl.buffer_size = RECORD;
    peer->ssl.connection = SSL_new(server_ctx);
    peer->client = SSL_new(client_ctx);

    out = BIO_new(pipe_method);
    BIO_set_data(out, peer);
    BIO_set_init(out, 1);

    back = BIO_new(BIO_s_mem());
    peer->in = BIO_new(BIO_s_mem());
    BIO_up_ref(back);

    SSL_set_bio(peer->ssl.connection, back, out);
    SSL_set_bio(peer->client, peer->in, back);

    do {
        k = SSL_connect(peer->client);
        n = SSL_accept(peer->ssl.connection);
    } while (n != 1 || k != 1);

    peer->records = 0;
    peer->longest = 0;

    return peer;
}


static void
end(peer_t *peer)
{
    ngx_chat_outbox_clear(&peer->ob);
    ngx_chat_outbox_exit();

    SSL_free(peer->ssl.connection);
    SSL_free(peer->client);
    free(peer);

    ngx_queue_init(&ngx_posted_next_events);
    wants_read = 0;
    chains = 0;
}


/* The client has read so much: there is room, and an event tells so. */

static ngx_int_t
read_more(peer_t *peer, size_t n)
{
    ngx_int_t  rc;

    peer->room += n;
    peer->write.ready = 1;

    if (peer->write.posted) {
        ngx_delete_posted_event(&peer->write);
    }

    rc = ngx_chat_outbox_flush(&peer->ob, &peer->c);

    CHECK(rc == NGX_OK || rc == NGX_AGAIN);
    take(peer);

    return rc;
}


/* Sends a buffer of its own sort of bytes. */

static ngx_int_t
put(peer_t *peer, size_t len, size_t limit, ngx_uint_t more)
{
    size_t           i;
    ngx_int_t        rc;
    ngx_chat_buf_t  *b;

    b = ngx_chat_buf_alloc(len, NULL);
    if (b == NULL) {
        exit(1);
    }

    for (i = 0; i < len; i++) {
        b->data[i] = random();
    }

    rc = ngx_chat_outbox_send(&peer->ob, &peer->c, b, limit, more);

    if (rc == NGX_OK || rc == NGX_AGAIN) {
        ngx_memcpy(peer->want + peer->nwant, b->data, len);
        peer->nwant += len;
        peer->ends[peer->nbufs++] = peer->nwant;
    }

    ngx_chat_buf_release(b);

    return rc;
}


static void
setup(void)
{
    ngx_cycle = &cycle;
    ngx_chat_counters = counters;
    ngx_queue_init(&ngx_posted_next_events);

    pipe_method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "pipe");
    BIO_meth_set_write(pipe_method, pipe_write);
    BIO_meth_set_ctrl(pipe_method, pipe_ctrl);

    client_ctx = SSL_CTX_new(TLS_client_method());
    server_ctx = SSL_CTX_new(TLS_server_method());
    use_certificate(server_ctx);

    /* as nginx has it, but for tickets, which would be records, too */

    SSL_CTX_set_mode(server_ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_num_tickets(server_ctx, 0);
}


static void
cleanup(void)
{
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
    BIO_meth_free(pipe_method);
}


#endif /* _NGX_CHAT_UNIT_PEER_H_INCLUDED_ */
