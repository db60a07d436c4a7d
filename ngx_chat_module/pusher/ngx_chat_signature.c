
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Signatures of subscriptions and sign-ins: made and checked.  Pure.
 *
 * Signatures are compared in constant time; the key is public and is not.
 * Where libcrypto fails, nothing is taken for signed.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/crypto.h>

#include <pusher/ngx_chat_digest.h>
#include <pusher/ngx_chat_name.h>
#include <pusher/ngx_chat_signature.h>


/* What is signed, in at most socket id, colon, channel, colon, data. */
typedef struct {
    ngx_str_t          parts[5];
    ngx_uint_t         n;
    u_char             socket_id[NGX_CHAT_SOCKET_ID_LEN];
} ngx_chat_signature_t;


static void ngx_chat_signature_of_channel(ngx_chat_signature_t *s,
    ngx_chat_socket_id_t *id, ngx_str_t *channel, ngx_str_t *channel_data);
static void ngx_chat_signature_of_user(ngx_chat_signature_t *s,
    ngx_chat_socket_id_t *id, ngx_str_t *user_data);
static ngx_int_t ngx_chat_signature_check(ngx_chat_signature_t *s,
    ngx_chat_app_t *app, ngx_str_t *auth);
static u_char *ngx_chat_signature_write(u_char *p, ngx_chat_signature_t *s,
    ngx_chat_app_t *app);
static size_t ngx_chat_signature_text(u_char *buf, size_t size,
    ngx_chat_signature_t *s);


static ngx_str_t  ngx_chat_signature_colon = ngx_string(":");
static ngx_str_t  ngx_chat_signature_user = ngx_string("::user::");


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
ngx_chat_signature_check_channel(ngx_chat_app_t *app, ngx_str_t *auth,
    ngx_chat_socket_id_t *id, ngx_str_t *channel, ngx_str_t *channel_data)
{
    ngx_chat_signature_t  s;

    ngx_chat_signature_of_channel(&s, id, channel, channel_data);

    return ngx_chat_signature_check(&s, app, auth);
}


ngx_int_t
ngx_chat_signature_check_user(ngx_chat_app_t *app, ngx_str_t *auth,
    ngx_chat_socket_id_t *id, ngx_str_t *user_data)
{
    ngx_chat_signature_t  s;

    ngx_chat_signature_of_user(&s, id, user_data);

    return ngx_chat_signature_check(&s, app, auth);
}


u_char *
ngx_chat_signature_write_channel(u_char *p, ngx_chat_app_t *app,
    ngx_chat_socket_id_t *id, ngx_str_t *channel, ngx_str_t *channel_data)
{
    ngx_chat_signature_t  s;

    ngx_chat_signature_of_channel(&s, id, channel, channel_data);

    return ngx_chat_signature_write(p, &s, app);
}


u_char *
ngx_chat_signature_write_user(u_char *p, ngx_chat_app_t *app,
    ngx_chat_socket_id_t *id, ngx_str_t *user_data)
{
    ngx_chat_signature_t  s;

    ngx_chat_signature_of_user(&s, id, user_data);

    return ngx_chat_signature_write(p, &s, app);
}


size_t
ngx_chat_signature_text_got(u_char *buf, size_t len, size_t size,
    ngx_str_t *auth)
{
    u_char     *p, *last;
    ngx_str_t   key, signature;

    static u_char  got[] = ", but got ";

    p = buf + len;
    last = buf + size;

    ngx_str_null(&signature);

    if (auth->data != NULL
        && ngx_chat_signature_split(auth, &key, &signature) != NGX_OK)
    {
        signature = *auth;
    }

    p = ngx_cpymem(p, got, ngx_min(sizeof(got) - 1, (size_t) (last - p)));

    if (signature.len) {
        p = ngx_cpymem(p, signature.data,
                       ngx_min(signature.len, (size_t) (last - p)));
    }

    return p - buf;
}


size_t
ngx_chat_signature_text_channel(u_char *buf, size_t size,
    ngx_chat_socket_id_t *id, ngx_str_t *channel, ngx_str_t *channel_data)
{
    ngx_chat_signature_t  s;

    ngx_chat_signature_of_channel(&s, id, channel, channel_data);

    return ngx_chat_signature_text(buf, size, &s);
}


size_t
ngx_chat_signature_text_user(u_char *buf, size_t size,
    ngx_chat_socket_id_t *id, ngx_str_t *user_data)
{
    ngx_chat_signature_t  s;

    ngx_chat_signature_of_user(&s, id, user_data);

    return ngx_chat_signature_text(buf, size, &s);
}


static void
ngx_chat_signature_of_channel(ngx_chat_signature_t *s,
    ngx_chat_socket_id_t *id, ngx_str_t *channel, ngx_str_t *channel_data)
{
    s->parts[0].data = s->socket_id;
    s->parts[0].len = ngx_chat_name_write_socket_id(s->socket_id, id)
                      - s->socket_id;

    s->parts[1] = ngx_chat_signature_colon;
    s->parts[2] = *channel;
    s->n = 3;

    if (channel_data->data != NULL) {
        s->parts[3] = ngx_chat_signature_colon;
        s->parts[4] = *channel_data;
        s->n = 5;
    }
}


static void
ngx_chat_signature_of_user(ngx_chat_signature_t *s, ngx_chat_socket_id_t *id,
    ngx_str_t *user_data)
{
    s->parts[0].data = s->socket_id;
    s->parts[0].len = ngx_chat_name_write_socket_id(s->socket_id, id)
                      - s->socket_id;

    s->parts[1] = ngx_chat_signature_user;
    s->parts[2] = *user_data;
    s->n = 3;
}


static ngx_int_t
ngx_chat_signature_check(ngx_chat_signature_t *s, ngx_chat_app_t *app,
    ngx_str_t *auth)
{
    u_char     expected[NGX_CHAT_SIGNATURE_LEN];
    ngx_str_t  key, signature, *secret;

    if (ngx_chat_signature_split(auth, &key, &signature) != NGX_OK) {
        return NGX_ERROR;
    }

    secret = ngx_chat_app_secret_any_case(app, &key);

    if (secret == NULL) {
        return NGX_DECLINED;
    }

    if (signature.len != NGX_CHAT_SIGNATURE_LEN) {
        return NGX_ERROR;
    }

    if (ngx_chat_digest_hmac(expected, secret, s->parts, s->n) != NGX_OK) {
        return NGX_ERROR;
    }

    if (CRYPTO_memcmp(expected, signature.data, NGX_CHAT_SIGNATURE_LEN) != 0) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static u_char *
ngx_chat_signature_write(u_char *p, ngx_chat_signature_t *s,
    ngx_chat_app_t *app)
{
    p = ngx_cpymem(p, app->key.data, app->key.len);
    *p++ = ':';

    if (ngx_chat_digest_hmac(p, &app->secret, s->parts, s->n) != NGX_OK) {
        return NULL;
    }

    return p + NGX_CHAT_SIGNATURE_LEN;
}


static size_t
ngx_chat_signature_text(u_char *buf, size_t size, ngx_chat_signature_t *s)
{
    u_char      *p, *last;
    size_t       len;
    ngx_uint_t   i;

    p = buf;
    last = buf + size;

    for (i = 0; i < s->n; i++) {
        len = ngx_min(s->parts[i].len, (size_t) (last - p));

        if (len) {
            p = ngx_cpymem(p, s->parts[i].data, len);
        }
    }

    return p - buf;
}
