
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Items of the cluster's log.  Pure.
 *
 *     bytes
 *     4      length of all that follows
 *     1      kind
 *     8      app
 *     8 8    socket id that gets no copy
 *     1      length of the channel
 *     2      length of the event
 *     2      length of the author
 *     4      length of the content
 *            channel, event, author, content
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_log_item.h>


static u_char *ngx_chat_log_item_write(u_char *p, uint64_t value,
    ngx_uint_t bytes);
static uint64_t ngx_chat_log_item_read(u_char **p, ngx_uint_t bytes);
static u_char *ngx_chat_log_item_copy(u_char *p, ngx_str_t *s);
static u_char *ngx_chat_log_item_take(u_char *p, ngx_str_t *s);


ngx_uint_t
ngx_chat_log_item_fits(ngx_chat_log_item_t *item)
{
    return item->channel.len >= 1 && item->channel.len <= 255
           && item->event.len <= 65535 && item->author.len <= 65535
           && item->content.len <= NGX_MAX_INT32_VALUE - 262144;
}


size_t
ngx_chat_log_item_size(ngx_chat_log_item_t *item)
{
    return NGX_CHAT_LOG_ITEM_HEADER + item->channel.len + item->event.len
           + item->author.len + item->content.len;
}


u_char *
ngx_chat_log_item_pack(u_char *p, ngx_chat_log_item_t *item)
{
    p = ngx_chat_log_item_write(p, ngx_chat_log_item_size(item) - 4, 4);
    p = ngx_chat_log_item_write(p, item->kind, 1);
    p = ngx_chat_log_item_write(p, item->app, 8);
    p = ngx_chat_log_item_write(p, item->except.high, 8);
    p = ngx_chat_log_item_write(p, item->except.low, 8);
    p = ngx_chat_log_item_write(p, item->channel.len, 1);
    p = ngx_chat_log_item_write(p, item->event.len, 2);
    p = ngx_chat_log_item_write(p, item->author.len, 2);
    p = ngx_chat_log_item_write(p, item->content.len, 4);

    p = ngx_chat_log_item_copy(p, &item->channel);
    p = ngx_chat_log_item_copy(p, &item->event);
    p = ngx_chat_log_item_copy(p, &item->author);

    return ngx_chat_log_item_copy(p, &item->content);
}


ngx_int_t
ngx_chat_log_item_unpack(ngx_chat_log_item_t *item, u_char **pos, u_char *last)
{
    size_t   len;
    u_char  *p;

    p = *pos;

    if (p == last) {
        return NGX_DONE;
    }

    if ((size_t) (last - p) < NGX_CHAT_LOG_ITEM_HEADER) {
        return NGX_ERROR;
    }

    len = ngx_chat_log_item_read(&p, 4);

    if (len > (size_t) (last - p)) {
        return NGX_ERROR;
    }

    last = p + len;

    item->kind = ngx_chat_log_item_read(&p, 1);
    item->app = ngx_chat_log_item_read(&p, 8);
    item->except.high = ngx_chat_log_item_read(&p, 8);
    item->except.low = ngx_chat_log_item_read(&p, 8);
    item->channel.len = ngx_chat_log_item_read(&p, 1);
    item->event.len = ngx_chat_log_item_read(&p, 2);
    item->author.len = ngx_chat_log_item_read(&p, 2);
    item->content.len = ngx_chat_log_item_read(&p, 4);

    if (item->kind >= NGX_CHAT_MESSAGE_KINDS_e
        || item->channel.len == 0
        || ngx_chat_log_item_size(item) - 4 != len)
    {
        return NGX_ERROR;
    }

    p = ngx_chat_log_item_take(p, &item->channel);
    p = ngx_chat_log_item_take(p, &item->event);
    p = ngx_chat_log_item_take(p, &item->author);
    *pos = ngx_chat_log_item_take(p, &item->content);

    return (*pos == last) ? NGX_OK : NGX_ERROR;
}


static u_char *
ngx_chat_log_item_write(u_char *p, uint64_t value, ngx_uint_t bytes)
{
    while (bytes) {
        *p++ = (u_char) (value >> (8 * --bytes));
    }

    return p;
}


static uint64_t
ngx_chat_log_item_read(u_char **p, ngx_uint_t bytes)
{
    uint64_t  value;

    for (value = 0; bytes; bytes--) {
        value = value << 8 | *(*p)++;
    }

    return value;
}


static u_char *
ngx_chat_log_item_copy(u_char *p, ngx_str_t *s)
{
    return s->len ? ngx_cpymem(p, s->data, s->len) : p;
}


static u_char *
ngx_chat_log_item_take(u_char *p, ngx_str_t *s)
{
    s->data = p;

    return p + s->len;
}
