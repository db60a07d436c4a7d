
/* sources: pusher/ngx_chat_signature.c pusher/ngx_chat_name.c */
/* sources: pusher/ngx_chat_digest.c pusher/ngx_chat_app.c */
/* sources: wire/ngx_chat_utf8.c libs: -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/err.h>

#include <unit.h>
#include <pusher/ngx_chat_name.h>
#include <pusher/ngx_chat_signature.h>


typedef struct {
    const char  *key;
    const char  *secret;
    const char  *socket_id;
    const char  *channel;
    const char  *data;                 /* NULL: none */
    const char  *signature;
} vector_t;


/* The protocol's section 3.3, in its order: P33. */

static vector_t  channels[] = {

    { "app-key-1", "app-secret-1", "10.20", "private-room", NULL,
      "393146452e4682e9516ac1af1b70e066d6021d161d55353f54cf2180218d03cc" },

    { "app-key-1", "app-secret-1", "10.20", "presence-room",
      "{\"user_id\":\"7\",\"user_info\":{\"name\":\"Ann\"}}",
      "9abe84ffc44529958654dfcb1ad4954d22ac234b23f25718fca54dbbda5ffc36" },

    { "app-key-1", "app-secret-1", "10.20", "private-encrypted-room", NULL,
      "f3f3eeac80ad18602cb5a606fca52d20691e4ac293b8034cfe58182cc918ed48" },

    { "app-key-1", "app-secret-1", "10.20", "private-encrypted-cache-room",
      NULL,
      "5c92ad2c8892eb8cea6baaba7610eae042deebba438e6e3945c452d92737de02" },

    { "app-key-1", "app-secret-1", "10.20", "private-room", "{\"x\":1}",
      "870e606557af8eaa0d4b03b3231a412e331b6eb6d63f588c3e4e772ed3da1651" },

    { "278d425bdf160c739803", "7ad3773142a6692b25b8", "1234.1234",
      "private-foobar", NULL,
      "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4" },

    { "278d425bdf160c739803", "7ad3773142a6692b25b8", "1234.1234",
      "presence-foobar",
      "{\"user_id\":10,\"user_info\":{\"name\":\"Mr. Pusher\"}}",
      "afaed3695da2ffd16931f457e338e6c9f2921fa133ce7dac49f529792be6304c" },

    { "278d425bdf160c739803", "7ad3773142a6692b25b8", "1234.1234",
      "presence-foobar",
      "{\"user_id\":10,\"user_info\":{\"name\":\"Mr. Channels\"}}",
      "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80" },

    { "app-key-1", "app-secret-1", "10.20", "private-room", NULL,
      "393146452e4682e9516ac1af1b70e066d6021d161d55353f54cf2180218d03cc" },

    /* by "openssl dgst": a secret as long as the one that was kept */

    { "app-key-1", "app-secret-2", "10.20", "private-room", NULL,
      "475ae0f6f26d43edae3ee03e807e18d8d1690b22ca6992d99bef5f4d51a9abca" },

    { NULL, NULL, NULL, NULL, NULL, NULL }
};


/* Section 5.1: P69. */

static vector_t  users[] = {

    { "app-key-1", "app-secret-1", "10.20", NULL,
      "{\"id\":\"7\",\"watchlist\":[\"8\",\"9\"]}",
      "a554f6bf06318562e80d845365d21372f9dc72f5fdcca7ced763c34983fcb8ff" },

    { "278d425bdf160c739803", "7ad3773142a6692b25b8", "1234.1234", NULL,
      "{\"id\":\"12345\"}",
      "4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba" },

    { NULL, NULL, NULL, NULL, NULL, NULL }
};


static unit_pool_t           pool;
static ngx_chat_app_t        app;
static ngx_chat_socket_id_t  id;
static ngx_str_t             channel;
static ngx_str_t             data;
static ngx_str_t             auth;


/* Copies without a NUL behind them, for the address sanitizer. */

static void
set(ngx_str_t *s, const char *text)
{
    s->len = text ? strlen(text) : 0;
    s->data = text ? unit_copy(&pool, text, s->len) : NULL;
}


static void
load(vector_t *v)
{
    char  text[256];

    memset(&app, 0, sizeof(app));
    set(&app.key, v->key);
    set(&app.secret, v->secret);
    set(&channel, v->channel);
    set(&data, v->data);

    CHECK_INT(ngx_chat_name_read_socket_id(&id, (u_char *) v->socket_id,
                                           strlen(v->socket_id)), NGX_OK);

    snprintf(text, sizeof(text), "%s:%s", v->key, v->signature);
    set(&auth, text);
}


static ngx_int_t
check_channel(void)
{
    return ngx_chat_signature_check(&app, &auth, &id, &channel, &data);
}


static ngx_int_t
check_user(void)
{
    return ngx_chat_signature_check(&app, &auth, &id, NULL, &data);
}


static void
test_hex(void)
{
    u_char     *out, key[131];
    ngx_str_t   secret, parts[4];

    out = unit_alloc(&pool, NGX_CHAT_SIGNATURE_LEN);

    /* RFC 4231, test case 2 */

    ngx_str_set(&secret, "Jefe");
    ngx_str_set(&parts[0], "what do ya want for nothing?");

    CHECK_INT(ngx_chat_digest_hmac(out, &secret, parts, 1), NGX_OK);
    CHECK_BYTES(out, NGX_CHAT_SIGNATURE_LEN,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3"
                "843");

    ngx_str_set(&parts[0], "what do ");
    ngx_str_null(&parts[1]);
    ngx_str_set(&parts[2], "ya want for nothing");
    ngx_str_set(&parts[3], "?");

    CHECK_INT(ngx_chat_digest_hmac(out, &secret, parts, 4), NGX_OK);
    CHECK_BYTES(out, NGX_CHAT_SIGNATURE_LEN,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3"
                "843");

    /* RFC 4231, section 4.7: a key too long to be kept */

    memset(key, 0xaa, sizeof(key));
    secret.data = key;
    secret.len = sizeof(key);

    ngx_str_set(&parts[0], "Test Using Larger Than Block-Size Key - Hash Key "
                           "First");

    CHECK_INT(ngx_chat_digest_hmac(out, &secret, parts, 1), NGX_OK);
    CHECK_BYTES(out, NGX_CHAT_SIGNATURE_LEN,
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37"
                "f54");

    /* of nothing, by the empty key */

    ngx_str_set(&secret, "");

    CHECK_INT(ngx_chat_digest_hmac(out, &secret, NULL, 0), NGX_OK);
    CHECK_BYTES(out, NGX_CHAT_SIGNATURE_LEN,
                "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c"
                "5ad");

    unit_pool_free(&pool);
}


/* RFC 1321, appendix A.5, and again with what is kept of the first time. */

static void
test_md5(void)
{
    u_char      out[NGX_CHAT_DIGEST_MD5_HEX];
    ngx_str_t   text;
    ngx_uint_t  i;

    for (i = 0; i < 2; i++) {
        ngx_str_set(&text, "message digest");

        CHECK_INT(ngx_chat_digest_md5(out, &text), NGX_OK);
        CHECK_BYTES(out, sizeof(out), "f96b697d7cb7938d525a2f31aaf161d0");

        ngx_str_null(&text);

        CHECK_INT(ngx_chat_digest_md5(out, &text), NGX_OK);
        CHECK_BYTES(out, sizeof(out), "d41d8cd98f00b204e9800998ecf8427e");
    }
}


/* A key that is none makes libcrypto fail: refused, and no trace is left. */

static void
test_hex_failed(void)
{
    u_char     out[NGX_CHAT_SIGNATURE_LEN];
    ngx_str_t  secret, part;

    memset(out, 'x', sizeof(out));

    ngx_str_null(&secret);
    ngx_str_set(&part, "a");

    ERR_raise(ERR_LIB_USER, ERR_R_MALLOC_FAILURE);

    CHECK_INT(ngx_chat_digest_hmac(out, &secret, &part, 1), NGX_ERROR);
    CHECK(out[0] == 'x' && out[NGX_CHAT_SIGNATURE_LEN - 1] == 'x');
    CHECK_INT(ERR_peek_error(), 0);

    load(&channels[0]);
    ngx_str_null(&app.secret);
    CHECK_INT(check_channel(), NGX_ERROR);

    unit_pool_free(&pool);
}


static void
test_split(void)
{
    ngx_str_t  key, signature;

    set(&auth, "a:b:c");
    CHECK_INT(ngx_chat_signature_split(&auth, &key, &signature), NGX_OK);
    CHECK_STR(key, "a");
    CHECK_STR(signature, "b:c");

    set(&auth, ":");
    CHECK_INT(ngx_chat_signature_split(&auth, &key, &signature), NGX_OK);
    CHECK_STR(key, "");
    CHECK_STR(signature, "");

    set(&auth, "abc");
    CHECK_INT(ngx_chat_signature_split(&auth, &key, &signature),
              NGX_DECLINED);
    CHECK_STR(key, "abc");
    CHECK_STR(signature, "");

    ngx_str_null(&auth);
    CHECK_INT(ngx_chat_signature_split(&auth, &key, &signature),
              NGX_DECLINED);
    CHECK_STR(key, "");

    unit_pool_free(&pool);
}


static void
test_vectors(void)
{
    u_char    *p;
    vector_t  *v;

    for (v = channels; v->key; v++) {
        load(v);

        if (!CHECK_INT(check_channel(), NGX_OK)) {
            unit_dump("channel", channel.data, channel.len);
        }

        p = unit_alloc(&pool, NGX_CHAT_SIGNATURE_AUTH_LEN(&app));

        CHECK(ngx_chat_signature_write(p, &app, &id, &channel, &data)
              == p + NGX_CHAT_SIGNATURE_AUTH_LEN(&app));
        CHECK(auth.len == NGX_CHAT_SIGNATURE_AUTH_LEN(&app)
              && memcmp(p, auth.data, auth.len) == 0);

        CHECK_INT(check_user(), NGX_ERROR);
    }

    for (v = users; v->key; v++) {
        load(v);
        CHECK_INT(check_user(), NGX_OK);

        p = unit_alloc(&pool, NGX_CHAT_SIGNATURE_AUTH_LEN(&app));

        CHECK(ngx_chat_signature_write(p, &app, &id, NULL, &data)
              == p + NGX_CHAT_SIGNATURE_AUTH_LEN(&app));
        CHECK(auth.len == NGX_CHAT_SIGNATURE_AUTH_LEN(&app)
              && memcmp(p, auth.data, auth.len) == 0);
    }

    unit_pool_free(&pool);
}


/* One bit more or less in anything that is signed: P34, P37, P38. */

static void
test_bits(void)
{
    size_t      i, first;
    vector_t   *v;
    ngx_uint_t  bit;

    v = &channels[1];
    load(v);

    first = app.key.len + 1;

    for (i = first; i < auth.len; i++) {

        for (bit = 0; bit < 8; bit++) {
            auth.data[i] ^= (u_char) (1 << bit);
            CHECK_INT(check_channel(), NGX_ERROR);
            auth.data[i] ^= (u_char) (1 << bit);
        }
    }

    for (i = 0; i < data.len; i++) {
        data.data[i] ^= 1;
        CHECK_INT(check_channel(), NGX_ERROR);
        data.data[i] ^= 1;
    }

    for (i = 0; i < channel.len; i++) {
        channel.data[i] ^= 0x20;
        CHECK_INT(check_channel(), NGX_ERROR);
        channel.data[i] ^= 0x20;
    }

    for (i = 0; i < app.secret.len; i++) {
        app.secret.data[i] ^= 0x80;
        CHECK_INT(check_channel(), NGX_ERROR);
        app.secret.data[i] ^= 0x80;
    }

    id.low++;
    CHECK_INT(check_channel(), NGX_ERROR);
    id.low--;

    id.high++;
    CHECK_INT(check_channel(), NGX_ERROR);
    id.high--;

    CHECK_INT(check_channel(), NGX_OK);

    /* not given is not the same as empty */

    ngx_str_null(&data);
    CHECK_INT(check_channel(), NGX_ERROR);

    load(&channels[0]);
    set(&data, "");
    CHECK_INT(check_channel(), NGX_ERROR);

    load(&users[0]);
    auth.data[auth.len - 1] ^= 1;
    CHECK_INT(check_user(), NGX_ERROR);
    auth.data[auth.len - 1] ^= 1;
    data.len--;
    CHECK_INT(check_user(), NGX_ERROR);

    unit_pool_free(&pool);
}


/* What is signed may not mean something else as well. */

static void
test_borders(void)
{
    u_char      p[256];
    ngx_str_t   none;

    load(&channels[0]);
    ngx_str_null(&none);

    /* a user's signature is none for the channel ":user::…" */

    set(&data, "{\"id\":\"7\"}");
    auth.data = p;
    auth.len = ngx_chat_signature_write(p, &app, &id, NULL, &data) - p;
    CHECK_INT(check_user(), NGX_OK);

    set(&channel, ":user");
    CHECK_INT(check_channel(), NGX_ERROR);

    /* this one is the same text: names with ':' never come here */

    set(&channel, ":user::{\"id\":\"7\"}");
    CHECK_INT(ngx_chat_name_check(&channel), NGX_DECLINED);

    unit_pool_free(&pool);
}


static void
test_keys(void)
{
    char        text[256];
    size_t      i;
    vector_t   *v;

    v = &channels[0];
    load(v);

    /* P35: declined, whatever the signature */

    auth.data[0] ^= 1;
    CHECK_INT(check_channel(), NGX_DECLINED);

    snprintf(text, sizeof(text), "app-key-10:%s", v->signature);
    set(&auth, text);
    CHECK_INT(check_channel(), NGX_DECLINED);

    snprintf(text, sizeof(text), "app-key-:%s", v->signature);
    set(&auth, text);
    CHECK_INT(check_channel(), NGX_DECLINED);

    snprintf(text, sizeof(text), ":%s", v->signature);
    set(&auth, text);
    CHECK_INT(check_channel(), NGX_DECLINED);

    set(&auth, "other:");
    CHECK_INT(check_channel(), NGX_DECLINED);

    /* the Swift library's inline mode */

    load(v);
    set(&app.key, "App-KEY-1");
    CHECK_INT(check_channel(), NGX_OK);

    /* but the signature is compared as it is */

    load(v);

    for (i = app.key.len + 1; i < auth.len; i++) {
        auth.data[i] = ngx_toupper(auth.data[i]);
    }

    CHECK_INT(check_channel(), NGX_ERROR);

    unit_pool_free(&pool);
}


static void
test_malformed(void)
{
    char       text[256];
    vector_t  *v;

    v = &channels[0];
    load(v);

    /* P36 */

    ngx_str_null(&auth);
    CHECK_INT(check_channel(), NGX_ERROR);

    set(&auth, "");
    CHECK_INT(check_channel(), NGX_ERROR);

    set(&auth, "app-key-1");
    CHECK_INT(check_channel(), NGX_ERROR);

    set(&auth, v->signature);
    CHECK_INT(check_channel(), NGX_ERROR);

    set(&auth, "app-key-1:");
    CHECK_INT(check_channel(), NGX_ERROR);

    load(v);
    auth.len--;
    CHECK_INT(check_channel(), NGX_ERROR);

    snprintf(text, sizeof(text), "app-key-1:%s0", v->signature);
    set(&auth, text);
    CHECK_INT(check_channel(), NGX_ERROR);

    snprintf(text, sizeof(text), "app-key-1::%s", v->signature);
    set(&auth, text);
    CHECK_INT(check_channel(), NGX_ERROR);

    snprintf(text, sizeof(text), "app-key-1::user::%s", v->signature);
    set(&auth, text);
    CHECK_INT(check_channel(), NGX_ERROR);

    unit_pool_free(&pool);
}


static void
test_text(void)
{
    size_t      i, len;
    u_char     *p;
    ngx_str_t   expected;

    load(&channels[4]);
    ngx_str_set(&expected, "10.20:private-room:{\"x\":1}");

    for (i = 0; i <= expected.len + 1; i++) {
        p = unit_alloc(&pool, i);
        len = ngx_chat_signature_text(p, i, &id, &channel, &data);
        CHECK_INT(len, ngx_min(i, expected.len));
        CHECK(memcmp(p, expected.data, len) == 0);
    }

    ngx_str_null(&data);
    p = unit_alloc(&pool, 100);
    len = ngx_chat_signature_text(p, 100, &id, &channel, &data);
    CHECK_BYTES(p, len, "10.20:private-room");

    load(&users[1]);
    len = ngx_chat_signature_text(p, 100, &id, NULL, &data);
    CHECK_BYTES(p, len, "1234.1234::user::{\"id\":\"12345\"}");

    unit_pool_free(&pool);
}


/* What came instead of a signature, cut where the room ends. */

static void
test_text_got(void)
{
    u_char     buf[64];
    ngx_str_t  auth;

    ngx_str_set(&auth, "key:abc:def");
    memcpy(buf, "1.2:private-x", 13);
    CHECK_INT(ngx_chat_signature_text_got(buf, 13, sizeof(buf), &auth), 30);
    CHECK_BYTES(buf, 30, "1.2:private-x, but got abc:def");

    ngx_str_set(&auth, "nocolon");
    CHECK_INT(ngx_chat_signature_text_got(buf, 13, sizeof(buf), &auth), 30);
    CHECK_BYTES(buf, 30, "1.2:private-x, but got nocolon");

    ngx_str_null(&auth);
    CHECK_INT(ngx_chat_signature_text_got(buf, 13, sizeof(buf), &auth), 23);

    ngx_str_set(&auth, "key:abcdef");
    CHECK_INT(ngx_chat_signature_text_got(buf, 13, 25, &auth), 25);
    CHECK_INT(ngx_chat_signature_text_got(buf, 13, 15, &auth), 15);
}


int
main(void)
{
    RUN(test_text_got);
    RUN(test_hex);
    RUN(test_md5);
    RUN(test_hex_failed);
    RUN(test_split);
    RUN(test_vectors);
    RUN(test_bits);
    RUN(test_borders);
    RUN(test_keys);
    RUN(test_malformed);
    RUN(test_text);

    return unit_done();
}
