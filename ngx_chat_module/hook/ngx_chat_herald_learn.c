
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What a herald learns in its first round, and in the first with another
 * database: where it goes on, and which webhooks there are.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald_work.h>
#include <wire/ngx_chat_clock.h>

#include <stdio.h>


#define NGX_CHAT_HERALD_RETURN  10000      /* ms until clients are back */
#define NGX_CHAT_HERALD_NO_BATCH  INT64_MAX    /* no row has it */


static void ngx_chat_herald_learn_epoch(ngx_chat_herald_t *h);
static ngx_int_t ngx_chat_herald_learn_position(ngx_chat_herald_t *h);
static ngx_int_t ngx_chat_herald_learn_seq(ngx_chat_herald_t *h,
    uint64_t seq);
static ngx_int_t ngx_chat_herald_learn_names(ngx_chat_herald_t *h);
static ngx_int_t ngx_chat_herald_drop_state(ngx_chat_herald_t *h);


ngx_int_t
ngx_chat_herald_learn(ngx_chat_herald_t *h)
{
    uint64_t              back, now;
    ngx_int_t             rc;
    ngx_chat_zone_sh_t   *sh;

    sh = h->zone->sh;

    ngx_chat_herald_reset(h);

    ngx_chat_herald_learn_epoch(h);

    rc = ngx_chat_herald_learn_position(h);

    if (rc == NGX_OK) {
        rc = ngx_chat_herald_learn_names(h);
    }

    if (rc == NGX_OK && ngx_chat_herald_is_last(h)) {
        rc = ngx_chat_herald_drop_state(h);
    }

    if (rc == NGX_OK) {
        rc = ngx_chat_herald_newcomers_learn(h);
    }

    /*
     * Behind a start, a wipe or the end of an older nginx clients are about to
     * come back, and most are those that the receivers know.
     */

    now = ngx_chat_clock_msec();
    back = ngx_max((uint64_t) sh->started, sh->hooks.wiped);
    back = ngx_max(back, h->waited) + NGX_CHAT_HERALD_RETURN;

    h->generation = sh->generation;
    h->census = NGX_CHAT_HERALD_CENSUS_DUE_e;
    h->census_due = (back - now <= NGX_CHAT_HERALD_RETURN) ? back : now;

    /* who was back in time is told by the records, which are read again */
    h->at = 0;
    h->look = 0;
    h->fresh = (rc != NGX_OK);

    return rc;
}


/* The answer to a batch of another database says nothing of a batch of this
   one, which may have the same id. */

static void
ngx_chat_herald_learn_epoch(ngx_chat_herald_t *h)
{
    u_char      *epoch;
    ngx_uint_t   i;

    epoch = h->db.handle.db.epoch;
    h->file = h->db.handle.db.files.file;

    if (ngx_memcmp(h->epoch, epoch, NGX_CHAT_DB_EPOCH_LEN) == 0) {
        return;
    }

    ngx_memcpy(h->epoch, epoch, NGX_CHAT_DB_EPOCH_LEN);

    for (i = 0; i < h->conf->n; i++) {
        h->hooks[i].batch = NGX_CHAT_HERALD_NO_BATCH;
    }
}


/*
 * Where the database has no position of this zone, it is the first one that the
 * zone has, and all records are to be read; or another one was put in place,
 * and what is before was told by that one.
 */

static ngx_int_t
ngx_chat_herald_learn_position(ngx_chat_herald_t *h)
{
    ngx_int_t            rc;
    const char          *text;
    unsigned long long   id, position, read, seq;

    h->position = h->zone->sh->hooks.read;
    h->stateless = h->position;
    h->noted = (uint64_t) -1;
    h->seq = 0;
    seq = 0;

    if (ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_GET_e) == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_chat_hook_db_step(&h->db, NGX_CHAT_HOOK_DB_GET_e);

    if (rc != NGX_OK) {
        return (rc == NGX_DONE) ? NGX_OK : rc;
    }

    text = (const char *) sqlite3_column_text(
                              h->db.statements[NGX_CHAT_HOOK_DB_GET_e], 0);

    if (text && sscanf(text, "%llx %llu %llu %llu", &id, &position, &read,
                       &seq)
                >= 3
        && id == h->zone->sh->hooks.id)
    {
        h->position = position;
        h->stateless = h->link_conf ? read : ngx_max(h->stateless, read);
        h->noted = position;
        h->noted_read = read;
        h->seq = seq;
        seq = 0;
    }

    ngx_chat_hook_db_reset(&h->db, NGX_CHAT_HOOK_DB_GET_e);

    return seq ? ngx_chat_herald_learn_seq(h, seq) : NGX_OK;
}


/* In a cluster another node was the herald: its ring has other positions, and
   the log's numbers are the same. */

static ngx_int_t
ngx_chat_herald_learn_seq(ngx_chat_herald_t *h, uint64_t seq)
{
    ngx_int_t  rc;

    rc = ngx_chat_herald_find_seq(h, seq, &h->position);

    if (rc == NGX_DECLINED) {
        ngx_chat_herald_overrun(h);
        rc = NGX_OK;
    }

    h->stateless = h->position;
    h->seq = seq;

    return rc;
}


static ngx_int_t
ngx_chat_herald_learn_names(ngx_chat_herald_t *h)
{
    ngx_int_t            rc;
    ngx_uint_t           i, new;
    sqlite3_stmt        *st;
    ngx_chat_webhook_t  *conf;

    st = ngx_chat_hook_db_get(&h->db, NGX_CHAT_HOOK_DB_NAME_e);
    if (st == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_OK;

    for (i = 0; rc == NGX_OK && i < h->conf->n; i++) {
        conf = h->hooks[i].conf;

        (void) sqlite3_bind_int64(st, 1, conf->key);
        (void) sqlite3_bind_int64(st, 2, (int64_t) conf->app->number);
        (void) ngx_chat_db_bind_text(st, 3, &conf->shown);

        rc = ngx_chat_hook_db_run(&h->db, NGX_CHAT_HOOK_DB_NAME_e, &new);

        if (rc == NGX_OK && new) {
            rc = ngx_chat_hook_db_change(&h->db, NGX_CHAT_HOOK_DB_NEW_e,
                                         conf->key, 0, 0);
        }
    }

    return rc;
}


/*
 * Nobody believes anything any more of an app that has no webhook.  And a
 * webhook that is configured again some day has to be told all.
 */

static ngx_int_t
ngx_chat_herald_drop_state(ngx_chat_herald_t *h)
{
    char       *sql, *p;
    size_t      size;
    ngx_int_t   rc;
    ngx_uint_t  i;

    size = 256 + 2 * h->conf->n * 24;

    sql = malloc(size);
    if (sql == NULL) {
        return NGX_ERROR;
    }

    p = sql + snprintf(sql, size,
                       "DELETE FROM webhook_state WHERE app NOT IN (0");

    for (i = 0; i < h->conf->n; i++) {
        p += snprintf(p, size - (p - sql), ",%lld",
                      (long long) h->hooks[i].conf->app->number);
    }

    p += snprintf(p, size - (p - sql),
                  "); INSERT OR REPLACE INTO meta (key, value)"
                  " SELECT 'webhook ' || id, char(10) FROM webhooks"
                  " WHERE id NOT IN (0");

    for (i = 0; i < h->conf->n; i++) {
        p += snprintf(p, size - (p - sql), ",%lld",
                      (long long) h->hooks[i].conf->key);
    }

    (void) snprintf(p, size - (p - sql), ")");

    rc = ngx_chat_db_exec(&h->db.handle.db, sql);

    free(sql);

    return rc;
}
