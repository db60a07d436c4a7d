
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Apps and their credentials.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/sha.h>

#include <pusher/ngx_chat_app.h>


static ngx_str_t *ngx_chat_app_find(ngx_chat_app_t *app, ngx_str_t *key,
    ngx_uint_t any_case);
static ngx_uint_t ngx_chat_app_is_key(ngx_str_t *key, ngx_str_t *given,
    ngx_uint_t any_case);


uint64_t
ngx_chat_app_number(ngx_str_t *id)
{
    u_char      digest[SHA256_DIGEST_LENGTH];
    size_t      i;
    uint64_t    n;
    ngx_uint_t  digits;

    if (id->len == 0 || id->len > NGX_CHAT_APP_ID_MAX) {
        return 0;
    }

    n = 0;
    digits = 1;

    for (i = 0; i < id->len; i++) {

        if (!ngx_chat_app_is_id_char(id->data[i])) {
            return 0;
        }

        digits = digits && id->data[i] >= '0' && id->data[i] <= '9';

        if (digits && i < NGX_CHAT_APP_ID_DIGITS) {
            n = n * 10 + (id->data[i] - '0');
        }
    }

    if (digits) {
        return (i <= NGX_CHAT_APP_ID_DIGITS && id->data[0] != '0') ? n : 0;
    }

    (void) SHA256(id->data, id->len, digest);

    n = 0;

    for (i = 0; i < 8; i++) {
        n = n << 8 | digest[i];
    }

    return (uint64_t) 1 << 62 | n >> 2;
}


ngx_chat_app_t *
ngx_chat_app_of_id(ngx_array_t *apps, ngx_str_t *id)
{
    ngx_uint_t       i;
    ngx_chat_app_t  *app;

    app = apps->elts;

    for (i = 0; i < apps->nelts; i++) {

        if (app[i].id.len == id->len
            && ngx_memcmp(app[i].id.data, id->data, id->len) == 0)
        {
            return &app[i];
        }
    }

    return NULL;
}


ngx_chat_app_t *
ngx_chat_app_of_key(ngx_array_t *apps, ngx_str_t *key)
{
    ngx_uint_t       i;
    ngx_chat_app_t  *app;

    app = apps->elts;

    for (i = 0; i < apps->nelts; i++) {
        if (ngx_chat_app_secret(&app[i], key) != NULL) {
            return &app[i];
        }
    }

    return NULL;
}


ngx_str_t *
ngx_chat_app_secret(ngx_chat_app_t *app, ngx_str_t *key)
{
    return ngx_chat_app_find(app, key, 0);
}


/* Pusher's Swift library sends the key of an inline auth in lower case. */

ngx_str_t *
ngx_chat_app_secret_any_case(ngx_chat_app_t *app, ngx_str_t *key)
{
    return ngx_chat_app_find(app, key, 1);
}


static ngx_str_t *
ngx_chat_app_find(ngx_chat_app_t *app, ngx_str_t *key, ngx_uint_t any_case)
{
    ngx_uint_t           i;
    ngx_chat_app_key_t  *keys;

    if (ngx_chat_app_is_key(&app->key, key, any_case)) {
        return &app->secret;
    }

    if (app->keys == NULL) {
        return NULL;
    }

    keys = app->keys->elts;

    for (i = 0; i < app->keys->nelts; i++) {
        if (ngx_chat_app_is_key(&keys[i].key, key, any_case)) {
            return &keys[i].secret;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_chat_app_stores(ngx_chat_app_t *app, ngx_str_t *channel)
{
    return app->store && ngx_chat_app_matches(app->store, channel);
}


ngx_uint_t
ngx_chat_app_matches(ngx_array_t *patterns, ngx_str_t *channel)
{
    size_t       len;
    ngx_str_t   *pattern;
    ngx_uint_t   i, open;

    pattern = patterns->elts;

    for (i = 0; i < patterns->nelts; i++) {
        len = pattern[i].len;
        open = (pattern[i].data[len - 1] == '*');
        len -= open;

        if ((open ? channel->len >= len : channel->len == len)
            && ngx_memcmp(channel->data, pattern[i].data, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


/* Keys are public, so they need not be compared in constant time. */

static ngx_uint_t
ngx_chat_app_is_key(ngx_str_t *key, ngx_str_t *given, ngx_uint_t any_case)
{
    if (key->len != given->len) {
        return 0;
    }

    return any_case ? strncasecmp((char *) key->data, (char *) given->data,
                                  key->len) == 0
                    : ngx_memcmp(key->data, given->data, key->len) == 0;
}
