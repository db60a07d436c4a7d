
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What went wrong lately.
 *
 * Each word of a record is right by itself.  The detail is written by whoever
 * finds it free; somebody who dies meanwhile keeps it for a second.  A reader
 * may find half of an old detail behind half of a new one, and no more than
 * that.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_incident.h>
#include <wire/ngx_chat_clock.h>


#define NGX_CHAT_INCIDENT_BUSY  1000       /* ms that a writer may be at it */


static void ngx_chat_incident_count(ngx_chat_incident_sh_t *sh, uint64_t now);
static void ngx_chat_incident_detail(ngx_chat_incident_sh_t *sh, uint64_t now,
    const char *fmt, va_list args);


/* this worker's */
static ngx_chat_zone_t  *ngx_chat_incident_zone;


void
ngx_chat_incident_init(ngx_chat_zone_t *zone)
{
    ngx_chat_incident_zone = zone;
}


void
ngx_chat_incident_note(ngx_chat_incident_e kind, const char *fmt, ...)
{
    va_list                  args;
    uint64_t                 now;
    ngx_chat_incident_sh_t  *sh;

    if (ngx_chat_incident_zone == NULL) {
        return;
    }

    sh = &ngx_chat_incident_zone->sh->incidents[kind];
    now = ngx_chat_clock_wall();

    ngx_chat_incident_count(sh, now);

    if (fmt) {
        va_start(args, fmt);
        ngx_chat_incident_detail(sh, now, fmt, args);
        va_end(args);
    }
}


void
ngx_chat_incident_note_once(ngx_chat_incident_e kind, uint64_t mark)
{
    ngx_atomic_uint_t        old;
    ngx_chat_incident_sh_t  *sh;

    if (ngx_chat_incident_zone == NULL) {
        return;
    }

    sh = &ngx_chat_incident_zone->sh->incidents[kind];
    old = sh->mark;

    if (old < mark && ngx_atomic_cmp_set(&sh->mark, old, mark)) {
        ngx_chat_incident_count(sh, ngx_chat_clock_wall());
    }
}


uint64_t
ngx_chat_incident_most(ngx_chat_incident_e kind, uint64_t value)
{
    ngx_atomic_uint_t        old;
    ngx_chat_incident_sh_t  *sh;

    if (ngx_chat_incident_zone == NULL) {
        return value;
    }

    sh = &ngx_chat_incident_zone->sh->incidents[kind];

    do {
        old = sh->mark;

        if (old >= value) {
            return old;
        }

    } while (!ngx_atomic_cmp_set(&sh->mark, old, value));

    return value;
}


static void
ngx_chat_incident_count(ngx_chat_incident_sh_t *sh, uint64_t now)
{
    (void) ngx_atomic_cmp_set(&sh->first, 0, now);

    sh->pid = ngx_pid;
    sh->last = now;

    ngx_memory_barrier();

    (void) ngx_atomic_fetch_add(&sh->count, 1);
}


static void
ngx_chat_incident_detail(ngx_chat_incident_sh_t *sh, uint64_t now,
    const char *fmt, va_list args)
{
    u_char             *p;
    ngx_atomic_uint_t   busy;

    busy = sh->busy;

    if ((busy && busy <= now && now - busy < NGX_CHAT_INCIDENT_BUSY)
        || !ngx_atomic_cmp_set(&sh->busy, busy, now))
    {
        return;
    }

    p = ngx_vslprintf(sh->detail, sh->detail + NGX_CHAT_INCIDENT_DETAIL, fmt,
                      args);

    sh->len = p - sh->detail;

    ngx_memory_barrier();

    sh->busy = 0;
}


ngx_int_t
ngx_chat_incident_get(ngx_chat_zone_t *zone, ngx_chat_incident_e kind,
    ngx_chat_incident_t *in)
{
    size_t                   i;
    ngx_chat_incident_sh_t  *sh;

    sh = &zone->sh->incidents[kind];

    if (sh->count == 0) {
        return NGX_DECLINED;
    }

    in->kind = kind;
    in->count = sh->count;
    in->first = sh->first;
    in->last = sh->last;
    in->pid = sh->pid;

    in->len = ngx_min(sh->len, NGX_CHAT_INCIDENT_DETAIL);

    for (i = 0; i < in->len; i++) {
        in->detail[i] = sh->detail[i];

        if (in->detail[i] < 0x20 || in->detail[i] > 0x7e) {
            in->detail[i] = '?';
        }
    }

    return NGX_OK;
}
