
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Webhooks: the event loops' part, which is to append records to the ring.  The
 * rest is done by a thread, see hook/ngx_chat_herald.h.
 *
 * Nothing is appended for an app without webhooks, or where none of them wants
 * the kind of event: the zone knows that of each app.
 */


#ifndef _NGX_CHAT_HOOK_H_INCLUDED_
#define _NGX_CHAT_HOOK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>
#include <wire/ngx_chat_hook_record.h>


/* 0: no app at all wants the kind.  Needs no lock. */
#define ngx_chat_hook_is_wanted(zone, kind)                                   \
    ((zone)->sh->hooks.kinds & ngx_chat_hook_bit(kind))

/*
 * Appends a record without an event and data, if the app wants it.  The caller
 * holds the zone's lock and has set all of the record but its times.
 */
void ngx_chat_hook_append(ngx_chat_zone_t *zone, ngx_chat_hook_record_t *rec);

/*
 * The same of any record; takes the lock.  What does not fit the ring is left
 * out.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_hook_publish(ngx_chat_zone_t *zone,
    ngx_chat_hook_record_t *rec);

/*
 * In a cluster, by the thread that applies the log: a record that a node has
 * given the others.  Kinds of states are none of them, for these each node
 * finds by itself.  NGX_ERROR: no memory.
 */
ngx_int_t ngx_chat_hook_replay(ngx_chat_zone_t *zone,
    ngx_chat_hook_record_t *rec, uint64_t seq);

/* In a cluster: kinds that change or tell what the nodes have announced, and so
   come with the log's items. */
#define ngx_chat_hook_is_state(kind)                                          \
    ((kind) <= NGX_CHAT_HOOK_REMOVED_e || (kind) == NGX_CHAT_HOOK_COUNT_e)

/* In the master: there is another configuration now, and this is its number. */
ngx_atomic_uint_t ngx_chat_hook_configured(ngx_chat_zone_t *zone);

/* On any thread: rows were added to the database by somebody else. */
void ngx_chat_hook_added(ngx_chat_zone_t *zone);


#endif /* _NGX_CHAT_HOOK_H_INCLUDED_ */
