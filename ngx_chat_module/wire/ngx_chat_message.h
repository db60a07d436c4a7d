
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The message: the body that a client posts, read and checked, and the JSON
 * that clients get.  Pure.
 */


#ifndef _NGX_CHAT_MESSAGE_H_INCLUDED_
#define _NGX_CHAT_MESSAGE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_json.h>


/* "2026-01-31T09:30:00.123Z" */
#define NGX_CHAT_MESSAGE_TIME_LEN  24


typedef enum {
    NGX_CHAT_MESSAGE_POSTED_e = 0,     /* by a POST of a message */
    NGX_CHAT_MESSAGE_EVENT_e,          /* triggered by the HTTP API; content
                                          is the event's data */

    /* these are in the log of a cluster; no message is stored with such a
       kind */
    NGX_CHAT_MESSAGE_TRIGGER_e,        /* triggered by the HTTP API */
    NGX_CHAT_MESSAGE_CLIENT_e,         /* a client event; author is its user */
    NGX_CHAT_MESSAGE_TERMINATE_e,      /* ends the channel's subscribers */
    NGX_CHAT_MESSAGE_OLD_POSTED_e,     /* for nodes that may have missed it: a
                                          message that is not sent again, with
                                          its id and time as socket id; stored
                                          there as the kind that it was */
    NGX_CHAT_MESSAGE_OLD_EVENT_e,

    /* what a node announces: for the registry, nothing is stored of it */
    NGX_CHAT_MESSAGE_CHANNEL_e,        /* what a node has of a channel */
    NGX_CHAT_MESSAGE_MEMBER_e,         /* whether it has a member */
    NGX_CHAT_MESSAGE_GONE_e,           /* the node, whose incarnation is the
                                          channel's name, is gone */

    /* of webhooks: the channel is NGX_CHAT_HOOK_CHANNEL */
    NGX_CHAT_MESSAGE_HOOK_e,           /* content is a record of a node, see
                                          ngx_chat_hook_record.h */
    NGX_CHAT_MESSAGE_BOOKS_e,          /* content is what has changed in the
                                          tables of webhooks, see
                                          store/ngx_chat_books.h */
    NGX_CHAT_MESSAGE_BOOKS_ALL_e,      /* content is all that they have, for
                                          nodes that lack some of it */
    NGX_CHAT_MESSAGE_KINDS_e
} ngx_chat_message_kind_e;


#define ngx_chat_message_is_old(kind)                                         \
    ((kind) == NGX_CHAT_MESSAGE_OLD_POSTED_e                                  \
     || (kind) == NGX_CHAT_MESSAGE_OLD_EVENT_e)

#define ngx_chat_message_is_stored(kind)                                      \
    ((kind) <= NGX_CHAT_MESSAGE_EVENT_e)

#define ngx_chat_message_is_books(kind)                                       \
    ((kind) == NGX_CHAT_MESSAGE_BOOKS_e                                       \
     || (kind) == NGX_CHAT_MESSAGE_BOOKS_ALL_e)

#define ngx_chat_message_is_announced(kind)                                   \
    ((kind) >= NGX_CHAT_MESSAGE_CHANNEL_e                                     \
     && (kind) <= NGX_CHAT_MESSAGE_GONE_e)


typedef struct {
    ngx_uint_t         kind;
    uint64_t           id;
    ngx_str_t          event;          /* shown of an event only */
    ngx_str_t          content;
    ngx_str_t          author;         /* len 0: none, the member is left out */
    int64_t            created;        /* milliseconds since the epoch, UTC */
    int64_t            updated;
} ngx_chat_message_t;


/* What a POST carried. */
typedef struct {
    ngx_str_t          content;        /* valid after NGX_OK */
    ngx_str_t          socket_id;      /* data is NULL: not given, or not a
                                          string */
    const char        *error;          /* after NGX_DECLINED: text for a 400 */

    unsigned           blank:1;        /* content missing, null, blank, or
                                          not a string: a 422 */
} ngx_chat_message_post_t;


/*
 * Reads a body.  NGX_OK (then test post->blank), NGX_DECLINED with
 * post->error set (not JSON, not an object, not UTF-8), NGX_ERROR (alloc()
 * failed).  j has alloc and ctx set.  Unknown members and fields are ignored.
 * Of a form's doubled fields the last one counts, and a broken %-escape is an
 * error.
 */
ngx_int_t ngx_chat_message_read_json(ngx_chat_message_post_t *post,
    ngx_chat_json_t *j, u_char *body, size_t len);
ngx_int_t ngx_chat_message_read_form(ngx_chat_message_post_t *post,
    ngx_chat_json_t *j, u_char *body, size_t len);

/* 1 where the text is empty or all Unicode white space (Rails' blank?). */
ngx_uint_t ngx_chat_message_is_blank(u_char *p, size_t len);

/*
 * The JSON form: id, content, author where there is one, created_at,
 * updated_at; of an event id, event, data, created_at.  With buf == NULL only
 * counts.  The length, or NGX_ERROR.
 */
ssize_t ngx_chat_message_render(ngx_chat_message_t *m, u_char *buf,
    size_t size);

/* Writes NGX_CHAT_MESSAGE_TIME_LEN bytes, returns the end. */
u_char *ngx_chat_message_write_time(u_char *p, int64_t ms);


#endif /* _NGX_CHAT_MESSAGE_H_INCLUDED_ */
