
/* sources: shared/ngx_chat_incident.c shared/ngx_chat_zone.c */
/* sources: shared/ngx_chat_arena.c shared/ngx_chat_mutex.c */
/* sources: shared/ngx_chat_share.c shared/ngx_chat_cache.c */
/* sources: bus/ngx_chat_ring.c bus/ngx_chat_wakeup.c */
/* sources: wire/ngx_chat_clock.c wire/ngx_chat_hash.c */
/* sources: wire/ngx_chat_envelope.c */
/* sources: libs: -lpthread -lcrypto */

/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Incidents: what is noted, and what is left of it where somebody died.
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <shared/ngx_chat_incident.h>

#include "unit.h"
#include "shared/zone.h"


static ngx_chat_zone_t          zone;
static ngx_chat_zone_sh_t       zone_sh;


static ngx_uint_t
detail_is(ngx_chat_incident_t *in, const char *text)
{
    return in->len == strlen(text) && memcmp(in->detail, text, in->len) == 0;
}


static void
test_notes(void)
{
    ngx_chat_incident_t  in;

    ngx_chat_incident_note(NGX_CHAT_INCIDENT_ZONE_FULL_e, "no zone yet");

    ngx_chat_incident_init(&zone);

    CHECK_INT(ngx_chat_incident_get(&zone, NGX_CHAT_INCIDENT_ZONE_FULL_e, &in),
              NGX_DECLINED);

    ngx_chat_incident_note(NGX_CHAT_INCIDENT_ZONE_FULL_e, "a longer one");
    ngx_chat_incident_note(NGX_CHAT_INCIDENT_ZONE_FULL_e, "tab\t\xff");

    CHECK_INT(ngx_chat_incident_get(&zone, NGX_CHAT_INCIDENT_ZONE_FULL_e, &in),
              NGX_OK);
    CHECK_INT(in.count, 2);
    CHECK_INT(in.pid, ngx_pid);
    CHECK(in.first > 0 && in.first <= in.last);
    CHECK(detail_is(&in, "tab??"));

    /* one without a detail keeps the one before */

    ngx_chat_incident_note(NGX_CHAT_INCIDENT_ZONE_FULL_e, NULL);
    ngx_chat_incident_get(&zone, NGX_CHAT_INCIDENT_ZONE_FULL_e, &in);

    CHECK_INT(in.count, 3);
    CHECK(detail_is(&in, "tab??"));

    CHECK_INT(ngx_chat_incident_get(&zone, NGX_CHAT_INCIDENT_SLOW_CLIENT_e,
                                    &in),
              NGX_DECLINED);
}


/* No detail is longer than its place. */

static void
test_long(void)
{
    char                 text[2 * NGX_CHAT_INCIDENT_DETAIL];
    ngx_chat_incident_t  in;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';

    ngx_chat_incident_note(NGX_CHAT_INCIDENT_THREAD_POOL_e, text);
    ngx_chat_incident_get(&zone, NGX_CHAT_INCIDENT_THREAD_POOL_e, &in);

    CHECK_INT(in.len, NGX_CHAT_INCIDENT_DETAIL);
    CHECK_INT(zone_sh.incidents[NGX_CHAT_INCIDENT_THREAD_POOL_e + 1].count, 0);
}


/* Who died while it wrote is in nobody's way for longer than a second. */

static void
test_busy(void)
{
    ngx_chat_incident_t      in;
    ngx_chat_incident_sh_t  *sh;

    sh = &zone_sh.incidents[NGX_CHAT_INCIDENT_LOOP_STALL_e];

    ngx_chat_incident_note(NGX_CHAT_INCIDENT_LOOP_STALL_e, "first");

    sh->busy = sh->last + 60000;           /* its clock was set back since */
    ngx_chat_incident_note(NGX_CHAT_INCIDENT_LOOP_STALL_e, "second");
    ngx_chat_incident_get(&zone, NGX_CHAT_INCIDENT_LOOP_STALL_e, &in);
    CHECK(detail_is(&in, "second"));

    sh->busy = sh->last - 2000;
    ngx_chat_incident_note(NGX_CHAT_INCIDENT_LOOP_STALL_e, "third");
    ngx_chat_incident_get(&zone, NGX_CHAT_INCIDENT_LOOP_STALL_e, &in);
    CHECK(detail_is(&in, "third"));
    CHECK_INT(sh->busy, 0);
}


/* What all workers see is noted by one. */

static void
test_once(void)
{
    ngx_chat_incident_t  in;

    ngx_chat_incident_note_once(NGX_CHAT_INCIDENT_REGISTRY_WIPED_e, 1);
    ngx_chat_incident_note_once(NGX_CHAT_INCIDENT_REGISTRY_WIPED_e, 1);
    ngx_chat_incident_get(&zone, NGX_CHAT_INCIDENT_REGISTRY_WIPED_e, &in);
    CHECK_INT(in.count, 1);
    CHECK_INT(in.len, 0);

    ngx_chat_incident_note_once(NGX_CHAT_INCIDENT_REGISTRY_WIPED_e, 2);
    ngx_chat_incident_get(&zone, NGX_CHAT_INCIDENT_REGISTRY_WIPED_e, &in);
    CHECK_INT(in.count, 2);
}


/* The largest of all, whoever has it. */

static void
test_most(void)
{
    CHECK_INT(ngx_chat_incident_most(NGX_CHAT_INCIDENT_LOOP_STALL_e, 300), 300);
    CHECK_INT(ngx_chat_incident_most(NGX_CHAT_INCIDENT_LOOP_STALL_e, 200), 300);
    CHECK_INT(ngx_chat_incident_most(NGX_CHAT_INCIDENT_LOOP_STALL_e, 301), 301);
}


int
main(void)
{
    zone.sh = &zone_sh;

    RUN(test_notes);
    RUN(test_long);
    RUN(test_busy);
    RUN(test_once);
    RUN(test_most);

    return unit_done();
}
