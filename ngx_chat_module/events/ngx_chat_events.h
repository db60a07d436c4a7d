
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A client of chat_events: an answer of server-sent events that goes on, or a
 * long poll.  Used by the event loop only.
 *
 * A client keeps a position in the ring and no queue.  It reads the events of
 * its channels from there, whenever it may send and has been woken: what it has
 * missed and what is new come by the same way, and a slow reader costs no
 * memory.  Where the ring goes past its position the answer ends; the client
 * comes back, and gets the rest from the history where that has all of it.
 */


#ifndef _NGX_CHAT_EVENTS_H_INCLUDED_
#define _NGX_CHAT_EVENTS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <events/ngx_chat_events_position.h>
#include <events/ngx_chat_events_query.h>
#include <events/ngx_chat_events_text.h>
#include <http/ngx_chat_stream.h>
#include <session/ngx_chat_session.h>


typedef struct ngx_chat_events_history_s  ngx_chat_events_history_t;
typedef struct ngx_chat_events_s  ngx_chat_events_t;


/* A stream, or a poll. */

typedef struct {
    /* Begins the answer.  Returns what the content handler returns. */
    ngx_int_t  (*begin)(ngx_chat_events_t *ev);

    /* There are events to be read.  Called in the midst of a delivery. */
    void       (*wake)(ngx_chat_events_t *ev);

    /* Goes on, by the queue.  ev may be freed. */
    void       (*go)(ngx_chat_events_t *ev);

    /* It has got nothing for long, or was told its position long ago. */
    void       (*beat)(ngx_chat_events_t *ev, ngx_uint_t silent,
                       uint64_t told);

    /* A ngx_chat_request_pt: ends a request that is suspended. */
    ngx_int_t  (*part)(ngx_http_request_t *r, void *data);
} ngx_chat_events_kind_t;


/* In the request's pool. */

struct ngx_chat_events_s {
    ngx_chat_session_t          session;   /* first */
    ngx_chat_stream_t           stream;
    ngx_chat_events_kind_t     *kind;
    ngx_http_request_t         *request;
    ngx_chat_events_position_t  at;        /* it has been given all before */
    ngx_chat_events_history_t  *history;   /* being read; or NULL */
    ngx_event_t                *timer;     /* of a poll, or NULL */
    ngx_uint_t                  timeout;   /* s, of that */
    uint64_t                    set;       /* a hash of its channels and form:
                                              clients that have it in common
                                              get the same texts */

    ngx_queue_t                 idle;      /* the longest silent first */
    ngx_queue_t                 work;
    ngx_msec_t                  sent;      /* when it last got something, */
    uint64_t                    told;      /* and the position it was told */

    ngx_uint_t                  missed;    /* events of the history */
    ngx_chat_events_form_e      form;

    unsigned                    is_idle:1; /* in that queue */
    unsigned                    in_work:1;
    unsigned                    is_waiting:1;  /* the request is suspended */
    unsigned                    has_place:1;   /* at is set */
    unsigned                    is_gone:1; /* the position that it gave can't
                                              be gone on from */
    unsigned                    recalled:1;    /* what it missed is in the
                                                  history */
    unsigned                    counted:1; /* missed is all of it */
    unsigned                    resumes:1; /* it gave a position */
    unsigned                    opened:1;  /* its session was */
    unsigned                    ended:1;
};


#define ngx_chat_events_zone(ev)  ((ev)->session.sessions->hub->fanout.zone)


extern ngx_chat_events_kind_t  ngx_chat_events_stream;
extern ngx_chat_events_kind_t  ngx_chat_events_poll;


/* The content handler. */
ngx_int_t ngx_chat_events_handler(ngx_http_request_t *r);

/* The same for the operator, who may hear all channels of the app. */
ngx_int_t ngx_chat_events_serve(ngx_http_request_t *r, ngx_chat_app_t *app);

/* Ends the answer, in good order or at once.  ev may be freed. */
void ngx_chat_events_part(ngx_chat_events_t *ev, ngx_uint_t broken);

/* Ends the client's part, and leaves the request. */
void ngx_chat_events_end(ngx_chat_events_t *ev);

/* Frees what the worker keeps, after all clients have ended. */
void ngx_chat_events_exit(void);


#endif /* _NGX_CHAT_EVENTS_H_INCLUDED_ */
