
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The idempotency key of a request.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_idempotency_key.h>
#include <http/ngx_chat_request.h>
#include <pusher/ngx_chat_digest.h>


ngx_int_t
ngx_chat_idempotency_key_read(ngx_http_request_t *r, u_char *digest,
    ngx_chat_app_t *app, ngx_str_t *what, ngx_str_t *key)
{
    ngx_int_t  rc;
    ngx_str_t  given, parts[3];

    given = *key;

    if (given.data == NULL) {
        rc = ngx_chat_request_header(r, "idempotency-key", &given);

        if (rc != NGX_OK) {
            return (rc == NGX_DECLINED) ? NGX_DONE : NGX_ERROR;
        }
    }

    if (given.len == 0 || given.len > NGX_CHAT_IDEMPOTENCY_KEY_MAX) {
        return NGX_DECLINED;
    }

    parts[0] = *what;
    ngx_str_set(&parts[1], "\n");
    parts[2] = given;

    return ngx_chat_idempotency_key_digest(digest, app, parts, 3);
}


/*
 * The app's id separates the apps.  A secret would add nothing, and another
 * secret would be another digest.
 */

ngx_int_t
ngx_chat_idempotency_key_digest(u_char *digest, ngx_chat_app_t *app,
    ngx_str_t *parts, ngx_uint_t n)
{
    u_char      hex[NGX_CHAT_DIGEST_HMAC_HEX];
    ngx_uint_t  i;

    if (ngx_chat_digest_hmac(hex, &app->id, parts, n) != NGX_OK) {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_CHAT_KEYS_LEN; i++) {
        digest[i] = (u_char) ngx_hextoi(&hex[2 * i], 2);
    }

    return NGX_OK;
}
