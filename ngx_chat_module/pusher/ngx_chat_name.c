
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Channel names, their types, and socket ids.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <stdio.h>

#include <pusher/ngx_chat_name.h>
#include <wire/ngx_chat_utf8.h>


/* The socket ids that we hand out have two numbers in 1..9999999999. */
#define NGX_CHAT_NAME_NUMBER_LEN  10


typedef struct {
    const char        *text;
    ngx_uint_t         type;
} ngx_chat_name_prefix_t;


static ngx_uint_t ngx_chat_name_starts(ngx_str_t *name, const char *prefix);
static u_char *ngx_chat_name_read_number(u_char *p, u_char *last,
    uint64_t *number);


/* A longer prefix stands before a shorter one that it begins with. */

static const ngx_chat_name_prefix_t  ngx_chat_name_prefixes[] = {

    { "private-encrypted-cache-",
      NGX_CHAT_CHANNEL_PRIVATE|NGX_CHAT_CHANNEL_ENCRYPTED
      |NGX_CHAT_CHANNEL_CACHE },

    { "private-encrypted-",
      NGX_CHAT_CHANNEL_PRIVATE|NGX_CHAT_CHANNEL_ENCRYPTED },

    { "private-cache-",
      NGX_CHAT_CHANNEL_PRIVATE|NGX_CHAT_CHANNEL_CACHE },

    { "private-",
      NGX_CHAT_CHANNEL_PRIVATE },

    { "presence-cache-",
      NGX_CHAT_CHANNEL_PRIVATE|NGX_CHAT_CHANNEL_PRESENCE
      |NGX_CHAT_CHANNEL_CACHE },

    { "presence-",
      NGX_CHAT_CHANNEL_PRIVATE|NGX_CHAT_CHANNEL_PRESENCE },

    { "cache-",
      NGX_CHAT_CHANNEL_CACHE },

    { NGX_CHAT_NAME_USER,
      NGX_CHAT_CHANNEL_USER },

    { NULL, 0 }
};


ngx_int_t
ngx_chat_name_check(ngx_str_t *name)
{
    u_char  *p, *last;

    if (name->len == 0 || name->len > NGX_CHAT_CHANNEL_NAME_MAX) {
        return NGX_DECLINED;
    }

    p = name->data;
    last = p + name->len;

    if (ngx_chat_name_starts(name, NGX_CHAT_NAME_USER)) {
        p += sizeof(NGX_CHAT_NAME_USER) - 1;

        if (p == last) {
            return NGX_DECLINED;
        }
    }

    for ( /* void */ ; p < last; p++) {

        if (!(*p >= '0' && *p <= '9')
            && !((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z')
            && (*p == '\0' || strchr("_-=@,.;", *p) == NULL))
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_name_check_event(ngx_str_t *name)
{
    if (name->len == 0
        || ngx_chat_utf8_check(name->data, name->len) != NGX_OK
        || ngx_chat_utf8_count(name->data, name->len)
           > NGX_CHAT_EVENT_NAME_MAX
        || ngx_chat_name_starts(name, "pusher:")
        || ngx_chat_name_starts(name, "pusher_internal:"))
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_chat_name_type(ngx_str_t *name)
{
    const ngx_chat_name_prefix_t  *prefix;

    for (prefix = ngx_chat_name_prefixes; prefix->text; prefix++) {

        if (ngx_chat_name_starts(name, prefix->text)) {
            return prefix->type;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_chat_name_starts(ngx_str_t *name, const char *prefix)
{
    size_t  len;

    len = ngx_strlen(prefix);

    return name->len >= len && ngx_memcmp(name->data, prefix, len) == 0;
}


ngx_int_t
ngx_chat_name_read_socket_id(ngx_chat_socket_id_t *id, u_char *p, size_t len)
{
    u_char    *last;
    uint64_t   high, low;

    if (len == 0) {
        return NGX_DECLINED;
    }

    last = p + len;

    p = ngx_chat_name_read_number(p, last, &high);

    if (p == NULL || p == last || *p != '.') {
        return NGX_DECLINED;
    }

    p = ngx_chat_name_read_number(p + 1, last, &low);

    if (p != last) {
        return NGX_DECLINED;
    }

    if (high == 0 || low == 0) {
        high = 0;
        low = 0;
    }

    id->high = high;
    id->low = low;

    return NGX_OK;
}


/*
 * Returns the end of the digits at p; NULL without any.  *number becomes 0
 * for a number that we never write: too long, or with leading zeros.
 */

static u_char *
ngx_chat_name_read_number(u_char *p, u_char *last, uint64_t *number)
{
    u_char    *start;
    uint64_t   n;

    start = p;
    n = 0;

    while (p < last && *p >= '0' && *p <= '9') {

        if (p - start < NGX_CHAT_NAME_NUMBER_LEN) {
            n = n * 10 + (*p - '0');
        }

        p++;
    }

    if (p == start) {
        return NULL;
    }

    if (*start == '0' || p - start > NGX_CHAT_NAME_NUMBER_LEN) {
        n = 0;
    }

    *number = n;

    return p;
}


u_char *
ngx_chat_name_write_socket_id(u_char *p, ngx_chat_socket_id_t *id)
{
    char  text[2 * NGX_INT64_LEN + sizeof(".")];

    (void) snprintf(text, sizeof(text), "%lu.%lu", (unsigned long) id->high,
                    (unsigned long) id->low);

    return ngx_cpymem(p, text, ngx_strlen(text));
}
