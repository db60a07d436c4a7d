
/* sources: pusher/ngx_chat_name.c wire/ngx_chat_utf8.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <pusher/ngx_chat_name.h>


typedef struct {
    ngx_str_t          name;
    ngx_uint_t         type;
} type_case_t;


typedef struct {
    ngx_str_t          text;
    ngx_int_t          rc;
    uint64_t           high;
    uint64_t           low;
} socket_id_case_t;


static unit_pool_t  pool;


static type_case_t  types[] = {
    { ngx_string("chat"), 0 },
    { ngx_string("privatefoo"), 0 },
    { ngx_string("presencefoo"), 0 },
    { ngx_string("private"), 0 },
    { ngx_string("my-cache-x"), 0 },
    { ngx_string("my-private-x"), 0 },
    { ngx_string("Private-x"), 0 },
    { ngx_string("private-"), 0x01 },
    { ngx_string("private-foo"), 0x01 },
    { ngx_string("private-cache"), 0x01 },
    { ngx_string("private-presence-x"), 0x01 },
    { ngx_string("private-encrypted"), 0x01 },
    { ngx_string("private-cache-foo"), 0x05 },
    { ngx_string("private-encrypted-foo"), 0x09 },
    { ngx_string("private-encrypted-cache"), 0x09 },
    { ngx_string("private-encrypted-cache-foo"), 0x0d },
    { ngx_string("presence-foo"), 0x03 },
    { ngx_string("presence-encrypted-foo"), 0x03 },
    { ngx_string("presence-cache-foo"), 0x07 },
    { ngx_string("cache-foo"), 0x04 },
    { ngx_string("cache-private-foo"), 0x04 },
    { ngx_string("#server-to-user-7"), 0x10 },
    { ngx_null_string, 0 }
};


static socket_id_case_t  socket_ids[] = {
    { ngx_string("1.2"), NGX_OK, 1, 2 },
    { ngx_string("123.456"), NGX_OK, 123, 456 },
    { ngx_string("9999999999.9999999999"), NGX_OK, 9999999999ULL,
      9999999999ULL },
    { ngx_string("4294967296.10"), NGX_OK, 4294967296ULL, 10 },

    /* nobody's */

    { ngx_string("0.1"), NGX_OK, 0, 0 },
    { ngx_string("1.0"), NGX_OK, 0, 0 },
    { ngx_string("01.2"), NGX_OK, 0, 0 },
    { ngx_string("1.02"), NGX_OK, 0, 0 },
    { ngx_string("10000000000.1"), NGX_OK, 0, 0 },
    { ngx_string("1.10000000000"), NGX_OK, 0, 0 },
    { ngx_string("18446744073709551617.1"), NGX_OK, 0, 0 },
    { ngx_string("1.99999999999999999999999999999999999"), NGX_OK, 0, 0 },

    { ngx_string("1"), NGX_DECLINED, 0, 0 },
    { ngx_string("1."), NGX_DECLINED, 0, 0 },
    { ngx_string(".1"), NGX_DECLINED, 0, 0 },
    { ngx_string("."), NGX_DECLINED, 0, 0 },
    { ngx_string("1.2."), NGX_DECLINED, 0, 0 },
    { ngx_string("1.2.3"), NGX_DECLINED, 0, 0 },
    { ngx_string("1..2"), NGX_DECLINED, 0, 0 },
    { ngx_string(" 1.2"), NGX_DECLINED, 0, 0 },
    { ngx_string("1.2 "), NGX_DECLINED, 0, 0 },
    { ngx_string("1.2\n"), NGX_DECLINED, 0, 0 },
    { ngx_string("1.2\0"), NGX_DECLINED, 0, 0 },
    { ngx_string("-1.2"), NGX_DECLINED, 0, 0 },
    { ngx_string("1.-2"), NGX_DECLINED, 0, 0 },
    { ngx_string("+1.2"), NGX_DECLINED, 0, 0 },
    { ngx_string("a.b"), NGX_DECLINED, 0, 0 },
    { ngx_string("1.2a"), NGX_DECLINED, 0, 0 },
    { ngx_string("1,2"), NGX_DECLINED, 0, 0 },
    { ngx_string("\xd9\xa1.\xd9\xa2"), NGX_DECLINED, 0, 0 },
    { ngx_null_string, 0, 0, 0 }
};


static ngx_int_t
check(const char *text, size_t len)
{
    ngx_str_t  name;

    name.data = unit_copy(&pool, text, len);
    name.len = len;

    return ngx_chat_name_check(&name);
}


#define CHECK_NAME(literal)  check(literal, sizeof(literal) - 1)


static void
test_check(void)
{
    CHECK_INT(CHECK_NAME("chat"), NGX_OK);
    CHECK_INT(CHECK_NAME("a"), NGX_OK);
    CHECK_INT(CHECK_NAME("_-=@,.;"), NGX_OK);
    CHECK_INT(CHECK_NAME("azAZ09"), NGX_OK);
    CHECK_INT(CHECK_NAME("private-"), NGX_OK);
    CHECK_INT(CHECK_NAME("#server-to-user-7"), NGX_OK);
    CHECK_INT(CHECK_NAME("#server-to-user-a@b.c"), NGX_OK);

    CHECK_INT(check("", 0), NGX_DECLINED);
    CHECK_INT(CHECK_NAME("a b"), NGX_DECLINED);
    CHECK_INT(CHECK_NAME("a/b"), NGX_DECLINED);
    CHECK_INT(CHECK_NAME("a:b"), NGX_DECLINED);
    CHECK_INT(CHECK_NAME("a\0"), NGX_DECLINED);
    CHECK_INT(CHECK_NAME("a\n"), NGX_DECLINED);
    CHECK_INT(CHECK_NAME("caf\xc3\xa9"), NGX_DECLINED);
    CHECK_INT(CHECK_NAME("#chat"), NGX_DECLINED);
    CHECK_INT(CHECK_NAME("#server-to-user"), NGX_DECLINED);
    CHECK_INT(CHECK_NAME("#server-to-user-"), NGX_DECLINED);
    CHECK_INT(CHECK_NAME("#server-to-user-a#"), NGX_DECLINED);
    CHECK_INT(CHECK_NAME("a#server-to-user-a"), NGX_DECLINED);

    unit_pool_free(&pool);
}


static void
test_check_bytes(void)
{
    char        c;
    ngx_uint_t  n, good;

    for (n = 0; n < 256; n++) {
        c = (char) n;

        good = (n != 0 && strchr("_-=@,.;", (int) n) != NULL)
               || (n >= 'a' && n <= 'z') || (n >= 'A' && n <= 'Z')
               || (n >= '0' && n <= '9');

        if (check(&c, 1) != (good ? NGX_OK : NGX_DECLINED)) {
            CHECK_INT(n, -1);
        }
    }

    unit_pool_free(&pool);
}


static void
test_check_length(void)
{
    char  name[202];

    memset(name, 'a', sizeof(name));

    CHECK_INT(check(name, 200), NGX_OK);
    CHECK_INT(check(name, 201), NGX_DECLINED);

    memcpy(name, "#server-to-user-", 16);

    CHECK_INT(check(name, 200), NGX_OK);
    CHECK_INT(check(name, 201), NGX_DECLINED);

    unit_pool_free(&pool);
}


static void
test_type(void)
{
    ngx_str_t   name;
    ngx_uint_t  i;

    for (i = 0; types[i].name.len; i++) {
        name.len = types[i].name.len;
        name.data = unit_copy(&pool, types[i].name.data, name.len);

        if (!CHECK_INT(ngx_chat_name_type(&name), types[i].type)) {
            unit_dump("case", name.data, name.len);
        }
    }

    unit_pool_free(&pool);
}


static void
test_read_socket_id(void)
{
    u_char                *p;
    ngx_uint_t             i;
    socket_id_case_t      *c;
    ngx_chat_socket_id_t   id;

    for (i = 0; socket_ids[i].text.len; i++) {
        c = &socket_ids[i];

        id.high = 0;
        id.low = 0;

        p = unit_copy(&pool, c->text.data, c->text.len);

        if (!CHECK_INT(ngx_chat_name_read_socket_id(&id, p, c->text.len),
                       c->rc)
            || !CHECK(id.high == c->high && id.low == c->low))
        {
            unit_dump("case", p, c->text.len);
        }
    }

    CHECK_INT(ngx_chat_name_read_socket_id(&id, NULL, 0), NGX_DECLINED);

    unit_pool_free(&pool);
}


static void
test_write_socket_id(void)
{
    u_char                *p, *end;
    ngx_chat_socket_id_t   id, got;

    p = unit_alloc(&pool, NGX_CHAT_SOCKET_ID_LEN);

    id.high = 3363;
    id.low = 1846347;
    end = ngx_chat_name_write_socket_id(p, &id);
    CHECK_BYTES(p, end - p, "3363.1846347");

    id.high = 9999999999ULL;
    id.low = 9999999999ULL;
    end = ngx_chat_name_write_socket_id(p, &id);
    CHECK_BYTES(p, end - p, "9999999999.9999999999");
    CHECK_INT(ngx_chat_name_read_socket_id(&got, p, end - p), NGX_OK);
    CHECK(got.high == id.high && got.low == id.low);

    id.high = 0;
    id.low = 0;
    end = ngx_chat_name_write_socket_id(p, &id);
    CHECK_BYTES(p, end - p, "0.0");

    id.high = 10;
    id.low = 100;
    end = ngx_chat_name_write_socket_id(p, &id);
    CHECK_BYTES(p, end - p, "10.100");

    unit_pool_free(&pool);
}


/* Names that clients would take for the protocol's own are refused. */

static void
test_event(void)
{
    ngx_uint_t  i;

    static ngx_str_t  good[] = {
        ngx_string("a"),
        ngx_string("new_message"),
        ngx_string("client-x"),
        ngx_string("pusher"),
        ngx_string("pusher_internal"),
        ngx_string("\xc3\xa9v\xc3\xa9nement"),
        ngx_string("App\\Events\\Sent")
    };

    static ngx_str_t  bad[] = {
        ngx_string(""),
        ngx_string("pusher:"),
        ngx_string("pusher:error"),
        ngx_string("pusher_internal:member_added"),
        ngx_string("\xff")
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        CHECK_INT(ngx_chat_name_check_event(&good[i]), NGX_OK);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        CHECK_INT(ngx_chat_name_check_event(&bad[i]), NGX_ERROR);
    }
}


/* 200 bytes, and not one more. */

static void
test_event_length(void)
{
    u_char     text[NGX_CHAT_EVENT_NAME_MAX + 1];
    ngx_str_t  name;

    memset(text, 'e', sizeof(text));

    name.data = text;
    name.len = NGX_CHAT_EVENT_NAME_MAX;
    CHECK_INT(ngx_chat_name_check_event(&name), NGX_OK);

    name.len++;
    CHECK_INT(ngx_chat_name_check_event(&name), NGX_ERROR);
}


int
main(void)
{
    RUN(test_event);
    RUN(test_event_length);
    RUN(test_check);
    RUN(test_check_bytes);
    RUN(test_check_length);
    RUN(test_type);
    RUN(test_read_socket_id);
    RUN(test_write_socket_id);

    return unit_done();
}
