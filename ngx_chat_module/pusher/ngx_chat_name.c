
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Channel names, their types, and socket ids.  Pure.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pusher/ngx_chat_name.h>
#include <wire/ngx_chat_utf8.h>


/* The socket ids that we hand out have two numbers in 1..9999999999. */
#define NGX_CHAT_NAME_NUMBER_LEN  10


typedef struct {
    ngx_str_t          text;
    ngx_uint_t         type;
} ngx_chat_name_prefix_t;


static ngx_uint_t ngx_chat_name_starts(ngx_str_t *name, ngx_str_t *prefix);
static u_char *ngx_chat_name_read_number(u_char *p, u_char *last,
    uint64_t *number);


static ngx_str_t  ngx_chat_name_user = ngx_string("#server-to-user-");


/* The longer one first where one begins with another. */

static ngx_chat_name_prefix_t  ngx_chat_name_prefixes[] = {

    { ngx_string("private-encrypted-cache-"),
      NGX_CHAT_CHANNEL_PRIVATE|NGX_CHAT_CHANNEL_ENCRYPTED
      |NGX_CHAT_CHANNEL_CACHE },

    { ngx_string("private-encrypted-"),
      NGX_CHAT_CHANNEL_PRIVATE|NGX_CHAT_CHANNEL_ENCRYPTED },

    { ngx_string("private-cache-"),
      NGX_CHAT_CHANNEL_PRIVATE|NGX_CHAT_CHANNEL_CACHE },

    { ngx_string("private-"),
      NGX_CHAT_CHANNEL_PRIVATE },

    { ngx_string("presence-cache-"),
      NGX_CHAT_CHANNEL_PRIVATE|NGX_CHAT_CHANNEL_PRESENCE
      |NGX_CHAT_CHANNEL_CACHE },

    { ngx_string("presence-"),
      NGX_CHAT_CHANNEL_PRIVATE|NGX_CHAT_CHANNEL_PRESENCE },

    { ngx_string("cache-"),
      NGX_CHAT_CHANNEL_CACHE },

    { ngx_string("#server-to-user-"),
      NGX_CHAT_CHANNEL_USER },

    { ngx_null_string, 0 }
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

    if (ngx_chat_name_starts(name, &ngx_chat_name_user)) {
        p += ngx_chat_name_user.len;

        if (p == last) {
            return NGX_DECLINED;
        }
    }

    for ( /* void */ ; p < last; p++) {

        if ((*p >= 'a' && *p <= 'z')
            || (*p >= 'A' && *p <= 'Z')
            || (*p >= '0' && *p <= '9'))
        {
            continue;
        }

        switch (*p) {

        case '_':
        case '-':
        case '=':
        case '@':
        case ',':
        case '.':
        case ';':
            continue;

        default:
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_name_check_event(ngx_str_t *name)
{
    size_t  i, n;

    if (name->len == 0
        || name->len > 4 * NGX_CHAT_EVENT_NAME_MAX
        || ngx_chat_utf8_check(name->data, name->len) != NGX_OK)
    {
        return NGX_ERROR;
    }

    n = 0;

    for (i = 0; i < name->len; i++) {
        n += ((name->data[i] & 0xc0) != 0x80);
    }

    if (n > NGX_CHAT_EVENT_NAME_MAX) {
        return NGX_ERROR;
    }

    if ((name->len >= 7 && ngx_memcmp(name->data, "pusher:", 7) == 0)
        || (name->len >= 16
            && ngx_memcmp(name->data, "pusher_internal:", 16) == 0))
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_chat_name_type(ngx_str_t *name)
{
    ngx_chat_name_prefix_t  *prefix;

    for (prefix = ngx_chat_name_prefixes; prefix->text.len; prefix++) {

        if (ngx_chat_name_starts(name, &prefix->text)) {
            return prefix->type;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_chat_name_starts(ngx_str_t *name, ngx_str_t *prefix)
{
    return name->len >= prefix->len
           && ngx_memcmp(name->data, prefix->data, prefix->len) == 0;
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
 * The end of the digits at p, NULL where there is none; *number becomes 0
 * where they are not written as we write a number.
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
    p = ngx_chat_name_write_number(p, id->high);
    *p++ = '.';

    return ngx_chat_name_write_number(p, id->low);
}


u_char *
ngx_chat_name_write_number(u_char *p, uint64_t number)
{
    u_char  *digit, text[NGX_INT64_LEN];

    digit = text + sizeof(text);

    do {
        *--digit = (u_char) (number % 10 + '0');
        number /= 10;
    } while (number);

    return ngx_cpymem(p, digit, text + sizeof(text) - digit);
}
