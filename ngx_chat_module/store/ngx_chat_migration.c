
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The schema's steps, sql/NNN-*.sql, as config has made them into strings.
 * All that a file is missing is done in one transaction, which looks again at
 * what there is: another process may have been first.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <store/ngx_chat_migration.h>

#include <sqlite3.h>
#include <stdio.h>

#include <ngx_chat_schema.h>


#define NGX_CHAT_MIGRATION_APPLICATION  0x4e434854    /* "NCHT" */

#define NGX_CHAT_MIGRATION_STEPS                                              \
    ((int64_t) (sizeof(ngx_chat_schema_steps)                                 \
                / sizeof(ngx_chat_schema_steps[0])))


static ngx_int_t ngx_chat_migration_steps(ngx_chat_db_t *db);
static ngx_int_t ngx_chat_migration_identify(ngx_chat_db_t *db,
    int64_t *version);
static ngx_int_t ngx_chat_migration_make_epoch(ngx_chat_db_t *db);
static ngx_int_t ngx_chat_migration_epoch(ngx_chat_db_t *db);


ngx_int_t
ngx_chat_migration_inspect(ngx_chat_db_t *db, ngx_uint_t *missing)
{
    int64_t    version;
    ngx_int_t  rc;

    rc = ngx_chat_db_exec(db, "BEGIN");
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_migration_identify(db, &version);

    if (rc == NGX_OK && version > 0) {
        rc = ngx_chat_migration_epoch(db);
    }

    if (rc == NGX_ERROR && (db->code & 0xff) == SQLITE_NOTADB) {
        (void) snprintf(db->error, NGX_CHAT_DB_ERROR_LEN,
                        "the file is not an SQLite database");
        return NGX_DECLINED;
    }

    if (rc != NGX_OK) {
        return rc;
    }

    *missing = (version < NGX_CHAT_MIGRATION_STEPS || db->epoch[0] == '\0');

    return ngx_chat_db_exec(db, "COMMIT");
}


ngx_int_t
ngx_chat_migration_run(ngx_chat_db_t *db)
{
    ngx_int_t  rc;

    rc = ngx_chat_db_exec(db, "BEGIN IMMEDIATE");
    if (rc != NGX_OK) {
        return rc;
    }

    /* closing the handle rolls back */

    rc = ngx_chat_migration_steps(db);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_migration_epoch(db);
    if (rc != NGX_OK) {
        return rc;
    }

    if (db->epoch[0] == '\0') {
        rc = ngx_chat_migration_make_epoch(db);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return ngx_chat_db_exec(db, "COMMIT");
}


ngx_int_t
ngx_chat_migration_renew(ngx_chat_db_t *db)
{
    ngx_int_t  rc;

    rc = ngx_chat_db_exec(db, "BEGIN IMMEDIATE");
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_migration_make_epoch(db);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_chat_db_exec(db, "COMMIT");
}


static ngx_int_t
ngx_chat_migration_make_epoch(ngx_chat_db_t *db)
{
    ngx_int_t  rc;

    rc = ngx_chat_db_exec(db, "INSERT OR REPLACE INTO meta (key, value)"
                          " VALUES ('epoch', lower(hex(randomblob(16))))");
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_chat_migration_epoch(db);
}


static ngx_int_t
ngx_chat_migration_steps(ngx_chat_db_t *db)
{
    char       sql[64];
    int64_t    version;
    ngx_int_t  rc;

    rc = ngx_chat_migration_identify(db, &version);

    if (rc != NGX_OK || version == NGX_CHAT_MIGRATION_STEPS) {
        return rc;
    }

    for ( /* void */ ; version < NGX_CHAT_MIGRATION_STEPS; version++) {

        rc = ngx_chat_db_exec(db, ngx_chat_schema_steps[version]);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    (void) snprintf(sql, sizeof(sql), "PRAGMA user_version = %d",
                    (int) NGX_CHAT_MIGRATION_STEPS);

    rc = ngx_chat_db_exec(db, sql);
    if (rc != NGX_OK) {
        return rc;
    }

    (void) snprintf(sql, sizeof(sql), "PRAGMA application_id = %d",
                    NGX_CHAT_MIGRATION_APPLICATION);

    return ngx_chat_db_exec(db, sql);
}


/* Within a transaction. */

static ngx_int_t
ngx_chat_migration_identify(ngx_chat_db_t *db, int64_t *version)
{
    int64_t                        pages, tables;
    ngx_int_t                      rc;
    ngx_chat_migration_identity_t  id;

    rc = ngx_chat_db_number(db, "PRAGMA application_id", &id.application);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_db_number(db, "PRAGMA user_version", &id.version);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_db_number(db, "PRAGMA page_count", &pages);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_db_number(db, "SELECT count(*) FROM sqlite_schema",
                            &tables);
    if (rc != NGX_OK) {
        return rc;
    }

    id.content = (pages > 1 || tables);
    *version = id.version;

    return ngx_chat_migration_judge(&id, db->error, NGX_CHAT_DB_ERROR_LEN);
}


/* Reads the epoch; an empty one: there is none. */

static ngx_int_t
ngx_chat_migration_epoch(ngx_chat_db_t *db)
{
    int            rc;
    const u_char  *p;
    sqlite3_stmt  *st;

    db->epoch[0] = '\0';

    rc = sqlite3_prepare_v2(db->handle,
                            "SELECT value FROM meta WHERE key = 'epoch'"
                            " AND length(value) = 32"
                            " AND value NOT GLOB '*[^0-9a-f]*'", -1, &st,
                            NULL);
    if (rc != SQLITE_OK) {
        return ngx_chat_db_failed(db, "sqlite3_prepare_v2()");
    }

    rc = sqlite3_step(st);

    if (rc == SQLITE_ROW) {
        p = sqlite3_column_text(st, 0);

        if (p && sqlite3_column_bytes(st, 0) == NGX_CHAT_DB_EPOCH_LEN) {
            memcpy(db->epoch, p, NGX_CHAT_DB_EPOCH_LEN);
            rc = SQLITE_DONE;
        }
    }

    rc = (rc == SQLITE_DONE) ? NGX_OK
                             : (int) ngx_chat_db_failed(db, "sqlite3_step()");

    (void) sqlite3_finalize(st);

    return rc;
}


ngx_int_t
ngx_chat_migration_judge(ngx_chat_migration_identity_t *id, char *error,
    size_t size)
{
    if (id->application != NGX_CHAT_MIGRATION_APPLICATION
        && (id->application || id->version || id->content))
    {
        (void) snprintf(error, size,
                        "the file is a database of another application");
        return NGX_DECLINED;
    }

    if (id->version < 0 || id->version > NGX_CHAT_MIGRATION_STEPS) {
        (void) snprintf(error, size,
                        "the file has schema %d, this module knows schemas up "
                        "to %d: install a newer module",
                        (int) id->version, (int) NGX_CHAT_MIGRATION_STEPS);
        return NGX_DECLINED;
    }

    return NGX_OK;
}
