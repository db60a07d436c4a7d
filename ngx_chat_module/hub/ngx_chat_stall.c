
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * How long the turns of the event loop are.
 *
 * A turn is everything from the return of epoll_wait() to the next call of
 * it: handlers of events, of timers, of posted events, of this module and of
 * all others.  nginx has no hook for either end, but it calls epoll_wait()
 * by a pointer, ngx_event_actions.process_events, which is each process's
 * own.  A function put in between is called when the waiting begins; when it
 * ended is told by ngx_current_msec, which nginx sets right behind
 * epoll_wait(), before it calls any handler.  So a turn costs one
 * clock_gettime() that is no system call, and none is missed, as it would be
 * by a timer that looks how late it is.
 *
 * ngx_current_msec is cut to milliseconds: a turn may seem up to 1 ms longer
 * than it was, and never longer than since the waiting began.  A handler
 * that calls ngx_time_update() (nginx's own do not) hides its time up to
 * there.
 *
 * Besides, a worker that wakes later than its next timer was due was kept
 * from running: stopped, or by a machine that has too much to do.  That is
 * no turn's fault and noted apart.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <hub/ngx_chat_stall.h>


typedef ngx_int_t (*ngx_chat_stall_pt)(ngx_cycle_t *cycle, ngx_msec_t timer,
    ngx_uint_t flags);


static ngx_int_t ngx_chat_stall_process_events(ngx_cycle_t *cycle,
    ngx_msec_t timer, ngx_uint_t flags);


static ngx_chat_stall_pt     ngx_chat_stall_next;
static ngx_chat_stall_sh_t  *ngx_chat_stall_sh;

ngx_uint_t                   ngx_chat_stall_work;

/* when this turn began, in microseconds; 0: not known */
static uint64_t              ngx_chat_stall_woke;


void
ngx_chat_stall_init(void)
{
    if (ngx_event_actions.process_events == ngx_chat_stall_process_events) {
        return;
    }

    ngx_chat_stall_next = ngx_event_actions.process_events;
    ngx_event_actions.process_events = ngx_chat_stall_process_events;
}


void
ngx_chat_stall_note(ngx_chat_stall_sh_t *sh)
{
    if (sh != NULL) {
        ngx_chat_peak_init(&sh->busy, ngx_current_msec);
        ngx_chat_peak_init(&sh->late, ngx_current_msec);
    }

    ngx_chat_stall_sh = sh;
    ngx_chat_stall_woke = 0;
}


static ngx_int_t
ngx_chat_stall_process_events(ngx_cycle_t *cycle, ngx_msec_t timer,
    ngx_uint_t flags)
{
    uint64_t         now, woke, due;
    ngx_int_t        rc;
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);
    now = (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;

    if (ngx_chat_stall_sh && ngx_chat_stall_woke) {
        ngx_chat_peak_add(&ngx_chat_stall_sh->busy,
                          now - ngx_chat_stall_woke, now / 1000);
    }

    ngx_chat_stall_work = 0;

    /* with timer_resolution, nginx would leave the time as it is */

    rc = ngx_chat_stall_next(cycle, timer, flags | NGX_UPDATE_TIME);

    woke = (uint64_t) ngx_current_msec * 1000;
    ngx_chat_stall_woke = ngx_max(woke, now);

    if (ngx_chat_stall_sh && timer != NGX_TIMER_INFINITE) {
        due = now + (uint64_t) timer * 1000;

        ngx_chat_peak_add(&ngx_chat_stall_sh->late,
                          (woke > due) ? woke - due : 0, now / 1000);
    }

    return rc;
}
