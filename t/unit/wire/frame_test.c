
/* sources: wire/ngx_chat_frame.c wire/ngx_chat_utf8.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <wire/ngx_chat_frame.h>


#define EVENTS_SIZE  1024

#define HELLO_MASKED "\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"


typedef struct {
    ngx_str_t          bytes;
    ngx_uint_t         at;             /* the byte that shows the fault */
} frame_bad_t;


typedef struct {
    u_char             text[EVENTS_SIZE];
    size_t             len;
} frame_events_t;


static unit_pool_t  pool;


static frame_bad_t  bad[] = {
    { ngx_string("\xc1\x80\0\0\0\0"), 1 },            /* reserved bit 1 */
    { ngx_string("\xa1\x80\0\0\0\0"), 1 },            /* reserved bit 2 */
    { ngx_string("\x91\x80\0\0\0\0"), 1 },            /* reserved bit 3 */
    { ngx_string("\x83\x80\0\0\0\0"), 1 },            /* opcode 3 */
    { ngx_string("\x84\x80\0\0\0\0"), 1 },
    { ngx_string("\x85\x80\0\0\0\0"), 1 },
    { ngx_string("\x86\x80\0\0\0\0"), 1 },
    { ngx_string("\x87\x80\0\0\0\0"), 1 },
    { ngx_string("\x8b\x80\0\0\0\0"), 1 },            /* opcode 11 */
    { ngx_string("\x8c\x80\0\0\0\0"), 1 },
    { ngx_string("\x8d\x80\0\0\0\0"), 1 },
    { ngx_string("\x8e\x80\0\0\0\0"), 1 },
    { ngx_string("\x8f\x80\0\0\0\0"), 1 },
    { ngx_string("\x81\x05Hello"), 2 },               /* unmasked */
    { ngx_string("\x89\0"), 2 },
    { ngx_string("\x09\x80\0\0\0\0"), 1 },            /* fragmented ping */
    { ngx_string("\x0a\x80\0\0\0\0"), 1 },            /* fragmented pong */
    { ngx_string("\x08\x80\0\0\0\0"), 1 },            /* fragmented close */
    { ngx_string("\x89\xfe\0\x7e\0\0\0\0"), 2 },      /* ping of 126 */
    { ngx_string("\x8a\xff\0\0\0\0\0\1\0\0\0\0\0\0"), 2 },
    { ngx_string("\x88\xfe\0\x05\0\0\0\0"), 2 },
    { ngx_string("\x80\x80\0\0\0\0"), 1 },            /* nothing to continue */
    { ngx_string("\0\x80\0\0\0\0"), 1 },
    { ngx_string("\x81\xfe\0\x7d\0\0\0\0"), 4 },      /* 125 in two bytes */
    { ngx_string("\x81\xfe\0\0\0\0\0\0"), 4 },
    { ngx_string("\x81\xff\0\0\0\0\0\0\xff\xff\0\0\0\0"), 10 },
    { ngx_string("\x81\xff\0\0\0\0\0\0\0\x01\0\0\0\0"), 10 },
    { ngx_string("\x81\xff\x80\0\0\0\0\0\0\0\0\0\0\0"), 10 },
    { ngx_string("\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"), 10 },
    { ngx_string("\x01\x80\0\0\0\0\x81\x80\0\0\0\0"), 7 },
    { ngx_string("\x01\x80\0\0\0\0\x02\x80\0\0\0\0"), 7 },
    { ngx_string("\x02\x80\0\0\0\0\x01\x80\0\0\0\0"), 7 },
    { ngx_string("\x01\x80\0\0\0\0\x80\x80\0\0\0\0\x80\x80\0\0\0\0"), 13 },
    { ngx_string("\x81\x80\0\0\0\0\x80\x80\0\0\0\0"), 7 },
    { ngx_string("\x01\x80\0\0\0\0\x89\x80\0\0\0\0\x81\x80\0\0\0\0"), 13 },
    { ngx_null_string, 0 }
};


static void
events_add(frame_events_t *e, const char *format, ...)
{
    va_list  args;

    va_start(args, format);
    e->len += vsnprintf((char *) e->text + e->len, EVENTS_SIZE - e->len,
                        format, args);
    va_end(args);
}


/* Decodes step bytes at a time, as a connection would; notes what comes. */

static size_t
decode(frame_events_t *e, u_char *bytes, size_t len, size_t step)
{
    u_char            *p, *last, *end;
    size_t             n;
    ngx_int_t          rc;
    ngx_uint_t         payload;
    ngx_chat_frame_t   f;

    ngx_chat_frame_init(&f);

    memset(e, 0, sizeof(frame_events_t));

    p = bytes;
    end = bytes + len;
    payload = 0;

    while (p < end || payload) {

        last = (step < (size_t) (end - p)) ? p + step : end;

        if (!payload) {
            rc = ngx_chat_frame_read_header(&f, &p, last);

            if (rc == NGX_ERROR) {
                events_add(e, "ERROR ");
                return p - bytes;
            }

            if (rc == NGX_AGAIN) {
                CHECK(p == last);
                continue;
            }

            CHECK_INT(f.received, 0);
            events_add(e, "%x%s%s%s:", f.opcode, f.fin ? "F" : "",
                       f.in_message ? "M" : "", f.binary ? "B" : "");
            payload = 1;
        }

        n = ngx_chat_frame_read_payload(&f, p, last);

        CHECK(n <= (size_t) (last - p));
        events_add(e, "%.*s", (int) n, (char *) p);
        p += n;

        if (f.received == f.length) {
            ngx_chat_frame_next(&f);
            events_add(e, " ");
            payload = 0;

        } else if (p == end) {
            events_add(e, "...");
            break;
        }
    }

    events_add(e, f.in_message ? "open" : "done");

    return p - bytes;
}


/* All at once and byte by byte must see the same. */

static void
check_decode(const char *name, u_char *bytes, size_t len,
    const char *expected)
{
    u_char          *copy;
    size_t           step;
    frame_events_t   e;

    for (step = 1; step <= len; step++) {
        copy = unit_copy(&pool, bytes, len);

        decode(&e, copy, len, step);

        if (!CHECK(strcmp((char *) e.text, expected) == 0)) {
            printf("# %s, step %d:\n#      got: %s\n# expected: %s\n", name,
                   (int) step, e.text, expected);
        }
    }

    unit_pool_free(&pool);
}


#define CHECK_DECODE(bytes, expected)                                         \
    check_decode(#bytes, (u_char *) bytes, sizeof(bytes) - 1, expected)


/* RFC 6455, section 5.7 */

static void
test_rfc_examples(void)
{
    u_char            *p, *bytes;
    u_char             out[NGX_CHAT_FRAME_HEADER_OUT];
    ngx_chat_frame_t   f;

    /* a single-frame unmasked text message: what we send */

    p = ngx_chat_frame_write_header(out, NGX_CHAT_FRAME_TEXT, 5);
    CHECK_BYTES(out, p - out, "\x81\x05");

    /* a single-frame masked text message */

    CHECK_DECODE("\x81\x85" HELLO_MASKED, "1FM:Hello done");

    /* fragmented, here masked, with a ping in between */

    CHECK_DECODE("\x01\x83\0\0\0\0Hel", "1M:Hel open");
    CHECK_DECODE("\x01\x83\0\0\0\0Hel" "\x80\x82\0\0\0\0lo",
                 "1M:Hel 0FM:lo done");

    /* ping and its masked response, the same bytes either way */

    p = ngx_chat_frame_write_header(out, NGX_CHAT_FRAME_PING, 5);
    CHECK_BYTES(out, p - out, "\x89\x05");
    CHECK_DECODE("\x8a\x85" HELLO_MASKED, "aF:Hello done");
    CHECK_DECODE("\x89\x85" HELLO_MASKED, "9F:Hello done");

    /* 256 bytes and 64 KiB of binary, unmasked */

    p = ngx_chat_frame_write_header(out, NGX_CHAT_FRAME_BINARY, 256);
    CHECK_BYTES(out, p - out, "\x82\x7e\x01\x00");

    p = ngx_chat_frame_write_header(out, NGX_CHAT_FRAME_BINARY, 65536);
    CHECK_BYTES(out, p - out, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00");

    /* the same two, masked */

    ngx_chat_frame_init(&f);
    bytes = unit_copy(&pool, "\x82\xfe\x01\x00\x01\x02\x03\x04", 8);
    p = bytes;
    CHECK_INT(ngx_chat_frame_read_header(&f, &p, bytes + 8), NGX_OK);
    CHECK_INT(p - bytes, 8);
    CHECK_INT(f.length, 256);
    CHECK_BYTES(f.mask, 4, "\1\2\3\4");

    ngx_chat_frame_init(&f);
    bytes = unit_copy(&pool,
                      "\x82\xff\0\0\0\0\0\x01\0\0\x01\x02\x03\x04", 14);
    p = bytes;
    CHECK_INT(ngx_chat_frame_read_header(&f, &p, bytes + 14), NGX_OK);
    CHECK_INT(p - bytes, 14);
    CHECK_INT(f.length, 65536);
    CHECK_BYTES(f.mask, 4, "\1\2\3\4");
    CHECK(f.binary);

    unit_pool_free(&pool);
}


static void
test_sequences(void)
{
    /* control frames inside a message leave it open */

    CHECK_DECODE("\x01\x81\0\0\0\0a" "\x89\x81\0\0\0\0p"
                 "\x00\x81\0\0\0\0b" "\x8a\x80\0\0\0\0"
                 "\x80\x81\0\0\0\0c" "\x81\x81\0\0\0\0d",
                 "1M:a 9FM:p 0M:b aFM: 0FM:c 1FM:d done");

    /* a message of empty fragments */

    CHECK_DECODE("\x02\x80\1\2\3\4" "\0\x80\1\2\3\4" "\x80\x80\1\2\3\4",
                 "2MB: 0MB: 0FMB: done");

    /* text after binary is no longer binary */

    CHECK_DECODE("\x82\x81\0\0\0\0a" "\x81\x81\0\0\0\0b",
                 "2FMB:a 1FM:b done");

    /* the mask is each frame's own */

    CHECK_DECODE("\x81\x83\x01\x01\x01\x01``c" "\x81\x82\x20\x20\x20\x20"
                 "AA", "1FM:aab 1FM:aa done");

    /* a close frame, and a truncated frame */

    CHECK_DECODE("\x88\x82\0\0\0\0ok", "8F:ok done");
    CHECK_DECODE("\x81\x85\0\0\0\0Hel", "1FM:Hel...open");
    CHECK_DECODE("\x81\x85\0\0", "done");
}


static void
test_errors(void)
{
    u_char          *copy;
    size_t           step, at, len;
    ngx_uint_t       i;
    frame_events_t   e;

    for (i = 0; bad[i].bytes.len; i++) {
        len = bad[i].bytes.len;

        for (step = 1; step <= len; step++) {
            copy = unit_copy(&pool, bad[i].bytes.data, len);
            at = decode(&e, copy, len, step);

            if (!CHECK(strstr((char *) e.text, "ERROR") != NULL)
                || !CHECK_INT(at, bad[i].at))
            {
                unit_dump("case", bad[i].bytes.data, len);
            }
        }

        /* not one byte more is needed to see it */

        copy = unit_copy(&pool, bad[i].bytes.data, bad[i].at);
        (void) decode(&e, copy, bad[i].at, bad[i].at);
        CHECK(strstr((char *) e.text, "ERROR") != NULL);

        unit_pool_free(&pool);
    }
}


/* Any mask, split anywhere, at any address. */

static void
test_unmask(void)
{
    u_char            *p;
    size_t             i, len, first, second, shift;
    ngx_uint_t         wrong;
    ngx_chat_frame_t   f;

    static u_char  mask[] = { 0xa5, 0x01, 0xff, 0x3c };

    wrong = 0;

    for (len = 0; len < 40; len++) {
        for (first = 0; first <= len; first++) {
            for (second = first; second <= len; second += 3) {

                shift = (len + first) & 7;
                p = unit_alloc(&pool, shift + len);
                p += shift;

                for (i = 0; i < len; i++) {
                    p[i] = (u_char) ((i * 7) ^ mask[i & 3]);
                }

                ngx_chat_frame_init(&f);
                ngx_memcpy(f.mask, mask, 4);
                f.length = len;

                wrong += ngx_chat_frame_read_payload(&f, p, p + first)
                         != first;
                wrong += ngx_chat_frame_read_payload(&f, p + first,
                                                     p + second)
                         != second - first;
                wrong += ngx_chat_frame_read_payload(&f, p + second, p + len)
                         != len - second;
                wrong += f.received != len;

                for (i = 0; i < len; i++) {
                    wrong += p[i] != (u_char) (i * 7);
                }
            }
        }
    }

    CHECK_INT(wrong, 0);

    unit_pool_free(&pool);
}


/* What follows the frame is left alone. */

static void
test_payload_end(void)
{
    u_char            *p;
    ngx_chat_frame_t   f;

    p = unit_copy(&pool, "\1\1\1\1\1\1\1\1\1\1\1\1", 12);

    ngx_chat_frame_init(&f);
    ngx_memcpy(f.mask, "\1\1\1\1", 4);
    f.length = 9;

    CHECK_INT(ngx_chat_frame_read_payload(&f, p, p + 12), 9);
    CHECK_BYTES(p, 12, "\0\0\0\0\0\0\0\0\0\1\1\1");
    CHECK_INT(ngx_chat_frame_read_payload(&f, p + 9, p + 12), 0);

    unit_pool_free(&pool);
}


static void
test_long_lengths(void)
{
    u_char            *p, *last;
    ngx_chat_frame_t   f;

    static u_char  max[] = "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff"
                           "abcdx";
    static u_char  mid[] = "\x81\xfe\xff\xff" "abcd";
    static u_char  low[] = "\x81\xfe\x00\x7e" "abcd";

    ngx_chat_frame_init(&f);
    p = max;
    last = max + sizeof(max) - 1;
    CHECK_INT(ngx_chat_frame_read_header(&f, &p, last), NGX_OK);
    CHECK(f.length == 0x7fffffffffffffffULL);
    CHECK_BYTES(f.mask, 4, "abcd");
    CHECK_INT(last - p, 1);
    CHECK_INT(ngx_chat_frame_read_payload(&f, p, last), 1);
    CHECK_INT(*p, 'x' ^ 'a');

    ngx_chat_frame_init(&f);
    p = mid;
    CHECK_INT(ngx_chat_frame_read_header(&f, &p, mid + 8), NGX_OK);
    CHECK_INT(f.length, 65535);

    ngx_chat_frame_init(&f);
    p = low;
    CHECK_INT(ngx_chat_frame_read_header(&f, &p, low + 8), NGX_OK);
    CHECK_INT(f.length, 126);

    /* nothing there: nothing happens */

    ngx_chat_frame_init(&f);
    p = low;
    CHECK_INT(ngx_chat_frame_read_header(&f, &p, low), NGX_AGAIN);
    CHECK(p == low);
}


static void
test_write_header(void)
{
    u_char       *p, *out;
    size_t        i;

    static size_t  lens[] = { 0, 1, 125, 126, 127, 65535, 65536, 1 << 20 };

    for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        out = unit_alloc(&pool, ngx_chat_frame_header_size(lens[i]));
        p = ngx_chat_frame_write_header(out, NGX_CHAT_FRAME_TEXT, lens[i]);
        CHECK_INT(p - out, ngx_chat_frame_header_size(lens[i]));
    }

    out = unit_alloc(&pool, NGX_CHAT_FRAME_HEADER_OUT);

    p = ngx_chat_frame_write_header(out, NGX_CHAT_FRAME_CLOSE, 0);
    CHECK_BYTES(out, p - out, "\x88\x00");

    p = ngx_chat_frame_write_header(out, NGX_CHAT_FRAME_PONG, 125);
    CHECK_BYTES(out, p - out, "\x8a\x7d");

    p = ngx_chat_frame_write_header(out, NGX_CHAT_FRAME_TEXT, 126);
    CHECK_BYTES(out, p - out, "\x81\x7e\x00\x7e");

    p = ngx_chat_frame_write_header(out, NGX_CHAT_FRAME_TEXT, 65535);
    CHECK_BYTES(out, p - out, "\x81\x7e\xff\xff");

    p = ngx_chat_frame_write_header(out, NGX_CHAT_FRAME_TEXT, 0x12345678);
    CHECK_BYTES(out, p - out, "\x81\x7f\0\0\0\0\x12\x34\x56\x78");

    unit_pool_free(&pool);
}


static void
test_close_codes(void)
{
    u_char      payload[2];
    ngx_int_t   rc;
    ngx_uint_t  n, code, good;

    for (n = 0; n < 65536; n++) {
        payload[0] = (u_char) (n >> 8);
        payload[1] = (u_char) n;

        good = (n >= 1000 && n <= 1003) || (n >= 1007 && n <= 1014)
               || (n >= 3000 && n <= 4999);

        code = 0;
        rc = ngx_chat_frame_read_close(payload, 2, &code);

        if (rc != (good ? NGX_OK : NGX_ERROR) || code != (good ? n : 1002)) {
            CHECK_INT(n, -1);
        }
    }
}


static void
test_close_payload(void)
{
    ngx_uint_t   code;

    CHECK_INT(ngx_chat_frame_read_close(NULL, 0, &code), NGX_OK);
    CHECK_INT(code, 1005);

    CHECK_INT(ngx_chat_frame_read_close(unit_copy(&pool, "\x03", 1), 1,
                                        &code), NGX_ERROR);
    CHECK_INT(code, 1002);

    CHECK_INT(ngx_chat_frame_read_close(unit_copy(&pool, "\x03\xe8" "bye", 5),
                                        5, &code), NGX_OK);
    CHECK_INT(code, 1000);

    CHECK_INT(ngx_chat_frame_read_close(unit_copy(&pool, "\x03\xe8\xff", 3),
                                        3, &code), NGX_ERROR);
    CHECK_INT(code, 1007);

    CHECK_INT(ngx_chat_frame_read_close(unit_copy(&pool, "\x03\xe8\xe2\x82",
                                                  4), 4, &code), NGX_ERROR);
    CHECK_INT(code, 1007);

    /* a wrong code counts before a wrong reason */

    CHECK_INT(ngx_chat_frame_read_close(unit_copy(&pool, "\x03\xed\xff", 3),
                                        3, &code), NGX_ERROR);
    CHECK_INT(code, 1002);

    unit_pool_free(&pool);
}


int
main(void)
{
    RUN(test_rfc_examples);
    RUN(test_sequences);
    RUN(test_errors);
    RUN(test_unmask);
    RUN(test_payload_end);
    RUN(test_long_lengths);
    RUN(test_write_header);
    RUN(test_close_codes);
    RUN(test_close_payload);

    return unit_done();
}
