
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the fuzzers of JSON share.
 */


#ifndef _NGX_CHAT_FUZZ_JSON_H_INCLUDED_
#define _NGX_CHAT_FUZZ_JSON_H_INCLUDED_


#include "fuzz.h"

#include <wire/ngx_chat_json.h>
#include <wire/ngx_chat_json_write.h>


static ngx_inline void
fuzz_json_init(ngx_chat_json_t *j, unit_pool_t *pool)
{
    j->alloc = unit_alloc;
    j->ctx = pool;
    j->error = NULL;
}


/* Text that must be JSON. */
static ngx_inline ngx_chat_json_value_t *
fuzz_json_read(unit_pool_t *pool, u_char *text, size_t len)
{
    ngx_chat_json_t         j;
    ngx_chat_json_value_t  *v;

    fuzz_json_init(&j, pool);

    EXPECT(ngx_chat_json_parse(&j, text, len, &v) == NGX_OK);

    return v;
}


/* With U+FFFD for each byte that is none of a character. */
static ngx_inline ngx_str_t
fuzz_mended(unit_pool_t *pool, ngx_str_t *s)
{
    size_t     i, whole;
    ngx_str_t  r;

    r.data = unit_alloc(pool, 3 * s->len);
    r.len = 0;

    for (i = 0; i < s->len; i++) {
        (void) fuzz_utf8(s->data + i, s->len - i, &whole);

        memcpy(r.data + r.len, s->data + i, whole);
        r.len += whole;
        i += whole;

        if (i < s->len) {
            memcpy(r.data + r.len, "\xef\xbf\xbd", 3);
            r.len += 3;
        }
    }

    return r;
}


/* A member that must be there, of a type. */
static ngx_inline ngx_chat_json_value_t *
fuzz_json_get(ngx_chat_json_value_t *v, const char *name,
    ngx_chat_json_type_e type)
{
    ngx_chat_json_value_t  *m;

    m = ngx_chat_json_member(v, name);

    EXPECT(m != NULL && m->type == type);

    return m;
}


/* The member is this very string. */
static ngx_inline void
fuzz_json_expect(ngx_chat_json_value_t *v, const char *name, ngx_str_t *text)
{
    v = fuzz_json_get(v, name, NGX_CHAT_JSON_STRING_e);

    EXPECT(fuzz_same(&v->text, text));
}


static ngx_inline ngx_uint_t
fuzz_json_same(ngx_chat_json_value_t *a, ngx_chat_json_value_t *b)
{
    if (a->type != b->type
        || !fuzz_same(&a->name, &b->name) || !fuzz_same(&a->text, &b->text))
    {
        return 0;
    }

    a = a->first;
    b = b->first;

    for ( /* void */ ; a && b; a = a->next, b = b->next) {
        if (!fuzz_json_same(a, b)) {
            return 0;
        }
    }

    return a == NULL && b == NULL;
}


/* A value's text, in memory of exactly its size. */
static ngx_inline ngx_str_t
fuzz_json_text(unit_pool_t *pool, ngx_chat_json_value_t *v)
{
    ssize_t                len;
    ngx_str_t              s;
    ngx_chat_json_write_t  w;

    ngx_chat_json_write_init(&w, NULL, 0);
    ngx_chat_json_write_value(&w, v);
    len = ngx_chat_json_write_done(&w);
    EXPECT(len > 0);

    s.len = len;
    s.data = unit_alloc(pool, len);

    ngx_chat_json_write_init(&w, s.data, s.len);
    ngx_chat_json_write_value(&w, v);
    EXPECT(ngx_chat_json_write_done(&w) == len);

    return s;
}


#endif /* _NGX_CHAT_FUZZ_JSON_H_INCLUDED_ */
