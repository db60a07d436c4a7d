
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_auth, the content handler: signs what the client asks for.
 *
 * Names are checked before anything is signed: a channel called ":user::x"
 * would have the signature of a sign-in.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_auth_params.h>
#include <http/ngx_chat_handlers.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_variable.h>
#include <pusher/ngx_chat_member.h>
#include <pusher/ngx_chat_name.h>
#include <pusher/ngx_chat_signature.h>
#include <wire/ngx_chat_utf8.h>


/* A JSON object: a string, and the data where it is not empty. */

typedef struct {
    const char  *name;
    ngx_str_t   *value;
    const char  *data_name;
    ngx_str_t   *data;
    void       (*write)(ngx_chat_json_write_t *w, ngx_str_t *data);
} ngx_chat_auth_object_t;


static const char *ngx_chat_auth_check(ngx_chat_auth_params_t *ar,
    ngx_uint_t *type);
static ngx_int_t ngx_chat_auth_user(ngx_http_request_t *r,
    ngx_chat_auth_conf_t *conf, ngx_str_t *user, ngx_str_t *info);
static ngx_int_t ngx_chat_auth_info(ngx_http_request_t *r, ngx_str_t *info);
static ngx_int_t ngx_chat_auth_check_data(ngx_http_request_t *r,
    ngx_chat_auth_params_t *ar, ngx_str_t *user, ngx_str_t *data);
static ngx_int_t ngx_chat_auth_sign(ngx_http_request_t *r,
    ngx_chat_auth_params_t *ar, ngx_str_t *data);
static void ngx_chat_auth_write(ngx_chat_json_write_t *w, void *data);


ngx_int_t
ngx_chat_auth_handler(ngx_http_request_t *r)
{
    ngx_str_t                user, info, data;
    ngx_uint_t               type;
    const char              *error;
    ngx_chat_loc_conf_t     *clcf;
    ngx_chat_auth_object_t   object;
    ngx_chat_auth_params_t  *ar;

    if (r->method != NGX_HTTP_POST) {
        return ngx_chat_reply_not_allowed(r, "POST");
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);
    ar = ngx_chat_auth_params_get(r);

    if (ar == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ar->status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        return ar->status;
    }

    error = ngx_chat_auth_check(ar, &type);

    if (error) {
        return ngx_chat_reply_error(r, ar->status, error);
    }

    if (!clcf->auth->ref.app->enabled) {
        return ngx_chat_reply_error(r, NGX_HTTP_FORBIDDEN,
                                    "the app is not enabled");
    }

    if (ngx_chat_auth_user(r, clcf->auth, &user, &info) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_chat_variable_note(r, &clcf->auth->ref.app->id, NULL, NULL, NULL,
                           &user);

    /* without user_id= all who get access may join private channels */

    if (user.len == 0
        && (clcf->auth->user_id != NULL
            || ar->channel.data == NULL
            || (type & NGX_CHAT_CHANNEL_PRESENCE)))
    {
        return ngx_chat_reply_error(r, NGX_HTTP_FORBIDDEN, "not allowed");
    }

    ngx_str_null(&data);

    if (ar->channel.data == NULL || (type & NGX_CHAT_CHANNEL_PRESENCE)) {

        object.name = ar->channel.data ? "user_id" : "id";
        object.value = &user;
        object.data_name = "user_info";
        object.data = &info;
        object.write = ngx_chat_json_write_json;

        if (ngx_chat_request_render(r, ngx_chat_auth_write, &object, &data)
            != NGX_OK
            || ngx_chat_auth_check_data(r, ar, &user, &data) != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    return ngx_chat_auth_sign(r, ar, &data);
}


/* NULL, or what is wrong. */

static const char *
ngx_chat_auth_check(ngx_chat_auth_params_t *ar, ngx_uint_t *type)
{
    *type = 0;

    if (ar->error) {
        return ar->error;
    }

    if (ar->id.high == 0) {
        return "socket_id is not valid";
    }

    if (ar->channel.data == NULL) {
        return NULL;
    }

    *type = ngx_chat_name_type(&ar->channel);

    if (!(*type & NGX_CHAT_CHANNEL_PRIVATE)) {
        return "the channel needs no authorization";
    }

    if (*type & NGX_CHAT_CHANNEL_ENCRYPTED) {
        return "encrypted channels need an endpoint that has their key";
    }

    return NULL;
}


static ngx_int_t
ngx_chat_auth_user(ngx_http_request_t *r, ngx_chat_auth_conf_t *conf,
    ngx_str_t *user, ngx_str_t *info)
{
    ngx_str_null(user);
    ngx_str_null(info);

    if (conf->user_id
        && ngx_http_complex_value(r, conf->user_id, user) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_chat_utf8_check(user->data, user->len) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "\"user_id\" of \"chat_auth\" is not UTF-8");
        return NGX_ERROR;
    }

    if (conf->user_info == NULL || user->len == 0) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, conf->user_info, info) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_chat_auth_info(r, info);
}


/* The info comes from variables, so it can be checked only with a request. */

static ngx_int_t
ngx_chat_auth_info(ngx_http_request_t *r, ngx_str_t *info)
{
    ngx_chat_json_t         json;
    ngx_chat_json_value_t  *v;

    if (info->len == 0) {
        return NGX_OK;
    }

    ngx_chat_request_json(r->pool, &json);

    if (ngx_chat_json_parse(&json, info->data, info->len, &v) == NGX_OK
        && v->type == NGX_CHAT_JSON_OBJECT_e)
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "\"user_info\" of \"chat_auth\" is not a JSON object");

    return NGX_ERROR;
}


/* What the WebSocket will refuse is not signed. */

static ngx_int_t
ngx_chat_auth_check_data(ngx_http_request_t *r, ngx_chat_auth_params_t *ar,
    ngx_str_t *user, ngx_str_t *data)
{
    size_t             len;
    ngx_int_t          rc;
    ngx_str_t          escaped;
    ngx_chat_json_t    json;
    ngx_chat_member_t  m;

    ngx_chat_request_json(r->pool, &json);

    rc = ar->channel.data ? ngx_chat_member_read_channel_data(&m, &json, data)
                          : ngx_chat_member_read_user_data(&m, &json, data);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    /* the id may have a newline, and the log has lines */

    len = user->len + ngx_escape_json(NULL, user->data, user->len);

    escaped.data = ngx_pnalloc(r->pool, len);
    if (escaped.data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_escape_json(escaped.data, user->data, user->len);
    escaped.len = len;

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "\"chat_auth\" does not sign for user \"%V\", since %s "
                  "would be refused: %s", &escaped,
                  ar->channel.data ? "the subscription" : "the sign-in",
                  json.error);

    return NGX_ERROR;
}


static ngx_int_t
ngx_chat_auth_sign(ngx_http_request_t *r, ngx_chat_auth_params_t *ar,
    ngx_str_t *data)
{
    ngx_str_t                auth;
    ngx_chat_app_t          *app;
    ngx_chat_loc_conf_t     *clcf;
    ngx_chat_auth_object_t   object;

    clcf = ngx_http_get_module_loc_conf(r, ngx_chat_module);
    app = clcf->auth->ref.app;

    auth.len = NGX_CHAT_SIGNATURE_AUTH_LEN(app);
    auth.data = ngx_pnalloc(r->pool, auth.len);

    if (auth.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_chat_signature_write(auth.data, app, &ar->id,
                                 ar->channel.data ? &ar->channel : NULL, data)
        == NULL)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    object.name = "auth";
    object.value = &auth;
    object.data_name = ar->channel.data ? "channel_data" : "user_data";
    object.data = data;
    object.write = ngx_chat_json_write_string;

    return ngx_chat_reply_render(r, NGX_HTTP_OK, ngx_chat_auth_write, &object);
}


static void
ngx_chat_auth_write(ngx_chat_json_write_t *w, void *data)
{
    ngx_chat_auth_object_t *object = data;

    ngx_chat_json_write_object(w);
    ngx_chat_json_write_key(w, object->name);
    ngx_chat_json_write_string(w, object->value);

    if (object->data->len) {
        ngx_chat_json_write_key(w, object->data_name);
        object->write(w, object->data);
    }

    ngx_chat_json_write_object_end(w);
}
