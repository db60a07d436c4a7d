
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What all kinds of requests of chat_api share.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <http/ngx_chat_api_request.h>
#include <http/ngx_chat_reply.h>
#include <http/ngx_chat_variable.h>


void
ngx_chat_api_note(ngx_http_request_t *r, ngx_chat_trigger_t *t)
{
    ngx_chat_trigger_event_t  *e;

    if (t->n != 1) {
        return;
    }

    e = t->events;

    ngx_chat_variable_note(r, NULL, (e->nchannels == 1) ? e->channels : NULL,
                           &e->name, &e->except, NULL);
}


ngx_int_t
ngx_chat_api_error(ngx_http_request_t *r, ngx_uint_t status, const char *text)
{
    ngx_str_t  line;

    line.data = (u_char *) text;
    line.len = ngx_strlen(text);

    return ngx_chat_reply_text(r, status, &line);
}


ngx_int_t
ngx_chat_api_render(ngx_http_request_t *r, ngx_chat_api_render_pt render,
    void *arg, ngx_str_t *json)
{
    ssize_t  len;

    len = render(arg, NULL, 0);

    if (len == NGX_ERROR) {
        return NGX_ERROR;
    }

    json->len = len;
    json->data = ngx_pnalloc(r->pool, len);

    if (json->data == NULL) {
        return NGX_ERROR;
    }

    (void) render(arg, json->data, len);

    return NGX_OK;
}
