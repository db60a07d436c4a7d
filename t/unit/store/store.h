
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What the store's unit tests share: a folder of their own, a second SQLite
 * handle that stands for another program, and records.
 *
 * SQLite's handles don't survive fork(): a test forks before it opens.
 */


#ifndef _NGX_CHAT_UNIT_STORE_H_INCLUDED_
#define _NGX_CHAT_UNIT_STORE_H_INCLUDED_


#include "unit.h"

#include <store/ngx_chat_batch.h>
#include <store/ngx_chat_db_open.h>
#include <wire/ngx_chat_clock.h>

#include <sys/wait.h>


#define STORE_NOW  1769851800123LL


static char  store_folder[64];
static char  store_path[80];


/* Each test has a new folder; the database in it does not exist yet. */
static ngx_inline void
store_setup(void)
{
    (void) strcpy(store_folder, "/tmp/chat_unit_XXXXXX");

    if (mkdtemp(store_folder) == NULL) {
        perror("mkdtemp()");
        exit(2);
    }

    (void) snprintf(store_path, sizeof(store_path), "%s/chat.db",
                    store_folder);
}


static ngx_inline void
store_teardown(void)
{
    DIR            *dir;
    char            path[512];
    struct dirent  *de;

    dir = opendir(store_folder);
    if (dir == NULL) {
        return;
    }

    for ( ;; ) {
        de = readdir(dir);
        if (de == NULL) {
            break;
        }

        if (de->d_name[0] == '.') {
            continue;
        }

        (void) snprintf(path, sizeof(path), "%s/%s", store_folder,
                        de->d_name);
        (void) remove(path);
    }

    (void) closedir(dir);
    (void) rmdir(store_folder);
}


static ngx_inline ngx_int_t
store_open(ngx_chat_db_t *db, ngx_msec_t timeout, ngx_uint_t write)
{
    ngx_chat_db_conf_t  conf;

    conf.path = store_path;
    conf.timeout = timeout;
    conf.full = 0;
    conf.write = write;
    conf.create = 1;
    conf.expected = NULL;

    return ngx_chat_db_open(db, &conf);
}


/* A handle that knows nothing of the module. */
static ngx_inline sqlite3 *
store_stranger(void)
{
    sqlite3  *handle;

    if (sqlite3_open(store_path, &handle) != SQLITE_OK) {
        printf("# sqlite3_open() failed\n");
        exit(2);
    }

    return handle;
}


static ngx_inline ngx_uint_t
store_exec(sqlite3 *handle, const char *sql)
{
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK) {
        return 1;
    }

    printf("# %s: %s\n", sql, sqlite3_errmsg(handle));

    return 0;
}


/* The first column of the first row, -1 where there is none. */
static ngx_inline int64_t
store_number(sqlite3 *handle, const char *sql)
{
    int64_t        n;
    sqlite3_stmt  *st;

    n = -1;

    if (sqlite3_prepare_v2(handle, sql, -1, &st, NULL) != SQLITE_OK) {
        printf("# %s: %s\n", sql, sqlite3_errmsg(handle));
        return n;
    }

    if (sqlite3_step(st) == SQLITE_ROW) {
        n = sqlite3_column_int64(st, 0);
    }

    (void) sqlite3_finalize(st);

    return n;
}


/* No transaction and no statement under way. */
static ngx_inline ngx_uint_t
store_idle(ngx_chat_db_t *db)
{
    sqlite3_stmt  *st;

    for (st = sqlite3_next_stmt(db->handle, NULL);
         st;
         st = sqlite3_next_stmt(db->handle, st))
    {
        if (sqlite3_stmt_busy(st)) {
            printf("# busy: %s\n", sqlite3_sql(st));
            return 0;
        }
    }

    return sqlite3_txn_state(db->handle, NULL) == SQLITE_TXN_NONE;
}


static ngx_inline void
store_record(ngx_chat_record_t *rec, uint64_t app, const char *channel,
    const char *content)
{
    memset(rec, 0, sizeof(ngx_chat_record_t));

    rec->app = app;

    rec->channel = unit_str(channel);
    rec->event = unit_str("new_message");
    rec->content = unit_str(content);
}


/* One message in a transaction of its own; its id, 0: failed. */
static ngx_inline uint64_t
store_add(ngx_chat_db_t *db, uint64_t app, const char *channel,
    const char *content)
{
    ngx_chat_record_t  rec;

    store_record(&rec, app, channel, content);

    if (ngx_chat_batch_begin(db) == NGX_OK
        && ngx_chat_batch_insert(db, &rec, STORE_NOW) == NGX_OK
        && ngx_chat_batch_commit(db) == NGX_OK)
    {
        return rec.id;
    }

    printf("# %s\n", db->error);
    ngx_chat_batch_rollback(db);

    return 0;
}


/* Waits for n children; how many of them ended with status 0. */
static ngx_inline ngx_uint_t
store_wait(pid_t *pids, ngx_uint_t n)
{
    int         status;
    ngx_uint_t  i, ok;

    ok = 0;

    for (i = 0; i < n; i++) {
        if (waitpid(pids[i], &status, 0) == pids[i]
            && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        {
            ok++;
        }
    }

    return ok;
}


#endif /* _NGX_CHAT_UNIT_STORE_H_INCLUDED_ */
