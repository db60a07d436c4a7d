
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The way to the engine's primary, by the URLs of chat_cluster.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_engine.h>
#include <wire/ngx_chat_clock.h>

#include <stdio.h>


#define NGX_CHAT_ENGINE_PORT      6379
#define NGX_CHAT_ENGINE_SENTINEL  26379
#define NGX_CHAT_ENGINE_ASK       1000     /* ms that a sentinel has */


static ngx_int_t ngx_chat_engine_try(ngx_chat_engine_t *e,
    ngx_chat_link_url_t *url);
static ngx_int_t ngx_chat_engine_try_sentinels(ngx_chat_engine_t *e,
    ngx_chat_link_url_t *url);
static ngx_int_t ngx_chat_engine_ask_sentinel(ngx_chat_engine_t *e,
    ngx_chat_link_url_t *url);
static ngx_int_t ngx_chat_engine_open(ngx_chat_engine_t *e,
    ngx_chat_link_url_t *url);
static ngx_int_t ngx_chat_engine_enter(ngx_chat_engine_t *e,
    ngx_chat_link_url_t *url);
static ngx_int_t ngx_chat_engine_command(ngx_chat_engine_t *e,
    ngx_str_t *words, ngx_uint_t n);
static ngx_int_t ngx_chat_engine_is_primary(ngx_chat_engine_t *e);
static ngx_int_t ngx_chat_engine_ask_replica(ngx_chat_engine_t *e);
static void ngx_chat_engine_host(ngx_chat_engine_t *e, ngx_str_t *host,
    ngx_uint_t port);


void
ngx_chat_engine_init(ngx_chat_engine_t *e, ngx_chat_engine_conf_t *conf)
{
    memset(e, 0, sizeof(ngx_chat_engine_t));

    e->conf = conf;
    e->fd = -1;
}


ngx_int_t
ngx_chat_engine_connect(ngx_chat_engine_t *e, ngx_msec_t ms)
{
    uint64_t              end;
    ngx_int_t             rc;
    ngx_uint_t            i, n;
    ngx_chat_link_url_t  *urls;

    if (e->fd != -1) {
        return NGX_OK;
    }

    urls = e->conf->urls->elts;
    n = e->conf->urls->nelts;

    end = ngx_chat_clock_msec() + ms;
    rc = NGX_ERROR;

    /* each has its part of the time */

    for (i = 0; rc != NGX_OK && i < n; i++) {
        e->deadline = ngx_chat_clock_msec();

        if (e->deadline >= end) {
            return ngx_chat_engine_failed(e, "no answer in time");
        }

        e->deadline += (end - e->deadline) / (n - i);

        rc = ngx_chat_engine_try(e, &urls[i]);
    }

    e->moved_port = 0;

    return rc;
}


static ngx_int_t
ngx_chat_engine_try(ngx_chat_engine_t *e, ngx_chat_link_url_t *url)
{
    ngx_int_t   rc;
    ngx_str_t   hosts, host;
    ngx_uint_t  port, moved;

    moved = e->moved_port;

    if (moved) {
        host.data = (u_char *) e->moved;
        host.len = strlen(e->moved);
        port = moved;

    } else if (url->kind == NGX_CHAT_LINK_URL_SENTINEL_e) {
        return ngx_chat_engine_try_sentinels(e, url);

    } else if (url->kind == NGX_CHAT_LINK_URL_UNIX_e) {
        host = url->hosts;
        port = 0;

    } else {
        hosts = url->hosts;

        if (ngx_chat_link_url_host(&hosts, NGX_CHAT_ENGINE_PORT, &host, &port)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ngx_chat_engine_host(e, &host, port);

    rc = ngx_chat_engine_open(e, url);

    return (rc != NGX_OK && moved == 0 && e->moved_port)
           ? ngx_chat_engine_try(e, url) : rc;
}


/* The first that names a primary which is one. */

static ngx_int_t
ngx_chat_engine_try_sentinels(ngx_chat_engine_t *e, ngx_chat_link_url_t *url)
{
    uint64_t    end, now;
    ngx_int_t   rc;
    ngx_str_t   hosts, host;
    ngx_uint_t  port;

    hosts = url->hosts;
    end = e->deadline;
    rc = NGX_ERROR;

    while (rc != NGX_OK
           && ngx_chat_link_url_host(&hosts, NGX_CHAT_ENGINE_SENTINEL, &host,
                                     &port)
              == NGX_OK)
    {
        now = ngx_chat_clock_msec();

        if (now >= end) {
            return ngx_chat_engine_failed(e, "no answer in time");
        }

        /* one that hangs, or names what does, leaves time for the others */

        e->deadline = ngx_min(end, now + NGX_CHAT_ENGINE_ASK);

        ngx_chat_engine_host(e, &host, port);

        if (ngx_chat_engine_ask_sentinel(e, url) != NGX_OK) {
            continue;
        }

        now = ngx_chat_clock_msec();

        e->deadline = (hosts.len && now < end) ? now + (end - now) / 2 : end;

        rc = ngx_chat_engine_open(e, url);
    }

    return rc;
}


/* Where the primary is becomes the host. */

static ngx_int_t
ngx_chat_engine_ask_sentinel(ngx_chat_engine_t *e, ngx_chat_link_url_t *url)
{
    ngx_int_t                 rc;
    ngx_str_t                 host, text, words[3];
    ngx_uint_t                port;
    ngx_chat_engine_reply_t  *reply;

    ngx_str_set(&words[0], "SENTINEL");
    ngx_str_set(&words[1], "get-master-addr-by-name");
    words[2] = url->name;

    reply = NULL;
    rc = ngx_chat_engine_dial(e, e->host, e->port, 0);

    if (rc == NGX_OK) {
        rc = ngx_chat_engine_call(e, words, 3, NGX_CHAT_ENGINE_ASK, &reply);
    }

    if (rc == NGX_OK) {
        host = ngx_chat_engine_text(ngx_chat_engine_item(reply, 0));
        text = ngx_chat_engine_text(ngx_chat_engine_item(reply, 1));
        port = text.len ? strtoul((char *) text.data, NULL, 10) : 0;

        if (host.len && port && port <= 65535) {
            ngx_chat_engine_host(e, &host, port);

        } else {
            rc = ngx_chat_engine_failed(e, "the sentinel does not know the "
                                        "primary's name");
        }

        ngx_chat_engine_free(reply);
    }

    ngx_chat_engine_close(e);

    return rc;
}


/* Connects to the host. */

static ngx_int_t
ngx_chat_engine_open(ngx_chat_engine_t *e, ngx_chat_link_url_t *url)
{
    ngx_int_t  rc;

    rc = ngx_chat_engine_dial(e, e->host, e->port, url->tls);

    if (rc == NGX_OK) {
        rc = ngx_chat_engine_enter(e, url);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_engine_is_primary(e);
    }

    if (rc != NGX_OK) {
        ngx_chat_engine_close(e);
    }

    return rc;
}


/* AUTH and SELECT, where they are wanted. */

static ngx_int_t
ngx_chat_engine_enter(ngx_chat_engine_t *e, ngx_chat_link_url_t *url)
{
    char        number[sizeof("1000000")];
    ngx_str_t   words[3];
    ngx_uint_t  n;

    if (e->conf->password.len) {
        n = 0;

        ngx_str_set(&words[n], "AUTH");
        n++;

        if (url->user.len) {
            words[n++] = url->user;
        }

        words[n++] = e->conf->password;

        if (ngx_chat_engine_command(e, words, n) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (url->database) {
        ngx_str_set(&words[0], "SELECT");
        words[1].data = (u_char *) number;
        words[1].len = snprintf(number, sizeof(number), "%u",
                                (unsigned) url->database);

        return ngx_chat_engine_command(e, words, 2);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_chat_engine_command(ngx_chat_engine_t *e, ngx_str_t *words, ngx_uint_t n)
{
    uint64_t                  now;
    ngx_int_t                 rc;
    ngx_chat_engine_reply_t  *reply;

    now = ngx_chat_clock_msec();

    rc = ngx_chat_engine_call(e, words, n,
                              (now < e->deadline) ? e->deadline - now : 0,
                              &reply);
    if (rc == NGX_OK) {
        ngx_chat_engine_free(reply);
        return NGX_OK;
    }

    return NGX_ERROR;
}


/* Who may not ask is told by what it does that it is none. */

static ngx_int_t
ngx_chat_engine_is_primary(ngx_chat_engine_t *e)
{
    uint64_t                  now;
    ngx_int_t                 rc;
    ngx_str_t                 role;
    ngx_chat_engine_reply_t  *reply;

    ngx_str_set(&role, "ROLE");

    now = ngx_chat_clock_msec();

    rc = ngx_chat_engine_call(e, &role, 1,
                              (now < e->deadline) ? e->deadline - now : 0,
                              &reply);

    if (rc == NGX_DECLINED) {
        return (strncmp(e->error, "NOPERM", 6) == 0) ? NGX_OK : NGX_ERROR;
    }

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    role = ngx_chat_engine_text(ngx_chat_engine_item(reply, 0));

    if (role.len != 6 || memcmp(role.data, "master", 6) != 0) {
        rc = ngx_chat_engine_ask_replica(e);
    }

    ngx_chat_engine_free(reply);

    return rc;
}


/* In a Redis Cluster a replica tells where the keys are: e->moved is set. */

static ngx_int_t
ngx_chat_engine_ask_replica(ngx_chat_engine_t *e)
{
    ngx_str_t  words[2];

    ngx_str_set(&words[0], "HLEN");
    words[1] = e->conf->key;

    (void) ngx_chat_engine_command(e, words, 2);

    return ngx_chat_engine_failed(e, "it is not the primary");
}


static void
ngx_chat_engine_host(ngx_chat_engine_t *e, ngx_str_t *host, ngx_uint_t port)
{
    size_t  len;

    len = ngx_min(host->len, sizeof(e->host) - 1);

    ngx_memmove(e->host, host->data, len);
    e->host[len] = '\0';
    e->port = port;
}
