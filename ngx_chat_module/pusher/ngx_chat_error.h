
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Error and close codes with their texts (Pusher protocol, sections 1.4 and
 * 2.5; RFC 6455, section 7.4).  Pure.
 */


#ifndef _NGX_CHAT_ERROR_H_INCLUDED_
#define _NGX_CHAT_ERROR_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_CHAT_CLOSE_NORMAL        1000
#define NGX_CHAT_CLOSE_GOING_AWAY    1001
#define NGX_CHAT_CLOSE_PROTOCOL      1002
#define NGX_CHAT_CLOSE_UNSUPPORTED   1003
#define NGX_CHAT_CLOSE_NO_STATUS     1005  /* never on the wire */
#define NGX_CHAT_CLOSE_NOT_UTF8      1007
#define NGX_CHAT_CLOSE_TOO_BIG       1009
#define NGX_CHAT_CLOSE_INTERNAL      1011

#define NGX_CHAT_ERROR_TLS_ONLY      4000
#define NGX_CHAT_ERROR_UNKNOWN_KEY   4001
#define NGX_CHAT_ERROR_DISABLED      4003
#define NGX_CHAT_ERROR_QUOTA         4004
#define NGX_CHAT_ERROR_PATH          4005
#define NGX_CHAT_ERROR_VERSION       4006
#define NGX_CHAT_ERROR_PROTOCOL      4007
#define NGX_CHAT_ERROR_NO_PROTOCOL   4008
#define NGX_CHAT_ERROR_UNAUTHORIZED  4009
#define NGX_CHAT_ERROR_TERMINATED    4009  /* the same to clients: go, and
                                              don't come back */
#define NGX_CHAT_ERROR_CAPACITY      4100
#define NGX_CHAT_ERROR_RECONNECT     4200
#define NGX_CHAT_ERROR_NO_PONG       4201
#define NGX_CHAT_ERROR_INACTIVE      4202

/* in a frame, never a close code */
#define NGX_CHAT_ERROR_EVENT_RATE    4301
#define NGX_CHAT_ERROR_WATCHLIST     4302

/*
 * Why a command was refused.  The connection stays open, and the code is null.
 * "%s" stands for the channel, and in the last texts for the event, for what
 * was to be signed, for the key, and for the reader's error.
 */
#define NGX_CHAT_ERROR_CHANNEL_NAME                                           \
    "Invalid channel name '%s'"
#define NGX_CHAT_ERROR_TOKEN                                                  \
    "What follows the key behind ';' must be a token of 16 to 64 letters, "   \
    "digits, '-' and '_'"
#define NGX_CHAT_ERROR_SUBSCRIBED                                             \
    "Existing subscription to channel %s"
#define NGX_CHAT_ERROR_NOT_SUBSCRIBED                                         \
    "No current subscription to channel %s, or subscription in progress"
#define NGX_CHAT_ERROR_OVER_CAPACITY                                          \
    "Server is over capacity for channel %s (chat_zone)"
#define NGX_CHAT_ERROR_NOT_OWN                                                \
    "Channel %s is not that of the signed-in user"
#define NGX_CHAT_ERROR_CHANNELS                                               \
    "Connection has too many channels to subscribe to %s "                     \
    "(channels_per_connection)"
#define NGX_CHAT_ERROR_MEMBERS                                                \
    "Channel %s has reached its maximum number of members "                   \
    "(presence_members)"
#define NGX_CHAT_ERROR_SIGNIN_DATA                                            \
    "Missing parameter: data.user"
#define NGX_CHAT_ERROR_CLIENT_EVENT                                           \
    "Invalid client event (must contain channel and data)"
#define NGX_CHAT_ERROR_CLIENT_EVENT_CHANNEL                                   \
    "Cannot broadcast client event (connection not subscribed to channel %s)"
#define NGX_CHAT_ERROR_CLIENT_EVENTS_OFF                                      \
    "To send client events, you must enable this feature in the Settings "    \
    "page of your dashboard. (Here: \"client_events on;\" in the chat_app.)"
#define NGX_CHAT_ERROR_UNSUPPORTED                                            \
    "Unsupported event received on socket: '%s'"
#define NGX_CHAT_ERROR_SIGNATURE                                              \
    "Invalid signature: Expected HMAC SHA256 hex digest of %s"
#define NGX_CHAT_ERROR_AUTH_KEY                                               \
    "Invalid key in subscription auth data: '%s'"
#define NGX_CHAT_ERROR_MESSAGE                                                \
    "Invalid message: %s"

/* The text of NGX_CHAT_ERROR_TERMINATED. */
#define NGX_CHAT_ERROR_TERMINATED_TEXT                                        \
    "Connection terminated by app"

#define NGX_CHAT_ERROR_TEXT_MAX      512   /* longest message, truncated */
#define NGX_CHAT_CLOSE_REASON_MAX    123


/*
 * The text of a fatal error, a constant; "" for a code without a text.  "%s"
 * in it stands for what the client named (the app key for 4001).
 */
const char *ngx_chat_error_text(ngx_uint_t code);

/*
 * Writes format into buf, with its one "%s" (if any) replaced by arg, cut at
 * size bytes and never inside a UTF-8 character.  A byte of arg that is not
 * UTF-8 becomes '?'.  Returns the length.
 */
size_t ngx_chat_error_format(u_char *buf, size_t size, const char *format,
    ngx_str_t *arg);

/*
 * The length of the part of a reason that fits into a close frame.  It ends
 * between characters, and before the first byte that is not UTF-8.
 */
size_t ngx_chat_error_reason_len(u_char *reason, size_t len);


#endif /* _NGX_CHAT_ERROR_H_INCLUDED_ */
