
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What a client without WebSocket sends, and how it is asked whether it is
 * there.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <fallback/ngx_chat_fallback.h>
#include <session/ngx_chat_dispatch.h>
#include <session/ngx_chat_recovery.h>
#include <shared/ngx_chat_turn.h>


#define NGX_CHAT_FALLBACK_WAITS   64       /* requests that wait */
#define NGX_CHAT_FALLBACK_COMMAND 1        /* us of the shortest messages */


ngx_int_t
ngx_chat_fallback_take(ngx_chat_fallback_t *f, u_char **pos, u_char *last)
{
    u_char    *p;
    uint32_t   len;

    p = *pos;

    if (f->leaving) {
        return NGX_DECLINED;
    }

    f->heard = 1;

    if (p == last) {

        /*
         * A heartbeat is the answer to one, or asks for one.  A client that
         * streams answers each of ours, and that must not begin anew; one that
         * polls answers by its next poll.
         */

        if (!f->asked) {
            ngx_chat_fallback_beat(f);

        } else if (!f->polling) {
            f->asked = 0;
        }

        return NGX_OK;
    }

    /* pusher-js sends one in a request, and these stay in their order */

    while (p < last && !ngx_chat_fallback_owes(f)
           && (p == *pos || !ngx_chat_turn_is_long()))
    {
        ngx_chat_turn_add(NGX_CHAT_FALLBACK_COMMAND);

        ngx_memcpy(&len, p, sizeof(uint32_t));
        p += sizeof(uint32_t);

        /* a session that has to go goes later, by a posted event */

        ngx_chat_dispatch(&f->session, p, len);

        p += len;
    }

    if (p != *pos) {
        ngx_chat_recovery_used(&f->session);
    }

    ngx_chat_count(NGX_CHAT_RECEIVED_e, p - *pos);

    *pos = p;

    return (p == last) ? NGX_OK : NGX_AGAIN;
}


ngx_uint_t
ngx_chat_fallback_is_repeated(ngx_chat_fallback_t *f, uint64_t attempt)
{
    ngx_uint_t  i;

    if (attempt == 0) {
        return 0;
    }

    for (i = 0; i < NGX_CHAT_FALLBACK_SENDS; i++) {
        if (f->sends[i] == attempt) {
            return 1;
        }
    }

    f->sends[f->nsends++ % NGX_CHAT_FALLBACK_SENDS] = attempt;

    return 0;
}


ngx_int_t
ngx_chat_fallback_wait(ngx_chat_fallback_t *f, ngx_chat_fallback_wait_t *w)
{
    if (f->nwaits >= NGX_CHAT_FALLBACK_WAITS) {
        return NGX_BUSY;
    }

    f->nwaits++;
    w->session = f;
    ngx_queue_insert_tail(&f->waits, &w->queue);

    return NGX_OK;
}


void
ngx_chat_fallback_unwait(ngx_chat_fallback_wait_t *w)
{
    if (w->session) {
        ngx_queue_remove(&w->queue);
        w->session->nwaits--;
        w->session = NULL;
    }
}


void
ngx_chat_fallback_resume(ngx_chat_fallback_t *f)
{
    ngx_chat_fallback_wait_t  *w;

    while (!ngx_queue_empty(&f->waits)) {
        w = ngx_queue_data(ngx_queue_head(&f->waits),
                           ngx_chat_fallback_wait_t, queue);

        ngx_chat_fallback_unwait(w);
        ngx_post_event(w->event, &ngx_posted_events);
    }
}


/* A ngx_chat_transport_t ping(): pusher-js is asked by an event instead. */

void
ngx_chat_fallback_ping(ngx_chat_session_t *s, ngx_str_t *text)
{
    ngx_chat_fallback_beat((ngx_chat_fallback_t *) s);
}


void
ngx_chat_fallback_beat(ngx_chat_fallback_t *f)
{
    u_char  *p;

    /* the next poll ends with it at once */

    if (!f->write.ready && !(f->polling && f->carrier == NULL)) {
        return;
    }

    f->asked = 1;
    f->heard = 0;

    ngx_chat_session_send(&f->session,
                          ngx_chat_session_frame(NGX_CHAT_FRAME_PING, 0, &p,
                                                 &f->log));
}
