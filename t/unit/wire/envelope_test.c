
/* sources: wire/ngx_chat_envelope.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <wire/ngx_chat_envelope.h>


static unit_pool_t  pool;


static void
envelope_set(ngx_chat_envelope_t *e, size_t channel, size_t payload)
{
    static u_char  bytes[100000];

    memset(e, 0, sizeof(ngx_chat_envelope_t));
    memset(bytes, 'c', sizeof(bytes));

    e->type = NGX_CHAT_ENVELOPE_EVENT_e;
    e->app = 17536051;
    e->message = 0xfedcba9876543210ULL;
    e->except.high = 9999999999ULL;
    e->except.low = 1;
    e->channel.data = bytes;
    e->channel.len = channel;
    e->payload.data = payload ? bytes : NULL;
    e->payload.len = payload;
}


/* At every alignment, into exactly the size that was told. */

static void
test_round_trip(void)
{
    u_char               *p, *end;
    size_t                i, j, shift, size;
    ngx_chat_envelope_t   e, got;

    static size_t  channels[] = { 1, 7, 200, 255 };
    static size_t  payloads[] = { 0, 1, 13, 65536, 100000 };

    for (i = 0; i < 4; i++) {
        for (j = 0; j < 5; j++) {
            envelope_set(&e, channels[i], payloads[j]);

            size = ngx_chat_envelope_size(&e);
            shift = i + j;

            p = unit_alloc(&pool, shift + size);
            p += shift;
            end = ngx_chat_envelope_pack(p, &e);
            CHECK_INT(end - p, size);

            memset(&got, 0xff, sizeof(got));
            CHECK_INT(ngx_chat_envelope_unpack(&got, p, size), NGX_OK);

            CHECK_INT(got.type, e.type);
            CHECK(got.app == e.app);
            CHECK(got.message == e.message);
            CHECK(got.except.high == e.except.high);
            CHECK(got.except.low == e.except.low);
            CHECK_INT(got.channel.len, e.channel.len);
            CHECK_INT(got.payload.len, e.payload.len);
            CHECK(got.channel.data >= p);
            CHECK(got.payload.data + got.payload.len == end);
            CHECK(memcmp(got.channel.data, e.channel.data, e.channel.len)
                  == 0);

            if (e.payload.len) {
                CHECK(memcmp(got.payload.data, e.payload.data, e.payload.len)
                      == 0);
            }
        }
    }

    unit_pool_free(&pool);
}


static void
test_contents(void)
{
    u_char                buf[256], *end;
    ngx_chat_envelope_t   e, got;

    envelope_set(&e, 1, 0);
    ngx_str_set(&e.channel, "chat");
    ngx_str_set(&e.payload, "{\"event\":\"new_message\"}\0x");

    end = ngx_chat_envelope_pack(buf, &e);

    CHECK_INT(ngx_chat_envelope_unpack(&got, buf, end - buf), NGX_OK);
    CHECK_STR(got.channel, "chat");
    CHECK_STR(got.payload, "{\"event\":\"new_message\"}\0x");
}


/* No shorter and no longer piece of a record is a record. */

static void
test_lengths(void)
{
    u_char               *p;
    size_t                len, size;
    ngx_chat_envelope_t   e, got;

    u_char  buf[512];

    memset(buf, 0, sizeof(buf));

    envelope_set(&e, 20, 30);
    size = ngx_chat_envelope_size(&e);
    (void) ngx_chat_envelope_pack(buf, &e);

    for (len = 0; len < sizeof(buf); len++) {
        p = unit_copy(&pool, buf, len);
        CHECK_INT(ngx_chat_envelope_unpack(&got, p, len),
                  (len == size) ? NGX_OK : NGX_ERROR);
    }

    unit_pool_free(&pool);
}


/* Whatever byte is changed: an error, or strings inside the record. */

static void
test_damage(void)
{
    u_char               *p;
    size_t                i, size;
    ngx_uint_t            n, errors;
    ngx_chat_envelope_t   e, got;

    envelope_set(&e, 3, 5);
    size = ngx_chat_envelope_size(&e);
    p = unit_alloc(&pool, size);
    errors = 0;

    for (i = 0; i < size; i++) {
        for (n = 0; n < 256; n++) {
            (void) ngx_chat_envelope_pack(p, &e);
            p[i] = (u_char) n;

            if (ngx_chat_envelope_unpack(&got, p, size) != NGX_OK) {
                errors++;
                continue;
            }

            if (got.channel.data < p || got.channel.len == 0
                || got.channel.data + got.channel.len != got.payload.data
                || got.payload.data + got.payload.len != p + size)
            {
                CHECK_INT(i, -1);
            }
        }
    }

    CHECK(errors > 1000);

    memset(p, 0, size);
    CHECK_INT(ngx_chat_envelope_unpack(&got, p, size), NGX_ERROR);
    memset(p, 0xff, size);
    CHECK_INT(ngx_chat_envelope_unpack(&got, p, size), NGX_ERROR);

    unit_pool_free(&pool);
}


static void
test_refused(void)
{
    u_char               *p;
    size_t                size;
    ngx_chat_envelope_t   e, got;

    envelope_set(&e, 0, 5);
    size = ngx_chat_envelope_size(&e);
    p = unit_alloc(&pool, size);
    (void) ngx_chat_envelope_pack(p, &e);
    CHECK_INT(ngx_chat_envelope_unpack(&got, p, size), NGX_ERROR);

    envelope_set(&e, 256, 5);
    size = ngx_chat_envelope_size(&e);
    p = unit_alloc(&pool, size);
    (void) ngx_chat_envelope_pack(p, &e);
    CHECK_INT(ngx_chat_envelope_unpack(&got, p, size), NGX_ERROR);

    envelope_set(&e, 5, 5);
    e.type = 0;
    size = ngx_chat_envelope_size(&e);
    p = unit_alloc(&pool, size);
    (void) ngx_chat_envelope_pack(p, &e);
    CHECK_INT(ngx_chat_envelope_unpack(&got, p, size), NGX_ERROR);

    unit_pool_free(&pool);
}


int
main(void)
{
    RUN(test_round_trip);
    RUN(test_contents);
    RUN(test_lengths);
    RUN(test_damage);
    RUN(test_refused);

    return unit_done();
}
