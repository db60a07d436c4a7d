
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * message_stored: its rows are inserted in the message's own transaction, so
 * that a message that is stored is told, and no other.  Runs on the thread of
 * a worker's writer, beside the herald.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald.h>
#include <hook/ngx_chat_hook_db.h>
#include <pusher/ngx_chat_webhook.h>


static ngx_int_t ngx_chat_herald_stored_rows(ngx_chat_herald_conf_t *conf,
    ngx_chat_db_t *db, ngx_array_t *hooks, ngx_chat_hook_record_t *rec);
static ngx_int_t ngx_chat_herald_stored_row(ngx_chat_store_sh_t *sh,
    ngx_chat_db_t *db, sqlite3_stmt *st, ngx_chat_webhook_t *hook,
    ngx_chat_hook_record_t *rec, ngx_str_t *event);


ngx_int_t
ngx_chat_herald_stored(void *data, ngx_chat_db_t *db, ngx_chat_record_t *rec)
{
    ngx_chat_herald_conf_t *conf = data;

    ngx_int_t                rc;
    ngx_str_t                text;
    ngx_uint_t               i;
    ngx_chat_app_t          *apps;
    ngx_chat_hook_record_t   event;

    apps = conf->apps->elts;

    for (i = 0; i < conf->apps->nelts; i++) {
        if (apps[i].number == rec->app) {
            break;
        }
    }

    if (i == conf->apps->nelts
        || !(apps[i].hooks & ngx_chat_hook_bit(NGX_CHAT_HOOK_STORED_e)))
    {
        return NGX_OK;
    }

    ngx_memzero(&event, sizeof(ngx_chat_hook_record_t));

    event.kind = NGX_CHAT_HOOK_STORED_e;
    event.app = rec->app;
    event.time = rec->created;
    event.number = rec->id;
    event.channel = rec->channel;
    event.event = rec->event;
    event.data = rec->content;

    if (rec->kind == NGX_CHAT_MESSAGE_EVENT_e) {
        return ngx_chat_herald_stored_rows(conf, db, apps[i].webhooks,
                                           &event);
    }

    /* a message's event has the message as data */

    if (conf->store->render(rec, &text) != NGX_OK) {
        return ngx_chat_db_refuse(db, NGX_ERROR, "out of memory");
    }

    event.data = text;

    rc = ngx_chat_herald_stored_rows(conf, db, apps[i].webhooks, &event);

    free(text.data);

    return rc;
}


static ngx_int_t
ngx_chat_herald_stored_rows(ngx_chat_herald_conf_t *conf, ngx_chat_db_t *db,
    ngx_array_t *hooks, ngx_chat_hook_record_t *rec)
{
    ssize_t              len;
    ngx_int_t            rc;
    ngx_str_t            event;
    ngx_uint_t           i;
    sqlite3_stmt        *st;
    ngx_chat_webhook_t  *hook;

    len = ngx_chat_webhook_render(NULL, 0, rec);
    event.data = (len == NGX_ERROR) ? NULL : malloc(len);

    if (event.data == NULL) {
        return ngx_chat_db_refuse(db, NGX_ERROR, "out of memory");
    }

    event.len = len;
    (void) ngx_chat_webhook_render(event.data, len, rec);

    if (sqlite3_prepare_v2(db->handle, "INSERT INTO webhook_events"
                           " (app, webhook, created_at, event)"
                           " VALUES (?, ?, ?, ?)", -1, &st, NULL)
        != SQLITE_OK)
    {
        free(event.data);
        return ngx_chat_db_failed(db, "sqlite3_prepare_v2()");
    }

    rc = NGX_OK;
    hook = hooks->elts;

    for (i = 0; rc == NGX_OK && i < hooks->nelts; i++) {
        rc = ngx_chat_herald_stored_row(conf->store->sh, db, st, &hook[i],
                                        rec, &event);
    }

    (void) sqlite3_finalize(st);
    free(event.data);

    return rc;
}


static ngx_int_t
ngx_chat_herald_stored_row(ngx_chat_store_sh_t *sh, ngx_chat_db_t *db,
    sqlite3_stmt *st, ngx_chat_webhook_t *hook, ngx_chat_hook_record_t *rec,
    ngx_str_t *event)
{
    int  rc;

    if (!ngx_chat_webhook_wants(hook, ngx_chat_hook_bit(rec->kind),
                                &rec->channel))
    {
        return NGX_OK;
    }

    (void) sqlite3_bind_int64(st, 1, (int64_t) rec->app);
    (void) sqlite3_bind_int64(st, 2, hook->key);
    (void) sqlite3_bind_int64(st, 3, rec->time);
    (void) ngx_chat_db_bind_text(st, 4, event);

    rc = sqlite3_step(st);

    (void) sqlite3_reset(st);

    if (rc != SQLITE_DONE) {
        return ngx_chat_db_failed(db, "sqlite3_step()");
    }

    ngx_chat_hook_db_added(sh, db);

    return NGX_OK;
}
