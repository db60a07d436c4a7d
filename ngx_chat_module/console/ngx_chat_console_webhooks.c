
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The console's list of webhooks.  What the herald's thread knows of each is in
 * the zone, so nobody waits for it or for the database.  What was given up is
 * read from there as history is, by the store's threads.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <console/ngx_chat_console.h>
#include <http/ngx_chat_handlers.h>
#include <http/ngx_chat_http_module.h>
#include <http/ngx_chat_reply.h>
#include <pusher/ngx_chat_webhook.h>
#include <wire/ngx_chat_message.h>


#define NGX_CHAT_CONSOLE_DEAD      50      /* events of a page */
#define NGX_CHAT_CONSOLE_DEAD_MAX  100


static ssize_t ngx_chat_console_webhooks_render(ngx_chat_record_t *rec,
    u_char *buf, size_t size);
static void ngx_chat_console_webhooks_write(ngx_chat_json_write_t *w,
    void *data);
static void ngx_chat_console_webhook_write(ngx_chat_json_write_t *w,
    ngx_chat_webhook_t *hook, ngx_chat_hook_sh_t *sh);
static void ngx_chat_console_webhook_conf(ngx_chat_json_write_t *w,
    ngx_chat_webhook_t *hook);
static void ngx_chat_console_webhook_time(ngx_chat_json_write_t *w,
    const char *name, uint64_t ms);
static ngx_chat_hook_sh_t *ngx_chat_console_webhook_find(
    ngx_chat_zone_t *zone, ngx_chat_webhook_t *hook);


ngx_int_t
ngx_chat_console_webhooks(ngx_http_request_t *r)
{
    ngx_chat_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    return ngx_chat_reply_render(r, NGX_HTTP_OK,
                                 ngx_chat_console_webhooks_write, cmcf);
}


ngx_int_t
ngx_chat_console_webhooks_revive(ngx_http_request_t *r, ngx_chat_app_t *app)
{
    ngx_str_t              done;
    ngx_uint_t             i, n;
    ngx_chat_webhook_t    *hook;
    ngx_chat_hook_sh_t    *sh;
    ngx_chat_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_chat_module);

    n = app->webhooks ? app->webhooks->nelts : 0;

    if (n == 0) {
        return ngx_chat_reply_line(r, NGX_HTTP_NOT_FOUND,
                                   "The app has no webhook");
    }

    hook = app->webhooks->elts;

    for (i = 0; i < n; i++) {
        sh = ngx_chat_console_webhook_find(cmcf->zone, &hook[i]);

        if (sh == NULL) {
            return ngx_chat_reply_line(r, NGX_HTTP_SERVICE_UNAVAILABLE,
                                       "Webhooks are not sent yet, or are too "
                                       "many for chat_zone");
        }

        sh->revive = 1;
    }

    ngx_str_set(&done, "{}");

    return ngx_chat_reply_send(r, NGX_HTTP_OK, &done);
}


/* An app without webhooks may have had some, so this asks for none. */

ngx_int_t
ngx_chat_console_webhooks_dead(ngx_http_request_t *r, ngx_chat_app_t *app)
{
    return ngx_chat_get_history_dead(r, app, NGX_CHAT_CONSOLE_DEAD,
                                     NGX_CHAT_CONSOLE_DEAD_MAX,
                                     ngx_chat_console_webhooks_render);
}


/* On a thread.  The event is a text that holds JSON. */

static ssize_t
ngx_chat_console_webhooks_render(ngx_chat_record_t *rec, u_char *buf,
    size_t size)
{
    ngx_chat_json_write_t  w;

    ngx_chat_json_write_init(&w, buf, size);

    ngx_chat_json_write_object(&w);
    ngx_chat_json_write_key_uint(&w, "id", rec->id);
    ngx_chat_json_write_key(&w, "url");
    ngx_chat_json_write_string(&w, &rec->channel);
    ngx_chat_json_write_key(&w, "event");
    ngx_chat_json_write_string(&w, &rec->content);
    ngx_chat_json_write_key(&w, "error");
    ngx_chat_json_write_string(&w, &rec->author);
    ngx_chat_json_write_key_uint(&w, "tries", rec->kind);
    ngx_chat_console_webhook_time(&w, "created_at", rec->created);
    ngx_chat_console_webhook_time(&w, "dead_at", rec->updated);
    ngx_chat_json_write_object_end(&w);

    return ngx_chat_json_write_done(&w);
}


static void
ngx_chat_console_webhooks_write(ngx_chat_json_write_t *w, void *data)
{
    ngx_chat_main_conf_t *cmcf = data;

    ngx_uint_t           i, k;
    ngx_chat_app_t      *apps;
    ngx_chat_webhook_t  *hook;

    apps = cmcf->apps.elts;

    ngx_chat_json_write_object(w);
    ngx_chat_json_write_key(w, "webhooks");
    ngx_chat_json_write_array(w);

    for (i = 0; i < cmcf->apps.nelts; i++) {

        if (apps[i].webhooks == NULL) {
            continue;
        }

        hook = apps[i].webhooks->elts;

        for (k = 0; k < apps[i].webhooks->nelts; k++) {
            ngx_chat_console_webhook_write(w, &hook[k],
                     ngx_chat_console_webhook_find(cmcf->zone, &hook[k]));
        }
    }

    ngx_chat_json_write_array_end(w);
    ngx_chat_json_write_object_end(w);
}


static void
ngx_chat_console_webhook_write(ngx_chat_json_write_t *w,
    ngx_chat_webhook_t *hook, ngx_chat_hook_sh_t *sh)
{
    ngx_str_t  error;

    ngx_chat_json_write_object(w);

    ngx_chat_console_webhook_conf(w, hook);

    if (sh) {
        ngx_chat_json_write_key_uint(w, "queued", sh->queued);
        ngx_chat_json_write_key_uint(w, "dead", sh->dead);
        ngx_chat_json_write_key_uint(w, "tries", sh->tries);
        ngx_chat_json_write_key_uint(w, "last_status", sh->status);

        error.data = sh->error;
        error.len = ngx_min(sh->len, NGX_CHAT_HOOK_ERROR);

        ngx_chat_json_write_key(w, "last_error");
        ngx_chat_json_write_string(w, &error);

        ngx_chat_console_webhook_time(w, "last_success", sh->success);
        ngx_chat_console_webhook_time(w, "oldest", sh->oldest);
    }

    ngx_chat_json_write_object_end(w);
}


/* As it is configured; the URL may have a password, and is shown without. */

static void
ngx_chat_console_webhook_conf(ngx_chat_json_write_t *w,
    ngx_chat_webhook_t *hook)
{
    ngx_str_t   *pattern;
    ngx_uint_t   i;

    ngx_chat_json_write_key(w, "app");
    ngx_chat_json_write_string(w, &hook->app->id);
    ngx_chat_json_write_key(w, "url");
    ngx_chat_json_write_string(w, &hook->shown);

    ngx_chat_json_write_key(w, "events");
    ngx_chat_json_write_array(w);

    for (i = 0; i < NGX_CHAT_HOOK_KINDS_e; i++) {
        if (hook->events & ngx_chat_hook_bit(i)) {
            ngx_chat_json_write_cstring(w, ngx_chat_webhook_names[i]);
        }
    }

    ngx_chat_json_write_array_end(w);

    ngx_chat_json_write_key(w, "channels");
    ngx_chat_json_write_array(w);

    pattern = hook->channels ? hook->channels->elts : NULL;

    for (i = 0; pattern && i < hook->channels->nelts; i++) {
        ngx_chat_json_write_string(w, &pattern[i]);
    }

    ngx_chat_json_write_array_end(w);

    ngx_chat_json_write_key(w, "batch");
    ngx_chat_json_write_bool(w, hook->batch);
    ngx_chat_json_write_key_uint(w, "retry", hook->retry / 1000);
}


static void
ngx_chat_console_webhook_time(ngx_chat_json_write_t *w, const char *name,
    uint64_t ms)
{
    u_char     buf[NGX_CHAT_MESSAGE_TIME_LEN];
    ngx_str_t  time;

    ngx_chat_json_write_key(w, name);

    if (ms == 0) {
        ngx_chat_json_write_null(w);
        return;
    }

    time.data = buf;
    time.len = ngx_chat_message_write_time(buf, ms) - buf;

    ngx_chat_json_write_string(w, &time);
}


/* NULL: there is no herald of this configuration yet, or no room for it. */

static ngx_chat_hook_sh_t *
ngx_chat_console_webhook_find(ngx_chat_zone_t *zone, ngx_chat_webhook_t *hook)
{
    ngx_uint_t            i;
    ngx_chat_hooks_sh_t  *hooks;

    hooks = &zone->sh->hooks;

    for (i = 0; i < hooks->nhooks; i++) {
        if (hooks->hooks[i].key == (uint64_t) hook->key) {
            return &hooks->hooks[i];
        }
    }

    return NULL;
}
