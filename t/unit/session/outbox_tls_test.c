
/* sources: session/ngx_chat_outbox.c session/ngx_chat_buf.c
   libs: -lssl -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The outbox over TLS: which records it makes, and that a record that is begun
 * goes on with the same bytes, whatever happens in between.
 */


#include "session/peer.h"


static void
test_one_record(void)
{
    peer_t  *peer;

    peer = begin();

    CHECK_INT(put(peer, 200, NO_LIMIT, 0), NGX_OK);
    take(peer);
    CHECK_INT(peer->ngot, 200);
    CHECK_INT(peer->records, 1);

    /* what is held back leaves together */

    CHECK_INT(put(peer, 200, NO_LIMIT, 1), NGX_AGAIN);
    CHECK_INT(put(peer, 300, NO_LIMIT, 1), NGX_AGAIN);
    CHECK_INT(put(peer, 10000, NO_LIMIT, 1), NGX_AGAIN);
    CHECK_INT(peer->records, 1);
    CHECK_INT(ngx_chat_outbox_flush(&peer->ob, &peer->c), NGX_OK);
    take(peer);
    CHECK_INT(peer->ngot, 10700);
    CHECK_INT(peer->records, 2);

    /* of three buffers in four records, whatever they begin with */

    CHECK_INT(put(peer, 20000, NO_LIMIT, 1), NGX_AGAIN);
    CHECK_INT(put(peer, 100, NO_LIMIT, 1), NGX_AGAIN);
    CHECK_INT(put(peer, 3 * RECORD - 20100, NO_LIMIT, 1), NGX_AGAIN);
    CHECK_INT(put(peer, 1, NO_LIMIT, 1), NGX_AGAIN);
    CHECK_INT(read_more(peer, 0), NGX_OK);
    CHECK_INT(peer->ngot, peer->nwant);
    CHECK_INT(peer->records, 2 + 4);
    CHECK_INT(peer->longest, RECORD);

    CHECK_INT(peer->ob.queued, 0);
    CHECK_INT(peer->c.buffered, 0);
    CHECK_INT(peer->c.sent, peer->nwant);
    CHECK_INT(counters[NGX_CHAT_SENT_e], peer->nwant);

    /* where nothing waits, nothing is queued: one allocation, for the buffer */

    ngx_chat_outbox_exit();
    allocs = 0;
    CHECK_INT(put(peer, RECORD, NO_LIMIT, 0), NGX_OK);
    CHECK_INT(allocs, 1);
    take(peer);
    CHECK_INT(peer->ngot, peer->nwant);

    end(peer);

    /* nginx's ssl_buffer_size */

    peer = begin();
    peer->ssl.buffer_size = 4096;
    CHECK_INT(put(peer, 1, NO_LIMIT, 0), NGX_OK);
    take(peer);
    peer->records = 0;
    peer->longest = 0;
    CHECK_INT(put(peer, 8192, NO_LIMIT, 0), NGX_OK);
    CHECK_INT(peer->records, 2);
    CHECK_INT(peer->longest, 4096);

    end(peer);
}


/*
 * Two clients that read a bit now and then: the memory that records are put
 * together in is the other's in between.  They also want new keys.
 */

static void
test_slow_readers(void)
{
    size_t      k, len;
    peer_t     *peer;
    ngx_uint_t  i, begun;

    srandom(19);
    begun = 0;
    allocs = 0;

    for (k = 0; k < 2; k++) {
        peers[k] = begin();
        peers[k]->room = 0;
        peers[k]->write.ready = 0;
    }

    for (i = 0; i < 3000; i++) {
        peer = peers[random() % 2];

        switch (random() % 4) {

        case 0:
            len = random() % ((random() % 4) ? 1000 : 40000);

            if (peer->nwant + len < STREAM && peer->nbufs < BUFS) {
                CHECK(put(peer, 1 + len, NO_LIMIT, random() % 2) != NGX_ERROR);
            }

            break;

        case 1:
            if (random() % 50 == 0) {
                SSL_key_update(peer->client, SSL_KEY_UPDATE_REQUESTED);
                SSL_do_handshake(peer->client);
                CHECK_INT(SSL_read(peer->ssl.connection, &len, 1), -1);
            }

            /* fall through */

        default:
            (void) read_more(peer, random() % 3000);
            begun += peer->ob.begun != 0;
        }
    }

    CHECK(begun > 1000);

    for (k = 0; k < 2; k++) {
        peer = peers[k];

        while (read_more(peer, NGX_MAX_INT32_VALUE) == NGX_AGAIN) {
            /* void */
        }

        CHECK_INT(peer->ngot, peer->nwant);
        CHECK_INT(peer->ob.begun, 0);
        CHECK_INT(peer->c.buffered, 0);

        allocs -= peer->nbufs;
    }

    /* a link is all that a queued buffer costs */

    CHECK(allocs <= peers[0]->nbufs + peers[1]->nbufs);

    end(peers[0]);
    end(peers[1]);
}


/*
 * The queue is dropped at any time: what the client gets is whole buffers, no
 * more of them than it has a byte of, and then the last one.
 */

static void
test_truncate(void)
{
    size_t      begun;
    peer_t     *peer;
    ngx_uint_t  i, k, many;

    srandom(4200);
    many = 0;

    for (i = 0; i < 300; i++) {
        peer = begin();
        peer->room = random() % 60000;

        for (k = 0; k < 40; k++) {
            CHECK(put(peer, 1 + random() % 5000, NO_LIMIT, random() % 2)
                  != NGX_ERROR);
        }

        (void) read_more(peer, 0);

        ngx_chat_outbox_count_sent(&peer->ob, &peer->c);
        begun = peer->c.sent + peer->ob.begun;

        for (k = 0; begun && peer->ends[k] < begun; k++) { /* void */ }

        many += (peer->ob.begun > 5000);

        ngx_chat_outbox_truncate(&peer->ob);

        peer->nbufs = begun ? k + 1 : 0;
        peer->nwant = begun ? peer->ends[k] : 0;

        CHECK_INT(peer->ob.queued, peer->nwant - peer->c.sent);
        CHECK_INT(peer->ob.answers, 0);

        CHECK(put(peer, 4, NO_LIMIT, 0) != NGX_ERROR);

        while (read_more(peer, random() % 3000) == NGX_AGAIN) { /* void */ }

        CHECK_INT(peer->ngot, peer->nwant);

        end(peer);
    }

    CHECK(many > 100);
}


static void
clear_begun(peer_t *peer)
{
    CHECK_INT(put(peer, 100, NO_LIMIT, 0), NGX_AGAIN);
    CHECK_INT(peer->ob.begun, 100);

    ngx_chat_outbox_clear(&peer->ob);

    CHECK_INT(peer->ob.queued, 0);
    CHECK_INT(peer->ob.begun, 0);
    CHECK_INT(peer->c.buffered, NGX_SSL_BUFFERED);

    end(peer);
}


/* What is dropped with half a record must keep nginx from ending TLS. */

static void
test_clear(void)
{
    peer_t  *peer;

    peer = begin();
    peer->room = 10;

    clear_begun(peer);

    /* begun without being queued before, by a client that waits for its turn */

    peer = begin();
    CHECK_INT(put(peer, 1, NO_LIMIT, 0), NGX_OK);
    peer->room = 10;
    peer->write.posted = 1;

    clear_begun(peer);
}


/* The bytes of a record that is begun count as much as those behind it. */

static void
test_limit(void)
{
    peer_t  *peer;

    peer = begin();
    peer->room = 5000;

    CHECK_INT(put(peer, 4000, 10000, 1), NGX_AGAIN);
    CHECK_INT(put(peer, 4000, 10000, 1), NGX_AGAIN);
    CHECK_INT(ngx_chat_outbox_flush(&peer->ob, &peer->c), NGX_AGAIN);
    CHECK_INT(peer->ob.begun, 8000);

    CHECK_INT(put(peer, 2001, 10000, 0), NGX_BUSY);
    CHECK_INT(put(peer, 2000, 10000, 0), NGX_AGAIN);
    CHECK_INT(put(peer, 1, 10000, 0), NGX_BUSY);

    CHECK_INT(read_more(peer, 20000), NGX_OK);
    CHECK_INT(peer->ngot, peer->nwant);

    /* a buffer above the limit goes where nothing waits */

    peer->room = 100;
    CHECK_INT(put(peer, 12000, 10000, 0), NGX_AGAIN);
    CHECK_INT(put(peer, 1, 10000, 0), NGX_BUSY);

    end(peer);
}


static void
test_turn(void)
{
    size_t      seen;
    peer_t     *peer;
    ngx_int_t   rc;
    ngx_uint_t  i;

    peer = begin();

    for (i = 0; i < 30; i++) {
        CHECK_INT(put(peer, 100000, NO_LIMIT, 1), NGX_AGAIN);
    }

    for (seen = 0; peer->ob.queued; seen = peer->ngot) {
        rc = ngx_chat_outbox_flush(&peer->ob, &peer->c);
        CHECK_INT(rc, peer->ob.queued ? NGX_AGAIN : NGX_OK);
        take(peer);

        CHECK(peer->ngot - seen < TURN + RECORD);
        CHECK_INT(peer->write.posted, peer->ob.queued != 0);

        if (peer->write.posted) {
            CHECK(peer->ngot - seen >= TURN);

            /* no more in this turn, whoever asks */

            CHECK_INT(put(peer, 1, NO_LIMIT, 0), NGX_AGAIN);
            take(peer);
            CHECK(peer->ngot - seen < TURN + RECORD);

            ngx_delete_posted_event(&peer->write);
        }
    }

    CHECK_INT(peer->ngot, peer->nwant);

    end(peer);
}


/* TLS may have to read before it can write: the write event stays ready. */

static void
test_want_read(void)
{
    peer_t  *peer;

    peer = begin();
    wants_read = 1;

    CHECK_INT(put(peer, 100, NO_LIMIT, 0), NGX_AGAIN);
    CHECK_INT(wants_read, 0);
    CHECK_INT(put(peer, 100, NO_LIMIT, 0), NGX_OK);
    take(peer);
    CHECK_INT(peer->ngot, 200);

    end(peer);
}


/* Where nginx's own buffer has something, that goes first. */

static void
test_nginx_buffer(void)
{
    peer_t  *peer;

    peer = begin();

    peer->c.buffered = NGX_SSL_BUFFERED;
    CHECK_INT(put(peer, 100, NO_LIMIT, 0), NGX_OK);
    CHECK_INT(chains, 1);
    CHECK_INT(put(peer, 100, NO_LIMIT, 0), NGX_OK);
    CHECK_INT(chains, 1);
    CHECK_INT(peer->records, 1);

    end(peer);
}


int
main(void)
{
    setup();

    RUN(test_one_record);
    RUN(test_slow_readers);
    RUN(test_truncate);
    RUN(test_clear);
    RUN(test_limit);
    RUN(test_turn);
    RUN(test_want_read);
    RUN(test_nginx_buffer);

    cleanup();

    return unit_done();
}
