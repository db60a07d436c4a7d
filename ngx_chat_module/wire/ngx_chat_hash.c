
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * SipHash-2-4 (Aumasson, Bernstein: SipHash, a fast short-input PRF).  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_hash.h>


typedef struct {
    uint64_t  v0;
    uint64_t  v1;
    uint64_t  v2;
    uint64_t  v3;
} ngx_chat_hash_state_t;


#define ngx_chat_hash_rotate(x, n)  (((x) << (n)) | ((x) >> (64 - (n))))


static void ngx_chat_hash_rounds(ngx_chat_hash_state_t *s, ngx_uint_t n);
static uint64_t ngx_chat_hash_read(u_char *p, size_t len);


uint64_t
ngx_chat_hash(ngx_chat_hash_key_t *key, u_char *p, size_t len)
{
    u_char                 *last;
    uint64_t                m;
    ngx_chat_hash_state_t   s;

    s.v0 = key->k[0] ^ 0x736f6d6570736575ULL;
    s.v1 = key->k[1] ^ 0x646f72616e646f6dULL;
    s.v2 = key->k[0] ^ 0x6c7967656e657261ULL;
    s.v3 = key->k[1] ^ 0x7465646279746573ULL;

    for (last = p + (len & ~(size_t) 7); p < last; p += 8) {
        m = ngx_chat_hash_read(p, 8);

        s.v3 ^= m;
        ngx_chat_hash_rounds(&s, 2);
        s.v0 ^= m;
    }

    m = ngx_chat_hash_read(p, len & 7) | ((uint64_t) len << 56);

    s.v3 ^= m;
    ngx_chat_hash_rounds(&s, 2);
    s.v0 ^= m;

    s.v2 ^= 0xff;
    ngx_chat_hash_rounds(&s, 4);

    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}


static void
ngx_chat_hash_rounds(ngx_chat_hash_state_t *s, ngx_uint_t n)
{
    while (n--) {
        s->v0 += s->v1;
        s->v1 = ngx_chat_hash_rotate(s->v1, 13) ^ s->v0;
        s->v0 = ngx_chat_hash_rotate(s->v0, 32);

        s->v2 += s->v3;
        s->v3 = ngx_chat_hash_rotate(s->v3, 16) ^ s->v2;

        s->v0 += s->v3;
        s->v3 = ngx_chat_hash_rotate(s->v3, 21) ^ s->v0;

        s->v2 += s->v1;
        s->v1 = ngx_chat_hash_rotate(s->v1, 17) ^ s->v2;
        s->v2 = ngx_chat_hash_rotate(s->v2, 32);
    }
}


/* Up to 8 bytes as a little-endian number. */

static uint64_t
ngx_chat_hash_read(u_char *p, size_t len)
{
    size_t    i;
    uint64_t  n;

    n = 0;

    for (i = 0; i < len; i++) {
        n |= (uint64_t) p[i] << (8 * i);
    }

    return n;
}
