
/* sources: wire/ngx_chat_hash.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <wire/ngx_chat_hash.h>


typedef struct {
    size_t    len;
    uint64_t  hash;
} vector_t;


/*
 * The authors' vectors: key 00 01 .. 0f, input 00 01 .. (n - 1).  The one for
 * n = 15 is that of appendix A of the paper.
 */

static vector_t  vectors[] = {
    { 0, 0x726fdb47dd0e0e31ULL },
    { 1, 0x74f839c593dc67fdULL },
    { 8, 0x93f5f5799a932462ULL },
    { 15, 0xa129ca6149be45e5ULL }
};


static void
test_vectors(void)
{
    u_char               in[16];
    ngx_uint_t           i;
    ngx_chat_hash_key_t  key;

    for (i = 0; i < 16; i++) {
        in[i] = (u_char) i;
    }

    key.k[0] = 0x0706050403020100ULL;
    key.k[1] = 0x0f0e0d0c0b0a0908ULL;

    for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        CHECK(ngx_chat_hash(&key, in, vectors[i].len) == vectors[i].hash);
    }
}


/* Another key, another hash. */

static void
test_key(void)
{
    u_char               in[4] = "chat";
    ngx_chat_hash_key_t  a, b;

    a.k[0] = 1;
    a.k[1] = 2;
    b.k[0] = 1;
    b.k[1] = 3;

    CHECK(ngx_chat_hash(&a, in, 4) != ngx_chat_hash(&b, in, 4));
}


int
main(void)
{
    RUN(test_vectors);
    RUN(test_key);

    return unit_done();
}
