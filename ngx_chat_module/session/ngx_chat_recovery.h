
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Recovery: a client that has given a token gets what it missed.
 *
 * What has to outlive the connection is in the zone, see ngx_chat_token.h.
 * Here is what a worker knows of a connection with a token: whether the client
 * has been asked what it has, and what is sent again when it comes back.
 * Used by the event loop only.
 */


#ifndef _NGX_CHAT_RECOVERY_H_INCLUDED_
#define _NGX_CHAT_RECOVERY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <session/ngx_chat_replay.h>
#include <shared/ngx_chat_token.h>


typedef struct ngx_chat_recall_s  ngx_chat_recall_t;


/* A session's part, in memory of its own.  It may outlive the session. */

struct ngx_chat_recovery_s {
    ngx_queue_t              queue;        /* of those that are to be asked */
    ngx_chat_session_t      *session;      /* NULL: has ended */
    uint64_t                 digest;       /* of the token */
    uint64_t                 owner;        /* the session's, of the token */
    ngx_chat_ring_place_t    asked;        /* what the last ping is behind */
    ngx_chat_recall_t       *recalls;      /* see ngx_chat_recall.h */
    uint32_t                 since;        /* ms: while a ping is out, when it
                                              left; else when the last pong
                                              came, or asking was put off */
    unsigned                 bytes:24;     /* delivered since the last ping,
                                              up to a bound */
    unsigned                 pings:5;      /* that are out */
    unsigned                 is_due:1;     /* in the queue */
    unsigned                 is_expired:1; /* it came back too late */
    unsigned                 is_parting:1; /* ends when the client has
                                              answered, and gets no more
                                              events */
};


/* As ngx_chat_event_render_succeeded() wants it. */
#define ngx_chat_recovery_told(result)                                        \
    ((result)->token ? (ngx_int_t) (result)->recovered : -1)


/*
 * To be called between a session's open() and greet().  token is the client's,
 * or NULL.  The socket id gets the same first part for all connections with
 * the token.  Where the zone is full the client is told that nothing is
 * recovered.
 */
void ngx_chat_recovery_open(ngx_chat_session_t *s, ngx_str_t *token);

/*
 * From where a channel has to be sent again to the session, which has a token.
 * Returns what ngx_chat_token_floor() does.
 */
ngx_int_t ngx_chat_recovery_floor(ngx_chat_session_t *s, ngx_str_t *channel,
    ngx_chat_ring_place_t *from);

/*
 * The session has subscribed by j: finds what was missed.  history is what was
 * read of it, or NULL.  The caller sends what was found by
 * ngx_chat_recovery_send(), behind its own answer.
 */
void ngx_chat_recovery_subscribed(ngx_chat_session_t *s,
    ngx_chat_registry_join_t *j, ngx_chat_replay_history_t *history,
    ngx_chat_replay_t *result);
void ngx_chat_recovery_send(ngx_chat_session_t *s, ngx_str_t *channel,
    ngx_chat_replay_t *result);

void ngx_chat_recovery_unsubscribed(ngx_chat_session_t *s,
    ngx_str_t *channel);

/* len bytes of events are given to the session. */
void ngx_chat_recovery_delivered(ngx_chat_session_t *s, size_t len);

/*
 * The client has sent something, and no Close frame with it: what was on its
 * way for long, to a connection that the client has given up, ends with one.
 */
void ngx_chat_recovery_used(ngx_chat_session_t *s);

/*
 * The client has answered a ping.  text is what the answer repeats of it, and
 * NULL where the answer has none.
 */
void ngx_chat_recovery_pong(ngx_chat_session_t *s, ngx_str_t *text);

/*
 * The worker leaves: asks the client once more, and ends the session when it
 * has answered, or a second later.  NGX_DECLINED: there is nothing to ask for,
 * the session may end at once.
 */
ngx_int_t ngx_chat_recovery_part(ngx_chat_session_t *s);

/*
 * The session ends.  The transport calls it before the client can know, since
 * the client may come back at once.  May be called twice.
 */
void ngx_chat_recovery_end(ngx_chat_session_t *s);

/*
 * Takes the session's part from it, after end().  NULL: there is none, or it
 * is freed, since the client's Close frame would tell nothing.
 */
ngx_chat_recovery_t *ngx_chat_recovery_detach(ngx_chat_session_t *s);

/* The client has answered our Close frame by its own. */
void ngx_chat_recovery_closed(ngx_chat_recovery_t *r);

void ngx_chat_recovery_free(ngx_chat_recovery_t *r);

/* To be called from time to time: asks the clients whose time has come. */
void ngx_chat_recovery_tick(ngx_chat_sessions_t *w);


#endif /* _NGX_CHAT_RECOVERY_H_INCLUDED_ */
