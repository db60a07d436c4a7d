
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The census: who is there, compared to what the receivers believe.
 *
 * It is taken by each new herald, behind a wipe of the zone, and where records
 * were lost.  So no crash leaves a channel or a member in a receiver's books
 * that is not there.
 *
 * No record is read from its begin to the end of the comparison.  Who is not in
 * the list but in the books is held as if it had just gone: where it came
 * meanwhile, the next records tell that.  Records that are older than the list
 * do no harm, since they lead to what the list has.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald_work.h>
#include <pusher/ngx_chat_name.h>
#include <shared/ngx_chat_presence.h>
#include <shared/ngx_chat_registry_query.h>
#include <wire/ngx_chat_clock.h>
#include <wire/ngx_chat_failpoint.h>


#define NGX_CHAT_HERALD_POOL  16384


/* Adds all channels and members of an app to the table. */

typedef struct {
    ngx_chat_herald_t  *herald;
    ngx_chat_app_t     *app;
    sqlite3_stmt       *insert;
} ngx_chat_herald_list_t;


static ngx_int_t ngx_chat_herald_census_list(ngx_chat_herald_t *h);
static ngx_int_t ngx_chat_herald_census_app(ngx_chat_herald_list_t *list);
static ngx_int_t ngx_chat_herald_census_channels(ngx_chat_herald_list_t *list,
    ngx_array_t *found, ngx_pool_t *pool);
static ngx_int_t ngx_chat_herald_census_members(ngx_chat_herald_list_t *list,
    ngx_str_t *channel, ngx_pool_t *pool);
static ngx_int_t ngx_chat_herald_census_insert(ngx_chat_herald_list_t *list,
    ngx_str_t *channel, ngx_str_t *user);
static ngx_int_t ngx_chat_herald_census_gone(ngx_chat_herald_t *h);
static sqlite3_stmt *ngx_chat_herald_census_prepare(ngx_chat_herald_t *h,
    const char *sql);
static void ngx_chat_herald_census_row(sqlite3_stmt *st, int column,
    ngx_chat_hook_record_t *rec);


/*
 * Only the temporary table is written here, which needs no lock: others may
 * write messages meanwhile.
 */

ngx_int_t
ngx_chat_herald_census_take(ngx_chat_herald_t *h)
{
    ngx_int_t       rc;
    ngx_chat_db_t  *db;

    db = &h->db.handle.db;

    if (db->handle == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_chat_db_exec(db, "PRAGMA temp_store = MEMORY;"
                          "DROP TABLE IF EXISTS temp.webhook_census;"
                          "CREATE TEMP TABLE webhook_census (id INTEGER"
                          " PRIMARY KEY, app INTEGER, channel TEXT, user TEXT);"
                          "CREATE UNIQUE INDEX temp.webhook_census_unique"
                          " ON webhook_census (app, channel, user); BEGIN");
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_herald_census_list(h);

    if (rc == NGX_OK) {
        rc = ngx_chat_db_exec(db, "COMMIT");
    }

    if (rc != NGX_OK) {
        ngx_chat_batch_rollback(db);
        return rc;
    }

    ngx_chat_failpoint("hook census");

    h->census = NGX_CHAT_HERALD_CENSUS_TAKEN_e;
    h->census_row = 0;
    h->census_over = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_chat_herald_census_list(ngx_chat_herald_t *h)
{
    ngx_int_t                rc;
    ngx_uint_t               i;
    ngx_chat_app_t          *apps;
    ngx_chat_herald_list_t   list;

    list.herald = h;
    list.insert = ngx_chat_herald_census_prepare(h,
                      "INSERT OR IGNORE INTO temp.webhook_census"
                      " (app, channel, user) VALUES (?, ?, ?)");

    if (list.insert == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_OK;
    apps = h->conf->apps->elts;

    for (i = 0; rc == NGX_OK && i < h->conf->apps->nelts; i++) {

        if (apps[i].webhooks) {
            list.app = &apps[i];
            rc = ngx_chat_herald_census_app(&list);
        }
    }

    (void) sqlite3_finalize(list.insert);

    return rc;
}


static ngx_int_t
ngx_chat_herald_census_app(ngx_chat_herald_list_t *list)
{
    ngx_int_t     rc, more;
    ngx_str_t     all;
    ngx_uint_t    bucket;
    ngx_pool_t   *pool;
    ngx_array_t   found;

    ngx_str_null(&all);

    bucket = 0;

    do {
        pool = ngx_create_pool(NGX_CHAT_HERALD_POOL, list->herald->log);
        if (pool == NULL) {
            return NGX_ERROR;
        }

        rc = NGX_ERROR;
        more = NGX_ERROR;

        if (ngx_array_init(&found, pool, 64, sizeof(ngx_chat_registry_query_t))
            == NGX_OK)
        {
            more = ngx_chat_registry_query_list(list->herald->zone,
                                                list->app->number, &all,
                                                &bucket, &found, pool);
        }

        if (more != NGX_ERROR) {
            rc = ngx_chat_herald_census_channels(list, &found, pool);
        }

        ngx_destroy_pool(pool);

    } while (rc == NGX_OK && more == NGX_AGAIN);

    return rc;
}


static ngx_int_t
ngx_chat_herald_census_channels(ngx_chat_herald_list_t *list,
    ngx_array_t *found, ngx_pool_t *pool)
{
    ngx_int_t                   rc;
    ngx_str_t                   nobody;
    ngx_uint_t                  i;
    ngx_chat_registry_query_t  *c;

    ngx_str_null(&nobody);

    rc = NGX_OK;
    c = found->elts;

    for (i = 0; rc == NGX_OK && i < found->nelts; i++) {

        if (ngx_chat_herald_wants(list->herald, list->app->number,
                                  ngx_chat_hook_bit(NGX_CHAT_HOOK_OCCUPIED_e)
                                  |ngx_chat_hook_bit(NGX_CHAT_HOOK_VACATED_e),
                                  &c[i].name))
        {
            rc = ngx_chat_herald_census_insert(list, &c[i].name, &nobody);
        }

        if (rc == NGX_OK
            && (ngx_chat_name_type(&c[i].name) & NGX_CHAT_CHANNEL_PRESENCE)
            && ngx_chat_herald_wants(list->herald, list->app->number,
                                     ngx_chat_hook_bit(NGX_CHAT_HOOK_ADDED_e)
                                  |ngx_chat_hook_bit(NGX_CHAT_HOOK_REMOVED_e),
                                     &c[i].name))
        {
            rc = ngx_chat_herald_census_members(list, &c[i].name, pool);
        }
    }

    return rc;
}


static ngx_int_t
ngx_chat_herald_census_members(ngx_chat_herald_list_t *list,
    ngx_str_t *channel, ngx_pool_t *pool)
{
    u_char     *p, *last;
    ngx_int_t   rc;
    ngx_str_t   members, user, info;

    rc = ngx_chat_registry_query_members(list->herald->zone,
                                         list->app->number, channel, &members,
                                         pool);

    p = members.data;
    last = p + members.len;

    while (rc == NGX_OK
           && ngx_chat_presence_entry_read(&p, last, &user, &info) == NGX_OK)
    {
        rc = ngx_chat_herald_census_insert(list, channel, &user);
    }

    return rc;
}


static ngx_int_t
ngx_chat_herald_census_insert(ngx_chat_herald_list_t *list,
    ngx_str_t *channel, ngx_str_t *user)
{
    int  rc;

    (void) sqlite3_bind_int64(list->insert, 1, (int64_t) list->app->number);
    (void) ngx_chat_db_bind_text(list->insert, 2, channel);
    (void) ngx_chat_db_bind_text(list->insert, 3, user);

    rc = sqlite3_step(list->insert);

    (void) sqlite3_reset(list->insert);

    return (rc == SQLITE_DONE) ? NGX_OK
           : ngx_chat_db_failed(&list->herald->db.handle.db, "sqlite3_step()");
}


ngx_int_t
ngx_chat_herald_census_compare(ngx_chat_herald_t *h, ngx_uint_t *n)
{
    int                      row;
    ngx_int_t                rc;
    sqlite3_stmt            *st;
    ngx_chat_hook_record_t   rec;

    st = ngx_chat_herald_census_prepare(h,
             "SELECT id, app, channel, user FROM temp.webhook_census"
             " WHERE id > ? ORDER BY id LIMIT ?");

    if (st == NULL) {
        return NGX_ERROR;
    }

    (void) sqlite3_bind_int64(st, 1, h->census_row);
    (void) sqlite3_bind_int64(st, 2, (int64_t) *n);

    rc = NGX_OK;

    for (row = sqlite3_step(st);
         rc == NGX_OK && row == SQLITE_ROW;
         row = sqlite3_step(st))
    {
        ngx_chat_herald_census_row(st, 1, &rec);

        rec.kind = rec.user.len ? NGX_CHAT_HOOK_ADDED_e
                                : NGX_CHAT_HOOK_OCCUPIED_e;

        rc = ngx_chat_herald_believe(h, &rec);

        h->census_row = sqlite3_column_int64(st, 0);
        (*n)--;
    }

    (void) sqlite3_finalize(st);

    if (rc == NGX_OK && row != SQLITE_DONE) {
        rc = ngx_chat_db_failed(&h->db.handle.db, "sqlite3_step()");
    }

    /* all were compared where some more were asked for */

    return (rc == NGX_OK && *n) ? ngx_chat_herald_census_gone(h) : rc;
}


/* Those that the receivers believe in, and are not there. */

static ngx_int_t
ngx_chat_herald_census_gone(ngx_chat_herald_t *h)
{
    int                      row;
    uint64_t                 due;
    ngx_int_t                rc;
    sqlite3_stmt            *st;
    ngx_chat_hook_record_t   rec;

    st = ngx_chat_herald_census_prepare(h,
             "SELECT app, channel, user FROM webhook_state s WHERE NOT EXISTS"
             " (SELECT 1 FROM temp.webhook_census c WHERE c.app = s.app"
             " AND c.channel = s.channel AND c.user = s.user)"
             " ORDER BY app, channel, user DESC");

    if (st == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_OK;
    due = ngx_chat_clock_msec() + NGX_CHAT_HERALD_GRACE;

    for (row = sqlite3_step(st);
         rc == NGX_OK && row == SQLITE_ROW;
         row = sqlite3_step(st))
    {
        ngx_chat_herald_census_row(st, 0, &rec);

        rc = ngx_chat_hook_held_add(&h->held, rec.app, &rec.channel, &rec.user,
                                    due, h->position);
    }

    (void) sqlite3_finalize(st);

    if (rc == NGX_OK && row != SQLITE_DONE) {
        rc = ngx_chat_db_failed(&h->db.handle.db, "sqlite3_step()");
    }

    if (rc == NGX_OK) {
        h->census = NGX_CHAT_HERALD_CENSUS_NONE_e;
        h->census_over = 1;
    }

    return rc;
}


static sqlite3_stmt *
ngx_chat_herald_census_prepare(ngx_chat_herald_t *h, const char *sql)
{
    sqlite3_stmt  *st;

    if (sqlite3_prepare_v2(h->db.handle.db.handle, sql, -1, &st, NULL)
        != SQLITE_OK)
    {
        (void) ngx_chat_db_failed(&h->db.handle.db, "sqlite3_prepare_v2()");
        return NULL;
    }

    return st;
}


/* The strings are good until the next step. */

static void
ngx_chat_herald_census_row(sqlite3_stmt *st, int column,
    ngx_chat_hook_record_t *rec)
{
    ngx_memzero(rec, sizeof(ngx_chat_hook_record_t));

    rec->app = (uint64_t) sqlite3_column_int64(st, column);
    rec->time = ngx_chat_clock_wall();

    rec->channel.data = (u_char *) sqlite3_column_text(st, column + 1);
    rec->channel.len = sqlite3_column_bytes(st, column + 1);
    rec->user.data = (u_char *) sqlite3_column_text(st, column + 2);
    rec->user.len = sqlite3_column_bytes(st, column + 2);
}
