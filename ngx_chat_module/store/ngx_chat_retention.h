
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What chat_retention removes: messages beyond an age, beyond a number in each
 * channel, beyond a size of all.  The oldest go first.  Pure.  It runs on a
 * thread of nginx's thread pool.
 *
 * look() only reads, for a limited time, and needs no write lock.  remove()
 * needs it, and removes what look() has found in one short transaction.  The
 * next look() finds again what is left of it.
 */


#ifndef _NGX_CHAT_RETENTION_H_INCLUDED_
#define _NGX_CHAT_RETENTION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_db.h>


#define NGX_CHAT_RETENTION_STEP     2048   /* most messages in one removal */
#define NGX_CHAT_RETENTION_CHANNEL  255    /* longest name of a channel */


/* 0: no limit; all 0: nothing is removed. */
typedef struct {
    int64_t            age;            /* ms */
    int64_t            count;          /* messages of a channel of an app */
    int64_t            size;           /* bytes of the file that are in use */
} ngx_chat_retention_limits_t;


/* Zeroed, it looks at everything from the beginning. */

typedef struct {
    int64_t            ids[NGX_CHAT_RETENTION_STEP];    /* what was found */
    ngx_uint_t         n;
    int64_t            used;           /* remove only until no more bytes
                                          are in use than these; 0: all */

    /* age */
    int64_t            expired;        /* ids up to this may go */
    int64_t            read;           /* ids up to this were looked at */

    /* number: a round visits the channels of some ids */
    int64_t            above;          /* ids above this; 0: first round */
    int64_t            upto;           /* ids up to this; 0: no round yet */
    int64_t            app;            /* the channel that is visited */
    ngx_str_t          channel;
    u_char             name[NGX_CHAT_RETENTION_CHANNEL];
} ngx_chat_retention_t;


/*
 * Looks for what is beyond the limits.  now is in ms since the epoch; until is
 * when to stop, by ngx_chat_clock_msec().  NGX_OK: ids has some; NGX_AGAIN:
 * the time is over, look again; NGX_DONE: there is nothing; NGX_BUSY,
 * NGX_ERROR: db->error tells.
 */
ngx_int_t ngx_chat_retention_look(ngx_chat_retention_t *rt,
    ngx_chat_retention_limits_t *limits, ngx_chat_db_t *db, int64_t now,
    uint64_t until);

/*
 * Removes what look() has found, in one transaction, until the time is over,
 * but one at least.  NGX_OK, NGX_BUSY, NGX_ERROR.
 */
ngx_int_t ngx_chat_retention_remove(ngx_chat_retention_t *rt,
    ngx_chat_db_t *db, uint64_t until, ngx_uint_t *removed);


#endif /* _NGX_CHAT_RETENTION_H_INCLUDED_ */
