
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_api: finds out what a request asks of which app, and checks its
 * signature.  The console asks the same without one.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_api.h>
#include <http/ngx_chat_body.h>
#include <http/ngx_chat_handlers.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_variable.h>
#include <http/ngx_chat_wait.h>
#include <pusher/ngx_chat_api_auth.h>


/* Why what is asked can't be answered; status 0: it can. */

typedef struct {
    ngx_uint_t                 status;
    const char                *text;
} ngx_chat_api_refusal_t;


static ngx_chat_api_t *ngx_chat_api_begin(ngx_http_request_t *r,
    ngx_str_t *path, ngx_int_t *rc);
static void ngx_chat_api_line(ngx_http_request_t *r, ngx_chat_api_t *api);
static ngx_int_t ngx_chat_api_read(ngx_http_request_t *r,
    ngx_chat_api_t *api);
static void ngx_chat_api_find(ngx_http_request_t *r, ngx_chat_api_t *api,
    ngx_chat_api_refusal_t *no);
static ngx_int_t ngx_chat_api_refuse(ngx_http_request_t *r,
    ngx_chat_api_t *api, ngx_chat_api_refusal_t *no);
static ngx_int_t ngx_chat_api_check(ngx_http_request_t *r,
    ngx_chat_api_t *api, ngx_chat_api_auth_t *auth);
static ngx_int_t ngx_chat_api_denied(ngx_http_request_t *r,
    ngx_chat_api_auth_t *auth, ngx_int_t rc);
static ngx_int_t ngx_chat_api_take(ngx_http_request_t *r,
    ngx_chat_api_t *api);
static ngx_int_t ngx_chat_api_body(ngx_http_request_t *r, void *data);
static ngx_int_t ngx_chat_api_answer(ngx_http_request_t *r,
    ngx_chat_api_t *api);


/*
 * The signature is checked before the body is read, so that nobody else can
 * make us hold a body.  A request with a key is told that its path is unknown
 * or its method not allowed only if it is signed: where the path or the method
 * was changed on the way, the answer is that the signature is wrong.
 */

ngx_int_t
ngx_chat_api_handler(ngx_http_request_t *r)
{
    ngx_int_t                rc;
    ngx_str_t               *key;
    ngx_chat_api_t          *api;
    ngx_chat_api_auth_t      auth;
    ngx_chat_api_refusal_t   no;

    api = ngx_chat_api_begin(r, NULL, &rc);
    if (api == NULL) {
        return rc;
    }

    ngx_chat_api_find(r, api, &no);

    key = ngx_chat_api_query_get(&api->query, "auth_key");

    if (no.status && key == NULL) {
        return ngx_chat_api_refuse(r, api, &no);
    }

    if (api->app == NULL && key) {
        api->app = ngx_chat_app_of_key(&api->cmcf->apps, key);
    }

    if (api->app == NULL) {
        return ngx_chat_reply_line(r, NGX_HTTP_UNAUTHORIZED,
                                  key ? "Unknown auth_key"
                                      : "Missing parameter: auth_key");
    }

    rc = ngx_chat_api_check(r, api, &auth);

    if (rc != NGX_OK) {
        return ngx_chat_api_denied(r, &auth, rc);
    }

    return no.status ? ngx_chat_api_refuse(r, api, &no)
                     : ngx_chat_api_take(r, api);
}


ngx_int_t
ngx_chat_api_operator(ngx_http_request_t *r, ngx_str_t *path)
{
    u_char                  *p;
    ngx_int_t                rc;
    ngx_str_t                written;
    ngx_chat_api_t          *api;
    ngx_chat_api_refusal_t   no;

    /* as a client would write it, since names in it are decoded */

    written.len = path->len + 2 * ngx_escape_uri(NULL, path->data, path->len,
                                                 NGX_ESCAPE_URI);
    written.data = ngx_pnalloc(r->pool, written.len + 1);

    if (written.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = written.data;
    (void) ngx_escape_uri(p, path->data, path->len, NGX_ESCAPE_URI);

    api = ngx_chat_api_begin(r, &written, &rc);
    if (api == NULL) {
        return rc;
    }

    ngx_chat_api_find(r, api, &no);

    /* nginx lets somebody in by the path's beginning, so the app is there */

    if (api->app == NULL || api->route.prefix) {
        no.status = NGX_HTTP_NOT_FOUND;
        no.text = "Unknown path";
    }

    return no.status ? ngx_chat_api_refuse(r, api, &no)
                     : ngx_chat_api_take(r, api);
}


/*
 * path is the operator's; NULL: the request line has it.  NULL: *rc is what the
 * content handler returns.
 */

static ngx_chat_api_t *
ngx_chat_api_begin(ngx_http_request_t *r, ngx_str_t *path, ngx_int_t *rc)
{
    ngx_chat_api_t  *api;

    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    api = ngx_palloc(r->pool, sizeof(ngx_chat_api_t));
    if (api == NULL) {
        return NULL;
    }

    api->cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);
    api->is_operator = (path != NULL);

    if (path) {
        api->path = *path;
        api->args = r->args;

    } else {
        ngx_chat_api_line(r, api);
    }

    switch (ngx_chat_api_read(r, api)) {

    case NGX_OK:
        return api;

    case NGX_DECLINED:
        *rc = ngx_chat_reply_line(r, NGX_HTTP_BAD_REQUEST,
                                  "Too many parameters");
        return NULL;

    default:
        return NULL;
    }
}


/*
 * The request line as the client wrote and signed it; r->uri and r->args may
 * have been changed since.
 */

static void
ngx_chat_api_line(ngx_http_request_t *r, ngx_chat_api_t *api)
{
    u_char  *p, *last;

    api->path = r->unparsed_uri;

    last = api->path.data + api->path.len;
    p = ngx_strlchr(api->path.data, last, '?');

    if (p == NULL) {
        ngx_str_null(&api->args);

    } else {
        api->path.len = p - api->path.data;
        api->args.data = p + 1;
        api->args.len = last - (p + 1);
    }
}


/* NGX_OK; NGX_DECLINED: too many parameters; NGX_ERROR. */

static ngx_int_t
ngx_chat_api_read(ngx_http_request_t *r, ngx_chat_api_t *api)
{
    u_char  *p;
    size_t   size;

    size = ngx_chat_api_query_size(api->args.data, api->args.len);

    p = ngx_palloc(r->pool, size + api->path.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    api->decoded = p + size;

    return ngx_chat_api_query_read(&api->query, api->args.data, api->args.len,
                                   p);
}


/* Finds what is asked, and of which app if the path has one. */

static void
ngx_chat_api_find(ngx_http_request_t *r, ngx_chat_api_t *api,
    ngx_chat_api_refusal_t *no)
{
    ngx_uint_t  post;

    api->app = NULL;
    no->status = 0;

    if (ngx_chat_api_route_read(&api->route, &api->path, api->decoded)
        != NGX_OK)
    {
        api->route.prefix = 0;

        no->status = NGX_HTTP_NOT_FOUND;
        no->text = "Unknown path";
        return;
    }

    post = ngx_chat_api_route_is_post(api->route.kind);

    if (post ? (r->method != NGX_HTTP_POST)
             : !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD)))
    {
        no->status = NGX_HTTP_NOT_ALLOWED;
        no->text = "Method is not allowed here";
        return;
    }

    if (api->route.app.len == 0) {
        return;
    }

    api->app = ngx_chat_app_of_id(&api->cmcf->apps, &api->route.app);

    if (api->app == NULL) {
        no->status = NGX_HTTP_NOT_FOUND;
        no->text = "Unknown app id";
    }
}


static ngx_int_t
ngx_chat_api_refuse(ngx_http_request_t *r, ngx_chat_api_t *api,
    ngx_chat_api_refusal_t *no)
{
    if (no->status == NGX_HTTP_NOT_ALLOWED
        && ngx_chat_reply_header_text(r, "Allow",
                     ngx_chat_api_route_is_post(api->route.kind) ? "POST"
                                                             : "GET, HEAD")
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_chat_reply_line(r, no->status, no->text);
}


/*
 * Returns what ngx_chat_api_auth_check() returns.  A library that was given a
 * prefix by its "path" option does not sign the prefix, so the path from
 * /apps/ on is tried second.
 */

static ngx_int_t
ngx_chat_api_check(ngx_http_request_t *r, ngx_chat_api_t *api,
    ngx_chat_api_auth_t *auth)
{
    ngx_int_t            rc;
    ngx_chat_api_auth_t  second;

    auth->method = r->method_name;
    auth->path = api->path;
    auth->query = &api->query;
    auth->now = ngx_time();
    auth->window = api->app->timestamp_window;

    auth->scratch = ngx_pnalloc(r->pool, api->args.len + api->query.n);
    if (auth->scratch == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_chat_api_auth_check(auth, api->app);

    /* a prefix of one byte is a slash too many: a changed path */

    if (rc == NGX_DECLINED && api->route.prefix > 1) {
        second = *auth;
        second.path.data += api->route.prefix;
        second.path.len -= api->route.prefix;

        rc = ngx_chat_api_auth_check(&second, api->app);
    }

    return rc;
}


static ngx_int_t
ngx_chat_api_denied(ngx_http_request_t *r, ngx_chat_api_auth_t *auth,
    ngx_int_t rc)
{
    if (rc != NGX_DECLINED) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "client's chat_api request is refused: %ui", auth->status);

    return ngx_chat_reply_text(r, auth->status, &auth->error);
}


/* The sender may ask this: reads the body. */

static ngx_int_t
ngx_chat_api_take(ngx_http_request_t *r, ngx_chat_api_t *api)
{
    size_t  max;

    if (ngx_chat_request_is_encoded(r)) {
        return ngx_chat_reply_line(r, NGX_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                  "Content encodings are not read, send the "
                                  "body as it is");
    }

    max = ngx_chat_body_max(r, 65536);

    if (r->headers_in.content_length_n > (off_t) max) {
        return ngx_chat_reply_line(r, NGX_HTTP_REQUEST_ENTITY_TOO_LARGE,
                                  "The request's body is too large");
    }

    return ngx_chat_body_read(r, max, ngx_chat_api_body, api);
}


/* A ngx_chat_request_pt. */

static ngx_int_t
ngx_chat_api_body(ngx_http_request_t *r, void *data)
{
    ngx_chat_body_t *body = data;

    ngx_int_t             rc;
    ngx_chat_api_t       *api;
    ngx_chat_api_auth_t   auth;

    api = body->data;

    api->body.data = body->start;
    api->body.len = body->len;

    if (api->is_operator) {
        return ngx_chat_api_answer(r, api);
    }

    auth.query = &api->query;

    rc = ngx_chat_api_auth_check_body(&auth, &api->body);

    return (rc == NGX_OK) ? ngx_chat_api_answer(r, api)
                          : ngx_chat_api_denied(r, &auth, rc);
}


static ngx_int_t
ngx_chat_api_answer(ngx_http_request_t *r, ngx_chat_api_t *api)
{
    ngx_str_t   *name;
    ngx_uint_t   user;

    name = api->route.name.len ? &api->route.name : NULL;
    user = (api->route.kind == NGX_CHAT_API_ROUTE_TERMINATE_e);

    ngx_chat_variable_note(r, &api->app->id, user ? NULL : name, NULL, NULL,
                           user ? name : NULL);

    switch (api->route.kind) {

    case NGX_CHAT_API_ROUTE_CHANNELS_e:
        return ngx_chat_api_channels(r, api);

    case NGX_CHAT_API_ROUTE_CHANNEL_e:
    case NGX_CHAT_API_ROUTE_STATS_e:
        return ngx_chat_api_channel(r, api);

    case NGX_CHAT_API_ROUTE_USERS_e:
        return ngx_chat_api_users(r, api);

    case NGX_CHAT_API_ROUTE_TERMINATE_e:
        return ngx_chat_api_terminate(r, api);

    default: /* events, batch, the old way to publish */
        return ngx_chat_wait_before_publish(r, ngx_chat_reply_line,
                                            ngx_chat_api_events, api);
    }
}
