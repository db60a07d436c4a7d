
/* sources: link/ngx_chat_log_item.c link/ngx_chat_link_url.c */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Items of a cluster's log, which are foreign bytes: what unpack() takes is
 * what pack() makes, to the last byte, and lies within the batch.  And URLs.
 */


#include "fuzz.h"

#include <link/ngx_chat_link_url.h>
#include <link/ngx_chat_log_item.h>


static void
check_batch(unit_pool_t *pool, ngx_str_t *batch)
{
    u_char               *p, *start, *copy, *last;
    size_t                size;
    ngx_int_t             rc;
    ngx_chat_log_item_t   item;

    p = batch->data;
    last = p + batch->len;

    for ( ;; ) {
        start = p;
        rc = ngx_chat_log_item_unpack(&item, &p, last);

        if (rc != NGX_OK) {
            break;
        }

        EXPECT(item.kind < NGX_CHAT_MESSAGE_KINDS_e);
        EXPECT(item.channel.len >= 1 && item.channel.len <= 255);

        size = ngx_chat_log_item_size(&item);
        EXPECT((size_t) (p - start) == size && p <= last);

        copy = unit_alloc(pool, size);

        EXPECT(ngx_chat_log_item_pack(copy, &item) == copy + size);
        EXPECT(memcmp(copy, start, size) == 0);
    }

    EXPECT(rc == NGX_DONE ? p == last : rc == NGX_ERROR);
}


static void
check_url(ngx_str_t *text)
{
    ngx_str_t             hosts, host;
    ngx_uint_t            port;
    ngx_chat_link_url_t   url;

    if (ngx_chat_link_url_read(text, &url) != NULL
        || url.kind == NGX_CHAT_LINK_URL_UNIX_e)
    {
        return;
    }

    hosts = url.hosts;

    while (hosts.len) {
        EXPECT(ngx_chat_link_url_host(&hosts, 6379, &host, &port) == NGX_OK);
        EXPECT(host.len >= 1 && host.len <= 253);
        EXPECT(port >= 1 && port <= 65535);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_t       f;
    ngx_str_t    bytes;
    unit_pool_t  pool;

    memset(&pool, 0, sizeof(unit_pool_t));

    f.p = (u_char *) data;
    f.len = size;

    if (fuzz_byte(&f) & 1) {
        bytes = fuzz_take(&f, &pool, f.len);
        check_url(&bytes);

    } else {
        bytes = fuzz_take(&f, &pool, f.len);
        check_batch(&pool, &bytes);
    }

    unit_pool_free(&pool);

    return 0;
}
