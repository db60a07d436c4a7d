
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Fanout: the way of events from the ring to this worker's subscribers.
 *
 * Each worker has one, used by its event loop only.  A wake-up, a timer or
 * the posted event starts a pass, see ngx_chat_fanout.c.
 */


#ifndef _NGX_CHAT_FANOUT_H_INCLUDED_
#define _NGX_CHAT_FANOUT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <bus/ngx_chat_wakeup.h>
#include <fanout/ngx_chat_channel.h>
#include <shared/ngx_chat_zone.h>
#include <wire/ngx_chat_envelope.h>


typedef struct {
    /*
     * render() makes what deliver() gets of an event, once for all
     * subscribers of this worker; NULL: no memory.  extend() adds another
     * event for the same subscribers, and may move *events; NGX_DECLINED:
     * *events is full, or there is no memory, and it is unchanged.  release()
     * frees it.
     */
    void  *(*render)(ngx_chat_envelope_t *e, ngx_log_t *log);
    ngx_int_t  (*extend)(void **events, ngx_chat_envelope_t *e,
                         ngx_log_t *log);
    void   (*release)(void *events);

    /*
     * Sends to a subscriber what was rendered, or with hold keeps it for
     * flush().  Must not subscribe, unsubscribe or free anything.
     */
    void   (*deliver)(ngx_chat_subscriber_t *sr, void *events,
                      ngx_uint_t hold);

    /*
     * Sends what is held back, to at most max subscribers.  Returns their
     * number.
     */
    ngx_uint_t  (*flush)(ngx_uint_t max);

    /* The subscriber may have missed events, and is told to reconnect. */
    void   (*missed)(ngx_chat_subscriber_t *sr);

    /* The subscriber is disconnected, and told not to come back. */
    void   (*terminate)(ngx_chat_subscriber_t *sr);

    /*
     * The zone was wiped.  All clients are told to reconnect; subscriptions
     * and counted connections are given back to the hub.
     */
    void   (*wiped)(void);
} ngx_chat_fanout_handlers_t;


/* Events of one channel that are given out together. */

typedef struct {
    ngx_chat_channel_t        *channel;    /* NULL: there is no run */
    void                      *events;     /* as rendered */
    ngx_uint_t                 n;          /* number of events */
    uint64_t                   at;         /* position of the first one */
    uint64_t                   mark;       /* the fanout's before that */
    ngx_chat_socket_id_t       except;     /* gets none; 0.0: nobody */
} ngx_chat_fanout_run_t;


typedef struct {
    ngx_chat_zone_t             *zone;
    ngx_chat_slot_sh_t          *slot;     /* NULL: none was free (yet) */
    ngx_chat_fanout_handlers_t  *handlers;
    ngx_chat_channel_table_t     channels;

    uint64_t                     position; /* in the ring */
    uint64_t                     mark;     /* id of the last stored message
                                              before it */
    ngx_chat_fanout_run_t        run;      /* may last for several passes */
    ngx_uint_t                   held;     /* events may be held back */
    u_char                      *record;   /* memory for a record */
    size_t                       size;     /* of that memory */

    ngx_uint_t                   pass;     /* number of the pass */
    ngx_uint_t                   runs;     /* that this pass has begun */
    ngx_uint_t                   cost;     /* work that it has done */

    ngx_event_t                  event;    /* posted: a pass is to follow */
    ngx_connection_t             dummy;    /* the event's: leads to this */
    ngx_log_t                   *log;
} ngx_chat_fanout_t;


/*
 * Makes a pass.  Where more is left, it posts the event for the next turn of
 * the event loop.  Where the event is posted already, nothing is done.
 */
void ngx_chat_fanout(ngx_chat_fanout_t *f);

/*
 * Posts a pass for the next turn of the event loop, which comes at once.
 * Events of requests that can be read by then are delivered together.
 */
void ngx_chat_fanout_post(ngx_chat_fanout_t *f);

/* A place: the subscriber has been given all of its events before it, and none
   behind it. */
void ngx_chat_fanout_place(ngx_chat_fanout_t *f, ngx_chat_subscriber_t *sr,
    ngx_chat_ring_place_t *place);

/* Goes on at the ring's head. */
void ngx_chat_fanout_skip(ngx_chat_fanout_t *f);

/* Drops the run where it is of this channel, which may be NULL. */
void ngx_chat_fanout_forget(ngx_chat_fanout_t *f, ngx_chat_channel_t *ch);

/* Tells all of this worker's subscribers to reconnect. */
void ngx_chat_fanout_reconnect_all(ngx_chat_fanout_t *f);

/* Makes a pass; the handler of events whose connection has f as data. */
void ngx_chat_fanout_handler(ngx_event_t *ev);


#endif /* _NGX_CHAT_FANOUT_H_INCLUDED_ */
