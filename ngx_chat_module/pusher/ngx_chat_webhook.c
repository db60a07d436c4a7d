
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Webhooks: names, JSON, signature.  Pure.
 *
 * The SDKs' helpers read what is rendered here.  So all values but one are
 * strings, and each event has a channel, be it an empty one.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <pusher/ngx_chat_webhook.h>
#include <wire/ngx_chat_json_write.h>

#include <stdio.h>


#define NGX_CHAT_WEBHOOK_URL_MAX  2000


static const char *ngx_chat_webhook_host(u_char *p, u_char *last);
static const char *ngx_chat_webhook_port(u_char *p, u_char *last);
static void ngx_chat_webhook_member(ngx_chat_json_write_t *w,
    const char *name, ngx_str_t *value);
static void ngx_chat_webhook_number(ngx_chat_json_write_t *w,
    const char *name, uint64_t n);


const char *const  ngx_chat_webhook_names[] = {
    "channel_occupied", "channel_vacated", "member_added", "member_removed",
    "client_event", "cache_miss", "subscription_count", "message_stored",
    "connection_closed", NULL
};


ngx_int_t
ngx_chat_webhook_kind(ngx_str_t *name)
{
    ngx_int_t    i;
    const char  *known;

    for (i = 0; i < NGX_CHAT_HOOK_KINDS_e; i++) {
        known = ngx_chat_webhook_names[i];

        if (strlen(known) == name->len
            && memcmp(known, name->data, name->len) == 0)
        {
            return i;
        }
    }

    return NGX_ERROR;
}


ngx_uint_t
ngx_chat_webhook_needs(ngx_uint_t events)
{
    ngx_uint_t  pair;

    pair = ngx_chat_hook_bit(NGX_CHAT_HOOK_OCCUPIED_e)
           |ngx_chat_hook_bit(NGX_CHAT_HOOK_VACATED_e);

    if (events & pair) {
        events |= pair;
    }

    pair = ngx_chat_hook_bit(NGX_CHAT_HOOK_ADDED_e)
           |ngx_chat_hook_bit(NGX_CHAT_HOOK_REMOVED_e);

    if (events & pair) {
        events |= pair;
    }

    return events;
}


const char *
ngx_chat_webhook_url(ngx_str_t *url, ngx_str_t *user)
{
    u_char  *p, *last, *end, *at;

    user->len = 0;
    user->data = NULL;

    p = url->data;
    end = p + url->len;

    if (url->len > NGX_CHAT_WEBHOOK_URL_MAX) {
        return "is too long";
    }

    if (url->len > 7 && strncasecmp((char *) p, "http://", 7) == 0) {
        p += 7;

    } else if (url->len > 8 && strncasecmp((char *) p, "https://", 8) == 0) {
        p += 8;

    } else {
        return "must begin with \"https://\" or \"http://\" and a host";
    }

    at = NULL;

    for (last = p; last < end && *last != '/' && *last != '?'; last++) {
        if (*last == '@') {
            at = last;
        }
    }

    for (end = url->data; end < url->data + url->len; end++) {
        if (*end <= ' ' || *end >= 0x7f || *end == '#' || *end == '"') {
            return "has a character that no URL has; write it as %XX";
        }
    }

    if (at) {
        user->data = p;
        user->len = at + 1 - p;
        p = at + 1;
    }

    return ngx_chat_webhook_host(p, last);
}


/* A name or an address, then a port or not. */

static const char *
ngx_chat_webhook_host(u_char *p, u_char *last)
{
    u_char  *start;

    start = p;

    if (p < last && *p == '[') {

        while (p < last && *p != ']') {
            p++;
        }

        if (p == last || p == start + 1) {
            return "must have an address in \"[]\"";
        }

        p++;

    } else {

        while (p < last && *p != ':') {

            if (!ngx_chat_app_is_id_char(*p) && *p != '.') {
                return "must have a host of letters, digits, \"-\" and \".\"";
            }

            p++;
        }

        if (p == start) {
            return "must have a host";
        }
    }

    return (p == last) ? NULL : ngx_chat_webhook_port(p, last);
}


static const char *
ngx_chat_webhook_port(u_char *p, u_char *last)
{
    ngx_uint_t  port;

    port = 0;

    if (*p++ != ':' || p == last) {
        return "must have a port behind \":\"";
    }

    for ( /* void */ ; p < last; p++) {

        if (*p < '0' || *p > '9' || port > 65535) {
            return "must have a port from 1 to 65535";
        }

        port = port * 10 + (*p - '0');
    }

    return (port >= 1 && port <= 65535) ? NULL
                                        : "must have a port from 1 to 65535";
}


int64_t
ngx_chat_webhook_key(ngx_str_t *app, ngx_str_t *url)
{
    u_char      text[NGX_CHAT_APP_ID_MAX + 1 + NGX_CHAT_WEBHOOK_URL_MAX], *p;
    u_char      digest[SHA256_DIGEST_LENGTH];
    uint64_t    n;
    ngx_uint_t  i;

    p = ngx_cpymem(text, app->data, ngx_min(app->len, NGX_CHAT_APP_ID_MAX));
    *p++ = '\n';
    p = ngx_cpymem(p, url->data, ngx_min(url->len, NGX_CHAT_WEBHOOK_URL_MAX));

    (void) SHA256(text, p - text, digest);

    n = 0;

    for (i = 0; i < 8; i++) {
        n = n << 8 | digest[i];
    }

    return (int64_t) (n >> 1);
}


/* A connection has no channel, so no pattern keeps its end away. */

ngx_uint_t
ngx_chat_webhook_wants(ngx_chat_webhook_t *hook, ngx_uint_t events,
    ngx_str_t *channel)
{
    return (hook->events & events)
           && (hook->channels == NULL || channel->len == 0
               || ngx_chat_app_matches(hook->channels, channel));
}


ssize_t
ngx_chat_webhook_render(u_char *buf, size_t size, ngx_chat_hook_record_t *rec)
{
    ngx_chat_json_write_t  w;

    ngx_chat_json_write_init(&w, buf, size);

    ngx_chat_json_write_object(&w);

    ngx_chat_json_write_key(&w, "name");
    ngx_chat_json_write_cstring(&w, ngx_chat_webhook_names[rec->kind]);
    ngx_chat_json_write_key(&w, "channel");
    ngx_chat_json_write_string(&w, &rec->channel);

    switch (rec->kind) {

    case NGX_CHAT_HOOK_CLIENT_EVENT_e:
    case NGX_CHAT_HOOK_STORED_e:
        ngx_chat_webhook_member(&w, "event", &rec->event);
        ngx_chat_webhook_member(&w, "data", &rec->data);
        break;

    case NGX_CHAT_HOOK_COUNT_e:
        ngx_chat_json_write_key_uint(&w, "subscription_count", rec->number);
        break;

    default:
        break;
    }

    if (rec->socket_id.len) {
        ngx_chat_webhook_member(&w, "socket_id", &rec->socket_id);
    }

    if (rec->user.len) {
        ngx_chat_webhook_member(&w, "user_id", &rec->user);
    }

    if (rec->kind == NGX_CHAT_HOOK_STORED_e) {
        ngx_chat_webhook_number(&w, "message_id", rec->number);
    }

    if (rec->kind == NGX_CHAT_HOOK_CLOSED_e) {
        ngx_chat_webhook_number(&w, "code", rec->number);
    }

    ngx_chat_json_write_object_end(&w);

    return ngx_chat_json_write_done(&w);
}


static void
ngx_chat_webhook_member(ngx_chat_json_write_t *w, const char *name,
    ngx_str_t *value)
{
    ngx_chat_json_write_key(w, name);
    ngx_chat_json_write_string(w, value);
}


/* As a string: the SDK for Go knows no other numbers than a count. */

static void
ngx_chat_webhook_number(ngx_chat_json_write_t *w, const char *name, uint64_t n)
{
    char  text[24];

    (void) snprintf(text, sizeof(text), "%llu", (unsigned long long) n);

    ngx_chat_json_write_key(w, name);
    ngx_chat_json_write_cstring(w, text);
}


u_char *
ngx_chat_webhook_begin(u_char *p, int64_t time)
{
    return p + snprintf((char *) p, NGX_CHAT_WEBHOOK_BEGIN,
                        "{\"time_ms\":%lld,\"events\":[", (long long) time);
}


u_char *
ngx_chat_webhook_end(u_char *p)
{
    *p++ = ']';
    *p++ = '}';

    return p;
}


/*
 * Not ngx_chat_digest_hmac(), whose contexts are the event loop's: a webhook's
 * thread signs a few times in a second.
 */

ngx_int_t
ngx_chat_webhook_sign(u_char *out, ngx_str_t *secret, u_char *body, size_t len)
{
    u_char        digest[EVP_MAX_MD_SIZE];
    unsigned int  i, n;

    static const u_char  hex[] = "0123456789abcdef";

    if (HMAC(EVP_sha256(), secret->data, (int) secret->len, body, len, digest,
             &n)
        == NULL)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < n; i++) {
        *out++ = hex[digest[i] >> 4];
        *out++ = hex[digest[i] & 0xf];
    }

    return NGX_OK;
}


void
ngx_chat_webhook_credentials(ngx_chat_app_t *app, ngx_str_t *key,
    ngx_str_t *secret)
{
    ngx_chat_app_key_t  *pair;

    *key = app->key;
    *secret = app->secret;

    if (app->keys && app->keys->nelts) {
        pair = app->keys->elts;
        pair += app->keys->nelts - 1;

        *key = pair->key;
        *secret = pair->secret;
    }
}
