
/* sources: websocket/ngx_chat_decoder.c wire/ngx_chat_frame.c */
/* sources: wire/ngx_chat_utf8.c */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * WebSocket frames: the same bytes give the same messages, in whatever pieces
 * they come, and those that a second decoder here finds in them.
 */


#include "fuzz.h"

#include <websocket/ngx_chat_decoder.h>


#define EVENTS  512


/* What nginx has for the intake. */

void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    (void) log;

    return malloc(size);
}


void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
    const char *fmt, ...)
{
    (void) level;
    (void) log;
    (void) err;
    (void) fmt;
}


/* A message, or with opcode 0 the code of what ended it all. */
typedef struct {
    ngx_uint_t         opcode;
    ngx_uint_t         code;
    ngx_str_t          payload;
} event_t;


typedef struct {
    unit_pool_t       *pool;
    ngx_uint_t         n;
    event_t            events[EVENTS];
} result_t;


static void
add(result_t *r, ngx_uint_t opcode, ngx_uint_t code, const u_char *p,
    size_t len)
{
    event_t  *e;

    if (r->n == EVENTS) {
        return;
    }

    e = &r->events[r->n++];

    e->opcode = opcode;
    e->code = code;
    e->payload.len = len;
    e->payload.data = unit_copy(r->pool, p, len);
}


static void
expect_same(result_t *a, result_t *b)
{
    ngx_uint_t  i;

    EXPECT(a->n == b->n);

    for (i = 0; i < a->n; i++) {
        EXPECT(a->events[i].opcode == b->events[i].opcode);
        EXPECT(a->events[i].code == b->events[i].code);
        EXPECT(fuzz_same(&a->events[i].payload, &b->events[i].payload));
    }
}


/* Each piece is in memory of its own, and gone before the next one comes. */

static void
decode(result_t *r, ngx_str_t *bytes, size_t limit, ngx_uint_t seed)
{
    size_t              n;
    fuzz_t              f;
    u_char             *pos;
    ngx_log_t           log;
    ngx_int_t           rc;
    ngx_str_t           piece;
    unit_pool_t         pool;
    ngx_chat_decoder_t  in;
    ngx_chat_decoded_t  d;

    memset(&log, 0, sizeof(ngx_log_t));
    memset(&pool, 0, sizeof(unit_pool_t));
    memset(&d, 0, sizeof(ngx_chat_decoded_t));

    ngx_chat_decoder_init(&in, limit);

    f.p = bytes->data;
    f.len = bytes->len;
    rc = NGX_AGAIN;

    while (f.len && rc == NGX_AGAIN) {

        /* 0: all at once, 1: byte by byte, else as the dice fall */

        seed = (seed < 2) ? seed : seed * 1103515245 + 12345;
        n = (seed == 0) ? f.len : (seed == 1) ? 1 : 1 + (seed >> 16) % 23;

        piece = fuzz_take(&f, &pool, n);
        pos = piece.data;

        for ( ;; ) {
            rc = ngx_chat_decoder_read(&in, &d, &pos,
                                       piece.data + piece.len, &log);
            if (rc != NGX_OK) {
                break;
            }

            EXPECT(d.payload.len <= ngx_max(limit, 125));
            add(r, d.opcode, 0, d.payload.data, d.payload.len);
        }

        EXPECT(rc != NGX_ERROR);
        EXPECT(rc != NGX_AGAIN || pos == piece.data + piece.len);

        unit_pool_free(&pool);
    }

    if (rc == NGX_DECLINED) {
        add(r, 0, d.code, NULL, 0);
    }

    ngx_chat_decoder_clear(&in);
}


/* The second decoder: has all the bytes, and takes a frame at a time. */
typedef struct {
    u_char            *p;
    size_t             len;

    ngx_uint_t         opcode;
    ngx_uint_t         fin;
    uint64_t           length;
    size_t             header;         /* bytes */
    ngx_uint_t         open;           /* a message is */
} slow_t;


/* 1: a whole header, 0: more is needed, -1: nonsense. */

static int
slow_header(slow_t *s)
{
    size_t  i, extended;

    if (s->len == 0) {
        return 0;
    }

    s->opcode = s->p[0] & 0xf;
    s->fin = s->p[0] >> 7;

    if ((s->p[0] & 0x70)
        || (s->opcode >= 3 && s->opcode <= 7) || s->opcode >= 11
        || (s->opcode >= 8 && !s->fin)
        || (s->opcode == 0 && !s->open)
        || (s->opcode >= 1 && s->opcode <= 2 && s->open))
    {
        return -1;
    }

    if (s->len == 1) {
        return 0;
    }

    s->length = s->p[1] & 0x7f;

    if (s->p[1] < 0x80 || (s->opcode >= 8 && s->length > 125)) {
        return -1;
    }

    extended = (s->length == 126) ? 2 : (s->length == 127) ? 8 : 0;

    if (s->len < 2 + extended) {
        return 0;
    }

    if (extended) {
        s->length = 0;

        for (i = 0; i < extended; i++) {
            s->length = s->length << 8 | s->p[2 + i];
        }

        if (s->length < 126
            || (extended == 8
                && (s->length < 65536 || s->length > INT64_MAX)))
        {
            return -1;
        }
    }

    s->header = 2 + extended + 4;

    return s->len >= s->header;
}


/* The frame's payload, as far as it is there, behind what is in text. */

static size_t
slow_payload(slow_t *s, ngx_str_t *text)
{
    size_t   i, n;
    u_char  *mask;

    n = ngx_min(s->length, s->len - s->header);
    mask = s->p + s->header - 4;

    for (i = 0; i < n; i++) {
        text->data[text->len++] = s->p[s->header + i] ^ mask[i % 4];
    }

    s->p += s->header + n;
    s->len -= s->header + n;

    return n;
}


static void
decode_slowly(result_t *r, ngx_str_t *bytes, size_t limit)
{
    int         rc, utf8;
    size_t      n, whole;
    slow_t      s;
    ngx_str_t   message, control, *text;

    memset(&s, 0, sizeof(slow_t));

    s.p = bytes->data;
    s.len = bytes->len;

    message.data = unit_alloc(r->pool, bytes->len);
    message.len = 0;
    control.data = unit_alloc(r->pool, bytes->len);

    for ( ;; ) {
        rc = slow_header(&s);

        if (rc == 0) {
            return;
        }

        if (rc < 0 || s.opcode == 2
            || (s.opcode < 8 && s.length > limit - message.len))
        {
            add(r, 0, rc < 0 ? 1002 : s.opcode == 2 ? 1003 : 1009, NULL, 0);
            return;
        }

        control.len = 0;
        text = (s.opcode < 8) ? &message : &control;

        n = slow_payload(&s, text);

        if (s.opcode < 8) {
            utf8 = fuzz_utf8(message.data, message.len, &whole);
            s.open = 1;

            if (utf8 < 0 || (utf8 == 0 && s.fin && n == s.length)) {
                add(r, 0, 1007, NULL, 0);
                return;
            }
        }

        if (n < s.length) {
            return;
        }

        if (s.fin) {
            add(r, s.opcode < 8 ? 1 : s.opcode, 0, text->data, text->len);
        }

        if (s.opcode < 8 && s.fin) {
            s.open = 0;
            message.len = 0;
        }
    }
}


/* Frames that are right, mostly; what is wrong with one is up to the input. */

static ngx_str_t
make_frames(fuzz_t *f, unit_pool_t *pool)
{
    size_t      i, n;
    u_char     *p, *mask;
    ngx_str_t   s, payload;
    ngx_uint_t  first, size;

    s.data = unit_alloc(pool, 16 * (f->len + 1));
    p = s.data;

    while (f->len) {
        first = fuzz_byte(f);
        size = fuzz_byte(f);
        n = (size < 250) ? size : size * 30;

        payload = fuzz_take(f, pool, n);
        n = payload.len;

        *p++ = (u_char) (first & (first & 0x40 ? 0x8f : 0xff));

        if (n < 126) {
            *p++ = 0x80 | n;

        } else {
            *p++ = 0x80 | 126;
            *p++ = (u_char) (n >> 8);
            *p++ = (u_char) n;
        }

        mask = p;
        *p++ = (u_char) first;
        *p++ = (u_char) (first * 7);
        *p++ = (u_char) size;
        *p++ = (u_char) (size * 13);

        for (i = 0; i < n; i++) {
            *p++ = payload.data[i] ^ mask[i % 4];
        }
    }

    s.len = p - s.data;

    return s;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t            f;
    size_t            limit;
    ngx_str_t         bytes;
    ngx_uint_t        how, seed;
    unit_pool_t       pool;

    static result_t   whole, single, pieces, slow;

    memset(&pool, 0, sizeof(unit_pool_t));

    f.p = (u_char *) data;
    f.len = size;

    how = fuzz_byte(&f);
    seed = 2 + fuzz_byte(&f);
    limit = (how & 2) ? 65536 : (how & 4) ? 600 : how;

    bytes = (how & 1) ? make_frames(&f, &pool)
                      : fuzz_take(&f, &pool, f.len);

    whole.pool = single.pool = pieces.pool = slow.pool = &pool;
    whole.n = single.n = pieces.n = slow.n = 0;

    decode(&whole, &bytes, limit, 0);
    decode(&single, &bytes, limit, 1);
    decode(&pieces, &bytes, limit, seed);
    decode_slowly(&slow, &bytes, limit);

    expect_same(&whole, &single);
    expect_same(&whole, &pieces);
    expect_same(&whole, &slow);

    unit_pool_free(&pool);

    return 0;
}
