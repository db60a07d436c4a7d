
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Variables that tell what a request is about.
 *
 * What chat_auth is asked for is known before access is checked.  All else is
 * known when a handler has read the request.  The values are in a cleanup
 * record of the request's pool, as realip has them, since handlers use the
 * module's context for themselves.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_auth_params.h>
#include <http/ngx_chat_variable.h>
#include <pusher/ngx_chat_name.h>


typedef struct {
    ngx_str_t          app;
    ngx_str_t          channel;
    ngx_str_t          event;
    ngx_str_t          socket_id;
    ngx_str_t          user_id;
    u_char             text[NGX_CHAT_SOCKET_ID_LEN];
} ngx_chat_variable_note_t;


static ngx_int_t ngx_chat_variable_get(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_chat_variable_get_asked(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_chat_variable_set(ngx_http_variable_value_t *v,
    ngx_str_t *s);
static ngx_chat_variable_note_t *ngx_chat_variable_find(
    ngx_http_request_t *r);
static void ngx_chat_variable_cleanup(void *data);


static ngx_http_variable_t  ngx_chat_variables[] = {

    { ngx_string("chat_app"), NULL, ngx_chat_variable_get,
      offsetof(ngx_chat_variable_note_t, app), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("chat_channel"), NULL, ngx_chat_variable_get_asked,
      offsetof(ngx_chat_variable_note_t, channel), NGX_HTTP_VAR_NOCACHEABLE,
      0 },

    { ngx_string("chat_event"), NULL, ngx_chat_variable_get,
      offsetof(ngx_chat_variable_note_t, event), NGX_HTTP_VAR_NOCACHEABLE,
      0 },

    { ngx_string("chat_socket_id"), NULL, ngx_chat_variable_get_asked,
      offsetof(ngx_chat_variable_note_t, socket_id),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("chat_user_id"), NULL, ngx_chat_variable_get,
      offsetof(ngx_chat_variable_note_t, user_id), NGX_HTTP_VAR_NOCACHEABLE,
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


void
ngx_chat_variable_note(ngx_http_request_t *r, ngx_str_t *app,
    ngx_str_t *channel, ngx_str_t *event, ngx_chat_socket_id_t *id,
    ngx_str_t *user)
{
    ngx_pool_cleanup_t        *cln;
    ngx_chat_variable_note_t  *note;

    note = ngx_chat_variable_find(r);

    if (note == NULL) {
        cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_chat_variable_note_t));
        if (cln == NULL) {
            return;
        }

        cln->handler = ngx_chat_variable_cleanup;

        note = cln->data;
        ngx_memzero(note, sizeof(ngx_chat_variable_note_t));
    }

    if (app) {
        note->app = *app;
    }

    if (channel) {
        note->channel = *channel;
    }

    if (event) {
        note->event = *event;
    }

    if (id && id->high) {
        note->socket_id.data = note->text;
        note->socket_id.len = ngx_chat_name_write_socket_id(note->text, id)
                              - note->text;
    }

    if (user) {
        note->user_id = *user;
    }
}


static ngx_int_t
ngx_chat_variable_get(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_chat_variable_note_t  *note;

    note = ngx_chat_variable_find(r->main);

    return ngx_chat_variable_set(v, note ? (ngx_str_t *) ((char *) note + data)
                                         : NULL);
}


/* What chat_auth is asked for is shown even if it is refused. */

static ngx_int_t
ngx_chat_variable_get_asked(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_chat_auth_params_t  *ar;

    ar = ngx_chat_auth_params_get(r);

    if (ar == NULL) {
        return ngx_chat_variable_get(r, v, data);
    }

    return ngx_chat_variable_set(v,
                   (data == offsetof(ngx_chat_variable_note_t, channel))
                   ? &ar->channel : &ar->socket_id);
}


static ngx_int_t
ngx_chat_variable_set(ngx_http_variable_value_t *v, ngx_str_t *s)
{
    if (s == NULL || s->data == NULL) {
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


static ngx_chat_variable_note_t *
ngx_chat_variable_find(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_chat_variable_cleanup) {
            return cln->data;
        }
    }

    return NULL;
}


/* Only the record's mark. */

static void
ngx_chat_variable_cleanup(void *data)
{
    /* void */
}
