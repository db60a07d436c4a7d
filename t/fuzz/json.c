
/* sources: wire/ngx_chat_json.c wire/ngx_chat_json_write.c */
/* sources: wire/ngx_chat_utf8.c libs: -lyajl */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * JSON: the reader takes exactly what RFC 8259 has, as a second reader here
 * sees it, and what the writer makes of a value reads as that value again.
 */


#include "fuzz_json.h"


/* Where the second reader is; p is NULL once it has found a fault. */
typedef struct {
    const u_char      *p;
    const u_char      *last;
} rfc_t;


static void rfc_value(rfc_t *r, ngx_uint_t depth);


static ngx_uint_t
rfc_next(rfc_t *r, const char *one_of)
{
    if (r->p && r->p < r->last && *r->p && strchr(one_of, *r->p)) {
        r->p++;
        return 1;
    }

    return 0;
}


static void
rfc_must(rfc_t *r, const char *one_of)
{
    if (!rfc_next(r, one_of)) {
        r->p = NULL;
    }
}


static void
rfc_space(rfc_t *r)
{
    while (rfc_next(r, " \t\r\n")) { /* void */ }
}


static void
rfc_digits(rfc_t *r)
{
    rfc_must(r, "0123456789");

    while (rfc_next(r, "0123456789")) { /* void */ }
}


static void
rfc_number(rfc_t *r)
{
    (void) rfc_next(r, "-");

    if (!rfc_next(r, "0")) {
        rfc_digits(r);
    }

    if (rfc_next(r, ".")) {
        rfc_digits(r);
    }

    if (rfc_next(r, "eE")) {
        (void) rfc_next(r, "+-");
        rfc_digits(r);
    }
}


static uint32_t
rfc_unit(rfc_t *r)
{
    uint32_t    n;
    ngx_uint_t  i;

    n = 0;

    for (i = 0; i < 4; i++) {
        rfc_must(r, "0123456789abcdefABCDEF");

        if (r->p == NULL) {
            return 0;
        }

        n = n << 4 | ((r->p[-1] & 0xf) + (r->p[-1] > '9' ? 9 : 0));
    }

    return n;
}


static void
rfc_string(rfc_t *r)
{
    rfc_must(r, "\"");

    while (r->p && !rfc_next(r, "\"")) {

        if (!rfc_next(r, "\\")) {

            if (r->p == r->last || *r->p < 0x20) {
                r->p = NULL;
                return;
            }

            r->p++;
            continue;
        }

        if (!rfc_next(r, "u")) {
            rfc_must(r, "\"\\/bfnrt");
            continue;
        }

        (void) rfc_unit(r);
    }
}


static void
rfc_word(rfc_t *r, const char *word)
{
    char  letter[2] = { 0, 0 };

    while (*word) {
        letter[0] = *word++;
        rfc_must(r, letter);
    }
}


/* Objects and arrays; the opening bracket has been read. */

static void
rfc_list(rfc_t *r, ngx_uint_t object, ngx_uint_t depth)
{
    const char  *end;

    end = object ? "}" : "]";

    if (depth == NGX_CHAT_JSON_DEPTH) {
        r->p = NULL;
        return;
    }

    rfc_space(r);

    if (rfc_next(r, end)) {
        return;
    }

    do {
        if (object) {
            rfc_space(r);
            rfc_string(r);
            rfc_space(r);
            rfc_must(r, ":");
        }

        rfc_value(r, depth + 1);

    } while (rfc_next(r, ","));

    rfc_must(r, end);
}


static void
rfc_value(rfc_t *r, ngx_uint_t depth)
{
    rfc_space(r);

    if (r->p == NULL || r->p == r->last) {
        r->p = NULL;
        return;
    }

    switch (*r->p) {

    case '{':
    case '[':
        r->p++;
        rfc_list(r, r->p[-1] == '{', depth);
        break;

    case '"':
        rfc_string(r);
        break;

    case 't':
        rfc_word(r, "true");
        break;

    case 'f':
        rfc_word(r, "false");
        break;

    case 'n':
        rfc_word(r, "null");
        break;

    default:
        rfc_number(r);
    }

    rfc_space(r);
}


static ngx_uint_t
rfc_is_json(ngx_str_t *text)
{
    rfc_t  r;

    if (!fuzz_is_utf8(text)) {
        return 0;
    }

    r.p = text->data;
    r.last = text->data + text->len;

    rfc_value(&r, 0);

    return r.p == r.last;
}


static void
check_value(unit_pool_t *pool, ngx_chat_json_value_t *v)
{
    u_char                 *buf;
    ngx_str_t               text, again;
    ngx_chat_json_write_t   w;
    ngx_chat_json_value_t  *back;

    text = fuzz_json_text(pool, v);
    EXPECT(rfc_is_json(&text));

    back = fuzz_json_read(pool, text.data, text.len);
    EXPECT(fuzz_json_same(v, back));

    again = fuzz_json_text(pool, back);
    EXPECT(fuzz_same(&text, &again));

    /* a byte less is an error, and no byte more is written */

    buf = unit_alloc(pool, text.len - 1);

    ngx_chat_json_write_init(&w, buf, text.len - 1);
    ngx_chat_json_write_value(&w, v);
    EXPECT(ngx_chat_json_write_done(&w) == NGX_ERROR);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t                  f;
    ngx_int_t               rc, again;
    ngx_str_t               text;
    ngx_uint_t              n;
    unit_pool_t             pool;
    ngx_chat_json_t         j;
    ngx_chat_json_value_t  *v;

    memset(&pool, 0, sizeof(unit_pool_t));
    fuzz_json_init(&j, &pool);

    f.p = (u_char *) data;
    f.len = size;

    n = fuzz_byte(&f);
    text = fuzz_take(&f, &pool, f.len);

    rc = ngx_chat_json_parse(&j, text.data, text.len, &v);

    EXPECT(rc == NGX_OK || rc == NGX_DECLINED);
    EXPECT((rc == NGX_OK) == rfc_is_json(&text));

    if (rc == NGX_OK) {
        check_value(&pool, v);

    } else {
        EXPECT(j.error != NULL);
    }

    /* no memory at some point: no crash, and no other verdict */

    pool.fail_at = pool.count + 1 + n;

    again = ngx_chat_json_parse(&j, text.data, text.len, &v);

    EXPECT(again == NGX_ERROR || again == rc);

    unit_pool_free(&pool);

    return 0;
}
