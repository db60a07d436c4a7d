
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * From the ring to this worker's subscribers.
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
     * Makes what deliver() gets of an envelope, once for all subscribers of
     * this worker; NULL: no memory.  extend() adds the envelope of another
     * event for the same subscribers, and may move *events; NGX_DECLINED:
     * it is full, or there is no memory, and unchanged.  release() ends it.
     */
    void  *(*render)(ngx_chat_envelope_t *e, ngx_log_t *log);
    ngx_int_t  (*extend)(void **events, ngx_chat_envelope_t *e,
                         ngx_log_t *log);
    void   (*release)(void *events);

    /*
     * One subscriber gets what was rendered, or has it held back for flush().
     * Must not subscribe, unsubscribe or free anything.
     */
    void   (*deliver)(ngx_chat_subscriber_t *sr, void *events,
                      ngx_uint_t hold);

    /*
     * Sends what is held back, to so many subscribers at most; returns to how
     * many.
     */
    ngx_uint_t  (*flush)(ngx_uint_t max);

    /* This subscriber may have missed events: send it away. */
    void   (*overrun)(ngx_chat_subscriber_t *sr);

    /* This one is sent away for good. */
    void   (*terminate)(ngx_chat_subscriber_t *sr);

    /*
     * The zone was wiped: all are told to reconnect, and what they have from
     * the hub, subscriptions and counted connections, is given back.
     */
    void   (*wiped)(void);
} ngx_chat_fanout_handlers_t;


/* Events that are being given out to one channel's subscribers. */

typedef struct {
    ngx_chat_channel_t        *channel;    /* NULL: there are none */
    void                      *events;     /* as rendered */
    ngx_uint_t                 n;          /* of them */
    uint64_t                   at;         /* the first one's position */
    ngx_chat_socket_id_t       except;     /* 0.0: nobody */
} ngx_chat_fanout_run_t;


/* One worker's way from the ring to its subscribers; its event loop's. */

typedef struct {
    ngx_chat_zone_t             *zone;
    ngx_chat_slot_sh_t          *slot;     /* NULL: none was free (yet) */
    ngx_chat_fanout_handlers_t  *handlers;
    ngx_chat_channel_table_t     channels;

    uint64_t                     position; /* in the ring */
    ngx_uint_t                   pass;     /* of reading it, counted */
    ngx_chat_fanout_run_t        run;      /* may last for several passes */
    ngx_uint_t                   held;     /* something may be held back */
    u_char                      *record;   /* the one being read */
    size_t                       size;     /* of record */

    ngx_event_t                  event;    /* posted: more is in the ring */
    ngx_chat_wakeup_t           *wakeup;   /* this worker's, for those who
                                              wait for others; or NULL */
    ngx_connection_t             dummy;    /* for the event's log */
    ngx_log_t                   *log;
} ngx_chat_fanout_t;


/*
 * Delivers what is new, up to a bound.  Where more is left, the next turn of
 * the event loop goes on.  Nothing is done where that is so already.
 */
void ngx_chat_fanout(ngx_chat_fanout_t *f);

/* Has this turn of the event loop deliver, behind what is posted already. */
void ngx_chat_fanout_post(ngx_chat_fanout_t *f);

/* A channel is about to be freed: nothing more goes to it.  NULL: nothing. */
void ngx_chat_fanout_forget(ngx_chat_fanout_t *f, ngx_chat_channel_t *ch);

/* All of this worker's subscribers are told to reconnect. */
void ngx_chat_fanout_away(ngx_chat_fanout_t *f);

/* The handler of the event, and of a wake-up with f as its data. */
void ngx_chat_fanout_handler(ngx_event_t *ev);


#endif /* _NGX_CHAT_FANOUT_H_INCLUDED_ */
