
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The tables of webhooks on all nodes of a cluster.
 *
 * One node at a time changes them, as hook/ has it: within a transaction, which
 * is not committed.  What it has changed goes into the log instead, as a
 * patchset of SQLite's session extension, and each node's back applies it to
 * its own database, that node's as well.
 *
 * Each of these items names the one before it, and the database keeps which one
 * it has: so none is applied twice, and none where another one is missing.
 *
 * On any thread, each with a handle of its own.
 */


#ifndef _NGX_CHAT_BOOKS_H_INCLUDED_
#define _NGX_CHAT_BOOKS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <link/ngx_chat_link.h>
#include <store/ngx_chat_db.h>


typedef struct sqlite3_session  ngx_chat_books_t;


/* Where this SQLite has no sessions: NULL; else why not, for `nginx -t`. */
const char *ngx_chat_books_check(void);

/*
 * Begins to note what is changed with the handle.  take() ends that, with
 * changes not NULL it returns them in memory from malloc(); len 0: there are
 * none.  NGX_OK, NGX_BUSY, NGX_ERROR.
 */
ngx_int_t ngx_chat_books_note(ngx_chat_db_t *db, ngx_chat_books_t **books);
ngx_int_t ngx_chat_books_take(ngx_chat_db_t *db, ngx_chat_books_t *books,
    ngx_str_t *changes);

/*
 * In a transaction that is rolled back: all that the tables have, as changes in
 * memory from malloc().  NGX_OK; NGX_DECLINED: it is more than an item of the
 * log should have; NGX_BUSY, NGX_ERROR.
 */
ngx_int_t ngx_chat_books_all(ngx_chat_db_t *db, ngx_str_t *changes);

/* The item that has changed the database last.  NGX_OK, NGX_BUSY, NGX_ERROR. */
ngx_int_t ngx_chat_books_last(ngx_chat_db_t *db, ngx_chat_link_books_t *last);

/*
 * In a transaction: applies an item, which follows the one before.  With all
 * set it has all of the tables, and is left out where the database has the one
 * before.  NGX_OK, also where the database has the item; NGX_DONE: it lacks one
 * before, and is left as it is; NGX_DECLINED: no node has made this; NGX_BUSY,
 * NGX_ERROR.
 */
ngx_int_t ngx_chat_books_apply(ngx_chat_db_t *db, ngx_str_t *changes,
    ngx_uint_t all, ngx_chat_link_books_t *before,
    ngx_chat_link_books_t *item);


#endif /* _NGX_CHAT_BOOKS_H_INCLUDED_ */
