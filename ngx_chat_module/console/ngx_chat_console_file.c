
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The console's page with its scripts and styles, which are in the module:
 * `config` makes a table of what is in page/.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <console/ngx_chat_console.h>
#include <http/ngx_chat_reply.h>


typedef struct {
    ngx_str_t                 name;
    ngx_str_t                 type;
    ngx_str_t                 etag;        /* of the content */
    const u_char             *data;
    size_t                    len;
} ngx_chat_console_file_t;


#include <ngx_chat_console_page.h>


/* The page has nothing from elsewhere, and nobody shows it in a frame. */

#define NGX_CHAT_CONSOLE_POLICY                                               \
    "default-src 'none'; script-src 'self'; style-src 'self'; "               \
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; "             \
    "form-action 'none'; frame-ancestors 'none'"


static ngx_int_t ngx_chat_console_file_headers(ngx_http_request_t *r,
    const ngx_chat_console_file_t *file);


ngx_int_t
ngx_chat_console_file(ngx_http_request_t *r, ngx_str_t *name)
{
    ngx_str_t                       page, text, type;
    const ngx_chat_console_file_t  *file;

    ngx_str_set(&page, "index.html");

    if (name->len == 0) {
        name = &page;
    }

    for (file = ngx_chat_console_files; file->data; file++) {

        if (file->name.len != name->len
            || ngx_memcmp(file->name.data, name->data, name->len) != 0)
        {
            continue;
        }

        if (ngx_chat_console_file_headers(r, file) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        type = file->type;
        ngx_str_set(&r->headers_out.charset, "utf-8");

        text.data = (u_char *) file->data;
        text.len = file->len;

        return ngx_chat_reply_file(r, NGX_HTTP_OK, &type, &text);
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_chat_console_file_headers(ngx_http_request_t *r,
    const ngx_chat_console_file_t *file)
{
    ngx_uint_t        i;
    ngx_table_elt_t  *etag;

    static const char *const  headers[][2] = {
        { "Content-Security-Policy", NGX_CHAT_CONSOLE_POLICY },
        { "X-Content-Type-Options", "nosniff" },
        { "Referrer-Policy", "no-referrer" },
        { "Cache-Control", "no-cache" }
    };

    for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        if (ngx_chat_reply_header_text(r, headers[i][0], headers[i][1])
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    /* nginx's own filter compares it with If-None-Match */

    etag = ngx_list_push(&r->headers_out.headers);
    if (etag == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(etag, sizeof(ngx_table_elt_t));

    etag->hash = 1;
    ngx_str_set(&etag->key, "ETag");
    etag->value = file->etag;

    r->headers_out.etag = etag;

    return NGX_OK;
}
