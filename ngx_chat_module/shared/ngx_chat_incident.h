
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What went wrong lately, for the operator's console: for each kind how often,
 * when first and last, in which worker, and a line of detail.  The error log
 * has more; this is what one looks at first.
 *
 * Noting takes no lock and waits for nobody, so that it may be done wherever an
 * error is logged, on the event loop and on the store's threads.
 */


#ifndef _NGX_CHAT_INCIDENT_H_INCLUDED_
#define _NGX_CHAT_INCIDENT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_zone.h>


/* A copy of a record. */

typedef struct {
    ngx_chat_incident_e      kind;
    uint64_t                 count;
    uint64_t                 first;        /* ms since 1970 */
    uint64_t                 last;
    ngx_pid_t                pid;          /* of the last one's worker */
    size_t                   len;          /* of the detail, ASCII; or 0 */
    u_char                   detail[NGX_CHAT_INCIDENT_DETAIL];
} ngx_chat_incident_t;


/* From now on this worker's incidents are noted in the zone. */
void ngx_chat_incident_init(ngx_chat_zone_t *zone);

/*
 * Notes an incident; fmt is as for ngx_sprintf(), or NULL.  A worker that has
 * no zone notes nothing.
 */
void ngx_chat_incident_note(ngx_chat_incident_e kind, const char *fmt, ...);

/* The same for what all workers see: one note for each mark, which grows. */
void ngx_chat_incident_note_once(ngx_chat_incident_e kind, uint64_t mark);

/*
 * For kinds that are not noted by note_once(): keeps the largest value that it
 * was ever given, by any worker, and returns that.
 */
uint64_t ngx_chat_incident_most(ngx_chat_incident_e kind, uint64_t value);

/* Copies what was noted of a kind.  NGX_OK, or NGX_DECLINED: nothing was. */
ngx_int_t ngx_chat_incident_get(ngx_chat_zone_t *zone,
    ngx_chat_incident_e kind, ngx_chat_incident_t *in);


#endif /* _NGX_CHAT_INCIDENT_H_INCLUDED_ */
