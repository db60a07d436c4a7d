
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Whose file it is, which schema it has, and bringing that up to date.
 * Pure; the opening of a handle calls it.
 */


#ifndef _NGX_CHAT_MIGRATION_H_INCLUDED_
#define _NGX_CHAT_MIGRATION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_db.h>


/* What tells whose file it is. */
typedef struct {
    int64_t            application;
    int64_t            version;
    ngx_uint_t         content;        /* there is something in it */
} ngx_chat_migration_identity_t;


/*
 * Looks, in one read transaction that is over afterwards, whether the schema
 * or the epoch is missing, and reads the epoch.  NGX_OK, NGX_BUSY, NGX_ERROR;
 * NGX_DECLINED: the file is not for us; db->error tells.
 */
ngx_int_t ngx_chat_migration_inspect(ngx_chat_db_t *db, ngx_uint_t *missing);

/*
 * Makes what is missing, in one write transaction; on failure the handle is
 * only fit to be closed.  Status as above.
 */
ngx_int_t ngx_chat_migration_run(ngx_chat_db_t *db);

/*
 * Gives the database another epoch: ids that clients have seen may come
 * again.  Of a handle that may write; on failure it is only fit to be closed.
 */
ngx_int_t ngx_chat_migration_renew(ngx_chat_db_t *db);

/* NGX_OK: ours, or empty; NGX_DECLINED with error set. */
ngx_int_t ngx_chat_migration_judge(ngx_chat_migration_identity_t *id,
    char *error, size_t size);


#endif /* _NGX_CHAT_MIGRATION_H_INCLUDED_ */
