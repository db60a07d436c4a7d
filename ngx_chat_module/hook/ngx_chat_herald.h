
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * The herald: the thread that sends webhooks.
 *
 * Each worker has such a thread where webhooks are configured.  One of all
 * threads has the lease, a robust mutex of the zone, and is the herald; the
 * others wait for it.  The herald reads the ring's records, writes to the
 * database what the receivers are to be told, and sends that.
 *
 * What it must not forget is in the database and in the zone.  So whoever gets
 * the lease after it, because it was killed or its worker leaves, goes on where
 * it was.
 */


#ifndef _NGX_CHAT_HERALD_H_INCLUDED_
#define _NGX_CHAT_HERALD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <hook/ngx_chat_herald_conf.h>


/*
 * These three run on the event loop.
 *
 * In init_process, where conf->n is not 0.  conf lives as long as the process.
 * NGX_OK or NGX_ERROR, logged.
 */
ngx_int_t ngx_chat_herald_start(ngx_chat_herald_conf_t *conf,
    ngx_cycle_t *cycle);

/*
 * The worker leaves, and has so many sessions yet: another worker's thread
 * shall be the herald, if there is one.  May be called again and again.
 */
void ngx_chat_herald_leave(ngx_uint_t sessions);

/* In exit_process: ends the thread, within about half a second. */
void ngx_chat_herald_stop(void);

/*
 * On the thread of the store's writer, within its transaction: adds the rows of
 * webhooks that are to be told of a message; data is a ngx_chat_herald_conf_t.
 */
ngx_int_t ngx_chat_herald_stored(void *data, ngx_chat_db_t *db,
    ngx_chat_record_t *rec);


#endif /* _NGX_CHAT_HERALD_H_INCLUDED_ */
