
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The idempotency key of a request.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_idempotency_key.h>
#include <http/ngx_chat_request.h>
#include <pusher/ngx_chat_signature.h>


/*
 * The name is a digest, so all names have one length, and nobody can choose
 * keys whose names fall into one bucket.
 */

ngx_int_t
ngx_chat_idempotency_key_begin(ngx_http_request_t *r,
    ngx_chat_idempotency_t *id, ngx_chat_app_t *app, ngx_str_t *what,
    ngx_str_t *key, ngx_str_t *answer)
{
    u_char                *p;
    ngx_int_t              rc;
    ngx_str_t              given, parts[3];
    ngx_chat_main_conf_t  *cmcf;

    ngx_str_null(&id->name);

    given = *key;

    if (given.data == NULL) {
        rc = ngx_chat_request_header(r, "idempotency-key", &given);

        if (rc != NGX_OK) {
            return (rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
        }
    }

    if (given.len == 0 || given.len > NGX_CHAT_IDEMPOTENCY_KEY_MAX) {
        return NGX_DECLINED;
    }

    parts[0] = *what;
    ngx_str_set(&parts[1], "\n");
    parts[2] = given;

    p = ngx_pnalloc(r->pool, 1 + NGX_CHAT_SIGNATURE_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p[0] = '!';

    if (ngx_chat_digest_hmac(p + 1, &app->secret, parts, 3) != NGX_OK) {
        return NGX_ERROR;
    }

    id->app = app->number;
    id->name.data = p;
    id->name.len = 1 + NGX_CHAT_SIGNATURE_LEN;

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    return ngx_chat_idempotency_begin(cmcf->zone, id, answer, r->pool);
}
