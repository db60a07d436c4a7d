
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * An app: a tenant with its credentials and switches, as configured.  Pure.
 */


#ifndef _NGX_CHAT_APP_H_INCLUDED_
#define _NGX_CHAT_APP_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_CHAT_APP_ID_MAX      64    /* characters of an id */
#define NGX_CHAT_APP_ID_DIGITS   18    /* of an id that is a number */


/* Another pair of credentials: while keys are changed, both are valid. */

typedef struct {
    ngx_str_t          key;
    ngx_str_t          secret;         /* never logged */
} ngx_chat_app_key_t;


typedef struct {
    uint64_t           number;         /* of the id, as in envelopes and rows */
    ngx_str_t          id;
    ngx_str_t          key;
    ngx_str_t          secret;         /* never logged */
    ngx_array_t       *keys;           /* of ngx_chat_app_key_t; NULL: none */
    ngx_array_t       *store;          /* of ngx_str_t, patterns of channels
                                          whose triggered events are kept;
                                          NULL: none */
    ngx_array_t       *webhooks;       /* of ngx_chat_webhook_t; NULL: none */
    ngx_uint_t         hooks;          /* bits of the kinds they want */
    ngx_str_t          file;           /* where the app is configured first */
    ngx_uint_t         line;
    ngx_uint_t         index;          /* in the configuration */

    ngx_flag_t         enabled;
    ngx_flag_t         tls_only;
    ngx_flag_t         client_events;
    ngx_flag_t         subscription_count;
    ngx_flag_t         watchlist;
    ngx_int_t          max_connections;        /* 0: no limit */
    ngx_int_t          presence_members;       /* in a channel, 0: no limit */
    ngx_int_t          channels_per_connection;    /* 0: no limit */
    ngx_msec_t         authorization_timeout;  /* 0: none is needed */
    time_t             cache_ttl;      /* of cache channels' events */
    time_t             timestamp_window;   /* s, of requests' auth_timestamp */
} ngx_chat_app_t;


/* Whether an id may have the character: A-Z a-z 0-9 _ - */
#define ngx_chat_app_is_id_char(ch)                                           \
    (((ch) >= '0' && (ch) <= '9')                                             \
     || (((ch) | 0x20) >= 'a' && ((ch) | 0x20) <= 'z')                        \
     || (ch) == '_' || (ch) == '-')

/*
 * The number of an id, the same for ever, since stored messages bear it.  An
 * id of digits is its own number; it has at most 18 of them, and no leading
 * zero.  Another one has a number from 2^62 to 2^63 - 1, above all of those:
 * 2^62 plus the first 62 bits of its SHA-256.  0: the id is not valid.
 */
uint64_t ngx_chat_app_number(ngx_str_t *id);

/* Of an array of ngx_chat_app_t: the app with this id or key, or NULL. */
ngx_chat_app_t *ngx_chat_app_of_id(ngx_array_t *apps, ngx_str_t *id);
ngx_chat_app_t *ngx_chat_app_of_key(ngx_array_t *apps, ngx_str_t *key);

/* The secret of a key of the app; NULL where the key is not the app's. */
ngx_str_t *ngx_chat_app_secret(ngx_chat_app_t *app, ngx_str_t *key);

/* The same without regard to case, in which no two keys are equal. */
ngx_str_t *ngx_chat_app_secret_any_case(ngx_chat_app_t *app, ngx_str_t *key);

/* 1 where events of the channel are stored, by one of the app's patterns. */
ngx_uint_t ngx_chat_app_stores(ngx_chat_app_t *app, ngx_str_t *channel);

/*
 * 1 where a channel has one of the names in an array of ngx_str_t, or begins as
 * one that ends in "*".
 */
ngx_uint_t ngx_chat_app_matches(ngx_array_t *patterns, ngx_str_t *channel);


#endif /* _NGX_CHAT_APP_H_INCLUDED_ */
