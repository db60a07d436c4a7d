
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the ring's unit tests share: numbered records of varying length.
 */


#ifndef _NGX_CHAT_UNIT_RING_H_INCLUDED_
#define _NGX_CHAT_UNIT_RING_H_INCLUDED_


#include "unit.h"

#include <bus/ngx_chat_ring.h>


/* A ring of 1024 bytes. */
#define SMALL  (sizeof(ngx_chat_ring_sh_t) + 1024)


/*
 * Record n is 8 bytes of its number, then bytes that depend on it; as long
 * as the ring takes, but not above 2000.
 */

static ngx_inline size_t
ring_record_len(uint64_t n, size_t max)
{
    max = ngx_min(max, 2000);

    return 8 + (size_t) ((n * 2654435761u >> 7) % (max - 7));
}


static ngx_inline void
ring_record_fill(u_char *p, uint64_t n, size_t len)
{
    size_t  i;

    memcpy(p, &n, 8);

    for (i = 8; i < len; i++) {
        p[i] = (u_char) (n * 31 + i);
    }
}


/* The record's number, 0: it is broken. */
static ngx_inline uint64_t
ring_record_number(u_char *p, size_t len, size_t max)
{
    size_t    i;
    uint64_t  n;

    if (len < 8) {
        return 0;
    }

    memcpy(&n, p, 8);

    if (len != ring_record_len(n, max)) {
        return 0;
    }

    for (i = 8; i < len; i++) {
        if (p[i] != (u_char) (n * 31 + i)) {
            return 0;
        }
    }

    return n;
}


static ngx_inline ngx_chat_ring_sh_t *
ring_create(size_t size)
{
    ngx_chat_ring_sh_t  *ring;

    /* no larger than said: the sanitizer guards the end */

    ring = malloc(size);
    if (ring == NULL) {
        exit(2);
    }

    memset(ring, 0xaa, size);
    ngx_chat_ring_init(ring, size);

    return ring;
}


static ngx_inline ngx_uint_t
ring_append(ngx_chat_ring_sh_t *ring, const void *data, size_t len,
    uint64_t mark)
{
    u_char  *p;

    p = ngx_chat_ring_reserve(ring, len);
    if (p == NULL) {
        return 0;
    }

    if (len) {
        memcpy(p, data, len);
    }

    return ngx_chat_ring_commit(ring, len, mark) == ngx_chat_ring_head(ring);
}


/* Appends record n, the mark with it. */
static ngx_inline ngx_uint_t
ring_append_number(ngx_chat_ring_sh_t *ring, uint64_t n)
{
    size_t   max, len;
    u_char  *p;

    max = ngx_chat_ring_record_max(ring);
    len = ring_record_len(n, max);

    p = ngx_chat_ring_reserve(ring, len);
    if (p == NULL) {
        return 0;
    }

    ring_record_fill(p, n, len);
    (void) ngx_chat_ring_commit(ring, len, n);

    return 1;
}


/* Reads a record that must be there, whole. */
static ngx_inline uint64_t
ring_read_number(ngx_chat_ring_sh_t *ring, uint64_t *pos)
{
    size_t    len;
    u_char    buf[4096];
    uint64_t  at, before;

    before = *pos;

    if (ngx_chat_ring_read(ring, pos, &at, buf, sizeof(buf), &len) != NGX_OK
        || at < before || *pos <= at)
    {
        return 0;
    }

    return ring_record_number(buf, len, ngx_chat_ring_record_max(ring));
}


#endif /* _NGX_CHAT_UNIT_RING_H_INCLUDED_ */
