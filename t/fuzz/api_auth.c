
/* sources: wire/ngx_chat_urlencoded.c */
/* sources: pusher/ngx_chat_api_auth.c pusher/ngx_chat_api_query.c */
/* sources: pusher/ngx_chat_app.c pusher/ngx_chat_digest.c */
/* sources: pusher/ngx_chat_signature.c */
/* sources: pusher/ngx_chat_name.c wire/ngx_chat_utf8.c libs: -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Signed requests: what was signed is let in, the same with one byte of it
 * changed is not, and nobody gets in by chance.  Refusals are text, and have
 * nothing in them that depends on the secret.
 */


#include "fuzz.h"

#include <pusher/ngx_chat_api_auth.h>
#include <pusher/ngx_chat_signature.h>

#include <openssl/evp.h>


#define KEY     "278d425bdf160c739803"
#define SECRET  "7ad3773142a6692b25b8"
#define NOW     1353088179


typedef struct {
    ngx_str_t            query;        /* without the signature */
    ngx_str_t            method;
    ngx_str_t            path;
    ngx_str_t            body;
    u_char               signature[NGX_CHAT_SIGNATURE_LEN];
    ngx_chat_api_auth_t  auth;
} request_t;


static ngx_chat_app_t  app;


static void
check_refusal(request_t *r)
{
    ngx_str_t  *error;

    error = &r->auth.error;

    EXPECT(r->auth.status == 401);
    EXPECT(error->len > 0 && error->len <= NGX_CHAT_API_AUTH_TEXT);
    EXPECT(fuzz_is_utf8(error));
    EXPECT(!fuzz_has(error, "\n", 1));
}


static ngx_int_t
send_request(unit_pool_t *pool, request_t *r, ngx_str_t *query)
{
    u_char                *buf;
    ngx_int_t              rc;
    ngx_chat_api_query_t   q;

    buf = unit_alloc(pool, ngx_chat_api_query_size(query->data, query->len));

    if (ngx_chat_api_query_read(&q, query->data, query->len, buf) != NGX_OK) {
        return NGX_DECLINED;
    }

    memset(&r->auth, 0, sizeof(ngx_chat_api_auth_t));

    r->auth.method = r->method;
    r->auth.path = r->path;
    r->auth.query = &q;
    r->auth.now = NOW;
    r->auth.window = 600;
    r->auth.scratch = unit_alloc(pool, query->len + q.n);

    rc = ngx_chat_api_auth_check(&r->auth, &app);

    if (rc == NGX_OK) {
        rc = ngx_chat_api_auth_check_body(&r->auth, &r->body);
    }

    EXPECT(rc != NGX_ERROR);

    if (rc == NGX_DECLINED) {
        check_refusal(r);
    }

    return rc;
}


/*
 * A refusal has nothing of the secret in it, nor of what follows from it:
 * with another secret it is the same.
 */

static void
expect_refused(unit_pool_t *pool, request_t *r, ngx_str_t *query)
{
    ngx_str_t  first;

    EXPECT(send_request(pool, r, query) == NGX_DECLINED);

    first.len = r->auth.error.len;
    first.data = unit_copy(pool, r->auth.error.data, first.len);

    ngx_str_set(&app.secret, "another secret");

    EXPECT(send_request(pool, r, query) == NGX_DECLINED);
    EXPECT(fuzz_same(&first, &r->auth.error));

    ngx_str_set(&app.secret, SECRET);
}


static void
make_query(unit_pool_t *pool, request_t *r, ngx_str_t *more)
{
    u_char  *p, md5[16];
    size_t   len, i;

    r->query.data = unit_alloc(pool, more->len + 256);
    p = r->query.data;

    p += sprintf((char *) p, "auth_key=%s&auth_timestamp=%d&auth_version=1.0"
                 "&body_md5=", KEY, NOW);

    EXPECT(EVP_Q_digest(NULL, "MD5", NULL, r->body.data, r->body.len, md5,
                        &len));

    for (i = 0; i < 16; i++) {
        p += sprintf((char *) p, "%02x", md5[i]);
    }

    *p++ = '&';
    p = ngx_cpymem(p, more->data, more->len);

    r->query.len = p - r->query.data;
}


/* With the text's own sorted parameters; query.c shows that those are right */

static ngx_uint_t
sign(unit_pool_t *pool, request_t *r)
{
    u_char                *buf;
    ngx_str_t              parts[3];
    ngx_chat_api_query_t   q;

    buf = unit_alloc(pool, ngx_chat_api_query_size(r->query.data,
                                                   r->query.len));

    if (ngx_chat_api_query_read(&q, r->query.data, r->query.len, buf) != NGX_OK
        || q.n == NGX_CHAT_API_QUERY_PARAMS)
    {
        return 0;
    }

    parts[0].data = unit_alloc(pool, r->method.len + r->path.len + 2);
    parts[0].len = sprintf((char *) parts[0].data, "%.*s\n",
                           (int) r->method.len, (char *) r->method.data);
    parts[1] = r->path;
    parts[2].data = unit_alloc(pool, r->query.len + q.n + 1);
    parts[2].data[0] = '\n';
    parts[2].len = ngx_chat_api_query_write_signed(parts[2].data + 1, &q)
                   - parts[2].data;

    EXPECT(ngx_chat_digest_hmac(r->signature, &app.secret, parts, 3)
           == NGX_OK);

    return 1;
}


static ngx_str_t
with_signature(unit_pool_t *pool, request_t *r)
{
    u_char     *p;
    ngx_str_t   s;

    s.data = unit_alloc(pool, r->query.len + 256);
    p = ngx_cpymem(s.data, r->query.data, r->query.len);
    p = ngx_cpymem(p, "&auth_signature=", 16);
    p = ngx_cpymem(p, r->signature, NGX_CHAT_SIGNATURE_LEN);
    s.len = p - s.data;

    return s;
}


static void
check_changed(unit_pool_t *pool, request_t *r, ngx_uint_t n)
{
    u_char     *p;
    ngx_str_t   query;

    switch (n % 4) {

    case 0:
        p = &r->signature[n / 4 % NGX_CHAT_SIGNATURE_LEN];
        *p = (*p == '0') ? '1' : '0';
        break;

    case 1:
        if (r->body.len == 0) {
            return;
        }

        r->body.data[n / 4 % r->body.len] ^= 1 + n / 4 % 255;
        break;

    case 2:
        if (r->path.len == 0) {
            return;
        }

        r->path.data[n / 4 % r->path.len] ^= 1 + n / 4 % 255;
        break;

    default:
        r->method.data = (u_char *) "PUT";
        r->method.len = 3;
    }

    query = with_signature(pool, r);

    if (n % 4 == 1) {
        /* the signature is right */
        EXPECT(send_request(pool, r, &query) == NGX_DECLINED);
        return;
    }

    expect_refused(pool, r, &query);
}


/* A parameter that is doubled by the rest may refuse what was signed. */

static ngx_uint_t
is_plain(ngx_str_t *more)
{
    size_t  i;

    for (i = 0; i < more->len; i++) {
        if (more->data[i] == '_' || more->data[i] == '%') {
            return 0;
        }
    }

    return 1;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t       f;
    ngx_str_t    more, query;
    request_t    r;
    ngx_uint_t   n;
    unit_pool_t  pool;

    memset(&pool, 0, sizeof(unit_pool_t));
    memset(&app, 0, sizeof(ngx_chat_app_t));

    ngx_str_set(&app.key, KEY);
    ngx_str_set(&app.secret, SECRET);
    app.enabled = 1;

    f.p = (u_char *) data;
    f.len = size;

    n = fuzz_short(&f);
    ngx_str_set(&r.method, "POST");
    r.path = fuzz_take(&f, &pool, fuzz_byte(&f));
    r.body = fuzz_take(&f, &pool, fuzz_byte(&f));
    more = fuzz_take(&f, &pool, f.len);

    /* nobody guesses a signature */

    r.query = more;
    expect_refused(&pool, &r, &more);

    make_query(&pool, &r, &more);

    if (sign(&pool, &r)) {
        query = with_signature(&pool, &r);

        if (is_plain(&more)) {
            EXPECT(send_request(&pool, &r, &query) == NGX_OK);
            check_changed(&pool, &r, n);

        } else {
            (void) send_request(&pool, &r, &query);
        }
    }

    unit_pool_free(&pool);

    return 0;
}
