
/* sources: wire/ngx_chat_line.c wire/ngx_chat_frame.c wire/ngx_chat_utf8.c */
/* sources: wire/ngx_chat_json.c libs: -lyajl */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Lines of the HTTP fallback: what they look like, and that a JSON reader
 * finds in them what was in the frame.
 */


#include <unit.h>
#include <wire/ngx_chat_frame.h>
#include <wire/ngx_chat_json.h>
#include <wire/ngx_chat_line.h>


static unit_pool_t  pool;


/* Frames, one behind the other. */

typedef struct {
    u_char  *start;
    u_char  *last;
} frames_t;


static void
add(frames_t *f, ngx_uint_t opcode, const char *payload, size_t len)
{
    u_char  *p;
    size_t   had;

    had = f->start ? f->last - f->start : 0;

    p = unit_alloc(&pool, had + ngx_chat_frame_header_size(len) + len);

    if (had) {
        memcpy(p, f->start, had);
    }

    f->start = p;
    p = ngx_chat_frame_write_header(p + had, opcode, len);
    memcpy(p, payload, len);
    f->last = p + len;
}


/* A line, which is counted first and written into exactly that much. */

static ngx_str_t
next_line(u_char **pos)
{
    u_char     *p;
    size_t      n;
    ngx_str_t   line;

    p = *pos;

    line.len = ngx_chat_line_render(NULL, &p);
    line.data = unit_alloc(&pool, line.len ? line.len : 1);

    n = ngx_chat_line_render(line.data, pos);

    CHECK_INT(n, line.len);
    CHECK(p == *pos);

    return line;
}


static ngx_str_t
line_of(ngx_uint_t opcode, const char *payload, size_t len)
{
    u_char    *p;
    frames_t   f;
    ngx_str_t  line;

    memset(&f, 0, sizeof(frames_t));
    add(&f, opcode, payload, len);

    p = f.start;
    line = next_line(&p);
    CHECK(p == f.last);

    return line;
}


#define CHECK_LINE(opcode, payload, expected)                                 \
    CHECK_STR(line_of(opcode, payload, sizeof(payload) - 1), expected)


static void
test_kinds(void)
{
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "{}", "a[\"{}\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "", "a[\"\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_PING, "", "h\n");
    CHECK_LINE(NGX_CHAT_FRAME_PING, "1f", "h\n");
    CHECK_LINE(NGX_CHAT_FRAME_PONG, "1f", "");
    CHECK_LINE(NGX_CHAT_FRAME_CLOSE, "\x10\x68" "Go", "c[4200,\"Go\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_CLOSE, "\x0f\xa1" "\"key\"",
               "c[4001,\"\\\"key\\\"\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_CLOSE, "\x10\x68", "c[4200,\"\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_CLOSE, "", "c[1000,\"\"]\n");

    unit_pool_free(&pool);
}


static void
test_escapes(void)
{
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\"\\", "a[\"\\\"\\\\\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\n\r\x01\x7f",
               "a[\"\\u000a\\u000d\\u0001\\u007f\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\0", "a[\"\\u0000\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\xc5\xbe", "a[\"\\u017e\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\xe2\x80\xa8", "a[\"\\u2028\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\xef\xbf\xbf", "a[\"\\uffff\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\xf0\x9f\x98\x80",
               "a[\"\\ud83d\\ude00\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\xf0\x90\x80\x80",
               "a[\"\\ud800\\udc00\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\xf4\x8f\xbf\xbf",
               "a[\"\\udbff\\udfff\"]\n");

    unit_pool_free(&pool);
}


/* No text has such bytes, and none of them breaks a line. */

static void
test_not_utf8(void)
{
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\xff-", "a[\"\\ufffd-\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\x80", "a[\"\\ufffd\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\xc0\x80", "a[\"\\ufffd\\ufffd\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\xe2\x80", "a[\"\\ufffd\\ufffd\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\xf0\x9f\x98",
               "a[\"\\ufffd\\ufffd\\ufffd\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\xed\xa0\x80",
               "a[\"\\ufffd\\ufffd\\ufffd\"]\n");
    CHECK_LINE(NGX_CHAT_FRAME_TEXT, "\xf4\x90\x80\x80",
               "a[\"\\ufffd\\ufffd\\ufffd\\ufffd\"]\n");

    unit_pool_free(&pool);
}


static void *
json_alloc(void *ctx, size_t size)
{
    return unit_alloc(ctx, size);
}


/* Every character there is, in frames of all three sizes of header. */

static void
test_decoded(void)
{
    u_char                 *p, *text;
    size_t                  len, i, n;
    frames_t                f;
    uint32_t                code;
    ngx_str_t               line, beat;
    ngx_chat_json_t         json;
    ngx_chat_json_value_t  *v;

    static size_t  sizes[] = { 100, 125, 126, 1000, 65535, 65536, 300000 };

    code = 0;

    for (i = 0; code < 0x110000; i++) {

        len = sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];
        text = unit_alloc(&pool, len);

        for (n = 0; n < len; code++) {

            code = (code == 0xd800) ? 0xe000 : code;

            if (len - n < 4 || code >= 0x110000) {
                /* at the end: the character comes in the next text */
                text[n++] = 'x';
                code--;
                continue;
            }

            if (code < 0x80) {
                text[n++] = (u_char) code;
                continue;
            }

            if (code < 0x800) {
                text[n++] = (u_char) (0xc0 | code >> 6);

            } else {
                if (code < 0x10000) {
                    text[n++] = (u_char) (0xe0 | code >> 12);

                } else {
                    text[n++] = (u_char) (0xf0 | code >> 18);
                    text[n++] = (u_char) (0x80 | (code >> 12 & 0x3f));
                }

                text[n++] = (u_char) (0x80 | (code >> 6 & 0x3f));
            }

            text[n++] = (u_char) (0x80 | (code & 0x3f));
        }

        memset(&f, 0, sizeof(frames_t));
        add(&f, NGX_CHAT_FRAME_TEXT, (char *) text, len);
        add(&f, NGX_CHAT_FRAME_PING, "", 0);

        p = f.start;
        line = next_line(&p);

        beat = next_line(&p);

        CHECK_STR(beat, "h\n");
        CHECK(p == f.last);

        for (n = 0; n < line.len; n++) {
            if (line.data[n] >= 0x7f
                || (line.data[n] < 0x20 && n != line.len - 1))
            {
                break;
            }
        }

        CHECK_INT(n, line.len);
        CHECK(line.data[0] == 'a');
        CHECK(line.data[line.len - 1] == '\n');

        json.alloc = json_alloc;
        json.ctx = &pool;

        if (CHECK(ngx_chat_json_parse(&json, line.data + 1, line.len - 2, &v)
                  == NGX_OK))
        {
            unit_check_bytes(v->first->text.data, v->first->text.len, text,
                             len, "decoded", __FILE__, __LINE__);
            CHECK(v->first->next == NULL);
        }

        unit_pool_free(&pool);
    }
}


int
main(void)
{
    RUN(test_kinds);
    RUN(test_escapes);
    RUN(test_not_utf8);
    RUN(test_decoded);

    return unit_done();
}
