
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_auth: reads the body before the access phase, so that auth_request and
 * similar modules can decide by $chat_channel.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_auth_params.h>
#include <http/ngx_chat_handlers.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_request.h>
#include <pusher/ngx_chat_name.h>
#include <wire/ngx_chat_json.h>
#include <wire/ngx_chat_urlencoded.h>


/* most bytes of a body: what nginx keeps in memory by default */
#define NGX_CHAT_AUTH_BODY  8192


static void ngx_chat_auth_params_body_handler(ngx_http_request_t *r);
static ngx_int_t ngx_chat_auth_params_collect(ngx_http_request_t *r,
    ngx_str_t *body);
static const char *ngx_chat_auth_params_check_names(ngx_chat_auth_params_t *ar);
static const char *ngx_chat_auth_params_read(ngx_http_request_t *r,
    ngx_chat_auth_params_t *ar);
static const char *ngx_chat_auth_params_read_json(ngx_http_request_t *r,
    ngx_chat_auth_params_t *ar, ngx_str_t *body);
static void ngx_chat_auth_params_read_form(ngx_chat_auth_params_t *ar,
    ngx_str_t *body);


ngx_chat_auth_params_t *
ngx_chat_auth_params_get(ngx_http_request_t *r)
{
    ngx_chat_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r->main, ngx_chat_module);

    if (clcf == NULL || clcf->auth == NULL) {
        return NULL;
    }

    return ngx_http_get_module_ctx(r->main, ngx_chat_module);
}


ngx_int_t
ngx_chat_auth_params_handler(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_chat_loc_conf_t     *clcf;
    ngx_chat_auth_params_t  *ar;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    if (clcf->auth == NULL || r != r->main || r->method != NGX_HTTP_POST) {
        return NGX_DECLINED;
    }

    ar = ngx_http_get_module_ctx(r, ngx_chat_module);

    if (ar != NULL) {
        return ar->read ? NGX_DECLINED : NGX_DONE;
    }

    if (r->headers_in.content_length_n > NGX_CHAT_AUTH_BODY) {
        return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    }

    ar = ngx_pcalloc(r->pool, sizeof(ngx_chat_auth_params_t));
    if (ar == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_set_ctx(r, ar, ngx_chat_module);

    rc = ngx_http_read_client_request_body(r,
                                           ngx_chat_auth_params_body_handler);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    ngx_http_finalize_request(r, NGX_DONE);

    return NGX_DONE;
}


static void
ngx_chat_auth_params_body_handler(ngx_http_request_t *r)
{
    ngx_chat_auth_params_t  *ar;

    ar = ngx_http_get_module_ctx(r, ngx_chat_module);

    ar->read = 1;
    ar->error = ngx_chat_auth_params_read(r, ar);

    if (ar->error == NULL) {
        ar->error = ngx_chat_auth_params_check_names(ar);
    }

    r->preserve_body = 1;
    r->write_event_handler = ngx_http_core_run_phases;

    ngx_http_core_run_phases(r);
}


/*
 * Only valid names may get into variables: other text may hold a newline, and
 * a variable may go into a header.
 */

static const char *
ngx_chat_auth_params_check_names(ngx_chat_auth_params_t *ar)
{
    const char  *error;

    error = NULL;

    if (ar->socket_id.data == NULL) {
        error = "socket_id is missing";

    } else if (ngx_chat_name_read_socket_id(&ar->id, ar->socket_id.data,
                                            ar->socket_id.len)
               != NGX_OK)
    {
        error = "socket_id is not valid";
    }

    if (ar->channel.data && ngx_chat_name_check(&ar->channel) != NGX_OK) {
        error = "channel_name is not valid";
    }

    if (error) {
        ngx_str_null(&ar->socket_id);
        ngx_str_null(&ar->channel);
    }

    return error;
}


/* NULL, or what is wrong. */

static const char *
ngx_chat_auth_params_read(ngx_http_request_t *r, ngx_chat_auth_params_t *ar)
{
    ngx_str_t    body;
    ngx_uint_t   json;
    const char  *error;

    if (ngx_chat_auth_params_collect(r, &body) != NGX_OK) {
        ar->status = NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
        return "the body is too large";
    }

    error = ngx_chat_request_body_type(r, &json);

    if (error) {
        ar->status = NGX_HTTP_UNSUPPORTED_MEDIA_TYPE;
        return error;
    }

    ar->status = NGX_HTTP_BAD_REQUEST;

    if (body.len == 0) {
        return "the body is empty, socket_id is expected in it";
    }

    if (json) {
        return ngx_chat_auth_params_read_json(r, ar, &body);
    }

    ngx_chat_auth_params_read_form(ar, &body);

    return NULL;
}


static ngx_int_t
ngx_chat_auth_params_collect(ngx_http_request_t *r, ngx_str_t *body)
{
    size_t        len;
    u_char       *p;
    ngx_chain_t  *cl;

    ngx_str_null(body);

    if (r->request_body == NULL) {
        return NGX_OK;
    }

    for (cl = r->request_body->bufs; cl; cl = cl->next) {

        /* pusher-js sends no body of that size */

        if (cl->buf->in_file) {
            return NGX_ERROR;
        }

        body->len += cl->buf->last - cl->buf->pos;
    }

    body->data = ngx_pnalloc(r->pool, body->len + 1);

    if (body->data == NULL || body->len > NGX_CHAT_AUTH_BODY) {
        return NGX_ERROR;
    }

    p = body->data;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        len = cl->buf->last - cl->buf->pos;

        if (len) {
            p = ngx_cpymem(p, cl->buf->pos, len);
        }
    }

    return NGX_OK;
}


static const char *
ngx_chat_auth_params_read_json(ngx_http_request_t *r,
    ngx_chat_auth_params_t *ar, ngx_str_t *body)
{
    ngx_chat_json_t         json;
    ngx_chat_json_value_t  *v;

    ngx_chat_request_json(r->pool, &json);

    if (ngx_chat_json_parse(&json, body->data, body->len, &v) != NGX_OK) {
        return json.error ? json.error : "the body is not JSON";
    }

    if (v->type != NGX_CHAT_JSON_OBJECT_e) {
        return "the body is not a JSON object";
    }

    if (ngx_chat_json_string(v, "socket_id", &ar->socket_id) != NGX_OK) {
        return "socket_id is not a string";
    }

    if (ngx_chat_json_string(v, "channel_name", &ar->channel) != NGX_OK) {
        return "channel_name is not a string";
    }

    return NULL;
}


/* Decodes in place: the body is a copy. */

static void
ngx_chat_auth_params_read_form(ngx_chat_auth_params_t *ar, ngx_str_t *body)
{
    ngx_str_t  name, value;

    while (ngx_chat_urlencoded_next(body, &name, &value) == NGX_OK) {

        (void) ngx_chat_urlencoded_decode(&name, name.data);
        (void) ngx_chat_urlencoded_decode(&value, value.data);

        if (name.len == 9 && ngx_memcmp(name.data, "socket_id", 9) == 0) {
            ar->socket_id = value;

        } else if (name.len == 12
                   && ngx_memcmp(name.data, "channel_name", 12) == 0)
        {
            ar->channel = value;
        }
    }
}
