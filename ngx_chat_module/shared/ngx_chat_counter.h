
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Counters.  Each worker has all of them in its slot and is the only one that
 * writes them, without a lock.  The zone has the sums of workers that left.
 *
 * The order matters.  Counters that differ only in the reason are a range, and
 * the tables of http/ngx_chat_status_table.c and
 * session/ngx_chat_subscribe_check.c have the reasons in this order.
 */


#ifndef _NGX_CHAT_COUNTER_H_INCLUDED_
#define _NGX_CHAT_COUNTER_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


typedef enum {
    /* gauges: gone with their worker */
    NGX_CHAT_CONNECTIONS_e = 0,
    NGX_CHAT_FALLBACKS_e,                  /* of these, without WebSocket */
    NGX_CHAT_READERS_e,                    /* and by chat_events */
    NGX_CHAT_SUBSCRIPTIONS_e,
    NGX_CHAT_QUEUED_e,                     /* messages not committed yet */
    NGX_CHAT_READS_QUEUED_e,               /* pages that wait for a reader */
    NGX_CHAT_PAGE_BYTES_e,                 /* of pages that clients hold */
    NGX_CHAT_GAUGES_e,                     /* their number */

    /* counters: kept when their worker has left */
    NGX_CHAT_CONNECTIONS_TOTAL_e = NGX_CHAT_GAUGES_e,
    NGX_CHAT_COMMANDS_e,                   /* messages from clients */
    NGX_CHAT_CLIENT_EVENTS_e,              /* that were not refused */
    NGX_CHAT_EVENTS_e,                     /* appended to the ring */
    NGX_CHAT_DELIVERIES_e,                 /* events given to subscribers */
    NGX_CHAT_STORED_e,                     /* messages committed */
    NGX_CHAT_RECEIVED_e,                   /* bytes of Pusher clients */
    NGX_CHAT_SENT_e,
    NGX_CHAT_OVERRUNS_e,
    NGX_CHAT_WORKERS_DIED_e,                       /* workers that died */
    NGX_CHAT_WIPES_e,                      /* of the registry */
    NGX_CHAT_UNAVAILABLE_e,                /* answers 503 */
    NGX_CHAT_EARLY_e,                      /* answers that waited in vain */
    NGX_CHAT_KEYS_FORGOTTEN_e,             /* of triggers, too early; counted
                                              in the zone itself */
    NGX_CHAT_INVALID_e,                    /* messages without a command */
    NGX_CHAT_ORIGINS_REFUSED_e,                    /* refused by chat_origins */
    NGX_CHAT_SIGNINS_REFUSED_e,                    /* refused */

    NGX_CHAT_ACKNOWLEDGED_e,               /* by clients with a token */
    NGX_CHAT_PARKED_e,                     /* token sessions */
    NGX_CHAT_PARKED_EVICTED_e,             /* for lack of room */
    NGX_CHAT_TOKENS_SHARED_e,              /* by two clients at a time */
    NGX_CHAT_RECOVERED_EVENTS_e,           /* sent again */

    /* of webhooks; counted in the zone itself */
    NGX_CHAT_WEBHOOK_EVENTS_e,             /* delivered */
    NGX_CHAT_WEBHOOK_DEAD_e,               /* events given up */

    /* requests, by how they ended */
    NGX_CHAT_WEBHOOK_REQUESTS_e,
    NGX_CHAT_WEBHOOK_OK_e = NGX_CHAT_WEBHOOK_REQUESTS_e,
    NGX_CHAT_WEBHOOK_STATUS_e,             /* a status other than 2xx */
    NGX_CHAT_WEBHOOK_TIMEOUT_e,
    NGX_CHAT_WEBHOOK_BROKEN_e,             /* no connection, half an answer */

    /* subscriptions of clients with a token, by what they get back */
    NGX_CHAT_RECOVERY_e,
    NGX_CHAT_RECOVERY_RING_e = NGX_CHAT_RECOVERY_e,
    NGX_CHAT_RECOVERY_HISTORY_e,
    NGX_CHAT_RECOVERY_NEW_e,
    NGX_CHAT_RECOVERY_EXPIRED_e,
    NGX_CHAT_RECOVERY_GONE_e,
    NGX_CHAT_RECOVERY_SHARED_e,
    NGX_CHAT_RECOVERY_TOO_MUCH_e,

    /* clients of chat_events with a position, by how they go on from it */
    NGX_CHAT_RESUMED_e,
    NGX_CHAT_RESUMED_RING_e = NGX_CHAT_RESUMED_e,
    NGX_CHAT_RESUMED_HISTORY_e,
    NGX_CHAT_RESUMED_GONE_e,

    /* connections refused, by Pusher's code */
    NGX_CHAT_CONN_REFUSED_e,
    NGX_CHAT_CONN_REFUSED_TLS_ONLY_e = NGX_CHAT_CONN_REFUSED_e,
    NGX_CHAT_CONN_REFUSED_UNKNOWN_KEY_e,
    NGX_CHAT_CONN_REFUSED_DISABLED_e,
    NGX_CHAT_CONN_REFUSED_QUOTA_e,
    NGX_CHAT_CONN_REFUSED_PATH_e,
    NGX_CHAT_CONN_REFUSED_PROTOCOL_e,
    NGX_CHAT_CONN_REFUSED_CAPACITY_e,

    /* connections closed by the server, by why */
    NGX_CHAT_CLOSED_e,
    NGX_CHAT_CLOSED_SLOW_e = NGX_CHAT_CLOSED_e,
    NGX_CHAT_CLOSED_OVERRUN_e,             /* may have missed events */
    NGX_CHAT_CLOSED_SHUTDOWN_e,            /* its worker leaves */
    NGX_CHAT_CLOSED_ISOLATED_e,            /* its node is cut off */
    NGX_CHAT_CLOSED_LOST_e,                /* its worker died */
    NGX_CHAT_CLOSED_SILENT_e,              /* did not answer a Ping */
    NGX_CHAT_CLOSED_UNAUTHORIZED_e,           /* authorization_timeout */
    NGX_CHAT_CLOSED_TERMINATED_e,          /* by the app's back end */
    NGX_CHAT_CLOSED_PROTOCOL_e,            /* not WebSocket, too long */
    NGX_CHAT_CLOSED_BROKEN_e,              /* a failed write, no memory */

    /* subscriptions refused, by why */
    NGX_CHAT_SUB_REFUSED_e,
    NGX_CHAT_SUB_REFUSED_NAME_e = NGX_CHAT_SUB_REFUSED_e,
    NGX_CHAT_SUB_REFUSED_SIGNATURE_e,
    NGX_CHAT_SUB_REFUSED_USER_e,               /* the channel of another user */
    NGX_CHAT_SUB_REFUSED_MEMBER_e,              /* bad channel_data */
    NGX_CHAT_SUB_REFUSED_CHANNELS_e,            /* channels_per_connection */
    NGX_CHAT_SUB_REFUSED_MEMBERS_e,             /* presence_members */
    NGX_CHAT_SUB_REFUSED_DUPLICATE_e,
    NGX_CHAT_SUB_REFUSED_CAPACITY_e,            /* the zone is full */

    /* client events refused, by why */
    NGX_CHAT_EVENT_REFUSED_e,
    NGX_CHAT_EVENT_REFUSED_DISABLED_e = NGX_CHAT_EVENT_REFUSED_e,
    NGX_CHAT_EVENT_REFUSED_INVALID_e,
    NGX_CHAT_EVENT_REFUSED_CHANNEL_e,              /* a kind that takes none */
    NGX_CHAT_EVENT_REFUSED_NOT_SUBSCRIBED_e,             /* is not subscribed */
    NGX_CHAT_EVENT_REFUSED_SIZE_e,
    NGX_CHAT_EVENT_REFUSED_RATE_e,
    NGX_CHAT_EVENT_REFUSED_CAPACITY_e,             /* no memory */

    NGX_CHAT_COUNTERS_e                    /* number of all */
} ngx_chat_counter_e;


/*
 * This worker's counters, for its event loop: in its slot, or in its own memory
 * as long as it has no slot.
 */
extern uint64_t  *ngx_chat_counters;


#define ngx_chat_count(counter, n)  (ngx_chat_counters[counter] += (n))


#endif /* _NGX_CHAT_COUNTER_H_INCLUDED_ */
