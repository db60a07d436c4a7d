
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Whose file it is, which schema it has, and how that is brought up to date.
 * Pure.
 */


#ifndef _NGX_CHAT_MIGRATION_H_INCLUDED_
#define _NGX_CHAT_MIGRATION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_db.h>


/*
 * After a failure of inspect() or run() db->error tells the reason, and the
 * handle can only be closed.
 */

/*
 * Looks in one read transaction whether the schema or the epoch is missing,
 * and reads the epoch.  NGX_OK, NGX_BUSY, NGX_ERROR; NGX_DECLINED: the file is
 * not for us.
 */
ngx_int_t ngx_chat_migration_inspect(ngx_chat_db_t *db, ngx_uint_t *missing);

/*
 * Makes what is missing in one write transaction, and with renew another
 * epoch.  Status as above.
 */
ngx_int_t ngx_chat_migration_run(ngx_chat_db_t *db, ngx_uint_t renew);

/* Reads the epoch to db->epoch, which is empty where the database has none.
   NGX_OK, NGX_BUSY, NGX_ERROR. */
ngx_int_t ngx_chat_migration_epoch(ngx_chat_db_t *db);

/*
 * Judges a file by its application_id, its user_version, and whether there is
 * anything in it.  NGX_OK: it is ours, or empty; NGX_DECLINED: error, which
 * has room for NGX_CHAT_DB_ERROR_LEN bytes, tells the reason.
 */
ngx_int_t ngx_chat_migration_judge(int64_t application, int64_t version,
    ngx_uint_t content, char *error);


#endif /* _NGX_CHAT_MIGRATION_H_INCLUDED_ */
