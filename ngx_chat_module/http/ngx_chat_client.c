
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What all transports of Pusher clients read off a request.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_client.h>
#include <http/ngx_chat_request.h>
#include <pusher/ngx_chat_error.h>
#include <shared/ngx_chat_token.h>


#define NGX_CHAT_CLIENT_MESSAGE  65536     /* bytes surely accepted */


static ngx_str_t *ngx_chat_client_masked(ngx_http_request_t *r);
static void ngx_chat_client_forget(void *data);
static void ngx_chat_client_mask(ngx_str_t *s);


ngx_int_t
ngx_chat_client_preaccess(ngx_http_request_t *r)
{
    ngx_str_t            *token;
    ngx_chat_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    if (r != r->main || !clcf->has_tokens) {
        return NGX_DECLINED;
    }

    return (ngx_chat_client_token(r, &token) == NGX_OK)
           ? NGX_DECLINED : NGX_HTTP_INTERNAL_SERVER_ERROR;
}


ngx_int_t
ngx_chat_client_token(ngx_http_request_t *r, ngx_str_t **token)
{
    u_char              *p, *last, *slash;
    ngx_pool_cleanup_t  *cln;

    *token = NULL;

    last = r->uri.data + r->uri.len;
    p = ngx_strlchr(r->uri.data, last, ';');

    if (p == NULL) {
        return NGX_OK;
    }

    p++;

    if (p < last && *p == '*') {
        *token = ngx_chat_client_masked(r);

        if (*token) {
            return NGX_OK;
        }
    }

    slash = ngx_strlchr(p, last, '/');
    last = slash ? slash : last;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_str_t) + (last - p));

    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_chat_client_forget;
    *token = cln->data;

    (*token)->len = last - p;
    (*token)->data = (u_char *) *token + sizeof(ngx_str_t);
    ngx_memcpy((*token)->data, p, last - p);

    ngx_chat_client_mask(&r->uri);
    ngx_chat_client_mask(&r->unparsed_uri);
    ngx_chat_client_mask(&r->request_line);

    return NGX_OK;
}


/*
 * The token that was masked before, or NULL.  A redirect within nginx takes
 * away a request's contexts, but not its pool.
 */

static ngx_str_t *
ngx_chat_client_masked(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_chat_client_forget) {
            return cln->data;
        }
    }

    return NULL;
}


/* Its address tells where the token is. */

static void
ngx_chat_client_forget(void *data)
{
    ngx_str_t *token = data;

    ngx_explicit_memzero(token->data, token->len);
}


/*
 * Masks all behind the first ";", which may be encoded, up to the end of the
 * path.
 */

static void
ngx_chat_client_mask(ngx_str_t *s)
{
    u_char      *p, *last;
    ngx_uint_t   found;

    found = 0;
    last = s->data + s->len;

    for (p = s->data; p < last; p++) {

        if (*p == '?' || (found && (*p == '/' || *p == ' '))) {
            return;
        }

        if (found) {
            *p = '*';

        } else if (*p == ';') {
            found = 1;

        } else if (last - p >= 3
                   && ngx_strncasecmp(p, (u_char *) "%3b", 3) == 0)
        {
            found = 1;
            p += 2;
        }
    }
}


ngx_int_t
ngx_chat_client_check_token(ngx_str_t *token)
{
    u_char  *p, *last;

    if (token->len < NGX_CHAT_TOKEN_MIN || token->len > NGX_CHAT_TOKEN_MAX) {
        return NGX_ERROR;
    }

    last = token->data + token->len;

    for (p = token->data; p < last; p++) {

        if ((*p >= 'a' && *p <= 'z')
            || (*p >= 'A' && *p <= 'Z')
            || (*p >= '0' && *p <= '9')
            || *p == '-' || *p == '_')
        {
            continue;
        }

        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_chat_client_app(ngx_http_request_t *r, ngx_str_t *path,
    ngx_chat_app_t **app, ngx_str_t *arg)
{
    u_char                *p, *last, *key;
    ngx_int_t              n;
    ngx_str_t              value;
    ngx_chat_main_conf_t  *cmcf;

    /* the last "/app/" of the path; the key goes to the next "/" */

    key = NULL;
    last = path->data + path->len;

    for (p = path->data; p + 5 <= last; p++) {
        if (ngx_memcmp(p, "/app/", 5) == 0) {
            key = p + 5;
        }
    }

    if (key == NULL || key == last) {
        return NGX_CHAT_ERROR_PATH;
    }

    arg->data = key;
    arg->len = last - key;

    p = ngx_strlchr(key, last, '/');

    if (p != NULL) {

        if (p == key || p + 1 != last) {
            return NGX_CHAT_ERROR_PATH;
        }

        arg->len = p - key;
    }

    /* a token, which is masked, is no part of the key */

    p = ngx_strlchr(key, key + arg->len, ';');

    if (p != NULL) {
        arg->len = p - key;
    }

    if (ngx_http_arg(r, (u_char *) "protocol", 8, &value) == NGX_OK) {

        n = ngx_atoi(value.data, value.len);

        if (n < 4 || n > 7) {
            return NGX_CHAT_ERROR_PROTOCOL;
        }
    }

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);
    *app = ngx_chat_app_of_key(&cmcf->apps, arg);

    return *app ? ngx_chat_client_check_app(r, *app)
                : NGX_CHAT_ERROR_UNKNOWN_KEY;
}


/* A message of chat_max_message_size, all of it escaped, and what is around. */

size_t
ngx_chat_client_message_max(ngx_chat_loc_conf_t *clcf)
{
    return ngx_max(clcf->max_message_size * 7 + 4096,
                   NGX_CHAT_CLIENT_MESSAGE);
}


ngx_uint_t
ngx_chat_client_check_app(ngx_http_request_t *r, ngx_chat_app_t *app)
{
    ngx_uint_t  tls;

#if (NGX_HTTP_SSL)
    tls = (r->connection->ssl != NULL);
#else
    tls = 0;
#endif

    if (!app->enabled) {
        return NGX_CHAT_ERROR_DISABLED;
    }

    return (app->tls_only && !tls) ? NGX_CHAT_ERROR_TLS_ONLY : 0;
}


ngx_int_t
ngx_chat_client_check_origin(ngx_http_request_t *r)
{
    ngx_int_t             rc;
    ngx_str_t             origin;
    ngx_chat_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    if (clcf->origins == NULL) {
        return NGX_OK;
    }

    rc = ngx_chat_request_header(r, "origin", &origin);

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ngx_chat_origin_match(clcf->origins, &origin)) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "client sent origin \"%V\" that chat_origins does not allow",
                  &origin);

    ngx_chat_count(NGX_CHAT_ORIGINS_REFUSED_e, 1);

    return NGX_DECLINED;
}
