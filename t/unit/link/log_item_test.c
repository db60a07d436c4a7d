
/* sources: link/ngx_chat_log_item.c */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Items of a cluster's log: what is packed is unpacked, and nothing else.
 */


#include <link/ngx_chat_log_item.h>

#include <stdio.h>
#include <string.h>

#include "unit.h"


static unit_pool_t  pool;


static void
make(ngx_chat_log_item_t *item, ngx_uint_t kind, const char *content)
{
    memset(item, 0, sizeof(ngx_chat_log_item_t));

    item->kind = kind;
    item->app = 0x0102030405060708ULL;
    item->except.high = 7;
    item->except.low = UINT64_MAX;
    item->channel = unit_str("chat");
    item->event = unit_str("new_message");
    item->content = unit_str(content);
    item->author = unit_str("ann");
}


/* Two items, and what is read of them. */

static void
test_batch(void)
{
    u_char               *batch, *p, *last;
    size_t                len;
    ngx_chat_log_item_t   a, b, got;

    make(&a, NGX_CHAT_MESSAGE_POSTED_e, "one");
    make(&b, NGX_CHAT_MESSAGE_OLD_EVENT_e, "");

    len = ngx_chat_log_item_size(&a) + ngx_chat_log_item_size(&b);
    batch = unit_alloc(&pool, len);

    p = ngx_chat_log_item_pack(batch, &a);
    CHECK_INT(p - batch, ngx_chat_log_item_size(&a));
    last = ngx_chat_log_item_pack(p, &b);
    CHECK_INT(last - batch, len);

    /* the same on machines of the other byte order */
    CHECK_BYTES(batch + 4, 9, "\x00\x01\x02\x03\x04\x05\x06\x07\x08");

    p = batch;

    CHECK_INT(ngx_chat_log_item_unpack(&got, &p, last), NGX_OK);
    CHECK_INT(got.kind, NGX_CHAT_MESSAGE_POSTED_e);
    CHECK(got.app == a.app);
    CHECK(got.except.high == 7 && got.except.low == UINT64_MAX);
    CHECK_STR(got.channel, "chat");
    CHECK_STR(got.event, "new_message");
    CHECK_STR(got.content, "one");
    CHECK_STR(got.author, "ann");

    CHECK_INT(ngx_chat_log_item_unpack(&got, &p, last), NGX_OK);
    CHECK_INT(got.kind, NGX_CHAT_MESSAGE_OLD_EVENT_e);
    CHECK_INT(got.content.len, 0);

    CHECK_INT(ngx_chat_log_item_unpack(&got, &p, last), NGX_DONE);

    unit_pool_free(&pool);
}


/* Each part of an item is none, and no item with another length is one. */

static void
test_broken(void)
{
    u_char               *bytes, *p;
    size_t                len, i;
    ngx_chat_log_item_t   item, got;

    make(&item, NGX_CHAT_MESSAGE_CLIENT_e, "typing");

    len = ngx_chat_log_item_size(&item);

    for (i = 1; i < len; i++) {
        bytes = unit_alloc(&pool, len);
        (void) ngx_chat_log_item_pack(bytes, &item);
        p = unit_copy(&pool, bytes, i);

        CHECK_INT(ngx_chat_log_item_unpack(&got, &p, p + i), NGX_ERROR);
    }

    /* lengths, the kind, and the channel's length */

    for (i = 0; i < NGX_CHAT_LOG_ITEM_HEADER; i++) {

        if (i > 4 && i < 29) {
            continue;
        }

        bytes = unit_alloc(&pool, len);
        (void) ngx_chat_log_item_pack(bytes, &item);
        bytes[i] ^= 0x80;
        p = bytes;

        CHECK_INT(ngx_chat_log_item_unpack(&got, &p, p + len), NGX_ERROR);
    }

    item.channel.len = 0;
    len = ngx_chat_log_item_size(&item);
    bytes = unit_alloc(&pool, len);
    (void) ngx_chat_log_item_pack(bytes, &item);
    p = bytes;
    CHECK_INT(ngx_chat_log_item_unpack(&got, &p, p + len), NGX_ERROR);

    unit_pool_free(&pool);
}


int
main(void)
{
    RUN(test_batch);
    RUN(test_broken);

    return unit_done();
}
