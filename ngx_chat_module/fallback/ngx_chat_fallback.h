
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A session of pusher-js without WebSocket (Pusher protocol, section 8).  It
 * lives in the worker that got its first request.  Used by the event loop only.
 *
 * What the session sends waits in its outbox, as the frames of a WebSocket, and
 * leaves as lines by a carrier: a connection from a request that receives (see
 * ngx_chat_door.h).  Carriers come and go.  Where there is none, the outbox
 * keeps what comes, and bounds it.
 */


#ifndef _NGX_CHAT_FALLBACK_H_INCLUDED_
#define _NGX_CHAT_FALLBACK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <session/ngx_chat_session.h>
#include <wire/ngx_chat_line.h>


typedef struct ngx_chat_fallback_s  ngx_chat_fallback_t;


#define NGX_CHAT_FALLBACK_AWAY   10000     /* ms without a carrier */
#define NGX_CHAT_FALLBACK_BEAT   25000     /* ms between heartbeats */
#define NGX_CHAT_FALLBACK_SENDS  16
#define NGX_CHAT_FALLBACK_CLOSE  5000      /* ms to take the last lines */


struct ngx_chat_fallback_s {
    ngx_chat_session_t           session;      /* first */

    ngx_rbtree_node_t            node;         /* the key is the name */
    uint64_t                     origin;
    ngx_chat_slot_channel_sh_t  *place;        /* in the registry */
    ngx_atomic_uint_t            generation;   /* of the place */

    ngx_connection_t             connection;   /* without a socket */
    ngx_event_t                  read;
    ngx_event_t                  write;
    ngx_event_t                  timer;
    ngx_log_t                    log;
    ngx_str_t                    addr;

    ngx_connection_t            *carrier;      /* NULL: there is none */
    u_char                      *lines;        /* under way; NULL: none are */
    size_t                       len;          /* of lines */
    size_t                       sent;         /* of these */
    size_t                       units;        /* of the last answer */
    uint64_t                     attempt;      /* the request of that */
    uint64_t                     sends[NGX_CHAT_FALLBACK_SENDS];  /* the last
                                                  requests that have sent */
    ngx_uint_t                   nsends;

    ngx_queue_t                  waits;        /* see wait() */
    ngx_uint_t                   nwaits;
    ngx_uint_t                   code;         /* of the Close frame */

    unsigned                     started:1;
    unsigned                     opened:1;     /* the first line is made */
    unsigned                     polling:1;    /* the carrier takes a batch */
    unsigned                     asked:1;      /* by a heartbeat */
    unsigned                     heard:1;      /* of the client, since then */
    unsigned                     leaving:1;    /* the Close frame is queued */
    unsigned                     ended:1;
};


/* Who opens a session. */

typedef struct {
    ngx_chat_app_t              *app;
    ngx_str_t                   *token;        /* or NULL */
    uint64_t                     name;
    uint64_t                     origin;
    ngx_str_t                   *addr;         /* the client's, for the log */
    ngx_log_t                   *log;          /* of the location */
    ngx_chat_session_conf_t     *conf;
} ngx_chat_fallback_client_t;


/* A client's messages that wait until the client has read what it is owed. */

typedef struct {
    ngx_queue_t                  queue;
    ngx_event_t                 *event;        /* posted then */
    ngx_chat_fallback_t         *session;      /* NULL: it does not wait */
} ngx_chat_fallback_wait_t;


/* The carrier's answer takes no more lines. */
#define ngx_chat_fallback_is_full(f)  ((f)->units > NGX_CHAT_LINE_UNITS)


extern ngx_chat_transport_t  ngx_chat_fallback_transport;


/*
 * Opens a session, which waits for its first carrier.  NGX_OK; NGX_AGAIN:
 * another worker has done so just now; else the Pusher code to refuse the
 * client with.
 */
ngx_int_t ngx_chat_fallback_open(ngx_chat_sessions_t *w,
    ngx_chat_fallback_client_t *client);

/* The worker where a session lives, or NULL.  Takes the zone's lock. */
ngx_chat_slot_sh_t *ngx_chat_fallback_slot(ngx_chat_zone_t *zone,
    uint64_t app, uint64_t name, ngx_pool_t *pool);

/* This worker's session of that name and origin, or NULL. */
ngx_chat_fallback_t *ngx_chat_fallback_find(uint64_t name, uint64_t origin,
    ngx_log_t *log);

/*
 * Browsers repeat a request by themselves where the connection breaks before
 * they have an answer, POST included.  is_lost() is 1 where an answer to it was
 * written already: the session can't go on.  is_repeated() is 1 where its
 * messages were taken already, and remembers it else.
 */
ngx_uint_t ngx_chat_fallback_is_lost(ngx_chat_fallback_t *f,
    uint64_t attempt);
ngx_uint_t ngx_chat_fallback_is_repeated(ngx_chat_fallback_t *f,
    uint64_t attempt);

/*
 * Gives the session a carrier, which takes the place of the one it has, and
 * belongs to the session from now on; polling: for one batch of lines.  f may
 * be freed.
 */
void ngx_chat_fallback_carry(ngx_chat_fallback_t *f, ngx_connection_t *c,
    ngx_uint_t polling, uint64_t attempt);

/*
 * Takes messages of the client, each behind its length, a uint32_t.  NGX_OK;
 * NGX_AGAIN: from *pos on they are to be given later, where the client owes
 * reading see wait(), else in the next turn of the event loop; NGX_DECLINED:
 * the session ends.
 */
ngx_int_t ngx_chat_fallback_take(ngx_chat_fallback_t *f, u_char **pos,
    u_char *last);

/* 1 where the client has to read before take() takes more. */
#define ngx_chat_fallback_owes(f)                                             \
    ngx_chat_outbox_owes(&(f)->session.outbox, (f)->session.conf->send_buffer)

/*
 * Has w->event posted when the session takes messages again, or has ended.
 * NGX_OK, or NGX_BUSY: too many wait already.
 */
ngx_int_t ngx_chat_fallback_wait(ngx_chat_fallback_t *f,
    ngx_chat_fallback_wait_t *w);
void ngx_chat_fallback_unwait(ngx_chat_fallback_wait_t *w);

/* Posts the events of all that wait; they look for the session again. */
void ngx_chat_fallback_resume(ngx_chat_fallback_t *f);

/* Asks the client for a sign, unless it has to read first. */
void ngx_chat_fallback_beat(ngx_chat_fallback_t *f);

/* Sends what the carrier takes; may free f.  And a handler that does so. */
void ngx_chat_fallback_flush(ngx_chat_fallback_t *f);
void ngx_chat_fallback_flush_handler(ngx_event_t *ev);

/* Of the session's connection. */
ngx_chain_t *ngx_chat_fallback_send_chain(ngx_connection_t *c,
    ngx_chain_t *in, off_t limit);

/* Of the transport; close() may free the session, finish() does. */
void ngx_chat_fallback_close(ngx_chat_session_t *s, ngx_uint_t code,
    ngx_str_t *reason);
void ngx_chat_fallback_ping(ngx_chat_session_t *s, ngx_str_t *text);
void ngx_chat_fallback_finish(ngx_chat_fallback_t *f);

/* Ends all sessions of this worker at once. */
void ngx_chat_fallback_shut(void);

/* Nobody finds the session any more. */
void ngx_chat_fallback_forget(ngx_chat_fallback_t *f, ngx_chat_hub_t *hub);


#endif /* _NGX_CHAT_FALLBACK_H_INCLUDED_ */
