
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What is to be removed: the oldest messages beyond an age, a number in each
 * channel, a size in all.  Pure; runs on a thread of nginx's thread pool.
 *
 * Looking is reading, and bounded; it needs no lock of ours.  What was found
 * is removed in one short transaction, with the write lock.  What is not
 * removed then is found again.
 */


#ifndef _NGX_CHAT_RETENTION_H_INCLUDED_
#define _NGX_CHAT_RETENTION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_db.h>
#include <wire/ngx_chat_hash.h>


#define NGX_CHAT_RETENTION_STEP     2048   /* most messages in one removal */
#define NGX_CHAT_RETENTION_SEEN     256    /* channels remembered */
#define NGX_CHAT_RETENTION_CHANNEL  255    /* longest name that is looked at */


/* 0: no limit; all 0: nothing is removed. */
typedef struct {
    int64_t            age;            /* ms */
    int64_t            count;          /* messages of a channel of an app */
    int64_t            size;           /* bytes of the file that are in use */
} ngx_chat_retention_limits_t;


/* A channel that had not too many when the highest id was this. */
typedef struct {
    uint64_t           hash;
    int64_t            id;
} ngx_chat_retention_seen_t;


/* Zeroed: looks at everything from the beginning. */

typedef struct {
    int64_t            ids[NGX_CHAT_RETENTION_STEP];    /* what was found */
    ngx_uint_t         n;
    int64_t            used;           /* >0: to be removed until no more
                                          bytes than these are in use */

    /* age: all up to expired may go; read is how far that was looked at */
    int64_t            expired;
    int64_t            read;

    /* count: first all channels, then those of ids above counted */
    ngx_uint_t         started;
    ngx_uint_t         passed;         /* all channels were looked at */
    int64_t            counted;
    int64_t            app;            /* the channel that is looked at */
    size_t             len;
    u_char             channel[NGX_CHAT_RETENTION_CHANNEL];
    int64_t            surplus;        /* its ids up to here are too many */
    ngx_chat_hash_key_t        key;
    ngx_chat_retention_seen_t  seen[NGX_CHAT_RETENTION_SEEN];
} ngx_chat_retention_t;


/*
 * Looks for what is beyond the limits; now is in ms since the epoch, until
 * the end of the looking by ngx_chat_clock_msec().  NGX_OK: it is in ids;
 * NGX_AGAIN: the time was over, look again; NGX_DONE: there is nothing;
 * NGX_BUSY, NGX_ERROR: db->error tells.
 */
ngx_int_t ngx_chat_retention_look(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db, int64_t now,
    uint64_t until);

/*
 * Removes what was found, oldest first, in one transaction, until the time
 * is over.  NGX_OK, with *removed; NGX_BUSY, NGX_ERROR.
 */
ngx_int_t ngx_chat_retention_remove(ngx_chat_retention_t *rt,
    ngx_chat_db_t *db, uint64_t until, ngx_uint_t *removed);


#endif /* _NGX_CHAT_RETENTION_H_INCLUDED_ */
