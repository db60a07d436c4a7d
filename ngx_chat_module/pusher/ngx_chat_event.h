
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Server to client events, rendered (Pusher protocol, section 2.2).  Pure.
 *
 * Each function writes the JSON text of one event into buf and returns its
 * length, or NGX_ERROR; with buf == NULL it only counts.
 */


#ifndef _NGX_CHAT_EVENT_H_INCLUDED_
#define _NGX_CHAT_EVENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <wire/ngx_chat_envelope.h>
#include <wire/ngx_chat_json.h>


/* A member of a presence channel; info is the JSON text of an object. */
typedef struct {
    ngx_str_t          id;
    ngx_str_t          info;           /* len 0: none */
} ngx_chat_event_member_t;


/* {"event":E,"channel":C,"data":"…"}; channel NULL is left out. */
ssize_t ngx_chat_event_render(u_char *buf, size_t size, ngx_str_t *event,
    ngx_str_t *channel, ngx_str_t *data);

/*
 * pusher:connection_established; timeout in seconds, and how long the client
 * may be away, 0: it has no token.
 */
ssize_t ngx_chat_event_render_established(u_char *buf, size_t size,
    ngx_chat_socket_id_t *id, ngx_uint_t timeout, ngx_uint_t recovery);

/*
 * pusher_internal:subscription_succeeded of all but presence channels.
 * recovered is 1 or 0, or -1 where the client has no token.
 */
ssize_t ngx_chat_event_render_succeeded(u_char *buf, size_t size,
    ngx_str_t *channel, ngx_int_t recovered);

/*
 * pusher:recovery, of a channel: from, an opaque text, and the number of missed
 * events that follow; from NULL: it has not recovered.
 */
ssize_t ngx_chat_event_render_recovery(u_char *buf, size_t size,
    ngx_str_t *channel, ngx_str_t *from, ngx_uint_t missed);

/* pusher:ping, with an opaque text. */
ssize_t ngx_chat_event_render_ping(u_char *buf, size_t size, ngx_str_t *at);

/* pusher:error, data an object; code 0 becomes null. */
ssize_t ngx_chat_event_render_error(u_char *buf, size_t size,
    ngx_uint_t code, ngx_str_t *message);

/*
 * pusher:subscription_error on a channel, data an object:
 * {"type":T,"error":S,"status":N}.
 */
ssize_t ngx_chat_event_render_subscription_error(u_char *buf, size_t size,
    ngx_str_t *channel, const char *type, ngx_str_t *error,
    ngx_uint_t status);

/*
 * pusher_internal:subscription_succeeded of a presence channel: count, ids
 * and hash of n members.  Their ids must be distinct.  recovered as above.
 */
ssize_t ngx_chat_event_render_presence_succeeded(u_char *buf, size_t size,
    ngx_str_t *channel, ngx_int_t recovered, ngx_chat_event_member_t *members,
    ngx_uint_t n);

/* pusher_internal:member_added; info as in ngx_chat_event_member_t. */
ssize_t ngx_chat_event_render_member_added(u_char *buf, size_t size,
    ngx_str_t *channel, ngx_str_t *id, ngx_str_t *info);

/* pusher_internal:member_removed. */
ssize_t ngx_chat_event_render_member_removed(u_char *buf, size_t size,
    ngx_str_t *channel, ngx_str_t *id);

/* pusher_internal:subscription_count. */
ssize_t ngx_chat_event_render_subscription_count(u_char *buf, size_t size,
    ngx_str_t *channel, ngx_uint_t count);

/* pusher:cache_miss. */
ssize_t ngx_chat_event_render_cache_miss(u_char *buf, size_t size,
    ngx_str_t *channel);

/* pusher:signin_success, data an object: {"user_data":S}. */
ssize_t ngx_chat_event_render_signin_success(u_char *buf, size_t size,
    ngx_str_t *user_data);

/*
 * pusher_internal:watchlist_events, without a channel; a list without ids is
 * left out.
 */
ssize_t ngx_chat_event_render_watchlist(u_char *buf, size_t size,
    ngx_str_t *online, ngx_uint_t nonline, ngx_str_t *offline,
    ngx_uint_t noffline);

/*
 * A client event: {"event":E,"channel":C,"data":"…","user_id":U}; user_id
 * NULL is left out.
 */
ssize_t ngx_chat_event_render_client_event(u_char *buf, size_t size,
    ngx_str_t *event, ngx_str_t *channel, ngx_str_t *data,
    ngx_str_t *user_id);

/*
 * A value as the data of an event: a string as it is, any other value as
 * compact JSON in memory from j->alloc().  NGX_OK, or NGX_ERROR where
 * j->alloc() failed.
 */
ngx_int_t ngx_chat_event_data_text(ngx_chat_json_t *j,
    ngx_chat_json_value_t *value, ngx_str_t *text);


#endif /* _NGX_CHAT_EVENT_H_INCLUDED_ */
