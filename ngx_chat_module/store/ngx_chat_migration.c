
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The schema's steps, sql/NNN-*.sql, which config has made into strings.  One
 * transaction does all steps that a file is missing.  It looks again at what
 * there is, for another process may have been first.
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
        return ngx_chat_db_refuse(db, NGX_DECLINED,
                                  "the file is not an SQLite database");
    }

    if (rc != NGX_OK) {
        return rc;
    }

    *missing = (version < NGX_CHAT_MIGRATION_STEPS || db->epoch[0] == '\0');

    return ngx_chat_db_exec(db, "COMMIT");
}


ngx_int_t
ngx_chat_migration_run(ngx_chat_db_t *db, ngx_uint_t renew)
{
    ngx_int_t  rc;

    rc = ngx_chat_db_exec(db, "BEGIN IMMEDIATE");
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_migration_steps(db);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_migration_epoch(db);
    if (rc != NGX_OK) {
        return rc;
    }

    if (renew || db->epoch[0] == '\0') {
        rc = ngx_chat_db_exec(db, "INSERT OR REPLACE INTO meta (key, value)"
                              " VALUES ('epoch',"
                              " lower(hex(randomblob(16))))");
        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_chat_migration_epoch(db);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    return ngx_chat_db_exec(db, "COMMIT");
}


static ngx_int_t
ngx_chat_migration_steps(ngx_chat_db_t *db)
{
    char       sql[80];
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

    (void) snprintf(sql, sizeof(sql),
                    "PRAGMA user_version = %d; PRAGMA application_id = %d",
                    (int) NGX_CHAT_MIGRATION_STEPS,
                    NGX_CHAT_MIGRATION_APPLICATION);

    return ngx_chat_db_exec(db, sql);
}


/* Reads who made the file, within a transaction, and judges it. */

static ngx_int_t
ngx_chat_migration_identify(ngx_chat_db_t *db, int64_t *version)
{
    int64_t    application, content;
    ngx_int_t  rc;

    rc = ngx_chat_db_number(db, "PRAGMA application_id", &application);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_db_number(db, "PRAGMA user_version", version);
    if (rc != NGX_OK) {
        return rc;
    }

    rc = ngx_chat_db_number(db, "SELECT page_count > 1"
                            " OR EXISTS (SELECT 1 FROM sqlite_schema)"
                            " FROM pragma_page_count", &content);
    if (rc != NGX_OK) {
        return rc;
    }

    return ngx_chat_migration_judge(application, *version, content != 0,
                                    db->error);
}


ngx_int_t
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
ngx_chat_migration_judge(int64_t application, int64_t version,
    ngx_uint_t content, char *error)
{
    if (application != NGX_CHAT_MIGRATION_APPLICATION
        && (application || version || content))
    {
        (void) snprintf(error, NGX_CHAT_DB_ERROR_LEN,
                        "the file is a database of another application");
        return NGX_DECLINED;
    }

    if (version < 0 || version > NGX_CHAT_MIGRATION_STEPS) {
        (void) snprintf(error, NGX_CHAT_DB_ERROR_LEN,
                        "the file has schema %d, this module knows schemas up "
                        "to %d: install a newer module",
                        (int) version, (int) NGX_CHAT_MIGRATION_STEPS);
        return NGX_DECLINED;
    }

    return NGX_OK;
}
