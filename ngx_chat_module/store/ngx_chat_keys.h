
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Idempotency keys of what is stored.  A key is kept beside the message, by
 * the same transaction: so it is known exactly if the message was stored, and
 * as long as the database lasts, whatever dies meanwhile.  Pure.  It runs on a
 * thread of nginx's thread pool.
 */


#ifndef _NGX_CHAT_KEYS_H_INCLUDED_
#define _NGX_CHAT_KEYS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_db.h>


#define NGX_CHAT_KEYS_LEN  16          /* bytes of a key */
#define NGX_CHAT_KEYS_AGE  600000      /* ms for which a key is kept */


/*
 * Times are in ms since the epoch.  A key counts where its time differs from
 * now by NGX_CHAT_KEYS_AGE at most.  So one from a time when the clock was
 * ahead does not stay for ever.
 */

/*
 * In a transaction: looks for a key.  NGX_OK: *id and *created are those of the
 * message that was stored with it; NGX_DECLINED: it is not there; NGX_BUSY,
 * NGX_ERROR.
 */
ngx_int_t ngx_chat_keys_find(ngx_chat_db_t *db, u_char *key, int64_t now,
    uint64_t *id, int64_t *created);

/* In the same transaction: keeps it.  NGX_OK, NGX_BUSY, NGX_ERROR. */
ngx_int_t ngx_chat_keys_add(ngx_chat_db_t *db, u_char *key, uint64_t id,
    int64_t created);

/*
 * Reads whether the oldest key may go.  NGX_OK: it may; NGX_DONE: nothing may;
 * NGX_BUSY, NGX_ERROR.
 */
ngx_int_t ngx_chat_keys_look(ngx_chat_db_t *db, int64_t now);

/*
 * With the write lock, and in a transaction of its own: removes some of the
 * oldest keys, those that may go.  NGX_OK, NGX_BUSY, NGX_ERROR.
 */
ngx_int_t ngx_chat_keys_remove(ngx_chat_db_t *db, int64_t now);


#endif /* _NGX_CHAT_KEYS_H_INCLUDED_ */
