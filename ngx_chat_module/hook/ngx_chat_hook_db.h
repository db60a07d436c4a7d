
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The herald's transactions.  Used by its thread only, but for added().
 *
 * Its handle is one of those of ngx_chat_handle.h.  Statements live from
 * begin() or look() to end() or done(): between, nobody closes the handle, and
 * a worker that is no herald has none.
 */


#ifndef _NGX_CHAT_HOOK_DB_H_INCLUDED_
#define _NGX_CHAT_HOOK_DB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_books.h>
#include <store/ngx_chat_handle.h>


/*
 * Directly behind the INSERT of a row, since another table's INSERT has its own
 * last id: keeps the row's id in the zone.  A file that takes the database's
 * place and has seen less would give ids again, under which receivers know
 * other events.
 */
#define ngx_chat_hook_db_added(sh, db)                                        \
    ((sh)->rows = ngx_max((sh)->rows,                                         \
                          (uint64_t) sqlite3_last_insert_rowid((db)->handle)))


typedef enum {
    NGX_CHAT_HOOK_DB_BELIEVE_e = 0,
    NGX_CHAT_HOOK_DB_FORGET_e,
    NGX_CHAT_HOOK_DB_EMPTY_e,
    NGX_CHAT_HOOK_DB_ADD_e,
    NGX_CHAT_HOOK_DB_FIRST_e,          /* the row to be sent next */
    NGX_CHAT_HOOK_DB_FRESH_e,          /* rows from it on */
    NGX_CHAT_HOOK_DB_BATCH_e,          /* the rows of a batch */
    NGX_CHAT_HOOK_DB_MARK_e,           /* makes a row a part of a batch */
    NGX_CHAT_HOOK_DB_DONE_e,           /* a batch was delivered */
    NGX_CHAT_HOOK_DB_RETRY_e,          /* is to be tried again */
    NGX_CHAT_HOOK_DB_DEAD_e,           /* is given up */
    NGX_CHAT_HOOK_DB_REVIVE_e,         /* a webhook's dead rows */
    NGX_CHAT_HOOK_DB_COUNT_e,          /* rows by webhook, alive and dead */
    NGX_CHAT_HOOK_DB_SURPLUS_e,        /* the oldest that are too many */
    NGX_CHAT_HOOK_DB_BURY_e,           /* dead rows that are too many */
    NGX_CHAT_HOOK_DB_EXPIRE_e,         /* or too old */
    NGX_CHAT_HOOK_DB_NAME_e,           /* a webhook's URL */
    NGX_CHAT_HOOK_DB_NEW_e,            /* it knows nothing */
    NGX_CHAT_HOOK_DB_IS_NEW_e,
    NGX_CHAT_HOOK_DB_STATE_e,          /* what it is to be told next */
    NGX_CHAT_HOOK_DB_TOLD_e,           /* it was told so much of that */
    NGX_CHAT_HOOK_DB_KNOWS_e,          /* it was told all */
    NGX_CHAT_HOOK_DB_GET_e,            /* the position */
    NGX_CHAT_HOOK_DB_SET_e,
    NGX_CHAT_HOOK_DB_TOLD_UP_TO_e,     /* in a cluster: of messages */
    NGX_CHAT_HOOK_DB_TELL_UP_TO_e,
    NGX_CHAT_HOOK_DB_UNTOLD_e,         /* the messages behind that */
    NGX_CHAT_HOOK_DB_STATEMENTS_e
} ngx_chat_hook_db_statement_e;


typedef struct {
    ngx_chat_handle_t   handle;
    sqlite3_stmt       *statements[NGX_CHAT_HOOK_DB_STATEMENTS_e];
    ngx_chat_books_t   *books;         /* in a cluster's transaction: what it
                                          changes */
    int64_t             version;       /* of what others have committed */
    int                 changes;       /* of what this handle has */
    uint64_t            busy;          /* locked since then; 0: is not */
    uint64_t            logged;        /* ms, when a failure was */
} ngx_chat_hook_db_t;


void ngx_chat_hook_db_init(ngx_chat_hook_db_t *db,
    ngx_chat_store_conf_t *conf);

/*
 * Takes the write lock and begins a transaction.  Waits a part of a second at
 * most.  NGX_OK; else end() must not be called.
 */
ngx_int_t ngx_chat_hook_db_begin(ngx_chat_hook_db_t *db, ngx_log_t *log);

/*
 * Ends it: where rc is NGX_OK by a commit, else by a rollback, which is logged
 * now and then.  Returns rc, or why the commit failed.
 */
ngx_int_t ngx_chat_hook_db_end(ngx_chat_hook_db_t *db, ngx_int_t rc,
    ngx_log_t *log);

/*
 * The same in a cluster: a transaction is never committed.  *changes becomes
 * what it would have changed, in memory from malloc(), and *books what the
 * database has.  With all set they become all that the tables have;
 * NGX_DECLINED: that is too much.
 */
ngx_int_t ngx_chat_hook_db_take(ngx_chat_hook_db_t *db, ngx_int_t rc,
    ngx_uint_t all, ngx_str_t *changes, ngx_chat_link_books_t *books,
    ngx_log_t *log);

/*
 * Begins a look without a lock, which waits for nobody.  NGX_OK: somebody may
 * have changed something since the last look, and done() is to follow;
 * NGX_DECLINED: nobody has; else forget() is to follow, and a transaction
 * will tell what is wrong.
 */
ngx_int_t ngx_chat_hook_db_look(ngx_chat_hook_db_t *db, ngx_log_t *log);

void ngx_chat_hook_db_done(ngx_chat_hook_db_t *db);

/* The next look finds a change. */
#define ngx_chat_hook_db_forget(db)  ((db)->version = -1)

void ngx_chat_hook_db_close(ngx_chat_hook_db_t *db);

/* A statement, ready to be bound; NULL: it can't be prepared. */
sqlite3_stmt *ngx_chat_hook_db_get(ngx_chat_hook_db_t *db,
    ngx_chat_hook_db_statement_e n);

/*
 * Runs a statement that gives no row.  *n, where it is not NULL, becomes the
 * number of rows that were changed.
 */
ngx_int_t ngx_chat_hook_db_run(ngx_chat_hook_db_t *db,
    ngx_chat_hook_db_statement_e n, ngx_uint_t *changes);

/* Runs one that has at most three numbers as parameters. */
ngx_int_t ngx_chat_hook_db_change(ngx_chat_hook_db_t *db,
    ngx_chat_hook_db_statement_e n, int64_t a, int64_t b, int64_t c);

/* Goes to the next row.  NGX_OK; NGX_DONE: there is none, and the statement is
   reset; NGX_BUSY, NGX_ERROR. */
ngx_int_t ngx_chat_hook_db_step(ngx_chat_hook_db_t *db,
    ngx_chat_hook_db_statement_e n);

void ngx_chat_hook_db_reset(ngx_chat_hook_db_t *db,
    ngx_chat_hook_db_statement_e n);


#endif /* _NGX_CHAT_HOOK_DB_H_INCLUDED_ */
