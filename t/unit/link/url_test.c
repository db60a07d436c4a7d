
/* sources: link/ngx_chat_link_url.c */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * URLs of chat_cluster.
 */


#include <link/ngx_chat_link_url.h>

#include <stdio.h>
#include <string.h>

#include "unit.h"


static const char *
read_url(const char *text, ngx_chat_link_url_t *url)
{
    ngx_str_t  s;

    s = unit_str(text);

    return ngx_chat_link_url_read(&s, url);
}


static void
check_host(ngx_chat_link_url_t *url, ngx_uint_t default_port,
    const char *expected)
{
    char        got[300];
    ngx_int_t   rc;
    ngx_str_t   hosts, host;
    ngx_uint_t  port, n;

    hosts = url->hosts;
    n = 0;

    while ((rc = ngx_chat_link_url_host(&hosts, default_port, &host, &port))
           == NGX_OK)
    {
        n += snprintf(got + n, sizeof(got) - n, "%.*s %u;", (int) host.len,
                      (char *) host.data, (unsigned) port);
    }

    CHECK_INT(rc, NGX_DONE);
    CHECK(strcmp(got, expected) == 0);
}


static void
test_good(void)
{
    ngx_chat_link_url_t  url;

    CHECK(read_url("redis://10.0.0.5:6379", &url) == NULL);
    CHECK_INT(url.kind, NGX_CHAT_LINK_URL_HOST_e);
    CHECK_INT(url.tls, 0);
    CHECK_INT(url.database, 0);
    CHECK_INT(url.user.len, 0);
    check_host(&url, 1, "10.0.0.5 6379;");

    CHECK(read_url("rediss://ann@cache.example.com/15", &url) == NULL);
    CHECK_INT(url.tls, 1);
    CHECK_INT(url.database, 15);
    CHECK_STR(url.user, "ann");
    check_host(&url, 6379, "cache.example.com 6379;");

    CHECK(read_url("redis://[::1]:7000/", &url) == NULL);
    check_host(&url, 1, "::1 7000;");

    CHECK(read_url("valkey://[::1]", &url) == NULL);
    check_host(&url, 6379, "::1 6379;");

    CHECK(read_url("unix:/run/redis.sock", &url) == NULL);
    CHECK_INT(url.kind, NGX_CHAT_LINK_URL_UNIX_e);
    CHECK_STR(url.hosts, "/run/redis.sock");

    CHECK(read_url("sentinel://a,b:1,[::2]:2/mymaster", &url) == NULL);
    CHECK_INT(url.kind, NGX_CHAT_LINK_URL_SENTINEL_e);
    CHECK_STR(url.name, "mymaster");
    check_host(&url, 26379, "a 26379;b 1;::2 2;");
}


static void
test_bad(void)
{
    ngx_uint_t           i;
    ngx_chat_link_url_t  url;

    static const char  *bad[] = {
        "", "redis", "redis:", "http://a", "redis://", "redis://:6379",
        "redis://a:", "redis://a:0", "redis://a:65536", "redis://a:x",
        "redis://a:1x", "redis://a/x", "redis://a/1x", "redis://a/1/2",
        "redis://a/1000001", "redis://a,b", "redis://user:pw@a",
        "redis://a,", "redis://,a", "redis://[::1", "redis://[::1]x",
        "redis://[]", "unix:", "unix:run/redis", "sentinel://a",
        "sentinel://a/", "sentinel://a/b/c", "sentinel:///m",
        "sentinel://a,/m", "sentinel://a,,b/m", NULL
    };

    for (i = 0; bad[i]; i++) {

        if (read_url(bad[i], &url) == NULL) {
            printf("# taken: \"%s\"\n", bad[i]);
            CHECK(0);
        }
    }
}


int
main(void)
{
    RUN(test_good);
    RUN(test_bad);

    return unit_done();
}
