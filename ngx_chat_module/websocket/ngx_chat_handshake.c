
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The opening handshake.  An error of the HTTP request is answered by an HTTP
 * status.  An error of its Pusher part is told after the upgrade, since
 * clients take an HTTP error for an outage.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_sha1.h>

#include <http/ngx_chat_client.h>
#include <http/ngx_chat_reply.h>
#include <websocket/ngx_chat_handshake.h>


#define NGX_CHAT_HANDSHAKE_GUID  "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


static ngx_int_t ngx_chat_handshake_check(ngx_http_request_t *r);
static ngx_int_t ngx_chat_handshake_upgrade_required(ngx_http_request_t *r,
    const char *name, const char *value, const char *text);
static ngx_uint_t ngx_chat_handshake_has_token(ngx_http_request_t *r,
    const char *name, const char *token);
static ngx_int_t ngx_chat_handshake_check_key(ngx_str_t *key);
static ngx_int_t ngx_chat_handshake_accept(ngx_http_request_t *r);
static ngx_int_t ngx_chat_handshake_protocol(ngx_http_request_t *r);
static ngx_int_t ngx_chat_handshake_send(ngx_http_request_t *r);


ngx_int_t
ngx_chat_handshake(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    rc = ngx_chat_handshake_check(r);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_chat_handshake_accept(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return (ngx_chat_handshake_send(r) == NGX_OK) ? NGX_DECLINED : NGX_ERROR;
}


/* NGX_DECLINED: nothing is wrong; else the request is answered. */

static ngx_int_t
ngx_chat_handshake_check(ngx_http_request_t *r)
{
    ngx_str_t  value;

    if (r->method != NGX_HTTP_GET) {
        return ngx_chat_reply_not_allowed(r, "GET");
    }

    if (r->http_version != NGX_HTTP_VERSION_11
        || !ngx_chat_handshake_has_token(r, "upgrade", "websocket")
        || !ngx_chat_handshake_has_token(r, "connection", "upgrade"))
    {
        return ngx_chat_handshake_upgrade_required(r, "Upgrade", "websocket",
                                     "a WebSocket upgrade is expected here");
    }

    if (ngx_chat_request_header(r, "sec-websocket-version", &value) != NGX_OK
        || value.len != 2
        || ngx_memcmp(value.data, "13", 2) != 0)
    {
        return ngx_chat_handshake_upgrade_required(r,
                                     "Sec-WebSocket-Version", "13",
                                     "WebSocket version 13 is expected");
    }

    if (ngx_chat_request_header(r, "sec-websocket-key", &value) != NGX_OK
        || ngx_chat_handshake_check_key(&value) != NGX_OK)
    {
        return ngx_chat_reply_error(r, NGX_HTTP_BAD_REQUEST,
                                    "Sec-WebSocket-Key is not valid");
    }

    if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {

        /* a body would be taken for frames */
        return ngx_chat_reply_error(r, NGX_HTTP_BAD_REQUEST,
                                    "a WebSocket upgrade has no body");
    }

    return (ngx_chat_client_check_origin(r) == NGX_OK)
           ? NGX_DECLINED : NGX_HTTP_FORBIDDEN;
}


static ngx_int_t
ngx_chat_handshake_upgrade_required(ngx_http_request_t *r, const char *name,
    const char *value, const char *text)
{
    /* HTTP/2 forbids headers of the connection */

    if (r->http_version < NGX_HTTP_VERSION_20
        && ngx_chat_reply_header_text(r, name, value) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_chat_reply_error(r, 426, text);
}


/*
 * Finds a token in a header's list, letters in either case.  What follows it
 * behind a space is ignored.
 */

static ngx_uint_t
ngx_chat_handshake_has_token(ngx_http_request_t *r, const char *name,
    const char *token)
{
    size_t     len;
    ngx_str_t  list, item;

    if (ngx_chat_request_header(r, name, &list) != NGX_OK) {
        return 0;
    }

    len = ngx_strlen(token);

    while (ngx_chat_request_next_item(&list, &item) == NGX_OK) {

        if (item.len >= len
            && ngx_strncasecmp(item.data, (u_char *) token, len) == 0
            && (item.len == len
                || item.data[len] == ' ' || item.data[len] == '\t'))
        {
            return 1;
        }
    }

    return 0;
}


/* 16 bytes in base64: 22 characters and "==". */

static ngx_int_t
ngx_chat_handshake_check_key(ngx_str_t *key)
{
    u_char     buf[18];
    ngx_str_t  bytes;

    bytes.data = buf;

    if (key->len != 24
        || key->data[22] != '='
        || key->data[23] != '='
        || ngx_decode_base64(&bytes, key) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return (bytes.len == 16) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_chat_handshake_accept(ngx_http_request_t *r)
{
    u_char      digest[20];
    ngx_str_t   key, sha, accept;
    ngx_sha1_t  ctx;

    if (ngx_chat_request_header(r, "sec-websocket-key", &key) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_sha1_init(&ctx);
    ngx_sha1_update(&ctx, key.data, key.len);
    ngx_sha1_update(&ctx, NGX_CHAT_HANDSHAKE_GUID,
                    sizeof(NGX_CHAT_HANDSHAKE_GUID) - 1);
    ngx_sha1_final(digest, &ctx);

    sha.data = digest;
    sha.len = sizeof(digest);

    accept.data = ngx_pnalloc(r->pool, ngx_base64_encoded_length(sha.len));
    if (accept.data == NULL) {
        return NGX_ERROR;
    }

    ngx_encode_base64(&accept, &sha);

    if (ngx_chat_reply_header_text(r, "Upgrade", "websocket") != NGX_OK
        || ngx_chat_reply_header(r, "Sec-WebSocket-Accept", &accept)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_chat_handshake_protocol(r);
}


/* A browser that offered subprotocols wants one of them: the first. */

static ngx_int_t
ngx_chat_handshake_protocol(ngx_http_request_t *r)
{
    ngx_str_t  list, item;

    if (ngx_chat_request_header(r, "sec-websocket-protocol", &list) != NGX_OK
        || ngx_chat_request_next_item(&list, &item) != NGX_OK)
    {
        return NGX_OK;
    }

    return ngx_chat_reply_header(r, "Sec-WebSocket-Protocol", &item);
}


static ngx_int_t
ngx_chat_handshake_send(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_connection_t          *c;
    ngx_http_core_loc_conf_t  *clcf;

    c = r->connection;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    r->keepalive = 0;

    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");
    r->headers_out.content_length_n = -1;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return NGX_ERROR;
    }

    /*
     * An empty socket takes these few bytes, or it is broken.  What TLS keeps
     * back leaves with the first frame.
     */

    if (r->buffered || (c->buffered & ~NGX_SSL_BUFFERED)) {
        return NGX_ERROR;
    }

    if (clcf->tcp_nodelay && ngx_tcp_nodelay(c) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_OK;
}
