
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * CORS: a header filter, so that a page can read every answer, also one that
 * nginx gives itself (413, 403 of auth_request).  Preflights are answered
 * before the access phase, since they carry no credentials.
 *
 * Where credentials are allowed, browsers take a "*" for a name and not for all
 * names.  So no header here has one but Access-Control-Allow-Origin, and a list
 * with "*" gets no credentials.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_handlers.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_reply.h>


static ngx_int_t ngx_chat_cors_header_filter(ngx_http_request_t *r);
static const char *ngx_chat_cors_methods(ngx_chat_loc_conf_t *clcf);


static ngx_http_output_header_filter_pt  ngx_chat_cors_next_header_filter;


void
ngx_chat_cors_init(void)
{
    ngx_chat_cors_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_chat_cors_header_filter;
}


ngx_int_t
ngx_chat_cors_handler(ngx_http_request_t *r)
{
    ngx_str_t             value;
    const char           *methods;
    ngx_chat_loc_conf_t  *clcf;

    if (r->method != NGX_HTTP_OPTIONS || r != r->main) {
        return NGX_DECLINED;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);
    methods = ngx_chat_cors_methods(clcf);

    if (methods == NULL
        || ngx_chat_request_header(r, "origin", &value) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_chat_reply_header_text(r, "Access-Control-Allow-Methods", methods)
        != NGX_OK
        || ngx_chat_reply_header_text(r, "Access-Control-Max-Age", "86400")
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

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    if (r != r->main
        || r->headers_out.status == NGX_HTTP_SWITCHING_PROTOCOLS
        || ngx_chat_cors_methods(clcf) == NULL)
    {
        return ngx_chat_cors_next_header_filter(r);
    }

    if (clcf->cors->any) {
        ngx_str_set(&origin, "*");

    } else {

        if (ngx_chat_reply_header_text(r, "Vary", "Origin") != NGX_OK) {
            return NGX_ERROR;
        }

        if (ngx_chat_request_header(r, "origin", &origin) != NGX_OK
            || !ngx_chat_origin_match(clcf->cors, &origin))
        {
            return ngx_chat_cors_next_header_filter(r);
        }
    }

    if (ngx_chat_reply_header(r, "Access-Control-Allow-Origin", &origin)
        != NGX_OK
        || ngx_chat_reply_header_text(r, "Access-Control-Expose-Headers",
                                      clcf->events
                                      ? "Chat-Last-Event-ID, ETag, Retry-After"
                                      : "Link, Chat-Epoch, Retry-After")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (clcf->cors->credentials
        && ngx_chat_reply_header_text(r, "Access-Control-Allow-Credentials",
                                      "true")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_chat_cors_next_header_filter(r);
}


/* What a location with chat_cors answers; NULL: CORS is not for it. */

static const char *
ngx_chat_cors_methods(ngx_chat_loc_conf_t *clcf)
{
    /* the console is for its own page only, whatever it inherits */

    if (clcf->cors == NULL || clcf->cors->origins.nelts == 0 || clcf->console)
    {
        return NULL;
    }

    if (clcf->history && clcf->publish) {
        return "GET, HEAD, POST, OPTIONS";
    }

    if (clcf->publish || clcf->auth || clcf->fallback) {
        return "POST, OPTIONS";
    }

    if (clcf->handler != NULL && clcf->handler != ngx_chat_api_handler) {
        return "GET, HEAD, OPTIONS";
    }

    return NULL;
}
