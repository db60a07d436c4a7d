
/* sources: pusher/ngx_chat_api_route.c wire/ngx_chat_urlencoded.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <pusher/ngx_chat_api_route.h>


typedef struct {
    ngx_str_t              path;
    ngx_chat_api_route_kind_e  kind;
    ngx_str_t              app;
    ngx_str_t              name;
    size_t                 prefix;
} route_case_t;


#define TERMINATE  NGX_CHAT_API_ROUTE_TERMINATE_e
#define CHANNEL    NGX_CHAT_API_ROUTE_CHANNEL_e


static unit_pool_t  pool;


static route_case_t  routes[] = {

    { ngx_string("/apps/42/events"), NGX_CHAT_API_ROUTE_EVENTS_e,
      ngx_string("42"), ngx_null_string, 0 },

    { ngx_string("/apps/app-id_7x/events"), NGX_CHAT_API_ROUTE_EVENTS_e,
      ngx_string("app-id_7x"), ngx_null_string, 0 },

    { ngx_string("/apps/42/batch_events"), NGX_CHAT_API_ROUTE_BATCH_e,
      ngx_string("42"), ngx_null_string, 0 },

    { ngx_string("/apps/42/channels"), NGX_CHAT_API_ROUTE_CHANNELS_e,
      ngx_string("42"), ngx_null_string, 0 },

    { ngx_string("/apps/42/channels/chat"), CHANNEL,
      ngx_string("42"), ngx_string("chat"), 0 },

    { ngx_string("/apps/42/channels/users"), CHANNEL,
      ngx_string("42"), ngx_string("users"), 0 },

    { ngx_string("/apps/42/channels/a%2fb%41%zz"), 0,
      ngx_null_string, ngx_null_string, 0 },

    { ngx_string("/apps/42/channels/a%2Fb%41"), CHANNEL,
      ngx_string("42"), ngx_string("a/bA"), 0 },

    { ngx_string("/apps/42/channels/presence-x/users"),
      NGX_CHAT_API_ROUTE_USERS_e,
      ngx_string("42"), ngx_string("presence-x"), 0 },

    { ngx_string("/apps/42/channels/x/stats"), NGX_CHAT_API_ROUTE_STATS_e,
      ngx_string("42"), ngx_string("x"), 0 },

    { ngx_string("/apps/42/channels/x/events"), NGX_CHAT_API_ROUTE_PUBLISH_e,
      ngx_string("42"), ngx_string("x"), 0 },

    { ngx_string("/apps/42/users/7/terminate_connections"), TERMINATE,
      ngx_string("42"), ngx_string("7"), 0 },

    /* under a prefix, even one that looks like the path itself */

    { ngx_string("/a/b/apps/42/events"), NGX_CHAT_API_ROUTE_EVENTS_e,
      ngx_string("42"), ngx_null_string, 4 },

    { ngx_string("/apps/apps/42/events"), NGX_CHAT_API_ROUTE_EVENTS_e,
      ngx_string("42"), ngx_null_string, 5 },

    { ngx_string("/apps/1/apps/42/events"), NGX_CHAT_API_ROUTE_EVENTS_e,
      ngx_string("42"), ngx_null_string, 7 },

    /* P97: as Python's library has it */

    { ngx_string("/users/7/terminate_connections"), TERMINATE,
      ngx_null_string, ngx_string("7"), 0 },

    { ngx_string("/p/users/a%20b/terminate_connections"), TERMINATE,
      ngx_null_string, ngx_string("a b"), 2 },

    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


static const char  *none[] = {
    "", "/", "/apps", "/apps/", "/apps/42", "/apps/42/", "/apps//events",
    "/apps/x.y/events", "/apps/a%2Db/events", "/apps/42/event",
    "/apps/42/events/", "/apps/42/events/x", "/apps/42/channels/",
    "/apps/42/channels//users", "/apps/42/channels/a/b/users",
    "/apps/42/channels/a/others", "/apps/42/channels/%",
    "/apps/42/channels/%4", "/apps/42/channels/a%4", "/apps/42/users/7",
    "/apps/42/users//terminate_connections", "/users/7", "/channels",
    "/channels/x", "/events", "/batch_events", "apps/42/events",
    "/app/42/events", NULL
};


static ngx_int_t
read_route(ngx_chat_api_route_t *route, const char *text, size_t len)
{
    ngx_str_t   path;

    /* memory of exactly that size, which the sanitizer watches over */

    path.len = len;
    path.data = unit_alloc(&pool, len + !len);
    memcpy(path.data, text, len);

    return ngx_chat_api_route_read(route, &path, unit_alloc(&pool, len + !len));
}


static void
test_routes(void)
{
    route_case_t          *c;
    ngx_chat_api_route_t   route;

    for (c = routes; c->path.len; c++) {

        if (c->app.len == 0 && c->name.len == 0) {
            CHECK_INT(read_route(&route, (char *) c->path.data, c->path.len),
                      NGX_DECLINED);
            continue;
        }

        CHECK_INT(read_route(&route, (char *) c->path.data, c->path.len),
                  NGX_OK);
        CHECK_INT(route.kind, c->kind);
        CHECK_INT(route.prefix, c->prefix);
        CHECK_INT(route.app.len, c->app.len);
        CHECK(c->app.len == 0
              || memcmp(route.app.data, c->app.data, c->app.len) == 0);
        CHECK_INT(route.name.len, c->name.len);
        CHECK(c->name.len == 0
              || memcmp(route.name.data, c->name.data, c->name.len) == 0);
    }
}


static void
test_none(void)
{
    const char           **path;
    ngx_chat_api_route_t   route;

    for (path = none; *path; path++) {
        CHECK_INT(read_route(&route, *path, strlen(*path)), NGX_DECLINED);
    }
}


/* Every beginning of a path is read without reading on. */
static void
test_cut(void)
{
    size_t                len;
    ngx_chat_api_route_t  route;

    static const char  path[] = "/p/apps/42/channels/a%41b/users";

    for (len = 0; len < sizeof(path) - 1; len++) {
        (void) read_route(&route, path, len);
    }

    CHECK_INT(read_route(&route, path, len), NGX_OK);
    CHECK_INT(route.kind, NGX_CHAT_API_ROUTE_USERS_e);
}


static void
test_methods(void)
{
    CHECK(ngx_chat_api_route_is_post(NGX_CHAT_API_ROUTE_EVENTS_e));
    CHECK(ngx_chat_api_route_is_post(NGX_CHAT_API_ROUTE_BATCH_e));
    CHECK(ngx_chat_api_route_is_post(NGX_CHAT_API_ROUTE_PUBLISH_e));
    CHECK(ngx_chat_api_route_is_post(NGX_CHAT_API_ROUTE_TERMINATE_e));
    CHECK(!ngx_chat_api_route_is_post(NGX_CHAT_API_ROUTE_CHANNELS_e));
    CHECK(!ngx_chat_api_route_is_post(NGX_CHAT_API_ROUTE_CHANNEL_e));
    CHECK(!ngx_chat_api_route_is_post(NGX_CHAT_API_ROUTE_USERS_e));
    CHECK(!ngx_chat_api_route_is_post(NGX_CHAT_API_ROUTE_STATS_e));
}


int
main(void)
{
    RUN(test_routes);
    RUN(test_none);
    RUN(test_cut);
    RUN(test_methods);

    unit_pool_free(&pool);

    return unit_done();
}
