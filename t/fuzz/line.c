
/* sources: wire/ngx_chat_line.c wire/ngx_chat_frame.c wire/ngx_chat_utf8.c */
/* sources: wire/ngx_chat_json.c wire/ngx_chat_json_write.c libs: -lyajl */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Lines of the HTTP fallback, of frames with any bytes: ASCII, one line each,
 * counted to the byte, and a JSON reader finds in it what was in the frame.
 */


#include "fuzz_json.h"

#include <wire/ngx_chat_frame.h>
#include <wire/ngx_chat_line.h>


/* The rest of a line's list is the text. */

static void
check_text(unit_pool_t *pool, ngx_chat_json_value_t *v, ngx_str_t *text)
{
    ngx_str_t  want;

    want = fuzz_mended(pool, text);

    EXPECT(v != NULL && v->type == NGX_CHAT_JSON_STRING_e && v->next == NULL);
    EXPECT(v->text.len == want.len
           && memcmp(v->text.data, want.data, want.len) == 0);
}


static void
check_line(unit_pool_t *pool, ngx_uint_t opcode, ngx_str_t *payload,
    ngx_str_t *line)
{
    size_t                  i;
    ngx_str_t               reason;
    ngx_chat_json_value_t  *v;

    if (opcode != NGX_CHAT_FRAME_TEXT && opcode != NGX_CHAT_FRAME_CLOSE) {
        EXPECT(line->len == (opcode == NGX_CHAT_FRAME_PING ? 2 : 0));
        return;
    }

    for (i = 0; i < line->len - 1; i++) {
        EXPECT(line->data[i] >= 0x20 && line->data[i] < 0x7f);
    }

    EXPECT(line->data[i] == '\n');

    v = fuzz_json_read(pool, line->data + 1, line->len - 2);

    EXPECT(v->type == NGX_CHAT_JSON_ARRAY_e);

    if (opcode == NGX_CHAT_FRAME_TEXT) {
        EXPECT(line->data[0] == 'a');
        check_text(pool, v->first, payload);
        return;
    }

    EXPECT(line->data[0] == 'c');
    EXPECT(v->first != NULL && v->first->type == NGX_CHAT_JSON_NUMBER_e);

    i = (payload->len < 2) ? 0 : 2;
    reason.data = payload->data + i;
    reason.len = payload->len - i;

    check_text(pool, v->first->next, &reason);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char       *p, *frames;
    size_t        n, len;
    fuzz_t        f;
    ngx_str_t     payload[4], line;
    ngx_uint_t    i, opcode[4];
    unit_pool_t   pool;

    static ngx_uint_t  opcodes[] = {
        NGX_CHAT_FRAME_TEXT, NGX_CHAT_FRAME_CLOSE, NGX_CHAT_FRAME_PING,
        NGX_CHAT_FRAME_PONG
    };

    memset(&pool, 0, sizeof(unit_pool_t));

    f.p = (u_char *) data;
    f.len = size;
    len = 0;

    for (i = 0; i < 4; i++) {
        opcode[i] = opcodes[fuzz_byte(&f) % 4];
        n = fuzz_byte(&f);
        payload[i] = fuzz_take(&f, &pool, n * n);
        len += ngx_chat_frame_header_size(payload[i].len) + payload[i].len;
    }

    frames = unit_alloc(&pool, len);
    p = frames;

    for (i = 0; i < 4; i++) {
        p = ngx_chat_frame_write_header(p, opcode[i], payload[i].len);
        memcpy(p, payload[i].data, payload[i].len);
        p += payload[i].len;
    }

    p = frames;

    for (i = 0; i < 4; i++) {
        u_char  *start;

        start = p;
        line.len = ngx_chat_line_render(NULL, &p);
        line.data = unit_alloc(&pool, line.len ? line.len : 1);

        p = start;
        EXPECT(ngx_chat_line_render(line.data, &p) == line.len);

        check_line(&pool, opcode[i], &payload[i], &line);
    }

    EXPECT(p == frames + len);

    unit_pool_free(&pool);

    return 0;
}
