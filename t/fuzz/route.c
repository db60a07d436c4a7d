
/* sources: pusher/ngx_chat_api_route.c wire/ngx_chat_urlencoded.c */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Paths of the HTTP API: the plain path of what was read, with the name
 * escaped, leads to the same.
 */


#include "fuzz.h"

#include <pusher/ngx_chat_api_route.h>


typedef struct {
    const char        *head;
    const char        *tail;
    ngx_uint_t         post;
} form_t;


static const form_t  forms[] = {
    { "/events", NULL, 1 },
    { "/batch_events", NULL, 1 },
    { "/channels", NULL, 0 },
    { "/channels/", "", 0 },
    { "/channels/", "/users", 0 },
    { "/channels/", "/stats", 0 },
    { "/channels/", "/events", 1 },
    { "/users/", "/terminate_connections", 1 }
};


static ngx_uint_t
count_slashes(u_char *p, size_t len)
{
    size_t      i;
    ngx_uint_t  n;

    n = 0;

    for (i = 0; i < len; i++) {
        n += (p[i] == '/');
    }

    return n;
}


static void
check_route(unit_pool_t *pool, ngx_str_t *path, ngx_chat_api_route_t *r)
{
    size_t                 i;
    u_char                *p, *buf;
    ngx_str_t              plain;
    const form_t          *form;
    ngx_chat_api_route_t   again;

    EXPECT(r->prefix < path->len);

    form = &forms[r->kind];

    EXPECT(ngx_chat_api_route_is_post(r->kind) == form->post);
    EXPECT((r->name.len != 0) == (form->tail != NULL));
    EXPECT(r->app.len != 0 || r->kind == NGX_CHAT_API_ROUTE_TERMINATE_e);

    for (i = 0; i < r->app.len; i++) {
        EXPECT(r->app.data[i] != '/' && r->app.data[i] != '%');
    }

    plain.data = unit_alloc(pool, 64 + r->app.len + 3 * r->name.len);
    p = plain.data;

    if (r->app.len) {
        p += sprintf((char *) p, "/apps/%.*s", (int) r->app.len,
                     (char *) r->app.data);
    }

    p += sprintf((char *) p, "%s", form->head);

    for (i = 0; i < r->name.len; i++) {
        p += sprintf((char *) p, "%%%02x", r->name.data[i]);
    }

    p += sprintf((char *) p, "%s", form->tail ? form->tail : "");

    plain.len = p - plain.data;
    plain.data = unit_copy(pool, plain.data, plain.len);
    buf = unit_alloc(pool, plain.len);

    EXPECT(ngx_chat_api_route_read(&again, &plain, buf) == NGX_OK);
    EXPECT(again.kind == r->kind && again.prefix == 0);

    /* what became a name was one segment of the path */
    EXPECT(count_slashes(path->data + r->prefix, path->len - r->prefix)
           == count_slashes(plain.data, plain.len));
    EXPECT(fuzz_same(&again.app, &r->app));
    EXPECT(fuzz_same(&again.name, &r->name));
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t                 f;
    u_char                *buf;
    ngx_str_t              path;
    unit_pool_t            pool;
    ngx_chat_api_route_t   r;

    memset(&pool, 0, sizeof(unit_pool_t));

    f.p = (u_char *) data;
    f.len = size;

    path = fuzz_take(&f, &pool, size);
    buf = unit_alloc(&pool, path.len);

    if (ngx_chat_api_route_read(&r, &path, buf) == NGX_OK) {
        check_route(&pool, &path, &r);
    }

    unit_pool_free(&pool);

    return 0;
}
