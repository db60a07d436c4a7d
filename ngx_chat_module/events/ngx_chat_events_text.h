
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Events as texts of chat_events, in memory that grows where it has to and is
 * used again.  Used by the event loop only.
 */


#ifndef _NGX_CHAT_EVENTS_TEXT_H_INCLUDED_
#define _NGX_CHAT_EVENTS_TEXT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* A text that is longer takes no more events. */
#define NGX_CHAT_EVENTS_TEXT_MAX  65536


typedef enum {
    NGX_CHAT_EVENTS_DATA_e = 0,            /* the event's data */
    NGX_CHAT_EVENTS_OBJECT_e,              /* channel, event and data */
    NGX_CHAT_EVENTS_POLL_e                 /* elements of a JSON array */
} ngx_chat_events_form_e;


typedef struct {
    u_char                  *data;
    size_t                   len;
    size_t                   size;
    ngx_uint_t               n;            /* events in it */
} ngx_chat_events_text_t;


/* An event; the strings are the caller's. */

typedef struct {
    ngx_str_t                channel;
    ngx_str_t                event;
    ngx_str_t                data;
} ngx_chat_events_event_t;


#define ngx_chat_events_text_is_full(t)                                       \
    ((t)->len >= NGX_CHAT_EVENTS_TEXT_MAX)


/* Makes the text empty. */
void ngx_chat_events_text_reset(ngx_chat_events_text_t *t);

/* Each returns NGX_OK, or NGX_ERROR: no memory, and the text is as before. */

/* Adds bytes. */
ngx_int_t ngx_chat_events_text_write(ngx_chat_events_text_t *t, u_char *p,
    size_t len);

/* Adds an event; id is the position behind it. */
ngx_int_t ngx_chat_events_text_add(ngx_chat_events_text_t *t,
    ngx_chat_events_form_e form, ngx_str_t *id, ngx_chat_events_event_t *e);

/*
 * Adds an event by its payload, as WebSocket clients get it, which is parsed in
 * memory of pool.
 */
ngx_int_t ngx_chat_events_text_add_payload(ngx_chat_events_text_t *t,
    ngx_chat_events_form_e form, ngx_str_t *id, ngx_str_t *channel,
    ngx_str_t *payload, ngx_pool_t *pool, ngx_log_t *log);


#endif /* _NGX_CHAT_EVENTS_TEXT_H_INCLUDED_ */
