
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Group commit: many messages in one transaction.  Pure.  It runs on a thread
 * of nginx's thread pool.
 */


#ifndef _NGX_CHAT_BATCH_H_INCLUDED_
#define _NGX_CHAT_BATCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_db.h>
#include <store/ngx_chat_keys.h>
#include <wire/ngx_chat_message.h>


/* One stored message.  Whoever makes the record owns its strings. */
typedef struct {
    ngx_uint_t         kind;           /* ngx_chat_message_kind_e */
    uint64_t           id;             /* set by the insert */
    int64_t            created;        /* ms since the epoch, by the insert */
    int64_t            updated;
    uint64_t           app;
    ngx_str_t          channel;
    ngx_str_t          event;
    ngx_str_t          content;        /* UTF-8, may hold NUL */
    ngx_str_t          author;         /* len 0: none, stored as NULL */
    u_char             key[NGX_CHAT_KEYS_LEN];  /* what tells its request from
                                          others, where keyed is 1 */

    unsigned           keyed:1;
    unsigned           repeated:1;     /* set by the insert: the key was there,
                                          and id and times are those of what
                                          was stored then */
} ngx_chat_record_t;


/* Renders a record; with buf NULL it only counts.  Returns the length, or
   NGX_ERROR. */
typedef ssize_t (*ngx_chat_record_render_pt)(ngx_chat_record_t *rec,
    u_char *buf, size_t size);


/* Fills m with what clients see of a record.  The strings stay the record's. */
#define ngx_chat_record_message(rec, m)                                       \
    (m)->kind = (rec)->kind;                                                  \
    (m)->id = (rec)->id;                                                      \
    (m)->event = (rec)->event;                                                \
    (m)->content = (rec)->content;                                            \
    (m)->author = (rec)->author;                                              \
    (m)->created = (rec)->created;                                            \
    (m)->updated = (rec)->updated


/*
 * begin() waits for SQLite's write lock as long as the handle's timeout.
 * insert() gives the record its id and times.  Ids grow, and no id is used
 * twice.  Where the record has a key that is there already, also from the same
 * transaction, nothing is inserted, and the record is marked as repeated.
 * replicate() inserts a record with the id and times that it has; in place of
 * one that has that id already, or with fill set only where there is none.
 * commit() leaves no transaction behind, whatever it returns.
 * rollback() may be called at any time.
 */

#define ngx_chat_batch_begin(db)                                              \
    ngx_chat_db_run(db, NGX_CHAT_DB_WRITE_e)

ngx_int_t ngx_chat_batch_insert(ngx_chat_db_t *db, ngx_chat_record_t *rec,
    int64_t now);
ngx_int_t ngx_chat_batch_replicate(ngx_chat_db_t *db, ngx_chat_record_t *rec,
    ngx_uint_t fill);
ngx_int_t ngx_chat_batch_commit(ngx_chat_db_t *db);
void ngx_chat_batch_rollback(ngx_chat_db_t *db);


#endif /* _NGX_CHAT_BATCH_H_INCLUDED_ */
