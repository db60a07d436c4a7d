
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * A worker's door: a listening Unix socket, by which requests that came to
 * other workers, or to the same, reach the sessions that live here.
 *
 * Its name is Linux's abstract kind, so no file is left behind by a worker that
 * dies, and nobody can guess it.  Both sides look at who is on the other one.
 * Used by the event loop only.
 */


#ifndef _NGX_CHAT_DOOR_H_INCLUDED_
#define _NGX_CHAT_DOOR_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <shared/ngx_chat_zone.h>


typedef enum {
    NGX_CHAT_DOOR_STREAM_e = 0,            /* lines until the session ends */
    NGX_CHAT_DOOR_POLL_e,                  /* the next lines */
    NGX_CHAT_DOOR_SEND_e                   /* messages of the client follow */
} ngx_chat_door_kind_e;


/* What is said at the door. */

typedef struct {
    uint64_t                 name;         /* of the session */
    uint64_t                 origin;       /* of the page, hashed */
    uint64_t                 attempt;      /* the same where a browser has
                                              repeated the request; or 0 */
    uint32_t                 kind;
    uint32_t                 len;          /* of the messages, each of which
                                              has its length before it */
} ngx_chat_door_request_t;


/* The first byte of the answer. */
#define NGX_CHAT_DOOR_TAKEN    'y'         /* lines follow, or it is done */
#define NGX_CHAT_DOOR_UNKNOWN  'n'         /* no such session */
#define NGX_CHAT_DOOR_BUSY     'b'         /* it takes no more now */


typedef struct {
    /* Takes a visitor's connection, which has no handlers yet. */
    void                   (*visit)(ngx_connection_t *c);

    /* worker_shutdown_timeout is over: all that lives here ends. */
    void                   (*shut)(void);
} ngx_chat_door_handlers_t;


/*
 * Opens this worker's door, where it is not open yet.  NGX_OK, or NGX_ERROR
 * (logged).
 */
ngx_int_t ngx_chat_door_open(ngx_chat_zone_t *zone, ngx_chat_slot_sh_t *slot,
    ngx_chat_door_handlers_t *handlers);

/* In exit_process. */
void ngx_chat_door_exit(void);

/*
 * A connection to the door of a slot's worker, or NULL (logged): there is none,
 * or it is crowded.
 */
ngx_connection_t *ngx_chat_door_connect(ngx_chat_zone_t *zone,
    ngx_chat_slot_sh_t *slot, ngx_log_t *log);


#endif /* _NGX_CHAT_DOOR_H_INCLUDED_ */
