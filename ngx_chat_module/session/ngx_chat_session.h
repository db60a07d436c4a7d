
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A session: one client, whatever the transport.  Used by the event loop only.
 *
 * The transport owns the session's memory.  It opens the session, hands it the
 * client's messages, and ends it exactly once.  Where the session itself has to
 * end, it calls the transport's close() or abort(), which may free the session
 * before they return.
 */


#ifndef _NGX_CHAT_SESSION_H_INCLUDED_
#define _NGX_CHAT_SESSION_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <fanout/ngx_chat_hub.h>
#include <pusher/ngx_chat_app.h>
#include <session/ngx_chat_outbox.h>
#include <store/ngx_chat_store.h>
#include <wire/ngx_chat_frame.h>
#include <wire/ngx_chat_json.h>


typedef struct ngx_chat_session_s  ngx_chat_session_t;
typedef struct ngx_chat_sessions_s  ngx_chat_sessions_t;
typedef struct ngx_chat_recovery_s  ngx_chat_recovery_t;


/* most client events in a second */
#define NGX_CHAT_SESSION_EVENTS  10

/* the largest number of a socket id */
#define NGX_CHAT_SESSION_IDS     9999999999


typedef struct {
    size_t                   send_buffer;  /* most bytes queued */
    ngx_msec_t               activity_timeout;
    size_t                   data_max;     /* of a client event */
    time_t                   recovery;     /* s that a client with a token may
                                              be away; 0: none recovers */
} ngx_chat_session_conf_t;


/* The signed-in user, in one block of memory with its strings. */

typedef struct {
    ngx_str_t                id;
    ngx_str_t                info;         /* JSON text; len 0: none */
} ngx_chat_session_user_t;


typedef struct {
    /*
     * Sends a close frame with code and reason, which may be empty, and ends
     * the connection in good order.
     */
    void  (*close)(ngx_chat_session_t *s, ngx_uint_t code,
                   ngx_str_t *reason);

    /* The connection is broken. */
    void  (*abort)(ngx_chat_session_t *s);

    /*
     * Asks the client's transport for a sign, with an opaque text; when it
     * comes, ngx_chat_recovery_pong() is called.
     */
    void  (*ping)(ngx_chat_session_t *s, ngx_str_t *text);

    /*
     * For a reader: its channels have events in the ring.  Called in the midst
     * of a delivery, so it ends nothing.
     */
    void  (*wake)(ngx_chat_session_t *s);

    /* what the client sends may be lost, without an end of the session */
    ngx_uint_t  is_lossy;
} ngx_chat_transport_t;


/*
 * A delivery uses one piece of 32 bytes, from the subscriber's id to the
 * outbox's unsaid.  With thousands of subscribers, each further line of the
 * processor's cache is one that the kernel's sockets do not get.
 */

struct ngx_chat_session_s {
    ngx_chat_subscriber_t    subscriber;   /* first */

    unsigned                 is_dirty:1;
    unsigned                 is_ending:1;
    unsigned                 has_token:1;
    unsigned                 is_withheld:1;    /* gets no more events */
    unsigned                 is_operator:1;    /* of the console: does not
                                          count for max_connections */
    unsigned                 is_reader:1;  /* reads the ring by itself, and
                                              gets nothing else */
    unsigned                 is_js:1;      /* the client is pusher-js */
    unsigned                 forget:1;     /* must not come back */
    unsigned                 was_closed:1; /* by the client, in good order */
    unsigned                 broken:1;     /* ends by an abort */
    unsigned                 slow:1;       /* ends for a full queue */
    unsigned                 terminated:1; /* ends by the app's back end */
    unsigned                 closed:1;     /* takes and sends no more */
    unsigned                 is_anonymous:1;
    unsigned                 in_quota:1;   /* counts for max_connections */
    unsigned                 is_told:1;    /* webhooks are to hear of its
                                              end */
    unsigned                 user_channel:1;   /* has subscribed to its
                                                  user's own channel */
    unsigned                 user_recovered:1; /* has got what it missed of
                                                  that at the sign-in */

    ngx_chat_outbox_t        outbox;
    ngx_chat_sessions_t     *sessions;     /* those of this worker */
    ngx_connection_t        *connection;
    ngx_chat_app_t          *app;          /* NULL until it is known */
    ngx_chat_session_conf_t *conf;
    ngx_chat_transport_t    *transport;
    ngx_queue_t              queue;        /* of all sessions */
    ngx_queue_t              dirty;
    ngx_queue_t              ending;
    ngx_queue_t              anonymous;    /* of those that must authorize */
    ngx_msec_t               opened;

    ngx_chat_recovery_t     *recovery;     /* NULL: there is no token */
    ngx_chat_session_user_t *user;         /* NULL: has not signed in */
    uint32_t                 nchannels;    /* that the client asked for */
    uint32_t                 nevents;      /* client events so far */
    uint32_t                 events[NGX_CHAT_SESSION_EVENTS];  /* ms, times
                                              of the last ones */
    uint16_t                 nclaims;      /* see ngx_chat_claim.h */
    uint16_t                 close_code;   /* to end with; 0: reconnect-now */
    uint16_t                 end_code;     /* it has ended with; 0: the
                                              connection was lost */
};


/* The sessions of this worker, and what they share. */

struct ngx_chat_sessions_s {
    ngx_chat_hub_t          *hub;
    ngx_chat_store_t        *store;        /* NULL: no chat_database */
    ngx_queue_t              sessions;
    ngx_uint_t               nsessions;
    ngx_queue_t              dirty;        /* have frames to flush */
    ngx_queue_t              ending;       /* sessions to be ended soon */
    ngx_event_t              end;          /* posted for those */
    ngx_event_t              timer;        /* of what nothing else tells */
    ngx_msec_t               due;          /* when the timer is */
    ngx_msec_t               drain;        /* time to end all sessions in */
    ngx_uint_t               ticks;        /* of the timer, left of it */
    ngx_uint_t               parting;      /* sessions to be sent away yet,
                                              of this step */
    ngx_event_t              part;         /* posted for those */
    time_t                   alerted;      /* when the last alert was */
    ngx_queue_t              asking;       /* clients to be asked what they
                                              have, see ngx_chat_recovery.h */
    ngx_uint_t               nasking;
    ngx_event_t              ask;          /* posted: more are to be asked */
    ngx_queue_t              claims;       /* of ngx_chat_claim.h */
    ngx_uint_t               nclaims;
    ngx_event_t              claim;        /* posted for those */
    ngx_queue_t              anonymous;    /* have to authorize in time */
    ngx_chat_slot_channel_sh_t  **quotas;  /* by app: its connections here */
    ngx_pool_t              *scratch;      /* for the command at hand */
    ngx_connection_t         dummy;
};


/*
 * Begins a session of app: gives it a socket id.  The transport has set
 * connection, conf and transport and cleared the rest; the outbox may have
 * bytes that are to be sent before.  NGX_OK, and greet() is to follow;
 * NGX_DONE: the session was refused, since the app has too many, and closed;
 * NGX_ERROR: the transport has to end it.
 */
ngx_int_t ngx_chat_session_open(ngx_chat_sessions_t *w,
    ngx_chat_session_t *s, ngx_chat_app_t *app);

/* Greets the client of a session that was opened. */
void ngx_chat_session_greet(ngx_chat_session_t *s);

/*
 * Begins a session and refuses it with a fatal error.  text is NULL where it is
 * that of the code; arg is what the text names, or NULL.
 */
void ngx_chat_session_refuse(ngx_chat_sessions_t *w,
    ngx_chat_session_t *s, ngx_uint_t code, const char *text, ngx_str_t *arg);

/* Counts a client that a transport refuses without a session. */
void ngx_chat_session_count_refused(ngx_uint_t code);

/* A fatal error: the error frame, then close(). */
void ngx_chat_session_fail(ngx_chat_session_t *s, ngx_uint_t code,
    ngx_str_t *arg);
void ngx_chat_session_fail_text(ngx_chat_session_t *s, ngx_uint_t code,
    const char *text, ngx_str_t *arg);

/* Sends a buffer, and takes the caller's reference.  NULL stands for a buffer
   that could not be allocated, which ends the session. */
void ngx_chat_session_send(ngx_chat_session_t *s, ngx_chat_buf_t *b);

/* Sends a text that is finished, such as a cached event. */
void ngx_chat_session_send_text(ngx_chat_session_t *s, u_char *text,
    size_t len);

/* What a send or a flush of its outbox has returned: a failure ends it. */
void ngx_chat_session_check_rc(ngx_chat_session_t *s, ngx_int_t rc);

/*
 * Ends a session by a posted event: aborts it where it is broken, else closes
 * it, with reconnect-now where close_code is 0.  Until then the session stays
 * as it is, so that this may be called during a delivery.
 */
void ngx_chat_session_end_later(ngx_chat_session_t *s);

/* The handler of that event. */
void ngx_chat_session_end_handler(ngx_event_t *ev);

/*
 * The session neither takes nor sends events any more; its outbox stays.
 * The transport calls it when it closes.  May be called twice.
 */
void ngx_chat_session_leave(ngx_chat_session_t *s);

/* Tells webhooks once that it has ended, with a code; 0: it was lost. */
void ngx_chat_session_tell_end(ngx_chat_session_t *s, ngx_uint_t code);

/* The end, by the transport, before the memory is gone. */
void ngx_chat_session_end(ngx_chat_session_t *s);


/*
 * The client has authorized itself, by a sign-in or on a private channel.  From
 * now on it counts for max_connections, and is closed where these are taken.
 */
void ngx_chat_session_authorized(ngx_chat_session_t *s);

/* The session need not authorize itself any more. */
void ngx_chat_session_unlist(ngx_chat_session_t *s);

/* A JSON reader with memory for the command at hand. */
void ngx_chat_session_json(ngx_chat_session_t *s, ngx_chat_json_t *j);

/*
 * A frame of len payload bytes, to be filled at *payload; NULL: no memory, or
 * len is NGX_ERROR, as a function that renders may return it.
 */
ngx_chat_buf_t *ngx_chat_session_frame(ngx_uint_t opcode, ssize_t len,
    u_char **payload, ngx_log_t *log);

/* A text frame with a copy of the text; NULL: no memory. */
ngx_chat_buf_t *ngx_chat_session_frame_text(u_char *text, size_t len,
    ngx_log_t *log);

/* A Close frame; what is too long of the reason is cut.  NULL: no memory. */
ngx_chat_buf_t *ngx_chat_session_frame_close(ngx_uint_t code,
    ngx_str_t *reason, ngx_log_t *log);

/*
 * Sends an event.  render is a function of ngx_chat_event.h, which counts
 * first and then fills the frame; its arguments behind buf and size follow,
 * and are evaluated twice.
 */
#define ngx_chat_session_render(s, render, ...)                               \
    do {                                                                      \
        u_char          *p_;                                                  \
        ssize_t          len_;                                                \
        ngx_chat_buf_t  *b_;                                                  \
                                                                              \
        len_ = render(NULL, 0, __VA_ARGS__);                                  \
        b_ = ngx_chat_session_frame(NGX_CHAT_FRAME_TEXT, len_, &p_,           \
                                    (s)->connection->log);                    \
        if (b_ != NULL) {                                                     \
            (void) render(p_, len_, __VA_ARGS__);                             \
        }                                                                     \
                                                                              \
        ngx_chat_session_send(s, b_);                                         \
    } while (0)

/*
 * Prepares an event from this client to the others, with a payload of len
 * bytes to be filled, in the memory of the command at hand.  NGX_ERROR: no
 * memory, or len is NGX_ERROR.
 */
ngx_int_t ngx_chat_session_envelope(ngx_chat_session_t *s,
    ngx_chat_envelope_t *e, ngx_str_t *channel, ssize_t len);

/* Logs that the zone has no room for the app: an alert, but once a second,
   since clients can bring this about again and again. */
void ngx_chat_session_log_full(ngx_chat_session_t *s, ngx_str_t *channel);

/* An error frame for the client's last command; text has at most one %s. */
void ngx_chat_session_error(ngx_chat_session_t *s, ngx_uint_t code,
    const char *text, ngx_str_t *arg);


#endif /* _NGX_CHAT_SESSION_H_INCLUDED_ */
