
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * This worker's channels and subscriptions, in its own memory, for its event
 * loop.
 *
 * Channels are in a hash table with as many buckets as the registry has.  A
 * channel has a dense array of its listeners, a subscriber has a list of its
 * subscriptions.  Subscribing and unsubscribing take the same time however
 * many subscriptions there are.
 */


#ifndef _NGX_CHAT_CHANNEL_H_INCLUDED_
#define _NGX_CHAT_CHANNEL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_registry.h>
#include <wire/ngx_chat_envelope.h>


typedef struct ngx_chat_channel_s  ngx_chat_channel_t;
typedef struct ngx_chat_subscriber_s  ngx_chat_subscriber_t;


typedef struct {
    ngx_queue_t                 queue;         /* in the subscriber */
    ngx_chat_channel_t         *channel;
    ngx_chat_slot_member_sh_t  *slot_member;   /* presence, or NULL */
    uint64_t                    start;         /* position in the ring of the
                                                  first event for it */
    ngx_uint_t                  index;         /* in the channel */
} ngx_chat_subscription_t;


/*
 * A channel's entry for a subscription.  It is enough for a delivery, which
 * then needs no look at the subscription.
 */

typedef struct {
    ngx_chat_subscriber_t    *subscriber;
    ngx_chat_subscription_t  *subscription;
} ngx_chat_listener_t;


/* Whoever receives events: the first member of a session. */

struct ngx_chat_subscriber_s {
    ngx_queue_t              subscriptions;
    uint32_t                 nsubscriptions;
    uint32_t                 shares_high;  /* all of its client's connections
                                              have the same id.high */
    ngx_chat_socket_id_t     id;           /* last: a delivery reads it, and
                                              the session's next members */
};


struct ngx_chat_channel_s {
    ngx_chat_channel_t          *next;     /* in the bucket */
    ngx_chat_slot_channel_sh_t  *slot_channel; /* in the zone */
    ngx_chat_listener_t         *listeners;
    ngx_uint_t                   n;
    ngx_uint_t                   nalloc;
    ngx_uint_t                   given;    /* listeners before this index
                                              have got the run at hand */
    uint64_t                     start;    /* latest start of a subscription */
    uint64_t                     app;
    ngx_uint_t                   pass;     /* last pass that gave it events */
    uint32_t                     hash;
    ngx_queue_t                  due;      /* of channels whose number of
                                              subscriptions is to be told */
    unsigned                     is_due:1;
    ngx_str_t                    name;     /* follows the struct */
};


typedef struct {
    ngx_chat_channel_t         **buckets;
    ngx_uint_t                   mask;     /* their number less one */
    ngx_uint_t                   nchannels;
} ngx_chat_channel_table_t;


/* nbuckets is a power of two.  NGX_OK or NGX_ERROR. */
ngx_int_t ngx_chat_channel_table_init(ngx_chat_channel_table_t *t,
    ngx_uint_t nbuckets, ngx_log_t *log);

/* Frees the table, which is empty. */
void ngx_chat_channel_table_free(ngx_chat_channel_table_t *t);

/* The channel, or NULL where nobody here has subscribed to it. */
ngx_chat_channel_t *ngx_chat_channel_find(ngx_chat_channel_table_t *t,
    uint64_t app, uint32_t hash, ngx_str_t *name);

/* The subscription of a subscriber to a channel, or NULL. */
ngx_chat_subscription_t *ngx_chat_channel_subscription(
    ngx_chat_channel_t *ch, ngx_chat_subscriber_t *sr);

/* Finds or makes the channel; NULL: no memory. */
ngx_chat_channel_t *ngx_chat_channel_get(ngx_chat_channel_table_t *t,
    uint64_t app, uint32_t hash, ngx_str_t *name, ngx_log_t *log);

/* Makes a subscription, start is set by the caller; NULL: no memory. */
ngx_chat_subscription_t *ngx_chat_channel_add(ngx_chat_channel_t *ch,
    ngx_chat_subscriber_t *sr, ngx_log_t *log);

/*
 * Ends a subscription; the channel stays, even when it is empty.  Listeners
 * may move within the array, but none across ch->given, so that each gets the
 * run at hand once.
 */
void ngx_chat_channel_remove(ngx_chat_subscription_t *sn);

/* Frees a channel without subscriptions. */
void ngx_chat_channel_free(ngx_chat_channel_table_t *t,
    ngx_chat_channel_t *ch);


#endif /* _NGX_CHAT_CHANNEL_H_INCLUDED_ */
