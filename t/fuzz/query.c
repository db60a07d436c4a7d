
/* sources: pusher/ngx_chat_api_query.c wire/ngx_chat_urlencoded.c */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Query strings: what was read, written with every byte escaped, reads the
 * same; what is signed is sorted, has all parameters but the signature, and
 * keeps the order of those of one name.
 */


#include "fuzz.h"

#include <pusher/ngx_chat_api_query.h>


static ngx_uint_t
count_params(ngx_str_t *text)
{
    size_t      i;
    ngx_uint_t  n;

    n = 0;

    for (i = 0; i < text->len; i++) {
        n += (text->data[i] != '&' && (i == 0 || text->data[i - 1] == '&'));
    }

    return n;
}


static u_char *
escape(u_char *p, ngx_str_t *s)
{
    size_t  i;

    for (i = 0; i < s->len; i++) {
        p += snprintf((char *) p, 4, "%%%02X", s->data[i]);
    }

    return p;
}


static void
check_again(unit_pool_t *pool, ngx_chat_api_query_t *q)
{
    u_char                *p, *text, *copy, *buf;
    size_t                 len;
    ngx_uint_t             i;
    ngx_chat_api_query_t   again;

    len = 3;

    for (i = 0; i < q->n; i++) {
        len += 2 + 3 * (q->params[i].name.len + q->params[i].value.len);
    }

    text = unit_alloc(pool, len);
    p = text;

    for (i = 0; i < q->n; i++) {

        if (i) {
            *p++ = '&';
        }

        p = escape(p, &q->params[i].name);
        *p++ = '=';
        p = escape(p, &q->params[i].value);
    }

    len = p - text;
    copy = unit_copy(pool, text, len);
    buf = unit_alloc(pool, ngx_chat_api_query_size(copy, len));

    EXPECT(ngx_chat_api_query_read(&again, copy, len, buf) == NGX_OK);
    EXPECT(again.n == q->n);

    for (i = 0; i < q->n; i++) {
        EXPECT(fuzz_same(&again.params[i].name, &q->params[i].name));
        EXPECT(fuzz_same(&again.params[i].value, &q->params[i].value));
    }
}


/* The place of a parameter by its name, and by where it was sent. */

static ngx_uint_t
comes_before(ngx_chat_api_query_t *q, ngx_uint_t a, ngx_uint_t b)
{
    int         rc;
    ngx_str_t  *x, *y;

    x = &q->params[a].name;
    y = &q->params[b].name;

    rc = memcmp(x->data, y->data, ngx_min(x->len, y->len));

    if (rc == 0) {
        rc = (x->len > y->len) - (x->len < y->len);
    }

    return rc < 0 || (rc == 0 && a < b);
}


/* By looking for the least of those that are left, again and again. */

static u_char *
sign_slowly(u_char *p, ngx_chat_api_query_t *q)
{
    u_char      done[NGX_CHAT_API_QUERY_PARAMS];
    u_char     *start;
    ngx_uint_t  i, least;

    start = p;
    memset(done, 0, sizeof(done));

    for ( ;; ) {
        least = q->n;

        for (i = 0; i < q->n; i++) {
            if (!done[i]
                && !fuzz_is(&q->params[i].name, "auth_signature")
                && (least == q->n || comes_before(q, i, least)))
            {
                least = i;
            }
        }

        if (least == q->n) {
            return p;
        }

        done[least] = 1;

        if (p > start) {
            *p++ = '&';
        }

        memcpy(p, q->params[least].name.data, q->params[least].name.len);
        p += q->params[least].name.len;
        *p++ = '=';
        memcpy(p, q->params[least].value.data, q->params[least].value.len);
        p += q->params[least].value.len;
    }
}


static void
check_signed(unit_pool_t *pool, ngx_chat_api_query_t *q, size_t len)
{
    u_char     *p;
    ngx_str_t   text, slow;

    text.data = unit_alloc(pool, len + q->n);
    p = ngx_chat_api_query_write_signed(text.data, q);
    text.len = p - text.data;

    EXPECT(text.len <= len + q->n);

    slow.data = unit_alloc(pool, len + q->n);
    slow.len = sign_slowly(slow.data, q) - slow.data;

    EXPECT(fuzz_same(&text, &slow));
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t                 f;
    u_char                *buf;
    char                   name[64];
    ngx_int_t              rc;
    ngx_str_t              text, *last;
    ngx_uint_t             i;
    unit_pool_t            pool;
    ngx_chat_api_query_t   q;

    memset(&pool, 0, sizeof(unit_pool_t));

    f.p = (u_char *) data;
    f.len = size;

    text = fuzz_take(&f, &pool, size);
    buf = unit_alloc(&pool, ngx_chat_api_query_size(text.data, text.len));

    rc = ngx_chat_api_query_read(&q, text.data, text.len, buf);

    EXPECT((rc == NGX_OK)
           == (count_params(&text) <= NGX_CHAT_API_QUERY_PARAMS));

    if (rc == NGX_OK) {
        EXPECT(q.n == count_params(&text));

        check_again(&pool, &q);
        check_signed(&pool, &q, text.len);

        if (q.n && q.params[0].name.len < sizeof(name)
            && memchr(q.params[0].name.data, '\0', q.params[0].name.len)
               == NULL)
        {
            memcpy(name, q.params[0].name.data, q.params[0].name.len);
            name[q.params[0].name.len] = '\0';

            for (i = q.n - 1; !fuzz_is(&q.params[i].name, name); i--) {
                /* void */
            }

            last = ngx_chat_api_query_get(&q, name);
            EXPECT(last == &q.params[i].value);
        }
    }

    unit_pool_free(&pool);

    return 0;
}
