
/* sources: wire/ngx_chat_urlencoded.c */
/* sources: pusher/ngx_chat_api_auth.c pusher/ngx_chat_api_query.c */
/* sources: pusher/ngx_chat_app.c pusher/ngx_chat_digest.c */
/* sources: pusher/ngx_chat_signature.c */
/* sources: pusher/ngx_chat_name.c wire/ngx_chat_utf8.c libs: -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * P81 P83: a thousand random requests are good, and none is with any one
 * character of its method, path, parameters or body replaced; of a hundred
 * of them, with any one left out, or one put in before it.  The error's text
 * has no part of the signature that would have been right.
 *
 * What is signed is written by ngx_chat_api_query_write_signed(), which
 * signatures.t compares with another signer.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/evp.h>

#include <unit.h>
#include <pusher/ngx_chat_api_auth.h>
#include <pusher/ngx_chat_signature.h>


#define REQUESTS  1000
#define NOW       1700000000
#define SIZE      1024


typedef enum {
    REPLACE_e = 0,
    REMOVE_e,
    INSERT_e,
    CHANGES_e
} change_e;


enum { METHOD, PATH, QUERY, BODY, PARTS };


typedef struct {
    ngx_str_t            part[PARTS];
    u_char               text[PARTS][SIZE];
} request_t;


typedef struct {
    ngx_int_t            rc;
    ngx_str_t            wanted;        /* what is signed */
    ngx_str_t            sent;          /* its signature */
    u_char               text[2 * SIZE];
    u_char               signature[SIZE];
} result_t;


static uint32_t             seed = 20240229;
static ngx_chat_app_t       app;
static ngx_chat_api_query_t     query;
static ngx_chat_api_auth_t  auth;
static uint64_t             decoded[SIZE];      /* aligned */
static u_char               scratch[SIZE + NGX_CHAT_API_QUERY_PARAMS];


static uint32_t
any(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;

    return (seed >> 8) % n;
}


static void
add(ngx_str_t *s, const char *text)
{
    memcpy(s->data + s->len, text, strlen(text));
    s->len += strlen(text);
}


static void
add_any(ngx_str_t *s, const char *from, size_t max)
{
    size_t  n;

    for (n = 1 + any(max); n; n--) {
        s->data[s->len++] = from[any(strlen(from))];
    }
}


/* Values are plain, or escaped in either case, or both. */

static void
add_value(ngx_str_t *s)
{
    size_t  n;
    char    hex[4];

    for (n = any(8); n; n--) {

        if (any(3)) {
            add_any(s, "abcXYZ019-_.~,:;@/?![]+", 1);
            continue;
        }

        (void) snprintf(hex, sizeof(hex), any(2) ? "%%%02X" : "%%%02x",
                        any(256));
        add(s, hex);
    }
}


static void
make_md5(ngx_str_t *s, ngx_str_t *body)
{
    char    hex[3];
    size_t  i, len;
    u_char  md5[16];

    CHECK(EVP_Q_digest(NULL, "MD5", NULL, body->data, body->len, md5, &len));

    for (i = 0; i < sizeof(md5); i++) {
        (void) snprintf(hex, sizeof(hex), "%02x", md5[i]);
        add(s, hex);
    }
}


/* The signature of what the request says. */

static void
make_signature(request_t *r, u_char *signature)
{
    u_char     *end;
    ngx_str_t   parts[5];

    CHECK_INT(ngx_chat_api_query_read(&query, r->part[QUERY].data,
                                      r->part[QUERY].len, (u_char *) decoded),
              NGX_OK);

    end = ngx_chat_api_query_write_signed(scratch, &query);

    parts[0] = r->part[METHOD];
    ngx_str_set(&parts[1], "\n");
    parts[2] = r->part[PATH];
    parts[3] = parts[1];
    parts[4].data = scratch;
    parts[4].len = end - scratch;

    CHECK_INT(ngx_chat_digest_hmac(signature, &app.secret, parts, 5),
              NGX_OK);
}


static void
make_request(request_t *r)
{
    ngx_uint_t   i, n;
    ngx_str_t   *q;
    u_char       signature[NGX_CHAT_SIGNATURE_LEN];

    for (i = 0; i < PARTS; i++) {
        r->part[i].data = r->text[i];
        r->part[i].len = 0;
    }

    q = &r->part[QUERY];

    add(&r->part[METHOD], any(2) ? "POST" : "GET");
    add(&r->part[PATH], "/apps/42/channels/");
    add_any(&r->part[PATH], "abcXYZ019-_=@,.;", 20);

    if (any(2)) {
        add_any(&r->part[BODY], "{}[]\":, \nabcXYZ019\\u", 60);
    }

    for (n = any(4); n; n--) {
        add_any(q, "abcXYZ019-_[]", 5);
        add(q, "=");
        add_value(q);
        add(q, "&");
    }

    add(q, "auth_key=app-key-1&auth_version=1.0&auth_timestamp=1700000000");

    if (r->part[BODY].len) {
        add(q, "&body_md5=");
        make_md5(q, &r->part[BODY]);
    }

    make_signature(r, signature);

    add(q, "&auth_signature=");
    memcpy(q->data + q->len, signature, sizeof(signature));
    q->len += sizeof(signature);
}


static void
check(request_t *r, result_t *result)
{
    u_char     *end;
    ngx_str_t  *sent;

    CHECK_INT(ngx_chat_api_query_read(&query, r->part[QUERY].data,
                                      r->part[QUERY].len, (u_char *) decoded),
              NGX_OK);

    end = ngx_chat_api_query_write_signed(result->text, &query);
    result->wanted.data = result->text;
    result->wanted.len = end - result->text;

    sent = ngx_chat_api_query_get(&query, "auth_signature");
    result->sent.data = result->signature;
    result->sent.len = sent ? sent->len : 0;

    if (sent) {
        memcpy(result->signature, sent->data, sent->len);
    }

    auth.method = r->part[METHOD];
    auth.path = r->part[PATH];
    auth.query = &query;
    auth.now = NOW;
    auth.window = 600;
    auth.scratch = scratch;

    result->rc = ngx_chat_api_auth_check(&auth, &app);

    if (result->rc == NGX_OK) {
        result->rc = ngx_chat_api_auth_check_body(&auth, &r->part[BODY]);
    }
}


static ngx_uint_t
same(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}


static void
change(ngx_str_t *to, ngx_str_t *from, size_t at, change_e how)
{
    u_char  ch;

    static const char  others[] = "abcdefghijklmnopqrstuvwxyz0123456789"
                                  "ABCDEFXYZ-_.,&=%+/";

    to->len = 0;

    memcpy(to->data, from->data, at);
    to->len = at;

    if (how != REMOVE_e) {

        do {
            ch = others[any(sizeof(others) - 1)];
        } while (how == REPLACE_e && ch == from->data[at]);

        to->data[to->len++] = ch;
    }

    at += (how != INSERT_e);

    memcpy(to->data + to->len, from->data + at, from->len - at);
    to->len += from->len - at;
}


static ngx_uint_t
has(ngx_str_t *text, u_char *some)
{
    return text->len >= 16
           && memmem(text->data, text->len, some, 16) != NULL;
}


/* The text holds nothing of the signature, but what the client has sent. */

static void
check_refusal(request_t *r, result_t *result)
{
    size_t  i;
    u_char  signature[NGX_CHAT_SIGNATURE_LEN];

    CHECK_INT(auth.status, 401);
    CHECK(auth.error.len > 0);

    make_signature(r, signature);

    for (i = 0; i + 16 <= sizeof(signature); i += 8) {
        CHECK(!has(&auth.error, signature + i)
              || has(&result->sent, signature + i));
    }
}


static void
check_part(request_t *r, result_t *right, ngx_uint_t part, ngx_uint_t n)
{
    size_t            at;
    change_e          how;
    ngx_uint_t        equal;
    static request_t  other;
    static result_t   result;

    memcpy(&other, r, sizeof(request_t));

    for (at = 0; at < PARTS; at++) {
        other.part[at].data = other.text[at];
    }

    for (at = 0; at < r->part[part].len; at++) {
        for (how = 0; how < n; how++) {

            change(&other.part[part], &r->part[part], at, how);
            check(&other, &result);

            /* as names in another case, %2c for %2C, && for & */

            equal = part == QUERY
                    && same(&result.wanted, &right->wanted)
                    && same(&result.sent, &right->sent);

            CHECK_INT(result.rc, equal ? NGX_OK : NGX_DECLINED);

            if (result.rc == NGX_DECLINED) {
                check_refusal(&other, &result);
            }
        }
    }
}


static void
test_changes(void)
{
    ngx_uint_t        n, part;
    static request_t  r;
    static result_t   right;

    for (n = 0; n < REQUESTS; n++) {
        make_request(&r);

        check(&r, &right);
        CHECK_INT(right.rc, NGX_OK);

        for (part = 0; part < PARTS; part++) {
            check_part(&r, &right, part, (n % 10) ? 1 : CHANGES_e);
        }
    }
}


int
main(void)
{
    app.enabled = 1;

    ngx_str_set(&app.key, "app-key-1");
    ngx_str_set(&app.secret, "app-secret-1");

    RUN(test_changes);

    return unit_done();
}
