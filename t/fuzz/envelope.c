
/* sources: wire/ngx_chat_envelope.c wire/ngx_chat_hook_record.c */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Envelopes: what unpack() takes is what pack() makes, to the last byte, and
 * nothing shorter or longer.  The same of the webhooks' records in them.
 */


#include "fuzz.h"

#include <wire/ngx_chat_envelope.h>
#include <wire/ngx_chat_hook_record.h>


/* Bytes that anybody may have put into the ring. */

static void
check_bytes(unit_pool_t *pool, ngx_str_t *record)
{
    u_char               *p;
    size_t                size;
    ngx_chat_envelope_t   e;

    if (ngx_chat_envelope_unpack(&e, record->data, record->len) != NGX_OK) {
        return;
    }

    EXPECT(e.channel.len >= 1 && e.channel.len <= 255);

    size = ngx_chat_envelope_size(&e);
    EXPECT(size == record->len);

    p = unit_alloc(pool, size);

    EXPECT(ngx_chat_envelope_pack(p, &e) == p + size);
    EXPECT(memcmp(p, record->data, size) == 0);
}


static void
check_hook(unit_pool_t *pool, ngx_str_t *record)
{
    u_char                  *p;
    size_t                   size;
    ngx_chat_hook_record_t   rec;

    if (ngx_chat_hook_record_unpack(&rec, record->data, record->len)
        != NGX_OK)
    {
        return;
    }

    EXPECT(rec.kind < NGX_CHAT_HOOK_KINDS_e);

    size = ngx_chat_hook_record_size(&rec);
    EXPECT(size == record->len);

    p = unit_alloc(pool, size);

    EXPECT(ngx_chat_hook_record_pack(p, &rec) == p + size);
    EXPECT(memcmp(p, record->data, size) == 0);
}


static void
check_event(unit_pool_t *pool, fuzz_t *f)
{
    u_char               *p, *cut;
    size_t                size, n;
    ngx_chat_envelope_t   e, back;

    e.type = 1 + fuzz_byte(f) % 4;
    e.app = fuzz_number(f);
    e.message = fuzz_number(f);
    e.except.high = fuzz_number(f);
    e.except.low = fuzz_number(f);
    e.previous = fuzz_number(f);
    e.hash = (uint32_t) fuzz_number(f);
    e.channel = fuzz_take(f, pool, 1 + fuzz_byte(f) % 255);
    n = fuzz_short(f);
    e.payload = fuzz_take(f, pool, f->len);

    if (e.channel.len == 0) {
        return;
    }

    size = ngx_chat_envelope_size(&e);
    p = unit_alloc(pool, size);

    EXPECT(ngx_chat_envelope_pack(p, &e) == p + size);
    EXPECT(ngx_chat_envelope_unpack(&back, p, size) == NGX_OK);
    EXPECT(back.type == e.type
           && back.app == e.app
           && back.message == e.message
           && back.except.high == e.except.high
           && back.except.low == e.except.low
           && back.previous == e.previous
           && back.hash == e.hash);
    EXPECT(fuzz_same(&back.channel, &e.channel));
    EXPECT(fuzz_same(&back.payload, &e.payload));

    n %= size;
    cut = unit_copy(pool, p, n);

    EXPECT(ngx_chat_envelope_unpack(&back, cut, n) == NGX_ERROR);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t       f;
    ngx_str_t    record;
    unit_pool_t  pool;

    memset(&pool, 0, sizeof(unit_pool_t));

    f.p = (u_char *) data;
    f.len = size;

    if (fuzz_byte(&f) & 1) {
        check_event(&pool, &f);

    } else {
        record = fuzz_take(&f, &pool, f.len);
        check_bytes(&pool, &record);
        check_hook(&pool, &record);
    }

    unit_pool_free(&pool);

    return 0;
}
