
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * How long the turns of this worker's event loop are.
 *
 * A turn begins when nginx sets ngx_current_msec, right behind its wait.  A
 * posted event finds the end: nginx handles posted events last, and this one
 * posts itself again until no other event is left.  Only turns in which this
 * module does something are measured.  ngx_current_msec is cut to milliseconds,
 * so a turn may seem up to 1 ms longer than it was, and with
 * "timer_resolution" up to that much longer.
 *
 * Turns that are long without this module, and a process that does not get the
 * processor, show in timers that are handled late.  That delay is noted apart.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <shared/ngx_chat_incident.h>
#include <shared/ngx_chat_turn.h>
#include <wire/ngx_chat_clock.h>


/* Another module may post itself again, too: then no event is ever the last. */
#define NGX_CHAT_TURN_POSTS  16

#define NGX_CHAT_TURN_STALL  100000        /* us, worth a note */


static void ngx_chat_turn_handler(ngx_event_t *ev);


/* this worker's */
static ngx_chat_slot_sh_t  *ngx_chat_turn_slot;
static ngx_event_t          ngx_chat_turn_event;
static ngx_uint_t           ngx_chat_turn_posts;
static ngx_uint_t           ngx_chat_turn_work;


void
ngx_chat_turn_init(ngx_chat_slot_sh_t *slot, ngx_log_t *log)
{
    ngx_chat_rolling_max_init(&slot->turn, ngx_current_msec);
    ngx_chat_rolling_max_init(&slot->delay, ngx_current_msec);

    ngx_chat_turn_event.handler = ngx_chat_turn_handler;
    ngx_chat_turn_event.log = log;

    ngx_chat_turn_slot = slot;
}


void
ngx_chat_turn_exit(void)
{
    if (ngx_chat_turn_event.posted) {
        ngx_delete_posted_event(&ngx_chat_turn_event);
    }

    ngx_chat_turn_slot = NULL;
}


void
ngx_chat_turn_add(ngx_uint_t usec)
{
    if (ngx_chat_turn_slot == NULL) {
        return;
    }

    ngx_chat_turn_work += usec;

    if (!ngx_chat_turn_event.posted) {
        ngx_chat_turn_posts = 0;
        ngx_post_event(&ngx_chat_turn_event, &ngx_posted_events);
    }
}


ngx_uint_t
ngx_chat_turn_is_long(void)
{
    return ngx_chat_turn_work > NGX_CHAT_TURN_LONG;
}


void
ngx_chat_turn_timer(ngx_msec_t due)
{
    ngx_msec_int_t  late;

    late = (ngx_msec_int_t) (ngx_current_msec - due);

    if (ngx_chat_turn_slot) {
        ngx_chat_rolling_max_add(&ngx_chat_turn_slot->delay,
                                 (late > 0) ? (uint64_t) late * 1000 : 0,
                                 ngx_current_msec);
    }
}


static void
ngx_chat_turn_handler(ngx_event_t *ev)
{
    uint64_t  begin, now, turn, longest;

    if (!ngx_queue_empty(&ngx_posted_events)
        && ngx_chat_turn_posts++ < NGX_CHAT_TURN_POSTS)
    {
        ngx_post_event(ev, &ngx_posted_events);
        return;
    }

    ngx_chat_turn_work = 0;

    begin = (uint64_t) ngx_current_msec * 1000;
    now = ngx_chat_clock_usec();

    turn = (now > begin) ? now - begin : 0;

    ngx_chat_rolling_max_add(&ngx_chat_turn_slot->turn, turn,
                             ngx_current_msec);

    if (turn >= NGX_CHAT_TURN_STALL) {
        longest = ngx_chat_incident_most(NGX_CHAT_INCIDENT_LOOP_STALL_e,
                                         turn / 1000);

        ngx_chat_incident_note(NGX_CHAT_INCIDENT_LOOP_STALL_e,
                               "%uL ms, the longest %uL ms", turn / 1000,
                               longest);
    }
}
