
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The names of the counters, in JSON and in Prometheus' text.  Names are an
 * interface: none changes its meaning, and none is removed.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <http/ngx_chat_status_table.h>


#define ngx_chat_status_one(c, key, metric, help)                             \
    { NGX_CHAT_##c##_e, 1, key, NULL, metric, help, NULL, NULL }

#define ngx_chat_status_range(c, key, list, metric, help, label, values)      \
    { NGX_CHAT_##c##_e, sizeof(values) / sizeof(values[0]), key, list,        \
      metric, help, label, values }

#define ngx_chat_status_column(member, key, metric, type, help, unit)         \
    { key, metric, type, help, offsetof(ngx_chat_stats_worker_t, member),     \
      unit }

#define ngx_chat_status_app(member, key, metric, type, help)                  \
    { key, metric, type, help, offsetof(ngx_chat_stats_app_t, member), 1 }


/* each in the order of its range in shared/ngx_chat_counter.h */

static const char *const  ngx_chat_status_connections[] = {
    "4000", "4001", "4003", "4004", "4005", "4007", "4100"
};


static const char *const  ngx_chat_status_closed[] = {
    "slow", "overrun", "shutdown", "isolated", "worker_died", "silent",
    "unauthorized", "terminated", "protocol", "broken"
};


static const char *const  ngx_chat_status_subscriptions[] = {
    "name", "signature", "user", "member", "channels", "members",
    "duplicate", "capacity"
};


static const char *const  ngx_chat_status_recoveries[] = {
    "ring", "history", "new", "expired", "gone", "shared", "too_much"
};


static const char *const  ngx_chat_status_resumptions[] = {
    "ring", "history", "gone"
};


static const char *const  ngx_chat_status_requests[] = {
    "ok", "status", "timeout", "broken"
};


static const char *const  ngx_chat_status_client_events[] = {
    "disabled", "invalid", "channel", "not_subscribed", "size", "rate",
    "capacity"
};


const char *const  ngx_chat_status_parts[] = {
    "ring", "arena", "cached_events", "answers"
};


const ngx_chat_status_counter_t  ngx_chat_status_counters[] = {

    ngx_chat_status_one(CONNECTIONS, "connections",
        "ngx_chat_connections",
        "Connections of clients."),

    ngx_chat_status_one(FALLBACKS, "connections_fallback",
        "ngx_chat_connections_fallback",
        "Of these, those without WebSocket, by chat_fallback."),

    ngx_chat_status_one(READERS, "connections_events",
        "ngx_chat_connections_events",
        "Of these, streams and waiting polls of chat_events."),

    ngx_chat_status_one(SUBSCRIPTIONS, "subscriptions",
        "ngx_chat_subscriptions",
        "Subscriptions of channels."),

    ngx_chat_status_one(CONNECTIONS_TOTAL, "connections_total",
        "ngx_chat_connections_total",
        "Connections that were established."),

    ngx_chat_status_one(COMMANDS, "commands_total",
        "ngx_chat_commands_total",
        "Messages that clients have sent."),

    ngx_chat_status_one(INVALID, "commands_invalid",
        "ngx_chat_commands_invalid_total",
        "Messages of clients that are none of the protocol."),

    ngx_chat_status_one(CLIENT_EVENTS, "client_events_total",
        "ngx_chat_client_events_total",
        "Client events that were put into the ring."),

    ngx_chat_status_one(EVENTS, "events_total",
        "ngx_chat_events_total",
        "Events that were put into the ring."),

    ngx_chat_status_one(DELIVERIES, "deliveries_total",
        "ngx_chat_deliveries_total",
        "Events handed to subscribers, each counted."),

    ngx_chat_status_one(RECEIVED, "received_bytes_total",
        "ngx_chat_received_bytes_total",
        "Bytes received from Pusher clients, WebSocket frames included."),

    ngx_chat_status_one(SENT, "sent_bytes_total",
        "ngx_chat_sent_bytes_total",
        "Bytes sent to Pusher clients, WebSocket frames included."),

    ngx_chat_status_one(STORED, "messages_stored",
        "ngx_chat_messages_stored_total",
        "Messages that were committed and put into the ring."),

    ngx_chat_status_one(UNAVAILABLE, "unavailable_answers",
        "ngx_chat_unavailable_answers_total",
        "Answers 503 of messages and of the HTTP API."),

    ngx_chat_status_one(EARLY, "answers_early",
        "ngx_chat_answers_early_total",
        "Answers that did not wait longer for a worker to deliver the event."),

    ngx_chat_status_one(KEYS_FORGOTTEN, "keys_forgotten",
        "ngx_chat_keys_forgotten_total",
        "Idempotency keys of triggers that were forgotten too early."),

    ngx_chat_status_one(RECOVERED_EVENTS, "recovered_events",
        "ngx_chat_recovered_events_total",
        "Events sent again to clients with a token that had missed them."),

    ngx_chat_status_one(ACKNOWLEDGED, "acknowledgements",
        "ngx_chat_acknowledgements_total",
        "Times a client with a token has told what it has."),

    ngx_chat_status_one(PARKED, "sessions_parked",
        "ngx_chat_sessions_parked_total",
        "Sessions with a token kept after their connection."),

    ngx_chat_status_one(PARKED_EVICTED, "sessions_evicted",
        "ngx_chat_sessions_evicted_total",
        "Of these, dropped before their time for lack of room."),

    ngx_chat_status_one(TOKENS_SHARED, "tokens_shared",
        "ngx_chat_tokens_shared_total",
        "Tokens that two clients have used at a time."),

    ngx_chat_status_one(OVERRUNS, "overruns",
        "ngx_chat_overruns_total",
        "Times a worker fell a whole ring behind."),

    ngx_chat_status_one(WORKERS_DIED, "workers_died",
        "ngx_chat_workers_died_total",
        "Workers that died and were cleared up after."),

    ngx_chat_status_one(WIPES, "registry_wipes",
        "ngx_chat_registry_wipes_total",
        "Times shared memory was wiped after a worker's death."),

    ngx_chat_status_range(RECOVERY, "recoveries",
        "recoveries_by_result",
        "ngx_chat_recoveries_total",
        "Subscriptions of clients with a token, by what they were sent again.",
        "result", ngx_chat_status_recoveries),

    ngx_chat_status_range(RESUMED, "resumptions",
        "resumptions_by_result",
        "ngx_chat_resumptions_total",
        "Requests of chat_events with a position, by where they go on from.",
        "result", ngx_chat_status_resumptions),

    ngx_chat_status_range(CONN_REFUSED, "connections_refused",
        "connections_refused_by_code",
        "ngx_chat_connections_refused_total",
        "Connections refused after the upgrade, by Pusher's code.",
        "code", ngx_chat_status_connections),

    ngx_chat_status_one(ORIGINS_REFUSED, "origins_refused",
        "ngx_chat_origins_refused_total",
        "Requests of Pusher clients refused by chat_origins."),

    ngx_chat_status_one(CLOSED_SLOW, "slow_subscribers_closed", NULL, NULL),

    ngx_chat_status_range(CLOSED, "connections_closed",
        "connections_closed_by_reason",
        "ngx_chat_connections_closed_total",
        "Established connections that the server ended, by reason.",
        "reason", ngx_chat_status_closed),

    ngx_chat_status_range(SUB_REFUSED, "subscriptions_refused",
        "subscriptions_refused_by_reason",
        "ngx_chat_subscriptions_refused_total",
        "Subscriptions refused, by reason.",
        "reason", ngx_chat_status_subscriptions),

    ngx_chat_status_range(EVENT_REFUSED, "client_events_refused",
        "client_events_refused_by_reason",
        "ngx_chat_client_events_refused_total",
        "Client events refused, by reason.",
        "reason", ngx_chat_status_client_events),

    ngx_chat_status_one(SIGNINS_REFUSED, "signins_refused",
        "ngx_chat_signins_refused_total",
        "Sign-ins refused."),

    ngx_chat_status_one(WEBHOOK_EVENTS, "webhook_events_delivered",
        "ngx_chat_webhook_events_delivered_total",
        "Events that the receivers of webhooks have taken."),

    ngx_chat_status_one(WEBHOOK_DEAD, "webhook_events_given_up",
        "ngx_chat_webhook_events_given_up_total",
        "Events of webhooks that were tried for too long."),

    ngx_chat_status_range(WEBHOOK_REQUESTS, "webhook_requests",
        "webhook_requests_by_result",
        "ngx_chat_webhook_requests_total",
        "Requests to webhooks, by how they ended.",
        "result", ngx_chat_status_requests),

    { 0, 0, NULL, NULL, NULL, NULL, NULL, NULL }
};


const ngx_chat_status_column_t  ngx_chat_status_workers[] = {

    ngx_chat_status_column(connections, "connections",
        "ngx_chat_worker_connections", "gauge",
        "Connections of clients of the worker.", 1),

    ngx_chat_status_column(subscriptions, "subscriptions",
        "ngx_chat_worker_subscriptions", "gauge",
        "Subscriptions of the worker.", 1),

    ngx_chat_status_column(queued, "store_queued",
        "ngx_chat_worker_store_queue_messages", "gauge",
        "Messages that the worker has taken and not committed yet.", 1),

    ngx_chat_status_column(position, "bus_position_bytes",
        "ngx_chat_worker_bus_position_bytes", "gauge",
        "Bytes of the ring that the worker has read.", 1),

    ngx_chat_status_column(lag, "bus_lag_bytes",
        "ngx_chat_worker_bus_lag_bytes", "gauge",
        "Bytes of the ring that the worker has still to read.", 1),

    ngx_chat_status_column(overruns, "overruns",
        "ngx_chat_worker_overruns_total", "counter",
        "Times the worker fell a whole ring behind.", 1),

    ngx_chat_status_column(stall, "stall_max_microseconds",
        "ngx_chat_worker_stall_max_seconds", "gauge",
        "Longest turn of the worker's event loop since its start.", 1000000),

    ngx_chat_status_column(stall_recent, "stall_recent_max_microseconds",
        "ngx_chat_worker_stall_recent_max_seconds", "gauge",
        "The same, of the last minute or two.", 1000000),

    ngx_chat_status_column(delay, "wakeup_delay_max_microseconds",
        "ngx_chat_worker_wakeup_delay_max_seconds", "gauge",
        "Longest time the worker woke behind a timer since its start.",
        1000000),

    ngx_chat_status_column(delay_recent,
        "wakeup_delay_recent_max_microseconds",
        "ngx_chat_worker_wakeup_delay_recent_max_seconds", "gauge",
        "The same, of the last minute or two.", 1000000),

    { NULL, NULL, NULL, NULL, 0, 0 }
};


const ngx_chat_status_column_t  ngx_chat_status_apps[] = {

    ngx_chat_status_app(held, "zone_held_bytes",
        "ngx_chat_app_zone_held_bytes", "gauge",
        "Bytes of the arena that the app holds, in whole blocks."),

    ngx_chat_status_app(share, "zone_share_bytes",
        "ngx_chat_app_zone_share_bytes", "gauge",
        "Bytes of the arena that the app can surely have."),

    ngx_chat_status_app(refused, "zone_refused",
        "ngx_chat_app_zone_refused_total", "counter",
        "Times that the app got no memory of the arena."),

    { NULL, NULL, NULL, NULL, 0, 0 }
};
