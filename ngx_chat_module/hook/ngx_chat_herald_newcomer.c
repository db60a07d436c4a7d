
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Webhooks that were not there before, or not all the time: each is told alone
 * what the others believe, a channel before its members.
 *
 * No record is read meanwhile, so the books stay as they are.  How far it was
 * told is in the database, in the transactions of the rows: a successor goes on
 * from there.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald_work.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


static ngx_int_t ngx_chat_herald_newcomer_rows(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook, sqlite3_stmt *st, ngx_uint_t *n);


ngx_int_t
ngx_chat_herald_newcomers_learn(ngx_chat_herald_t *h)
{
    ngx_int_t                rc;
    ngx_uint_t               i;
    sqlite3_stmt            *st;
    ngx_chat_herald_hook_t  *hook;

    h->newcomers = 0;

    for (i = 0; i < h->conf->n; i++) {
        hook = &h->hooks[i];

        st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_IS_NEW_e);
        if (st == NULL) {
            return NGX_ERROR;
        }

        (void) sqlite3_bind_int64(st, 1, hook->conf->key);

        rc = ngx_chat_hook_db_step(&h->db, NGX_CHAT_HOOK_DB_IS_NEW_e);

        if (rc != NGX_OK && rc != NGX_DONE) {
            return rc;
        }

        ngx_chat_hook_db_reset(&h->db, NGX_CHAT_HOOK_DB_IS_NEW_e);

        hook->is_new = (rc == NGX_OK);
        h->newcomers += hook->is_new;
    }

    return NGX_OK;
}


ngx_int_t
ngx_chat_herald_newcomers_tell(ngx_chat_herald_t *h, ngx_uint_t n)
{
    int64_t                  key, app;
    ngx_int_t                rc;
    ngx_uint_t               told;
    sqlite3_stmt            *st;
    ngx_chat_herald_hook_t  *hook;

    for (hook = h->hooks; !hook->is_new; hook++) {
        /* void */
    }

    ngx_chat_failpoint("hook newcomer");

    st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_STATE_e);
    if (st == NULL) {
        return NGX_ERROR;
    }

    key = hook->conf->key;
    app = (int64_t) hook->conf->app->number;

    (void) sqlite3_bind_int64(st, 1, key);
    (void) sqlite3_bind_int64(st, 2, app);
    (void) sqlite3_bind_int64(st, 3, (int64_t) n);

    rc = ngx_chat_herald_newcomer_rows(h, hook, st, &told);

    if (rc != NGX_OK) {
        return rc;
    }

    if (told == n) {
        return ngx_chat_hook_db_change(&h->db, NGX_CHAT_HOOK_DB_TOLD_e, key,
                                       app, (int64_t) n - 1);
    }

    hook->is_new = 0;
    h->newcomers--;

    return ngx_chat_hook_db_change(&h->db, NGX_CHAT_HOOK_DB_KNOWS_e, key, 0,
                                   0);
}


static ngx_int_t
ngx_chat_herald_newcomer_rows(ngx_chat_herald_t *h,
    ngx_chat_herald_hook_t *hook, sqlite3_stmt *st, ngx_uint_t *n)
{
    ngx_int_t                rc;
    ngx_str_t                event;
    ngx_chat_hook_record_t   rec;

    ngx_memzero(&rec, sizeof(ngx_chat_hook_record_t));

    rec.app = hook->conf->app->number;
    rec.time = ngx_chat_clock_wall();

    *n = 0;

    while ((rc = ngx_chat_hook_db_step(&h->db, NGX_CHAT_HOOK_DB_STATE_e))
           == NGX_OK)
    {
        rec.channel.data = (u_char *) sqlite3_column_text(st, 0);
        rec.channel.len = sqlite3_column_bytes(st, 0);
        rec.user.data = (u_char *) sqlite3_column_text(st, 1);
        rec.user.len = sqlite3_column_bytes(st, 1);
        rec.kind = rec.user.len ? NGX_CHAT_HOOK_ADDED_e
                                : NGX_CHAT_HOOK_OCCUPIED_e;

        ngx_str_null(&event);
        (*n)++;

        rc = ngx_chat_herald_add_to(h, hook, &rec, &event);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return (rc == NGX_DONE) ? NGX_OK : rc;
}
