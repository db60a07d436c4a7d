
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * chat_console: the operator's page, and what it asks for.  Whoever nginx lets
 * into its location may see and send everything, but no secret.
 */


#ifndef _NGX_CHAT_CONSOLE_H_INCLUDED_
#define _NGX_CHAT_CONSOLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <pusher/ngx_chat_app.h>


/* The content handler. */
ngx_int_t ngx_chat_console_handler(ngx_http_request_t *r);

/*
 * Answers; each returns what a content handler returns.
 *
 * A file of the page, by its name; empty: the page.  NGX_DECLINED: there is no
 * such file.
 */
ngx_int_t ngx_chat_console_file(ngx_http_request_t *r, ngx_str_t *name);

/* All apps with their limits and what they use. */
ngx_int_t ngx_chat_console_apps(ngx_http_request_t *r);

/* Channels of an app: how many there are, and the first of them in an order. */
ngx_int_t ngx_chat_console_channels(ngx_http_request_t *r,
    ngx_chat_app_t *app);

/* All webhooks, and how each of them does. */
ngx_int_t ngx_chat_console_webhooks(ngx_http_request_t *r);

/* Has the events that an app's webhooks have given up sent again. */
ngx_int_t ngx_chat_console_webhooks_revive(ngx_http_request_t *r,
    ngx_chat_app_t *app);

/* What an app's webhooks have given up, a page at a time. */
ngx_int_t ngx_chat_console_webhooks_dead(ngx_http_request_t *r,
    ngx_chat_app_t *app);

/* What went wrong lately. */
ngx_int_t ngx_chat_console_incidents(ngx_http_request_t *r);


#endif /* _NGX_CHAT_CONSOLE_H_INCLUDED_ */
