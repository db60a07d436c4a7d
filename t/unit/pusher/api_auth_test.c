
/* sources: wire/ngx_chat_urlencoded.c */
/* sources: pusher/ngx_chat_api_auth.c pusher/ngx_chat_api_query.c */
/* sources: pusher/ngx_chat_app.c pusher/ngx_chat_digest.c */
/* sources: pusher/ngx_chat_name.c wire/ngx_chat_utf8.c libs: -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <unit.h>
#include <pusher/ngx_chat_api_auth.h>


#define NOW   1700000000

#define AUTH  "auth_key=app-key-1&auth_timestamp=1700000000&auth_version=1.0"
#define MD5   "&body_md5=645087c7218ac2ede7bc3dc5b6d937e0"
#define GREET "{\"name\":\"greet\",\"channels\":[\"room-1\",\"room-2\"],"     \
              "\"data\":\"{\\\"msg\\\":\\\"hi\\\"}\","                        \
              "\"socket_id\":\"10.20\"}"
#define GREET_SIGNATURE                                                       \
    "3e31e5a26dd655ec77737af04d49fc6257888057087c47f0c47f8220656b90cd"


typedef struct {
    const char  *method;
    const char  *path;
    const char  *query;
    const char  *body;
} request_t;


static unit_pool_t          pool;
static ngx_chat_api_query_t     query;
static ngx_chat_api_auth_t  auth;
static ngx_chat_app_t       app;


static request_t  greet = {
    "POST", "/apps/42/events",
    AUTH MD5 "&auth_signature=" GREET_SIGNATURE, GREET
};


static ngx_int_t
check_at(request_t *r, time_t now)
{
    size_t     len;
    ngx_int_t  rc;
    ngx_str_t  body;

    ngx_str_set(&app.key, "app-key-1");
    ngx_str_set(&app.secret, "app-secret-1");

    len = strlen(r->query);

    CHECK_INT(ngx_chat_api_query_read(&query, (u_char *) r->query, len,
                                      unit_alloc(&pool, ngx_chat_api_query_size(
                                             (u_char *) r->query, len))),
              NGX_OK);

    memset(&auth, 0xff, sizeof(auth));

    auth.method.data = (u_char *) r->method;
    auth.method.len = strlen(r->method);
    auth.path.data = (u_char *) r->path;
    auth.path.len = strlen(r->path);
    auth.query = &query;
    body.len = strlen(r->body);
    body.data = body.len ? (u_char *) r->body : NULL;
    auth.now = now;
    auth.window = 600;
    auth.scratch = unit_alloc(&pool, len + query.n);

    rc = ngx_chat_api_auth_check(&auth, &app);

    return (rc == NGX_OK) ? ngx_chat_api_auth_check_body(&auth, &body) : rc;
}


static void
check_text(request_t *r, time_t now, ngx_uint_t status, const char *text)
{
    CHECK_INT(check_at(r, now), NGX_DECLINED);
    CHECK_INT(auth.status, status);
    CHECK(auth.error.len <= NGX_CHAT_API_AUTH_TEXT);
    CHECK(auth.error.len >= strlen(text)
          && memcmp(auth.error.data, text, strlen(text)) == 0);
}


/* P79 P80 P84: the vectors, in other orders and cases, too. */
static void
test_vectors(void)
{
    request_t  *r;

    static request_t  requests[] = {

        { "POST", "/apps/42/events",
          AUTH MD5 "&auth_signature=" GREET_SIGNATURE, GREET },

        { "POST", "/apps/42/events",
          "auth_signature=" GREET_SIGNATURE MD5 "&" AUTH, GREET },

        { "POST", "/apps/42/events",
          "auth_version=1.0&BODY_MD5=645087c7218ac2ede7bc3dc5b6d937e0"
          "&Auth_Timestamp=1700000000&auth_key=app%2Dkey%2d1"
          "&auth_signature=" GREET_SIGNATURE, GREET },

        { "GET", "/apps/42/channels",
          AUTH "&filter_by_prefix=presence-&info=user_count&auth_signature="
          "8e154b3522fd6a357c289921e24e42b8527220f303787415aca3da9a8ffb3e02",
          "" },

        { "GET", "/apps/42/channels/presence-room",
          AUTH "&info=user_count%2Csubscription_count&auth_signature="
          "c5f0591c916f601c2c3d17249434b84a7395b0e231d1908ab1799d29d741edb4",
          "" },

        { "GET", "/apps/42/channels",
          AUTH "&body_md5=d41d8cd98f00b204e9800998ecf8427e&auth_signature="
          "0d4e714f64b2d22a0dc8f2cd3b2b33f3eac432d43d52ee8504f83eece8b5d3b3",
          "" },

        { "GET", "/apps/42/channels",
          AUTH "&info[]=a&info[]=b&auth_signature="
          "e905817076231f956694ef79e5a762a03e21d8ea23d60db8f9b3256bbf6619fc",
          "" },

        { "POST", "/users/7/terminate_connections",
          AUTH "&body_md5=99914b932bd37a50b983c5e7c90ae93b&auth_signature="
          "414a52c7378ccaa465e6c8970bbddd7d1380ab259c58db97be501607111a6f93",
          "{}" },

        { NULL, NULL, NULL, NULL }
    };

    for (r = requests; r->method; r++) {
        CHECK_INT(check_at(r, NOW), NGX_OK);
    }

    unit_pool_free(&pool);
}


/* P81: in the order of the protocol's table. */
static void
test_refused(void)
{
    request_t  r = greet;

    r.query = "";
    check_text(&r, NOW, 401, "Missing parameter: auth_key");

    r.query = "auth_key=App-key-1";
    check_text(&r, NOW, 401, "Unknown auth_key");

    r.query = "auth_key=app-key-1";
    app.enabled = 0;
    check_text(&r, NOW, 403, "App is disabled");
    app.enabled = 1;
    check_text(&r, NOW, 401, "Version required");

    r.query = "auth_key=app-key-1&auth_version=1.1";
    check_text(&r, NOW, 401, "Version not supported");

    r.query = "auth_key=app-key-1&auth_version=1.0";
    check_text(&r, NOW, 401, "Timestamp required");

    r.query = "auth_key=app-key-1&auth_version=1.0&auth_timestamp=-1";
    check_text(&r, NOW, 401, "Timestamp is not a number");

    r.query = "auth_key=app-key-1&auth_version=1.0"
              "&auth_timestamp=1700000000000000";
    check_text(&r, NOW, 401, "Timestamp is not a number");

    r.query = AUTH;
    check_text(&r, NOW, 401, "Missing parameter: auth_signature");

    r.query = AUTH "&auth_signature=ab%0Ac";
    check_text(&r, NOW, 401, "Invalid signature: you should have sent "
               "HmacSHA256Hex(\"POST\\n/apps/42/events\\n" AUTH "\", "
               "your_secret_key), but you sent \"ab?c\"");

    unit_pool_free(&pool);
}


/* P82: 599 s either way, and no more. */
static void
test_timestamp(void)
{
    CHECK_INT(check_at(&greet, NOW + 599), NGX_OK);
    CHECK_INT(check_at(&greet, NOW - 599), NGX_OK);

    check_text(&greet, NOW + 600, 401, "Timestamp expired: Given timestamp "
               "(2023-11-14T22:13:20Z) not within 600s of server time "
               "(2023-11-14T22:23:20Z)");
    check_text(&greet, NOW - 600, 401, "Timestamp expired");

    unit_pool_free(&pool);
}


/* P83: the body and its digest belong together. */
static void
test_body(void)
{
    request_t  r = greet;

    r.body = "{\"name\":\"other\"}";
    check_text(&r, NOW, 401, "Invalid body_md5");

    r.body = "";
    check_text(&r, NOW, 401, "Invalid body_md5");

    r.method = "GET";
    r.path = "/apps/42/channels";
    r.query = AUTH "&filter_by_prefix=presence-&info=user_count"
              "&auth_signature=8e154b3522fd6a357c289921e24e42b8527220f303787"
              "415aca3da9a8ffb3e02";
    r.body = "x";
    check_text(&r, NOW, 401, "Missing parameter: body_md5");

    unit_pool_free(&pool);
}


/* P81: every byte of what is signed counts; nothing is given away. */
static void
test_changed(void)
{
    size_t      i;
    char        text[256];
    request_t   r = greet;

    for (i = 0; greet.query[i]; i++) {
        (void) strcpy(text, greet.query);
        text[i] ^= 0x01;
        r.query = text;

        CHECK_INT(check_at(&r, NOW), NGX_DECLINED);
        CHECK_INT(auth.status, 401);
    }

    r.query = greet.query;

    for (i = 0; greet.path[i]; i++) {
        (void) strcpy(text, greet.path);
        text[i] ^= 0x01;
        r.path = text;

        CHECK_INT(check_at(&r, NOW), NGX_DECLINED);
        CHECK_INT(auth.status, 401);
    }

    r.path = greet.path;
    r.method = "GET";
    r.query = AUTH MD5 "&auth_signature=0";
    check_text(&r, NOW, 401, "Invalid signature");

    auth.text[auth.error.len] = '\0';
    CHECK(strstr((char *) auth.text, "app-secret") == NULL);

    unit_pool_free(&pool);
}


/* A further pair of keys is as good. */
static void
test_keys(void)
{
    ngx_array_t         keys;
    ngx_chat_app_key_t  pair;
    request_t           r = greet;

    check_text(&r, NOW + 600, 401, "Timestamp expired");

    ngx_str_set(&pair.key, "app-key-1");
    ngx_str_set(&pair.secret, "app-secret-1");

    keys.elts = &pair;
    keys.nelts = 1;
    app.keys = &keys;

    CHECK(ngx_chat_app_secret(&app, &pair.key) == &app.secret);

    ngx_str_set(&app.key, "newer");
    CHECK(ngx_chat_app_secret(&app, &pair.key) == &pair.secret);
    CHECK(ngx_chat_app_secret(&app, &app.key) == &app.secret);

    ngx_str_set(&app.key, "NEWER");
    ngx_str_set(&pair.key, "newer");
    ngx_str_set(&pair.secret, "x");
    CHECK(ngx_chat_app_secret(&app, &pair.key) == &pair.secret);
    CHECK(ngx_chat_app_secret_any_case(&app, &pair.key) == &app.secret);

    app.keys = NULL;
    CHECK(ngx_chat_app_secret(&app, &pair.key) == NULL);

    unit_pool_free(&pool);
}


/* However long the request is, the text stays within its room. */
static void
test_long(void)
{
    size_t      n;
    char        path[3000];
    request_t   r = greet;

    r.path = path;
    r.query = AUTH MD5 "&auth_signature=\xe2\x82\xac\xe2\x82\xac";

    for (n = 1; n < sizeof(path) - 1; n += 1 + n / 16) {
        memset(path, 0xe2, n);
        path[n] = '\0';
        check_text(&r, NOW, 401, "Invalid signature");
    }

    unit_pool_free(&pool);
}


int
main(void)
{
    app.enabled = 1;

    RUN(test_vectors);
    RUN(test_refused);
    RUN(test_timestamp);
    RUN(test_body);
    RUN(test_changed);
    RUN(test_keys);
    RUN(test_long);

    return unit_done();
}
