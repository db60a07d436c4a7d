
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Requests that send: a JSON array of messages, which go to the worker where
 * the session lives.  The client does not look at the answer.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <fallback/ngx_chat_fallback.h>
#include <fallback/ngx_chat_fallback_request.h>
#include <fallback/ngx_chat_visit.h>
#include <http/ngx_chat_body.h>
#include <http/ngx_chat_client.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_reply.h>


#define NGX_CHAT_SEND_POOL  4096
#define NGX_CHAT_SEND_TIME  60000          /* ms for the messages to be taken;
                                              they wait while the client has
                                              to read first */


static ngx_int_t ngx_chat_send_handler(ngx_http_request_t *r, void *data);
static ngx_int_t ngx_chat_send_read(ngx_http_request_t *r,
    ngx_chat_body_t *body, ngx_chat_visit_t *v);
static ngx_int_t ngx_chat_send_pack(ngx_http_request_t *r,
    ngx_chat_fallback_request_t *req, ngx_chat_json_value_t *list,
    ngx_chat_visit_t *v);
static ngx_int_t ngx_chat_send_answered(ngx_http_request_t *r, void *data);


ngx_int_t
ngx_chat_fallback_send(ngx_http_request_t *r, ngx_chat_fallback_request_t *req)
{
    return ngx_chat_body_read(r, ngx_chat_body_max(r, 4096),
                              ngx_chat_send_handler, req);
}


static ngx_int_t
ngx_chat_send_handler(ngx_http_request_t *r, void *data)
{
    ngx_chat_body_t *body = data;

    ngx_int_t                     rc;
    ngx_chat_visit_t             *v;
    ngx_chat_slot_sh_t           *slot;
    ngx_chat_main_conf_t         *cmcf;
    ngx_chat_fallback_request_t  *req;

    req = body->data;

    if (body->len == 0) {
        return ngx_chat_reply_line(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "Payload expected.");
    }

    v = ngx_pcalloc(r->pool, sizeof(ngx_chat_visit_t));

    if (v == NULL || ngx_chat_visit_init(v, r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_chat_send_read(r, body, v);

    if (rc == NGX_DECLINED) {
        return ngx_chat_reply_line(r, NGX_HTTP_INTERNAL_SERVER_ERROR,
                                   "Broken JSON encoding.");
    }

    if (rc != NGX_OK) {
        return rc;
    }

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    slot = ngx_chat_fallback_slot(cmcf->zone, req->app->number, req->name,
                                  r->pool);
    if (slot == NULL) {
        return ngx_chat_reply_line(r, NGX_HTTP_NOT_FOUND, "no such session");
    }

    v->handler = ngx_chat_send_answered;
    v->data = v;

    if (ngx_chat_visit(v, cmcf->zone, slot, NGX_CHAT_SEND_TIME) != NGX_OK) {
        return ngx_chat_reply_line(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "come back later");
    }

    return NGX_DONE;
}


/*
 * Reads and packs the messages.  The JSON may take twenty times the memory of
 * its text, and the messages may have to wait, so it has a pool of its own.
 * NGX_OK; NGX_DECLINED: not a list of strings; else a status.
 */

static ngx_int_t
ngx_chat_send_read(ngx_http_request_t *r, ngx_chat_body_t *body,
    ngx_chat_visit_t *v)
{
    ngx_int_t               rc;
    ngx_pool_t             *pool;
    ngx_chat_json_t         json;
    ngx_chat_json_value_t  *list;

    pool = ngx_create_pool(NGX_CHAT_SEND_POOL, r->connection->log);

    if (pool == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_chat_request_json(pool, &json);

    rc = ngx_chat_json_parse(&json, body->start, body->len, &list);

    if (rc == NGX_OK) {
        rc = ngx_chat_send_pack(r, body->data, list, v);

    } else if (rc == NGX_ERROR) {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_destroy_pool(pool);

    return rc;
}


/*
 * What is said at the door.  NGX_OK; NGX_DECLINED: not a list of strings; else
 * a status.
 */

static ngx_int_t
ngx_chat_send_pack(ngx_http_request_t *r, ngx_chat_fallback_request_t *req,
    ngx_chat_json_value_t *list, ngx_chat_visit_t *v)
{
    size_t                    size, max;
    uint32_t                  len;
    ngx_chat_loc_conf_t      *clcf;
    ngx_chat_json_value_t    *m;
    ngx_chat_door_request_t   said;

    if (list->type != NGX_CHAT_JSON_ARRAY_e) {
        return NGX_DECLINED;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);

    max = ngx_chat_client_message_max(clcf);
    size = 0;

    for (m = list->first; m; m = m->next) {

        if (m->type != NGX_CHAT_JSON_STRING_e) {
            return NGX_DECLINED;
        }

        if (m->text.len > max) {
            return NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
        }

        size += sizeof(uint32_t) + m->text.len;
    }

    v->pos = ngx_pnalloc(r->pool, sizeof(ngx_chat_door_request_t) + size);

    if (v->pos == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memzero(&said, sizeof(ngx_chat_door_request_t));

    said.name = req->name;
    said.origin = req->origin;
    said.attempt = req->attempt;
    said.kind = NGX_CHAT_DOOR_SEND_e;
    said.len = (uint32_t) size;

    v->last = ngx_cpymem(v->pos, &said, sizeof(ngx_chat_door_request_t));

    for (m = list->first; m; m = m->next) {
        len = (uint32_t) m->text.len;

        v->last = ngx_cpymem(v->last, &len, sizeof(uint32_t));
        v->last = ngx_cpymem(v->last, m->text.data, len);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_send_answered(ngx_http_request_t *r, void *data)
{
    ngx_chat_visit_t *v = data;

    ngx_chat_visit_end(v);

    switch (v->answer) {

    case NGX_CHAT_DOOR_TAKEN:
        return (ngx_chat_reply_header_text(r, "Cache-Control", "no-store")
                == NGX_OK)
               ? NGX_HTTP_NO_CONTENT : NGX_HTTP_INTERNAL_SERVER_ERROR;

    case NGX_CHAT_DOOR_UNKNOWN:
        return ngx_chat_reply_line(r, NGX_HTTP_NOT_FOUND, "no such session");

    default:
        return ngx_chat_reply_line(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                   "come back later");
    }
}
