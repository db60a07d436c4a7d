
/*
 * Copyright (C) the ngx_chat_module authors
 *
 * What streams and polls have in common.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include <events/ngx_chat_events_answer.h>
#include <events/ngx_chat_events_history.h>
#include <events/ngx_chat_events_queue.h>
#include <events/ngx_chat_events_ring.h>
#include <http/ngx_chat_reply.h>
#include <pusher/ngx_chat_error.h>


static ngx_int_t ngx_chat_events_answer_more(ngx_chat_events_t *ev,
    ngx_chat_events_text_t **text);
static void ngx_chat_events_answer_round(ngx_chat_events_t *ev, ngx_int_t rc);


ngx_chat_events_text_t  ngx_chat_events_answer_begun;


ngx_int_t
ngx_chat_events_answer_add(ngx_chat_events_t *ev, ngx_str_t *channel,
    ngx_str_t *payload)
{
    u_char      buf[NGX_CHAT_EVENTS_POSITION_LEN];
    ngx_int_t   rc;
    ngx_str_t   id;

    id.data = buf;
    id.len = ngx_chat_events_position_write(buf, ngx_chat_events_zone(ev),
                                            &ev->at)
             - buf;

    rc = ngx_chat_events_text_add_payload(&ngx_chat_events_answer_begun,
                                          ev->form, &id, channel, payload,
                                          ev->session.sessions->scratch,
                                          ev->session.connection->log);

    ngx_reset_pool(ev->session.sessions->scratch);

    return rc;
}


ngx_int_t
ngx_chat_events_answer_headers(ngx_chat_events_t *ev)
{
    ngx_str_t  *position;

    position = ngx_chat_events_answer_position(ev);

    if (position == NULL) {
        return NGX_ERROR;
    }

    return ngx_chat_reply_header(ev->request, "Chat-Last-Event-ID", position);
}


ngx_int_t
ngx_chat_events_answer_wait(ngx_chat_events_t *ev)
{
    ngx_http_request_t  *r;

    r = ev->request;

    ev->is_waiting = 1;

    ngx_chat_request_suspend(r);
    ngx_chat_request_watch(r);

    return NGX_DONE;
}


ngx_int_t
ngx_chat_events_answer_next(ngx_chat_events_t *ev,
    ngx_chat_events_text_t **text)
{
    ngx_int_t  rc;

    /* some events have no text: those that are skipped */

    do {
        rc = ngx_chat_events_answer_more(ev, text);
    } while (rc == NGX_OK && (*text)->len == 0);

    return rc;
}


static ngx_int_t
ngx_chat_events_answer_more(ngx_chat_events_t *ev,
    ngx_chat_events_text_t **text)
{
    ngx_int_t  rc;

    if (ev->history) {
        rc = ngx_chat_events_history_next(ev, text);

        if (rc != NGX_DONE) {
            return rc;
        }
    }

    if (ngx_chat_events_history_is_due(ev)) {
        return (ngx_chat_events_history_read(ev, 0,
                                             ngx_chat_events_answer_round)
                == NGX_OK)
               ? NGX_BUSY : NGX_DECLINED;
    }

    return ngx_chat_events_ring_next(ev, text);
}


static void
ngx_chat_events_answer_round(ngx_chat_events_t *ev, ngx_int_t rc)
{
    if (rc == NGX_OK) {
        ngx_chat_events_queue_post(ev);

    } else {
        ngx_chat_events_answer_stop(ev, rc);
    }
}


void
ngx_chat_events_answer_stop(ngx_chat_events_t *ev, ngx_int_t rc)
{
    ngx_log_error(NGX_LOG_INFO, ev->session.connection->log, 0,
                  (rc == NGX_DECLINED)
                  ? "client has read too slowly, the events that it has not "
                    "got are gone from the ring"
                  : "client's events can't be read now");

    if (rc != NGX_DECLINED) {
        ev->session.close_code = NGX_CHAT_ERROR_RECONNECT;
    }

    ngx_chat_session_end_later(&ev->session);
}


ngx_str_t *
ngx_chat_events_answer_position(ngx_chat_events_t *ev)
{
    ngx_str_t  *text;

    text = ngx_palloc(ev->request->pool,
                      sizeof(ngx_str_t) + NGX_CHAT_EVENTS_POSITION_LEN);

    if (text != NULL) {
        text->data = (u_char *) text + sizeof(ngx_str_t);
        text->len = ngx_chat_events_position_write(text->data,
                                                   ngx_chat_events_zone(ev),
                                                   &ev->at)
                    - text->data;
    }

    return text;
}
