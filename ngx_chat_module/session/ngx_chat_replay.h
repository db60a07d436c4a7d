
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What is sent again to a client that comes back: events of the ring, or
 * messages of the history and what is newer in the ring.  Used by the event
 * loop only.
 */


#ifndef _NGX_CHAT_REPLAY_H_INCLUDED_
#define _NGX_CHAT_REPLAY_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <session/ngx_chat_session.h>


#define NGX_CHAT_REPLAY_MAX  1000          /* events */


/* Messages that were read of the history. */

typedef struct {
    uint64_t                 position;     /* in the ring: what it had before
                                              is among them */
    ngx_str_t                events;       /* frames, one behind the other */
    ngx_uint_t               n;            /* of them */
    ngx_uint_t               failed;       /* 1: they can't be had, or are too
                                              many */
} ngx_chat_replay_history_t;


/* What a subscription is told of the events before it. */

typedef struct {
    unsigned                 token:1;      /* the session has one */
    unsigned                 recovered:1;
    ngx_uint_t               missed;       /* events sent again */
    ngx_chat_ring_place_t    from;         /* where these begin */
    ngx_chat_buf_t          *events;       /* NULL: none */
} ngx_chat_replay_t;


/*
 * Finds the missed events of the channel that j has subscribed to, from
 * result->from on, and puts them into result->events, one behind the other.
 * history is what was read of it, or NULL.  Returns the counter of how it went:
 * NGX_CHAT_RECOVERY_RING_e and NGX_CHAT_RECOVERY_HISTORY_e are success.
 */
ngx_uint_t ngx_chat_replay_find(ngx_chat_session_t *s,
    ngx_chat_registry_join_t *j, ngx_chat_replay_history_t *history,
    ngx_chat_replay_t *result);

/* Frees what the worker keeps. */
void ngx_chat_replay_exit(void);


#endif /* _NGX_CHAT_REPLAY_H_INCLUDED_ */
