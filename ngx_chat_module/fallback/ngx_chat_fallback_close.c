
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * Sessions of the HTTP fallback: their end.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <fallback/ngx_chat_fallback.h>
#include <session/ngx_chat_claim.h>
#include <session/ngx_chat_recall.h>
#include <session/ngx_chat_recovery.h>


static void ngx_chat_fallback_abort(ngx_chat_session_t *s);
static void ngx_chat_fallback_park(ngx_chat_session_t *s);


ngx_chat_transport_t  ngx_chat_fallback_transport = {
    ngx_chat_fallback_close,
    ngx_chat_fallback_abort,
    ngx_chat_fallback_ping,
    NULL,                                  /* wake: it is no reader */
    1                                      /* is_lossy */
};


/* A ngx_chat_transport_t close(); may free f. */

void
ngx_chat_fallback_close(ngx_chat_session_t *s, ngx_uint_t code,
    ngx_str_t *reason)
{
    ngx_int_t             rc;
    ngx_chat_buf_t       *b;
    ngx_chat_fallback_t  *f;

    f = (ngx_chat_fallback_t *) s;

    if (f->leaving || f->ended) {
        return;
    }

    f->leaving = 1;
    f->code = code;
    s->end_code = (uint16_t) code;

    ngx_chat_fallback_park(s);
    ngx_chat_session_leave(s);

    if (!f->started) {
        /* who opens it tells the client */
        return;
    }

    /* lines for which there is no carrier wait for the next one */

    if (f->carrier && !ngx_chat_fallback_is_full(f)) {
        ngx_add_timer(&f->timer, NGX_CHAT_FALLBACK_CLOSE);
    }

    b = ngx_chat_session_frame_close(code, reason, &f->log);

    if (b == NULL) {
        ngx_chat_fallback_finish(f);
        return;
    }

    rc = ngx_chat_outbox_send(&s->outbox, s->connection, b,
                              NGX_MAX_SIZE_T_VALUE, 1);

    ngx_chat_buf_release(b);

    if (rc == NGX_ERROR) {
        ngx_chat_fallback_finish(f);
        return;
    }

    ngx_chat_fallback_flush(f);
}


/* A ngx_chat_transport_t abort(); frees f. */

static void
ngx_chat_fallback_abort(ngx_chat_session_t *s)
{
    ngx_chat_fallback_finish((ngx_chat_fallback_t *) s);
}


/* What is kept for a client with a token, which may come back at once. */

static void
ngx_chat_fallback_park(ngx_chat_session_t *s)
{
    ngx_chat_claim_cancel(s, NULL);
    ngx_chat_recall_cancel(s, NULL);
    ngx_chat_recovery_end(s);
}


void
ngx_chat_fallback_finish(ngx_chat_fallback_t *f)
{
    ngx_chat_hub_t       *hub;
    ngx_chat_recovery_t  *recovery;

    if (f->ended) {
        return;
    }

    f->ended = 1;

    ngx_chat_fallback_park(&f->session);
    recovery = ngx_chat_recovery_detach(&f->session);

    if (recovery) {
        ngx_chat_recovery_free(recovery);
    }

    hub = f->session.sessions->hub;

    ngx_chat_session_end(&f->session);

    ngx_chat_fallback_forget(f, hub);
    ngx_chat_fallback_resume(f);

    if (f->carrier) {
        ngx_close_connection(f->carrier);
    }

    if (f->timer.timer_set) {
        ngx_del_timer(&f->timer);
    }

    if (f->write.posted) {
        ngx_delete_posted_event(&f->write);
    }

    if (f->lines) {
        ngx_free(f->lines);
    }

    ngx_free(f);
}
