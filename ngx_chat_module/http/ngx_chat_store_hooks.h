
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Publishing: what the store calls for each record, once it is committed.
 */


#ifndef _NGX_CHAT_STORE_HOOKS_H_INCLUDED_
#define _NGX_CHAT_STORE_HOOKS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <fanout/ngx_chat_hub.h>
#include <pusher/ngx_chat_app.h>
#include <store/ngx_chat_store.h>


/* What the store's hooks get. */

typedef struct {
    ngx_chat_zone_t         *zone;
    ngx_array_t             *apps;         /* of ngx_chat_app_t */
} ngx_chat_store_hooks_t;


/*
 * The store's render(): the text of a message, from malloc().  Runs on a
 * thread.
 */
ngx_int_t ngx_chat_store_hooks_render(ngx_chat_record_t *rec,
    ngx_str_t *text);

/*
 * The store's append(): sends the event of a record.  A message is rendered,
 * and *reply becomes its text, from malloc().  A triggered event has the
 * record's content as data, and leaves *reply as it is; where it is not
 * stored its id is 0.  data is a ngx_chat_store_hooks_t.  Runs on a thread, and
 * for events that are not stored on the event loop; touches nothing else.
 */
ngx_int_t ngx_chat_store_hooks_append(void *data, ngx_chat_record_t *rec,
    ngx_chat_socket_id_t *except, ngx_str_t *reply, uint64_t *position,
    ngx_log_t *log);

/* The store's behind(). */
ngx_uint_t ngx_chat_store_hooks_behind(void *data);

/* The store's sent(). */
uint64_t ngx_chat_store_hooks_sent(void *data);

/*
 * The store's begun().  Where the database is another one all subscribers are
 * told to reconnect.
 */
void ngx_chat_store_hooks_begun(void *data, uint64_t id, ngx_uint_t another);

/* The store's queued(). */
void ngx_chat_store_hooks_queued(ngx_uint_t n);

/* The store's reading(). */
void ngx_chat_store_hooks_reading(ngx_uint_t n, size_t held);

/* The store's event_max(): the most bytes of a record's text, or event. */
size_t ngx_chat_store_hooks_event_max(ngx_chat_record_t *rec);

/*
 * The most bytes that the envelope of a message with content of that many
 * bytes can have, for the check of the configuration.
 */
size_t ngx_chat_store_hooks_envelope_max(size_t content);


#endif /* _NGX_CHAT_STORE_HOOKS_H_INCLUDED_ */
