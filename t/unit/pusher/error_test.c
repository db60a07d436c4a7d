
/* sources: pusher/ngx_chat_error.c wire/ngx_chat_utf8.c */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <pusher/ngx_chat_error.h>


static unit_pool_t  pool;


static void
check_text(ngx_uint_t code, const char *expected)
{
    if (!CHECK(strcmp(ngx_chat_error_text(code), expected) == 0)) {
        printf("# %d: \"%s\"\n", (int) code, ngx_chat_error_text(code));
    }
}


static void
test_text(void)
{
    check_text(4001, "App key %s not in this cluster. Did you forget to "
               "specify the cluster? (No chat_app has it.)");
    check_text(4004, "Account over quota (max_connections)");
    check_text(4009, "Connection not authorized within timeout");
    check_text(4200, "Please reconnect immediately");
    check_text(4201, "Pong reply not received");

    check_text(0, "");
    check_text(1000, "");
    check_text(1009, "");
    check_text(4002, "");
    check_text(4301, "");
    check_text(9999, "");
}


/* A text is UTF-8, has one place for an argument, and fits a close frame. */

static void
test_all_texts(void)
{
    u_char       buf[NGX_CHAT_ERROR_TEXT_MAX];
    size_t       len;
    ngx_str_t    key;
    ngx_uint_t   code, texts;
    const char  *text, *mark;

    ngx_str_set(&key, "6ed32465d0c1fff140be76a");
    texts = 0;

    for (code = 0; code < 5000; code++) {
        text = ngx_chat_error_text(code);

        if (*text == '\0') {
            continue;
        }

        texts++;
        mark = strchr(text, '%');

        if (mark != NULL) {
            CHECK(mark[1] == 's');
            CHECK(strchr(mark + 1, '%') == NULL);
        }

        len = ngx_chat_error_format(buf, sizeof(buf), text, &key);
        CHECK(len <= NGX_CHAT_CLOSE_REASON_MAX);
        CHECK(code >= 4000 && code < 4300);
    }

    CHECK_INT(texts, 13);
}


static void
check_format(size_t size, const char *format, const char *arg, size_t arg_len,
    const char *expected)
{
    u_char     *buf;
    size_t      len;
    ngx_str_t   s;

    s.data = unit_copy(&pool, arg, arg_len);
    s.len = arg_len;

    buf = unit_alloc(&pool, size);
    len = ngx_chat_error_format(buf, size, format, &s);

    if (!CHECK(len == strlen(expected) && memcmp(buf, expected, len) == 0)) {
        unit_dump("     got", buf, len);
        unit_dump("expected", (u_char *) expected, strlen(expected));
    }
}


#define CHECK_FORMAT(size, format, arg, expected)                             \
    check_format(size, format, arg, sizeof(arg) - 1, expected)


static void
test_format(void)
{
    CHECK_FORMAT(100, "a %s b", "x", "a x b");
    CHECK_FORMAT(100, "%s", "x", "x");
    CHECK_FORMAT(100, "%s", "", "");
    CHECK_FORMAT(100, "a%s", "", "a");
    CHECK_FORMAT(100, "no place", "x", "no place");
    CHECK_FORMAT(100, "a %s", "%s %d %n", "a %s %d %n");
    CHECK_FORMAT(100, NGX_CHAT_ERROR_UNSUPPORTED, "x",
                 "Unsupported event received on socket: 'x'");
    CHECK_FORMAT(100, NGX_CHAT_ERROR_NOT_SUBSCRIBED, "chat",
                 "No current subscription to channel chat, or subscription "
                 "in progress");

    CHECK_FORMAT(5, "a %s b", "x", "a x b");
    CHECK_FORMAT(4, "a %s b", "x", "a x ");
    CHECK_FORMAT(3, "a %s b", "xyz", "a x");
    CHECK_FORMAT(1, "a %s b", "x", "a");
    CHECK_FORMAT(0, "a %s b", "x", "");

    unit_pool_free(&pool);
}


static void
test_format_no_argument(void)
{
    u_char  buf[64];
    size_t  len;

    len = ngx_chat_error_format(buf, sizeof(buf),
                                ngx_chat_error_text(4200), NULL);
    CHECK_BYTES(buf, len, "Please reconnect immediately");
}


static void
test_format_utf8(void)
{
    /* never cut inside a character */

    CHECK_FORMAT(4, "%s", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
    CHECK_FORMAT(3, "%s", "\xf0\x9f\x98\x80", "");
    CHECK_FORMAT(3, "%s", "a\xc3\xa9\xc3\xa9", "a\xc3\xa9");
    CHECK_FORMAT(4, "%s", "a\xc3\xa9\xc3\xa9", "a\xc3\xa9");
    CHECK_FORMAT(5, "%s", "a\xc3\xa9\xc3\xa9", "a\xc3\xa9\xc3\xa9");

    /* what is not UTF-8 is not passed on */

    CHECK_FORMAT(100, "a %s b", "\xff", "a ? b");
    CHECK_FORMAT(100, "%s", "x\xff\xfey\xc3", "x??y?");
    CHECK_FORMAT(100, "%s", "\xc3\xa9\xe2\x82", "\xc3\xa9??");
    CHECK_FORMAT(2, "%s", "x\xff\xfey", "x?");

    unit_pool_free(&pool);
}


static void
test_reason(void)
{
    u_char  reason[200];
    size_t  i;

    memset(reason, 'a', sizeof(reason));

    CHECK_INT(ngx_chat_error_reason_len(reason, 0), 0);
    CHECK_INT(ngx_chat_error_reason_len(reason, 10), 10);
    CHECK_INT(ngx_chat_error_reason_len(reason, 123), 123);
    CHECK_INT(ngx_chat_error_reason_len(reason, 124), 123);
    CHECK_INT(ngx_chat_error_reason_len(reason, 200), 123);

    /* a character of three bytes across the border */

    for (i = 119; i < 125; i++) {
        memset(reason, 'a', sizeof(reason));
        memcpy(reason + i, "\xe2\x82\xac", 3);

        CHECK_INT(ngx_chat_error_reason_len(reason, 200),
                  (i == 121 || i == 122) ? i : 123);
    }

    memcpy(reason + 5, "\xff", 1);
    CHECK_INT(ngx_chat_error_reason_len(reason, 200), 5);
}


int
main(void)
{
    RUN(test_text);
    RUN(test_all_texts);
    RUN(test_format);
    RUN(test_format_no_argument);
    RUN(test_format_utf8);
    RUN(test_reason);

    return unit_done();
}
