
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Pages of a channel's messages.  Pure.  It runs on a thread of nginx's thread
 * pool.
 */


#ifndef _NGX_CHAT_HISTORY_H_INCLUDED_
#define _NGX_CHAT_HISTORY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <store/ngx_chat_batch.h>


typedef enum {
    NGX_CHAT_HISTORY_NEWEST_e = 0,     /* the newest */
    NGX_CHAT_HISTORY_AFTER_e,          /* the first that follow id */
    NGX_CHAT_HISTORY_BEFORE_e,         /* the last that precede id */
    NGX_CHAT_HISTORY_DEAD_e            /* the same of the events that the app's
                                          webhooks have given up */
} ngx_chat_history_from_e;


/*
 * Takes one message, whose strings are valid during the call only.  NGX_OK;
 * NGX_DONE: the page is full, the message was not taken; NGX_ABORT: nobody
 * wants the page any more; NGX_ERROR.  The last three end the reading.
 */
typedef ngx_int_t (*ngx_chat_history_row_pt)(void *data,
    ngx_chat_record_t *rec);


typedef struct {
    uint64_t                  app;
    ngx_str_t                 channel;
    ngx_chat_history_from_e   from;
    uint64_t                  id;
    ngx_uint_t                limit;   /* 1.. */
    uint64_t                  to;      /* of AFTER: the last id; 0: none is */
    ngx_uint_t                with_highest;
    ngx_uint_t                stale;   /* in a cluster: rather what is here
                                          than nothing */
    ngx_chat_history_row_pt   row;
    void                     *data;

    /* set by the reading */
    uint64_t                  first;   /* 0: the page is empty */
    uint64_t                  last;
    ngx_uint_t                more_before;
    ngx_uint_t                more_after;
    ngx_uint_t                is_full; /* row() took no more */
    uint64_t                  highest; /* id in any channel, where that is
                                          asked for */
} ngx_chat_history_t;


/*
 * Reads a page in one read transaction.  row() gets the messages of AFTER
 * oldest first, those of NEWEST and BEFORE newest first.  first and last are
 * the lowest and the highest id that row() took.  more_before and more_after
 * tell whether the channel has messages below and above them; for an empty
 * page, whether it has messages up to id, and from id on.  DEAD is like BEFORE,
 * for all channels: a record's channel is the webhook's URL, its content the
 * event's JSON, its author the error, its kind the number of tries, its second
 * time that of the giving up.  more_after is 0.  NGX_OK, NGX_BUSY,
 * NGX_ERROR, and NGX_ABORT where row() gave that.  Where row() failed,
 * db->error is empty.
 */
ngx_int_t ngx_chat_history_read(ngx_chat_db_t *db, ngx_chat_history_t *h);

/* Reads the messages of all channels above an id, in the order of ids. */
ngx_int_t ngx_chat_history_since(ngx_chat_db_t *db, uint64_t id,
    ngx_chat_history_row_pt row, void *data);


#endif /* _NGX_CHAT_HISTORY_H_INCLUDED_ */
