
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Signatures of subscriptions and sign-ins: made and checked.  Pure.
 *
 * Signatures are compared in constant time; keys are public and are not.
 * Where libcrypto fails, a signature counts as wrong.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>

#include <pusher/ngx_chat_digest.h>
#include <pusher/ngx_chat_name.h>
#include <pusher/ngx_chat_signature.h>


/* The parts that are signed: socket id, colon, channel, colon, data. */
typedef struct {
    ngx_str_t          parts[5];
    ngx_uint_t         n;
    u_char             socket_id[NGX_CHAT_SOCKET_ID_LEN];
} ngx_chat_signature_t;


static void ngx_chat_signature_of(ngx_chat_signature_t *s,
    ngx_chat_socket_id_t *id, ngx_str_t *channel, ngx_str_t *data);
static size_t ngx_chat_signature_join(u_char *buf, size_t size,
    ngx_str_t *parts, ngx_uint_t n);


ngx_int_t
ngx_chat_signature_split(ngx_str_t *auth, ngx_str_t *key,
    ngx_str_t *signature)
{
    u_char  *colon, *last;

    *key = *auth;
    ngx_str_null(signature);

    if (auth->len == 0) {
        return NGX_DECLINED;
    }

    last = auth->data + auth->len;
    colon = ngx_strlchr(auth->data, last, ':');

    if (colon == NULL) {
        return NGX_DECLINED;
    }

    key->len = colon - auth->data;

    signature->data = colon + 1;
    signature->len = last - signature->data;

    return NGX_OK;
}


ngx_int_t
ngx_chat_signature_check(ngx_chat_app_t *app, ngx_str_t *auth,
    ngx_chat_socket_id_t *id, ngx_str_t *channel, ngx_str_t *data)
{
    u_char                 expected[NGX_CHAT_SIGNATURE_LEN];
    ngx_str_t              key, signature, *secret;
    ngx_chat_signature_t   s;

    if (ngx_chat_signature_split(auth, &key, &signature) != NGX_OK) {
        return NGX_ERROR;
    }

    secret = ngx_chat_app_secret_any_case(app, &key);

    if (secret == NULL) {
        return NGX_DECLINED;
    }

    ngx_chat_signature_of(&s, id, channel, data);

    if (signature.len != NGX_CHAT_SIGNATURE_LEN
        || ngx_chat_digest_hmac(expected, secret, s.parts, s.n) != NGX_OK
        || CRYPTO_memcmp(expected, signature.data, NGX_CHAT_SIGNATURE_LEN)
           != 0)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


u_char *
ngx_chat_signature_write(u_char *p, ngx_chat_app_t *app,
    ngx_chat_socket_id_t *id, ngx_str_t *channel, ngx_str_t *data)
{
    ngx_chat_signature_t  s;

    ngx_chat_signature_of(&s, id, channel, data);

    p = ngx_cpymem(p, app->key.data, app->key.len);
    *p++ = ':';

    if (ngx_chat_digest_hmac(p, &app->secret, s.parts, s.n) != NGX_OK) {
        return NULL;
    }

    return p + NGX_CHAT_SIGNATURE_LEN;
}


size_t
ngx_chat_signature_text(u_char *buf, size_t size, ngx_chat_socket_id_t *id,
    ngx_str_t *channel, ngx_str_t *data)
{
    ngx_chat_signature_t  s;

    ngx_chat_signature_of(&s, id, channel, data);

    return ngx_chat_signature_join(buf, size, s.parts, s.n);
}


size_t
ngx_chat_signature_text_got(u_char *buf, size_t len, size_t size,
    ngx_str_t *auth)
{
    ngx_str_t  key, parts[2];

    ngx_str_set(&parts[0], ", but got ");

    if (ngx_chat_signature_split(auth, &key, &parts[1]) != NGX_OK) {
        parts[1] = *auth;
    }

    return len + ngx_chat_signature_join(buf + len, size - len, parts, 2);
}


static void
ngx_chat_signature_of(ngx_chat_signature_t *s, ngx_chat_socket_id_t *id,
    ngx_str_t *channel, ngx_str_t *data)
{
    s->parts[0].data = s->socket_id;
    s->parts[0].len = ngx_chat_name_write_socket_id(s->socket_id, id)
                      - s->socket_id;

    if (channel == NULL) {
        ngx_str_set(&s->parts[1], "::user::");
        s->parts[2] = *data;
        s->n = 3;
        return;
    }

    ngx_str_set(&s->parts[1], ":");
    s->parts[2] = *channel;
    s->parts[3] = s->parts[1];
    s->parts[4] = *data;
    s->n = (data->data != NULL) ? 5 : 3;
}


static size_t
ngx_chat_signature_join(u_char *buf, size_t size, ngx_str_t *parts,
    ngx_uint_t n)
{
    size_t      len, rest;
    ngx_uint_t  i;

    rest = size;

    for (i = 0; i < n; i++) {
        len = ngx_min(parts[i].len, rest);

        if (len) {
            buf = ngx_cpymem(buf, parts[i].data, len);
            rest -= len;
        }
    }

    return size - rest;
}
