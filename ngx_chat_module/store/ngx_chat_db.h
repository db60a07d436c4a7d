
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * One SQLite handle: its statements, its errors, its files.  Pure: it calls
 * no function of nginx and logs nothing.  The caller logs db->error.
 *
 * One thread at a time uses a handle.  A handle never survives a fork().
 */


#ifndef _NGX_CHAT_DB_H_INCLUDED_
#define _NGX_CHAT_DB_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <sqlite3.h>


#define NGX_CHAT_DB_ERROR_LEN  256
#define NGX_CHAT_DB_HEADER     100     /* bytes */
#define NGX_CHAT_DB_EPOCH_LEN  32      /* hexadecimal digits */


/*
 * The prepared statements.  Those from NEWEST to SURPLUS have the parameters
 * that ngx_chat_db_bind() binds.
 */
typedef enum {
    NGX_CHAT_DB_READ_e = 0,            /* BEGIN, COMMIT, ROLLBACK */
    NGX_CHAT_DB_WRITE_e,
    NGX_CHAT_DB_COMMIT_e,
    NGX_CHAT_DB_ROLLBACK_e,
    NGX_CHAT_DB_INSERT_e,
    NGX_CHAT_DB_REPLICATE_e,           /* with its id */
    NGX_CHAT_DB_FILL_e,                /* the same, where there is none */
    NGX_CHAT_DB_NEWEST_e,
    NGX_CHAT_DB_AFTER_e,
    NGX_CHAT_DB_BEFORE_e,
    NGX_CHAT_DB_HAS_BEFORE_e,
    NGX_CHAT_DB_HAS_AFTER_e,
    NGX_CHAT_DB_SINCE_e,
    NGX_CHAT_DB_TIMES_e,               /* ids and times above an id */
    NGX_CHAT_DB_OLDEST_e,              /* ids up to an id */
    NGX_CHAT_DB_CHANNEL_e,             /* the next channel */
    NGX_CHAT_DB_RECENT_e,              /* the next that got messages */
    NGX_CHAT_DB_SURPLUS_e,             /* ids that a channel has too many */
    NGX_CHAT_DB_DELETE_e,
    NGX_CHAT_DB_USED_e,                /* bytes in pages that are in use */
    NGX_CHAT_DB_MAX_e,                 /* the highest id there is */
    NGX_CHAT_DB_KEY_e,                 /* idempotency keys: find one */
    NGX_CHAT_DB_ADD_KEY_e,
    NGX_CHAT_DB_OLD_KEY_e,             /* whether the oldest may go */
    NGX_CHAT_DB_DELETE_KEYS_e,         /* some of the oldest, that may go */
    NGX_CHAT_DB_DEAD_e,                /* what an app's webhooks gave up */
    NGX_CHAT_DB_HAS_DEAD_e,
    NGX_CHAT_DB_STATEMENTS_e           /* the number of statements */
} ngx_chat_db_statement_e;


/* The three files of a database; a file that is missing is 0. */
typedef struct {
    uint64_t           dev;
    uint64_t           file;           /* inodes */
    uint64_t           wal;
    uint64_t           shm;
    uint64_t           size;           /* bytes of the file, at that moment */
    const char        *odd;            /* what must not be opened, as that may
                                          wait for ever; NULL: nothing */
} ngx_chat_db_files_t;


/* What the file is by its own header, the WAL apart. */
typedef struct {
    uint32_t           pages;          /* those that are there */
    uint32_t           claimed;        /* those that the header tells of */
    uint32_t           changes;        /* a counter: SQLite never puts it
                                          back */
} ngx_chat_db_header_t;


#define ngx_chat_db_files_equal(a, b)                                         \
    (memcmp(a, b, offsetof(ngx_chat_db_files_t, size)) == 0)


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

/* From now on close() does not write to the file. */
void ngx_chat_db_abandon(ngx_chat_db_t *db);

/*
 * Tells which files the path leads to now.  NGX_OK; NGX_ERROR with errno set.
 * This is asked before each commit, so it makes few system calls.
 */
ngx_int_t ngx_chat_db_files(const char *path, ngx_chat_db_files_t *files);

/*
 * The same.  NGX_OK; NGX_BUSY: it can't be told, or one of the files is not a
 * regular one, and db->error tells that.
 */
ngx_int_t ngx_chat_db_look(ngx_chat_db_t *db, const char *path,
    ngx_chat_db_files_t *files);

/*
 * Tells whether the file and the WAL that a handle has open begin as such files
 * do, and reads the file's header.  They don't where somebody has truncated or
 * overwritten them.  A WAL may be empty: then it begins with the next commit.
 */
ngx_uint_t ngx_chat_db_is_whole(ngx_chat_db_t *db,
    ngx_chat_db_header_t *header);

/* Tells whether the WAL has a page. */
ngx_uint_t ngx_chat_db_wal_has(ngx_chat_db_t *db, uint32_t page);

/* Removes the WAL and its index from beside the file that path leads to. */
ngx_int_t ngx_chat_db_unlink_wal(const char *path);

/*
 * The functions below return NGX_OK; NGX_BUSY: somebody else has a lock;
 * NGX_ERROR.
 */

/*
 * Moves the WAL into the file.  With all set the WAL is empty afterwards: the
 * call waits for readers up to the handle's timeout, and nobody may write
 * meanwhile.  Otherwise it leaves what readers still need.
 */
ngx_int_t ngx_chat_db_checkpoint(ngx_chat_db_t *db, ngx_uint_t all);

/* Gets the first column of the first row. */
ngx_int_t ngx_chat_db_number(ngx_chat_db_t *db, const char *sql,
    int64_t *value);

/* A value of meta, as a string in buf; empty where there is none.  NGX_OK,
   NGX_BUSY, NGX_ERROR. */
ngx_int_t ngx_chat_db_meta(ngx_chat_db_t *db, const char *key, char *buf,
    size_t size);

/* The highest id that rows of a table have had; 0: it has had none. */
ngx_int_t ngx_chat_db_highest(ngx_chat_db_t *db, const char *table,
    int64_t *id);

/* Runs SQL that gives no row. */
ngx_int_t ngx_chat_db_exec(ngx_chat_db_t *db, const char *sql);

/*
 * Binds a statement's parameters.  A statement has no use for some of them
 * and ignores those.  The channel must stay as it is up to end().
 */
ngx_int_t ngx_chat_db_bind(ngx_chat_db_t *db, ngx_chat_db_statement_e n,
    int64_t app, ngx_str_t *channel, int64_t id, int64_t limit);

/* Returns what SQLite does. */
int ngx_chat_db_bind_text(sqlite3_stmt *st, int n, ngx_str_t *value);

/* Runs a statement that gives no row, with its parameters bound. */
ngx_int_t ngx_chat_db_run(ngx_chat_db_t *db, ngx_chat_db_statement_e n);

/* Resets a statement.  rc is what the last call of SQLite with it gave. */
ngx_int_t ngx_chat_db_end(ngx_chat_db_t *db, ngx_chat_db_statement_e n,
    int rc);

/* Keeps SQLite's code and text of the last failure in db. */
ngx_int_t ngx_chat_db_failed(ngx_chat_db_t *db, const char *call);

/* Sets the text of a failure that SQLite knows nothing of, and returns rc. */
ngx_int_t ngx_chat_db_refuse(ngx_chat_db_t *db, ngx_int_t rc,
    const char *text);


#endif /* _NGX_CHAT_DB_H_INCLUDED_ */
