
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * CORS: a header filter, so that a page can read every answer, also those
 * that nginx gives itself (413, 403 of auth_request); and a handler before
 * the access phase, since a preflight carries no credentials.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_cors.h>
#include <http/ngx_chat_http.h>
#include <http/ngx_chat_reply.h>


static ngx_int_t ngx_chat_cors_preflight(ngx_http_request_t *r);
static ngx_int_t ngx_chat_cors_header_filter(ngx_http_request_t *r);
static const char *ngx_chat_cors_methods(ngx_chat_loc_conf_t *clcf);


static ngx_http_output_header_filter_pt  ngx_chat_cors_next_header_filter;


ngx_int_t
ngx_chat_cors_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PREACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_chat_cors_preflight;

    ngx_chat_cors_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_chat_cors_header_filter;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_cors_preflight(ngx_http_request_t *r)
{
    ngx_str_t             value;
    ngx_chat_loc_conf_t  *clcf;

    static ngx_str_t  max_age = ngx_string("86400");

    if (r->method != NGX_HTTP_OPTIONS || r != r->main) {
        return NGX_DECLINED;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    if (clcf->cors == NULL
        || clcf->cors->nelts == 0
        || ngx_chat_cors_methods(clcf) == NULL
        || ngx_chat_request_header(r, "origin", &value) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    value.data = (u_char *) ngx_chat_cors_methods(clcf);
    value.len = ngx_strlen(value.data);

    if (ngx_chat_reply_header(r, "Access-Control-Allow-Methods", &value)
        != NGX_OK
        || ngx_chat_reply_header(r, "Access-Control-Max-Age", &max_age)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_chat_request_header(r, "access-control-request-headers", &value)
        == NGX_OK
        && ngx_chat_reply_header(r, "Access-Control-Allow-Headers", &value)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_HTTP_NO_CONTENT;
}


static ngx_int_t
ngx_chat_cors_header_filter(ngx_http_request_t *r)
{
    ngx_str_t             origin;
    ngx_chat_loc_conf_t  *clcf;

    static ngx_str_t  any = ngx_string("*");
    static ngx_str_t  vary = ngx_string("Origin");
    static ngx_str_t  exposed = ngx_string("Link, Chat-Epoch, Retry-After");

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    if (clcf->cors == NULL
        || clcf->cors->nelts == 0
        || r != r->main
        || r->headers_out.status == NGX_HTTP_SWITCHING_PROTOCOLS
        || ngx_chat_cors_methods(clcf) == NULL)
    {
        return ngx_chat_cors_next_header_filter(r);
    }

    if (ngx_chat_origin_any(clcf->cors)) {

        if (ngx_chat_reply_header(r, "Access-Control-Allow-Origin", &any)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

    } else {

        if (ngx_chat_reply_header(r, "Vary", &vary) != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_chat_request_header(r, "origin", &origin) != NGX_OK
            || !ngx_chat_origin_match(clcf->cors, &origin))
        {
            return ngx_chat_cors_next_header_filter(r);
        }

        if (ngx_chat_reply_header(r, "Access-Control-Allow-Origin",
                                  &origin)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ngx_chat_reply_header(r, "Access-Control-Expose-Headers", &exposed)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_chat_cors_next_header_filter(r);
}


/* What a location of ours answers; NULL: it is none of ours. */

static const char *
ngx_chat_cors_methods(ngx_chat_loc_conf_t *clcf)
{
    if (clcf->history && clcf->publish) {
        return "GET, HEAD, POST, OPTIONS";
    }

    if (clcf->publish || clcf->auth) {
        return "POST, OPTIONS";
    }

    if (clcf->history || clcf->status || clcf->websocket) {
        return "GET, HEAD, OPTIONS";
    }

    return NULL;
}
