
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Variables of chat_auth's requests.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <endpoint/ngx_chat_auth.h>
#include <endpoint/ngx_chat_variable.h>


static ngx_int_t ngx_chat_variable_get(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_variable_t  ngx_chat_variables[] = {

    { ngx_string("chat_channel"), NULL, ngx_chat_variable_get,
      offsetof(ngx_chat_auth_request_t, channel), NGX_HTTP_VAR_NOCACHEABLE,
      0 },

    { ngx_string("chat_socket_id"), NULL, ngx_chat_variable_get,
      offsetof(ngx_chat_auth_request_t, socket_id), NGX_HTTP_VAR_NOCACHEABLE,
      0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_chat_variable_add(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_chat_variables; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_variable_get(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_str_t                *s;
    ngx_chat_auth_request_t  *ar;

    ar = ngx_chat_auth_get(r);

    if (ar == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    s = (ngx_str_t *) ((char *) ar + data);

    if (s->data == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = s->data;
    v->len = s->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}
