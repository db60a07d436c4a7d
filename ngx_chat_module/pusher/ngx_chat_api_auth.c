
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Who may call the HTTP API.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>
#include <stdio.h>
#include <time.h>

#include <pusher/ngx_chat_api_auth.h>
#include <pusher/ngx_chat_digest.h>
#include <pusher/ngx_chat_signature.h>
#include <wire/ngx_chat_utf8.h>


#define NGX_CHAT_API_AUTH_DIGITS  15   /* longest timestamp */
#define NGX_CHAT_API_AUTH_SENT    128  /* room for the client's signature */


static ngx_int_t ngx_chat_api_auth_version(ngx_chat_api_auth_t *a);
static ngx_int_t ngx_chat_api_auth_time(ngx_chat_api_auth_t *a);
static ngx_int_t ngx_chat_api_auth_expired(ngx_chat_api_auth_t *a,
    time_t given);
static ngx_int_t ngx_chat_api_auth_signature(ngx_chat_api_auth_t *a,
    ngx_str_t *secret);
static ngx_int_t ngx_chat_api_auth_wrong(ngx_chat_api_auth_t *a,
    ngx_str_t *params, ngx_str_t *sent);
static ngx_int_t ngx_chat_api_auth_refuse(ngx_chat_api_auth_t *a,
    ngx_uint_t status, const char *text);
static void ngx_chat_api_auth_add(ngx_chat_api_auth_t *a, const char *text,
    size_t len, size_t size);


ngx_int_t
ngx_chat_api_auth_check(ngx_chat_api_auth_t *a, ngx_chat_app_t *app)
{
    ngx_int_t   rc;
    ngx_str_t  *key, *secret;

    key = ngx_chat_api_query_get(a->query, "auth_key");

    if (key == NULL) {
        return ngx_chat_api_auth_refuse(a, 401, "Missing parameter: auth_key");
    }

    secret = ngx_chat_app_secret(app, key);

    if (secret == NULL) {
        return ngx_chat_api_auth_refuse(a, 401, "Unknown auth_key");
    }

    if (!app->enabled) {
        return ngx_chat_api_auth_refuse(a, 403, "App is disabled");
    }

    rc = ngx_chat_api_auth_version(a);

    if (rc == NGX_OK) {
        rc = ngx_chat_api_auth_time(a);
    }

    return (rc == NGX_OK) ? ngx_chat_api_auth_signature(a, secret) : rc;
}


ngx_int_t
ngx_chat_api_auth_check_body(ngx_chat_api_auth_t *a, ngx_str_t *body)
{
    size_t       i;
    u_char       hex[NGX_CHAT_DIGEST_MD5_HEX];
    ngx_str_t   *value;

    value = ngx_chat_api_query_get(a->query, "body_md5");

    if (value == NULL || value->len == 0) {
        return (body->len == 0) ? NGX_OK
                   : ngx_chat_api_auth_refuse(a, 401,
                                              "Missing parameter: body_md5");
    }

    if (ngx_chat_digest_md5(hex, body) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the signature was checked already, so the text may be changed */

    for (i = 0; i < value->len; i++) {
        value->data[i] = ngx_tolower(value->data[i]);
    }

    if (value->len != sizeof(hex)
        || CRYPTO_memcmp(hex, value->data, sizeof(hex)) != 0)
    {
        return ngx_chat_api_auth_refuse(a, 401, "Invalid body_md5");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_api_auth_version(ngx_chat_api_auth_t *a)
{
    ngx_str_t  *version;

    version = ngx_chat_api_query_get(a->query, "auth_version");

    if (version == NULL || version->len == 0) {
        return ngx_chat_api_auth_refuse(a, 401, "Version required");
    }

    if (version->len != 3 || memcmp(version->data, "1.0", 3) != 0) {
        return ngx_chat_api_auth_refuse(a, 401, "Version not supported");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_api_auth_time(ngx_chat_api_auth_t *a)
{
    size_t      i;
    time_t      given;
    ngx_str_t  *value;

    value = ngx_chat_api_query_get(a->query, "auth_timestamp");

    if (value == NULL || value->len == 0) {
        return ngx_chat_api_auth_refuse(a, 401, "Timestamp required");
    }

    given = 0;

    for (i = 0; i < value->len && i <= NGX_CHAT_API_AUTH_DIGITS; i++) {

        if (value->data[i] < '0' || value->data[i] > '9') {
            break;
        }

        given = given * 10 + (value->data[i] - '0');
    }

    if (i < value->len || i > NGX_CHAT_API_AUTH_DIGITS) {
        return ngx_chat_api_auth_refuse(a, 401, "Timestamp is not a number");
    }

    if (given - a->now >= a->window || a->now - given >= a->window) {
        return ngx_chat_api_auth_expired(a, given);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_api_auth_expired(ngx_chat_api_auth_t *a, time_t given)
{
    int        n;
    char       then[32], now[32];
    struct tm  tm;

    static const char  format[] = "%Y-%m-%dT%H:%M:%SZ";

    if (gmtime_r(&given, &tm) == NULL
        || strftime(then, sizeof(then), format, &tm) == 0
        || gmtime_r(&a->now, &tm) == NULL
        || strftime(now, sizeof(now), format, &tm) == 0)
    {
        return ngx_chat_api_auth_refuse(a, 401, "Timestamp expired");
    }

    n = snprintf((char *) a->text, sizeof(a->text),
                 "Timestamp expired: Given timestamp (%s) not within %lds of "
                 "server time (%s)", then, (long) a->window, now);

    a->status = 401;
    a->error.data = a->text;
    a->error.len = ngx_min((size_t) n, sizeof(a->text) - 1);

    return NGX_DECLINED;
}


static ngx_int_t
ngx_chat_api_auth_signature(ngx_chat_api_auth_t *a, ngx_str_t *secret)
{
    u_char      expected[NGX_CHAT_SIGNATURE_LEN];
    ngx_str_t  *sent, params, parts[5];

    sent = ngx_chat_api_query_get(a->query, "auth_signature");

    if (sent == NULL) {
        return ngx_chat_api_auth_refuse(a, 401,
                                        "Missing parameter: auth_signature");
    }

    params.data = a->scratch;
    params.len = ngx_chat_api_query_write_signed(a->scratch, a->query)
                 - a->scratch;

    parts[0] = a->method;
    ngx_str_set(&parts[1], "\n");
    parts[2] = a->path;
    parts[3] = parts[1];
    parts[4] = params;

    if (ngx_chat_digest_hmac(expected, secret, parts, 5) != NGX_OK) {
        return NGX_ERROR;
    }

    if (sent->len != NGX_CHAT_SIGNATURE_LEN
        || CRYPTO_memcmp(expected, sent->data, NGX_CHAT_SIGNATURE_LEN) != 0)
    {
        return ngx_chat_api_auth_wrong(a, &params, sent);
    }

    return NGX_OK;
}


/* Tells what should have been signed, but never the signature itself. */

static ngx_int_t
ngx_chat_api_auth_wrong(ngx_chat_api_auth_t *a, ngx_str_t *params,
    ngx_str_t *sent)
{
    size_t  size;

    static const char  head[] = "Invalid signature: you should have sent "
                                "HmacSHA256Hex(\"";
    static const char  tail[] = "\", your_secret_key), but you sent \"";

    a->status = 401;
    a->error.data = a->text;
    a->error.len = 0;

    /* leaves room for the tail and for the signature that was sent */

    size = sizeof(a->text) - sizeof(tail) - NGX_CHAT_API_AUTH_SENT;

    ngx_chat_api_auth_add(a, head, sizeof(head) - 1, size);
    ngx_chat_api_auth_add(a, (char *) a->method.data, a->method.len, size);
    ngx_chat_api_auth_add(a, "\\n", 2, size);
    ngx_chat_api_auth_add(a, (char *) a->path.data, a->path.len, size);
    ngx_chat_api_auth_add(a, "\\n", 2, size);
    ngx_chat_api_auth_add(a, (char *) params->data, params->len, size);

    size = sizeof(a->text) - 1;

    ngx_chat_api_auth_add(a, tail, sizeof(tail) - 1, size);
    ngx_chat_api_auth_add(a, (char *) sent->data, sent->len, size);
    ngx_chat_api_auth_add(a, "\"", 1, sizeof(a->text));

    return NGX_DECLINED;
}


static ngx_int_t
ngx_chat_api_auth_refuse(ngx_chat_api_auth_t *a, ngx_uint_t status,
    const char *text)
{
    a->status = status;
    a->error.data = a->text;
    a->error.len = 0;

    ngx_chat_api_auth_add(a, text, strlen(text), sizeof(a->text));

    return NGX_DECLINED;
}


/*
 * Adds to the error's text until it has size bytes, without cutting a
 * character.  Bytes that are not printable become "?".
 */

static void
ngx_chat_api_auth_add(ngx_chat_api_auth_t *a, const char *text, size_t len,
    size_t size)
{
    u_char     *p;
    size_t      n, i;
    ngx_str_t   rest;

    rest.data = (u_char *) text;
    rest.len = len;

    while (rest.len && a->error.len < size) {
        p = a->text + a->error.len;

        n = ngx_min(rest.len, size - a->error.len);
        n = ngx_chat_utf8_prefix(rest.data, n);

        for (i = 0; i < n; i++) {
            p[i] = (rest.data[i] < 0x20 || rest.data[i] == 0x7f)
                   ? '?' : rest.data[i];
        }

        a->error.len += n;
        rest.data += n;
        rest.len -= n;

        if (rest.len == 0 || a->error.len == size) {
            return;
        }

        /* a byte that is not UTF-8, or a character that does not fit */

        p[n] = '?';
        a->error.len++;
        rest.data++;
        rest.len--;
    }
}
