
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Where a WebSocket connection's state is kept.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_http.h>
#include <websocket/ngx_chat_websocket.h>


ngx_chat_object_pool_t  ngx_chat_websocket_pool = {
    sizeof(ngx_chat_websocket_t), { NULL, NULL }
};


ngx_chat_websocket_t *
ngx_chat_websocket_get(ngx_connection_t *c)
{
    ngx_http_log_ctx_t  *ctx;

    /* nginx's own word on whether the connection has a request */

    ctx = c->log->data;

    return ctx->request ? ngx_http_get_module_ctx(ctx->request,
                                                  ngx_chat_module)
                        : c->data;
}
