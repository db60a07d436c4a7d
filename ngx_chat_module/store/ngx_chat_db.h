
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * One SQLite handle: its statements, its errors, its files.  Pure: no nginx
 * function, no log; the caller reports db->error.
 *
 * A handle is used by one thread at a time and never carried over fork().
 */


#ifndef _NGX_CHAT_DB_H_INCLUDED_
#define _NGX_CHAT_DB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <sqlite3.h>


#define NGX_CHAT_DB_ERROR_LEN  256
#define NGX_CHAT_DB_EPOCH_LEN  32      /* hexadecimal digits */


typedef enum {
    NGX_CHAT_DB_READ_e = 0,            /* BEGIN, COMMIT, ROLLBACK */
    NGX_CHAT_DB_WRITE_e,
    NGX_CHAT_DB_COMMIT_e,
    NGX_CHAT_DB_ROLLBACK_e,
    NGX_CHAT_DB_INSERT_e,
    NGX_CHAT_DB_NEWEST_e,
    NGX_CHAT_DB_AFTER_e,
    NGX_CHAT_DB_BEFORE_e,
    NGX_CHAT_DB_HAS_BEFORE_e,
    NGX_CHAT_DB_HAS_AFTER_e,
    NGX_CHAT_DB_SINCE_e,
    NGX_CHAT_DB_OLDEST_e,              /* retention's: ids and their times */
    NGX_CHAT_DB_DELETE_e,
    NGX_CHAT_DB_CHANNEL_e,             /* the channel behind a channel */
    NGX_CHAT_DB_RECENT_e,              /* channels of what is new */
    NGX_CHAT_DB_SURPLUS_e,             /* the newest that is too many */
    NGX_CHAT_DB_UPTO_e,                /* a channel's ids up to one */
    NGX_CHAT_DB_USED_e,                /* bytes in pages that are in use */
    NGX_CHAT_DB_MAX_e,                 /* the highest id there is */
    NGX_CHAT_DB_STATEMENTS_e           /* their number */
} ngx_chat_db_statement_e;


/* Which files a handle has open; zeroed: none. */
typedef struct {
    uint64_t           dev;
    uint64_t           file;           /* inodes */
    uint64_t           wal;
    uint64_t           shm;
} ngx_chat_db_files_t;


#define ngx_chat_db_files_equal(a, b)                                         \
    (memcmp(a, b, sizeof(ngx_chat_db_files_t)) == 0)


typedef struct {
    sqlite3           *handle;         /* NULL: not open */
    sqlite3_stmt      *statements[NGX_CHAT_DB_STATEMENTS_e];
    u_char             epoch[NGX_CHAT_DB_EPOCH_LEN];
    ngx_chat_db_files_t  files;
    int                code;           /* SQLite's extended code of the last
                                          failure */
    char               error[NGX_CHAT_DB_ERROR_LEN];
} ngx_chat_db_t;


void ngx_chat_db_close(ngx_chat_db_t *db);

/* Closing is not to touch the files, which may be another database's. */
void ngx_chat_db_abandon(ngx_chat_db_t *db);

/*
 * Which files the path leads to now; those that are missing are 0.  NGX_OK;
 * NGX_ERROR with errno set.
 */
ngx_int_t ngx_chat_db_files(const char *path, ngx_chat_db_files_t *files);

/* Removes the WAL and its index from beside the file that path leads to. */
ngx_int_t ngx_chat_db_unlink_wal(const char *path);

/*
 * Moves the WAL into the file.  With all the WAL is empty afterwards: waits
 * for readers up to the handle's timeout, and nobody may write meanwhile.
 * Without, what readers are in the way of is left.  *frames: what the WAL
 * has still.  NGX_OK, NGX_BUSY, NGX_ERROR.
 */
ngx_int_t ngx_chat_db_checkpoint(ngx_chat_db_t *db, ngx_uint_t all,
    ngx_uint_t *frames);

/* The first column of the first row.  NGX_OK, NGX_BUSY, NGX_ERROR. */
ngx_int_t ngx_chat_db_number(ngx_chat_db_t *db, const char *sql,
    int64_t *value);

/*
 * Runs a statement that gives no row, its parameters bound, and resets it.
 * NGX_OK, NGX_BUSY, NGX_ERROR.
 */
ngx_int_t ngx_chat_db_run(ngx_chat_db_t *db, ngx_chat_db_statement_e n);

/* Runs SQL that gives no row.  Status as above. */
ngx_int_t ngx_chat_db_exec(ngx_chat_db_t *db, const char *sql);

/*
 * Keeps SQLite's code and text of the last failure in db and returns what
 * they mean: NGX_BUSY (locked), NGX_ERROR.
 */
ngx_int_t ngx_chat_db_failed(ngx_chat_db_t *db, const char *call);


#endif /* _NGX_CHAT_DB_H_INCLUDED_ */
