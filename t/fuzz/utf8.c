
/* sources: wire/ngx_chat_utf8.c */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * UTF-8: whole, in pieces, and its longest good beginning, against a decoder
 * that goes by the value of each character.
 */


#include "fuzz.h"

#include <wire/ngx_chat_utf8.h>


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int              state;
    size_t           whole, part;
    fuzz_t           f;
    ngx_int_t        rc;
    ngx_str_t        text, piece;
    ngx_uint_t       step;
    unit_pool_t      pool;
    ngx_chat_utf8_t  u;

    memset(&pool, 0, sizeof(unit_pool_t));

    f.p = (u_char *) data;
    f.len = size;

    step = 1 + fuzz_byte(&f) % 17;
    text = fuzz_take(&f, &pool, size);
    state = fuzz_utf8(text.data, text.len, &whole);

    EXPECT((ngx_chat_utf8_check(text.data, text.len) == NGX_OK)
           == (state == 1));
    EXPECT(ngx_chat_utf8_prefix(text.data, text.len) == whole);

    /* in pieces: the fault shows with the very byte that makes it one */

    ngx_chat_utf8_init(&u);

    f.p = text.data;
    f.len = text.len;
    part = 0;
    rc = NGX_OK;

    while (f.len && rc == NGX_OK) {
        piece = fuzz_take(&f, &pool, step);
        part += piece.len;

        rc = ngx_chat_utf8_update(&u, piece.data, piece.len);
        state = fuzz_utf8(text.data, part, &whole);

        EXPECT((rc == NGX_OK) == (state != -1));
    }

    if (rc == NGX_OK) {
        EXPECT((ngx_chat_utf8_final(&u) == NGX_OK) == (state == 1));
    }

    unit_pool_free(&pool);

    return 0;
}
