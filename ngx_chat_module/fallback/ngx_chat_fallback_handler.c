
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Requests of pusher-js without WebSocket: what they ask for, and who is
 * refused.
 *
 * A session is found by a hash of the app, the two parts of the path that the
 * client has chosen at random, and its token.  The hash's key is known to the
 * workers only.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <fallback/ngx_chat_fallback_request.h>
#include <http/ngx_chat_client.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_variable.h>
#include <pusher/ngx_chat_error.h>
#include <wire/ngx_chat_line.h>


static ngx_int_t ngx_chat_fallback_parse(ngx_http_request_t *r,
    ngx_chat_fallback_request_t *req);
static u_char *ngx_chat_fallback_part(u_char *start, u_char *last);
static ngx_int_t ngx_chat_fallback_identify(ngx_http_request_t *r,
    ngx_chat_fallback_request_t *req);


ngx_int_t
ngx_chat_fallback_handler(ngx_http_request_t *r)
{
    ngx_str_t                     arg, *token;
    ngx_uint_t                    code;
    const char                   *text;
    ngx_chat_fallback_request_t  *req;

    if (r != r->main) {
        return NGX_HTTP_NOT_FOUND;
    }

    if (ngx_chat_client_token(r, &token) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method != NGX_HTTP_POST) {
        return ngx_chat_reply_not_allowed(r, "POST, OPTIONS");
    }

    if (ngx_chat_client_check_origin(r) != NGX_OK) {
        return NGX_HTTP_FORBIDDEN;
    }

    req = ngx_pcalloc(r->pool, sizeof(ngx_chat_fallback_request_t));

    if (req == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_chat_fallback_parse(r, req) != NGX_OK) {
        return ngx_chat_reply_line(r, NGX_HTTP_NOT_FOUND, "no such transport");
    }

    ngx_str_null(&arg);

    text = NULL;
    req->token = token;
    code = ngx_chat_client_app(r, &req->path, &req->app, &arg);

    if (code == 0 && token && ngx_chat_client_check_token(token) != NGX_OK) {
        code = NGX_CHAT_ERROR_PATH;
        text = NGX_CHAT_ERROR_TOKEN;
    }

    if (code && req->kind != NGX_CHAT_DOOR_SEND_e) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "chat client is refused with %ui", code);

        ngx_chat_session_count_refused(code);

        return ngx_chat_fallback_refuse(r, code, text, &arg);
    }

    if (code) {
        return ngx_chat_reply_line(r, NGX_HTTP_NOT_FOUND, "no such session");
    }

    ngx_chat_variable_note(r, &req->app->id, NULL, NULL, NULL, NULL);

    if (ngx_chat_fallback_identify(r, req) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return (req->kind == NGX_CHAT_DOOR_SEND_e)
           ? ngx_chat_fallback_send(r, req) : ngx_chat_fallback_receive(r, req);
}


/* Takes ".../SERVER/SESSION/KIND" apart, from its end. */

static ngx_int_t
ngx_chat_fallback_parse(ngx_http_request_t *r,
    ngx_chat_fallback_request_t *req)
{
    u_char     *start, *kind, *session, *server;
    ngx_str_t   name;

    start = r->uri.data;

    kind = ngx_chat_fallback_part(start, start + r->uri.len);
    session = ngx_chat_fallback_part(start, kind - 1);
    server = ngx_chat_fallback_part(start, session - 1);

    if (server - 1 <= start
        || kind - session < 2
        || session - server < 2
        || ngx_strlchr(server, kind, '.') != NULL)
    {
        return NGX_DECLINED;
    }

    req->path.data = start;
    req->path.len = server - 1 - start;

    req->session.data = server;
    req->session.len = kind - 1 - server;

    name.data = kind;
    name.len = start + r->uri.len - kind;

    if (name.len == 13 && ngx_memcmp(name.data, "xhr_streaming", 13) == 0) {
        req->kind = NGX_CHAT_DOOR_STREAM_e;
        return NGX_OK;
    }

    if (name.len == 3 && ngx_memcmp(name.data, "xhr", 3) == 0) {
        req->kind = NGX_CHAT_DOOR_POLL_e;
        return NGX_OK;
    }

    if (name.len == 8 && ngx_memcmp(name.data, "xhr_send", 8) == 0) {
        req->kind = NGX_CHAT_DOOR_SEND_e;
        return NGX_OK;
    }

    return NGX_DECLINED;
}


/* The begin of a path's last part; start where there is none. */

static u_char *
ngx_chat_fallback_part(u_char *start, u_char *last)
{
    u_char  *p;

    for (p = last; p > start; p--) {
        if (p[-1] == '/') {
            return p;
        }
    }

    return start;
}


static ngx_int_t
ngx_chat_fallback_identify(ngx_http_request_t *r,
    ngx_chat_fallback_request_t *req)
{
    u_char                *p, *buf;
    size_t                 len;
    ngx_int_t              rc;
    ngx_str_t              origin;
    ngx_chat_hash_key_t   *key;
    ngx_chat_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);
    key = &cmcf->zone->sh->key;

    len = sizeof(uint64_t) + req->session.len
          + (req->token ? 1 + req->token->len : 0);

    buf = ngx_pnalloc(r->pool, len);

    if (buf == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(buf, &req->app->number, sizeof(uint64_t));
    p = ngx_cpymem(p, req->session.data, req->session.len);

    if (req->token) {
        *p++ = ';';
        ngx_memcpy(p, req->token->data, req->token->len);
    }

    req->name = ngx_chat_hash(key, buf, len);

    /* pusher-js gives each of its requests other arguments */

    if (r->args.len) {
        req->attempt = ngx_chat_hash(key, r->args.data, r->args.len);
    }

    rc = ngx_chat_request_header(r, "origin", &origin);

    if (rc == NGX_OK) {
        req->origin = ngx_chat_hash(key, origin.data, origin.len);
    }

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


ngx_int_t
ngx_chat_fallback_refuse(ngx_http_request_t *r, ngx_uint_t code,
    const char *text, ngx_str_t *arg)
{
    u_char          *p, reason[NGX_CHAT_ERROR_TEXT_MAX];
    size_t           n;
    ngx_str_t        s, lines;
    ngx_chat_buf_t  *b;

    static ngx_str_t  type = ngx_string(NGX_CHAT_LINE_TYPE);

    s.data = reason;
    s.len = ngx_chat_error_format(reason, sizeof(reason),
                                  text ? text : ngx_chat_error_text(code),
                                  arg);

    b = ngx_chat_session_frame_close(code, &s, r->connection->log);

    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    n = sizeof(NGX_CHAT_LINE_OPEN) - 1;

    p = b->data;
    lines.len = n + ngx_chat_line_render(NULL, &p);
    lines.data = ngx_pnalloc(r->pool, lines.len);

    if (lines.data) {
        ngx_memcpy(lines.data, NGX_CHAT_LINE_OPEN, n);

        p = b->data;
        (void) ngx_chat_line_render(lines.data + n, &p);
    }

    ngx_chat_buf_release(b);

    return lines.data ? ngx_chat_reply_typed(r, NGX_HTTP_OK, &type, &lines)
                      : NGX_HTTP_INTERNAL_SERVER_ERROR;
}
